"""One-point perspective: a camera, the planes of a room, and patches of a canvas measured in meters.

A room has X to the right, Y upwards from the floor and Z away from the camera. Every plane here is
parallel to two of these axes, so it has a closed-form inverse projection: each pixel of a patch
knows its place (u, v) on the plane and how many screen widths a meter is there, and edges stay one
pixel soft at any depth.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.demo.canvas import Canvas, Rgb

Values = NDArray[np.floating[Any]]
"""A number a pixel of a patch: [h, w], or [1, w] or [h, 1] where it is the same along an axis."""

Rect = tuple[float, float, float, float]
"""u0, v0, u1, v1 on a plane, in meters; on the screen x0, y0, x1, y1, in fractions."""


@dataclass(frozen=True)
class Camera:
    """A pinhole at height `eye` (m), looking along Z; (`x`, `y`) is the vanishing point.

    `focal` is the size on the screen, as a fraction of its width, of one meter at one meter.
    """

    x: float
    y: float
    focal: float
    eye: float

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Where on the screen the point (x, y, z) is seen, in fractions of the picture."""
        scale = self.focal / z
        return self.x + x * scale, self.y + (self.eye - y) * scale


@dataclass(frozen=True)
class Plane:
    """A plane across one axis of the room, `at` meters along it.

    Across "z" (a back wall) u, v are X, Y; across "x" (a side wall) Z, Y; across "y" (a floor)
    X, Z.
    """

    across: Literal["x", "y", "z"]
    at: float

    def project(self, camera: Camera, u: float, v: float) -> tuple[float, float]:
        """Where on the screen the point (u, v) of the plane is seen."""
        places = {"x": (self.at, v, u), "y": (u, self.at, v), "z": (u, v, self.at)}
        return camera.project(*places[self.across])

    def bounds(self, camera: Camera, rect: Rect) -> Rect:
        """The box on the screen around a rectangle of the plane, not clipped to the picture."""
        u0, v0, u1, v1 = rect
        corners = [self.project(camera, u, v) for u in (u0, u1) for v in (v0, v1)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def locate(self, camera: Camera, x: Values, y: Values) -> tuple[Values, Values, Values, Values]:
        """(u, v) of the pixels at x [1, w], y [h, 1], and the screen widths per meter of each.

        The four broadcast to [h, w]; lines of constant u or v are measured across, so that
        (u - u0) * scale is the distance on the screen to the line u = u0.
        """
        dx, dy = x - np.float32(camera.x), y - np.float32(camera.y)
        focal, eye, at = (np.float32(number) for number in (camera.focal, camera.eye, self.at))
        match self.across:
            case "z":
                scale = np.full((1, 1), focal / at, np.float32)
                return dx / scale, eye - dy / scale, scale, scale
            case "x":
                scale = dx / at
                slope = dy / dx
                across = np.abs(at) * scale**2 / focal
                return focal / scale, eye - dy / scale, across, scale / np.sqrt(1 + slope**2)
            case "y":
                scale = dy / (eye - at)
                slope = dx / dy
                across = np.abs(eye - at) * scale**2 / focal
                return dx / scale, focal / scale, scale / np.sqrt(1 + slope**2), across


def unit(values: Values) -> Values:
    """Values held within [0, 1]; on patches of a few pixels much faster than `np.clip`."""
    return np.minimum(np.maximum(values, 0), 1)


def shaded(color: Rgb | Values, factor: float | Values) -> Values:
    """`color` made lighter or darker: [3], or [h, w, 3] for a factor a pixel."""
    # Planes of color, as in a canvas: numpy runs along rows, not over three channels.
    planes = np.multiply.outer(np.asarray(color, np.float32), factor)
    return planes.transpose(*range(1, planes.ndim), 0)


def mixed(one: Rgb, other: Rgb, share: Values) -> Values:
    """`one` where `share` is 0 or less, `other` where it is 1 or more: [h, w, 3]."""
    low, high = np.asarray(one, np.float32), np.asarray(other, np.float32)
    return low + shaded(high - low, unit(share))


def lay(pixels: Values, coverage: Values, color: Rgb | Values) -> None:
    """Lay `color` over pixels [h, w, 3], in place, as opaque as `coverage` [h, w] says."""
    pixels += coverage[..., None] * (np.asarray(color, np.float32) - pixels)


class Patch:
    """The part of a canvas around a rectangle of a plane; painting it paints the canvas.

    `u`, `v` are the place of each pixel on the plane in meters and `su`, `sv` the screen widths
    per meter; the four broadcast to the shape of the patch. Painting is confined to the patch,
    which reaches `margin` (screen widths) beyond the rectangle.
    """

    def __init__(
        self, canvas: Canvas, camera: Camera, plane: Plane, rect: Rect, margin: float = 0.0
    ) -> None:
        x0, y0, x1, y1 = plane.bounds(camera, rect)
        columns = self._span(x0, x1, canvas.size, margin)
        rows = self._span(y0, y1, canvas.size, margin)
        self.size = canvas.size
        self.pixels = canvas.pixels[rows, columns]
        self.u, self.v, self.su, self.sv = plane.locate(
            camera, canvas.x[:1, columns], canvas.y[rows, :1]
        )

    @staticmethod
    def _span(low: float, high: float, size: int, margin: float) -> slice:
        pad = margin * size + 1
        start, stop = math.floor(low * size - pad), math.ceil(high * size + pad)
        return slice(min(max(start, 0), size), min(max(stop, 0), size))

    def left_of(self, edge: float | Values, soft: float = 0.0) -> Values:
        """How much of each pixel has u below `edge` (m), over `soft` (m) or one pixel."""
        return _below(self.u, edge, self.su, self.size, soft)

    def below(self, edge: float | Values, soft: float = 0.0) -> Values:
        """How much of each pixel has v below `edge` (m), over `soft` (m) or one pixel."""
        return _below(self.v, edge, self.sv, self.size, soft)

    def box(self, rect: Rect, soft: float = 0.0) -> Values:
        """Coverage of a rectangle, exact also where it is thinner than a pixel."""
        u0, v0, u1, v1 = rect
        across = self.left_of(u1, soft) - self.left_of(u0, soft)
        return across * (self.below(v1, soft) - self.below(v0, soft))

    def disc(self, u: float, v: float, ru: float, rv: float) -> Values:
        """Coverage of an ellipse with radii `ru`, `rv` (m)."""
        p, q = (self.u - u) / ru, (self.v - v) / rv
        radius = np.sqrt(p**2 + q**2)
        steep = np.hypot(p / (ru * self.su), q / (rv * self.sv)) / (radius + 1e-6)
        return unit(0.5 - (radius - 1) / (steep + 1e-6) * self.size)

    def cushion(self, rect: Rect, radius: float) -> Values:
        """Coverage of a rectangle whose corners are rounded by `radius` (m)."""
        u0, v0, u1, v1 = rect
        p = np.abs(self.u - (u0 + u1) / 2) - (u1 - u0) / 2 + radius
        q = np.abs(self.v - (v0 + v1) / 2) - (v1 - v0) / 2 + radius
        p, q = p * self.su, q * self.sv
        corner = radius * np.minimum(self.su, self.sv)
        outside = np.hypot(np.maximum(p, 0), np.maximum(q, 0))
        distance = outside + np.minimum(np.maximum(p, q), 0) - corner
        return unit(0.5 - distance * self.size)

    def lay(self, coverage: Values, color: Rgb | Values) -> None:
        """Lay `color` (one, or one a pixel) over the patch, as opaque as `coverage` says."""
        lay(self.pixels, coverage, color)

    def shade(self, coverage: Values, factor: float) -> None:
        """Multiply what is there by `factor` where `coverage` is 1, and by 1 where it is 0."""
        self.pixels *= (1 + coverage * (factor - 1))[..., None]


def fill(canvas: Canvas, camera: Camera, plane: Plane, rect: Rect, color: Rgb | Values) -> None:
    """Paint a rectangle of a plane in one color, or one a pixel."""
    patch = Patch(canvas, camera, plane, rect)
    patch.lay(patch.box(rect), color)


def _below(place: Values, edge: float | Values, scale: Values, size: int, soft: float) -> Values:
    sharp = scale * size if soft == 0 else np.minimum(scale * size, 1 / soft)
    return unit(0.5 - (place - edge) * sharp)
