"""What stands and hangs in the drawn bedrooms: bed, window, door, picture and lamp.

Each piece knows its place in metres and its look, `outline`s the box that it covers on the screen,
and paints itself on a canvas without touching a pixel outside that box.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.demo.canvas import Canvas, Field
from dcgan_cli.data.demo.perspective import Camera, Patch, Plane, Rect

Paint = tuple[float, float, float]
"""RGB in [0, 1]."""


def shaded(colour: Paint, factor: float | Field) -> NDArray[np.float32]:
    """`colour` made lighter or darker: float32 [3], or [h, w, 3] for a field of factors."""
    return np.asarray(factor, np.float32)[..., None] * np.asarray(colour, np.float32)


def mixed(one: Paint, other: Paint, share: Field) -> NDArray[np.float32]:
    """`one` where `share` is 0, `other` where it is 1: float32 [h, w, 3]."""
    low, high = np.asarray(one, np.float32), np.asarray(other, np.float32)
    return low + np.clip(share, 0, 1)[..., None] * (high - low)


def union(*boxes: Rect) -> Rect:
    """The smallest box around several."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def cuboid(
    canvas: Canvas,
    camera: Camera,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    colour: Paint,
) -> None:
    """A box between two corners: the sides that the camera sees, the top the brightest."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    if x0 > 0 or x1 < 0:
        rect = (z0, y0, z1, y1)
        patch = Patch(canvas, camera, Plane("x", x0 if x0 > 0 else x1), rect)
        patch.lay(patch.box(rect), shaded(colour, 0.72))
    rect = (x0, z0, x1, z1)
    patch = Patch(canvas, camera, Plane("y", y1), rect)
    patch.lay(patch.box(rect), shaded(colour, 1.08))
    rect = (x0, y0, x1, y1)
    patch = Patch(canvas, camera, Plane("z", z0), rect)
    patch.lay(patch.box(rect), shaded(colour, 0.72 + 0.2 * (patch.v - y0) / (y1 - y0)))


@dataclass(frozen=True)
class Window:
    """A window with a view, curtained or not; `rect` is all of it, curtains and rod included."""

    plane: Plane
    rect: Rect
    columns: int
    rows: int
    sky: tuple[Paint, Paint]
    hills: tuple[Paint, Paint]
    phase: float
    frame: Paint
    curtain: Paint | None

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        return self.plane.bounds(camera, self.rect)

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint frame, view, bars, sill and curtains."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        if self.curtain:
            u0, v0, u1, v1 = u0 + 0.1, v0 + 0.12, u1 - 0.1, v1 - 0.1
        patch.lay(patch.box((u0, v0 + 0.04, u1, v1)), self.frame)
        bar = 0.07
        glass = (u0 + bar, v0 + 0.06 + bar, u1 - bar, v1 - bar)
        patch.lay(patch.box(glass), self.view(patch, glass))
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
            self.drape(patch, self.curtain)

    def view(self, patch: Patch, glass: Rect) -> NDArray[np.float32]:
        """Sky over two ridges of hills, float32 [h, w, 3]."""
        left, bottom, right, top = glass
        height = (patch.v - bottom) / (top - bottom)
        place = 2 * np.pi * (patch.u - left) / (right - left)
        colours = mixed(self.sky[0], self.sky[1], height * 1.1 - 0.2)
        colours = colours + np.zeros_like(place)[..., None]
        ridges = (
            0.40 + 0.09 * np.sin(0.8 * place + self.phase),
            0.24 + 0.07 * np.sin(1.1 * place + 2.1 + 2 * self.phase),
        )
        for ridge, colour in zip(ridges, self.hills, strict=True):
            cover = patch.below(bottom + ridge * (top - bottom))[..., None]
            colours = colours + cover * (np.asarray(colour, np.float32) - colours)
        return colours

    def drape(self, patch: Patch, colour: Paint) -> None:
        """Two gathered curtains under a rod."""
        u0, v0, u1, v1 = self.rect
        width = 0.27 * (u1 - u0)
        fall = np.clip((patch.v - v0) / (v1 - v0), 0, 1)
        folds = 0.5 + 0.5 * np.sin(2 * np.pi * (patch.u - u0) / (width / 2.5) + self.phase)
        colours = shaded(colour, (0.74 + 0.26 * folds) * (0.9 + 0.14 * fall))
        gather = width * (0.78 + 0.22 * np.cos(2 * np.pi * (fall - 0.05)))
        inside = patch.below(v1 - 0.05) - patch.below(v0)
        for cover in (
            patch.left_of(u0 + gather) - patch.left_of(u0 + 0.01),
            patch.left_of(u1 - 0.01) - patch.left_of(u1 - gather),
        ):
            patch.lay(cover * inside, colours)
        patch.lay(patch.box((u0, v1 - 0.05, u1, v1)), (0.33, 0.27, 0.23))


@dataclass(frozen=True)
class Door:
    """A panelled door with its casing; `rect` is all of it, from the floor up."""

    plane: Plane
    rect: Rect
    panels: tuple[tuple[float, float, float, float], ...]
    leaf: Paint
    casing: Paint
    hinge_first: bool

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        return self.plane.bounds(camera, self.rect)

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint casing, leaf, panels and handle."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        patch.lay(patch.box(self.rect), self.casing)
        trim = 0.09
        patch.lay(patch.box((u0 + trim, v0, u1 - trim, v1 - trim)), shaded(self.leaf, 0.55))
        left, bottom, right, top = (
            u0 + trim + 0.015,
            v0 + 0.015,
            u1 - trim - 0.015,
            v1 - trim - 0.015,
        )
        patch.lay(patch.box((left, bottom, right, top)), self.leaf)
        for a0, b0, a1, b1 in self.panels:
            box = (
                left + a0 * (right - left),
                bottom + b0 * (top - bottom),
                left + a1 * (right - left),
                bottom + b1 * (top - bottom),
            )
            patch.lay(patch.box(box), shaded(self.leaf, 0.66))
            rim = 0.025
            lit = (box[0] + rim, box[1], box[2], box[3] - rim)
            patch.lay(patch.box(lit), shaded(self.leaf, 1.12))
            field = (box[0] + rim, box[1] + rim, box[2] - rim, box[3] - rim)
            patch.lay(patch.box(field), shaded(self.leaf, 0.92))
        u = right - 0.07 if self.hinge_first else left + 0.07
        v = bottom + 0.47 * (top - bottom)
        patch.lay(patch.box((u - 0.025, v - 0.1, u + 0.025, v + 0.08)), (0.50, 0.40, 0.20))
        reach = -0.13 if self.hinge_first else 0.13
        lever = (min(u, u + reach), v + 0.015, max(u, u + reach), v + 0.05)
        patch.lay(patch.box(lever), (0.86, 0.70, 0.36))


@dataclass(frozen=True)
class Picture:
    """A framed picture on the back wall: a landscape, a sea, or an abstraction."""

    plane: Plane
    rect: Rect
    motif: int
    palette: tuple[Paint, Paint, Paint, Paint]
    phase: float
    frame: Paint

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        return self.plane.bounds(camera, self.rect)

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint frame, mount and picture."""
        patch = Patch(canvas, camera, self.plane, self.rect)
        u0, v0, u1, v1 = self.rect
        patch.lay(patch.box(self.rect), self.frame)
        patch.shade(patch.box((u0, v0, u1, v0 + 0.03)), 0.7)
        inner = (u0 + 0.05, v0 + 0.05, u1 - 0.05, v1 - 0.05)
        patch.lay(patch.box(inner), (0.95, 0.93, 0.88))
        art = (u0 + 0.12, v0 + 0.12, u1 - 0.12, v1 - 0.12)
        patch.lay(patch.box(art), self.art(patch, art))

    def art(self, patch: Patch, rect: Rect) -> NDArray[np.float32]:
        """What the picture shows, float32 [h, w, 3]."""
        u0, v0, u1, v1 = rect
        width, height = u1 - u0, v1 - v0
        ground, first, second, accent = self.palette
        place = (patch.u - u0) / width
        colours = np.empty((*np.broadcast_shapes(patch.u.shape, patch.v.shape), 3), np.float32)
        colours[:] = ground

        def over(cover: Field, colour: Paint) -> None:
            colours[:] += cover[..., None] * (np.asarray(colour, np.float32) - colours)

        u = u0 + width * (0.3 + 0.4 * (0.5 + 0.5 * np.sin(self.phase)))
        if self.motif == 0:
            over(patch.disc(u, v0 + 0.68 * height, 0.11, 0.11), accent)
            over(patch.below(v0 + height * (0.48 + 0.14 * np.sin(4 * place + self.phase))), first)
            over(
                patch.below(v0 + height * (0.26 + 0.1 * np.sin(5 * place + 3 + self.phase))), second
            )
        elif self.motif == 1:
            over(patch.disc(u, v0 + 0.45 * height, 0.17, 0.17), accent)
            over(patch.below(v0 + 0.45 * height), first)
            over(patch.below(v0 + 0.2 * height), second)
        else:
            over(patch.left_of(u), first)
            over(patch.disc(u, v0 + 0.5 * height, 0.2, 0.2), accent)
            over(patch.below(v0 + 0.3 * height) * (1 - patch.left_of(u - 0.1)), second)
        return colours


