"""The generator (paper §3, Fig. 1): fractionally-strided convolutions from z to an image."""

from itertools import pairwise

import torch
from torch import nn

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.layers import Project, conv_transpose, match_gradient, norm


class Generator(nn.Module):
    """G: [N, z_dim] → [N, channels, size, size] in [−1, 1].

    `hidden[i]` is a sequence of convolution, normalization and ReLU; `hidden[-1]` is the paper's
    second-highest convolution layer. The last convolution has Tanh and no normalization.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.generator_widths
        self.project = Project(config)
        self.hidden = nn.ModuleList(
            nn.Sequential(
                conv_transpose(inputs, outputs, config.kernel),
                norm(config.g_norm, outputs, config.bn_eps),
                nn.ReLU(inplace=True),
            )
            for inputs, outputs in pairwise(widths)
        )
        self.to_rgb = conv_transpose(widths[-1], config.channels, config.kernel)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Images for latents `z` [N, z_dim]."""
        maps = torch.relu_(self.project(z))
        match_gradient(maps)
        for layer in self.hidden:
            maps = layer(maps)
        return torch.tanh(self.to_rgb(maps))
