"""A head that turns: the geometry and the skin colors of the synthetic faces.

The head is a cylinder seen from the front. A feature is drawn flat, in face coordinates (u across,
v down, the face being 2 wide), on pixels whose u was found by turning the cylinder back; so every
feature moves and foreshortens as one when the head turns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcgan_cli.data.demo.canvas import Canvas, Field, Rgb, outline, smoothstep

WIDEST_TURN = 0.52  # radians
_RADIUS = 1.06
# The cylinder turns about an axis before its middle: a face is flatter than a cylinder, and about
# the middle its outer corners would swing past the contour.
_AXIS = 0.18


def tinted(color: Sequence[float], other: Sequence[float], amount: float) -> Rgb:
    """`color` moved towards `other` by `amount` in [0, 1]."""
    red, green, blue = (a + amount * (b - a) for a, b in zip(color, other, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Head:
    """A head in place: `canvas` measures from between the eyes, in half widths of the face."""

    canvas: Canvas
    man: bool
    smiling: bool
    yaw: float
    light: float
    skin: Rgb

    @property
    def shadow(self) -> Rgb:
        """Skin away from the light: darker and warmer."""
        red, green, blue = self.skin
        return 0.70 * red, 0.58 * green, 0.57 * blue

    @property
    def lips(self) -> Rgb:
        """A man's lips are near his skin; a woman's are painted."""
        red, amount = ((0.74, 0.34, 0.33), 0.55) if self.man else ((0.80, 0.14, 0.24), 0.78)
        return tinted(self.skin, red, amount)

    def across(self, u: float, depth: float | None = None) -> float:
        """Place (x) of a point of the face; `depth` is towards the viewer, else the surface's."""
        if depth is None:
            depth = math.sqrt(max(_RADIUS**2 - u * u, 0.0)) - _AXIS
        return u * math.cos(self.yaw) + depth * math.sin(self.yaw)

    def surface(self, u0: float, v0: float, u1: float, v1: float, proud: float = 0.0) -> Canvas:
        """A patch that measures in face coordinates, standing `proud` of the surface."""
        lift = proud * math.sin(self.yaw)
        # Past the cylinder's rim `unturned` reaches further than `across`.
        x0, x1 = self.across(u0) + lift - 0.1, self.across(u1) + lift + 0.1
        patch = self.canvas.patch(x0, v0, x1, v1)
        return patch.bent(self.unturned(patch.x - lift))

    def unturned(self, x: Field) -> Field:
        """The face coordinate u seen at each x; beyond the cylinder's rim it goes on straight."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        x = x + _AXIS * s
        inside = np.clip(x, -1.0, 1.0)
        return inside * c - np.sqrt(_RADIUS**2 - inside**2) * s + (x - inside)


def lit(head: Head, canvas: Canvas) -> Field:
    """How brightly the light falls on a rounded head at each pixel, in [0, 1]."""
    nx, ny = canvas.x / 1.12, (canvas.y - 0.05) / 1.65
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.02, 1))
    return smoothstep(0.0, 1.0, head.light * nx - 0.38 * ny + 0.78 * nz)


def face_contour(head: Head, canvas: Canvas) -> Field:
    """Distance to the contour of skull, cheeks and chin; what is lower swings further in a turn."""
    half = (
        [(0.55, -1.30), (0.93, -0.75), (1.0, -0.1), (0.965, 0.45), (0.84, 0.92), (0.50, 1.30)]
        if head.man
        else [(0.55, -1.30), (0.92, -0.75), (0.97, -0.1), (0.90, 0.42), (0.68, 0.88), (0.32, 1.24)]
    )
    chin = 1.44 if head.man else 1.36
    swing = math.sin(head.yaw)

    def moved(u: float, v: float) -> tuple[float, float]:
        forward = 0.02 + 0.60 * min(max((v + 0.1) / 1.4, 0.0), 1.0) ** 1.3
        return u * (1 - 0.10 * abs(swing) * (v > 0)) + forward * swing, v

    right = [moved(u, v) for u, v in half]
    left = [moved(-u, v) for u, v in reversed(half)]
    around = [moved(0, -1.38), *right, moved(0, chin), *left]
    return outline(canvas.x, canvas.y, around, 0.15 * swing, 0.1)
