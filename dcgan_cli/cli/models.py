"""The trained model that a command works with, and latent vectors of it that a person names."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.concepts import find_checkpoint_with_concepts
from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.checkpoint.latent_arguments import NamedLatents, read_latents
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.outputs import Output, refuse_inputs


def open_model(
    console: Console,
    checkpoint: str | None,
    doing: str,
    outputs: Sequence[Output] = (),
    *,
    knowing: Iterable[str] = (),
) -> tuple[Path, Checkpoint]:
    """The model that `checkpoint` names, said on stderr after `doing`, and its file.

    Without a name it is the newest, or the newest that has all concepts in `knowing`. Raises
    CheckpointError, and UsageError where one of `outputs` would replace it.
    """
    path = find_checkpoint_with_concepts(checkpoint, knowing)
    refuse_inputs(outputs, path)
    console.note(f"{doing} {path}")
    return path, load(path)


def read_points(
    console: Console, argument: str, model: Checkpoint, path: Path, sampler: Sampler
) -> NamedLatents:
    """As read_latents; a note says with which options `sampler` would give the same images again."""
    named = read_latents(argument, model, path)
    options = sampler.options_for(named.drawn)
    if options is not None:
        console.note(
            f"{argument}: drawn with {named.drawn}, here with {sampler.draw_settings}; to see the same images, "
            f"{options}"
        )
    return named
