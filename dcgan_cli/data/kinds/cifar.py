"""CIFAR-10 and CIFAR-100, "python" version: pickles of rows of 3072 bytes, channel by channel.

Unpickling can run code. These pickles are read by `pickles`, with stand-ins for the few names of
numpy that they use: nothing of numpy and nothing in the file is ever called. Format:
https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout".
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource, part_files
from dcgan_cli.data.kinds.file_reader import MAX_RECORD
from dcgan_cli.data.labels import Columns, Labels, Words, vocabulary
from dcgan_cli.errors import SourceError
from dcgan_cli.pickles import ForbiddenError, PickleError, StandIns, read_pickle

_FOLDERS = (".", "cifar-10-batches-py", "cifar-100-python")
_PARTS = {
    "train": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    "test": ("test_batch",),
}
_HUNDRED_PARTS = {"train": ("train",), "test": ("test",)}
_SIDE, _ROW = 32, 3 * 32 * 32
_KEYS_OF_COLUMNS = {
    "label": (("labels", "label_names"), ("fine_labels", "fine_label_names")),
    "coarse_label": (("coarse_labels", "coarse_label_names"),),
}
"""For each column: the keys of its numbers in a batch and of its words in the meta file."""


def open_found(
    found: tuple[Path, dict[str, tuple[str, ...]], str], location: str, part: str | None
) -> ArraySource:
    """The train batches, or the test batch.

    Raises SourceError: batches that are missing, damaged or hostile, or no such part.
    """
    folder, parts, meta_name = found
    part = part or "train"
    files = part_files(location, "CIFAR", folder, parts, part)
    batches = [_read_pickle(file) for file in files]
    pixels = _stack(files, batches)
    meta_file = folder / meta_name
    meta = _read_pickle(meta_file) if meta_file.is_file() else {}
    name = "CIFAR-10" if parts is _PARTS else "CIFAR-100"
    return ArraySource(
        f"{name}, {part} part",
        location,
        pixels,
        functools.partial(_stack, files),
        _labels(folder, batches, meta, len(pixels)),
        files,
    )


def find(path: Path, head: bytes) -> tuple[Path, dict[str, tuple[str, ...]], str] | None:
    """The folder with the batches, the files of its parts, and the name of its meta file."""
    for place in _FOLDERS:
        folder = path / place
        if any((folder / name).is_file() for name in (*_PARTS["train"], *_PARTS["test"])):
            return folder, _PARTS, "batches.meta"
        if (folder / "meta").is_file() and (folder / "train").is_file():
            return folder, _HUNDRED_PARTS, "meta"
    return None


def _stack(
    files: Sequence[Path], batches: Sequence[dict[str, Any]] | None = None
) -> NDArray[np.uint8]:
    """The rows of all batches as images uint8 [N, 32, 32, 3]."""
    batches = batches or [_read_pickle(file) for file in files]
    rows: list[NDArray[np.uint8]] = []
    for file, batch in zip(files, batches, strict=True):
        data = batch.get("data")
        if not isinstance(data, _Array) or data.values.ndim != 2 or data.values.shape[1] != _ROW:
            raise SourceError(
                f"{file}: expected a batch of CIFAR, rows of {_ROW} bytes called data"
            )
        rows.append(data.values)
    channels_first = np.concatenate(rows).reshape(-1, 3, _SIDE, _SIDE)
    return channels_first.transpose(0, 2, 3, 1)


def _labels(
    folder: Path, batches: Sequence[dict[str, Any]], meta: dict[str, Any], count: int
) -> Labels | None:
    """The classes of all batches as words from the meta file; as digits without one."""
    columns: dict[str, Words] = {}
    for column, forms in _KEYS_OF_COLUMNS.items():
        for codes_name, words_name in forms:
            if not all(isinstance(batch.get(codes_name), list) for batch in batches):
                continue
            codes = [code for batch in batches for code in batch[codes_name]]
            named = meta.get(words_name)
            words = [_text(word) for word in named] if isinstance(named, list) else []
            words = words or [str(number) for number in range(100)]
            if len(codes) != count or not all(
                type(code) is int and 0 <= code < len(words) for code in codes
            ):
                raise SourceError(f"{folder}: the {codes_name} do not fit the images")
            columns[column] = Words(vocabulary(words), np.array(codes, np.int64))
    return Labels(Columns(columns)) if columns else None


def _text(word: object) -> str:
    """A word of a pickle; for any other value its type, because a value may be too long to print."""
    if isinstance(word, bytes):
        return word.decode("utf-8", "replace")
    return word if isinstance(word, str) else type(word).__name__


def _read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle of Python 2 or 3, with str keys. Raises SourceError."""
    if path.stat().st_size > MAX_RECORD:
        raise SourceError(f"{path}: not a batch of CIFAR: larger than {MAX_RECORD >> 20} MiB")
    try:
        content = read_pickle(path.read_bytes(), _STAND_INS)
    except PickleError as error:
        raise SourceError(
            f"{path}: not a batch of CIFAR ({error}), nothing of it was run; download it again"
        ) from error
    if not isinstance(content, dict):
        raise SourceError(f"{path}: not a batch of CIFAR; download it again")
    return {_text(key): value for key, value in content.items()}


class _Dtype:
    """Stand-in for a numpy dtype: only its code."""

    def __init__(self, code: object, *_: object) -> None:
        self.code = _text(code)

    def __setstate__(self, state: object) -> None:
        """Ignores the byte order, which is irrelevant for single bytes."""


class _Array:
    """Stand-in for a numpy array of bytes: `values` uint8, made from checked parts."""

    values: NDArray[np.uint8]

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _, shape, dtype, column_major, data = state
        if dtype.code not in ("u1", "uint8"):
            raise ForbiddenError(f"an array of {dtype.code[:20]}, expected bytes")
        values = np.frombuffer(data, np.uint8)
        self.values = values.reshape(shape, order="F" if column_major else "C")


def _latin1(text: object, encoding: object) -> bytes:
    """How Python 3 stores bytes in pickles of old protocols."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ForbiddenError("an encoding other than Latin-1")
    return text.encode("latin-1")


_STAND_INS: StandIns = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _latin1,
}
"""All callables in pickles of numpy arrays, and their replacements."""
