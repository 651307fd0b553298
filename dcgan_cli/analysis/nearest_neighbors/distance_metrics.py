"""Distance metrics that say whether two images are the same: pixels, outlines, and D's features.

Each metric turns images into rows whose Euclidean distance is the distance of the images. For each
query image, several versions are compared, of which the nearest counts: a mirrored copy is a copy.
"""

import itertools
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcgan_cli.analysis.features import features
from dcgan_cli.data.pixels import normalize
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import Images

OUTLINE = 12
"""Side to which images are averaged before outlines are compared: errors of generators, too soft or
too grainy, are mostly finer than that."""

REACH, STEP = 16, 32
"""Outlines are also compared after shifts of up to 1/REACH of the side, in steps of 1/STEP of it."""

FLAT = 2.0
"""Standard deviation, in gray levels, below which an image has no outline."""


class DistanceMetric(Protocol):
    """A distance metric: distances between its rows are to be multiplied by `unit`."""

    name: str
    unit: float

    def rows(self, images: Images) -> Tensor:
        """Rows float32 [N, D] of images uint8 [N, S, S, C]."""
        ...

    def versions(self, images: Images) -> Tensor:
        """Rows float32 [N, V, D] of the versions of each image that may be matched."""
        ...


class Pixels:
    """Pixels as they are: the root mean square difference, 1 between black and white."""

    name = "pixels"

    def __init__(self, size: int, channels: int) -> None:
        self.unit = 1 / (255 * (size * size * channels) ** 0.5)

    def rows(self, images: Images) -> Tensor:
        """Whole numbers from −128 to 127, so that distances come out exact."""
        return torch.from_numpy(images).flatten(1).float().sub_(128)

    def versions(self, images: Images) -> Tensor:
        """The image alone."""
        return self.rows(images)[:, None]


class Outlines:
    """Coarse images up to a mirror, a small shift, brightness and contrast.

    The middle of the image, averaged to OUTLINE pixels a side, its mean taken away, at unit length:
    the distance is √(2 − 2ρ), ρ the correlation of two such images, in [0, 2].
    """

    name = "outlines"
    unit = 1.0

    def __init__(self, size: int) -> None:
        self._side = min(OUTLINE, size)
        step = max(1, round(size / STEP))
        most = max(1, round(size / REACH)) // step * step
        self._margin = most
        self._moves = range(0, 2 * most + 1, step)

    def rows(self, images: Images) -> Tensor:
        """The middle of each image."""
        normalized = normalize(torch.from_numpy(images))
        return self._outline(normalized, self._margin, self._margin)

    def versions(self, images: Images) -> Tensor:
        """Windows moved by up to the margin, and the same of the mirrored image."""
        normalized = normalize(torch.from_numpy(images))
        both = (normalized, normalized.flip(3))
        windows = itertools.product(both, self._moves, self._moves)
        return torch.stack([self._outline(*window) for window in windows], 1)

    def _outline(self, normalized: Tensor, top: int, left: int) -> Tensor:
        side = normalized.shape[-1] - 2 * self._margin
        window = normalized[:, :, top : top + side, left : left + side]
        small = F.adaptive_avg_pool2d(window, min(self._side, side)).flatten(1)
        small = small - small.mean(1, keepdim=True)
        least = FLAT / 127.5 * small.shape[1] ** 0.5
        return small / small.norm(dim=1, keepdim=True).clamp_min(least)


class Features:
    """The discriminator's features (paper §5.1) at unit length, up to a mirror."""

    name = "D's features"
    unit = 1.0

    def __init__(self, discriminator: Discriminator) -> None:
        self._discriminator = discriminator

    def rows(self, images: Images) -> Tensor:
        """Features of the images."""
        return self._see(normalize(torch.from_numpy(images)))

    def versions(self, images: Images) -> Tensor:
        """Features of the image and of its mirror image."""
        normalized = normalize(torch.from_numpy(images))
        return torch.stack([self._see(normalized), self._see(normalized.flip(3))], 1)

    def _see(self, normalized: Tensor) -> Tensor:
        return F.normalize(features(self._discriminator, normalized))
