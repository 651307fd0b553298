"""What is known about the pictures of a source: classes, attributes and boxes, by column."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Boxes:
    """Boxes drawn on pictures of a source, one row a box.

    `corners` is float64 [M, 4]: x0, y0, x1, y1 as fractions of the whole picture's width and
    height, in [0, 1]. `seen` is bool [N]: which pictures were looked at at all (a picture without
    boxes that was looked at is a picture without the object).
    """

    picture: NDArray[np.int64]
    kind: NDArray[np.str_]
    corners: NDArray[np.float64]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Columns of labels, each with one entry a picture of the source.

    A column of words is an array of str, '' where unknown; a column of numbers is float64, NaN
    where unknown.
    """

    columns: Mapping[str, NDArray[np.str_] | NDArray[np.float64]] = field(
        default_factory=dict[str, NDArray[np.str_] | NDArray[np.float64]]
    )
    boxes: Boxes | None = None
