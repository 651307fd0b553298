"""A table as a person saved it: any usual separator, encoding and spreadsheet's leftovers.

What is put right on the way is said in `Table.notes`: another encoding than UTF-8, and columns that
have no name and nothing in them. Whether the first row names the columns or is a row like the
others can only be told beside the images: see `table_matching.py`.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_cli.errors import SourceError

MAX_BYTES = 256 << 20
"""Bytes that a table may have: CelebA's 40 attributes of 202,599 images take 27 MB."""

_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""What Excel calls Unicode text; all else is UTF-8, or Latin-1 as older Windows programs have it."""

_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]|\xff\xfe|\xfe\xff")

FILE_WORDS = frozenset(
    [
        "file",
        "files",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "path",
        "image",
        "images",
        "image_name",
        "image_path",
        "image_id",
        "imageid",
        "img",
        "img_name",
        "img_path",
        "image_file",
        "name",
        "id",
        "fname",
        "picture",
        "photo",
        "record",
        "key",
        "sample",
    ]
)
"""Names of a column that says which image a row is about."""


@dataclass(frozen=True)
class Table:
    """A file of labels as read: its header, and its rows with the line where each stands.

    `file_column` is the place of the column that names the images.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    file_column: int = 0
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """The CSV file at `path`: commas, semicolons or tabs. Raises SourceError.

    Rows of empty cells are passed over, and so are empty cells at the end of a row that has more
    cells than the header, as spreadsheets write them. Where every row has one cell more than the
    header, the first column has no name, as R writes row names.
    """
    text, notes = _text(path)
    numbered = _rows(path, text)
    if not numbered:
        raise _too_little(path)
    header = [name.strip() for name in numbered[0][1]]
    body = numbered[1:]
    if _has_row_names(header, [row for _, row in body]):
        header = ["", *header]
    for line, row in body:
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if len(row) != len(header):
            raise SourceError(
                f"--labels {path}, line {line}: {len(row)} cells where the header has {len(header)}"
            )
    kept = [
        place
        for place, name in enumerate(header)
        if name or any(row[place].strip() for _, row in body)
    ]
    if not body or len(kept) < 2:
        raise _too_little(path)
    return Table(
        path,
        [header[place] for place in kept],
        [[row[place] for place in kept] if len(kept) < len(header) else row for _, row in body],
        [line for line, _ in body],
        notes=notes,
    )


def _has_row_names(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether R wrote the names of its rows, 1, 2, 3 ... or files, under no name of a column."""
    if not rows or any(len(row) != len(header) + 1 or not row[-1].strip() for row in rows):
        return False
    counted = all(row[0].strip() == str(number) for number, row in enumerate(rows, 1))
    return counted or header[0].casefold() not in FILE_WORDS


def _too_little(path: Path) -> SourceError:
    return SourceError(
        f"--labels {path}: expected a header, at least one row, and at least two columns "
        "of which one is the file"
    )


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of the file, and a note where it is in another encoding than UTF-8."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(
                f"--labels {path}: larger than {MAX_BYTES >> 20} MiB; no table of labels is"
            )
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"--labels {path}: {error.strerror or error}; expected a CSV file"
        ) from error
    encoding = _ENCODINGS.get(data[:2], "utf-8-sig")
    try:
        return data.decode(encoding), ()
    except UnicodeDecodeError as error:
        windows = None if encoding == "utf-16" or _NO_TEXT.search(data) else _windows(data)
        if windows is None:
            raise SourceError(
                f"--labels {path}: not a CSV file in UTF-8 ({error}); save it as one"
            ) from error
    return windows, (f"{path}: not in UTF-8; read as Windows-1252 (Latin-1)",)


def _windows(data: bytes) -> str | None:
    """`data` as the text of older Windows programs; None where it cannot be such."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return None


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of the line where it ends."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    pool: dict[str, str] = {}  # equal cells are one object: tables repeat themselves
    try:
        return [
            (reader.line_num, [pool.setdefault(cell, cell) for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise SourceError(
            f"--labels {path}: not a CSV file in UTF-8 ({error}); save it as one"
        ) from error
