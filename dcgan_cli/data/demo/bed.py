"""The bed of the synthetic bedrooms: headboard, pillows, bedding, throw and legs."""

from dataclasses import dataclass

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Rgb
from dcgan_cli.data.demo.perspective import Camera, Patch, Plane, Rect, Values, fill, shaded, unit


@dataclass(frozen=True)
class Bed:
    """A made bed with its head to the back wall, `wall` meters away, from `left` to `right`."""

    left: float
    right: float
    wall: float
    length: float
    head: float
    panels: int
    wood: Rgb
    cover: Rgb
    striped: bool
    throw: Rgb | None
    linen: Rgb
    accent: Rgb | None
    phase: float

    TOP = 0.56
    HEM = 0.16
    OVERHANG = 0.05

    @property
    def footprint(self) -> Rect:
        """The part of the floor that it stands on, X and Z (m)."""
        return self.left, self.foot, self.right, self.wall

    @property
    def foot(self) -> float:
        """How far from the camera the bed begins (m)."""
        return self.wall - self.length

    def outline(self, camera: Camera) -> Rect:
        """The box on the screen."""
        front, back = Plane("z", self.foot), Plane("z", self.wall - 0.04)
        left, right = self.left - self.OVERHANG, self.right + self.OVERHANG
        boxes = (
            front.bounds(camera, (left, self.HEM, right, self.TOP)),
            front.bounds(camera, (self.left + 0.05, 0.0, self.right - 0.05, self.TOP)),
            back.bounds(camera, (left, self.TOP, right, self.head)),
        )
        x0, y0, x1, y1 = zip(*boxes, strict=True)
        return min(x0), min(y0), max(x1), max(y1)

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint headboard, mattress, pillows, duvet, throw and legs, back to front."""
        self._headboard(canvas, camera)
        self._base(canvas, camera)
        self._side(canvas, camera)
        self._top(canvas, camera)
        self._pillows(canvas, camera)
        self._front(canvas, camera)

    def _headboard(self, canvas: Canvas, camera: Camera) -> None:
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

    def _base(self, canvas: Canvas, camera: Camera) -> None:
        for u in (self.left + 0.05, self.right - 0.13):
            leg = (u, 0.0, u + 0.08, 0.3)
            fill(canvas, camera, Plane("z", self.foot), leg, shaded(self.wood, 0.55))

    def _side(self, canvas: Canvas, camera: Camera) -> None:
        if self.left - self.OVERHANG <= 0 <= self.right + self.OVERHANG:
            return
        at = self.left - self.OVERHANG if self.left > 0 else self.right + self.OVERHANG
        rect = (self.foot, self.HEM, self.wall - 0.3, self.TOP)
        patch = Patch(canvas, camera, Plane("x", at), rect)
        light = 0.62 + 0.25 * (patch.v - self.HEM) / (self.TOP - self.HEM)
        light = light + 0.05 * np.sin(14 * patch.u + self.phase)
        patch.lay(patch.box(rect), shaded(self.cover, light))

    def _puff(self, patch: Patch) -> Values:
        """Light on the duvet: slow waves that follow each other from the top over the foot."""
        u = (patch.u - self.left) / (self.right - self.left)
        wave = np.sin(5.0 * u + self.phase) + 0.7 * np.sin(9.5 * u + 2.3 * self.phase)
        return 0.035 * wave

    def _pattern(self, patch: Patch) -> float | Values:
        """What the print of the duvet does to its color: broad stripes along the bed, or nothing."""
        if not self.striped:
            return 1.0
        stripe = 2 * np.pi * 5 * (patch.u - self.left) / (self.right - self.left)
        # As soft as the pixels are coarse, so that far stripes do not alias.
        sharp = np.minimum(0.15 * patch.su * patch.size, 2)
        return 1 - 0.16 * unit(0.5 + sharp * np.cos(stripe))

    def _top(self, canvas: Canvas, camera: Camera) -> None:
        over = self.OVERHANG
        rect = (self.left - over, self.foot, self.right + over, self.wall - 0.08)
        patch = Patch(canvas, camera, Plane("y", self.TOP), rect)
        cover = patch.box(rect)
        edge = np.minimum(patch.u - rect[0], rect[2] - patch.u)
        along = (patch.v - self.foot) / self.length
        light = 1.02 - 0.14 * along - 0.2 * np.exp(-np.maximum(edge, 0) / 0.07)
        light = light + self._puff(patch) * np.cos(2.2 * along + 0.4 * np.sin(4 * patch.u))
        light = light + 0.03 * np.sin(6 * patch.v + 3 * patch.u + self.phase)
        patch.lay(cover, shaded(self.cover, light * self._pattern(patch)))
        grid = self.wall - 0.66
        patch.shade(cover * (1 - patch.below(grid - 0.3, 0.05)), 0.9)
        patch.lay(cover * (1 - patch.below(grid - 0.24)), shaded(self.linen, light))
        patch.shade(cover * (1 - patch.below(grid + 0.1, 0.3)), 0.82)
        if self.throw:
            band = cover * (patch.below(self.foot + 0.52) - patch.below(self.foot + 0.1))
            patch.shade(cover * patch.below(self.foot + 0.57, 0.08), 0.88)
            patch.lay(band, shaded(self.throw, light + 0.03))

    def _pillows(self, canvas: Canvas, camera: Camera) -> None:
        middle, width = (self.left + self.right) / 2, self.right - self.left
        low = self.TOP - 0.05
        pillows = [
            (self.wall - 0.18, middle - 0.245 * width, 0.46 * width, 0.40, self.linen),
            (self.wall - 0.18, middle + 0.245 * width, 0.46 * width, 0.40, self.linen),
        ]
        if self.accent:
            pillows.append((self.wall - 0.36, middle, 0.34 * width, 0.30, self.accent))
        for z, u, wide, tall, color in pillows:
            rect = (u - wide / 2, low, u + wide / 2, low + tall)
            patch = Patch(canvas, camera, Plane("z", z), rect)
            p, q = 2 * (patch.u - u) / wide, 2 * (patch.v - low) / tall - 1
            pinch = 0.035 * (1 - p**2)
            cover = patch.cushion(rect, 0.11) * patch.below(low + tall - 0.04 + pinch)
            light = 1.0 + 0.08 * q - 0.16 * p**4 - 0.2 * unit(-q) ** 2
            patch.lay(cover, shaded(color, light))

    def _front(self, canvas: Canvas, camera: Camera) -> None:
        over = self.OVERHANG
        rect = (self.left - over, self.HEM, self.right + over, self.TOP)
        patch = Patch(canvas, camera, Plane("z", self.foot), rect)
        u = (patch.u - self.left) / (self.right - self.left)
        drop = unit((self.TOP - patch.v) / (self.TOP - self.HEM))
        folds = np.sin(13 * u + self.phase) + 0.6 * np.sin(23 * u + 1.7 * self.phase)
        edge = np.minimum(patch.u - rect[0], rect[2] - patch.u)
        light = 0.8 + 0.22 * np.exp(-drop / 0.12) - 0.16 * drop + 0.055 * folds * np.sqrt(drop)
        light = light - 0.16 * np.exp(-np.maximum(edge, 0) / 0.06) + self._puff(patch) * (1 - drop)
        hem = self.HEM + 0.012 * (1 + np.sin(13 * u + self.phase + 1))
        cover = (patch.left_of(rect[2]) - patch.left_of(rect[0])) * (1 - patch.below(hem))
        cover = cover * patch.below(self.TOP)
        patch.lay(cover, shaded(self.cover, light * self._pattern(patch)))
