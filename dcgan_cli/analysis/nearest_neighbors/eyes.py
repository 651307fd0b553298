"""Ways of seeing whether two pictures are the same one: pixels, outlines, and D's features.

Each eye turns pictures into rows whose Euclidean distance says how far they are apart. What is asked
about a picture is asked of several versions of it, of which the nearest counts: a copy that was
mirrored is a copy.
"""

import itertools
from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcgan_cli.analysis.features import features
from dcgan_cli.data.pixels import to_signed
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import Pictures

OUTLINE = 12
"""Side that pictures are averaged to before outlines are compared: what a generator draws too soft or
too grainy is mostly finer than that."""

REACH, STEP = 16, 32
"""Outlines are also compared moved by up to 1/REACH of the side, in steps of 1/STEP of it."""

FLAT = 2.0
"""Standard deviation, in grey levels, below which a picture has no outline."""


class Eye(Protocol):
    """A way of seeing: `unit` is what distances between its rows are to be multiplied by."""

    name: str
    unit: float

    def rows(self, pictures: Pictures) -> Tensor:
        """Rows float32 [N, D] of pictures uint8 [N, S, S, C]."""
        ...

    def versions(self, pictures: Pictures) -> Tensor:
        """Rows float32 [N, V, D] of the versions of each picture that may be matched."""
        ...


class Pixels:
    """Pixels as they are: the root mean square difference, 1 between black and white."""

    name = "pixels"

    def __init__(self, size: int, channels: int) -> None:
        self.unit = 1 / (255 * (size * size * channels) ** 0.5)

    def rows(self, pictures: Pictures) -> Tensor:
        """Whole numbers from −128 to 127, so that distances come out exact."""
        return torch.from_numpy(pictures).flatten(1).float().sub_(128)

    def versions(self, pictures: Pictures) -> Tensor:
        """The picture alone."""
        return self.rows(pictures)[:, None]


class Outlines:
    """Coarse pictures up to a mirror, a small shift, brightness and contrast.

    The middle of the picture, averaged to OUTLINE pixels a side, its mean taken away, at unit length:
    the distance is √(2 − 2ρ), ρ the correlation of two such pictures, in [0, 2].
    """

    name = "outlines"
    unit = 1.0

    def __init__(self, size: int) -> None:
        self._side = min(OUTLINE, size)
        step = max(1, round(size / STEP))
        most = max(1, round(size / REACH)) // step * step
        self._margin = most
        self._moves = range(0, 2 * most + 1, step)

    def rows(self, pictures: Pictures) -> Tensor:
        """The middle of each picture."""
        signed = to_signed(torch.from_numpy(pictures))
        return self._outline(signed, self._margin, self._margin)

    def versions(self, pictures: Pictures) -> Tensor:
        """Windows moved by up to the margin, and the same of the mirrored picture."""
        signed = to_signed(torch.from_numpy(pictures))
        return torch.stack([self._outline(*window) for window in self._windows(signed)], 1)

    def _windows(self, signed: Tensor) -> Iterator[tuple[Tensor, int, int]]:
        for one in (signed, signed.flip(3)):
            for top, left in itertools.product(self._moves, self._moves):
                yield one, top, left

    def _outline(self, signed: Tensor, top: int, left: int) -> Tensor:
        side = signed.shape[-1] - 2 * self._margin
        window = signed[:, :, top : top + side, left : left + side]
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

    def rows(self, pictures: Pictures) -> Tensor:
        """Features of the pictures."""
        return self._see(to_signed(torch.from_numpy(pictures)))

    def versions(self, pictures: Pictures) -> Tensor:
        """Features of the picture and of its mirror image."""
        signed = to_signed(torch.from_numpy(pictures))
        return torch.stack([self._see(signed), self._see(signed.flip(3))], 1)

    def _see(self, signed: Tensor) -> Tensor:
        return F.normalize(features(self._discriminator, signed))
