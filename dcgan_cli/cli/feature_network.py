"""Which network images are compared by, and what is said about it."""

from pathlib import Path

import torch

from dcgan_cli.analysis.evaluate import feature_networks
from dcgan_cli.analysis.evaluate.feature_networks import FeatureNetwork
from dcgan_cli.analysis.evaluate.inception import cached_file
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.errors import UsageError


def choose_network(
    console: Console, asked: str | Path, model: Checkpoint | None, device: torch.device
) -> FeatureNetwork:
    """The network that --features names: a word, or the file of FID's Inception.

    Raises DcganError where its weights are missing or are others.
    """
    if isinstance(asked, Path):
        return feature_networks.inception_features(asked, device)
    if asked == "auto" and (found := cached_file()) is not None:
        console.note(f"features of FID's Inception, {found}")
        return feature_networks.inception_features(found, device)
    if asked == "discriminator":
        if model is None:
            raise UsageError("--features discriminator: of which checkpoint? Name one")
        discriminator = model.build_discriminator().to(device)
        return feature_networks.discriminator_features(discriminator, model.hash)
    if asked == "efficientnet" or (asked == "auto" and feature_networks.has_efficientnet()):
        return feature_networks.efficientnet_features(device)
    if asked == "auto":
        console.note(
            "by a network of random weights, which tells noise and blur and knows no things; for "
            f"one that does: {feature_networks.INSTALL}"
        )
    return feature_networks.random_network()