@dataclass(frozen=True)
class Lamp:
    """A lit lamp before the back wall: on the bedside table, or hanging from the ceiling.

    `u` is its place across the room (m), `foot` the height of the table or of the ceiling (m) and
    `middle` that of the middle of its shade, around which the glow fades out at `glow` (m).
    """

    plane: Plane
    u: float
    foot: float
    middle: float
    glow: float
    hanging: bool
    body: Paint
    tint: Paint

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
        patch.lay(0.6 * np.clip(1 - radius, 0, 1) ** 1.5, (1.0, 0.86, 0.55))
        if self.hanging:
            patch.lay(
                patch.box((self.u - 0.015, self.middle, self.u + 0.015, self.foot)),
                (0.2, 0.18, 0.17),
            )
            tall, wide, narrow = 0.13, 0.25, 0.07
        else:
            self.paint_body(patch)
            tall, wide, narrow = 0.15, 0.24, 0.15
        rise = np.clip((up + tall) / (2 * tall), 0, 1)
        half = wide + (narrow - wide) * (rise**1.6 if self.hanging else rise)
        shade = patch.left_of(self.u + half) - patch.left_of(self.u - half)
        shade = shade * (patch.below(self.middle + tall) - patch.below(self.middle - tall))
        light = np.clip(1.12 - 0.35 * (across / half) ** 2 - 0.22 * rise, 0, 1.2)
        patch.lay(shade, np.minimum(shaded(self.tint, light), 1))
        patch.lay(shade * patch.below(self.middle - tall + 0.045), (1.0, 0.95, 0.78))

    def paint_body(self, patch: Patch) -> None:
        """A rounded vase under the shade, lit from above."""
        low, high = self.foot, self.middle - 0.1
        tall = high - low
        light = 0.8 + 0.35 * (patch.v - low) / tall - 0.8 * np.abs(patch.u - self.u + 0.03)
        body = shaded(self.body, light)
        patch.lay(patch.box((self.u - 0.03, low, self.u + 0.03, high)), body)
        patch.lay(patch.disc(self.u, low + 0.45 * tall, 0.12, 0.42 * tall), body)
        patch.lay(
            patch.box((self.u - 0.09, low, self.u + 0.09, low + 0.03)), shaded(self.body, 0.7)
        )


