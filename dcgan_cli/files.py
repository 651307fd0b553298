"""Writing files so that nothing is ever half-written, and the folders that are ours to write in.

Every file of the toolkit that another process may read is written by `atomic_write`: a temporary
file in the same folder, fsync, rename, fsync of the folder. Whenever the process or the machine
stops, the path holds either all of the old content or all of the new.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO

from dcgan_cli.errors import StorageError


class _RawWriter:
    """A binary sink over one file descriptor: unbuffered, so that a full disk is met here.

    Has the `write`/`flush` pair that torch.save, Pillow and json dumps need. `failure` is the error
    of the first write that failed: torch.save hides it behind a RuntimeError of its own.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.failure: OSError | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        written = 0
        try:
            while written < len(view):
                written += os.write(self.descriptor, view[written:])
        except OSError as error:
            self.failure = error
            raise
        return written

    def flush(self) -> None:
        """Nothing is held back; `fsync` follows before the rename."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Generator[IO[bytes]]:
    """Open `path` for writing bytes; it appears whole when the block ends, or not at all.

    Raises:
        StorageError: writing, syncing or renaming failed. The old file, if any, is untouched (only
            where the folder's own fsync failed, the new one is in its place already) and no
            temporary file is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    writer: _RawWriter | None = None
    try:
        writer = _RawWriter(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))
        try:
            yield writer  # type: ignore[misc]  # a writer, which is all a sink needs
            if writer.failure is not None:
                raise writer.failure
            os.fsync(writer.descriptor)
        finally:
            os.close(writer.descriptor)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except Exception as error:
        failure = error if writer is None or writer.failure is None else writer.failure
        if isinstance(failure, OSError):
            raise storage_error(path, failure) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or could not be created at all
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, atomically. Raises StorageError."""
    with atomic_write(path) as file:
        file.write(text.encode())


def make_folder(path: Path) -> Path:
    """Create `path` and its parents; returns it. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def storage_error(path: Path, error: OSError) -> StorageError:
    """The one-line form of an operating-system error met while writing `path`."""
    mend = {
        errno.ENOSPC: "free some space and run again",
        errno.EDQUOT: "free some space and run again",
        errno.EACCES: "choose a folder you may write to",
        errno.EPERM: "choose a folder you may write to",
        errno.EROFS: "choose a folder you may write to",
    }.get(error.errno or 0, "what was there before is intact")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(f"cannot write {path}: {reason}; {mend}")


def cache_folder() -> Path:
    """The user's cache folder for this toolkit: `$DCGAN_CACHE`, or the platform's own place."""
    if chosen := os.environ.get("DCGAN_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dcgan"


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable (POSIX; Windows has no such call and needs none)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
