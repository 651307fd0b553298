"""Writing the concepts of a model; shared by the `dcgan concepts` commands."""

from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.concepts import Concept
    from dcgan_cli.checkpoint.format import Checkpoint


def write(
    console: Console, path: Path, model: "Checkpoint", concepts: "dict[str, Concept]"
) -> None:
    """Write the concepts of a model, and say where older ones went. Raises StorageError."""
    from dcgan_cli.checkpoint.concepts import concepts_path, write_concepts, written_path

    set_aside = write_concepts(path, model, concepts)
    if (place := written_path(path, model)) != concepts_path(path):
        console.note(f"{path} is read-only; its new concepts are in {place}")
    if set_aside is not None:
        console.note(f"the concepts of its earlier weights are set aside in {set_aside}")
