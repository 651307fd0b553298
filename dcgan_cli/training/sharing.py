"""One rank's rows of every minibatch: together the ranks see what a single process sees."""

import numpy as np
import torch

from dcgan_cli.data.batches import Address, Batches, Gathers, augment
from dcgan_cli.report import Pictures
from dcgan_cli.runtime import numpy_stream


class SharedBatches(Batches):
    """Batches [rows of `share`, C, size, size] of minibatches of `batch_size`.

    Order, crops and flips are those of the whole minibatch, so that they do not depend on how many
    share it; pictures of other ranks are never read.
    """

    def __init__(
        self,
        pictures: Gathers,
        share: slice,
        *,
        size: int,
        batch_size: int,
        seed: int,
        flip: bool = False,
        device: torch.device | None = None,
        look_ahead: bool = True,
    ) -> None:
        super().__init__(
            pictures,
            size=size,
            batch_size=batch_size,
            seed=seed,
            flip=flip,
            device=device,
            look_ahead=look_ahead,
        )
        self.share = share

    def _prepare(self, address: Address) -> Pictures:
        epoch, position = address
        order = self._order  # read once: the other thread may be in another epoch
        if order[0] != epoch:
            shuffled = numpy_stream(self.seed, "order", epoch).permutation(len(self.pictures))
            self._order = order = (epoch, shuffled)
        first = position * self.batch_size
        mine = self.pictures.take(order[1][first : first + self.batch_size][self.share])
        if mine.shape[1] == self.size and not self.flip:
            return mine
        # Zeros stand for the others: a crop's place is drawn after those of the rows before it.
        whole = np.zeros((self.batch_size, *mine.shape[1:]), np.uint8)
        whole[self.share] = mine
        stream = numpy_stream(self.seed, "augment", epoch, position)
        return augment(whole, self.size, self.flip, stream)[self.share]
