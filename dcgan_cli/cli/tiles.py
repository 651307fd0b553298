"""Latent arguments of a command that draws: where a tile was drawn otherwise, that is said."""

from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.checkpoint.latents import NamedLatents


def read_points(
    console: Console, argument: str, model: "Checkpoint", path: Path, drawing: "Drawing"
) -> "NamedLatents":
    """As read_latents; a note says with which options `drawing` would give the same images again."""
    from dcgan_cli.checkpoint.latents import read_latents

    named = read_latents(argument, model, path)
    options = drawing.options_for(named.drawn)
    if options is not None:
        console.note(
            f"{argument}: drawn with {named.drawn}, here with {drawing.way}; to see the same images, "
            f"{options}"
        )
    return named
