"""A small anti-aliased painter on numpy arrays, used by the synthetic data sets.

Coordinates are from 0 to 1, x to the right and y downwards. A shape is its signed distance field
(negative inside, in the same units) evaluated at every pixel; painting turns distance into coverage
over the width of one pixel, so edges are smooth at any size. A `patch` of a canvas is a part of it,
so that a small shape costs only the pixels near it; a `frame` has its own units.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""One number a pixel: float32 [size, size], or [h, w] on a patch."""

Color = Sequence[float] | NDArray[np.float32]
"""RGB in [0, 1], or one color a pixel: float32 [size, size, 3]."""

Rgb = tuple[float, float, float]
"""A color, each channel in [0, 1]."""

_DIRECTIONS = 1024

_STEPS = np.linspace(0, 1, 8, endpoint=False)
_CATMULL_ROM = 0.5 * np.stack(
    [
        -_STEPS + 2 * _STEPS**2 - _STEPS**3,
        2 - 5 * _STEPS**2 + 3 * _STEPS**3,
        _STEPS + 4 * _STEPS**2 - 3 * _STEPS**3,
        _STEPS**3 - _STEPS**2,
    ]
)


class Canvas:
    """An image being painted: `pixels` float32 [size, size, 3] in [0, 1].

    `x` and `y` are the coordinates of pixel centers, `pixel` the width of a pixel in their units.
    """

    def __init__(self, size: int, background: Color) -> None:
        axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.size = size
        self.pixel = 1.0 / size
        self.x: Field
        self.y: Field
        self.x, self.y = np.meshgrid(axis, axis)
        # Color planes lie apart in memory: numpy is several times faster along a row than over
        # three neighboring channels.
        self.pixels = np.empty((3, size, size), np.float32).transpose(1, 2, 0)
        self.pixels[:] = np.asarray(background, np.float32)

    def patch(self, x0: float, y0: float, x1: float, y1: float) -> "Canvas":
        """The part of this canvas that holds a rectangle: a view, painting on it paints here."""
        left, top = float(self.x[0, 0]), float(self.y[0, 0])
        height, width = self.x.shape

        def span(low: float, high: float, first: float, count: int) -> slice:
            start = min(max(math.floor((low - first) / self.pixel), 0), count - 1)
            end = min(math.ceil((high - first) / self.pixel) + 1, count)
            return slice(start, max(end, start + 1))

        window = span(y0, y1, top, height), span(x0, x1, left, width)
        return self._view(self.x[window], self.y[window], self.pixels[window], self.pixel)

    def frame(self, cx: float, cy: float, scale: float) -> "Canvas":
        """All of this canvas, measured from (cx, cy) in units of `scale`; a view likewise."""
        x, y = (self.x - cx) / scale, (self.y - cy) / scale
        return self._view(x, y, self.pixels, self.pixel / scale)

    def bent(self, x: Field) -> "Canvas":
        """All of this canvas with other x coordinates; a view likewise."""
        return self._view(x, self.y, self.pixels, self.pixel)

    def _view(self, x: Field, y: Field, pixels: NDArray[np.float32], pixel: float) -> "Canvas":
        view = Canvas.__new__(Canvas)
        view.size, view.pixel = self.size, pixel
        view.x, view.y, view.pixels = x, y, pixels
        return view

    def paint(
        self, distance: Field, color: Color, opacity: float | Field = 1.0, soft: float = 0.0
    ) -> None:
        """Lay `color` where `distance` is negative; `soft` widens the edge (0: one pixel)."""
        alpha = coverage(distance, 1.0 / self.pixel, soft) * opacity
        self.pixels += alpha[..., None] * (np.asarray(color, np.float32) - self.pixels)

    @contextlib.contextmanager
    def clipped(self, distance: Field) -> Generator[None]:
        """What is painted here inside the block stays only where `distance` is negative."""
        before = self.pixels.copy()
        yield
        inside = coverage(distance, 1.0 / self.pixel)[..., None]
        self.pixels -= before
        self.pixels *= inside
        self.pixels += before

    def finish(self) -> NDArray[np.uint8]:
        """The image as uint8 [size, size, 3]."""
        return np.ascontiguousarray((np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8))


