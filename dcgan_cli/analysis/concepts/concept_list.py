"""What a model has concepts of."""

from collections.abc import Mapping
from pathlib import Path

from dcgan_cli.checkpoint.concepts import Concept
from dcgan_cli.report import Report, Table
from dcgan_cli.wording import counted


def concept_list(path: Path, checkpoint: str, known: Mapping[str, Concept]) -> Report:
    """The concepts of the model at `path` with the hash `checkpoint`, by name."""
    entries = [
        {
            "name": name,
            "exemplars": len(concept.exemplars),
            "meaning": [{"name": key, "value": value} for key, value in concept.meaning.items()],
            "made": concept.made,
        }
        for name, concept in sorted(known.items())
    ]
    facts = {"checkpoint": checkpoint, "concepts": entries}
    return Report("Concepts", facts, verdict=f"{counted(len(known), 'concept')} of {path}")


def concept_table(known: Mapping[str, Concept]) -> Table:
    """The same for people."""
    rows = [(name, len(concept.exemplars), concept.made) for name, concept in sorted(known.items())]
    return Table("Concepts", ("name", "exemplars", "made"), rows)
