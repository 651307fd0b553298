"""Features of the locations of an image: discriminator features, colors, and the location itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import captured, evaluating

GRID = 16
"""Locations a side, at most."""

AROUND = 6
"""Side of the square of colors that is seen around a location, which is 2 × 2 of them itself."""

SEEN_TOGETHER = 64
"""Images whose maps of all layers are in memory at a time."""

Grids = NDArray[np.float32]
"""Scores of locations: [N, side, side], or [N, K, side, side] for K objects."""


def grid_side(discriminator: Discriminator) -> int:
    """Locations a side for images of the discriminator's size: at least two pixels each."""
    return min(GRID, discriminator.config.size // 2)


@dataclass(frozen=True, eq=False)
class LocationFeatures:
    """What is seen in n images: `maps` [n, C, s, s] of each layer of D (paper §5.1), and colors.

    The `colors` [n, channels, 2·side + 4, 2·side + 4] have a margin that repeats the edge.
    """

    maps: Sequence[Tensor]
    colors: Tensor
    side: int

    def __len__(self) -> int:
        return len(self.colors)

    def features(self) -> Tensor:
        """Everything at each location, [n, F, side, side]; finer maps averaged, coarser widened."""
        around = F.unfold(self.colors, AROUND, stride=2).unflatten(2, (self.side, self.side))
        return torch.cat([*(self._to_grid(layer) for layer in self.maps), around], 1)

    def weighed(self, weights: Tensor) -> Tensor:
        """`weights` [K, F] times `features`, [n, K, side, side]: weighed first, which is cheaper."""
        sizes = [layer.shape[1] for layer in self.maps]
        *of_maps, of_colors = weights.split([*sizes, weights.shape[1] - sum(sizes)], 1)
        kernel = of_colors.unflatten(1, (-1, AROUND, AROUND))
        total = F.conv2d(self.colors, kernel, stride=2)
        for layer, own in zip(self.maps, of_maps, strict=True):
            total += self._to_grid(F.conv2d(layer, own[:, :, None, None]))
        return total

    def _to_grid(self, maps: Tensor) -> Tensor:
        if maps.shape[-1] >= self.side:
            return F.adaptive_avg_pool2d(maps, self.side)
        return F.interpolate(maps, (self.side, self.side), mode="bilinear", align_corners=False)


@torch.no_grad()
def extract_location_features(
    discriminator: Discriminator, normalized: Tensor
) -> Iterator[LocationFeatures]:
    """Features of images [N, C, S, S] in [−1, 1], in batches of SEEN_TOGETHER, on the CPU."""
    device = next(discriminator.parameters()).device
    side = grid_side(discriminator)
    margin = ((AROUND - 2) // 2,) * 4
    with evaluating(discriminator), captured(list(discriminator.layers)) as maps:
        for chunk in normalized.split(SEEN_TOGETHER):
            maps.clear()
            discriminator(chunk.to(device))
            colors = F.pad(F.adaptive_avg_pool2d(chunk, 2 * side), margin, mode="replicate")
            yield LocationFeatures([layer.float().cpu() for layer in maps], colors, side)


def places(side: int) -> Tensor:
    """The place of each location, as numbers that curve: [side, side, 9]."""
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, x * x, x * y, y * y, x * x * y, x * y * y, x**4, y**4], -1)


@dataclass(frozen=True, eq=False)
class Linear:
    """Scores of locations: `weights` [K, F] times what is seen, plus `place` [K, side, side]."""

    weights: Tensor
    place: Tensor

    def __call__(self, location_features: LocationFeatures) -> Grids:
        """Scores [n, K, side, side]."""
        return (location_features.weighed(self.weights) + self.place).numpy()
