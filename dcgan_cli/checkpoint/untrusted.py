"""Reading a `.pt` file that anybody may have made: nothing in it runs, and nothing in it grows."""

import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from dcgan_cli.errors import CheckpointError

PLAIN_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)


def read_pt(path: Path) -> dict[str, Any]:
    """The dictionary in a `.pt` file, of strings, numbers, lists and dense tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, altered, or holds anything else.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such checkpoint") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path}: a folder; name the .pt file in it") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        with file:
            if not zipfile.is_zipfile(file):
                raise CheckpointError(f"{path}: truncated, or not a checkpoint at all")
            size = file.seek(0, os.SEEK_END)
            _check_archive(path, file, size)
            file.seek(0)
            content = _load_quietly(file)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused: it holds more than plain values and tensors, and could run code"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file fails anywhere inside torch.load
        raise CheckpointError(f"{path}: damaged or not a checkpoint: {reason(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: not a dcgan checkpoint: it holds a {type(content).__name__}"
        )
    _check_plain(path, content, size)
    return content


def _load_quietly(file: IO[bytes]) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kinds of tensors that are refused in the next moment
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_archive(path: Path, file: IO[bytes], size: int) -> None:
    """Refuse an archive that torch.save would not write, before torch sees it.

    It stores without compression, so a file that unpacks to more than itself is hostile; and torch
    does not look at the checksums, so altered bytes would be met anywhere.
    """
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > size:
            raise CheckpointError(f"{path}: refused: compressed to unpack to {unpacked:,} bytes")
        if altered := archive.testzip():
            raise CheckpointError(f"{path}: damaged: {altered[:60]!r} does not match its checksum")


def _check_plain(path: Path, content: object, size: int) -> None:
    """Refuse what `save` never writes, before anything walks through it or copies it.

    A few bytes of pickle can name one tensor a million times, stretch a single number to terabytes,
    or put a list into itself. What `save` writes is never larger than its file.
    """
    waiting: list[object] = [content]
    while waiting:
        value = waiting.pop()
        size -= 1
        if isinstance(value, Tensor):
            known = _is_plain(value)
            size -= value.nbytes if known else 0
        elif isinstance(value, str | list | dict):
            known = True
            size -= len(value)
        else:
            known = value is None or isinstance(value, int | float)
        if not known or size < 0:
            raise CheckpointError(f"{path}: refused: it holds what dcgan does not write")
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]


def _is_plain(tensor: Tensor) -> bool:
    """Whether its numbers lie in memory one after the other, each once."""
    return (
        type(tensor) is Tensor
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in PLAIN_DTYPES
        and not tensor.is_nested
        and tensor.is_contiguous()
    )


def reason(error: Exception) -> str:
    """What an error about somebody else's values says, as part of our one line."""
    return str(error).partition("\n")[0][:120] or type(error).__name__
