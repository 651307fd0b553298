"""Batches for training, addressed by number: the order of an epoch is a function of the seed.

Nothing is drawn from a global generator and nothing is consumed: batch (epoch, position) of a
seed is the same whether the run was interrupted or not. A thread prepares the next one meanwhile.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.data.pixels import normalize
from dcgan_cli.data.random_crop import RandomCrops, crop, crop_resident, sample_crops
from dcgan_cli.errors import SourceError
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream, pinned
from dcgan_cli.wording import counted_are

Address = tuple[int, int]
"""Epoch (from 0) and position of a batch within it."""

RANDOM_CROP_MARGIN = 1.5
"""With random crops, images are stored this many times larger than trained (96 for 64)."""


class ImageDataset(Protocol):
    """Prepared images that can be gathered by number (a PictureSet, cached or streaming)."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Images:
        """uint8 [B, S, S, C]."""
        ...


def too_few(count: int, batch_size: int, beside: Sequence[str] = ()) -> SourceError:
    """The error for fewer images than a batch; `beside` says what lay there and was not read."""
    fewer = f" or type --batch-size {count // 2}" if count >= 4 else ""
    mend = "; ".join([f"add images{fewer}", *beside])
    return SourceError(f"{counted_are(count, 'image')} fewer than a batch of {batch_size}; {mend}")


class Batches:
    """Batches [batch_size, C, size, size] in [−1, 1] on `device`, in the order of `seed`.

    Where several processes share every batch, `share` says which of its rows are this one's, and
    no others are read. Order, crops and flips are those of the whole one, however many share it.

    Every image is visited at most once an epoch; the last, incomplete batch is left out.
    Images larger than `size` are cropped at random; `flip` mirrors half of them. `look_ahead` has
    a thread prepare the next one: a gain while a GPU works or images are decoded, a loss where
    memory-mapped images are gathered beside busy CPU threads. `resident` are all images on
    `device`, where they fit there: batches are then cut out of them, and none travels.
    """

    def __init__(
        self,
        images: ImageDataset,
        *,
        size: int,
        batch_size: int,
        seed: int,
        flip: bool = False,
        device: torch.device | None = None,
        look_ahead: bool = True,
        share: slice = slice(None),
        resident: torch.Tensor | None = None,
    ) -> None:
        if len(images) < batch_size:
            raise too_few(len(images), batch_size)
        self.images = images
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self.look_ahead = look_ahead
        self.share = share
        self.device = device or torch.device("cpu")
        self.resident = resident
        self.per_epoch = len(images) // batch_size
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: tuple[Address, Future[torch.Tensor]] | None = None

    def get(self, address: Address, following: Address | None = None) -> torch.Tensor:
        """The batch at `address`; preparation of `following`, the next to be got, begins."""
        if self.resident is not None:
            indices = self._chosen(address)
            crops = self._crops(address, self.resident.shape[1])
            return normalize(crop_resident(self.resident, indices, crops, self.size))
        if self._ahead and self._ahead[0] == address:
            images = self._ahead[1].result()
        else:
            images = self._prepare(address)
        if following is not None and self.look_ahead:
            self._ahead = (following, self._thread.submit(self._prepare, following))
        return normalize(images.to(self.device, non_blocking=True))

    def close(self) -> None:
        """Stop the preparing thread."""
        self._thread.shutdown(cancel_futures=True)

    def _prepare(self, address: Address) -> torch.Tensor:
        images = self.images.take(self._chosen(address))
        crops = self._crops(address, images.shape[1])
        return pinned(crop(images, crops, self.size), self.device)

    def _chosen(self, address: Address) -> NDArray[np.int64]:
        """Which images this rank's share of a batch is made of."""
        epoch, position = address
        order = self._order  # read once: the other thread may be in another epoch
        if order[0] != epoch:
            shuffled = numpy_stream(self.seed, "order", epoch).permutation(len(self.images))
            self._order = order = (epoch, shuffled)
        first = position * self.batch_size
        return order[1][first : first + self.batch_size][self.share]

    def _crops(self, address: Address, side: int) -> RandomCrops | None:
        """Which windows of them, drawn for the whole batch."""
        stream = numpy_stream(self.seed, "augment", *address)
        return sample_crops(self.batch_size, side - self.size, self.flip, stream, self.share)
