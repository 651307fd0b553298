"""Locks and eviction of caches: which are in use, being built, or removed to make room.

Locks are those of the operating system (flock), so they end with the process that held them,
however it ended. On systems without them (Windows, some network disks) two builders may do the same
work twice: shards are written atomically and are identical, so nothing worse happens.
"""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO

from dcgan_cli.files import make_folder, storage_error

_NAME = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\.\d+\.evicted")
_FILE = re.compile(
    r"shard-\d+\.(u8|json)|\.shard-\d+\.(u8|json)\.\d+(-\d+)?\.tmp"
    r"|\.?unreadable\.tsv(\.\d+(-\d+)?\.tmp)?|in-use|building"
)
"""The names of caches, of their files, and of what a killed eviction leaves behind."""

_WAIT = 0.2
"""Seconds between two attempts to take a lock that another process holds."""

if sys.platform == "win32":

    def _lock(file: IO[bytes], *, shared: bool) -> bool:
        return True
else:
    import fcntl

    def _lock(file: IO[bytes], *, shared: bool) -> bool:
        """Lock `file` until it is closed; False where another holds it."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True


def mark_in_use(folder: Path) -> IO[bytes]:
    """Create `folder` and mark it as used, now and until the returned file is closed.

    Raises StorageError.
    """
    path = folder / "in-use"
    try:
        while True:
            make_folder(folder)
            file = path.open("ab")
            # The folder may have been evicted between opening the file and locking it.
            if _lock(file, shared=True) and _is_at(file, path):
                os.utime(path)
                return file
            file.close()
            time.sleep(_WAIT)
    except OSError as error:
        raise storage_error(path, error) from error


@contextlib.contextmanager
def exclusive_lock(path: Path, while_waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock `path` exclusively; `while_waiting` is called now and then until it is free."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise storage_error(path, error) from error
    with file:
        while not _lock(file, shared=False):
            while_waiting()
            time.sleep(_WAIT)
        yield


def make_room(folder: Path, needed: int, limit: int) -> bool:
    """Evict other caches, the longest unused first, until `folder` may grow to `needed` bytes.

    Caches in use are kept, and so is every folder that holds anything but a cache. Returns whether
    all caches together then stay within `limit` bytes. Nothing is evicted for a cache that exceeds
    the limit by itself. Raises StorageError.
    """
    if needed > limit:
        return False
    caches = folder.parent
    try:
        others = [other for other in caches.iterdir() if other != folder and _is_cache(other)]
    except FileNotFoundError:
        return True
    except OSError as error:
        raise storage_error(caches, error) from error
    sizes = {other: _size(other) for other in others}
    excess = needed + sum(sizes.values()) - limit
    for other in sorted(others, key=_last_used):
        if excess <= 0:
            break
        if _evict(other):
            excess -= sizes[other]
    return excess <= 0


def _is_cache(folder: Path) -> bool:
    """Whether `folder` is a cache and nothing else: the user may have chosen an existing folder."""
    if not _NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    try:
        with os.scandir(folder) as entries:
            return all(
                _FILE.fullmatch(e.name) and e.is_file(follow_symlinks=False) for e in entries
            )
    except OSError:
        return False


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _evict(folder: Path) -> bool:
    """Delete an unused cache; False if it is in use or cannot be deleted."""
    try:
        with (folder / "in-use").open("ab") as file:
            if not _lock(file, shared=False):
                return False
            # Renamed first, so that no process finds a half-deleted cache.
            evicted_name = f".{folder.name.strip('.')[:32]}.{os.getpid()}.evicted"
            evicted = folder.rename(folder.with_name(evicted_name))
            for left in evicted.iterdir():
                if _FILE.fullmatch(left.name):
                    left.unlink(missing_ok=True)
            evicted.rmdir()
            return True
    except OSError:
        return False


def _last_used(folder: Path) -> float:
    for path in (folder / "in-use", folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _size(folder: Path) -> int:
    """Bytes of the files in `folder`; files that vanish meanwhile are ignored."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            with contextlib.suppress(OSError):
                total += file.stat().st_size
    return total
