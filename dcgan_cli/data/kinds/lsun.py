"""LSUN: LMDB databases whose records are encoded pictures under opaque keys.

The databases are opened read-only and without locks, so nothing is written beside them; their
three million keys are held as bytes and offsets, not as Python objects.
"""

import itertools
import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import lmdb
import numpy as np

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.names import NameTable
from dcgan_cli.data.kinds.reading import MAX_RECORD, fingerprint, first_bytes
from dcgan_cli.data.labels import Columns, Labels, Words
from dcgan_cli.errors import SourceError

_MAGIC = b"\xde\xc0\xef\xbe"  # 0xBEEFC0DE in the first meta page, after its 16-byte header
_MAGIC_AT, _HEAD = 16, 20
_PATIENCE = 2.0  # seconds
_NOT_FOR_TRAINING = ("_val_lmdb", "_test_lmdb")

_environments: "weakref.WeakValueDictionary[tuple[int, str], lmdb.Environment]" = (
    weakref.WeakValueDictionary()
)
_opening = threading.Lock()


class _Database:
    """One LMDB: its keys, and its records through an environment opened in this very process."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.absolute())
        self._opened: tuple[int, lmdb.Environment] | None = None
        environment = self._environment()
        _refuse_cut_short(folder, environment)
        with environment.begin() as transaction:
            self.keys = NameTable.collect(transaction.cursor().iternext(keys=True, values=False))

    def get(self, index: int) -> bytes:
        """Record `index`. Raises OSError where the database cannot give it."""
        try:
            with self._environment().begin(buffers=True) as transaction:
                record = transaction.get(self.keys.raw(index))
                if record is None:
                    raise OSError(f"{self.folder} has lost the record")
                if len(record) > MAX_RECORD:
                    raise ValueError(f"{len(record):,} bytes are more than any picture needs")
                return bytes(record)
        except lmdb.Error as error:
            raise OSError(f"{self.folder}: {error}") from error

    def _environment(self) -> lmdb.Environment:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), _open_environment(self.folder))
        return self._opened[1]

    def __getstate__(self) -> tuple[str, NameTable]:
        return self.folder, self.keys

    def __setstate__(self, state: tuple[str, NameTable]) -> None:
        self.folder, self.keys = state
        self._opened = None


class LsunSource:
    """The records of one or more LMDB databases, in the order of their keys."""

    notes = ()

    def __init__(
        self, kind: str, location: str, categories: Sequence[str], folders: Sequence[Path]
    ) -> None:
        self.kind = kind
        self.location = location
        self._categories = list(categories)
        self._databases = [_Database(folder) for folder in folders]
        counts = [len(database.keys) for database in self._databases]
        self._starts = np.array([0, *itertools.accumulate(counts)], np.int64)
        self.labels = None
        if len(counts) > 1:
            codes = np.repeat(np.arange(len(counts)), counts)
            self.labels = Labels(Columns({"label": Words(np.array(self._categories), codes)}))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> bytes:
        """The record's bytes. Raises OSError, or ValueError for more than a picture needs."""
        number, row = self._place(index)
        return self._databases[number].get(row)

    def name(self, index: int) -> str:
        """The category and the record's key, or its number where the key is no text."""
        number, row = self._place(index)
        key = self._databases[number].keys.raw(row)
        text = key.decode() if key.isascii() and key.decode().isprintable() else f"record {row}"
        return f"{self._categories[number]}/{text}" if len(self._categories) > 1 else text

    def fingerprint(self) -> str:
        """A digest of the databases' sizes and times, and of how many records they hold."""
        files = [Path(database.folder) / "data.mdb" for database in self._databases]
        return fingerprint(files, self._starts.tobytes())

    def content(self) -> str:
        """As Source.content; sizes do not count, which are known by reading alone."""
        return content_digest(self)

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, index - int(self._starts[number])


def matches(path: Path) -> bool:
    """Whether `path` is an LMDB folder or its data.mdb, or holds folders called *_lmdb."""
    return _database_folder(path) is not None or bool(_databases_in(path))


