"""Which generator feature maps draw an object (paper §6.3.1), and images without those maps.

On the activations of one layer, a logistic regression predicts for each location whether it is
inside a box of the object. The feature maps with a weight above a threshold are dropped: set to
zero everywhere.

The paper takes negatives from anywhere in the same samples and does not say how its regression was
regularized. Which maps are dropped depends on both; here they are chosen so that the object is
forgotten:

- Negatives are the same locations in other samples, so that each location counts equally inside and
  outside boxes. Otherwise maps of the surroundings (walls, for windows) get high weights too.
- The regression is an elastic net (`elastic_net.py`). Without a penalty, the regression predicts
  equally well from a few of several redundant maps, while the others still draw the object; and
  half of all weights are above zero by chance.

Activations are divided by their standard deviation first: a weight is per standard deviation of its
map, and the penalties treat all maps alike. The sign, which the paper uses, is unchanged. A
threshold above zero has the same unit: log-odds per standard deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from dcgan_cli.analysis.drop_filters.elastic_net import FloatArray, calibrated, elastic_net
from dcgan_cli.analysis.drop_filters.locations import Mask, auc_in_place, having, inside, split
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.batch_norm_statistics import BatchNormMode, fix_statistics
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.hooks import captured, masked
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import Estimate
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

LAYER = 1
"""The default layer: 8×8, 512 maps in the paper's network.

