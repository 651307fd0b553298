"""The empty room around the furniture: walls, ceiling, floor, rug and the light on them."""

from dataclasses import dataclass

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
    shaded,
    unit,
)

PLASTER: Rgb = (0.95, 0.94, 0.92)
SKIRTING: Rgb = (0.94, 0.92, 0.89)

# The foreshortening of a plane, in screen widths per meter, at which nothing is seen any more.
_NEAREST = 1.2

# Side walls face the light less than the back wall.
_TURNED = 0.92


@dataclass(frozen=True)
class Floor:
    """Boards along Z that are `board` meters wide, or a carpet where `board` is None."""

    color: Rgb
    board: float | None
    phase: float

    def paint(self, patch: Patch, cover: Values) -> None:
        """Paint the floor where `cover` says that it is seen."""
        if self.board is None:
            patch.lay(cover, self.color)
            return
        place = patch.u / self.board + self.phase
        tone = 1 + 0.06 * np.sin(np.floor(place) * 2.4)
        from_gap = np.abs(place - np.round(place)) * self.board
        gap = unit(0.5 - (from_gap - 0.01) * patch.su * patch.size)
        patch.lay(cover, shaded(self.color, tone * (1 - 0.22 * gap)))


@dataclass(frozen=True)
class Rug:
    """A bordered rug; `rect` is its place on the floor, X and Z."""

    rect: Rect
    color: Rgb

    def paint(self, canvas: Canvas, camera: Camera) -> None:
        """Paint the rug and the shadow that it casts."""
        x0, z0, x1, z1 = self.rect
        patch = Patch(canvas, camera, Plane("y", 0.0), self.rect, margin=0.04)
        patch.shade(patch.box((x0 - 0.03, z0 - 0.05, x1 + 0.03, z1), 0.08), 0.8)
        patch.lay(patch.box(self.rect), self.color)
        stripe = patch.box((x0 + 0.1, z0 + 0.1, x1 - 0.1, z1 - 0.1))
        stripe = stripe - patch.box((x0 + 0.16, z0 + 0.16, x1 - 0.16, z1 - 0.16))
        patch.lay(0.5 * stripe, (0.97, 0.95, 0.9))


@dataclass(frozen=True)
class Light:
    """A soft light in the room: where it hangs (meters) and its color."""

    x: float
    y: float
    z: float
    tint: Rgb

    def on(self, x: Values, y: Values, z: Values) -> Values:
        """The light on points of the room (meters), about 1 at its brightest."""
        away = (x - self.x) ** 2 + (y - self.y) ** 2 + (z - self.z) ** 2
        return 0.70 + 0.37 / (1 + away / 8)


@dataclass(frozen=True)
class Shell:
    """The surfaces of a room: X from `left` to `right`, Z up to `depth`, Y up to `height` (m).

    `accent` is the color of the back wall; `paneling` that of the lower part of the walls, if any.
    """

    left: float
    right: float
    height: float
    depth: float
    wall: Rgb
    accent: Rgb
    paneling: Rgb | None
    floor: Floor
    rug: Rug | None

    def paint(self, canvas: Canvas, camera: Camera, shadow: Rect) -> Values:
        """Paint the room without light; a place on each pixel's wall is returned, [3, size, size].

        `shadow` is the part of the floor, X and Z, that lies under furniture. The places are X, Y
        and Z in meters.
        """
        dx, dy = canvas.x[:1] - np.float32(camera.x), canvas.y[:, :1] - np.float32(camera.y)
        # Of the planes that a ray crosses the nearest, the one with the largest scale (screen
        # widths per meter), is the one that is seen.
        back = np.float32(camera.focal / self.depth)
        side = np.maximum(dx / np.float32(self.left), dx / np.float32(self.right))
        level = np.maximum(dy / np.float32(camera.eye), dy / np.float32(camera.eye - self.height))
        sharp = np.float32(canvas.size / np.hypot(1 / camera.eye, 1 / min(-self.left, self.right)))
        on_side = unit(0.5 + (side - np.maximum(back, level)) * sharp)
        on_level = unit(0.5 + (level - np.maximum(back, side)) * sharp)

        canvas.pixels[:] = self.accent
        lay(canvas.pixels, on_side, shaded(self.wall, _TURNED))
        lay(canvas.pixels, on_level * (dy < 0), PLASTER)
        if self.paneling:
            self._paint_band(canvas, camera, 0.0, 0.90, self.paneling)
            self._paint_band(canvas, camera, 0.86, 0.92, SKIRTING)
        self._paint_band(canvas, camera, self.height - 0.08, self.height, PLASTER)
        self._paint_band(canvas, camera, 0.0, 0.13, SKIRTING)

        floor = Plane("y", 0.0)
        near = camera.focal / _NEAREST
        patch = Patch(canvas, camera, floor, (self.left, near, self.right, self.depth))
        self.floor.paint(patch, on_level[-len(patch.pixels) :])
        if self.rug:
            self.rug.paint(canvas, camera)
        patch = Patch(canvas, camera, floor, shadow, margin=0.2)
        patch.shade(patch.box(shadow, 0.3), 0.5)

        scale = np.maximum(np.maximum(side, level), back)
        return np.stack((dx / scale, camera.eye - dy / scale, camera.focal / scale))

    def _paint_band(
        self, canvas: Canvas, camera: Camera, low: float, high: float, color: Rgb
    ) -> None:
        """Run a band of `color` around the three walls between two heights."""
        near = camera.focal / _NEAREST
        for plane, start, end, light in (
            (Plane("z", self.depth), self.left, self.right, 1.0),
            (Plane("x", self.left), near, self.depth, _TURNED),
            (Plane("x", self.right), near, self.depth, _TURNED),
        ):
            fill(canvas, camera, plane, (start, low, end, high), shaded(color, light))

    def corners(self, place: Values) -> Values:
        """How far into a corner of the room places on its walls [3, h, w] are: 1 where walls meet."""
        x, y, z = place
        reach = np.float32(0.16)
        # A place lies on one wall, at distance 0, which alone makes 1.
        near = np.full_like(x, -1)
        for gap in (x - self.left, self.right - x, y, self.height - y, self.depth - z):
            near += 1 / (1 + (gap / reach) ** 2)
        return near
