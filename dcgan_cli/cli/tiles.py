"""Latent arguments of a command that draws: where a tile was drawn otherwise, that is said."""

from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from dcgan_cli.analysis.sampling import Sampler
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.checkpoint.latent_arguments import NamedLatents


def read_points(
    console: Console, argument: str, model: "Checkpoint", path: Path, sampler: "Sampler"
) -> "NamedLatents":
    """As read_latents; a note says with which options `sampler` would give the same images again."""
    from dcgan_cli.checkpoint.latent_arguments import read_latents

    named = read_latents(argument, model, path)
    options = sampler.options_for(named.drawn)
    if options is not None:
        console.note(
            f"{argument}: drawn with {named.drawn}, here with {sampler.draw_settings}; to see the same images, "
            f"{options}"
        )
    return named
