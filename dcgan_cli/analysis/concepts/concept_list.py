"""What a model has concepts of."""

from collections.abc import Mapping

from dcgan_cli.checkpoint.concepts import Concept
from dcgan_cli.report import Report, Table


def concept_list(checkpoint: str, known: Mapping[str, Concept]) -> Report:
    """The concepts of the model with the hash `checkpoint`, by name."""
    entries = [
        {
            "name": name,
            "exemplars": len(concept.exemplars),
            "meaning": [{"name": key, "value": value} for key, value in concept.meaning.items()],
            "made": concept.made,
        }
        for name, concept in sorted(known.items())
    ]
    return Report("Concepts", {"checkpoint": checkpoint, "concepts": entries})


def concept_table(known: Mapping[str, Concept]) -> Table:
    """The same for people."""
    rows = [(name, len(concept.exemplars), concept.made) for name, concept in sorted(known.items())]
    return Table("Concepts", ("name", "exemplars", "made"), rows)
