"""`--labels FILE.csv`: what a table says about files is joined to the pictures of a source.

The first column is the file. A table with the columns kind, x0, y0, x1 and y1 holds boxes; in any
other, each further column becomes a column of labels:

- a column called label, class, category, target, digit, type, group, split or id (or one ending
  so, like fine_label) is words, also where the words are numbers;
- 0 and 1, −1 and 1, true and false: the words NAME and not_NAME, so that a concept can be built
  from them ("smile", "not_smile");
- other numbers: float64;
- anything else: words.

An empty cell, and "nan" in a column of numbers, is unknown.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.labels import Boxes, Column, Columns, Labels, Words
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

_CORNERS = ("x0", "y0", "x1", "y1")
_CLASS_COLUMN = re.compile(
    r"(^|[_ ])(label|class|category|target|digit|type|group|split|id)$", re.IGNORECASE
)
_TRUTH = {"true": "1", "false": "0", "": "nan"}
_NOWHERE, _AMBIGUOUS = -1, -2


class Named(Protocol):
    """Pictures with names: all that joining needs of a source."""

    @property
    def location(self) -> str:
        """What was typed."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The relative path of picture `index`, with slashes."""
        ...


@dataclass(frozen=True)
class Table:
    """A file of labels as read: its header, and its rows with the line where each stands."""

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]


def join_labels(path: Path, source: Named) -> Labels:
    """What the CSV file at `path` says about the pictures of `source`.

    A row belongs to the picture of the same relative path; else to the only one whose path ends
    with the row's path, or the other way round, so bare file names do where they are unambiguous.
    `Labels.listed` tells which pictures have a row.

    Raises:
        SourceError: unreadable, no table, a row that makes no sense, or no row matches a picture.
    """
    return join_table(read_table(path), source)


def join_table(table: Table, source: Named) -> Labels:
    """As `join_labels`, for a table that is in memory."""
    files = [_plain(row[0]) for row in table.rows]
    number: dict[str, int] = {}
    row_file = np.array([number.setdefault(file, len(number)) for file in files], np.int64)
    picture = _match(number, source)
    if not (picture >= 0).any():
        raise SourceError(
            f"{table.path}: none of its {counted(len(number), 'file')} is in {source.location}; the table "
            f"says {files[0]!r}, the pictures are called {source.name(0)!r}"
        )
    listed = np.zeros(len(source), np.bool_)
    listed[picture[picture >= 0]] = True
    if set(_CORNERS) <= set(table.header):
        return Labels(boxes=_boxes(table, picture[row_file], listed), listed=listed)
    _refuse_repeats(table, row_file)
    columns = {
        name: _spread(_column(name, [row[place] for row in table.rows]), picture, len(source))
        for place, name in enumerate(table.header)
        if place > 0
    }
    return Labels(Columns(columns), listed=listed)


