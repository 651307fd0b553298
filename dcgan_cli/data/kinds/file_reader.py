"""Reading files by offset from any thread or process, and fingerprints of files."""

import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from dcgan_cli.errors import SourceError

MAX_RECORD = 1 << 28
"""No encoded image is larger than this (256 MiB); a larger record would exhaust memory."""


class FileReader:
    """Reads one file by offset: from many threads, after a fork, and after being pickled.

    `pread` has no file position, so neither threads nor forked processes can interfere; without it
    (on Windows, which does not fork) a lock is used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._lock = threading.Lock()

    def read(self, offset: int, size: int, most: int = MAX_RECORD) -> bytes:
        """`size` bytes from `offset`; `size` may come from an untrusted file.

        Raises OSError, or ValueError if the file ends before or `size` is more than `most`.
        """
        if size > most:
            raise ValueError(f"{size:,} bytes are more than any image needs")
        descriptor = self._open()
        if hasattr(os, "pread"):
            data = os.pread(descriptor, size, offset)
        else:
            with self._lock:
                os.lseek(descriptor, offset, os.SEEK_SET)
                data = os.read(descriptor, size)
        if len(data) < size:
            raise ValueError(f"{self.path.name} ends {size - len(data):,} bytes too early")
        return data

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` (contiguous bytes) from `offset`. Raises as `read` does."""
        descriptor = self._open()
        if hasattr(os, "preadv"):
            found = os.preadv(descriptor, [target], offset)
        else:
            data = self.read(offset, len(target), len(target))
            target[:] = data
            found = len(data)
        if found < len(target):
            raise ValueError(f"{self.path.name} ends {len(target) - found:,} bytes too early")

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        with self._lock:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            return self._descriptor

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.__init__(path)

    def __del__(self) -> None:
        self.close()


def first_bytes(path: Path, count: int) -> bytes:
    """Up to `count` bytes from the start of a regular file; b'' for anything else."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(count)


def fingerprint(files: Iterable[Path], *more: bytes) -> str:
    """A hex digest of the names, sizes and times of `files`, and of `more`."""
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        entry = f"{path.name}\0{status.st_size}\0{times(status)}\0"
        digest.update(entry.encode("utf-8", "surrogatepass"))
    for part in more:
        digest.update(part)
    return digest.hexdigest()


def times(status: os.stat_result) -> int:
    """When the content of a file may last have changed, in nanoseconds.

    The later of modification and change time: archives and copies set the modification time
    arbitrarily, so that two files of the same size may have the same; the change time is set by the
    system.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns)


def unreadable(path: Path | str, error: OSError) -> SourceError:
    """The one-line error for an operating-system error while opening a source."""
    reason = error.strerror or str(error)
    return SourceError(f"cannot read {path}: {reason}; check that it exists and may be read")
