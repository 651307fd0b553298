"""The discriminator (paper §3): strided convolutions, LeakyReLU, one linear unit."""

from itertools import pairwise

import torch
from torch import nn

from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.layers import SpectralScale, conv, match_gradient, norm
from dcgan_cli.wording import counted

SLOPE = 0.2
"""Slope of LeakyReLU below zero (paper §4)."""


class Discriminator(nn.Module):
    """D: [N, channels, size, size] in [−1, 1] → [N] logits; above 0 means "real".

    `layers[i]` is a sequence of convolution, normalization (none on the first, unless it is
    spectral) and LeakyReLU. `head` is one linear unit on the flattened last maps, which equals the
    4×4 convolution to one map in the torch implementations. The sigmoid is part of the loss.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.discriminator_widths
        layers: list[nn.Sequential] = []
        for inputs, outputs in pairwise((config.channels, *widths)):
            modules: list[nn.Module] = [conv(inputs, outputs, config.kernel)]
            if config.d_norm == "spectral":
                modules.append(SpectralScale(modules[0], outputs))
            elif layers:
                modules.append(norm(config.d_norm, outputs, config.bn_eps))
            layers.append(nn.Sequential(*modules, nn.LeakyReLU(SLOPE, inplace=True)))
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(widths[-1] * config.base**2, 1, bias=False)
        self.head_scale = (
            SpectralScale(self.head, 1) if config.d_norm == "spectral" else nn.Identity()
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits for `images` [N, channels, size, size]."""
        maps = images
        for layer in self.layers:
            maps = layer(maps)
        match_gradient(maps)
        return self.head_scale(self.head(maps.flatten(1))).squeeze(1)


def freeze_layers(discriminator: Discriminator, count: int) -> None:
    """Keep the first `count` layers, from the image on, from being trained (Mo et al. 2020).

    Raises UsageError if D has fewer layers.
    """
    levels = len(discriminator.layers)
    if count > levels:
        raise UsageError(f"--freeze-d {count}: the discriminator has {counted(levels, 'layer')}")
    for layer in discriminator.layers[:count]:
        layer.requires_grad_(False)
