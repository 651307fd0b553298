"""Reading sources in tests: their names, their labels, the line with which they are refused."""

from pathlib import Path

import dataset_files
import pytest

from dcgan_cli.data.sources import Source, open_source
from dcgan_cli.errors import SourceError

FILES = dataset_files.images("a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png", "c/1.png")


def names(source: Source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def words(source: Source, column: str = "label") -> list[str]:
    assert source.labels is not None
    return source.labels.columns[column].tolist()


def refusal(location: str | Path, **options: object) -> str:
    """The one line with which `location` is refused."""
    with pytest.raises(SourceError) as caught:
        open_source(str(location), **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    return line
