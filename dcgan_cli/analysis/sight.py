"""What is seen at the locations of a picture: the discriminator's features, colours, and the place."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.taps import captured, evaluating

GRID = 16
"""Locations a side, at most."""

CHUNK = 64

Grids = NDArray[np.float32]
"""Scores of locations: [N, side, side], or [N, K, side, side] for K objects."""


def grid_side(discriminator: Discriminator) -> int:
    """Locations a side for pictures of the discriminator's size: at least two pixels each."""
    return min(GRID, discriminator.config.size // 2)


@torch.no_grad()
def seen(discriminator: Discriminator, signed: Tensor) -> Iterator[Tensor]:
    """What is seen at each location of pictures [N, C, S, S], CHUNK of them at a time.

    Yields [n, F, side, side]: every convolution layer after its activation (paper §5.1), finer maps
    averaged and coarser ones widened to the grid; and the colours of the location and its eight
    neighbours, in 2 × 2 parts each.
    """
    device = next(discriminator.parameters()).device
    side = grid_side(discriminator)
    with evaluating(discriminator), captured(list(discriminator.layers)) as maps:
        for chunk in signed.split(CHUNK):
            maps.clear()
            discriminator(chunk.to(device))
            rows = [_to_grid(layer.float(), side).cpu() for layer in maps]
            colours = F.pad(F.adaptive_avg_pool2d(chunk, 2 * side), (2, 2, 2, 2), mode="replicate")
            rows.append(F.unfold(colours, 6, stride=2).unflatten(2, (side, side)))
            yield torch.cat(rows, 1)


def _to_grid(maps: Tensor, side: int) -> Tensor:
    if maps.shape[-1] >= side:
        return F.adaptive_avg_pool2d(maps, side)
    return F.interpolate(maps, (side, side), mode="bilinear", align_corners=False)


def places(side: int) -> Tensor:
    """The place of each location, as numbers that curve: [side, side, 9]."""
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, x * x, x * y, y * y, x * x * y, x * y * y, x**4, y**4], -1)


@dataclass(frozen=True, eq=False)
class Linear:
    """Scores of locations: `sight` [K, F] times what is seen there, plus `place` [K, side, side]."""

    sight: Tensor
    place: Tensor

    def __call__(self, maps: Tensor) -> Grids:
        """Scores [N, K, side, side] of what is seen [N, F, side, side]."""
        return (torch.einsum("nfyx,kf->nkyx", maps, self.sight) + self.place).numpy()
