"""Data sets of fixed-size rows in *.bin files: CIFAR-10, CIFAR-100 and STL-10.

CIFAR (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"): a row is one label byte (two
in CIFAR-100: coarse, then fine) and 3072 bytes, channel by channel, row by row. STL-10
(https://cs.stanford.edu/~acoates/stl10): 27,648 bytes, channel by channel, *column* by column, with
the labels, 1 to 10, in a separate file.
"""

import bisect
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource, part_files
from dcgan_cli.data.kinds.file_reader import FileReader
from dcgan_cli.data.labels import Columns, Labels, Words, vocabulary
from dcgan_cli.errors import SourceError


@dataclass(frozen=True)
class _Form:
    """One data set: its files, and the layout of a row.

    `columns` are the label bytes before the pixels, each with the file of its words. `own_labels`
    are the files that contain the labels instead, by part; they count from 1.
    """

    name: str
    folders: tuple[str, ...]
    parts: dict[str, tuple[str, ...]]
    side: int
    columns: tuple[tuple[str, str], ...]
    by_column: bool = False
    own_labels: dict[str, str] | None = None

    @property
    def row(self) -> int:
        """Bytes a row."""
        before = 0 if self.own_labels is not None else len(self.columns)
        return before + 3 * self.side * self.side


_MAX_NAMES_CHARACTERS = 1 << 20
"""Characters of a file of class names that are read."""

_FORMS = (
    _Form(
        "CIFAR-10",
        (".", "cifar-10-batches-bin"),
        {
            "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            "test": ("test_batch.bin",),
        },
        32,
        (("label", "batches.meta.txt"),),
    ),
    _Form(
        "CIFAR-100",
        (".", "cifar-100-binary"),
        {"train": ("train.bin",), "test": ("test.bin",)},
        32,
        (("coarse_label", "coarse_label_names.txt"), ("label", "fine_label_names.txt")),
    ),
    _Form(
        "STL-10",
        (".", "stl10_binary"),
        {"train": ("train_X.bin",), "test": ("test_X.bin",), "unlabeled": ("unlabeled_X.bin",)},
        96,
        (("label", "class_names.txt"),),
        by_column=True,
        own_labels={"train": "train_y.bin", "test": "test_y.bin"},
    ),
)


def open_found(found: tuple[Path, _Form], location: str, part: str | None) -> ArraySource:
    """One part of the data set, train unless `part` says otherwise.

    Raises SourceError: files that are missing, cut short or of another form, or no such part.
    """
    folder, form = found
    part = part or "train"
    files = part_files(location, form.name, folder, form.parts, part)
    load = functools.partial(_Images, form, files)
    images = load()
    labels = _labels(form, folder, part, images)
    return ArraySource(f"{form.name}, {part} part", location, images, load, labels, files)


def find(path: Path, head: bytes = b"") -> tuple[Path, _Form] | None:
    """The folder `path`, or the archive's folder in it, and the data set whose files it holds."""
    for form in _FORMS:
        for place in form.folders:
            folder = path / place
            if any((folder / name).is_file() for names in form.parts.values() for name in names):
                return folder, form
    return None


class _Images:
    """The images in the rows of one or more files; each is read when requested."""

    def __init__(self, form: _Form, files: Sequence[Path]) -> None:
        self._form = form
        self._files = [FileReader(file) for file in files]
        self._ends = list(itertools.accumulate(_count(form, file) for file in files))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Image `index`, [H, W, 3]. Raises OSError, or ValueError if a file was truncated."""
        side, size = self._form.side, 3 * self._form.side * self._form.side
        data = self._read(index, self._form.row - size, size)
        planes = np.frombuffer(data, np.uint8).reshape(3, side, side)
        return planes.transpose(2, 1, 0) if self._form.by_column else planes.transpose(1, 2, 0)

    def before(self, index: int, count: int) -> bytes:
        """The first `count` bytes of row `index`."""
        return self._read(index, 0, count)

    def _read(self, index: int, start: int, size: int) -> bytes:
        number = bisect.bisect_right(self._ends, index)
        row = index - (self._ends[number - 1] if number else 0)
        return self._files[number].read(row * self._form.row + start, size)


def _count(form: _Form, file: Path) -> int:
    """How many rows a file has."""
    size = file.stat().st_size
    if size == 0 or size % form.row:
        raise SourceError(
            f"{file}: {size:,} bytes are no whole number of {form.name}'s rows of {form.row:,}; "
            "download it again"
        )
    return size // form.row


def _labels(form: _Form, folder: Path, part: str, images: _Images) -> Labels | None:
    """The labels as words from the files of names; as numbers without one."""
    count, width = len(images), len(form.columns)
    if form.own_labels is None:
        found = b"".join(images.before(index, width) for index in range(count))
        bytes_before = np.frombuffer(found, np.uint8).reshape(-1, width)
    elif part in form.own_labels and (file := folder / form.own_labels[part]).is_file():
        with file.open("rb") as opened:
            bytes_before = np.frombuffer(opened.read(count + 1), np.uint8)[:, None] - np.uint8(1)
    else:
        return None
    columns: dict[str, Words] = {}
    for place, (column, names) in enumerate(form.columns):
        codes = bytes_before[:, place].astype(np.int64)
        words = _words(folder / names) or [str(number) for number in range(100)]
        if len(codes) != count or codes.max(initial=0) >= len(words):
            raise SourceError(
                f"{folder}: labels of {form.name} do not fit its {count:,} images and "
                f"{len(words)} classes; download it again"
            )
        columns[column] = Words(vocabulary(words), codes)
    return Labels(Columns(columns))


def _words(file: Path) -> list[str]:
    """The names of classes, one a line; empty where there is no such file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", errors="replace") as opened:
        lines = opened.read(_MAX_NAMES_CHARACTERS).splitlines()
    return [line.strip() for line in lines if line.strip()]
