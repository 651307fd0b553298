"""The cache of decoded images: a Source is decoded once, into files in the user's cache folder.

    <cache>/pictures/<key>/shard-000.u8, shard-000.json ...   see shards.py
                           unreadable.tsv   name<TAB>reason of each skipped record
                           in-use           locked while the cache is used; its time is that of
                                            the last use
                           building         locked by the process that checks or builds the cache

The key is a digest of the source's fingerprint, the ImageSpec and the format version: a changed
source gets another cache. A finished shard is kept, however the process ends; the next run builds
the shards that are missing or damaged, and the last of them completes the cache.
"""

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.cores import allowed_cores
from dcgan_cli.data.decode import Unreadable, read_image
from dcgan_cli.data.eviction import exclusive_lock, make_room, mark_in_use
from dcgan_cli.data.image_set import DecodedImages, PixelArray, log_line, refusal
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.shards import Layout, Shard, open_shard
from dcgan_cli.data.sources import Source
from dcgan_cli.data.streaming import StreamedImages
from dcgan_cli.data.workers import build_shards
from dcgan_cli.errors import SourceError, StorageError
from dcgan_cli.files import atomic_write, cache_folder
from dcgan_cli.progress import ProgressCallback

DECODING_VERSION = 1
"""Increase it whenever the same source is decoded to other bytes, or stored in another form."""

GIB = 1 << 30

_CHECKED_BYTES = 2 * GIB
"""Up to this size every byte is checked when a cache is opened; beyond it, evenly spaced shards."""

_MIN_SECONDS_FOR_WORKERS = 3.0
"""If decoding takes fewer seconds, it is done in this process: starting others takes as long."""

_PROBES = 16


class CachedImages(DecodedImages):
    """Images in shards: nothing is decoded, and only requested images are read."""

    def __init__(
        self,
        layout: Layout,
        shards: Sequence[Shard],
        log: Path | None,
        notes: list[str],
        in_use: IO[bytes],
    ) -> None:
        sizes = np.concatenate([shard.sizes for shard in shards])
        self.image_spec = layout.image_spec
        self.origin = np.flatnonzero(sizes[:, 0]).astype(np.int64)
        self.original_size = sizes[self.origin].astype(np.uint32)
        self.skipped = layout.count - len(self.origin)
        self.log = log
        self.notes = notes
        self._records = layout.records
        self._shards = list(shards)
        self._in_use = in_use

    def take(self, indices: NDArray[np.int64]) -> PixelArray:
        """As DecodedImages.take; each image is one read, usually from the system's page cache.

        Raises SourceError if the cache was truncated or cannot be read.
        """
        shards, rows = np.divmod(self.origin[indices], self._records)
        images = np.empty((len(indices), *self.image_spec.shape), np.uint8)
        for place, (shard, row) in enumerate(zip(shards.tolist(), rows.tolist(), strict=True)):
            try:
                self._shards[shard].read_into(row, images[place])
            except (OSError, ValueError) as error:
                raise self._damaged(shard, error) from error
        return images

    def close(self) -> None:
        """Close the files, and allow other processes to evict the cache."""
        for shard in self._shards:
            shard.pixels.close()
        self._shards = []
        self._in_use.close()

    def _damaged(self, shard: int, error: Exception) -> SourceError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return SourceError(
            f"cached images {self._shards[shard].pixels.path}: damaged while they were in use "
            f"({reason}); run again, which builds them anew, and check the disk"
        )


def prepare(
    source: Source,
    image_spec: ImageSpec,
    *,
    workers: int | None = None,
    cache_limit: int = 20 * GIB,
    max_unreadable: float = 0.05,
    use_cache: bool = True,
    progress: ProgressCallback | None = None,
) -> DecodedImages:
    """Prepare the images of `source`: from the cache, into the cache, or decoded on the fly.

    Args:
        source: where the images are.
        image_spec: the format they get.
        workers: how many processes decode (threads, on the fly); 0 decodes in this process; None
            takes one a CPU, and none if there is little to do.
        cache_limit: bytes that all image caches together may take. Those unused for the longest
            time are evicted; if that is not enough, the images are decoded on the fly and a note
            says so.
        max_unreadable: the share of records, 0 to 1, that may be unreadable and skipped.
        use_cache: False to decode on the fly and write only the log.
        progress: called while decoding with (finished records, all records).

    Example: `images = prepare(open_source("demo:faces:100"), ImageSpec(64, 3))`.

    Raises:
        SourceError: the source is empty, or more than `max_unreadable` of it cannot be read.
        StorageError: the cache cannot be written.
    """
    if len(source) == 0:
        raise SourceError(f"{source.location}: this {source.kind} holds no images")
    layout = Layout(cache_folder() / "pictures" / _key(source, image_spec), len(source), image_spec)
    notes: list[str] = []
    if use_cache:
        needed = layout.count * image_spec.image_bytes
        try:
            if make_room(layout.folder, needed, cache_limit):
                return _open_cache(layout, source, workers, max_unreadable, progress)
        except StorageError as error:
            raise StorageError(f"{error}; or pass --no-cache to decode on the fly") from error
        notes.append(
            f"the images take {needed / GIB:.3g} GiB, for which --cache-limit "
            f"{cache_limit / GIB:.3g} GiB leaves no room: decoding on the fly, which is slower"
        )
    return StreamedImages(source, image_spec, workers, max_unreadable, layout.folder, notes)


