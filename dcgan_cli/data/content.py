"""A digest of the images themselves: equal for a copy, wherever and whenever it was made."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dcgan_cli.data.sources import Source

MAX_READ = 256
"""Maximum number of records that are read: enough to tell two sets apart, even for a million
images."""

MIN_READ = 16

MAX_DIGEST_BYTES = 1 << 28
"""Of large records fewer are read, so that together they are about this many bytes."""


def content_digest(records: "Source", sizes: NDArray[np.integer] | None = None) -> str:
    """A hex digest of the number of records, their sizes, and the bytes of evenly spaced ones.

    Names, times, paths and containers are ignored: a folder, its copy, and an archive of it in the
    same order have the same digest. Order matters, because training depends on it.

    Args:
        records: the records to identify.
        sizes: bytes of each record [N], if known without reading; they distinguish images even
            where those are not read.

    Example: `content_digest(open_source("photos/"))`.
    """
    digest = hashlib.sha256(b"%d records" % len(records))
    if sizes is not None:
        digest.update(np.asarray(sizes, "<i8").tobytes())
    for number in _record_numbers(len(records), sizes):
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


def _record_numbers(count: int, sizes: NDArray[np.integer] | None) -> list[int]:
    """The numbers of the records that are read: the first, the last, and evenly spaced between."""
    most = MAX_READ
    if sizes is not None and count:
        mean = max(1, int(np.maximum(sizes, 0).mean()))
        most = min(MAX_READ, max(MIN_READ, MAX_DIGEST_BYTES // mean))
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64)).tolist()
