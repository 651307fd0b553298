"""Atomic writing of files, and the user's cache and data folders.

Every file that another process may read is written by `atomic_write`: a temporary file in the same
folder, fsync, rename, fsync of the folder. Whenever the process or the machine stops, the path
holds either all of the old content or all of the new. The kind of file at a path does not change: a
symbolic link is followed, an existing file keeps its mode and owner, and a pipe or a device, which
cannot be replaced, is written to directly.
"""

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO

from dcgan_cli.errors import StorageError

STDOUT = Path("-")
"""The file name that stands for stdout."""

MAX_NAME_BYTES = 255
"""Bytes that common file systems allow in the name of a file or folder."""

_REPEATED = 200
"""How many bytes of a file name are repeated in the name of its temporary file."""


class _RawWriter:
    """An unbuffered binary writer over a file descriptor, so that a full disk raises here.

    It has the `write` and `flush` methods that torch.save, Pillow and json.dump need. `failure` is
    the error of the first write that failed: torch.save hides it behind a RuntimeError of its own.
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
        """Nothing is buffered; `fsync` follows before the rename."""


class _PipeWriter(_RawWriter):
    """The same for a pipe or a device; a reader that closes it early is no error."""

    _left = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        if not self._left:
            try:
                return super().write(data)
            except BrokenPipeError:
                self.failure, self._left = None, True
        return len(memoryview(data).cast("B"))


@contextlib.contextmanager
def atomic_write(path: Path) -> Generator[IO[bytes]]:
    """Open `path` for writing bytes; the file appears complete when the block ends, or not at all.

    A symbolic link is kept, and the file that it points to is replaced. The new file gets the mode
    of the old one and, where the system allows it, its owner. A pipe, a device or a descriptor of
    this process (/dev/stdout, /dev/fd/3) is written to directly; a reader that closes it early is
    no failure.

    Example:
        with atomic_write(Path("samples.png")) as file:
            file.write(data)

    Raises:
        StorageError: writing, syncing or renaming failed. The old file, if any, is unchanged (only
            if the folder's own fsync failed, the new file is already in place), and no temporary
            file is left behind.
    """
    writer: _RawWriter | None = None
    try:
        inherited = inherited_descriptor(path)
        before = None if inherited is not None else _status(path)
        if inherited is not None or (before is not None and not stat.S_ISREG(before.st_mode)):
            with _open_directly(path, inherited) as writer:
                yield writer  # type: ignore[misc]  # a writer, which is all a sink needs
                _raise_hidden(writer)
            return
        target = Path(os.path.realpath(path))
        if before is not None and not os.access(target, os.W_OK):
            raise OSError(errno.EACCES, "the file is write-protected")
        with _replacing(target, before) as writer:
            yield writer  # type: ignore[misc]
            _raise_hidden(writer)
    except Exception as error:
        failure = error if writer is None or writer.failure is None else writer.failure
        if isinstance(failure, OSError):
            raise storage_error(path, failure) from error
        raise


@contextlib.contextmanager
def _replacing(target: Path, before: os.stat_result | None) -> Generator[_RawWriter]:
    """A temporary file that replaces `target` when the block ends."""
    temporary, descriptor = _open_temporary(target)
    try:
        try:
            # Before the first byte is written, so that a private file is private throughout.
            if before is not None and hasattr(os, "fchown"):
                with contextlib.suppress(OSError):  # only root may change a file's owner
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            if before is not None and hasattr(os, "fchmod"):
                with contextlib.suppress(OSError):  # a file system without modes
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            yield _RawWriter(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    finally:
        with contextlib.suppress(OSError):  # it no longer exists after the rename
            temporary.unlink()


def _open_temporary(target: Path) -> tuple[Path, int]:
    """Create a new file beside `target`; an existing file of the same name is never written to."""
    name = os.fsdecode(os.fsencode(target.name)[:_REPEATED])
    attempt = 0
    while True:
        again = f"-{attempt}" if attempt else ""
        temporary = target.with_name(f".{name}.{os.getpid()}{again}.tmp")
        try:
            return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # left by a killed process with the same id
            attempt += 1


def finished_name(temporary: str) -> str | None:
    """The name of the file that a temporary file was to become; None if it is not a temporary name."""
    match = re.fullmatch(r"\.(.+?)\.\d+(?:-\d+)?\.tmp", temporary)
    return None if match is None else match[1]


@contextlib.contextmanager
def _open_directly(path: Path, inherited: int | None) -> Generator[_PipeWriter]:
    """Open a pipe, a device, or a descriptor that this process inherited."""
    descriptor = os.open(path, os.O_WRONLY) if inherited is None else os.dup(inherited)
    try:
        yield _PipeWriter(descriptor)
    finally:
        os.close(descriptor)


def inherited_descriptor(path: Path) -> int | None:
    """The descriptor of this process that `path` names: 1 for /dev/stdout, 3 for /dev/fd/3.

    Opening a redirected file by name instead would overwrite it from its beginning.
    """
    place = os.path.abspath(path)  # noqa: PTH100  # Path.absolute keeps `..`
    for _ in range(40):  # the system follows as many links
        if place in _STREAMS:
            return _STREAMS[place]
        if match := re.fullmatch(r"(?:/dev/fd|/proc/(?:self|\d+)/fd)/(\d{1,9})", place):
            own = ("self", str(os.getpid()))
            foreign = place.startswith("/proc/") and place.split("/")[2] not in own
            return None if foreign else int(match[1])
        if not os.path.islink(place):  # noqa: PTH114
            return None
        place = os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place)))  # noqa: PTH115, PTH118, PTH120
    return None


_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def is_stdout(path: Path | None) -> bool:
    """Whether `path` means stdout: `-`, or a name that the system has for it."""
    return path is not None and (path == STDOUT or inherited_descriptor(path) == 1)


def is_special(path: Path) -> bool:
    """Whether `path` is a pipe, a device or a descriptor, rather than a regular file or a folder."""
    if path == STDOUT or inherited_descriptor(path) is not None:
        return True
    try:
        before = _status(path)
    except OSError:
        return False
    return before is not None and not (stat.S_ISREG(before.st_mode) or stat.S_ISDIR(before.st_mode))


def _status(path: Path) -> os.stat_result | None:
    """The status of the file at `path`, links followed; None if it does not exist."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _raise_hidden(writer: _RawWriter) -> None:
    """Raise the error of a write that the caller has swallowed."""
    if writer.failure is not None:
        raise writer.failure


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
    """The user's cache folder for this package: `$DCGAN_CACHE`, or the platform's default."""
    return _own_folder("DCGAN_CACHE", "Caches", "XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """The user's data folder for this package: `$DCGAN_DATA`, or the platform's default."""
    return _own_folder("DCGAN_DATA", "Application Support", "XDG_DATA_HOME", ".local/share")


def _own_folder(variable: str, library: str, xdg_variable: str, xdg_default: str) -> Path:
    if chosen := os.environ.get(variable):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / library
    else:
        base = Path(os.environ.get(xdg_variable) or Path.home() / xdg_default)
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
