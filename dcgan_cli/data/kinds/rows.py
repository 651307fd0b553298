"""Data sets that are rows of bytes in files called *.bin: CIFAR-10, CIFAR-100 and STL-10.

CIFAR (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"): a row is one label byte (two
in CIFAR-100: coarse, then fine) and 3072 bytes, color by color, row by row. STL-10
(https://cs.stanford.edu/~acoates/stl10): 27,648 bytes, color by color, *column* by column, with the
labels, 1 to 10, in a file of their own.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource
from dcgan_cli.data.labels import Columns, Labels, Words
from dcgan_cli.errors import SourceError


@dataclass(frozen=True)
class _Form:
    """One data set: its files, and what a row is made of.

    `columns` are the label bytes before the pixels, each with the file of its words. `own_labels`
    are the files that hold the labels instead, by part; they count from 1.
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


def matches(path: Path) -> bool:
    """Whether `path` is a folder with files of one of these names (also in the archive's folder)."""
    return _home(path) is not None


def open_path(path: Path, location: str, part: str | None) -> ArraySource:
    """One part of the data set in `path`, train unless `part` says otherwise.

    Raises:
        SourceError: files that are missing, cut short or of another form, or no such part.
    """
    home = _home(path)
    assert home is not None
    folder, form = home
    part = part or "train"
    if part not in form.parts:
        parts = " or ".join(f"#{name}" for name in form.parts)
        raise SourceError(f"{location}: {form.name} has no part {part}; use {parts}")
    files = [(folder / name).absolute() for name in form.parts[part]]
    if missing := [file.name for file in files if not file.is_file()]:
        raise SourceError(f"{location}: {', '.join(missing)} missing; unpack the archive again")
    labels = _labels(form, folder, part, files)
    load = functools.partial(_load, form, files)
    return ArraySource(f"{form.name}, {part} part", location, load(), load, labels, files)


def _home(path: Path) -> tuple[Path, _Form] | None:
    """The folder with the files, and what they are."""
    for form in _FORMS:
        for place in form.folders:
            folder = path / place
            if any((folder / name).is_file() for names in form.parts.values() for name in names):
                return folder, form
    return None


def _rows(form: _Form, file: Path) -> NDArray[np.uint8]:
    """The rows of one file, mapped: uint8 [N, bytes a row]."""
    size = file.stat().st_size
    if size == 0 or size % form.row:
        raise SourceError(
            f"{file}: {size:,} bytes are no whole number of {form.name}'s rows of {form.row:,}; "
            "download it again"
        )
    return np.memmap(file, np.uint8, "r", shape=(size // form.row, form.row)).view(np.ndarray)


def _load(form: _Form, files: Sequence[Path]) -> NDArray[np.uint8]:
    """The images of all files, uint8 [N, H, W, 3]."""
    pixels = 3 * form.side * form.side
    rows = [_rows(form, file)[:, form.row - pixels :] for file in files]
    # one file stays mapped: STL-10's unlabeled part has 2.8 GB
    planes = (rows[0] if len(rows) == 1 else np.concatenate(rows)).reshape(
        -1, 3, form.side, form.side
    )
    return planes.transpose(0, 3, 2, 1) if form.by_column else planes.transpose(0, 2, 3, 1)


def _labels(form: _Form, folder: Path, part: str, files: Sequence[Path]) -> Labels | None:
    """The labels as words, by the files of names; as numbers without one."""
    if form.own_labels is None:
        bytes_before = np.concatenate(
            [_rows(form, file)[:, : len(form.columns)].copy() for file in files]
        )
    elif part in form.own_labels and (file := folder / form.own_labels[part]).is_file():
        bytes_before = np.fromfile(file, np.uint8)[:, None] - np.uint8(1)
    else:
        return None
    count = sum(len(_rows(form, file)) for file in files)
    columns: dict[str, Words] = {}
    for place, (column, names) in enumerate(form.columns):
        codes = bytes_before[:, place].astype(np.int64)
        words = _words(folder / names) or [str(number) for number in range(100)]
        if len(codes) != count or codes.max(initial=0) >= len(words):
            raise SourceError(
                f"{folder}: labels of {form.name} do not fit its {count:,} images and "
                f"{len(words)} classes; download it again"
            )
        columns[column] = Words(np.array(words, np.str_), codes)
    return Labels(Columns(columns))


def _words(file: Path) -> list[str]:
    """The names of classes, one a line; empty where there is no such file."""
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]
