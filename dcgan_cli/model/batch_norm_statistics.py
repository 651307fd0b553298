"""Batch-norm statistics of a generator: running averages, one batch, or re-estimated.

With batch norm in training mode, the image of a z depends on the other latent vectors in its batch.
Here the statistics are fixed once, before images are generated, so that one z always gives the same
image:

- running: the moving averages of training (PyTorch's evaluation mode);
- batch: the statistics of one fixed reference batch of latent vectors. The papers' own samples use
  the statistics of the batch itself; a fixed one keeps an image independent of its neighbors;
- reestimated: the average over several reference batches, each layer being fed normalized input.
  The authors' released script does this for the discriminator (means and biased variances of each
  batch, averaged with equal weight).
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dcgan_cli.choices import MODES as MODES
from dcgan_cli.choices import BatchNormMode
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.report import DrawSettings

REFERENCE_SEED = 1511_06434
"""Seed of the reference latent vectors; an arbitrary constant, the paper's arXiv number."""

REFERENCE_BATCH = 128
REFERENCE_BATCHES = 8

_COUNTS: dict[BatchNormMode, int] = {"running": 0, "batch": 1, "reestimated": REFERENCE_BATCHES}


def draw_settings(mode: BatchNormMode, ema: bool) -> DrawSettings:
    """How a generator draws after `fix_statistics`; `ema`: with averaged weights."""
    count = _COUNTS[mode]
    if not count:
        return DrawSettings(mode, ema)
    return DrawSettings(mode, ema, REFERENCE_SEED, count, REFERENCE_BATCH)


def fix_statistics(generator: Generator, mode: BatchNormMode) -> None:
    """Put `generator` into evaluation mode with the batch-norm statistics of `mode`.

    Example: `fix_statistics(generator, "reestimated")`.
    """
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
    """Replace the running statistics of every batch norm by their average over `batches`.

    For each batch and layer, the mean and the biased variance of the layer's input are taken while
    the whole network runs on batch statistics; all batches have equal weight, and at least one is
    needed. Nothing else in the network changes, and nothing at all if a batch fails.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    collected: dict[_BatchNorm, list[torch.Tensor]] = {layer: [] for layer in layers}

    def collect(layer: nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        assert isinstance(layer, _BatchNorm)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        count = inputs[0].numel() // inputs[0].shape[1]
        biased = layer.running_var * ((count - 1) / count)
        collected[layer].append(torch.stack((layer.running_mean, biased)))

    modes = {module: module.training for module in network.modules()}
    momenta = {layer: layer.momentum for layer in layers}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    hooks = [layer.register_forward_hook(collect) for layer in layers]
    try:
        network.train()
        for layer in layers:
            layer.momentum = 1.0  # running statistics are those of the last batch
        for batch in batches:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in momenta.items():
            layer.momentum = momentum
        for module, training in modes.items():
            module.training = training
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    for layer, statistics in collected.items():
        mean, variance = torch.stack(statistics).mean(0)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
