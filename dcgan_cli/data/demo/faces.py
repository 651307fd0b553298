"""`demo:faces`: synthetic portraits whose attributes are known and independent of each other.

`truth(index)` returns the attributes of image `index`, and `paint` draws any Face; so an analysis
can compare with the truth, and can draw the same face with one attribute changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.demo import facial_features, hair
from dcgan_cli.data.demo.canvas import Canvas, Rgb, coverage, ellipse, mix, smoothstep, swatch
from dcgan_cli.data.demo.head import WIDEST_TURN, Head, tinted

SIZE = 128
VERSION = 1
"""Increase it whenever a Face is drawn differently, or an index shows another Face."""

_STREAM = 0xFACE

_SKIN = swatch("F8DCC8 F2C8A8 E3AE88 C68F66 9C6844 704630")
_HAIR = swatch("2B2326 4A3126 75462C A0522D B58550 E2C080 B4AFAC")
_IRIS = swatch("4E3220 6F4F2A 5A7550 527E9E 6C8290")
_BACKGROUND = swatch("9DB9CE A9C2A4 E8BE9C C3B3D6 D9CDBB 7FA9A6 E3CF8F")
_CLOTHES = swatch("2F4A6D 8E2F3C F1EEE7 3E6B57 3A3A42 C9833F 6D5687")
_FRAMES = swatch("1B1A1F 1E2440 7E1F2C")


@dataclass(frozen=True)
class Face:
    """One portrait. The first four are its attributes; the rest vary freely beside them.

    `turn` is in [-1, 1], from the viewer's left to the right; `light` likewise is where the light
    comes from. `skin` is in [0, 1], light to dark. `style` and the colors number their palettes.
    `beard` is how much of one a man wears, in [0, 1]. `x`, `y` shift the head, in widths of the
    image; `scale` is half the width of the face.
    """

    man: bool
    smiling: bool
    glasses: bool
    turn: float
    skin: float
    hair: int
    style: int
    beard: float
    iris: int
    background: int
    clothes: int
    frame: int
    light: float
    x: float
    y: float
    scale: float


def truth(index: int) -> Face:
    """The attributes of image `index` (0 or more)."""
    # One call for all: twenty thousand records are read at once when labels are asked for.
    draws = iter(np.random.default_rng([_STREAM, index]).random(16).tolist())

    def either() -> bool:
        return next(draws) < 0.5

    def between(low: float, high: float) -> float:
        return low + (high - low) * next(draws)

    def one_of(choices: Sequence[object]) -> int:
        return int(next(draws) * len(choices))

    return Face(
        man=either(),
        smiling=either(),
        glasses=either(),
        turn=between(-1, 1),
        skin=between(0, 1),
        hair=one_of(_HAIR),
        style=one_of(hair.WOMEN),
        beard=max(between(-1, 1), 0.0),
        iris=one_of(_IRIS),
        background=one_of(_BACKGROUND),
        clothes=one_of(_CLOTHES),
        frame=one_of(_FRAMES),
        light=between(-1, 1),
        x=between(0.48, 0.52),
        y=between(0.463, 0.487),
        scale=between(0.206, 0.224),
    )


def draw(index: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Image `index` as uint8 [size, size, 3]."""
    return paint(truth(index), size)


def paint(face: Face, size: int = SIZE) -> NDArray[np.uint8]:
    """The portrait of `face` as uint8 [size, size, 3]."""
    canvas = Canvas(size, (0, 0, 0))
    sitter = Head(
        canvas=canvas.frame(face.x, face.y, face.scale),
        man=face.man,
        smiling=face.smiling,
        yaw=face.turn * WIDEST_TURN,
        light=math.copysign(0.3 + 0.45 * abs(face.light), face.light),
        skin=_skin(face.skin),
    )
    style, color = hair.style_of(face.man, face.style), _HAIR[face.hair]
    beard = (0.3 if face.beard < 0.5 else 0.9) if face.man and face.beard > 0 else 0.0
    _paint_background(canvas, face)
    hair.paint_back(sitter, style, color)
    _paint_body(sitter, _CLOTHES[face.clothes])
    facial_features.paint_face(sitter, _IRIS[face.iris], color, beard)
    hair.paint_front(sitter, style, color)
    if style.ears:
        facial_features.paint_ear(sitter, -1)
        facial_features.paint_ear(sitter, 1)
    if face.glasses:
        facial_features.paint_glasses(sitter, _FRAMES[face.frame], arms=style.ears)
    return canvas.finish()


def _skin(tone: float) -> Rgb:
    place = tone * (len(_SKIN) - 1)
    lower = min(int(place), len(_SKIN) - 2)
    return tinted(_SKIN[lower], _SKIN[lower + 1], place - lower)


def _paint_background(canvas: Canvas, face: Face) -> None:
    color = _BACKGROUND[face.background]
    bright, dark = tinted(color, (1, 1, 0.97), 0.45), tinted(color, (0.15, 0.15, 0.25), 0.30)
    away = np.hypot(canvas.x - 0.5 - 0.35 * face.light, canvas.y - 0.30)
    canvas.pixels[:] = mix(bright, dark, smoothstep(0.05, 0.95, away))


def _paint_body(sitter: Head, color: Rgb) -> None:
    """Neck, shoulders and clothes, and the shadow that the chin casts."""
    canvas = sitter.canvas.patch(-3, 0.6, 3, 3)
    x, y = np.abs(canvas.x), canvas.y
    neck, wide, low, depth = (0.64, 2.1, 1.60, 0.28) if sitter.man else (0.47, 1.65, 1.66, 0.46)
    sway = 0.25 * math.sin(sitter.yaw) * np.clip(1.5 - y, 0, 1)
    column = np.abs(canvas.x - sway) - neck - 0.8 * np.clip(y - 1.15, 0, None) ** 2
    slope = low + 0.16 * x + 0.7 * smoothstep(0.6 * wide, 1.35 * wide, x) - y
    body = np.minimum(column, np.maximum(slope, x - 1.2 * wide))
    from_light = smoothstep(-1.8, 1.8, canvas.x * math.copysign(1, sitter.light))
    canvas.paint(body, mix(sitter.shadow, sitter.skin, 0.2 + 0.7 * from_light))
    under = ellipse(canvas.x, y, sitter.across(0, 0.5) - 0.15 * sitter.light, 1.0, 0.9, 0.75)
    dark = tinted(sitter.shadow, (0.2, 0.08, 0.1), 0.3)
    canvas.paint(under, dark, 0.8 * coverage(body, 1 / canvas.pixel), 0.35)
    neckline = low - 0.06 + depth * (1 - (x / (neck + 0.22)) ** 2)
    deep = tinted(color, (0.08, 0.06, 0.12), 0.5)
    cloth = np.maximum(body - 0.03, neckline - y)
    canvas.paint(cloth, mix(deep, color, np.clip(from_light - 0.3 * (y - 2.0) + 0.2, 0, 1)))
    hem = np.maximum(np.abs(y - neckline - 0.05) - 0.05, cloth)
    canvas.paint(hem, tinted(deep, color, 0.4), 0.8, 0.04)
