"""`--labels FILE.csv`: labels from a table are joined to the images of a source.

One column names the images: the one whose cells match the most images. A table with the columns
kind, x0, y0, x1 and y1 contains boxes; in any other table, each further column that has a name
becomes a column of labels:

- a column called label, class, category, target, digit, type, group, split or id (or ending in such
  a word, like fine_label) contains words, even if they look like numbers;
- 0 and 1, −1 and 1, true and false: the words NAME and not_NAME, so that a concept can be built
  from them ("smile", "not_smile");
- other numbers: float64;
- anything else: words.

An empty cell, and "nan" in a column of numbers, means unknown. The index that pandas writes, a
column of numbers without a name, is ignored.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.csv_tables import LabelTable, read_table
from dcgan_cli.data.labels import Boxes, Column, Columns, Labels, Words, vocabulary
from dcgan_cli.data.table_matching import Match, NamedImages, match_rows
from dcgan_cli.errors import SourceError

_CORNERS = ("x0", "y0", "x1", "y1")
_CLASS_COLUMN = re.compile(
    r"(^|[_ ])(label|class|category|target|digit|type|group|split|id)$", re.IGNORECASE
)
_TRUTH = {"true": "1", "false": "0", "": "nan"}


_UNNAMED = re.compile(r"unnamed: ?\d+", re.IGNORECASE)
"""The name that pandas gives to a column without one."""


def join_labels(path: Path, source: NamedImages) -> Labels:
    """The labels in the CSV file at `path` for the images of `source`.

    `Labels.listed` says which images have a row, `Labels.notes` how rows and images were matched
    (see `table_matching.py`).

    Example: `labels = join_labels(Path("labels.csv"), open_source("photos/"))`.

    Raises:
        SourceError: unreadable, not a table, an invalid or ambiguous row, two rows that contradict
            each other, or no row that matches an image.
    """
    return join_table(read_table(path), source)


def join_table(table: LabelTable, source: NamedImages) -> Labels:
    """As `join_labels`, for a table in memory."""
    match = match_rows(table, source)
    table = match.table
    listed = np.zeros(len(source), np.bool_)
    listed[match.image[match.image >= 0]] = True
    if set(_CORNERS) <= set(table.header):
        return Labels(boxes=_boxes(match, listed), listed=listed, notes=match.notes)
    _refuse_contradictions(match)
    columns = {
        name: _spread(_column(name, [row[place] for row in table.rows]), match.image, len(source))
        for place, name in _named_columns(table)
    }
    if not columns:
        raise SourceError(f"{table.path}: no column of labels beside the one that names the images")
    return Labels(Columns(columns), listed=listed, notes=match.notes)


def _named_columns(table: LabelTable) -> list[tuple[int, str]]:
    """Index and name of each column of labels; an unnamed column gets a name unless it is an index.

    Raises SourceError if two columns have the same name.
    """
    columns: dict[str, int] = {}
    for place, name in enumerate(table.header):
        nameless = not name or _UNNAMED.fullmatch(name)
        if place == table.file_column or (nameless and _is_index(table, place)):
            continue
        before = columns.setdefault(name or f"column_{place + 1}", place)
        if before != place:
            raise SourceError(
                f"{table.path}: columns {before + 1} and {place + 1} are both called {name}; "
                "rename one of them"
            )
    return [(place, name) for name, place in columns.items()]


def _is_index(table: LabelTable, place: int) -> bool:
    """Whether the cells of a column are distinct whole numbers: a row index."""
    cells = {row[place].strip() for row in table.rows}
    return len(cells) == len(table.rows) and all(cell.isdecimal() for cell in cells)


def _refuse_contradictions(match: Match) -> None:
    """Raise SourceError if two rows about the same file have different values."""
    table = match.table
    first: dict[int | str, int] = {}
    for row, image in enumerate(match.image.tolist()):
        file = table.rows[row][table.file_column]
        before = first.setdefault(image if image >= 0 else file.strip(), row)
        if before != row and _labels(table, before) != _labels(table, row):
            other = table.rows[before][table.file_column]
            raise SourceError(
                f"{table.path}: {other.strip()!r} stands on line {table.lines[before]} and again on "
                f"line {table.lines[row]}{'' if file == other else f', as {file.strip()!r},'} with "
                "other values; keep one of them"
            )


def _labels(table: LabelTable, row: int) -> list[str]:
    """The label cells of a row."""
    places = {place for place, _ in _named_columns(table)}
    return [cell.strip() for place, cell in enumerate(table.rows[row]) if place in places]


def _column(name: str, cells: Sequence[str]) -> Words | NDArray[np.float64]:
    """The typed values of a column; the rules are in the docstring of this module."""
    words = Words.collect(cell.strip() for cell in cells)
    values = None if _CLASS_COLUMN.search(name) else _numbers(words.vocabulary.tolist())
    if values is None:
        return words
    known = set(values[~np.isnan(values)].tolist())
    if known <= {0.0, 1.0} or known <= {-1.0, 1.0}:
        meanings = [
            "" if math.isnan(value) else name if value > 0 else f"not_{name}" for value in values
        ]
        return Words(np.array(meanings, np.str_), words.codes)
    return values[words.codes]


def _numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Distinct cells as numbers, NaN if unknown; None if one is not a finite number."""
    try:
        values = np.array([float(_TRUTH.get(cell.lower(), cell)) for cell in cells])
    except ValueError:
        return None
    return None if np.isinf(values).any() or np.isnan(values).all() else values


def _spread(
    column: Words | NDArray[np.float64], image: NDArray[np.int64], count: int
) -> Words | Column:
    """A column of the table's rows as a column of the `count` images, unknown if unlisted."""
    kept = image >= 0
    if isinstance(column, Words):
        codes = np.full(count, len(column.vocabulary), np.int64)
        codes[image[kept]] = column.codes[kept]
        return Words(np.append(column.vocabulary, ""), codes)
    spread = np.full(count, np.nan)
    spread[image[kept]] = column[kept]
    return spread


def _boxes(match: Match, listed: NDArray[np.bool_]) -> Boxes:
    """The boxes of a table; a row with empty corners says that the image has no object."""
    table = match.table
    if "kind" not in table.header:
        raise SourceError(f"{table.path}: boxes need a column kind; add it after the file")
    places = [table.header.index(name) for name in _CORNERS]
    kind_place = table.header.index("kind")
    image: list[int] = []
    kinds: list[str] = []
    corners: list[list[float]] = []
    for row, line, index in zip(table.rows, table.lines, match.image.tolist(), strict=True):
        cells = [row[place].strip() for place in places]
        if not any(cells):
            continue
        box = _corners(cells)
        if box is None:
            raise SourceError(
                f"{table.path}, line {line}: found the corners {', '.join(cell[:20] for cell in cells)}; expected "
                "x0 < x1 and y0 < y1 as fractions of width and height, from 0 to 1"
            )
        if index >= 0:
            image.append(index)
            kinds.append(row[kind_place].strip())
            corners.append(box)
    return Boxes(
        np.array(image, np.int64),
        vocabulary(kinds),
        np.array(corners, np.float64).reshape(-1, 4),
        listed,
    )


def _corners(cells: Sequence[str]) -> list[float] | None:
    try:
        x0, y0, x1, y1 = box = [float(cell) for cell in cells]
    except ValueError:
        return None
    return box if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 else None
