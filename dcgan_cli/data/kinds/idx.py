"""IDX files, plain or gzipped: the format of MNIST, Fashion-MNIST, EMNIST and KMNIST.

EMNIST's images are stored transposed (G. Cohen et al., arXiv:1702.05373, made them with MATLAB,
which is column-major); they are transposed back. Where several of its splits are in one folder, a
part has the name of a split, such as `letters-test`.

Format (Y. LeCun, "The MNIST database", section "File formats"): two zero bytes, the type (8 is
uint8), the number of dimensions, one big-endian uint32 for each, then the values.
"""

import functools
import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource, FileRows, PixelRows, class_labels
from dcgan_cli.data.kinds.file_reader import MAX_RECORD, FileReader, first_bytes
from dcgan_cli.errors import SourceError

_MAGIC_IMAGES, _MAGIC_LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"
_PATTERN = "*images[-.]idx3-ubyte*"
_FOLDERS = (".", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw", "gzip")
_EMNIST = re.compile(r"emnist-(\w+)-(train|test)-images")
_TEST_NAMES = ("t10k", "test")
_DEFLATE_LIMIT = 1032
"""Maximum compression ratio of deflate: a header that claims more is false."""
_ALWAYS_ALLOWED_BYTES, _MAX_DEFLATE_RATIO = 64 << 20, 100
"""Above this size, a compression ratio beyond _MAX_DEFLATE_RATIO is refused; MNIST's is five."""
_MAX_BYTES = 4 << 30
"""EMNIST's largest file has 0.6 GB."""
_GZIP, _HEAD = 31, 1 << 16
"""The `wbits` value with which zlib reads gzip, and the bytes in which the first values begin."""


def find(path: Path, head: bytes) -> Path | list[Path] | None:
    """The IDX file of images `path`, or the files in the first of the usual places in it."""
    if _begins_like_images(path, head):
        return path
    for place in _FOLDERS:
        files = sorted((path / place).glob(_PATTERN))
        if files := [f for f in files if _begins_like_images(f, first_bytes(f, 4))]:
            return files
    return None


def open_found(found: Path | list[Path], location: str, part: str | None) -> ArraySource:
    """The images of an IDX file, or of one part (train unless `part` says test) of a folder.

    Raises SourceError: files that are damaged, that contradict each other, or no such part.
    """
    if isinstance(found, list):
        images = _choose(found, location, part)
        kind = f"IDX images (MNIST's form), {_part_of(images)} part"
    elif part is not None:
        raise SourceError(f"{location}: an IDX file has no parts; drop #{part}, or give its folder")
    else:
        images, kind = found, "IDX images (MNIST's form)"
    on_its_side = _EMNIST.match(images.name) is not None
    load = functools.partial(_upright, images.absolute(), on_its_side)
    labels, files = None, [images.absolute()]
    labels_file = _labels_file(images)
    if labels_file is not None:
        codes = np.asarray(_read(labels_file, _MAGIC_LABELS))
        labels = class_labels(codes, _words(images, codes))
        files = [*files, labels_file.absolute()]
    notes = (f"{images.name}: EMNIST's images lie on their side; turned upright",)
    source = ArraySource(kind, location, load(), load, labels, files, notes * on_its_side)
    if labels_file and labels and len(labels.columns["label"]) != len(source):
        raise SourceError(
            f"{labels_file}: {len(labels.columns['label']):,} labels for the {len(source):,} "
            f"images of {images.name}; get both files from the same place"
        )
    if not len(source):
        raise SourceError(f"{images}: the IDX file holds no images; download it again")
    return source


def _labels_file(images: Path) -> Path | None:
    """The file of labels beside a file of images, by its name, gzipped or not; None if missing."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    files = [images.with_name(name), images.with_name(f"{name}.gz")]
    return next((file for file in files if first_bytes(file, 1) and file != images), None)


def _begins_like_images(path: Path, head: bytes) -> bool:
    if head.startswith(b"\x1f\x8b"):
        head = unzipped_head(path, 4)
    return head.startswith(_MAGIC_IMAGES)


def unzipped_head(path: Path, count: int) -> bytes:
    """The first `count` bytes inside a gzipped file; b'' if it cannot be unpacked."""
    try:
        # not by the gzip module, which skips a file name of any length byte by byte
        return zlib.decompressobj(_GZIP).decompress(first_bytes(path, _HEAD), count)
    except (OSError, zlib.error):
        return b""


def _part_of(file: Path) -> str:
    if found := _EMNIST.match(file.name):
        return f"{found[1]}-{found[2]}"
    return "test" if any(name in file.name for name in _TEST_NAMES) else "train"


def _choose(files: list[Path], location: str, part: str | None) -> Path:
    """The file of `part`, or of train if none was given; a plain file before its gzipped copy."""
    wanted = part or "train"
    chosen = {
        file.name.removesuffix(".gz"): file
        for file in reversed(files)
        if wanted in (_part_of(file), *_part_of(file).split("-"))
    }
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    parts = " or ".join(sorted({f"#{_part_of(file)}" for file in files}))
    names = ", ".join(file.name for file in files[:3]) + (", ..." if len(files) > 3 else "")
    found = "several" if chosen else "no"
    raise SourceError(
        f"{location}: {found} {wanted} images among {names}; use {parts}, or give the file itself"
    )


def _upright(path: Path, on_its_side: bool) -> PixelRows:
    images = _read(path, _MAGIC_IMAGES)
    return np.asarray(images).transpose(0, 2, 1) if on_its_side else images


def _words(images: Path, codes: NDArray[np.uint8]) -> list[str] | None:
    """The characters that EMNIST's mapping file assigns to its codes; None without such a file.

    A line is a code, then the character's ASCII number (if upper and lower case are one class:
    both, the upper one first).
    """
    split = _EMNIST.match(images.name)
    file = images.with_name(f"emnist-{split[1]}-mapping.txt") if split else None
    if file is None or not file.is_file():
        return None
    words = [str(number) for number in range(int(codes.max(initial=0)) + 1)]
    try:
        for line in filter(str.strip, file.read_text(encoding="ascii").splitlines()):
            code, character, *_ = map(int, line.split())
            if 0 <= code < len(words):
                words[code] = chr(character)
    except (ValueError, OverflowError) as error:
        raise SourceError(
            f"{file}: expected lines of a code and an ASCII number; download it again"
        ) from error
    return words


def _read(path: Path, magic: bytes) -> PixelRows:
    """The values of an IDX file; images of a plain file are read one by one when requested."""
    packed = first_bytes(path, 2) == b"\x1f\x8b"
    dimensions = magic[3]
    header_size = 4 + 4 * dimensions
    try:
        if packed and not unzipped_head(path, 1):
            raise SourceError(f"{path}: a damaged gzip file; download it again")
        with gzip.open(path) if packed else path.open("rb") as file:
            header = file.read(header_size)
            if not header.startswith(magic) or len(header) < header_size:
                raise SourceError(f"{path}: expected an IDX file of bytes; download it again")
            shape = tuple(np.frombuffer(header, ">u4", dimensions, offset=4).tolist())
            needed, size = math.prod(shape), path.stat().st_size
            cut_short = SourceError(
                f"{path}: cut short for the {shape[0]:,} entries it announces; download it again"
            )
            if needed > (size * _DEFLATE_LIMIT if packed else size - header_size):
                raise cut_short
            if packed and needed > max(_ALWAYS_ALLOWED_BYTES, size * _MAX_DEFLATE_RATIO):
                raise SourceError(
                    f"{path}: refused: it unpacks to {needed:,} bytes, {needed // size} times its own; "
                    "no images do"
                )
            if not packed and magic == _MAGIC_IMAGES:
                return FileRows(FileReader(path), header_size, shape)
            if needed > (_MAX_BYTES if packed else MAX_RECORD):
                raise SourceError(
                    f"{path}: {needed:,} bytes are more than is held in memory; unpack it, and "
                    "check what it is"
                )
            values = file.read(needed)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path}: a damaged gzip file ({error}); download it again") from error
    if len(values) < needed:
        raise cut_short
    return np.frombuffer(values, np.uint8).reshape(shape)
