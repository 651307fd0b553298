"""A generator whose images are known, so that every answer of the arithmetic is too.

z[0] > 0 is a man, z[1] > 0 smiles, z[2] is the turn, z[3] the glasses; the rest means nothing. A
image is 16×16 gray: three patches as bright as tanh of their coordinate, and one bar at a height
that the turn sets: a mean of images with bars at different heights has several bars.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    fit_attribute_classifier,
)
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.model.layers import initialize

Z_DIM = 8
CONFIG = ModelConfig(size=16, channels=1, z_dim=Z_DIM, z_dist="normal", ngf=2, ndf=4, kernel=4)


class Planted(nn.Module):
    """Stands where a Generator stands."""

    def __init__(self) -> None:
        super().__init__()
        self.config = CONFIG
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        images = torch.full((len(z), 1, 16, 16), -0.5)
        for place, coordinate in enumerate((0, 1, 3)):
            level = torch.tanh(2 * z[:, coordinate])[:, None, None]
            images[:, 0, 0:5, 5 * place : 5 * place + 5] = level
        height = 10.5 + 4 * torch.tanh(z[:, 2] / 2)
        rows = torch.arange(16.0)
        bar = torch.exp(-((rows - height[:, None]) ** 2) / 0.5)
        return torch.where(
            (rows >= 5)[:, None], (1.5 * bar[:, :, None] - 0.5).unsqueeze(1), images
        ).expand(len(z), 1, 16, 16)


def sampler() -> Sampler:
    """The planted generator as a Sampler."""
    return Sampler("0123456789ab", Planted(), "running", True)  # type: ignore[arg-type]


def discriminator() -> Discriminator:
    """Random features of the planted images."""
    network = Discriminator(CONFIG)
    initialize(network, torch.Generator().manual_seed(0))
    return network


def labels(latents: Latents) -> dict[str, NDArray[np.str_] | NDArray[np.float64]]:
    """The truth of images of `latents`."""
    return {
        "sex": np.where(latents[:, 0] > 0, "man", "woman"),
        "mouth": np.where(latents[:, 1] > 0, "smiling", "neutral"),
        "turn": np.tanh(latents[:, 2].astype(np.float64) / 2),
        "glasses": np.where(latents[:, 3] > 0, "glasses", "no_glasses"),
    }


@dataclass(frozen=True)
class ToyData:
    """The planted generator, real images of it, and an attribute classifier of them."""

    sampler: Sampler
    normalized: Tensor
    columns: dict[str, NDArray[np.str_] | NDArray[np.float64]]
    classifier: AttributeClassifier
    discriminator: Discriminator


def toy(count: int = 1200) -> ToyData:
    """`count` labeled images and trained on them."""
    draws, network = sampler(), discriminator()
    latents = seeded_latents(77, count, Z_DIM, "normal")
    normalized = draws.normalized(latents)
    columns = labels(latents)
    return ToyData(
        draws, normalized, columns, fit_attribute_classifier(normalized, columns, network), network
    )
