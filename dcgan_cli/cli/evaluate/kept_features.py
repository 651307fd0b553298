"""Features of real images are computed once and kept in the user's cache folder.

    <cache>/features/<key>.npy   float32 [N, D]; the key is a digest of network, images and framing

The oldest files go when there are more than KEPT.
"""

import hashlib
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.errors import StorageError
from dcgan_cli.files import atomic_write, cache_folder, make_folder

KEPT = 32
"""Files in the folder: of 2,000 images by EfficientNet-Lite0, 10 MB each."""

NAME = re.compile(r"[0-9a-f]{32}\.npy")


def kept_features(
    parts: tuple[object, ...] | None, compute: Callable[[], NDArray[np.float32]], count: int
) -> NDArray[np.float32]:
    """The result of `compute`, `count` rows, or what it was for the same `parts`; None: not kept."""
    if parts is None:
        return compute()
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    folder = cache_folder() / "features"
    path = folder / f"{digest}.npy"
    try:
        rows = np.load(path, allow_pickle=False)
        if rows.dtype == np.float32 and rows.ndim == 2 and len(rows) == count:
            path.touch()
            return rows
    except (OSError, ValueError, EOFError):
        pass  # not there, or damaged: computed again
    rows = compute()
    try:
        make_folder(folder)
        with atomic_write(path) as file:
            np.save(file, rows)
        own = [file for file in folder.iterdir() if NAME.fullmatch(file.name)]
        for file in sorted(own, key=lambda each: each.stat().st_mtime)[:-KEPT]:
            file.unlink(missing_ok=True)
    except (OSError, StorageError):
        return rows  # a full disk or a folder without rights costs time alone
    return rows
