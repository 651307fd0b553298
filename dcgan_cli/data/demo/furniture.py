"""What stands and hangs in the drawn bedrooms: windows, doors, pictures, lamps and bedside tables.

Each piece knows its place in meters and its look; it `outline`s the box that it covers on the
screen and paints itself inside that box.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Rgb
from dcgan_cli.data.demo.perspective import (
    Camera,
    Patch,
    Plane,
    Rect,
    Values,
    fill,
    lay,
    mixed,
    shaded,
    unit,
)

Motif = Literal["hills", "sunset", "shapes"]
MOTIFS: tuple[Motif, ...] = get_args(Motif)


@dataclass(frozen=True)
class _Flat:
    """What fills `rect` of a wall."""

    plane: Plane
    rect: Rect

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        return self.plane.bounds(camera, self.rect)


@dataclass(frozen=True)
class Window(_Flat):
    """A window with a view, curtained or not; `rect` is all of it, curtains and rod included."""

    columns: int
    rows: int
    sky: tuple[Rgb, Rgb]
    hills: tuple[Rgb, Rgb]
    phase: float
    frame: Rgb
    curtain: Rgb | None

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint frame, view, bars, sill and curtains."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        if self.curtain:
            u0, v0, u1, v1 = u0 + 0.1, v0 + 0.12, u1 - 0.1, v1 - 0.1
        patch.lay(patch.box((u0, v0 + 0.04, u1, v1)), self.frame)
        bar = 0.07
        glass = (u0 + bar, v0 + 0.06 + bar, u1 - bar, v1 - bar)
        patch.lay(patch.box(glass), self._view(patch, glass))
        left, bottom, right, top = glass
        patch.shade(patch.box((left, top - 0.06, right, top)), 0.82)
        for column in range(1, self.columns):
            u = left + (right - left) * column / self.columns
            patch.lay(patch.box((u - 0.022, bottom, u + 0.022, top)), shaded(self.frame, 0.96))
        for row in range(1, self.rows):
            v = bottom + (top - bottom) * row / self.rows
            patch.lay(patch.box((left, v - 0.022, right, v + 0.022)), shaded(self.frame, 0.96))
        patch.lay(patch.box((u0, v0, u1, v0 + 0.06)), shaded(self.frame, 0.86))
        patch.lay(patch.box((u0, v0 + 0.05, u1, v0 + 0.085)), shaded(self.frame, 1.0))
        if self.curtain:
            self._drape(patch, self.curtain)

    def _view(self, patch: Patch, glass: Rect) -> Values:
        """Sky over two ridges of hills, float32 [h, w, 3]."""
        left, bottom, right, top = glass
        height = (patch.v - bottom) / (top - bottom)
        place = 2 * np.pi * (patch.u - left) / (right - left)
        colors = mixed(self.sky[0], self.sky[1], height * 1.1 - 0.2 + 0 * place)
        ridges = (
            0.40 + 0.09 * np.sin(0.8 * place + self.phase),
            0.24 + 0.07 * np.sin(1.1 * place + 2.1 + 2 * self.phase),
        )
        for ridge, color in zip(ridges, self.hills, strict=True):
            lay(colors, patch.below(bottom + ridge * (top - bottom)), color)
        return colors

    def _drape(self, patch: Patch, color: Rgb) -> None:
        """Two gathered curtains under a rod."""
        u0, v0, u1, v1 = self.rect
        width = 0.27 * (u1 - u0)
        fall = unit((patch.v - v0) / (v1 - v0))
        folds = 0.5 + 0.5 * np.sin(2 * np.pi * (patch.u - u0) / (width / 2.5) + self.phase)
        colors = shaded(color, (0.74 + 0.26 * folds) * (0.9 + 0.14 * fall))
        gather = width * (0.78 + 0.22 * np.cos(2 * np.pi * (fall - 0.05)))
        inside = patch.below(v1 - 0.05) - patch.below(v0)
        for cover in (
            patch.left_of(u0 + gather) - patch.left_of(u0 + 0.01),
            patch.left_of(u1 - 0.01) - patch.left_of(u1 - gather),
        ):
            patch.lay(cover * inside, colors)
        patch.lay(patch.box((u0, v1 - 0.05, u1, v1)), (0.33, 0.27, 0.23))


@dataclass(frozen=True)
class Door(_Flat):
    """A paneled door with its casing; `rect` is all of it, from the floor up."""

    panels: tuple[Rect, ...]
    leaf: Rgb
    casing: Rgb
    hinge_first: bool

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint casing, leaf, panels and handle."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        patch.lay(patch.box(self.rect), shaded(self.casing, 0.68))
        patch.lay(patch.box((u0 + 0.02, v0, u1 - 0.02, v1 - 0.02)), self.casing)
        trim = 0.10
        patch.lay(patch.box((u0 + trim, v0, u1 - trim, v1 - trim)), shaded(self.leaf, 0.55))
        left, bottom = u0 + trim + 0.015, v0 + 0.015
        right, top = u1 - trim - 0.015, v1 - trim - 0.015
        patch.lay(patch.box((left, bottom, right, top)), self.leaf)
        for a0, b0, a1, b1 in self.panels:
            x0, x1 = (left + a * (right - left) for a in (a0, a1))
            y0, y1 = (bottom + b * (top - bottom) for b in (b0, b1))
            patch.lay(patch.box((x0, y0, x1, y1)), shaded(self.leaf, 0.66))
            lit, field = (x0 + 0.025, y0, x1, y1 - 0.025), (x0 + 0.025, y0 + 0.025)
            patch.lay(patch.box(lit), shaded(self.leaf, 1.12))
            patch.lay(patch.box((*field, x1 - 0.025, y1 - 0.025)), shaded(self.leaf, 0.92))
        u = right - 0.07 if self.hinge_first else left + 0.07
        v = bottom + 0.47 * (top - bottom)
        patch.lay(patch.box((u - 0.025, v - 0.1, u + 0.025, v + 0.08)), (0.50, 0.40, 0.20))
        reach = -0.13 if self.hinge_first else 0.13
        lever = (min(u, u + reach), v + 0.015, max(u, u + reach), v + 0.05)
        patch.lay(patch.box(lever), (0.86, 0.70, 0.36))


@dataclass(frozen=True)
class Picture(_Flat):
    """A framed picture: hills, a sunset at sea, or plain shapes in four colors."""

    motif: Motif
    palette: Sequence[Rgb]
    phase: float
    frame: Rgb

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint frame, mount and picture."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        patch.lay(patch.box(self.rect), self.frame)
        patch.shade(patch.box((u0, v0, u1, v0 + 0.03)), 0.7)
        inner = (u0 + 0.05, v0 + 0.05, u1 - 0.05, v1 - 0.05)
        patch.lay(patch.box(inner), (0.95, 0.93, 0.88))
        art = (u0 + 0.12, v0 + 0.12, u1 - 0.12, v1 - 0.12)
        patch.lay(patch.box(art), self._art(patch, art))

    def _art(self, patch: Patch, rect: Rect) -> Values:
        """What the picture shows, float32 [h, w, 3]."""
        u0, v0, u1, v1 = rect
        width, height = u1 - u0, v1 - v0
        ground, first, second, accent = self.palette
        place = (patch.u - u0) / width
        middle = u0 + width * (0.5 + 0.2 * math.sin(self.phase))
        colors = shaded(ground, np.ones_like(patch.u + patch.v))
        if self.motif == "hills":
            far = 0.48 + 0.14 * np.sin(4 * place + self.phase)
            near = 0.26 + 0.10 * np.sin(5 * place + 3 + self.phase)
            lay(colors, patch.disc(middle, v0 + 0.68 * height, 0.13, 0.13), accent)
            lay(colors, patch.below(v0 + far * height), first)
            lay(colors, patch.below(v0 + near * height), second)
        elif self.motif == "sunset":
            lay(colors, patch.disc(middle, v0 + 0.45 * height, 0.2, 0.2), accent)
            lay(colors, patch.below(v0 + 0.45 * height), first)
            lay(colors, patch.below(v0 + 0.20 * height), second)
        else:
            right_of = 1 - patch.left_of(middle - 0.1)
            lay(colors, patch.left_of(middle), first)
            lay(colors, patch.disc(middle, v0 + 0.5 * height, 0.24, 0.24), accent)
            lay(colors, patch.below(v0 + 0.3 * height) * right_of, second)
        return colors


@dataclass(frozen=True)
class Lamp:
    """A lit lamp in front of the back wall: on the bedside table, or hanging from the ceiling.

    `u` is its position across the room (m), `foot` the height of the table or of the ceiling (m)
    and `middle` that of the center of its shade, around which the glow fades out at `glow` (m).
    """

    plane: Plane
    u: float
    foot: float
    middle: float
    glow: float
    hanging: bool
    body: Rgb
    tint: Rgb

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        low, high = self.middle - self.glow, self.middle + self.glow
        ends = (low, max(high, self.foot)) if self.hanging else (min(low, self.foot), high)
        return self.plane.bounds(camera, (self.u - self.glow, ends[0], self.u + self.glow, ends[1]))

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint glow, body and shade."""
        low, high = sorted((self.foot, self.middle))
        rect = (self.u - self.glow, low - self.glow, self.u + self.glow, high + self.glow)
        patch = Patch(canvas, camera, self.plane, rect)
        across, up = patch.u - self.u, patch.v - self.middle
        radius = (across**2 + up**2) / self.glow**2
        patch.lay(0.7 * unit(1 - radius) ** 1.5, (1.0, 0.86, 0.55))
        if self.hanging:
            cord = (self.u - 0.015, self.middle, self.u + 0.015, self.foot)
            patch.lay(patch.box(cord), (0.2, 0.18, 0.17))
            tall, wide, narrow = 0.16, 0.31, 0.08
        else:
            self._paint_body(patch)
            tall, wide, narrow = 0.18, 0.29, 0.18
        rise = unit((up + tall) / (2 * tall))
        half = wide + (narrow - wide) * (rise**1.6 if self.hanging else rise)
        shade = patch.left_of(self.u + half) - patch.left_of(self.u - half)
        shade = shade * (patch.below(self.middle + tall) - patch.below(self.middle - tall))
        light = 1.14 - 0.35 * (across / half) ** 2 - 0.22 * rise
        patch.lay(shade, shaded(self.tint, light))
        patch.lay(shade * patch.below(self.middle - tall + 0.045), (1.0, 0.95, 0.78))

    def _paint_body(self, patch: Patch) -> None:
        """A rounded vase under the shade, lit from above."""
        low, high = self.foot, self.middle - 0.1
        tall = high - low
        light = 0.8 + 0.35 * (patch.v - low) / tall - 0.8 * np.abs(patch.u - self.u + 0.03)
        body = shaded(self.body, light)
        patch.lay(patch.box((self.u - 0.03, low, self.u + 0.03, high)), body)
        patch.lay(patch.disc(self.u, low + 0.45 * tall, 0.12, 0.42 * tall), body)
        base = (self.u - 0.09, low, self.u + 0.09, low + 0.03)
        patch.lay(patch.box(base), shaded(self.body, 0.7))


@dataclass(frozen=True)
class Table:
    """A bedside table with a drawer, its back to the wall, right of the camera."""

    left: float
    right: float
    top: float
    wall: float
    wood: Rgb

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint side, top, front and drawer."""
        front = self.wall - 0.4
        side = (front, 0.0, self.wall, self.top)
        top = (self.left, front, self.right, self.wall)
        face = (self.left, 0.0, self.right, self.top)
        drawer = (self.left + 0.06, 0.55 * self.top, self.right - 0.06, 0.9 * self.top)
        for plane, rect, light in (
            (Plane("x", self.left), side, 0.66),
            (Plane("y", self.top), top, 1.06),
            (Plane("z", front), face, 0.86),
            (Plane("z", front), drawer, 0.74),
        ):
            fill(canvas, camera, plane, rect, shaded(self.wood, light))