def _key(source: Source, image_spec: ImageSpec) -> str:
    # with the decoder, records may be readable that were not before
    decoders = find_spec("pillow_heif") is not None
    parts = [DECODING_VERSION, source.fingerprint(), len(source), *astuple(image_spec), decoders]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _open_cache(
    layout: Layout,
    source: Source,
    workers: int | None,
    max_unreadable: float,
    progress: ProgressCallback | None,
) -> CachedImages:
    in_use = mark_in_use(layout.folder)
    try:
        with exclusive_lock(layout.folder / "building", lambda: _follow_builder(layout, progress)):
            notes = _build(layout, source, workers, max_unreadable, progress)
            shards = [shard for shard in _open_all(layout) if shard]
            log = _write_log(layout, source, shards, max_unreadable)
        if len(shards) < layout.shards:
            raise StorageError(f"{layout.folder}: what was written there cannot be read back")
        return CachedImages(layout, shards, log, notes, in_use)
    except BaseException:
        in_use.close()
        raise


def _build(
    layout: Layout,
    source: Source,
    workers: int | None,
    max_unreadable: float,
    progress: ProgressCallback | None,
) -> list[str]:
    """Build missing and damaged shards; stop if too many records are unreadable. Returns notes."""
    found = _open_all(layout)
    sample = math.ceil(layout.count * layout.image_spec.image_bytes / _CHECKED_BYTES)
    missing = [
        number
        for number, shard in enumerate(found)
        if shard is None or (number % sample == 0 and not shard.intact())
    ]
    if not missing:
        return []
    damaged = sum(layout.facts(number).exists() for number in missing)
    unbuilt = sum(len(layout.span(number)) for number in missing)
    unreadable = sum(len(s.unreadable) for n, s in enumerate(found) if s and n not in missing)
    if workers is None:
        workers = allowed_cores() if _worth_workers(layout, source, missing) else 0
    layout.sweep()
    try:
        with contextlib.closing(build_shards(layout, source, missing, workers)) as steps:
            for done, newly_unreadable in steps:
                if progress:
                    progress(layout.count - unbuilt + done, layout.count)
                if unreadable + newly_unreadable > max_unreadable * layout.count:
                    break
    finally:
        layout.sweep()
    if not damaged:
        return []
    return [f"{damaged} of {layout.shards} cached shards were damaged and have been built again"]


def _open_all(layout: Layout) -> list[Shard | None]:
    return [open_shard(layout, number) for number in range(layout.shards)]


def _write_log(
    layout: Layout, source: Source, shards: Sequence[Shard], max_unreadable: float
) -> Path | None:
    """Write the log of unreadable records; raises SourceError if there are too many."""
    unreadable = [item for shard in shards for item in shard.unreadable.items()]
    if not unreadable:
        return None
    log = layout.folder / "unreadable.tsv"
    with atomic_write(log) as file:
        for number, reason in unreadable:
            file.write(log_line(source, number, reason))
    count = len(unreadable)
    if count > max_unreadable * layout.count or count == layout.count:
        checked = sum(len(shard.sizes) for shard in shards)
        raise refusal(source, count, checked, max_unreadable, unreadable[:3], log)
    return log


def _worth_workers(layout: Layout, source: Source, missing: Sequence[int]) -> bool:
    """Whether decoding the `missing` shards here would take long, estimated from a few records."""
    records = np.concatenate([np.asarray(layout.span(number)) for number in missing])
    seconds: list[float] = []
    for number in records[:: math.ceil(len(records) / _PROBES)].tolist():
        start = time.perf_counter()
        with contextlib.suppress(Unreadable):
            read_image(source, number, layout.image_spec)
        seconds.append(time.perf_counter() - start)
    # The median, because the first record includes opening the source.
    return float(np.median(seconds)) * len(records) > _MIN_SECONDS_FOR_WORKERS


def _follow_builder(layout: Layout, progress: ProgressCallback | None) -> None:
    """Report the progress of another process that builds the same cache."""
    if progress:
        finished = [n for n in range(layout.shards) if layout.facts(n).exists()]
        progress(sum(len(layout.span(number)) for number in finished), layout.count)
