"""Random windows of pictures, some of them mirrored: drawn once, cut on the CPU or on a device."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.report import Pictures
from dcgan_cli.runtime import send


class Windows(NamedTuple):
    """One window a picture: upper left corners (y, x), int64 [N, 2]; which are mirrored, bool [N]."""

    corners: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


def draw_windows(
    count: int, margin: int, flip: bool, stream: np.random.Generator, share: slice = slice(None)
) -> Windows | None:
    """Of `count` pictures `margin` pixels larger than their windows, those of the rows `share`.

    Windows are mirrored with probability 0.5 if `flip`. None where every window is its picture.
    """
    if margin == 0 and not flip:
        return None
    corners = stream.integers(0, margin + 1, (count, 2))[share]
    mirrored = (stream.random(count) < 0.5 if flip else np.zeros(count, bool))[share]
    return Windows(corners, mirrored)


def cut(pictures: Pictures, windows: Windows | None, size: int) -> Pictures:
    """uint8 [N, S, S, C] → uint8 [N, size, size, C]."""
    if windows is None:
        return pictures
    result = np.empty((len(pictures), size, size, pictures.shape[3]), np.uint8)
    for row, (picture, (y, x), mirror) in enumerate(zip(pictures, *windows, strict=True)):
        window = picture[y : y + size, x : x + size]
        result[row] = window[:, ::-1] if mirror else window
    return result


def cut_resident(
    pictures: torch.Tensor, indices: NDArray[np.int64], windows: Windows | None, size: int
) -> torch.Tensor:
    """As `cut` of the pictures `indices` [N], where all `pictures` are on a device: one gathering."""
    if windows is None:
        return pictures[send(indices, pictures.device)]
    picked = np.column_stack((indices, windows.corners, windows.mirrored))
    which, y, x, mirrored = send(picked, pictures.device).T.unsqueeze(-1)
    along = torch.arange(size, device=pictures.device)
    rows = y + along
    columns = x + torch.where(mirrored > 0, size - 1 - along, along)
    return pictures[which[:, :, None], rows[:, :, None], columns[:, None, :]]
