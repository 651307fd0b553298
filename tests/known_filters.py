"""A real Generator with planted weights: one known feature map paints the object.

Images are 16×16 gray. Layer 1 (8×8) has four maps: 0 and 1 paint the scene, stripes whose levels z
sets; 2 paints the object, a bright block of 4×4 pixels at one of four places, there where z at that
place is above 1; 3 is zero everywhere. Layer 0 (4×4) has eight: the first three are what the three
above are made from. Batch norm is the identity up to its ε, so everything can be worked out by
hand.
"""

from typing import Any

import numpy as np
import torch

from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.data.labels import Boxes
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import Latents
from dcgan_cli.model.layers import initialize

CONFIG = ModelConfig(
    size=16, channels=1, z_dim=8, z_dist="normal", ngf=4, ndf=4, kernel=4, projection="channel"
)

OBJECT = 2
"""The map that paints the object, on either layer."""

PLACES = ((0, 1), (1, 3), (2, 0), (3, 2))
"""Rows and columns, of four, of the places where the object may be; z[i] decides about place i."""


def generator(config: ModelConfig = CONFIG) -> Generator:
    """The planted network."""
    network = Generator(config)
    initialize(network, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1)
                module.bias.zero_()
        project = network.project.linear.weight.zero_().view(8, 4, 4, config.z_dim)
        for i, (row, column) in enumerate(PLACES):
            project[OBJECT, row, column, i] = 4
        for line in range(4):
            project[0, line, :, 4 + line % 2] = 1
            project[1, :, line, 6 + line % 2] = 1
        shift = network.project.norm.bias
        assert isinstance(shift, torch.Tensor)
        shift[OBJECT] = -4
        shift[:OBJECT] = 1
        block = torch.zeros(4, 4)
        block[1:3, 1:3] = 1
        hidden = network.hidden[0][0].weight.zero_()  # type: ignore[index]
        to_rgb = network.to_rgb.weight.zero_()
        for number, level in enumerate((0.3, -0.3, 2.0)):
            hidden[number, number] = block
            to_rgb[number, 0] = block * level
    return network.eval()


def sampler() -> Sampler:
    """The planted network as a Sampler."""
    return Sampler("0123456789ab", generator(), "running", True)


def boxes(latents: Latents, kind: str = "block") -> Boxes:
    """Where the object is in images of `latents`, by construction."""
    images, places = np.nonzero(latents[:, :4] > 1)
    rows = np.array(PLACES, np.float64)[places]
    corners = np.stack([rows[:, 1], rows[:, 0], rows[:, 1] + 1, rows[:, 0] + 1], 1) / 4
    return Boxes(
        images.astype(np.int64),
        np.full(len(images), kind),
        corners,
        np.ones(len(latents), np.bool_),
    )


def discriminator(config: ModelConfig = CONFIG) -> Discriminator:
    """Random features, scaled so that they are not all alike."""
    network = Discriminator(config)
    initialize(network, torch.Generator().manual_seed(1))
    with torch.no_grad():
        network.layers[0][0].weight.mul_(10)  # type: ignore[index]
    return network


def checkpoint(**about: Any) -> Checkpoint:
    """The planted networks; the average is the same network, its scene a little darker."""
    last = generator().state_dict()
    average = {name: values.clone() for name, values in last.items()}
    average["to_rgb.weight"][:OBJECT] *= 0.9
    return Checkpoint(CONFIG, last, discriminator().state_dict(), average, **about)
