"""Differentiable augmentation of what D sees, real and generated alike (Zhao et al. 2020).

Both kinds of image are changed at random in the same ways in both updates, and G's gradient passes
through the changes: so D cannot learn few images by heart, and G does not learn the changes.

Everything random is given from outside, so that a recorded step can be replayed.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

DRAWS = 7
"""Random numbers in [0, 1) that an image takes: three of color, two of translation, two of cutout."""

MAX_SHIFT = 1 / 8
"""Images are moved by at most this share of their side (Zhao et al. 2020, appendix)."""

CUTOUT = 1 / 2
"""Side of the square that is set to gray, as a share of the image's side."""


def augment(images: Tensor, draws: Tensor, names: Sequence[str]) -> Tensor:
    """`images` [N, C, S, S] in [−1, 1] changed in the ways `names`, which are keys of CHANGES.

    `draws` are random numbers in [0, 1), [N, DRAWS]. Differentiable as often as wanted.

    Example: `augment(images, draws, ["color", "cutout"])`.
    """
    for name in names:
        images = CHANGES[name](images, draws)
    return images


def _color(images: Tensor, draws: Tensor) -> Tensor:
    """Brightness ± 0.5, then saturation times 0 to 2, then contrast times 0.5 to 1.5.

    The three are one affine map of a pixel, its gray and the image's mean, which takes half the time
    of one after the other.
    """
    brightness, saturation, contrast = (draws[:, i].view(-1, 1, 1, 1) for i in range(3))
    contrast = contrast + 0.5
    kept = contrast * 2 * saturation
    gray = images.mean(1, keepdim=True)
    mean = gray.mean((2, 3), keepdim=True)
    return kept * images + ((contrast - kept) * gray + (1 - contrast) * mean + (brightness - 0.5))


def _translation(images: Tensor, draws: Tensor) -> Tensor:
    """Moved by up to MAX_SHIFT of the side in both directions; gray comes in from outside."""
    side = images.shape[2]
    most = int(side * MAX_SHIFT + 0.5)
    shifts = (draws[:, 3:5] * (2 * most + 1)).floor() - most
    centers = (2 * torch.arange(side, device=images.device) + 1) / side - 1  # of pixels, in [−1, 1]
    down, right = (centers - 2 * shifts[:, axis, None] / side for axis in (0, 1))
    shape = (-1, side, side)
    grid = torch.stack((right[:, None, :].expand(shape), down[:, :, None].expand(shape)), -1)
    return F.grid_sample(images, grid, "nearest", "zeros", align_corners=False)


def _cutout(images: Tensor, draws: Tensor) -> Tensor:
    """A square of CUTOUT of the side, around any place of the image, is set to gray."""
    side = images.shape[2]
    length = int(side * CUTOUT + 0.5)
    first = (draws[:, 5:7] * (side + (1 - length % 2))).floor() - length // 2
    places = torch.arange(side, device=images.device)
    rows, columns = (
        (places >= first[:, axis, None]) & (places < first[:, axis, None] + length)
        for axis in (0, 1)
    )
    inside = rows[:, :, None] & columns[:, None, :]
    return images * (~inside)[:, None].to(images.dtype)


CHANGES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
