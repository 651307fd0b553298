"""Hair of the synthetic faces: styles are tables of points, drawn with volume, strands and shine."""

import math
from dataclasses import dataclass

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Field, Rgb, ellipse, mix, outline, smoothstep
from dcgan_cli.data.demo.head import Head, face_contour, tinted

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Style:
    """One way to wear hair, in head coordinates.

    `mass` is the right half of the outer outline, crown to tip; `opening` the edge of the hair
    around the face, from the right temple over the forehead to the left, in face coordinates.
    `back` hangs behind the neck, drawn like `mass`. `ears` are left free; `curl` is how far the
    outline waves, as a part of its radius.
    """

    mass: Points
    opening: Points
    back: Points = ()
    bun: bool = False
    ears: bool = False
    curl: float = 0.0


# fmt: off
_LONG = ((0, -1.72), (0.88, -1.42), (1.24, -0.6), (1.28, 0.4), (1.38, 1.4), (1.25, 2.2),
         (0.75, 2.55))
_LONG_BACK = ((0, -1.66), (0.85, -1.36), (1.24, -0.5), (1.30, 0.6), (1.42, 1.6), (1.32, 2.5),
              (0.7, 2.9))
_BOB = ((0, -1.72), (0.9, -1.42), (1.26, -0.6), (1.30, 0.2), (1.26, 0.9), (0.9, 1.3))
_BOB_BACK = ((0, -1.6), (0.85, -1.36), (1.2, -0.5), (1.22, 0.6), (1.0, 1.35))
_WAVES = ((0, -1.76), (0.98, -1.46), (1.40, -0.6), (1.48, 0.3), (1.40, 1.0), (1.0, 1.5))
_WAVES_BACK = ((0, -1.6), (0.95, -1.36), (1.4, -0.5), (1.45, 0.6), (1.2, 1.5))
_NAPE = ((0.98, 0.20), (0.74, 0.32))

_PARTED = ((0.80, 1.5), (0.86, 0.6), (0.84, 0.05), (0.66, -0.55), (0.30, -0.90), (0.0, -1.12),
           (-0.30, -0.90), (-0.66, -0.55), (-0.84, 0.05), (-0.86, 0.6), (-0.80, 1.5))
_SWEPT = ((0.82, 1.5), (0.88, 0.6), (0.90, 0.0), (0.78, -0.45), (0.35, -0.66), (-0.15, -0.88),
          (-0.50, -1.08), (-0.72, -0.75), (-0.86, -0.2), (-0.90, 0.6), (-0.82, 1.5))
_FRINGE = ((0.82, 1.5), (0.88, 0.6), (0.88, 0.0), (0.82, -0.36), (0.45, -0.44), (0.0, -0.47),
           (-0.45, -0.44), (-0.82, -0.36), (-0.88, 0.0), (-0.88, 0.6), (-0.82, 1.5))
_RIGHT_TEMPLE, _LEFT_TEMPLE = ((1.10, 1.1), (1.06, 0.5)), ((-1.06, 0.5), (-1.10, 1.1))
_COMBED_BACK = (*_RIGHT_TEMPLE, (0.98, 0.0), (0.86, -0.55), (0.50, -0.88), (0.10, -1.0),
              (-0.40, -0.92), (-0.84, -0.58), (-0.98, 0.0), *_LEFT_TEMPLE)
_LEVEL = (*_RIGHT_TEMPLE, (0.96, 0.10), (0.90, -0.35), (0.80, -0.68), (0.40, -0.82), (0.0, -0.86),
          (-0.40, -0.82), (-0.80, -0.68), (-0.90, -0.35), (-0.96, 0.10), *_LEFT_TEMPLE)
_ASIDE = (*_RIGHT_TEMPLE, (0.96, 0.10), (0.90, -0.35), (0.82, -0.62), (0.45, -0.70), (0.0, -0.80),
          (-0.45, -0.98), (-0.78, -0.80), (-0.90, -0.40), (-0.96, 0.10), *_LEFT_TEMPLE)
_LOCK = (*_RIGHT_TEMPLE, (0.96, 0.05), (0.80, -0.42), (0.35, -0.62), (-0.15, -0.86),
         (-0.50, -1.06), (-0.76, -0.75), (-0.92, -0.30), (-0.96, 0.10), *_LEFT_TEMPLE)

WOMEN: tuple[Style, ...] = (
    Style(_LONG, _PARTED, _LONG_BACK),
    Style(_LONG, _SWEPT, _LONG_BACK, curl=0.035),
    Style(_BOB, _FRINGE, _BOB_BACK),
    Style(((0, -1.62), (0.82, -1.34), (1.10, -0.6), (1.06, 0.0), *_NAPE), _COMBED_BACK,
          bun=True, ears=True),
    Style(_WAVES, _SWEPT, _WAVES_BACK, curl=0.03),
)
MEN: tuple[Style, ...] = (
    Style(((0, -1.66), (0.82, -1.42), (1.10, -0.75), (1.05, -0.1), *_NAPE), _ASIDE, ears=True),
    Style(((0, -1.54), (0.78, -1.28), (1.05, -0.70), (1.03, -0.1), *_NAPE), _LEVEL, ears=True),
    Style(((0, -1.80), (0.70, -1.64), (1.04, -0.85), (1.04, -0.1), *_NAPE), _LEVEL, ears=True),
    Style(((0, -1.74), (0.88, -1.50), (1.20, -0.85), (1.10, -0.25), *_NAPE), _LEVEL, ears=True,
          curl=0.045),
    Style(((0, -1.74), (0.90, -1.48), (1.14, -0.80), (1.06, -0.1), *_NAPE), _LOCK, ears=True),
)
# fmt: on


