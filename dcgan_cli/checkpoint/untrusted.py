"""Safe reading of untrusted `.pt` files: no code runs, and memory is bounded by the file size.

torch.load is not used. torch.save writes a zip archive of uncompressed files: `data.pkl`, a pickle
of the structure of plain values and tensors, and `data/0`, `data/1` …, the numbers of the tensors.
Both are read here (with `pickles`), and every tensor is checked against the number of stored bytes
before it is created.
"""

import math
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from dcgan_cli.errors import CheckpointError
from dcgan_cli.pickles import ForbiddenError, PickleError, read_pickle

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
}
"""The dtypes of the storage types that torch.save names."""

MAX_PICKLE_BYTES = 16 << 20
"""Maximum bytes of everything in a checkpoint except tensors."""

MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8

_DAMAGED = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
"""What zipfile raises for damaged archives."""


def read_pt(path: Path) -> dict[str, Any]:
    """The dictionary in a `.pt` file: strings, numbers, lists and dense tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, altered, or contains anything else.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            kind = "a folder; name the .pt file in it" if path.is_dir() else "not a file"
            raise CheckpointError(f"{path}: {kind}")
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path}: truncated, or not a checkpoint at all")
        with zipfile.ZipFile(path) as archive:
            content = _Reader(path, archive, size).content()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except ForbiddenError as error:
        raise CheckpointError(
            f"{path}: refused: it holds more than plain values and tensors, and could run code "
            f"({error})"
        ) from error
    except PickleError as error:
        raise CheckpointError(f"{path}: refused: damaged or not a checkpoint: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: damaged or not a checkpoint: {reason(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: not a dcgan checkpoint: it holds a {type(content).__name__}"
        )
    _check_plain(path, content, size)
    return cast("dict[str, Any]", content)


@dataclass(frozen=True)
class _Storage:
    """The numbers of one or more tensors: a file in the archive that is not read yet."""

    name: str
    dtype: torch.dtype


class _Reader:
    """Reads one archive of torch.save."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, size: int) -> None:
        self._path = path
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._read: dict[str, Tensor] = {}
        self._tensors = 0
        unpacked = 0
        for entry in archive.infolist():
            unpacked += entry.file_size
            if entry.filename in self._entries:
                raise CheckpointError(f"{path}: refused: two files of one name in it")
            self._entries[entry.filename] = entry
        # torch.save stores without compression: a file that unpacks to more than itself is hostile
        if unpacked > size:
            raise CheckpointError(f"{path}: refused: compressed to unpack to {unpacked:,} bytes")
        if altered := archive.testzip():  # also in files that no tensor uses
            raise CheckpointError(f"{path}: damaged: {altered[:60]!r} does not match its checksum")
        found = [name for name in self._entries if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise CheckpointError(f"{path}: not a checkpoint: no data.pkl in it")
        self._prefix = found[0].removesuffix("data.pkl")

    def content(self) -> object:
        """The saved value."""
        order = self._entries.get(f"{self._prefix}byteorder")
        if order is not None and self._bytes(order, 16) != sys.byteorder.encode():
            raise CheckpointError(
                f"{self._path}: written on a machine of another byte order; save it on one like this"
            )
        data = self._bytes(self._entries[f"{self._prefix}data.pkl"], MAX_PICKLE_BYTES)
        stand_ins: dict[tuple[str, str], Callable[..., object]] = {
            ("torch", name): _never_called for name in STORAGES
        }
        stand_ins["torch._utils", "_rebuild_tensor_v2"] = self._tensor
        stand_ins["collections", "OrderedDict"] = _empty_dictionary
        return read_pickle(data, stand_ins, self._storage)

    def _bytes(self, entry: zipfile.ZipInfo, most: int) -> bytes:
        if entry.file_size > most:
            raise CheckpointError(f"{self._path}: refused: it holds what dcgan does not write")
        return self._archive.read(entry)

    def _storage(self, identity: object) -> _Storage:
        match identity:
            case ("storage", named, str() as key, str(), int()):
                dtype = STORAGES.get(str(getattr(named, "name", "")))
                if dtype is not None and f"{self._prefix}data/{key}" in self._entries:
                    return _Storage(f"{self._prefix}data/{key}", dtype)
            case _:
                pass
        raise ForbiddenError("numbers of a kind that is not read")

    def _tensor(self, *arguments: object) -> Tensor:
        """A contiguous tensor from a position in a storage."""
        match arguments:
            case (_Storage() as storage, int() as start, tuple() as shape, tuple(), False, {}):
                pass
            case _:
                raise ForbiddenError("a tensor of a kind that is not read")
        self._tensors += 1
        if self._tensors > MAX_TENSORS or len(shape) > MAX_DIMENSIONS:
            raise ForbiddenError("more tensors than any network has")
        if not all(type(length) is int and 0 <= length < 1 << 40 for length in shape):
            raise PickleError("a tensor of no possible shape")
        if not _is_contiguous(shape, cast("tuple[object, ...]", arguments[3])):
            raise ForbiddenError("a tensor whose numbers do not follow each other")
        numbers = self._numbers(storage)
        if not 0 <= start <= len(numbers) - math.prod(shape):
            raise PickleError("a tensor larger than its numbers")
        return numbers[start : start + math.prod(shape)].reshape(shape)

    def _numbers(self, storage: _Storage) -> Tensor:
        """The content of a storage, read once: [N]."""
        if storage.name not in self._read:
            data = bytearray(self._archive.read(self._entries[storage.name]))
            empty = torch.empty(0, dtype=torch.uint8)
            self._read[storage.name] = torch.frombuffer(data, dtype=torch.uint8) if data else empty
        raw = self._read[storage.name]
        return raw[: len(raw) - len(raw) % storage.dtype.itemsize].view(storage.dtype)


def _is_contiguous(shape: tuple[Any, ...], strides: tuple[object, ...]) -> bool:
    """Whether a tensor is contiguous; the stride of a dimension of length 1 is ignored."""
    expected = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != expected:
            return False
        expected *= max(length, 1)
    return True


def _never_called(*_: object) -> object:
    raise ForbiddenError("it makes numbers of its own")


def _empty_dictionary(*arguments: object) -> dict[Any, Any]:
    if arguments:
        raise ForbiddenError("a dictionary made of arguments")
    return {}


def _check_plain(path: Path, content: object, size: int) -> None:
    """Refuse values that `save` never writes, before they are traversed or copied.

    A few bytes of pickle can refer to one tensor a million times, or put a list into itself. What
    `save` writes is never larger than its file.
    """
    waiting: list[object] = [content]
    while waiting:
        value = waiting.pop()
        size -= 1
        if isinstance(value, Tensor):
            size -= value.nbytes
        elif isinstance(value, str | list | dict):
            size -= len(value)
        elif value is not None and not isinstance(value, int | float):
            size = -1
        if size < 0:
            raise CheckpointError(f"{path}: refused: it holds what dcgan does not write")
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]


def reason(error: Exception) -> str:
    """The first line of an error about untrusted values, for use in our one-line message."""
    return str(error).partition("\n")[0][:120] or type(error).__name__
