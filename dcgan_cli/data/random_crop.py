"""Random crops and mirroring: sampled once, applied on the CPU or on a device."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.report import Images
from dcgan_cli.runtime import send


class RandomCrops(NamedTuple):
    """One crop an image: upper left corners (y, x), int64 [N, 2]; which are mirrored, bool [N]."""

    corners: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


def sample_crops(
    count: int, margin: int, flip: bool, stream: np.random.Generator, share: slice = slice(None)
) -> RandomCrops | None:
    """The rows `share` of `count` crops, from images `margin` pixels larger than the crop.

    Crops are mirrored with probability 0.5 if `flip`. None if every crop is the whole image.
    """
    if margin == 0 and not flip:
        return None
    corners = stream.integers(0, margin + 1, (count, 2))[share]
    mirrored = (stream.random(count) < 0.5 if flip else np.zeros(count, bool))[share]
    return RandomCrops(corners, mirrored)


def crop(images: Images, crops: RandomCrops | None, size: int) -> Images:
    """Apply `crops`: uint8 [N, S, S, C] → uint8 [N, size, size, C]."""
    if crops is None:
        return images
    result = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for row, (image, (y, x), mirror) in enumerate(zip(images, *crops, strict=True)):
        window = image[y : y + size, x : x + size]
        result[row] = window[:, ::-1] if mirror else window
    return result


def crop_resident(
    images: torch.Tensor, indices: NDArray[np.int64], crops: RandomCrops | None, size: int
) -> torch.Tensor:
    """As `crop` for the images `indices` [N], where all `images` are on a device: one gather."""
    if crops is None:
        return images[send(indices, images.device)]
    picked = np.column_stack((indices, crops.corners, crops.mirrored))
    image, y, x, mirrored = send(picked, images.device).T.unsqueeze(-1)
    along = torch.arange(size, device=images.device)
    rows = y + along
    columns = x + torch.where(mirrored > 0, size - 1 - along, along)
    return images[image[:, :, None], rows[:, :, None], columns[:, None, :]]
