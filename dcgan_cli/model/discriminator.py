"""The discriminator (paper §3): strided convolutions, LeakyReLU, one linear unit."""

from itertools import pairwise

import torch
from torch import nn

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.layers import conv, match_gradient, norm

SLOPE = 0.2
"""Slope of LeakyReLU below zero (paper §4)."""


class Discriminator(nn.Module):
    """D: [N, channels, size, size] in [−1, 1] → [N] logits; above 0 means "real".

    `layers[i]` is a sequence of convolution, normalization (none on the first) and LeakyReLU.
    `head` is one linear unit on the flattened last maps, which equals the 4×4 convolution to one
    map in the torch implementations. The sigmoid is part of the loss.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.discriminator_widths
        layers = [
            nn.Sequential(
                conv(config.channels, widths[0], config.kernel), nn.LeakyReLU(SLOPE, inplace=True)
            )
        ]
        layers += [
            nn.Sequential(
                conv(inputs, outputs, config.kernel),
                norm(config.d_norm, outputs, config.bn_eps),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            for inputs, outputs in pairwise(widths)
        ]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(widths[-1] * config.base**2, 1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits for `images` [N, channels, size, size]."""
        maps = images
        for layer in self.layers:
            maps = layer(maps)
        match_gradient(maps)
        return self.head(maps.flatten(1)).squeeze(1)
