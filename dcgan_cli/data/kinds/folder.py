"""A folder of images, flat or nested; sub-folders are classes."""

import contextlib
import hashlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.file_reader import MAX_RECORD, times, unreadable
from dcgan_cli.data.kinds.names import ListedImages, NameTable, encode_name, litter
from dcgan_cli.data.kinds.skipped_files import SkippedFiles
from dcgan_cli.errors import SourceError


class NoImagesError(SourceError):
    """A folder without images; the message says what it holds, the caller adds what to do."""

    def __init__(self, path: Path, skipped_files: SkippedFiles) -> None:
        kinds = skipped_files.kinds(mends=True)
        holds = f"no images there, only {', '.join(kinds)}" if kinds else "the folder is empty"
        if skipped_files.litter.total() or skipped_files.links or skipped_files.special:
            holds = f"no images there; {skipped_files.notes()[0]}"
        super().__init__(f"{path}: {holds}")


class FolderSource(ListedImages):
    """The image files of a folder and its sub-folders, in the order of their paths."""

    def __init__(
        self, location: str, root: Path, names: NameTable, notes: tuple[str, ...] = ()
    ) -> None:
        super().__init__("folder of images", location, names, notes)
        self._root = root.absolute()
        self._statuses: NDArray[np.int64] | None = None  # as the fingerprint found them

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises OSError, or ValueError: a broken link, or too large a file."""
        path = self._path(index)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_RECORD:
                    raise ValueError(f"{size:,} bytes are more than any image needs")
                return file.read(MAX_RECORD)
        except FileNotFoundError as error:
            if path.is_symlink():
                raise ValueError(f"a broken link to {path.readlink()}") from error
            raise

    def fingerprint(self) -> str:
        """A digest of the names, sizes and times of the files, independent of the location."""
        digest = hashlib.sha256(self._names.tobytes())
        self._statuses = self._sizes_and_times()
        for size, time in self._statuses.tolist():
            digest.update(b"gone\n" if size < 0 else b"%d %d\n" % (size, time))
        return digest.hexdigest()

    def content(self) -> str:
        """As Source.content; includes the sizes of all files."""
        statuses = self._sizes_and_times() if self._statuses is None else self._statuses
        return content_digest(self, statuses[:, 0])

    def _sizes_and_times(self) -> NDArray[np.int64]:
        """Size and time of each file, int64 [N, 2]; −1 where it is gone."""
        statuses = np.full((len(self), 2), -1, np.int64)
        for index in range(len(self)):
            with contextlib.suppress(OSError):
                status = self._path(index).stat()
                statuses[index] = status.st_size, times(status)
        return statuses

    def _path(self, index: int) -> Path:
        return self._root / self._names.path(index)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_statuses": None}


def find(path: Path, head: bytes) -> Path | None:
    """`path` if it is a folder; tried last, when nothing more specific was recognized."""
    return path if path.is_dir() else None


def open_found(path: Path, location: str, part: str | None) -> FolderSource:
    """The images under `path`. Raises SourceError where there are none."""
    if part is not None:
        raise SourceError(
            f"{location}: a folder of images has no part called {part}; "
            f"give the sub-folder itself, such as {path / part}"
        )
    skipped_files = SkippedFiles()
    names = NameTable.collect(_image_files(path, skipped_files))
    if not len(names):
        raise NoImagesError(path, skipped_files)
    return FolderSource(location, path, names, skipped_files.notes())


def _image_files(root: Path, skipped_files: SkippedFiles) -> Generator[bytes]:
    """Relative paths of the image files under `root`; all other files are counted.

    The files of a folder come first, by name, then its sub-folders, by name. Links are followed,
    except to a folder that contains the link itself or `root`: that would include images that were
    not given. Folders are identified by device and inode, so a folder that can be reached in two
    ways is read once, under its real name if a link to it lies beside it. A broken link is listed,
    as an unreadable file.
    """
    visited: set[tuple[int, int]] = set()
    resolved_root = root.resolve()
    pending = [""]
    while pending:
        prefix = pending.pop()
        files: list[str] = []
        folders: list[tuple[bool, str]] = []
        try:
            status = (root / prefix).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        if litter(entry.name + "/"):
                            _count_litter(Path(entry.path), entry.name, skipped_files)
                        elif entry.is_symlink() and _leads_up(Path(entry.path), resolved_root):
                            skipped_files.links += 1
                        else:
                            folders.append((entry.is_symlink(), f"{prefix}{entry.name}/"))
                    elif not _may_be_read(entry):
                        skipped_files.special.append(f"{prefix}{entry.name}")
                    elif skipped_files.takes(entry.name):
                        files.append(entry.name)
        except OSError as error:
            raise unreadable(root / prefix, error) from error
        yield from (encode_name(prefix + name) for name in sorted(files))
        pending += (folder for _, folder in sorted(folders, reverse=True))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder or a link to one; DirEntry itself raises for a link to itself."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def _may_be_read(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a regular file or a broken link, rather than a pipe, a socket or a device."""
    if entry.is_symlink():
        return Path(entry.path).is_file() or not Path(entry.path).exists()
    return entry.is_file()


def _leads_up(link: Path, resolved_root: Path) -> bool:
    """Whether a link to a folder leads to one that contains the link itself, or `resolved_root`."""
    target = link.resolve()
    return any(inner.is_relative_to(target) for inner in (link.parent.resolve(), resolved_root))


def _count_litter(folder: Path, name: str, skipped_files: SkippedFiles) -> None:
    """Count the images in a folder of thumbnails or the like; links and errors are ignored."""
    for _, _, files in os.walk(folder):
        for file in files:
            skipped_files.takes(f"{name}/{file}")
