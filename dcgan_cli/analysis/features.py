"""The discriminator's features of an image as one vector (paper §5.1).

The activations of every convolution layer, max-pooled to a grid × grid, flattened, concatenated.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.data.pixels import normalize
from dcgan_cli.errors import CheckpointError, UsageError
from dcgan_cli.model.batch_norm_statistics import reestimate
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import captured, evaluating
from dcgan_cli.progress import ProgressCallback

GRID = 4
"""Side of the grid that feature maps are pooled to (paper §5.1)."""

IMAGES_PER_BATCH = 128
"""Images in one forward pass, and in a batch of re-estimated statistics (paper §5.2)."""


@torch.no_grad()
def features(
    discriminator: Discriminator,
    normalized: Tensor,
    grid: int = GRID,
    layers: Sequence[int] | None = None,
) -> Tensor:
    """Features of images [N, C, S, S] in [−1, 1]: float32 [N, F], on the CPU.

    F is grid² times the feature maps of `layers` (numbered from 0, ascending; None for all); maps
    smaller than the grid are kept as they are. Batch norm uses the running statistics the network
    holds.
    """
    device = next(discriminator.parameters()).device
    taps = range(len(discriminator.layers)) if layers is None else layers
    rows: list[Tensor] = []
    with evaluating(discriminator), captured([discriminator.layers[i] for i in taps]) as maps:
        for chunk in normalized.split(IMAGES_PER_BATCH):
            maps.clear()
            discriminator(chunk.to(device))
            pooled = [F.adaptive_max_pool2d(m.float(), min(grid, m.shape[-1])) for m in maps]
            rows.append(torch.cat([p.flatten(1) for p in pooled], 1).cpu())
    found = torch.cat(rows)
    if not bool(found.isfinite().all()):
        raise CheckpointError(
            "the discriminator gives features that are NaN or infinite, so its weights are damaged "
            "or its training failed; use an earlier checkpoint"
        )
    return found


def feature_table(
    discriminator: Discriminator,
    images: ImageDataset,
    rows: NDArray[np.int64],
    *,
    grid: int = GRID,
    layers: Sequence[int] | None = None,
    progress: ProgressCallback = lambda done, total: None,
) -> Tensor:
    """As `features`, for the images `rows` of a prepared set: float32 [len(rows), F].

    Filled block by block: beside the table itself only one block of images is in memory.
    """
    table = torch.empty(len(rows), layer_spans(discriminator.config, grid, layers)[-1].stop)
    done = 0
    for block in feature_blocks(discriminator, images, rows, grid=grid, layers=layers):
        table[done : done + len(block)] = block
        done += len(block)
        progress(done, len(rows))
    return table


def feature_blocks(
    discriminator: Discriminator,
    images: ImageDataset,
    rows: NDArray[np.int64],
    *,
    grid: int = GRID,
    layers: Sequence[int] | None = None,
) -> Iterator[Tensor]:
    """The rows of `feature_table`, IMAGES_PER_BATCH at a time."""
    for start in range(0, len(rows), IMAGES_PER_BATCH):
        normalized = normalize(
            torch.from_numpy(images.take(rows[start : start + IMAGES_PER_BATCH]))
        )
        yield features(discriminator, normalized, grid, layers)


def layer_spans(
    config: ModelConfig, grid: int = GRID, layers: Sequence[int] | None = None
) -> list[slice]:
    """Which columns of the features each of `layers` fills, in their order.

    Raises UsageError for a layer that D does not have, or layers that do not ascend.
    """
    widths = config.discriminator_widths
    taps = tuple(range(len(widths)) if layers is None else layers)
    if (
        not taps
        or any(i >= j for i, j in pairwise(taps))
        or not 0 <= taps[0] <= taps[-1] < config.levels
    ):
        typed = ",".join(str(i + 1) for i in taps)
        raise UsageError(f"--layers {typed}: expected some of 1 to {config.levels}, ascending")
    sides = [min(grid, config.size >> (i + 1)) for i in taps]
    ends = accumulate((widths[i] * side**2 for i, side in zip(taps, sides, strict=True)), initial=0)
    return [slice(start, end) for start, end in pairwise(ends)]


def reestimate_on(
    discriminator: Discriminator,
    images: ImageDataset,
    rows: NDArray[np.int64],
    progress: ProgressCallback = lambda done, total: None,
) -> None:
    """Replace D's batch-norm statistics by those of the images `rows` (the authors' script).

    One pass in batches of IMAGES_PER_BATCH, whose means and biased variances have equal weight.
    Shuffle `rows`: if they are sorted by class, each batch has the statistics of one class.
    """
    device = next(discriminator.parameters()).device

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(rows), IMAGES_PER_BATCH):
            block = images.take(rows[start : start + IMAGES_PER_BATCH])
            yield normalize(torch.from_numpy(block).to(device))
            progress(start + len(block), len(rows))

    reestimate(discriminator, batches())
