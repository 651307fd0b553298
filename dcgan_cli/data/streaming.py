"""Images decoded on the fly: without a cache, on all cores."""

import itertools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.cores import allowed_cores
from dcgan_cli.data.decode import Unreadable, decode, fetch
from dcgan_cli.data.image_set import DecodedImages, PixelArray, log_line, refusal
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import SourceError, StorageError
from dcgan_cli.files import make_folder

_CHECKED_FIRST = 256
"""Records decoded before training, to refuse a source that is mostly unreadable."""


class StreamedImages(DecodedImages):
    """One image a record, decoded by threads: Pillow releases the GIL.

    An unreadable record is replaced by the next readable one as soon as it is detected: it is then
    counted in `skipped` and listed in the log, and `origin` gives the record that replaces it. A
    row of `original_size` is 0, 0 until its image was first decoded.
    """

    def __init__(
        self,
        source: Source,
        image_spec: ImageSpec,
        workers: int | None,
        max_unreadable: float,
        folder: Path,
        notes: list[str],
    ) -> None:
        count = len(source)
        self.image_spec = image_spec
        self.origin = np.arange(count, dtype=np.int64)
        self.original_size = np.zeros((count, 2), np.uint32)
        self.skipped = 0
        self.log = None
        self.notes = notes
        self._source = source
        self._max_unreadable = max_unreadable
        self._folder = folder
        self._bad = np.zeros(count, np.bool_)
        self._examples: list[tuple[int, str]] = []
        self._reading = threading.Lock()
        self._state = threading.Lock()
        self._pool = ThreadPoolExecutor(max(allowed_cores() if workers is None else workers, 1))
        try:
            self._check_some()
        except BaseException:
            self.close()
            raise

    def take(self, indices: NDArray[np.int64]) -> PixelArray:
        """As DecodedImages.take. Raises SourceError if too many records are unreadable."""
        images = np.empty((len(indices), *self.image_spec.shape), np.uint8)
        numbers = np.arange(len(self))[indices].tolist()
        for place, image in enumerate(self._pool.map(self._image, numbers)):
            images[place] = image
        return images

    def close(self) -> None:
        """Stop the threads; pending work is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _image(self, index: int) -> PixelArray:
        """The image of record `index`, or of the next readable one."""
        for number in itertools.chain(range(index, len(self)), range(index)):
            if self._bad[number]:
                continue
            try:
                with self._reading:  # a Source need not be thread-safe
                    record = fetch(self._source, number)
                pixels, size = decode(record, self.image_spec)
            except Unreadable as error:
                self._refuse(number, str(error))
                continue
            self.origin[index] = number
            self.original_size[index] = size
            return pixels
        raise self._refusal(self.skipped, len(self))

    def _refuse(self, number: int, reason: str) -> None:
        """Count and log an unreadable record, once; raises SourceError if there are too many."""
        with self._state:
            if self._bad[number]:
                return
            self._bad[number] = True
            self.skipped += 1
            if len(self._examples) < 3:
                self._examples.append((number, reason))
            self._write_log(log_line(self._source, number, reason))
            if self.skipped > self._max_unreadable * len(self):
                raise self._refusal(self.skipped, len(self))

    def _write_log(self, line: bytes) -> None:
        first = self.skipped == 1
        if not first and self.log is None:
            return
        log = self._folder / "unreadable.tsv"
        try:
            make_folder(self._folder)
            with log.open("wb" if first else "ab") as file:
                file.write(line)
            self.log = log
        except (OSError, StorageError):
            # perhaps the reason why there is no cache; training is still possible
            self.log = None
            self.notes.append(f"unreadable images are not listed: {log} cannot be written")

    def _check_some(self) -> None:
        """Decode evenly spaced records; raises SourceError if too many are unreadable.

        A sample may contain more unreadable records than the whole: four standard deviations are
        allowed.
        """
        numbers = np.unique(np.linspace(0, len(self) - 1, _CHECKED_FIRST).astype(np.int64))
        list(self._pool.map(self._image, numbers.tolist()))
        bad = int(self._bad[numbers].sum())
        expected = self._max_unreadable * len(numbers)
        if bad > expected + 4 * math.sqrt(expected * (1 - self._max_unreadable)):
            raise self._refusal(bad, len(numbers))

    def _refusal(self, unreadable: int, checked: int) -> SourceError:
        return refusal(
            self._source, unreadable, checked, self._max_unreadable, self._examples, self.log
        )
