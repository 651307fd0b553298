"""What images are, told by their own bytes: the same for a copy, wherever and whenever it was made."""

import hashlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAX_READ = 256
"""Records read at most: enough to tell two sets apart, and a million images open no more files."""

MIN_READ = 16

MAX_BYTES = 1 << 28
"""Of large records fewer are read, so that all of them together are about this many bytes."""


class Records(Protocol):
    """What can be read by number: a Source."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """Record `index`. Raises OSError or ValueError where it cannot be read."""
        ...


def content_digest(records: Records, sizes: NDArray[np.integer] | None = None) -> str:
    """A hex digest of how many records there are, their sizes, and the bytes of evenly spaced ones.

    Names, times and places do not count, nor what the records lie in: a folder, its copy, and an
    archive of it in the same order are the same. Order counts, for training depends on it.

    Args:
        records: what is told apart from others.
        sizes: bytes of each record [N], where they are known without reading it; images that
            differ in size alone are told apart by these even where they are not read.
    """
    digest = hashlib.sha256(b"%d records" % len(records))
    if sizes is not None:
        digest.update(np.asarray(sizes, "<i8").tobytes())
    for number in _chosen(len(records), sizes):
        try:
            record = records.read(number)
        except (OSError, ValueError):
            digest.update(b"unreadable")
            continue
        if isinstance(record, np.ndarray):
            digest.update(f"pixels {record.shape}".encode())
            record = np.ascontiguousarray(record).tobytes()
        digest.update(b"%d bytes" % len(record))
        digest.update(record)
    return digest.hexdigest()


def _chosen(count: int, sizes: NDArray[np.integer] | None) -> list[int]:
    """Numbers of the records that are read: the first, the last, and evenly between."""
    most = MAX_READ
    if sizes is not None and count:
        mean = max(1, int(np.maximum(sizes, 0).mean()))
        most = min(MAX_READ, max(MIN_READ, MAX_BYTES // mean))
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64)).tolist()
