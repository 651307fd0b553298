"""Names of images, by the million: which names are images, and the classes they spell."""

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
"""Endings of files that are listed. Whether a file is an image is for the decoder to say."""

ANY_IMAGE_SUFFIX = IMAGE_SUFFIXES | {".avif", ".heic", ".heif", ".jp2", ".cr2", ".nef", ".dng"}
"""Endings that tell an image's name from the same name without one, read here or not."""

_LITTER = frozenset(
    (
        "@eadir",  # Synology
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        ".@__thumb",
        "$recycle.bin",  # Windows
        "recycler",
        "system volume information",
        "thumbs",
        "__macosx",  # macOS
        "ipod photo cache",
        "network trash folder",
        "temporary items",
        "lost+found",  # ext4
        "lost.dir",  # Android
        "captureone",
        "__pycache__",
    )
)
_LITTER_PREFIXES = ("synophoto_", "synofile_thumb")
_LITTER_SUFFIXES = (".lrdata", ".cocatalog", ".cosessiondb")
"""Names, in lower case, under which systems, network storage and photo programs keep thumbnails,
deleted files and copies of their own beside a person's images."""

_SPLITS = frozenset(
    ["train", "training", "trn", "val", "valid", "validation", "dev", "test", "testing"]
)


class NameTable:
    """Names in one run of bytes and an array of where each ends: 8 bytes a name above its text.

    Names are UTF-8; what no text can hold (a file name of stray bytes) survives the way there and
    back.
    """

    def __init__(self, blob: bytes, ends: NDArray[np.int64]) -> None:
        self._blob = blob
        self._ends = ends

    @classmethod
    def collect(cls, names: Iterable[bytes]) -> "NameTable":
        """Hold `names`, consumed one by one."""
        blob, ends = io.BytesIO(), array("q")  # whose value is handed over, not copied
        for name in names:
            blob.write(name)
            ends.append(blob.tell())
        return cls(blob.getvalue(), np.frombuffer(ends, np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    def raw(self, index: int) -> bytes:
        """Name `index` as it was given. Raises IndexError."""
        if not 0 <= index < len(self._ends):
            raise IndexError(f"name {index} of {len(self._ends)}")
        start = int(self._ends[index - 1]) if index else 0
        return self._blob[start : int(self._ends[index])]

    def path(self, index: int) -> str:
        """Name `index` as a relative path that the operating system understands."""
        return decode_name(self.raw(index))

    def text(self, index: int) -> str:
        """Name `index` for people: always printable as UTF-8."""
        return self.path(index).encode("utf-8", "replace").decode()

    def __iter__(self) -> Iterator[bytes]:
        return (self.raw(index) for index in range(len(self)))

    def tobytes(self) -> bytes:
        """All names, one after the other: what a fingerprint hashes."""
        return self._blob + self._ends.tobytes()


def encode_name(name: str) -> bytes:
    """The bytes under which `name` is held; undone by `decode_name`."""
    return name.encode("utf-8", "surrogatepass")


def decode_name(name: bytes) -> str:
    """What `encode_name` was given."""
    return name.decode("utf-8", "surrogatepass")


def is_image_name(path: str) -> bool:
    """Whether `path` (with slashes) ends like an image and no part of it is litter."""
    return suffix(path) in IMAGE_SUFFIXES and litter(path) is None


def litter(path: str) -> str | None:
    """The first part of `path` (with slashes) that no person put there, or None.

    That is a hidden name (a leading dot: `.thumbnails`, `.git`), of which files are added up as
    ".*" and AppleDouble copies as "._*", or one of the names listed above.
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
    """The ending of a file name with its dot, in lower case: ".jpg"; '' where there is none."""
    _, dot, ending = path.rpartition(".")
    return dot + ending.lower() if dot and "/" not in ending else ""


def printable(name: str) -> str:
    """`name` on one line: a file may be called anything, a terminal must not obey it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def folder_labels(names: Iterable[bytes]) -> Labels | None:
    """The classes that folders spell, as torchvision's ImageFolder reads them, or None.

    Levels that all images share are dropped first (archives like to wrap everything in one
    folder). If the next level has only names such as train and test it becomes the column "split".
    The level after that is the column "label", '' for images outside any folder.
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
