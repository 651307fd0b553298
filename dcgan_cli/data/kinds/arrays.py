"""Sources of raw pixels, in memory or in a file: the classic small data sets."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.file_reader import FileReader, fingerprint
from dcgan_cli.data.labels import Columns, Labels, Words
from dcgan_cli.errors import SourceError


class FileRows:
    """Images uint8 [N, H, W] stored one after another in a file; each is read when requested."""

    def __init__(self, file: FileReader, start: int, shape: tuple[int, ...]) -> None:
        self._file, self._start, self._shape = file, start, shape

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Image `index`. Raises OSError, or ValueError if the file was truncated."""
        size = math.prod(self._shape[1:])
        data = self._file.read(self._start + index * size, size)
        return np.frombuffer(data, np.uint8).reshape(self._shape[1:])


class PixelRows(Protocol):
    """Images by number, in memory or in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]:
        """Image `index`, uint8 [H, W] or [H, W, 3]."""
        ...


LoadPixels = Callable[[], PixelRows]


class ArraySource:
    """A source of images uint8 [N, H, W] or [N, H, W, 3].

    Pixels are not sent between processes: a process that receives the pickled source calls `load`
    at its first read. `files` are included in the fingerprint.
    """

    def __init__(
        self,
        kind: str,
        location: str,
        pixels: PixelRows,
        load: LoadPixels,
        labels: Labels | None,
        files: Sequence[Path],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.location = location
        self.labels = labels
        self.notes = notes
        self._load = load
        self._files = list(files)
        self._pixels: PixelRows | None = pixels
        self._count = len(pixels)

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image `index`, uint8 [H, W] or [H, W, 3]. Raises OSError, ValueError as `load` does."""
        if self._pixels is None:
            self._pixels = self._load()
        return np.ascontiguousarray(self._pixels[index])

    def name(self, index: int) -> str:
        """`record 17`: these images have no names."""
        return f"record {index}"

    def fingerprint(self) -> str:
        """A digest of the files' names, sizes and times."""
        return fingerprint(self._files, self.kind.encode(), str(self._count).encode())

    def content(self) -> str:
        """As Source.content."""
        return content_digest(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}


def part_files(
    location: str, name: str, folder: Path, parts: Mapping[str, Sequence[str]], part: str
) -> list[Path]:
    """The files of one part of the data set `name`, absolute.

    Raises SourceError if it has no such part, or a file is missing.
    """
    if part not in parts:
        known = " or ".join(f"#{known}" for known in parts)
        raise SourceError(f"{location}: {name} has no part {part}; use {known}")
    files = [(folder / file).absolute() for file in parts[part]]
    if missing := [file.name for file in files if not file.is_file()]:
        raise SourceError(f"{location}: {', '.join(missing)} missing; unpack the archive again")
    return files


def class_labels(codes: NDArray[np.integer], names: Sequence[str] | None = None) -> Labels:
    """Class numbers int [N] as the column "label": the words `names[code]`, or the digits."""
    if names is None:
        names = [str(number) for number in range(int(codes.max(initial=0)) + 1)]
    return Labels(Columns({"label": Words(np.array(names, np.str_), codes)}))
