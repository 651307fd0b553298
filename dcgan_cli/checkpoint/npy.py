"""Reading untrusted .npy files: the header first, then only the requested rows.

Format: numpy/lib/format.py. The file is not memory-mapped, so that a file that is truncated while
it is read raises an error instead of a signal; nothing is read beyond what the shape in the header
and the size of the file both allow.
"""

import io
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as numpy_format
from numpy.typing import NDArray

MAX_READ_BYTES = 1 << 30
"""Maximum number of bytes that are read at once."""

_MAX_HEADER_BYTES = 1 << 16

_HEADERS = {
    (1, 0): numpy_format.read_array_header_1_0,
    (2, 0): numpy_format.read_array_header_2_0,
    # the same, in UTF-8: for names, which none here has
    (3, 0): numpy_format.read_array_header_2_0,
}


@dataclass(frozen=True)
class NpyFile:
    """The header of a file: its numbers have type `dtype` and shape `shape`, from byte `start`."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    column_major: bool
    start: int

    def read(self) -> NDArray[Any]:
        """All numbers. Raises OSError, or ValueError for more than MAX_READ_BYTES or a shrunk file."""
        count = math.prod(self.shape)
        with self.path.open("rb") as file:
            values = self._numbers(file, 0, count)
        return values.reshape(self.shape, order="F" if self.column_major else "C")

    def rows(self, numbers: list[int]) -> NDArray[Any]:
        """Only the rows `numbers` of a matrix. Raises as `read` does."""
        if self.column_major:
            return self.read()[numbers]
        width = self.shape[1]
        if len(numbers) * width * self.dtype.itemsize > MAX_READ_BYTES:
            raise ValueError(_too_large(len(numbers) * width * self.dtype.itemsize))
        rows = np.empty((len(numbers), width), self.dtype)
        with self.path.open("rb") as file:
            for place, number in enumerate(numbers):
                rows[place] = self._numbers(file, number * width, width)
        return rows

    def _numbers(self, file: IO[bytes], first: int, count: int) -> NDArray[Any]:
        size = count * self.dtype.itemsize
        if size > MAX_READ_BYTES:
            raise ValueError(_too_large(size))
        file.seek(self.start + first * self.dtype.itemsize)
        data = file.read(size)
        if len(data) < size:
            raise ValueError(f"the file ends {size - len(data):,} bytes too early")
        return np.frombuffer(data, self.dtype)


def open_npy(path: Path) -> NpyFile:
    """Read the header of the file at `path`.

    Example: `open_npy(Path("z.npy")).read()`.

    Raises OSError, or ValueError if it is damaged, not of real numbers, or announces more than the
    file holds.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # numpy would read a header of any announced length; here its length is limited
        head = io.BytesIO(file.read(_MAX_HEADER_BYTES))
    try:
        read_header = _HEADERS[numpy_format.read_magic(head)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, column_major, dtype = read_header(head)
    except Exception as error:  # a damaged header has been a TokenError, a RecursionError …
        raise ValueError("its header is damaged") from error
    start = head.tell()
    if dtype.kind not in "fiu" or dtype.hasobject or dtype.shape or dtype.fields:
        raise ValueError(f"{str(dtype)[:40]} numbers; expected real ones")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its shape is {str(shape)[:60]}")
    needed = math.prod(shape) * dtype.itemsize
    if needed > size - start:
        raise ValueError(f"its header promises {needed:,} bytes, the file holds {size - start:,}")
    return NpyFile(path, shape, dtype, column_major, start)


def _too_large(size: int) -> str:
    return f"{size:,} bytes are more than is read at once"
