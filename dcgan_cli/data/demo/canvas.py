"""A small anti-aliased painter on numpy arrays: the brush of the drawn data sets.

Coordinates run from 0 to 1, x to the right and y downwards. A shape is its signed distance field
(negative inside, in the same units) evaluated at every pixel; painting turns distance into coverage
over the width of one pixel, so edges are smooth at any size.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""One number a pixel: float32 [size, size]."""

Colour = Sequence[float] | NDArray[np.float32]
"""RGB in [0, 1], or one colour a pixel: float32 [size, size, 3]."""


class Canvas:
    """A square picture being painted: `pixels` float32 [size, size, 3] in [0, 1]."""

    def __init__(self, size: int, background: Colour) -> None:
        axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.size = size
        self.x, self.y = np.meshgrid(axis, axis)
        self.pixels = np.empty((size, size, 3), np.float32)
        self.pixels[:] = np.asarray(background, np.float32)

    def paint(
        self, distance: Field, colour: Colour, opacity: float | Field = 1.0, soft: float = 0.0
    ) -> None:
        """Lay `colour` where `distance` is negative; `soft` widens the edge (0: one pixel)."""
        alpha = coverage(distance, self.size, soft) * opacity
        self.pixels += alpha[..., None] * (np.asarray(colour, np.float32) - self.pixels)

    def finish(self) -> NDArray[np.uint8]:
        """The picture as uint8 [size, size, 3]."""
        return (np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def coverage(distance: Field, size: int, soft: float = 0.0) -> Field:
    """How much of each pixel lies inside, in [0, 1], for a field of signed distances."""
    width = max(soft, 1.0 / size)
    return np.clip(0.5 - distance / width, 0, 1)


def ellipse(
    x: Field, y: Field, cx: float, cy: float, rx: float, ry: float, angle: float = 0.0
) -> Field:
    """Distance to an ellipse (first order, exact enough near the edge), turned by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
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


def polygon(x: Field, y: Field, points: Sequence[tuple[float, float]]) -> Field:
    """Distance to a simple polygon, convex or not, corners in either order."""
    edge = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        edge = np.minimum(edge, np.hypot(x - ax - t * dx, y - ay - t * dy))
        crosses = (ay > y) != (by > y)
        if dy != 0:
            inside ^= crosses & (x < ax + (y - ay) * dx / dy)
    return np.where(inside, -edge, edge)
