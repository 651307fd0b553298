"""Hair of the drawn faces: styles are tables of points, drawn with volume, strands and shine."""

import math
from dataclasses import dataclass

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Field, ellipse, mix, outline, smoothstep
from dcgan_cli.data.demo.head import Head, Rgb, tinted

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Style:
    """One way to wear hair, in head coordinates.

    `mass` is the right half of the outer outline, crown to tip; `opening` the edge of the hair
    around the face, from the right temple over the forehead to the left, in face coordinates.
    """

    mass: Points
    opening: Points
    back: Points = ()
    bun: bool = False
    ears: bool = False
    curl: float = 0.0


_LONG_BACK = (
    (0, -1.66),
    (0.85, -1.36),
    (1.24, -0.5),
    (1.30, 0.6),
    (1.42, 1.6),
    (1.32, 2.5),
    (0.7, 2.9),
)
_LONG_FRONT = (
    (0, -1.72),
    (0.88, -1.42),
    (1.24, -0.6),
    (1.28, 0.4),
    (1.38, 1.4),
    (1.25, 2.2),
    (0.75, 2.55),
)
_PARTED = ((0.80, 1.5), (0.86, 0.6), (0.84, 0.05), (0.66, -0.55), (0.30, -0.90), (0.0, -1.12),
           (-0.30, -0.90), (-0.66, -0.55), (-0.84, 0.05), (-0.86, 0.6), (-0.80, 1.5))  # fmt: skip
_SWEPT = ((0.82, 1.5), (0.88, 0.6), (0.90, 0.0), (0.78, -0.45), (0.35, -0.66), (-0.15, -0.88), (-0.50, -1.08),
          (-0.72, -0.75), (-0.86, -0.2), (-0.90, 0.6), (-0.82, 1.5))  # fmt: skip
_FRINGE = ((0.82, 1.5), (0.88, 0.6), (0.88, 0.0), (0.82, -0.36), (0.45, -0.44), (0.0, -0.47),
           (-0.45, -0.44), (-0.82, -0.36), (-0.88, 0.0), (-0.88, 0.6), (-0.82, 1.5))  # fmt: skip
_UP = ((1.02, 0.9), (0.98, -0.1), (0.86, -0.55), (0.50, -0.88), (0.10, -1.0),
       (-0.40, -0.92), (-0.84, -0.58), (-0.98, -0.1), (-1.02, 0.9))  # fmt: skip
_BROW = ((1.04, 0.8), (0.95, 0.12), (0.90, -0.35), (0.80, -0.68), (0.40, -0.82), (0.0, -0.86),
         (-0.40, -0.82), (-0.80, -0.68), (-0.90, -0.35), (-0.95, 0.12), (-1.04, 0.8))  # fmt: skip
_SIDE = ((1.04, 0.8), (0.95, 0.12), (0.90, -0.35), (0.82, -0.62), (0.45, -0.70), (0.0, -0.80), (-0.45, -0.98),
         (-0.78, -0.80), (-0.90, -0.40), (-0.95, 0.12), (-1.04, 0.8))  # fmt: skip

WOMEN: tuple[Style, ...] = (
    Style(_LONG_FRONT, _PARTED, _LONG_BACK),
    Style(_LONG_FRONT, _SWEPT, _LONG_BACK, curl=0.035),
    Style(((0, -1.72), (0.9, -1.42), (1.26, -0.6), (1.30, 0.2), (1.26, 0.9), (0.9, 1.3)), _FRINGE,
          ((0, -1.6), (0.85, -1.36), (1.2, -0.5), (1.22, 0.6), (1.0, 1.35))),
    Style(((0, -1.62), (0.82, -1.34), (1.10, -0.6), (1.06, 0.0), (0.95, 0.25)), _UP, bun=True, ears=True),
    Style(((0, -1.76), (0.98, -1.46), (1.40, -0.6), (1.48, 0.3), (1.40, 1.0), (1.0, 1.5)), _SWEPT,
          ((0, -1.6), (0.95, -1.36), (1.4, -0.5), (1.45, 0.6), (1.2, 1.5)), curl=0.03),
)  # fmt: skip
MEN: tuple[Style, ...] = (
    Style(((0, -1.66), (0.82, -1.42), (1.10, -0.75), (1.05, -0.1), (0.94, 0.18)), _SIDE, ears=True),
    Style(((0, -1.54), (0.78, -1.28), (1.05, -0.70), (1.03, -0.1), (0.94, 0.15)), _BROW, ears=True),
    Style(((-0.05, -1.80), (0.70, -1.64), (1.04, -0.85), (1.04, -0.1), (0.94, 0.15)), _BROW, ears=True),
    Style(((0, -1.74), (0.88, -1.50), (1.20, -0.85), (1.10, -0.25), (0.95, 0.1)), _BROW, ears=True, curl=0.045),
    Style(((0.1, -1.74), (0.90, -1.48), (1.14, -0.80), (1.06, -0.1), (0.94, 0.2)), _SWEPT[2:-2] , ears=True),
)  # fmt: skip