@dataclass(frozen=True)
class Bed:
    """A made bed with its head to the back wall, `wall` metres away, from `left` to `right`."""

    left: float
    right: float
    wall: float
    length: float
    head: float
    panels: int
    wood: Paint
    cover: Paint
    throw: Paint | None
    linen: Paint
    accent: Paint | None
    phase: float

    TOP = 0.56
    HEM = 0.16
    OVERHANG = 0.05

    @property
    def foot(self) -> float:
        """How far from the camera the bed begins (m)."""
        return self.wall - self.length

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        front, back = Plane("z", self.foot), Plane("z", self.wall - 0.04)
        over = self.OVERHANG
        return union(
            front.bounds(camera, (self.left - over, self.HEM, self.right + over, self.TOP)),
            front.bounds(camera, (self.left + 0.05, 0.0, self.right - 0.05, self.TOP)),
            back.bounds(camera, (self.left - over, self.TOP, self.right + over, self.head)),
        )

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint headboard, mattress, pillows, duvet, throw and legs, back to front."""
        self.paint_headboard(canvas, camera)
        self.paint_base(canvas, camera)
        self.paint_side(canvas, camera)
        self.paint_top(canvas, camera)
        self.paint_pillows(canvas, camera)
        self.paint_front(canvas, camera)

    def paint_headboard(self, canvas: Canvas, camera: Camera) -> None:
        over = self.OVERHANG
        rect = (self.left - over, 0.1, self.right + over, self.head)
        patch = Patch(canvas, camera, Plane("z", self.wall - 0.04), rect)
        place = (patch.u - rect[0]) / (rect[2] - rect[0]) * self.panels
        groove = np.abs(2 * (place - np.floor(place)) - 1)
        light = 0.78 + 0.24 * (patch.v - 0.4) / (self.head - 0.4)
        light = light * (1 - 0.22 * groove**4)
        patch.lay(patch.cushion(rect, 0.07), shaded(self.wood, light))
        rim = patch.cushion(rect, 0.07) * (1 - patch.below(self.head - 0.05))
        patch.shade(rim, 1.14)

    def paint_base(self, canvas: Canvas, camera: Camera) -> None:
        for u in (self.left + 0.05, self.right - 0.13):
            rect = (u, 0.0, u + 0.08, 0.3)
            patch = Patch(canvas, camera, Plane("z", self.foot), rect)
            patch.lay(patch.box(rect), shaded(self.wood, 0.55))

    def paint_side(self, canvas: Canvas, camera: Camera) -> None:
        if self.left - self.OVERHANG <= 0 <= self.right + self.OVERHANG:
            return
        at = self.left - self.OVERHANG if self.left > 0 else self.right + self.OVERHANG
        rect = (self.foot, self.HEM, self.wall - 0.3, self.TOP)
        patch = Patch(canvas, camera, Plane("x", at), rect)
        light = 0.62 + 0.25 * (patch.v - self.HEM) / (self.TOP - self.HEM)
        light = light + 0.05 * np.sin(14 * patch.u + self.phase)
        patch.lay(patch.box(rect), shaded(self.cover, light))

    def puff(self, patch: Patch) -> Field:
        """Light on the duvet: slow waves that follow each other from the top over the foot."""
        u = (patch.u - self.left) / (self.right - self.left)
        wave = np.sin(5.0 * u + self.phase) + 0.7 * np.sin(9.5 * u + 2.3 * self.phase)
        return 0.035 * wave

    def paint_top(self, canvas: Canvas, camera: Camera) -> None:
        over = self.OVERHANG
        rect = (self.left - over, self.foot, self.right + over, self.wall - 0.08)
        patch = Patch(canvas, camera, Plane("y", self.TOP), rect)
        cover = patch.box(rect)
        edge = np.minimum(patch.u - rect[0], rect[2] - patch.u)
        along = (patch.v - self.foot) / self.length
        light = 1.02 - 0.14 * along - 0.2 * np.exp(-np.maximum(edge, 0) / 0.07)
        light = light + self.puff(patch) * np.cos(2.2 * along + 0.4 * np.sin(4 * patch.u))
        light = light + 0.03 * np.sin(6 * patch.v + 3 * patch.u + self.phase)
        patch.lay(cover, shaded(self.cover, light))
        sheet = self.wall - 0.66
        patch.shade(cover * (1 - patch.below(sheet - 0.3, 0.05)), 0.9)
        patch.lay(cover * (1 - patch.below(sheet - 0.24)), shaded(self.linen, light))
        patch.shade(cover * (1 - patch.below(sheet + 0.1, 0.3)), 0.82)
        if self.throw:
            band = patch.below(self.foot + 0.62)
            patch.lay(cover * band, shaded(self.throw, light))
            patch.shade(cover * (patch.below(self.foot + 0.66) - band), 0.82)

    def paint_pillows(self, canvas: Canvas, camera: Camera) -> None:
        middle, width = (self.left + self.right) / 2, self.right - self.left
        low = self.TOP - 0.05
        pillows = [
            (self.wall - 0.18, middle - 0.245 * width, 0.46 * width, 0.40, self.linen),
            (self.wall - 0.18, middle + 0.245 * width, 0.46 * width, 0.40, self.linen),
        ]
        if self.accent:
            pillows.append((self.wall - 0.36, middle, 0.34 * width, 0.30, self.accent))
        for z, u, wide, tall, colour in pillows:
            rect = (u - wide / 2, low, u + wide / 2, low + tall)
            patch = Patch(canvas, camera, Plane("z", z), rect)
            p, q = 2 * (patch.u - u) / wide, 2 * (patch.v - low) / tall - 1
            pinch = 0.035 * (1 - p**2)
            cover = patch.cushion(rect, 0.11) * patch.below(low + tall - 0.04 + pinch)
            light = 1.0 + 0.08 * q - 0.16 * p**4 - 0.2 * np.clip(-q, 0, 1) ** 2
            patch.lay(cover, shaded(colour, light))

    def paint_front(self, canvas: Canvas, camera: Camera) -> None:
        over = self.OVERHANG
        rect = (self.left - over, self.HEM, self.right + over, self.TOP)
        patch = Patch(canvas, camera, Plane("z", self.foot), rect)
        u = (patch.u - self.left) / (self.right - self.left)
        drop = np.clip((self.TOP - patch.v) / (self.TOP - self.HEM), 0, 1)
        folds = np.sin(13 * u + self.phase) + 0.6 * np.sin(23 * u + 1.7 * self.phase)
        edge = np.minimum(patch.u - rect[0], rect[2] - patch.u)
        light = 0.8 + 0.22 * np.exp(-drop / 0.12) - 0.16 * drop + 0.055 * folds * np.sqrt(drop)
        light = light - 0.16 * np.exp(-np.maximum(edge, 0) / 0.06) + self.puff(patch) * (1 - drop)
        hem = self.HEM + 0.012 * (1 + np.sin(13 * u + self.phase + 1))
        cover = (patch.left_of(rect[2]) - patch.left_of(rect[0])) * (1 - patch.below(hem))
        cover = cover * patch.below(self.TOP)
        patch.lay(cover, shaded(self.throw or self.cover, light))
