"""Paths between latent vectors, linear as in the paper (§6.1) or spherical."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.choices import PATHS, PathKind
from dcgan_cli.errors import UsageError
from dcgan_cli.model.latents import Latents

Times = NDArray[np.float64]
"""Places on a walk: k is point k exactly, k + 0.5 half-way to the next."""


@dataclass(frozen=True)
class LatentPath:
    """A chained walk between `points` [P, z_dim]; `loop` returns from the last to the first."""

    points: Latents
    kind: PathKind = "linear"
    loop: bool = False

    @classmethod
    def of(cls, points: Latents, kind: str, loop: bool = False) -> "LatentPath":
        """Raises UsageError for an unknown kind, or fewer than two points."""
        if kind not in PATHS:
            raise UsageError(f"--path {kind}: expected one of {', '.join(PATHS)}")
        if len(points) < 2:
            raise UsageError("a walk needs two points or more; name another with --between")
        return cls(points, kind, loop)

    @property
    def segments(self) -> int:
        """How many pairs of neighboring points there are."""
        return len(self.points) - (not self.loop)

    def at(self, times: Times) -> Latents:
        """The latent vectors at `times`, in [0, segments]. A whole number is the given point, exactly."""
        first, share = split_times(times, self.segments)
        start = self.points[first]
        end = self.points[(first + 1) % len(self.points)]
        between = {"linear": lerp, "slerp": slerp}[self.kind]
        return np.stack([between(a, b, t) for a, b, t in zip(start, end, share, strict=True)])


def lerp(a: NDArray[np.float32], b: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """(1 − t) a + t b: the straight line, as in the paper. `t` 0 and 1 give `a` and `b` exactly."""
    if t in (0.0, 1.0):  # −0 + 0 would lose the sign of a zero
        return b.copy() if t else a.copy()
    return ((1 - t) * a.astype(np.float64) + t * b.astype(np.float64)).astype(np.float32)


def slerp(a: NDArray[np.float32], b: NDArray[np.float32], t: float) -> NDArray[np.float32]:
    """Spherical interpolation: the direction rotates at constant speed, the norm changes linearly.

    For equal norms this is Shoemake's slerp (1985). Half-way between random vectors, the straight
    line has about √½ of their norm, which is very unlikely for a normal z; this path keeps the
    norm. For uniform z it keeps the norm too, but may leave the cube [−1, 1] slightly, which the
    line never does.

    Parallel vectors differ only in norm. Between opposite vectors, all half circles have the same
    length: the one towards the axis farthest from `a` is taken. If a vector is zero, or z has one
    dimension, there is no direction to rotate and the straight line is taken. `t` 0 and 1 give `a`
    and `b` exactly.
    """
    if t in (0.0, 1.0):
        return b.copy() if t else a.copy()
    start, end = a.astype(np.float64), b.astype(np.float64)
    norms = float(np.linalg.norm(start)), float(np.linalg.norm(end))
    if len(a) == 1 or not all(norms):
        return lerp(a, b, t)
    start, end = start / norms[0], end / norms[1]
    across = end - (start @ end) * start
    # not arccos, which loses half of the digits for small angles
    angle = np.arctan2(np.linalg.norm(across), start @ end)
    if np.linalg.norm(across) < 1e-12:
        axis = np.eye(len(start))[np.argmin(np.abs(start))]
        across = axis - (start @ axis) * start
    direction = np.cos(t * angle) * start + np.sin(t * angle) * across / np.linalg.norm(across)
    return (((1 - t) * norms[0] + t * norms[1]) * direction).astype(np.float32)


def split_times(times: Times, segments: int) -> tuple[NDArray[np.int64], Times]:
    """The segment of each time, and the position within the segment, in [0, 1]."""
    first = np.clip(np.floor(times), 0, segments - 1).astype(np.int64)
    return first, np.clip(times - first, 0, 1)