The paper's "second-highest" can mean this layer or the next (16×16×256); its 200 maps with a weight
above zero fit 512 maps better."""

RANKING_FOLDS = 5
"""Folds of the samples, by which the AUC of a ranking is measured."""

MIN_EXAMPLES = 10
"""Minimum number of samples with a box."""

L1, RIDGE = 0.35, 10.0
"""Penalties of the elastic net: with this L1 penalty, a map gets a weight if it is at least about a
third as informative as the most informative map."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The feature maps of `layer` (as `layer_module` counts) by how far they speak for an object.

    `weights`, float64 [C], are log-odds per standard deviation of a map, as its part of what all
    maps with a weight say together (see `elastic_net.calibrated`); `contrast`, float64 [C], is by
    how many standard deviations each is higher inside boxes than at the same places outside them;
    `auc`, on held-out samples, how well they tell inside from outside at a place; chance is 0.5.
    """

    layer: int
    weights: FloatArray
    contrast: FloatArray
    auc: Estimate

    @property
    def order(self) -> list[int]:
        """All maps, the highest weight first; equal weights are ordered by contrast."""
        return np.lexsort((-self.contrast, -self.weights)).tolist()

    def above(self, threshold: float) -> list[int]:
        """The maps with a weight above `threshold`, in order."""
        return [number for number in self.order if self.weights[number] > threshold]


def choose_layer(generator: Generator, number: int | None) -> int:
    """`number`, or LAYER if it is None. Raises UsageError if there is no such layer."""
    chosen = min(LAYER, len(generator.hidden)) if number is None else number
    layer_module(generator, chosen)
    return chosen


def layer_module(generator: Generator, number: int) -> nn.Module:
    """Layer `number`: 0 is the projection, 1 and up are the hidden convolutions.

    Raises UsageError if there is no such layer.
    """
    layers = [generator.project, *generator.hidden]
    if not 0 <= number < len(layers):
        config = generator.config
        widths, sides = config.generator_widths, [config.base * 2**i for i in range(len(layers))]
        sizes = (f"{i} ({width}×{sides[i]}×{sides[i]})" for i, width in enumerate(widths))
        raise UsageError(
            f"--layer {number}: no such layer; those with feature maps are {', '.join(sizes)}"
        )
    return layers[number]


def activations(sampler: Sampler, layer: int, latents: Latents) -> Tensor:
    """The feature maps of `layer` for `latents` [N, z_dim], after their ReLU: [N, C, s, s]."""
    with captured([layer_module(sampler.generator, layer)]) as chunks:
        sampler.normalized(latents)
    # the projection is captured before its ReLU
    return torch.cat([maps.float().cpu() for maps in chunks])[: len(latents)].relu()


def without(sampler: Sampler, layer: int, maps: Sequence[int], latents: Latents) -> Tensor:
    """Images of `latents` [N, z_dim] with `maps` of `layer` dropped: [N, C, S, S] in [−1, 1].

    Batch norm keeps the statistics that the drawing has, those of all maps.
    """
    with masked(layer_module(sampler.generator, layer), maps):
        return sampler.normalized(latents)


def rank_feature_maps(maps: Tensor, boxes: Boxes, kind: str, layer: int, seed: int) -> Ranking:
    """Learn which of `maps` [N, C, s, s], the activations of `layer`, speak for `kind`.

    Samples that were not looked at are left out. Raises DcganError where too few samples have a box, or the maps do not tell inside from outside.
    """
    looked = np.flatnonzero(boxes.seen)
    mask = inside(boxes.take(looked), kind, maps.shape[-1])
    count = int(having(mask).sum())
    if count < MIN_EXAMPLES:
        raise DcganError(
            f"{counted(count, 'sample')} of {len(looked):,} with a {kind}; at least {MIN_EXAMPLES} are needed to learn "
            "its feature maps; look at more samples (-n)"
        )
    seen = maps[torch.from_numpy(looked)].numpy().transpose(0, 2, 3, 1).astype(np.float64)
    spread = seen.std((0, 1, 2))
    seen /= np.where(spread > 0, spread, 1)
    folds = split(len(looked), RANKING_FOLDS, numpy_stream(seed, "feature maps", layer))
    scores = np.empty(mask.shape)
    for fold in range(RANKING_FOLDS):
        held = folds == fold
        weights = elastic_net(*_matched(seen[~held], mask[~held]), L1, RIDGE)
        scores[held] = seen[held] @ weights
    found = auc_in_place(scores, mask)
    if found.low is None or found.low <= 0.5:
        raise DcganError(
            f"the maps of layer {layer} do not tell a {kind} from what else is at its place: AUC "
            f"{found.value:.2f} on samples that were not trained on, chance is 0.5; look at more "
            "samples (-n) or try another --layer"
        )
    rows, truth, counts = _matched(seen, mask)
    weights = calibrated(rows, truth, counts, elastic_net(rows, truth, counts, L1, RIDGE))
    contrast = (np.where(truth, counts, -counts) @ rows) / counts[truth].sum()
    return Ranking(layer, weights, contrast, found)


def _matched(seen: FloatArray, mask: Mask) -> tuple[FloatArray, Mask, FloatArray]:
    """Locations of the maps `seen` [N, s, s, C] as rows [M, C], which are inside, and how each counts."""
    share = mask.mean(0)
    counts = np.where(mask, 1.0, share / np.maximum(1 - share, 1e-9))
    # where it always or never is, there is nothing to compare
    kept = np.broadcast_to((share > 0) & (share < 1), mask.shape)
    return seen[kept], mask[kept], counts[kept]


def forgotten(
    checkpoint: Checkpoint, layer: int, maps: Sequence[int], bn: BatchNormMode
) -> Checkpoint:
    """`checkpoint` without `maps` of `layer`, in its last weights and in their average.

    The scale and shift of a dropped map's normalization are set to zero, so that its ReLU gives
    exactly zero; where there is no normalization, the map's own weights are. The statistics are
    fixed as `bn` says while all maps are there, and with them (`--bn running`) the images are those
    that `without` draws. The optimizers' states are left out: they belong to other weights.
    """

    def weights(average: bool) -> dict[str, Tensor]:
        generator = checkpoint.build_generator(average)
        fix_statistics(generator, bn)
        _silence(generator, layer, maps)
        return generator.state_dict()

    average = None if checkpoint.average is None else weights(True)
    return replace(checkpoint, generator=weights(False), average=average, optimizers={})


@torch.no_grad()
def _silence(generator: Generator, layer: int, maps: Sequence[int]) -> None:
    """Set `maps` of `layer` to zero for every input, by changing the weights."""
    if layer == 0:
        norm, own = generator.project.norm, generator.project.linear.weight
    else:
        convolution, norm = list(layer_module(generator, layer).children())[:2]
        # a transposed convolution has its outputs along the second axis
        own = cast(nn.ConvTranspose2d, convolution).weight.transpose(0, 1)
    width = generator.config.generator_widths[layer]
    for values in list(norm.parameters()) or [own]:
        # a map of the projection may have a value for each of its units
        values.view(width, -1, *values.shape[1:])[list(maps)] = 0
