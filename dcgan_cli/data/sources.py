"""A path becomes a Source: pictures by number, wherever they come from."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.labels import Labels

Record = bytes | NDArray[np.uint8]
"""One picture as its source holds it: an encoded file, or pixels uint8 [H, W] or [H, W, 3 or 4]."""


class Source(Protocol):
    """Pictures that can be read by number, in any order, from any process.

    A Source can be pickled: handles are opened by the process that reads, on its first read.
    """

    @property
    def kind(self) -> str:
        """What was recognised, in words a person knows: "folder of pictures", "LSUN database"."""
        ...

    @property
    def location(self) -> str:
        """What was typed: the path, or `demo:faces`."""
        ...

    @property
    def labels(self) -> Labels | None:
        """Labels that came with the pictures; None where there are none."""
        ...

    def __len__(self) -> int:
        """How many records there are, readable or not."""
        ...

    def read(self, index: int) -> Record:
        """Record `index`. Raises OSError or ValueError where it cannot be read."""
        ...

    def name(self, index: int) -> str:
        """What the record is called at its source: a relative path, or `record 17`."""
        ...

    def fingerprint(self) -> str:
        """A hex digest that changes when the pictures change; cheap (sizes and times, not bytes)."""
        ...
