"""`digits`: the 1,797 handwritten digits of scikit-learn, 8×8, gray, sixteen levels.

They are the test part of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
UCI Machine Learning Repository, 1998.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.kinds.arrays import ArraySource, class_labels


def open_digits() -> ArraySource:
    """The digits as uint8 [1797, 8, 8], light on black, with the column "label"."""
    labels = class_labels(_bunch().target.astype(np.int64))
    return ArraySource(
        "scikit-learn's handwritten digits", "digits", _pixels(), _pixels, labels, []
    )


def _pixels() -> NDArray[np.uint8]:
    sixteenths = _bunch().images  # float64 in 0..16
    return np.round(sixteenths * (255 / 16)).astype(np.uint8)


def _bunch() -> Any:
    from sklearn.datasets import load_digits  # takes a second to import

    return cast("Any", load_digits())
