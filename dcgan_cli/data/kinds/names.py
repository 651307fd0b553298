"""Names of images, by the million: which names are images, and the classes in their paths."""

import io
import itertools
from array import array
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import features

from dcgan_cli.data.labels import Columns, Labels, Words

_ALWAYS_READ = (
    ".jpg .jpeg .jpe .jfif .jif .pjpeg .pjp .mpo .png .apng .webp .bmp .dib .gif .tif .tiff "
    ".pgm .ppm .pbm .pnm .pfm"
)
_HEIC = ".heic .heif .hif"


def _readable() -> Iterator[str]:
    yield from _ALWAYS_READ.split()
    if features.check("avif"):
        yield from (".avif", ".avifs")
    if features.check("jpg_2000"):
        yield from (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
    if find_spec("pillow_heif") is not None:  # the `heic` extra
        yield from _HEIC.split()


IMAGE_SUFFIXES = frozenset(_readable())
"""Suffixes of the files that are listed. Whether a file is an image is decided when it is decoded."""

ANY_IMAGE_SUFFIX = IMAGE_SUFFIXES | {".avif", ".heic", ".heif", ".jp2", ".cr2", ".nef", ".dng"}
"""Suffixes that are ignored when names are compared, whether they can be read here or not."""

_LITTER_NAMES = (
    "@eadir|@tmp|#recycle|#snapshot|@recycle|@recently-snapshot|.@__thumb|"  # Synology, QNAP
    "$recycle.bin|recycler|system volume information|thumbs|"  # Windows
    "__macosx|ipod photo cache|network trash folder|temporary items|"  # macOS
    "lost+found|lost.dir|captureone|__pycache__"  # ext4, Android
)
_LITTER = frozenset(_LITTER_NAMES.split("|"))
_LITTER_PREFIXES = ("synophoto_", "synofile_thumb")
_LITTER_SUFFIXES = (".lrdata", ".cocatalog", ".cosessiondb")
"""Names, in lower case, that systems, network storage and photo programs use for thumbnails,
deleted files and other copies of images."""

_SPLITS = ("train", "training", "trn", "val", "valid", "validation", "dev", "test", "testing")


class NameTable:
    """Names in one string of bytes with an array of their ends: 8 bytes a name beside its text.

    Names are UTF-8; a file name of undecodable bytes is restored unchanged.
    """

    def __init__(self, blob: bytes, ends: NDArray[np.int64]) -> None:
        self._blob = blob
        self._ends = ends

    @classmethod
    def collect(cls, names: Iterable[bytes]) -> "NameTable":
        """Store `names`, consumed one by one."""
        blob, ends = io.BytesIO(), array("q")  # getvalue() does not copy
        for name in names:
            blob.write(name)
            ends.append(blob.tell())
        return cls(blob.getvalue(), np.frombuffer(ends, np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    def raw(self, index: int) -> bytes:
        """The bytes of name `index`. Raises IndexError."""
        if not 0 <= index < len(self._ends):
            raise IndexError(f"name {index} of {len(self._ends)}")
        start = int(self._ends[index - 1]) if index else 0
        return self._blob[start : int(self._ends[index])]

    def path(self, index: int) -> str:
        """Name `index` as a relative path that the operating system understands."""
        return decode_name(self.raw(index))

    def text(self, index: int) -> str:
        """Name `index` for the user: always printable as UTF-8."""
        return self.path(index).encode("utf-8", "replace").decode()

    def __iter__(self) -> Iterator[bytes]:
        return (self.raw(index) for index in range(len(self)))

    def tobytes(self) -> bytes:
        """All names, one after another, for a fingerprint."""
        return self._blob + self._ends.tobytes()


class ListedImages:
    """What the sources of images with names have in common; the folders in the names are labels."""

    def __init__(
        self,
        kind: str,
        location: str,
        names: NameTable,
        notes: tuple[str, ...],
        labels: Labels | None = None,
    ) -> None:
        self.kind, self.location = kind, location
        self.notes = notes
        self.labels = labels or folder_labels(names)
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The path in the folder or in the archive, with slashes."""
        return self._names.text(index)


def encode_name(name: str) -> bytes:
    """The bytes in which `name` is stored; the inverse of `decode_name`."""
    return name.encode("utf-8", "surrogatepass")


def decode_name(name: bytes) -> str:
    """The inverse of `encode_name`."""
    return name.decode("utf-8", "surrogatepass")


def is_image_name(path: str) -> bool:
    """Whether `path` (with slashes) has an image suffix and no part of it is litter."""
    return suffix(path) in IMAGE_SUFFIXES and litter(path) is None


def litter(path: str) -> str | None:
    """The first part of `path` (with slashes) that a program rather than the user made, or None.

    That is a hidden name (with a leading dot: `.thumbnails`, `.git`), of which files are counted
    together as ".*" and AppleDouble copies as "._*", or one of the names listed above.
    """
    parts = path.split("/")
    for place, part in enumerate(parts):
        name = part.casefold()
        if part.startswith(".") and part not in (".", ".."):
            if place < len(parts) - 1:
                return part
            return "._*" if part.startswith("._") else ".*"
        if name.startswith(_LITTER_PREFIXES):
            return "SYNOPHOTO_*"
        if name in _LITTER or name.endswith(_LITTER_SUFFIXES):
            return part
    return None


def suffix(path: str) -> str:
    """The suffix of a file name with its dot, in lower case: ".jpg"; '' if there is none."""
    _, dot, ending = path.rpartition(".")
    return dot + ending.lower() if dot and "/" not in ending else ""


def printable(name: str) -> str:
    """`name` on one line with control characters escaped: a file name must not control a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def folder_labels(names: Iterable[bytes]) -> Labels | None:
    """The classes given by folder names, as torchvision's ImageFolder reads them, or None.

    Folder levels that all images share are dropped first (archives often wrap everything in one
    folder). If the next level consists of names such as train and test, it becomes the column
    "split". The following level is the column "label", '' for images outside any folder.
    """
    folders: dict[bytes, int] = {}
    codes = np.fromiter(
        (folders.setdefault(name.rpartition(b"/")[0], len(folders)) for name in names), np.int64
    )
    levels = [decode_name(folder).split("/") if folder else [] for folder in folders]
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*levels, strict=False))
    shared = len(list(same))
    levels = [level[shared:] for level in levels]
    columns: dict[str, Words] = {}
    if len(levels) > 1 and all(level and level[0].lower() in _SPLITS for level in levels):
        columns["split"] = _first_level(levels, codes)
        levels = [level[1:] for level in levels]
    if len({level[0] if level else "" for level in levels}) > 1:
        columns["label"] = _first_level(levels, codes)
    return Labels(Columns(columns)) if columns else None


def _first_level(levels: list[list[str]], codes: NDArray[np.int64]) -> Words:
    word_of_folder = Words.collect(level[0] if level else "" for level in levels)
    return word_of_folder[codes]