def style_of(man: bool, number: int) -> Style:
    """Style `number` (any integer) of those that men, or women, wear here."""
    return (MEN if man else WOMEN)[number % len(MEN if man else WOMEN)]


def paint_back(head: Head, style: Style, colour: Rgb) -> None:
    """What hangs behind the neck, and the bun on top."""
    drift = -0.16 * math.sin(head.yaw)
    if style.back:
        canvas = head.canvas.patch(-1.8, -1.9, 1.8, 3.1)
        back = outline(canvas.x - drift, canvas.y, _mirrored(style.back), 0, 0.3)
        dark = tinted(colour, (0.05, 0.02, 0.05), 0.45)
        canvas.paint(back, mix(dark, tinted(colour, dark, 0.4), smoothstep(2.4, -0.5, canvas.y)))
    if style.bun:
        canvas = head.canvas.patch(-0.8, -2.3, 0.8, -1.2)
        bun = ellipse(canvas.x, canvas.y, 1.4 * drift, -1.74, 0.46, 0.40)
        _paint_strands(head, canvas, bun, colour, (1.4 * drift, -1.5), 0.0)


def paint_front(head: Head, style: Style, colour: Rgb) -> None:
    """The hair around the face, and the shadow that it casts on the forehead."""
    canvas = head.canvas.patch(-1.8, -2.1, 1.8, 2.8)
    drift = -0.10 * math.sin(head.yaw)
    x, y = canvas.x, canvas.y
    if style.curl:
        turn = np.arctan2(y, x)
        swell = 1 - style.curl * (0.6 * np.sin(9 * turn + 1) + 0.4 * np.sin(14 * turn))
        x, y = x * swell, y * swell
    mass = outline(x - drift, y, _mirrored(style.mass), 0, -0.2)
    bottom = style.opening[0]
    around = [*style.opening, (style.opening[-1][0] * 0.8, 3.2), (0, 3.4), (bottom[0] * 0.8, 3.2)]
    u = head.unturned(canvas.x)
    opening = outline(u, canvas.y, around, 0, 0.4)
    casts = np.maximum(mass + 0.15, -opening - 0.13)
    canvas.paint(
        np.maximum(casts, canvas.y - 0.7), tinted(head.shadow, (0.2, 0.1, 0.1), 0.2), 0.45, 0.18
    )
    # The hair closes over the far side, where the turned hairline would leave the head.
    closes_above = -0.3 if style.ears else 0.8
    rim = 0.10 - 2 * np.clip(canvas.y - closes_above, 0, None)
    opening = np.maximum(opening, mass + rim)
    _paint_strands(
        head,
        canvas,
        np.maximum(mass, -opening),
        colour,
        (0.6 * math.sin(head.yaw) - 0.2, -1.25),
        style.curl,
    )


def _paint_strands(
    head: Head, canvas: Canvas, shape: Field, colour: Rgb, root: tuple[float, float], curl: float
) -> None:
    """Fill `shape` with hair that runs from `root`, lit from the head's side, with a band of shine."""
    dark, bright = tinted(colour, (0.06, 0.02, 0.04), 0.55), tinted(colour, (1, 0.93, 0.82), 0.34)
    x, y = canvas.x - root[0], canvas.y - root[1]
    turn = np.arctan2(x, np.abs(y) + 0.35)
    far = np.sqrt(x * x + y * y)
    strands = np.sin(turn * 13 + 2 * np.sin(3 * turn) + curl * 60 * far) * smoothstep(0.1, 1.0, far)
    nx, ny = canvas.x / 1.3, (canvas.y + 0.2) / 2.0
    light = 0.62 + 0.42 * head.light * nx - 0.34 * ny - 0.18 * nx * nx + 0.07 * strands
    canvas.paint(shape, mix(dark, colour, np.clip(light, 0, 1)))
    band = np.exp(-(((far - 0.62 - 0.03 * strands) / 0.17) ** 2))
    canvas.paint(shape, bright, band * smoothstep(-1.3, 0.9, head.light * 1.4 * nx * 2) * 0.75)
    canvas.paint(shape, dark, smoothstep(-0.16, 0.0, shape) * 0.45)


def _mirrored(half: Points) -> Points:
    return (*half, *((-u, v) for u, v in reversed(half[1:])))
