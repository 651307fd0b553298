"""SVHN, "cropped digits": MATLAB files with X [32, 32, 3, N] and y [N, 1], where 10 means 0.

Form: http://ufldl.stanford.edu/housenumbers, format 2.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource, class_labels
from dcgan_cli.data.kinds.file_reader import first_bytes
from dcgan_cli.data.kinds.matlab import MatlabError, read_arrays
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

_FILE_NAME = "{}_32x32.mat"
_PARTS = ("train", "test", "extra")


def find(path: Path, head: bytes) -> tuple[Path, list[str]] | None:
    """`path` and the parts in it (train_32x32.mat or the like); none for a MATLAB file itself."""
    parts = [part for part in _PARTS if (path / _FILE_NAME.format(part)).is_file()]
    return (path, parts) if parts or head.startswith(b"MATLAB") else None


def open_found(found: tuple[Path, list[str]], location: str, part: str | None) -> ArraySource:
    """The images of a file, or of one part (train unless `part` says otherwise) of a folder.

    Raises SourceError: no such part, or a file that is damaged or holds something else.
    """
    kind = "SVHN"
    path, parts = found
    if parts:
        part = part or "train"
        if part not in parts:
            raise SourceError(f"{location}: no {part} part there; use #{' or #'.join(parts)}")
        path, kind = path / _FILE_NAME.format(part), f"SVHN, {part} part"
    elif part is not None:
        raise SourceError(f"{location}: a MATLAB file has no parts; drop #{part}")
    path = path.absolute()
    variables = _read(path)
    pixels = _pixels(path, variables)
    labels = None
    if "y" in variables:
        codes = np.asarray(variables["y"]).reshape(-1)
        if len(codes) != len(pixels) or not all(0 <= code <= 10 for code in np.unique(codes)):
            raise SourceError(f"{path}: y does not fit the {counted(len(pixels), 'image')} of X")
        labels = class_labels(codes.astype(np.int64) % 10)
    return ArraySource(kind, location, pixels, functools.partial(_pixels, path), labels, [path])


def _read(path: Path) -> dict[str, Any]:
    if not first_bytes(path, 10).startswith(b"MATLAB 5.0"):
        raise SourceError(
            f"{path}: expected a MATLAB 5.0 file; save it with -v7 or download it again"
        )
    try:
        return read_arrays(path, ("X", "y"))
    except MatlabError as error:
        raise SourceError(f"{path}: a damaged MATLAB file ({error}); download it again") from error


def _pixels(path: Path, variables: dict[str, Any] | None = None) -> NDArray[np.uint8]:
    """X as images uint8 [N, H, W, 3]: a view, because MATLAB's order keeps each image contiguous."""
    x = (_read(path) if variables is None else variables).get("X")
    if x is None or x.dtype != np.uint8 or x.ndim != 4 or x.shape[2] != 3 or x.shape[3] == 0:
        found = "no X" if x is None else f"X of {x.dtype} {list(x.shape)}"
        raise SourceError(f"{path}: {found}; expected SVHN's X of uint8 [32, 32, 3, N]")
    return x.transpose(3, 0, 1, 2)
