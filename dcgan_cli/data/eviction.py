"""Which cache is in use, by whom it is being built, and which must go when there is no room.

Locks are the operating system's (flock), so they end with the process that held them, however it
ended. Where there are none (Windows, some network disks) two builders may do the same work twice:
shards are written atomically and come out equal, so nothing worse happens.
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
"""What caches and the files in them are called, and what an eviction that was killed leaves."""

_WAIT = 0.2
"""Seconds between two looks at a lock that another process holds."""

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
    """Create `folder` and mark it used, now and until the returned file is closed.

    Raises StorageError.
    """
    path = folder / "in-use"
    try:
        while True:
            make_folder(folder)
            file = path.open("ab")
            # Between the opening and the lock, the folder may have been evicted under the name.
            if _lock(file, shared=True) and _is_at(file, path):
                os.utime(path)
                return file
            file.close()
            time.sleep(_WAIT)
    except OSError as error:
        raise storage_error(path, error) from error


@contextlib.contextmanager
def exclusive_lock(path: Path, while_waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock `path` exclusive_lock; `while_waiting` is called now and then until it is free."""
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

    Caches in use stay, and so does every folder that holds anything but a cache. Returns whether
    all caches together then stay within `limit` bytes. Nothing is evicted for a cache that is
    larger than the limit by itself. Raises StorageError.
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
    """Whether `folder` is a cache and nothing else: the user may have chosen a place of their own."""
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
    """Delete a cache nobody uses; False where it is in use or cannot be deleted."""
    try:
        with (folder / "in-use").open("ab") as file:
            if not _lock(file, shared=False):
                return False
            # Gone under its name at once: no one can find it half deleted.
            gone = f".{folder.name.strip('.')[:32]}.{os.getpid()}.evicted"
            evicted = folder.rename(folder.with_name(gone))
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
    """Bytes of the files in `folder`; those that vanish meanwhile count for nothing."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            with contextlib.suppress(OSError):
                total += file.stat().st_size
    return total
