"""LSUN: LMDB databases whose records are encoded images under opaque keys.

The databases are read page by page (`lmdb_pages`), so nothing is written beside them and damage is
an error; three million keys are stored as bytes and offsets, not as Python objects.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.file_reader import fingerprint, first_bytes
from dcgan_cli.data.kinds.lmdb_pages import MAGIC, MAGIC_AT, LmdbFile
from dcgan_cli.data.kinds.names import NameTable
from dcgan_cli.data.labels import Columns, Labels, Words
from dcgan_cli.errors import SourceError

_NOT_FOR_TRAINING = ("_val_lmdb", "_test_lmdb")


class LsunSource:
    """The records of one or more LMDB databases, in the order of their keys."""

    notes = ()

    def __init__(
        self, kind: str, location: str, categories: Sequence[str], folders: Sequence[Path]
    ) -> None:
        self.kind = kind
        self.location = location
        self._categories = list(categories)
        self._files = [folder.absolute() / "data.mdb" for folder in folders]
        self._databases = [LmdbFile(file) for file in self._files]
        self._keys = [NameTable.collect(database.keys()) for database in self._databases]
        counts = list(map(len, self._keys))
        self._starts = np.array([0, *itertools.accumulate(counts)], np.int64)
        self.labels = None
        if len(counts) > 1:
            codes = np.repeat(np.arange(len(counts)), counts)
            self.labels = Labels(Columns({"label": Words(np.array(self._categories), codes)}))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> bytes:
        """The record's bytes. Raises OSError, or ValueError if they are more than an image needs."""
        number, row = self._place(index)
        return self._databases[number].value(row)

    def name(self, index: int) -> str:
        """The category and the key of the record, or its number if the key is not text."""
        number, row = self._place(index)
        key = self._keys[number].raw(row)
        text = key.decode() if key.isascii() and key.decode().isprintable() else f"record {row}"
        return f"{self._categories[number]}/{text}" if len(self._categories) > 1 else text

    def fingerprint(self) -> str:
        """A digest of the databases' sizes and times, and of how many records they hold."""
        return fingerprint(self._files, self._starts.tobytes())

    def content(self) -> str:
        """As Source.content, without sizes, which are not known without reading."""
        return content_digest(self)

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, index - int(self._starts[number])


def find(path: Path, head: bytes) -> Path | list[Path] | None:
    """The LMDB folder `path`, also given as its data.mdb, or the folders *_lmdb in it, by name."""
    if path.name == "data.mdb" and path.is_file():
        return path.parent
    if (path / "data.mdb").is_file():
        return path
    return sorted(folder for folder in path.glob("*_lmdb") if folder.is_dir()) or None


def open_found(found: Path | list[Path], location: str, part: str | None) -> LsunSource:
    """The database `found`, or all `*_train_lmdb` (with a part: `*_<part>_lmdb`) of several.

    Raises SourceError: no database for training there, or one that is damaged, cut short or empty.
    """
    if isinstance(found, Path):
        if part is not None:
            raise SourceError(f"{location}: one LMDB database has no parts; drop #{part}")
        return _open("LSUN database (LMDB)", location, [found])
    ending = f"_{part or 'train'}_lmdb"
    chosen = [folder for folder in found if folder.name.endswith(ending)]
    if not chosen and part is None:
        chosen = [folder for folder in found if not folder.name.endswith(_NOT_FOR_TRAINING)]
    if not chosen:
        names = ", ".join(folder.name for folder in found)
        raise SourceError(
            f"{location}: expected *{ending} there, found only {names}; "
            f"get the training images, or give {found[0]} itself to use it all the same"
        )
    names = _names(chosen)
    categories = ", ".join(names) if len(names) <= 3 else f"{len(names)} categories"
    return _open(f"LSUN ({categories})", location, chosen)


def _open(kind: str, location: str, folders: Sequence[Path]) -> LsunSource:
    for folder in folders:
        if not first_bytes(folder / "data.mdb", MAGIC_AT + 4)[MAGIC_AT:].startswith(MAGIC):
            inner = next(folder.glob("*/data.mdb"), None)
            mend = f"give {inner.parent}" if inner else "unzip the database again"
            raise SourceError(f"{folder}: expected an LMDB database (data.mdb) there; {mend}")
    try:
        source = LsunSource(kind, location, _names(folders), folders)
    except ValueError as error:
        raise SourceError(
            f"{location}: a damaged LMDB ({error}); download or copy it again"
        ) from error
    if not len(source):
        raise SourceError(f"{location}: the LMDB holds no records; download or make it again")
    return source


def _names(folders: Sequence[Path]) -> list[str]:
    """The categories after which the folders are named: "bedroom" for bedroom_train_lmdb."""
    return [folder.name.removesuffix("_lmdb").removesuffix("_train") for folder in folders]
