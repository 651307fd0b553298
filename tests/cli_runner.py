"""Commands as a person types them, in this process, and untrained models to type them with."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import initialize

Run = Callable[..., tuple[int, bytes, str]]
"""Arguments of a command → its exit code, stdout and stderr."""


def command(name: str, capture: pytest.CaptureFixture[bytes]) -> Run:
    """`dcgan NAME ...`, with the streams taken from `capture` (capfdbinary)."""

    def run(*arguments: str) -> tuple[int, bytes, str]:
        capture.readouterr()
        line = [name, *arguments]
        code = run_guarded(lambda: app(line, standalone_mode=False))
        said = capture.readouterr()
        return code, said.out, said.err.decode()

    return run


def untrained(config: ModelConfig, contrast: float = 1.0, **about: Any) -> Checkpoint:
    """Networks of fixed random weights; by `contrast` times the usual differences in images."""
    generator, discriminator = Generator(config), Discriminator(config)
    initialize(generator, torch.Generator().manual_seed(0))
    initialize(discriminator, torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.to_rgb.weight.mul_(contrast)
    return Checkpoint(config, generator.state_dict(), discriminator.state_dict(), **about)


def untrained_on_digits(config: ModelConfig) -> Checkpoint:
    """As `untrained`, but it says of itself that it was trained on scikit-learn's digits."""
    fingerprint = open_source("digits").fingerprint()
    data = {"location": "digits", "fingerprint": fingerprint, "background": "white"}
    return untrained(config, data=data)
