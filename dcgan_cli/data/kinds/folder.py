"""A folder of pictures, flat or nested; sub-folders are classes."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import numpy as np

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.names import (
    NameTable,
    encode_name,
    folder_labels,
    is_hidden,
    is_picture_name,
    suffix,
)
from dcgan_cli.data.kinds.reading import MAX_RECORD, plural, times, unreadable
from dcgan_cli.data.labels import Labels
from dcgan_cli.errors import SourceError


class NoPicturesError(SourceError):
    """A folder without pictures: what it holds instead is said, the mend is left to add."""

    def __init__(self, path: Path, others: Counter[str]) -> None:
        kinds = [plural(count, f"{ending} file") for ending, count in others.most_common(3)]
        holds = f"no pictures there, only {', '.join(kinds)}" if kinds else "the folder is empty"
        super().__init__(f"{path}: {holds}")


class FolderSource:
    """The picture files of a folder and its sub-folders, in the order of their paths."""

    def __init__(
        self, kind: str, location: str, root: Path, names: NameTable, labels: Labels | None
    ) -> None:
        self.kind = kind
        self.location = location
        self.labels = labels
        self._root = root.absolute()
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def read(self, index: int) -> bytes:
        """The file's bytes. Raises OSError, or ValueError for a file too large for a picture."""
        with self._path(index).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_RECORD:
                raise ValueError(f"{size:,} bytes are more than any picture needs")
            return file.read(MAX_RECORD)

    def name(self, index: int) -> str:
        """The path inside the folder, with slashes."""
        return self._names.text(index)

    def fingerprint(self) -> str:
        """A digest of the names, sizes and times of the files; where the folder is does not count."""
        digest = hashlib.sha256(self._names.tobytes())
        for index in range(len(self)):
            try:
                status = self._path(index).stat()
                digest.update(b"%d %d\n" % (status.st_size, times(status)))
            except OSError:
                digest.update(b"gone\n")
        return digest.hexdigest()

    def content(self) -> str:
        """As Source.content; the sizes of all files count."""
        sizes = np.full(len(self), -1, np.int64)
        for index in range(len(self)):
            with contextlib.suppress(OSError):
                sizes[index] = self._path(index).stat().st_size
        return content_digest(self, sizes)

    def _path(self, index: int) -> Path:
        return self._root / self._names.path(index)


def matches(path: Path) -> bool:
    """Any folder; it comes last, when nothing more special was recognised."""
    return path.is_dir()


def open_path(path: Path, location: str, part: str | None) -> FolderSource:
    """The pictures under `path`. Raises SourceError where there are none."""
    if part is not None:
        raise SourceError(
            f"{location}: a folder of pictures has no part called {part}; "
            f"give the sub-folder itself, such as {path / part}"
        )
    others: Counter[str] = Counter()
    names = NameTable.collect(_picture_files(path, others))
    if not len(names):
        raise NoPicturesError(path, others)
    return FolderSource("folder of pictures", location, path, names, folder_labels(names))


def _picture_files(root: Path, others: Counter[str]) -> Generator[bytes]:
    """Relative paths of the picture files under `root`; what else is there is counted in `others`.

    A folder's own files come first, by name, then its sub-folders, by name. Folders are told apart
    by device and inode, so a loop of symbolic links ends and a folder that can be reached in two
    ways is read once, under its real name where a link to it lies beside it.
    """
    visited: set[tuple[int, int]] = set()
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
                    if is_hidden(entry.name):
                        continue
                    if entry.is_dir():
                        folders.append((entry.is_symlink(), f"{prefix}{entry.name}/"))
                    elif is_picture_name(entry.name) and entry.is_file():
                        files.append(entry.name)
                    else:
                        others[suffix(entry.name) or entry.name] += 1
        except OSError as error:
            raise unreadable(root / prefix, error) from error
        yield from (encode_name(prefix + name) for name in sorted(files))
        pending += (folder for _, folder in sorted(folders, reverse=True))
