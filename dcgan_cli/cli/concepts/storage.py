"""The concepts of a model as the `dcgan concepts` commands read and change them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dcgan_cli.checkpoint import concepts as files
from dcgan_cli.checkpoint.concepts import Concept, Concepts
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.models import open_model
from dcgan_cli.cli.options import Streams
from dcgan_cli.cli.outputs import Output
from dcgan_cli.cli.results import say_done
from dcgan_cli.errors import UsageError


class ModelConcepts:
    """The model that `checkpoint` names, with its concepts; `outputs` must not replace it."""

    def __init__(
        self, streams: Streams, checkpoint: str | None, outputs: Sequence[Output] = ()
    ) -> None:
        self.console, self.json = streams.console, streams.json
        self.path, self.model = open_model(self.console, checkpoint, "concepts of", outputs)

    def read(self) -> dict[str, Concept]:
        """As read_concepts. Raises CheckpointError."""
        return files.read_concepts(self.path, self.model)

    def own(self, new: Sequence[str], overwrite: bool) -> dict[str, Concept]:
        """As own_concepts. Raises UsageError where one of `new` is there, without `overwrite`."""
        known = files.own_concepts(self.path, self.model)
        taken = sorted(known.keys() & set(new))
        if taken and not overwrite:
            more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
            raise UsageError(
                f"{taken[0]}{more}: {self.path} has a concept of that name; --overwrite replaces it"
            )
        return known

    def write(self, concepts: Mapping[str, Concept]) -> None:
        """As write_concepts, said where they are. Raises StorageError."""
        write(self.console, self.path, self.model, concepts)

    def conclude(self, title: str, text: str, **facts: Any) -> None:
        """End the command: `text`, or with --json a document of `facts`."""
        say_done(self.console, title, text, self.json, checkpoint=self.model.hash, **facts)


def write(console: Console, path: Path, model: Checkpoint, concepts: Concepts) -> None:
    """Write the concepts of a model, and say where older ones went. Raises StorageError."""
    set_aside = files.write_concepts(path, model, concepts)
    if (place := files.written_path(path, model)) != files.concepts_path(path):
        console.note(f"{path} is read-only; its new concepts are in {place}")
    if set_aside is not None:
        console.note(f"the concepts of its earlier weights are set aside in {set_aside}")