def swatch(codes: str) -> tuple[Rgb, ...]:
    """The colors of hexadecimal codes such as "F4D3BC 4A3126"."""
    channels = (bytes.fromhex(code) for code in codes.split())
    return tuple((red / 255, green / 255, blue / 255) for red, green, blue in channels)


def coverage(distance: Field, size: float, soft: float = 0.0) -> Field:
    """How much of each pixel lies inside, in [0, 1]; `size` is the pixels in a unit of distance."""
    inside = 0.5 - distance * (1.0 / max(soft, 1.0 / size))
    return np.minimum(np.maximum(inside, 0), 1)


def mix(first: Sequence[float], second: Sequence[float], amount: Field) -> NDArray[np.float32]:
    """A color a pixel, float32 [h, w, 3]: `first` where `amount` is 0, `second` where it is 1."""
    planes = np.empty((3, *amount.shape), np.float32)
    for channel, (a, b) in enumerate(zip(first, second, strict=True)):
        np.multiply(amount, b - a, out=planes[channel])
        planes[channel] += a
    return planes.transpose(1, 2, 0)


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, a smooth S between; `low` > `high` turns it round."""
    t = (value - low) * (1.0 / (high - low))
    t = np.minimum(np.maximum(t, 0), 1)
    return t * t * (3 - 2 * t)


def ellipse(
    x: Field, y: Field, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0
) -> Field:
    """Distance to an ellipse turned by `angle` radians (first order: exact near the edge)."""
    c, s = math.cos(angle), math.sin(angle)
    u, v = (x - cx) * c + (y - cy) * s, (y - cy) * c - (x - cx) * s
    k0 = np.sqrt((u / rx) ** 2 + (v / ry) ** 2)
    k1 = np.sqrt((u / rx**2) ** 2 + (v / ry**2) ** 2) + 1e-9
    return k0 * (k0 - 1.0) / k1


def stroke(x: Field, y: Field, points: Sequence[tuple[float, float]], width: float) -> Field:
    """Distance to a round-ended line of `width` through `points`."""
    result = np.full_like(x, np.inf)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        result = np.minimum(result, np.hypot(x - ax - t * dx, y - ay - t * dy))
    return result - width / 2


def outline(
    x: Field, y: Field, points: Sequence[tuple[float, float]], cx: float, cy: float
) -> Field:
    """Distance to the smooth closed curve through `points`, which (cx, cy) sees all of.

    First order, exact enough near the edge: the radius is looked up by direction.
    """
    radius, steepness = _rays(tuple(points), cx, cy)
    px, py = x - cx, y - cy
    turn = np.arctan2(py, px)
    turn += math.pi
    turn *= (_DIRECTIONS - 1e-3) / (2 * math.pi)
    ray = turn.astype(np.intp)
    return (np.sqrt(px * px + py * py) - radius.take(ray)) * steepness.take(ray)


@functools.lru_cache(maxsize=256)
def _rays(
    points: tuple[tuple[float, float], ...], cx: float, cy: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Radius of a closed curve in each direction, and the cosine of its slope to the circle."""
    dx, dy = (_closed_spline(points) - (cx, cy)).T
    angles = np.arctan2(dy, dx)
    order = np.argsort(angles)
    step = 2 * math.pi / _DIRECTIONS
    grid = (np.arange(_DIRECTIONS) + 0.5) * step - math.pi
    radius = np.interp(grid, angles[order], np.hypot(dx, dy)[order], period=2 * math.pi)
    slope = (np.roll(radius, -1) - np.roll(radius, 1)) / (2 * step * radius)
    return radius.astype(np.float32), (1 / np.sqrt(1 + slope**2)).astype(np.float32)


def _closed_spline(points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The smooth closed curve through `points` (Catmull-Rom), eight steps a span: [8 N, 2]."""
    knots = np.asarray(points, np.float64)
    near = np.stack([np.roll(knots, 1 - i, axis=0) for i in range(4)])
    return np.einsum("kt,knd->ntd", _CATMULL_ROM, near).reshape(-1, 2)
