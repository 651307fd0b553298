"""Opening data sources: a path becomes a Source, images that are read by number."""

import hashlib
import itertools
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds import (
    bin_files,
    celeba,
    cifar,
    digits,
    folder,
    idx,
    lsun,
    svhn,
    tars,
    zips,
)
from dcgan_cli.data.kinds.file_reader import first_bytes, unreadable
from dcgan_cli.data.kinds.names import is_image_name
from dcgan_cli.data.label_files import join_labels
from dcgan_cli.data.labels import Labels
from dcgan_cli.errors import SourceError, UsageError

DEMOS = ("faces", "rooms")

Record = bytes | NDArray[np.uint8]
"""One image as its source stores it: an encoded file, or pixels uint8 [H, W] or [H, W, 3 or 4]."""


class Source(Protocol):
    """Images that are read by number, in any order, from any process.

    A Source can be pickled: files are opened by the process that reads, at its first read.
    """

    @property
    def kind(self) -> str:
        """The recognized type of source, for the user: "folder of images", "LSUN database"."""
        ...

    @property
    def location(self) -> str:
        """The location as typed: the path, or `demo:faces`."""
        ...

    @property
    def labels(self) -> Labels | None:
        """Labels that came with the images; None if there are none."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for the user about how it was read, one sentence each."""
        ...

    def __len__(self) -> int:
        """The number of records, readable or not."""
        ...

    def read(self, index: int) -> Record:
        """Record `index`. Raises OSError or ValueError if it cannot be read."""
        ...

    def name(self, index: int) -> str:
        """The name of the record in its source: a relative path, or `record 17`."""
        ...

    def fingerprint(self) -> str:
        """A hex digest that changes whenever the images may have changed (sizes and times).

        A cache uses it to detect that it is out of date; a copy of the same images has another one.
        """
        ...

    def content(self) -> str:
        """A hex digest of the images themselves, equal for a copy: see data/content.py."""
        ...


def open_source(location: str, *, labels: Path | None = None, limit: int | None = None) -> Source:
    """Open the images at `location`: path, `path#part`, `digits`, `demo:faces[:count]`, shards.

    A path is recognized by its content, not by its name; an existing path `digits` has precedence
    over scikit-learn's digits. `path#test` selects a part of a data set that has parts.

    Args:
        location: as typed.
        labels: a CSV file whose columns are added to the labels that come with the images.
        limit: keep this many images, evenly spaced, so that a source sorted by class keeps all its
            classes. For synthetic data sets it is the number of images that are generated.

    Example: `source = open_source("demo:faces", limit=1000)`.

    Raises:
        SourceError: nothing there, not recognized, damaged, empty, or labels that match nothing.
        UsageError: `limit` is below 1, or there is no such synthetic data set.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: expected at least 1")
    source = _open(location, limit)
    if labels is not None:
        source = with_labels(source, labels)
    if limit is None or limit >= len(source):
        return source
    numbers = np.arange(limit) * len(source) // limit
    return _Selection(source, numbers, str(limit), source.labels)


def with_labels(source: Source, labels: Path) -> Source:
    """`source` with the columns of the CSV file `labels` added. Raises SourceError as join_labels."""
    joined = join_labels(labels, source)
    known = source.labels
    updated = joined if known is None else known.updated(joined)
    return _Selection(source, None, "", updated, joined.notes)


def select(source: Source, numbers: NDArray[np.int64]) -> Source:
    """The records `numbers` of `source`, in that order; no other record is ever read."""
    chosen = hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()
    return _Selection(source, numbers, chosen, source.labels)


class _Selection:
    """Records of a source, all if `numbers` is None, with other labels and further notes.

    `chosen` tells the selected records in digests; '' for all.
    """

    def __init__(
        self,
        source: Source,
        numbers: NDArray[np.int64] | None,
        chosen: str,
        labels: Labels | None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.kind, self.location = source.kind, source.location
        self.notes = (*source.notes, *notes)
        self.labels = labels if labels is None or numbers is None else labels.take(numbers)
        self._source, self._numbers, self._chosen = source, numbers, chosen

    def __len__(self) -> int:
        return len(self._source if self._numbers is None else self._numbers)

    def read(self, index: int) -> Record:
        return self._source.read(self._place(index))

    def name(self, index: int) -> str:
        return self._source.name(self._place(index))

    def fingerprint(self) -> str:
        return self._digest(self._source.fingerprint())

    def content(self) -> str:
        return self._digest(self._source.content())

    def _place(self, index: int) -> int:
        return index if self._numbers is None else int(self._numbers[index])

    def _digest(self, of_all: str) -> str:
        """The digest of the selected records, given that of all."""
        if not self._chosen:
            return of_all
        return hashlib.sha256(f"{of_all} {self._chosen}".encode()).hexdigest()


class _Kind(Protocol):
    """The functions of every module in `data.kinds` that recognizes paths."""

    @staticmethod
    def find(path: Path, head: bytes, /) -> Any:
        """What `open_found` opens at `path`, a file that begins with `head`, or a folder; None."""

    @staticmethod
    def open_found(found: Any, location: str, part: str | None, /) -> Source: ...


_KINDS: tuple[_Kind, ...] = (
    lsun,  # a folder that is an LMDB, or that holds *_lmdb folders
    cifar,  # data_batch_1 .. 5, or train and meta
    bin_files,  # the same as .bin files, and STL-10
    svhn,  # MATLAB files
    celeba,  # list_attr_celeba.txt
    idx,  # an IDX file, or a folder of them
    zips,  # PK..
    tars,  # "ustar" in its first header
    folder,  # any other folder
)
"""What a path may be, tried in this order: special cases before general ones."""


def _open(location: str, limit: int | None) -> Source:
    path, part = split_part(location)
    if not path.exists():
        return _open_name(location, limit)
    try:
        head = first_bytes(path, 512)
        for kind in _KINDS:
            if (found := kind.find(path, head)) is not None:
                return kind.open_found(found, location, part)
    except folder.NoImagesError as error:
        raise SourceError(f"{error}; {_suggest_inside(path)}") from error
    except OSError as error:
        raise unreadable(path, error) from error
    raise _not_recognized(path, head)


def split_part(location: str) -> tuple[Path, str | None]:
    """`mnist#test` as path and part; an existing path with a # in its name is not split."""
    before, mark, part = location.rpartition("#")
    if mark and before and not Path(location).exists():
        return Path(before), part
    return Path(location), None