def read_table(path: Path) -> Table:
    """The CSV file at `path`: UTF-8, with commas, semicolons or tabs. Raises SourceError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            pool: dict[str, str] = {}  # equal cells are one object: tables repeat themselves
            numbered = [
                (reader.line_num, [pool.setdefault(cell, cell) for cell in row])
                for row in reader
                if row
            ]
    except OSError as error:
        raise SourceError(
            f"--labels {path}: {error.strerror or error}; expected a CSV file"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"--labels {path}: not a CSV file in UTF-8 ({error}); save it as one"
        ) from error
    if len(numbered) < 2 or len(numbered[0][1]) < 2:
        raise SourceError(
            f"--labels {path}: expected a header, at least one row, and at least two columns "
            "of which the first is the file"
        )
    header = [name.strip() for name in numbered[0][1]]
    for line, row in numbered[1:]:
        if len(row) != len(header):
            raise SourceError(
                f"--labels {path}, line {line}: {len(row)} cells where the header has {len(header)}"
            )
    return Table(path, header, [row for _, row in numbered[1:]], [at for at, _ in numbered[1:]])


def _plain(file: str) -> str:
    """A path as sources name pictures: slashes forward, no ./ before it."""
    return file.strip().replace("\\", "/").removeprefix("./")


def _endings(path: str) -> list[str]:
    """What `path` is from each of its folders on: for a/b/c.png, b/c.png and c.png."""
    parts = path.split("/")
    return ["/".join(parts[depth:]) for depth in range(1, len(parts))]


def _match(number: dict[str, int], source: Named) -> NDArray[np.int64]:
    """For each file of a table (path → its number) the picture it is; negative where there is none.

    Equal paths go first; else one must be the end of the other, and only one such pair may be.
    """
    shorter: dict[str, int] = {}
    for file, index in number.items():
        for ending in _endings(file):
            shorter[ending] = _AMBIGUOUS if ending in shorter else index
    picture = np.full(len(number), _NOWHERE, np.int64)
    exact = np.zeros(len(number), np.bool_)
    for index in range(len(source)):
        name = source.name(index)
        if (file := number.get(name)) is not None:
            picture[file], exact[file] = index, True
            continue
        longer = (number[ending] for ending in _endings(name) if ending in number)
        file = next(longer, shorter.get(name, _NOWHERE))
        if file >= 0 and not exact[file]:
            picture[file] = index if picture[file] == _NOWHERE else _AMBIGUOUS
    return picture


def _refuse_repeats(table: Table, row_file: NDArray[np.int64]) -> None:
    first_rows = np.unique(row_file, return_index=True)[1]
    if len(first_rows) == len(row_file):
        return
    again = int(np.setdiff1d(np.arange(len(row_file)), first_rows)[0])
    first = int(np.flatnonzero(row_file == row_file[again])[0])
    raise SourceError(
        f"{table.path}: {table.rows[again][0]!r} stands on line {table.lines[first]} and "
        f"again on line {table.lines[again]}; keep one of them"
    )


def _column(name: str, cells: Sequence[str]) -> Words | NDArray[np.float64]:
    """The cells of a column as what they mean; the rules stand at the head of this module."""
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
    """Distinct cells as numbers, NaN where unknown; None where one is no finite number."""
    try:
        values = np.array([float(_TRUTH.get(cell.lower(), cell)) for cell in cells])
    except ValueError:
        return None
    return None if np.isinf(values).any() or np.isnan(values).all() else values


def _spread(
    column: Words | NDArray[np.float64], picture: NDArray[np.int64], count: int
) -> Words | Column:
    """A column of the table's files as a column of the `count` pictures, unknown where unlisted."""
    kept = picture >= 0
    if isinstance(column, Words):
        codes = np.full(count, len(column.vocabulary), np.int64)
        codes[picture[kept]] = column.codes[kept]
        return Words(np.append(column.vocabulary, ""), codes)
    spread = np.full(count, np.nan)
    spread[picture[kept]] = column[kept]
    return spread


def _boxes(table: Table, row_picture: NDArray[np.int64], listed: NDArray[np.bool_]) -> Boxes:
    """The boxes of a table; a row with empty corners says that nothing was there to be seen."""
    if "kind" not in table.header:
        raise SourceError(f"{table.path}: boxes need a column kind; add it after the file")
    places = [table.header.index(name) for name in _CORNERS]
    kind_place = table.header.index("kind")
    picture: list[int] = []
    kinds: list[str] = []
    corners: list[list[float]] = []
    for row, line, index in zip(table.rows, table.lines, row_picture.tolist(), strict=True):
        cells = [row[place].strip() for place in places]
        if not any(cells):
            continue
        box = _corners(cells)
        if box is None:
            raise SourceError(
                f"{table.path}, line {line}: found the corners {', '.join(cells)}; expected "
                "x0 < x1 and y0 < y1 as fractions of width and height, from 0 to 1"
            )
        if index >= 0:
            picture.append(index)
            kinds.append(row[kind_place].strip())
            corners.append(box)
    return Boxes(
        np.array(picture, np.int64),
        np.array(kinds, np.str_),
        np.array(corners, np.float64).reshape(-1, 4),
        listed,
    )


def _corners(cells: Sequence[str]) -> list[float] | None:
    try:
        x0, y0, x1, y1 = box = [float(cell) for cell in cells]
    except ValueError:
        return None
    return box if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 else None
