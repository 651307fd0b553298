"""Reading a CSV table with any usual separator and encoding, and tolerating spreadsheet artifacts.

What is repaired is noted in `LabelTable.notes`: another encoding than UTF-8, and columns without a name
and content. Whether the first row is a header can only be decided together with the images: see
`table_matching.py`.
"""

import contextlib
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_cli.errors import SourceError

MAX_TABLE_BYTES = 256 << 20
"""Maximum size of a table: 40 attributes of the 202,599 images of CelebA take 27 MB."""

_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks of "Unicode text" of Excel; anything else is UTF-8, or Windows-1252."""

_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1f\x7f]|\xff\xfe|\xfe\xff")

_FILE_WORDS = (
    "file files filename file_name filepath file_path path image images image_name image_path "
    "image_id imageid img img_name img_path image_file name id fname photo record key "
    "sample"
)
FILE_WORDS = frozenset([*_FILE_WORDS.split(), "picture"])
"""Names of a column that names the images."""


@dataclass(frozen=True)
class LabelTable:
    """A label file as read: its header, and its rows with their line numbers.

    `file_column` is the index of the column that names the images.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    file_column: int = 0
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> LabelTable:
    """The CSV file at `path`, separated by commas, semicolons or tabs. Raises SourceError.

    Empty rows are skipped, and so are extra empty cells at the end of a row, as spreadsheets write
    them. If every row has one cell more than the header, the first column has no name, as R writes
    row names.
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
    return LabelTable(
        path,
        [header[place] for place in kept],
        [[row[place] for place in kept] if len(kept) < len(header) else row for _, row in body],
        [line for line, _ in body],
        notes=notes,
    )


def _has_row_names(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column holds row names as R writes them, without a column name."""
    if not rows or any(len(row) != len(header) + 1 or not row[-1].strip() for row in rows):
        return False
    counted = all(row[0].strip() == str(number) for number, row in enumerate(rows, 1))
    return counted or header[0].casefold() not in FILE_WORDS


def _too_little(path: Path) -> SourceError:
    return SourceError(
        f"--labels {path}: expected a header, at least one row, and at least two columns "
        "of which one is the file"
    )


def _not_csv(path: Path, error: Exception) -> SourceError:
    return SourceError(f"--labels {path}: not a CSV file in UTF-8 ({error}); save it as one")


def _text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of the file, and a note where it is in another encoding than UTF-8."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise SourceError(
                f"--labels {path}: larger than {MAX_TABLE_BYTES >> 20} MiB; no table of labels is"
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
        with contextlib.suppress(UnicodeDecodeError):
            if encoding != "utf-16" and not _NO_TEXT.search(data):
                note = f"{path}: not in UTF-8; read as Windows-1252 (Latin-1)"
                return data.decode("cp1252"), (note,)
        raise _not_csv(path, error) from error


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its last line."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    pool: dict[str, str] = {}  # share equal strings: cells repeat often
    try:
        return [
            (reader.line_num, [pool.setdefault(cell, cell) for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise _not_csv(path, error) from error