def source_files(location: str) -> list[Path]:
    """The folder or files that `location` names: all shards; none for synthetic images."""
    path, _ = split_part(location)
    if location and path.exists():
        return [path]
    if tars.is_pattern(location):
        return [shard for shard in tars.shards_of(location) if shard.exists()]
    return []


def _open_name(location: str, limit: int | None) -> Source:
    """A location that is not a path: a synthetic data set, digits, or a shard pattern."""
    if location.startswith("demo:"):
        return _open_demo(location, limit)
    if location == "digits":
        return digits.open_digits()
    if tars.is_pattern(location):
        return tars.open_pattern(location)
    raise SourceError(
        f"{location}: no such file or folder; expected {_UNDERSTOOD}, digits, "
        f"or {' or '.join(f'demo:{name}' for name in DEMOS)}"
    )


def _open_demo(location: str, limit: int | None) -> Source:
    name, _, typed = location.removeprefix("demo:").partition(":")
    if name not in DEMOS or (typed and not (typed.isdecimal() and int(typed))):
        raise UsageError(
            f"{location}: no such synthetic data set; expected "
            + " or ".join(f"demo:{name}" for name in DEMOS)
            + ", with a number of images if you like: demo:faces:5000"
        )
    from dcgan_cli.data.demo.source import DEFAULT_COUNT, DemoSource

    count = int(typed) if typed else limit or DEFAULT_COUNT
    return DemoSource(name, min(count, limit or count))


def _suggest_inside(path: Path) -> str:
    """What to use instead of a folder without images: sources directly inside it."""
    for child in itertools.islice(sorted(path.iterdir()), 1000):
        if child.name.endswith("_lmdb.zip"):
            return f"an LSUN database comes zipped: unzip {child.name} there first"
        head = first_bytes(child, 512)
        if any(kind.find(child, head) is not None for kind in _KINDS if kind is not folder):
            return f"give {child} itself"
    return "expected files such as .jpg or .png, in it or in its sub-folders"


def _not_recognized(path: Path, head: bytes) -> SourceError:
    """The error for a file of no known kind, according to what it is instead."""
    if not path.is_file():
        return SourceError(f"{path}: neither a file nor a folder; expected {_UNDERSTOOD}")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        if path.name.endswith(".gz") and idx.unzipped_head(path, 512)[257:262] != b"ustar":
            return SourceError(f"{path}: a gzip file of something else; expected {_UNDERSTOOD}")
        return SourceError(
            f"{path}: a compressed tar, from which images cannot be read in any order; "
            f"unpack it (tar -xf {path.name}) and give the folder"
        )
    if is_image_name(path.name):
        return SourceError(f"{path}: one image is not enough; give its folder, {path.parent}")
    if path.suffix == ".bin" and bin_files.find(path.parent):
        return SourceError(f"{path}: one file of a data set; give its folder, {path.parent}")
    if not head:
        return SourceError(f"{path}: the file is empty; download or copy it again")
    found = next(
        (name for magic, name in _FOREIGN if head.startswith(magic)),
        "neither images nor an archive of them",
    )
    return SourceError(f"{path}: {found}; expected {_UNDERSTOOD}")


_UNDERSTOOD = (
    "a folder of images, a .zip or .tar, an LSUN folder (LMDB), or the files of MNIST, EMNIST, "
    "CIFAR, STL-10, SVHN or CelebA"
)

_FOREIGN = (
    (b"7z\xbc\xaf", "a 7-Zip archive (unpack it first)"),
    (b"Rar!", "a RAR archive (unpack it first)"),
    (b"PAR1", "a Parquet file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array (save each image as .png)"),
    (b"\x89PNG", "one image whose name has no ending"),
    (b"\xff\xd8\xff", "one image whose name has no ending"),
    (b"%PDF", "a PDF (save its images as .png)"),
    (b"SQLite format 3", "an SQLite database"),
)
