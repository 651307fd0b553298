"""Which batch-norm statistics a generator draws with, so that one z is always one image.

A DCGAN trained with batch norm has no fixed image for a z until somebody says which mean and
variance to normalize with. Here the choice is made once, before drawing, and never depends on the
other images of a batch:

- running: the moving averages gathered in training (PyTorch's evaluation mode);
- batch: the statistics of one batch of latents, as the papers' own samples are drawn, but of a
  fixed reference batch, so that the rest of a request cannot change an image;
- reestimated: the average over many reference batches, each layer fed with already normalized
  input: the authors' released script does this for the discriminator (per-batch means and biased
  variances, averaged with equal weight).
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dcgan_cli.choices import MODES as MODES
from dcgan_cli.choices import BatchNormMode
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.report import Drawn

REFERENCE_SEED = 1511_06434
"""The seed of the reference latents: any constant would do; this is the paper's arXiv number."""

REFERENCE_BATCH = 128
REFERENCE_BATCHES = 8

_COUNTS: dict[BatchNormMode, int] = {"running": 0, "batch": 1, "reestimated": REFERENCE_BATCHES}


def way_of(mode: BatchNormMode, ema: bool) -> Drawn:
    """How a generator draws after `fix_statistics`, with the averaged weights or the last ones."""
    count = _COUNTS[mode]
    if not count:
        return Drawn(mode, ema)
    return Drawn(mode, ema, REFERENCE_SEED, count, REFERENCE_BATCH)


def fix_statistics(generator: Generator, mode: BatchNormMode) -> None:
    """Put `generator` into evaluation mode with the statistics that `mode` asks for."""
    count = _COUNTS[mode]
    if count:
        config = generator.config
        device = next(generator.parameters()).device
        rows = (
            seeded_latents(
                REFERENCE_SEED, REFERENCE_BATCH, config.z_dim, config.z_dist, i * REFERENCE_BATCH
            )
            for i in range(count)
        )
        reestimate(generator, (torch.from_numpy(z).to(device) for z in rows))
    generator.eval()


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Replace every batch norm's running statistics by their average over `batches`.

    Per batch and layer: mean and biased variance of the layer's input while the whole network runs
    on batch statistics; all batches count alike, and there must be one at least. Nothing else of
    the network changes, and nothing at all where a batch fails.
    """
    gathered: dict[_BatchNorm, list[torch.Tensor]] = {
        module: [] for module in network.modules() if isinstance(module, _BatchNorm)
    }

    def gather(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        maps = inputs[0].float()
        axes = [axis for axis in range(maps.dim()) if axis != 1]
        variance, mean = torch.var_mean(maps, axes, correction=0)
        gathered[cast(_BatchNorm, layer)].append(torch.stack((mean, variance)))

    modes = {module: module.training for module in network.modules()}
    tracking = {layer: layer.track_running_stats for layer in gathered}
    hooks = [layer.register_forward_pre_hook(gather) for layer in gathered]
    try:
        network.train()
        for layer in gathered:
            layer.track_running_stats = False  # the pass itself leaves them alone
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, track in tracking.items():
            layer.track_running_stats = track
        for module, training in modes.items():
            module.training = training
    for layer, statistics in gathered.items():
        mean, variance = torch.stack(statistics).mean(0)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
