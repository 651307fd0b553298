"""Reading arrays of a MATLAB 5.0 file (save -v7); every header is checked before it is used.

Format: "MAT-File Format", The MathWorks, level 5: elements of a tag and data, compressed or not; a
matrix is an element that contains elements (flags, lengths, name, numbers).
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

ALWAYS_ALLOWED_BYTES, MAX_DEFLATE_RATIO = 64 << 20, 100
"""Above this size, a compression ratio beyond MAX_DEFLATE_RATIO is refused; SVHN's is 1.2."""

MAX_ARRAY_BYTES = 8 << 30
"""Maximum bytes of one array; SVHN's largest has 1.6 GB."""

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4"), start=1)) | {
    9: "f8",
    12: "i8",
    13: "u8",
}
_CLASSES = dict(enumerate(("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), start=6))
"""The numpy types of an element's type and of a matrix's class."""
_COMPLEX = 0x0800
_HEAD = 4096
"""Bytes that contain a matrix's flags, lengths and name."""

Array = NDArray[np.generic]


class MatlabError(ValueError):
    """A damaged file, or one that needs more memory than images do; one line."""


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """The arrays of real numbers whose names are in `names`. Raises OSError and MatlabError."""
    found: dict[str, Array] = {}
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEADER)[126:])
        if order is None:
            raise MatlabError("no header of a MATLAB 5.0 file")
        for kind, start, size in _elements(file, path.stat().st_size, order):
            name, array = _variable(file, kind, start, size, order, names)
            if array is not None:
                found[name] = array
    return found


def _elements(file: IO[bytes], total: int, order: str) -> Iterator[tuple[int, int, int]]:
    """Type, position and length of each element of the file."""
    at = _HEADER
    while at < total:
        file.seek(at)
        tag = file.read(8)
        if len(tag) < 8:
            raise MatlabError("cut short")
        kind, size = struct.unpack(f"{order}II", tag)
        if kind not in (_MATRIX, _COMPRESSED) or at + 8 + size > total:
            raise MatlabError("cut short, or not of elements of MATLAB 5.0")
        yield kind, at + 8, size
        at += 8 + size


def _variable(
    file: IO[bytes], kind: int, start: int, size: int, order: str, names: tuple[str, ...]
) -> tuple[str, Array | None]:
    """Name and numbers of one variable; no numbers if the name is not in `names`."""
    file.seek(start)
    if kind == _MATRIX:
        head, need = file.read(min(size, _HEAD)), size
    else:
        unpacker = zlib.decompressobj()
        try:
            head = unpacker.decompress(file.read(min(size, _HEAD)), _HEAD)
        except zlib.error as error:
            raise MatlabError(str(error)) from error
        if len(head) < 8:
            raise MatlabError("cut short")
        inner, need = struct.unpack_from(f"{order}II", head)
        if inner != _MATRIX:
            return "", None
        head = head[8:]
        if need > max(ALWAYS_ALLOWED_BYTES, size * MAX_DEFLATE_RATIO):
            raise MatlabError(f"refused: {size:,} bytes that unpack to {need:,}; no images do")
    matrix = _Matrix(head, order)
    name = matrix.name
    if name not in names:
        return name, None
    if need > MAX_ARRAY_BYTES:
        raise MatlabError(f"an array of {need:,} bytes")
    file.seek(start)
    data = file.read(size)
    if kind == _COMPRESSED:
        try:
            data = zlib.decompressobj().decompress(data, need + 8)[8:]
        except zlib.error as error:
            raise MatlabError(str(error)) from error
    if len(data) < need:
        raise MatlabError("cut short")
    return name, matrix.numbers(data)


class _Matrix:
    """The header of a matrix: class, lengths and name; and where its numbers begin."""

    def __init__(self, head: bytes, order: str) -> None:
        self._order = order
        flags, at = self._part(head, 0)
        lengths, at = self._part(head, at)
        name, self._start = self._part(head, at)
        if len(flags) < 4 or len(lengths) % 4:
            raise MatlabError("a damaged matrix")
        (self._flags,) = struct.unpack_from(f"{order}I", flags)
        self._shape = struct.unpack(f"{order}{len(lengths) // 4}i", lengths)
        self.name = name.decode("latin-1")

    def numbers(self, data: bytes) -> Array:
        """The array in the matrix `data`; a view if the numbers are stored in the final type."""
        kind, size, at = self._tag(data, self._start)
        if kind not in _NUMBERS or at + size > len(data):
            raise MatlabError("a damaged matrix")
        stored = np.dtype(self._order + _NUMBERS[kind])
        kept = np.frombuffer(data, stored, size // stored.itemsize, at)
        wanted = _CLASSES.get(self._flags & 0xFF)
        if wanted is None or self._flags & _COMPLEX or len(self._shape) > 8:
            raise MatlabError(f"{self.name} is no array of real numbers")
        if min(self._shape, default=0) < 0 or math.prod(self._shape) != len(kept):
            raise MatlabError(f"{self.name} has {len(kept):,} numbers, its lengths say otherwise")
        return kept.astype(wanted, copy=False).reshape(self._shape, order="F")

    def _part(self, data: bytes, at: int) -> tuple[bytes, int]:
        """The data of the element at `at`, and where the next one begins."""
        _, size, start = self._tag(data, at)
        if start + size > len(data):
            raise MatlabError("a damaged matrix")
        small = start == at + 4
        return data[start : start + size], at + 8 if small else start + -(-size // 8) * 8

    def _tag(self, data: bytes, at: int) -> tuple[int, int, int]:
        """Type and length of the element at `at`, and where its data begin."""
        if at + 8 > len(data):
            raise MatlabError("a damaged matrix")
        kind, size = struct.unpack_from(f"{self._order}II", data, at)
        if kind >> 16:  # up to four bytes, packed into the tag itself
            return kind & 0xFFFF, min(kind >> 16, 4), at + 4
        return kind, size, at + 8
