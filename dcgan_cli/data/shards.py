"""Shards: decoded images on disk, a fixed number of records a file, read by offset.

They are not memory-mapped: if another process truncates a mapped file, or a disk fails, the process
ends with a signal; reading by offset raises an error instead.

Shard k is `shard-k.u8`, the raw uint8 pixels of its records one after another (zeros for an
unreadable record), and `shard-k.json`, which describes them:

    {"sizes": [[width, height], ...],       0, 0 for an unreadable record
     "unreadable": {"17": "empty file"},    reasons, by number in the source
     "crc32": 305419896}                    of the pixels followed by the sizes as <u4

Both are written atomically, the JSON last: if it exists, the pixels are complete. Building a shard
twice writes the same bytes, so two processes that build the same cache do no harm.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.decode import Unreadable, read_image
from dcgan_cli.data.image_set import PixelArray
from dcgan_cli.data.kinds.file_reader import FileReader
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import Source
from dcgan_cli.files import atomic_write, write_text

# Each open file holds a file descriptor, of which a process on macOS has 256.
_MAX_SHARDS = 128
_MIN_RECORDS = 256


@dataclass(frozen=True)
class Layout:
    """How the `count` records of a source are divided into shards in `folder`."""

    folder: Path
    count: int
    image_spec: ImageSpec

    @property
    def records(self) -> int:
        """Records a shard; the last shard may hold fewer."""
        return max(_MIN_RECORDS, math.ceil(self.count / _MAX_SHARDS))

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return math.ceil(self.count / self.records)

    def span(self, shard: int) -> range:
        """The record numbers of `shard`."""
        return range(shard * self.records, min((shard + 1) * self.records, self.count))

    def pixels(self, shard: int) -> Path:
        """Where the pixels of `shard` are."""
        return self.folder / f"shard-{shard:03d}.u8"

    def facts(self, shard: int) -> Path:
        """Where the JSON of `shard` is."""
        return self.folder / f"shard-{shard:03d}.json"

    def sweep(self) -> None:
        """Remove temporary files of killed processes."""
        for leftover in self.folder.glob(".shard-*.tmp"):
            leftover.unlink(missing_ok=True)


_CHECKED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Shard:
    """A finished shard: `pixels`, uint8 [n, side, side, channels] in a file, and `sizes` [n, 2]."""

    pixels: FileReader
    sizes: NDArray[np.uint32]
    unreadable: Mapping[int, str]
    crc32: int
    image_bytes: int

    def read_into(self, row: int, image: PixelArray) -> None:
        """Fill `image` with the pixels of `row`. Raises OSError, or ValueError if truncated."""
        self.pixels.read_into(row * self.image_bytes, image.reshape(-1).data)

    def intact(self) -> bool:
        """Whether the bytes on disk match their checksum; reads all of them."""
        crc, total = 0, len(self.sizes) * self.image_bytes
        try:
            for start in range(0, total, _CHECKED_AT_ONCE):
                size = min(_CHECKED_AT_ONCE, total - start)
                crc = zlib.crc32(self.pixels.read(start, size), crc)
        except (OSError, ValueError):
            return False
        return _checksum(self.sizes, crc) == self.crc32


def build_shard(
    layout: Layout,
    shard: int,
    source: Source,
    crashing_records: Mapping[int, str],
    announce: Callable[[int], None],
) -> int:
    """Decode the records of `shard` into its two files; returns how many were unreadable.

    `crashing_records` are skipped, with the given reason. `announce` is called with the number of
    each record before it is decoded. Raises StorageError.
    """
    span = layout.span(shard)
    sizes = np.zeros((len(span), 2), "<u4")
    unreadable: dict[int, str] = {}
    zeros = np.zeros(layout.image_spec.shape, np.uint8)
    crc = 0
    with atomic_write(layout.pixels(shard)) as file:
        for row, number in enumerate(span):
            announce(number)
            try:
                if number in crashing_records:
                    raise Unreadable(crashing_records[number])
                pixels, sizes[row] = read_image(source, number, layout.image_spec)
            except Unreadable as error:
                unreadable[number] = str(error)
                pixels = zeros
            crc = zlib.crc32(pixels.data, crc)
            file.write(pixels.data)
    facts = {"sizes": sizes.tolist(), "unreadable": unreadable, "crc32": _checksum(sizes, crc)}
    write_text(layout.facts(shard), json.dumps(facts))
    return len(unreadable)


def open_shard(layout: Layout, shard: int) -> Shard | None:
    """Open a finished shard; None if it does not exist or is damaged."""
    rows = len(layout.span(shard))
    try:
        facts = json.loads(layout.facts(shard).read_bytes())
        sizes = np.array(facts["sizes"], "<u4").reshape(rows, 2)
        unreadable = {int(number): str(reason) for number, reason in facts["unreadable"].items()}
        crc32 = int(facts["crc32"])
        if layout.pixels(shard).stat().st_size != rows * layout.image_spec.image_bytes:
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return None
    except (RecursionError, MemoryError):  # deeply nested JSON
        return None
    pixels = FileReader(layout.pixels(shard))
    return Shard(pixels, sizes, unreadable, crc32, layout.image_spec.image_bytes)


def _checksum(sizes: NDArray[np.uint32], crc_of_pixels: int) -> int:
    return zlib.crc32(sizes.astype("<u4").data, crc_of_pixels)
