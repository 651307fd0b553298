"""What the discriminator sees in a picture, as one vector (paper §5.1).

Every convolution layer after its activation, max-pooled to a grid × grid, flattened, concatenated.
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.data.pixels import to_signed
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.taps import captured, evaluating
from dcgan_cli.report import Pictures

GRID = 4
"""Side of the grid that feature maps are pooled to (paper §5.1)."""

CHUNK = 128


@torch.no_grad()
def features(discriminator: Discriminator, signed: Tensor, grid: int = GRID) -> Tensor:
    """Features of pictures [N, C, S, S] in [−1, 1]: float32 [N, F], on the CPU.

    F is grid² times the feature maps of all layers; maps smaller than the grid are kept as they
    are. Batch norm uses the running statistics the network holds.
    """
    device = next(discriminator.parameters()).device
    rows: list[Tensor] = []
    with evaluating(discriminator), captured(list(discriminator.layers)) as maps:
        for chunk in signed.split(CHUNK):
            maps.clear()
            discriminator(chunk.to(device))
            pooled = [F.adaptive_max_pool2d(m.float(), min(grid, m.shape[-1])) for m in maps]
            rows.append(torch.cat([p.flatten(1) for p in pooled], 1).cpu())
    return torch.cat(rows)


def picture_features(
    discriminator: Discriminator, pictures: Pictures, grid: int = GRID
) -> NDArray[np.float32]:
    """As `features`, for stored pictures uint8 [N, S, S, C]; a numpy array float32 [N, F]."""
    return features(discriminator, to_signed(torch.from_numpy(pictures)), grid).numpy()
