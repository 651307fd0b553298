"""A .tar of images, or shards of one, read in place by offset; nothing is ever extracted.

Shards are those of WebDataset: `data-{000000..000099}.tar`. Files that share a name up to its first
dot are one sample; a `.cls` file beside an image is its class. Other files are skipped.
"""

import re
from array import array
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.file_reader import FileReader, fingerprint, unreadable
from dcgan_cli.data.kinds.names import ListedImages, NameTable, encode_name
from dcgan_cli.data.kinds.skipped_files import SkippedFiles
from dcgan_cli.data.kinds.tar_members import TarError, members
from dcgan_cli.data.labels import Columns, Labels, Words
from dcgan_cli.errors import SourceError

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_TARS = 1_000_000
_MAX_CLASS_TEXT = 256


class TarSource(ListedImages):
    """The images inside one or more .tar files, in the order of the archives."""

    def __init__(self, location: str, shards: Sequence[Path]) -> None:
        kind = f"{len(shards):,} tar shards of images" if len(shards) > 1 else "tar of images"
        index = _Index()
        names = NameTable.collect(index.images(shards))
        super().__init__(kind, location, names, index.skipped_files.notes(), index.labels())
        self._files = [FileReader(shard.absolute()) for shard in shards]
        self._members = np.array(index.rows, np.int64).reshape(-1, 3)

    def read(self, index: int) -> bytes:
        """The member's bytes. Raises OSError, or ValueError where the archive ends too early."""
        shard, offset, size = self._members[index].tolist()
        return self._files[shard].read(offset, size)

    def fingerprint(self) -> str:
        """A digest of the archives' names, sizes and times, and of the table of their images."""
        paths = [file.path for file in self._files]
        return fingerprint(paths, self._names.tobytes(), self._members[:, 1].tobytes())

    def content(self) -> str:
        """As Source.content; the sizes of all members count."""
        return content_digest(self, self._members[:, 2])


def find(path: Path, head: bytes) -> Path | None:
    """`path` if the file begins with the header of a tar member, or has the suffix .tar."""
    named = path.suffix.lower() == ".tar" and path.is_file()
    return path if named or head[257:262] == b"ustar" else None


def open_found(path: Path, location: str, part: str | None) -> TarSource:
    """The images in the archive at `path`. Raises SourceError: damaged, or without images."""
    if part is not None:
        raise SourceError(f"{location}: a tar of images has no part called {part}; drop #{part}")
    return _open([path], location)


def is_pattern(location: str) -> bool:
    """Whether `location` names shards: `data-{000000..000099}.tar`."""
    return _BRACES.search(location) is not None


def open_pattern(location: str) -> TarSource:
    """The images in all shards that a pattern with braces names.

    Raises SourceError: a shard is missing or damaged, or there are no images.
    """
    shards = shards_of(location)
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        raise SourceError(
            f"{location}: {len(missing):,} of {len(shards):,} shards are missing, the first is "
            f"{missing[0]}; check the numbers between the braces"
        )
    return _open(shards, location)


def _open(shards: Sequence[Path], location: str) -> TarSource:
    source = TarSource(location, shards)
    if not len(source):
        there = "".join(f"; {note}" for note in source.notes)
        raise SourceError(
            f"{location}: no images in the tar; expected members such as .jpg or .png; "
            f"if it holds a data set, unpack it and give the folder{there}"
        )
    return source


class _Index:
    """Shard, offset and size of each image, one after another, and the classes beside them."""

    def __init__(self) -> None:
        self.rows = array("q")
        self.skipped_files = SkippedFiles()
        self._classes: list[str] = []

    def labels(self) -> Labels | None:
        """The classes from `.cls` files, or None if there are none."""
        if not any(self._classes):
            return None
        return Labels(Columns({"label": Words.collect(self._classes)}))

    def images(self, shards: Sequence[Path]) -> Generator[bytes]:
        """The names of the images; their positions are appended while iterating."""
        for number, path in enumerate(shards):
            try:
                with path.open("rb") as file:
                    yield from self._shard_images(number, file, path.stat().st_size)
            except TarError as error:
                raise SourceError(
                    f"{path}: a damaged tar ({error}); download or copy it again"
                ) from error
            except OSError as error:
                raise unreadable(path, error) from error

    def _shard_images(self, number: int, file: IO[bytes], total: int) -> Generator[bytes]:
        key, word, first = "", "", len(self._classes)
        for member in members(file, total):
            name = member.name.removeprefix("./")
            if member.is_link:  # the data of its target may be anywhere
                self.skipped_files.archive_links += self.skipped_files.takes(name)
                continue
            folder, _, base = name.rpartition("/")
            sample = f"{folder}/{base.partition('.')[0]}"
            if sample != key:
                key, word, first = sample, "", len(self._classes)
            if name.endswith(".cls"):
                file.seek(member.offset)
                text = file.read(min(member.size, _MAX_CLASS_TEXT))
                word = text.decode("utf-8", "replace").strip()
                self._classes[first:] = [word] * (len(self._classes) - first)
            elif self.skipped_files.takes(name):
                self.rows.extend((number, member.offset, member.size))
                self._classes.append(word)
                yield encode_name(name)


def shards_of(pattern: str) -> list[Path]:
    """The files that a pattern names: a-08, a-09, a-10, a-11 for `a-{08..11}`; pairs multiply.

    Raises SourceError if there are too many.
    """
    found = _BRACES.search(pattern)
    if found is None:
        return [Path(pattern)]
    first, last = int(found[1]), int(found[2])
    if last < first or last - first >= _MAX_TARS:
        raise SourceError(
            f"{pattern}: braces count upwards, {found[0]} does not; "
            "expected something like {000000..000099}"
        )
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [
        shard
        for number in range(first, last + 1)
        for shard in shards_of(f"{before}{number:0{len(found[1])}}{after}")
    ]