def open_path(path: Path, location: str, part: str | None) -> LsunSource:
    """The database at `path`, or all `*_train_lmdb` (with a part: `*_<part>_lmdb`) inside it.

    Raises:
        SourceError: no database for training there, or one that is damaged, cut short or empty.
    """
    if folder := _database_folder(path):
        if part is not None:
            raise SourceError(f"{location}: one LMDB database has no parts; drop #{part}")
        return _open("LSUN database (LMDB)", location, [folder])
    found = _databases_in(path)
    ending = f"_{part or 'train'}_lmdb"
    chosen = [folder for folder in found if folder.name.endswith(ending)]
    if not chosen and part is None:
        chosen = [folder for folder in found if not folder.name.endswith(_NOT_FOR_TRAINING)]
    if not chosen:
        names = ", ".join(folder.name for folder in found)
        raise SourceError(
            f"{location}: expected *{ending} there, found only {names}; "
            f"get the training pictures, or give {found[0]} itself to use it all the same"
        )
    return _open(f"LSUN ({_categories(chosen)})", location, chosen)


def _open(kind: str, location: str, folders: Sequence[Path]) -> LsunSource:
    for folder in folders:
        if not first_bytes(folder / "data.mdb", _HEAD)[_MAGIC_AT:].startswith(_MAGIC):
            inner = next(folder.glob("*/data.mdb"), None)
            mend = f"give {inner.parent}" if inner else "unzip the database again"
            raise SourceError(f"{folder}: expected an LMDB database (data.mdb) there; {mend}")
    try:
        source = LsunSource(kind, location, _names(folders), folders)
    except lmdb.Error as error:
        raise SourceError(
            f"{location}: a damaged LMDB ({error}); download or copy it again"
        ) from error
    if not len(source):
        raise SourceError(f"{location}: the LMDB holds no records; download or make it again")
    return source


def _names(folders: Sequence[Path]) -> list[str]:
    """The categories that the folders are named after: bedroom_train_lmdb is "bedroom"."""
    return [folder.name.removesuffix("_lmdb").removesuffix("_train") for folder in folders]


def _categories(folders: Sequence[Path]) -> str:
    names = _names(folders)
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} categories"


def _database_folder(path: Path) -> Path | None:
    """The folder of the database that `path` is, or None."""
    if path.name == "data.mdb" and path.is_file():
        return path.parent
    return path if (path / "data.mdb").is_file() else None


def _databases_in(path: Path) -> list[Path]:
    """The folders called *_lmdb that `path` holds, by name."""
    return sorted(folder for folder in path.glob("*_lmdb") if folder.is_dir())


def _open_environment(folder: str) -> lmdb.Environment:
    """The one environment that this process has for `folder`.

    LMDB forbids opening a database twice in one process, so sources share it; one inherited through
    a fork is closed first, for its lock-free readers belong to the parent.
    """
    key = (os.getpid(), folder)
    with _opening:
        if (environment := _environments.get(key)) is not None:
            return environment
        for (process, other), inherited in list(_environments.items()):
            if other == folder and process != key[0]:
                inherited.close()
        environment = _open_once_closed(folder)
        _environments[key] = environment
        return environment


def _open_once_closed(folder: str) -> lmdb.Environment:
    """Open `folder`, after waiting for a source that is just being forgotten.

    In another thread its environment may be past sharing, and yet a moment away from being closed.
    """
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            return lmdb.open(
                folder,
                readonly=True,
                create=False,
                lock=False,
                readahead=False,
                meminit=False,
                max_spare_txns=8,
            )
        except lmdb.Error as error:
            if "already open" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.001)


def _refuse_cut_short(folder: Path, environment: lmdb.Environment) -> None:
    """Raise SourceError where pages are missing at the end: touching one would kill the process."""
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (folder / "data.mdb").stat().st_size
    if found < needed:
        raise SourceError(
            f"{folder / 'data.mdb'}: cut short, {found:,} of {needed:,} bytes are there; "
            "download or copy it again"
        )
