"""Prepared images: uint8 squares by number, cached or decoded on the fly."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcgan_cli.data.resize_crop import ImageSpec, crop_corners
from dcgan_cli.data.sources import Source
from dcgan_cli.data.survey import printable
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

PixelArray = NDArray[np.uint8]


class DecodedImages(ABC):
    """The images of one source in one ImageSpec, by number from 0 to `len` − 1.

    `origin` is int64 [N]: the record number of each image in the source. `original_size` is uint32
    [N, 2]: width and height before resizing. `skipped` counts the records that could not be read;
    `log`, if there are any, lists them, one `name<TAB>reason` a line. `notes` are messages about
    how the images were prepared, one sentence each.
    """

    image_spec: ImageSpec
    origin: NDArray[np.int64]
    original_size: NDArray[np.uint32]
    skipped: int
    log: Path | None
    notes: list[str]

    def __len__(self) -> int:
        return len(self.origin)

    @abstractmethod
    def take(self, indices: NDArray[np.int64]) -> PixelArray:
        """Images `indices` [B], as a new array uint8 [B, side, side, channels].

        Thread-safe. Raises IndexError for an index that does not exist.

        Example: `images.take(np.arange(64))`.
        """

    def corners(self, corners: ArrayLike, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """Transform boxes on the originals to boxes on the prepared images, as crop_corners.

        `corners` [M, 4] lie on the originals of `images` [M]. A box outside is NaN.
        """
        width, height = self.original_size[images].T
        return crop_corners(corners, width, height, self.image_spec.fit)

    def close(self) -> None:  # noqa: B027
        """Release threads and locks; `take` must not be called afterwards."""


def log_line(source: Source, number: int, reason: str) -> bytes:
    """The line of the log about one unreadable record."""
    return f"{printable(source.name(number))}\t{reason}\n".encode()


def refusal(
    source: Source,
    unreadable: int,
    checked: int,
    most: float,
    examples: Iterable[tuple[int, str]],
    log: Path | None,
) -> SourceError:
    """The error for more unreadable images than `--max-unreadable` allows."""
    names: Sequence[str] = [
        f"{printable(source.name(number))} ({reason})" for number, reason in examples
    ]
    share = unreadable / checked
    limit = f", more than --max-unreadable {100 * most:g} %" if share > most else ""
    return SourceError(
        f"{source.location}: {unreadable:,} of {counted(checked, 'image')} could not be read "
        f"({100 * share:.3g} %){limit}: "
        + ", ".join(names)
        + (", ..." if unreadable > len(names) else "")
        + (f"; see {log}" if log else "")
    )
