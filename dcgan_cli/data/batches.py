"""Training batches, addressed by number: the order of an epoch is a function of the seed.

No global random generator is used and no state is consumed: batch (epoch, position) of a seed is
the same whether the run was interrupted or not. A thread prepares the next batch in the background.
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
"""With random crops, images are prepared this many times larger than the crop (96 for 64)."""


class ImageDataset(Protocol):
    """Prepared images that can be read by number: DecodedImages, cached or streaming."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Images:
        """uint8 [B, S, S, C]."""
        ...


def too_few(count: int, batch_size: int, beside: Sequence[str] = ()) -> SourceError:
    """The error for fewer images than a batch; `beside` are notes about files that were not read."""
    fewer = f" or type --batch-size {count // 2}" if count >= 4 else ""
    mend = "; ".join([f"add images{fewer}", *beside])
    return SourceError(f"{counted_are(count, 'image')} fewer than a batch of {batch_size}; {mend}")


class Batches:
    """Batches [batch_size, C, size, size] in [−1, 1] on `device`, in the order given by `seed`.

    Every image is used at most once an epoch; the last, incomplete batch is dropped. Images larger
    than `size` are cropped at random; `flip` mirrors half of them. If several processes share every
    batch, `share` selects the rows of this one, and only those are read; order, crops and flips are
    those of the whole batch, however many processes there are.

    `look_ahead` lets a thread prepare the next batch: faster while a GPU works or images are
    decoded, slower if memory-mapped images are read beside busy CPU threads. `resident` are all
    images on `device`, if they fit there; batches are then cropped on the device.

    Example:
        batches = Batches(images, size=64, batch_size=128, seed=0)
        batch = batches.get((0, 0))
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
        """The batch at `address`; starts to prepare `following`, the batch that is needed next."""
        if self.resident is not None:
            indices = self._image_numbers(address)
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
        """Stop the background thread."""
        self._thread.shutdown(cancel_futures=True)

    def _prepare(self, address: Address) -> torch.Tensor:
        images = self.images.take(self._image_numbers(address))
        crops = self._crops(address, images.shape[1])
        return pinned(crop(images, crops, self.size), self.device)

    def _image_numbers(self, address: Address) -> NDArray[np.int64]:
        """The numbers of the images in this rank's share of a batch."""
        epoch, position = address
        order = self._order  # read once: the other thread may replace it
        if order[0] != epoch:
            shuffled = numpy_stream(self.seed, "order", epoch).permutation(len(self.images))
            self._order = order = (epoch, shuffled)
        first = position * self.batch_size
        return order[1][first : first + self.batch_size][self.share]

    def _crops(self, address: Address, side: int) -> RandomCrops | None:
        """The random crops of these images, drawn for the whole batch."""
        stream = numpy_stream(self.seed, "augment", *address)
        return sample_crops(self.batch_size, side - self.size, self.flip, stream, self.share)
