"""The trained model that a command works with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.outputs import Output, refuse_inputs

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint


def open_model(
    console: Console,
    checkpoint: str | None,
    doing: str,
    outputs: Sequence[Output] = (),
    *,
    knowing: Iterable[str] = (),
) -> "tuple[Path, Checkpoint]":
    """The model that `checkpoint` names, said on stderr after `doing`, and its file.

    Without a name it is the newest, or the newest that has all concepts in `knowing`. Raises
    CheckpointError, and UsageError where one of `outputs` would replace it.
    """
    from dcgan_cli.checkpoint.concepts import find_checkpoint_with_concepts
    from dcgan_cli.checkpoint.format import load

    path = find_checkpoint_with_concepts(checkpoint, knowing)
    refuse_inputs(outputs, path)
    console.note(f"{doing} {path}")
    return path, load(path)