def style_of(man: bool, number: int) -> Style:
    """Style `number` (any integer) of those that men, or women, wear here."""
    return (MEN if man else WOMEN)[number % len(MEN if man else WOMEN)]


def paint_back(head: Head, style: Style, color: Rgb) -> None:
    """What hangs behind the neck, and the bun on top."""
    drift = -0.16 * math.sin(head.yaw)
    if style.back:
        canvas = head.canvas.patch(-1.8, -1.9, 1.8, 3.1)
        back = outline(canvas.x - drift, canvas.y, _mirrored(style.back), 0, 0.3)
        dark = tinted(color, (0.05, 0.02, 0.05), 0.45)
        canvas.paint(back, mix(dark, tinted(color, dark, 0.4), smoothstep(2.4, -0.5, canvas.y)))
    if style.bun:
        canvas = head.canvas.patch(-0.8, -2.3, 0.8, -1.2)
        bun = ellipse(canvas.x, canvas.y, 1.4 * drift, -1.70, 0.44, 0.34)
        _paint_strands(head, canvas, bun, color, (1.4 * drift, -1.5), 0.0)


def paint_front(head: Head, style: Style, color: Rgb) -> None:
    """The hair around the face, and the shadow that it casts on the forehead."""
    canvas = head.canvas.patch(-1.8, -2.1, 1.8, 2.8)
    # A skull is deeper than wide: turned, it shows more of its back, behind the near ear.
    turned = math.sin(head.yaw)
    x, y = (canvas.x + 0.2 * turned) / (1 + 0.12 * abs(turned)), canvas.y
    if style.curl:
        turn = np.arctan2(y, x)
        swell = 1 - style.curl * (0.6 * np.sin(9 * turn + 1) + 0.4 * np.sin(14 * turn))
        x, y = x * swell, y * swell
    mass = outline(x, y, _mirrored(style.mass), 0, -0.2)
    # Closed below the image, in spans even enough for a smooth curve.
    edge, end = style.opening[0]
    half = ((0, 3.4), (0.8 * edge, 3.2), (0.9 * edge, end / 2 + 1.6))
    below = (*((-u, v) for u, v in reversed(half[1:])), *half)
    opening = outline(head.unturned(canvas.x), canvas.y, [*style.opening, *below], 0, 0.4)
    casts = np.maximum(np.maximum(mass + 0.15, -opening - 0.13), canvas.y - 0.7)
    canvas.paint(casts, tinted(head.shadow, (0.2, 0.1, 0.1), 0.2), 0.45, 0.18)
    # Hair stays beside the face on the far side too, where the turned hairline leaves the head.
    beside, ends = (face_contour(head, canvas) + 0.05, 0.0) if style.ears else (mass + 0.1, 0.8)
    beside = beside - 2 * np.clip(canvas.y - ends, 0, None)
    opening = np.maximum(opening, beside)
    shape, root = np.maximum(mass, -opening), (0.6 * turned - 0.2, -1.25)
    _paint_strands(head, canvas, shape, color, root, style.curl)


def _paint_strands(
    head: Head, canvas: Canvas, shape: Field, color: Rgb, root: tuple[float, float], curl: float
) -> None:
    """Fill `shape` with hair that runs from `root`, lit and with a band of shine."""
    dark, bright = tinted(color, (0.06, 0.02, 0.04), 0.55), tinted(color, (1, 0.93, 0.82), 0.34)
    x, y = canvas.x - root[0], canvas.y - root[1]
    turn = np.arctan2(x, np.abs(y) + 0.35)
    far = np.sqrt(x * x + y * y)
    strands = np.sin(turn * 13 + 2 * np.sin(3 * turn) + curl * 60 * far) * smoothstep(0.1, 1.0, far)
    nx, ny = canvas.x / 1.3, (canvas.y + 0.2) / 2.0
    light = 0.62 + 0.42 * head.light * nx - 0.34 * ny - 0.18 * nx * nx + 0.07 * strands
    canvas.paint(shape, mix(dark, color, np.clip(light, 0, 1)))
    band = np.exp(-(((far - 0.62 - 0.03 * strands) / 0.17) ** 2))
    canvas.paint(shape, bright, band * smoothstep(-1.3, 0.9, head.light * 1.4 * nx * 2) * 0.75)
    canvas.paint(shape, dark, smoothstep(-0.16, 0.0, shape) * 0.45)


def _mirrored(half: Points) -> Points:
    return (*half, *((-u, v) for u, v in reversed(half[1:])))
