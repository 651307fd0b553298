"""DiffAugment written out for one image, pixel by pixel (Zhao et al. 2020, appendix)."""

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor


def augmented(image: Tensor, draws: NDArray, names: Sequence[str]) -> Tensor:
    """`image` [C, S, S] with seven `draws` in [0, 1)."""
    brightness, saturation, contrast, *places = (float(draw) for draw in draws)
    side = image.shape[1]
    if "color" in names:
        image = image + brightness - 0.5
        gray = image.mean(0, keepdim=True)
        image = (image - gray) * 2 * saturation + gray
        mean = image.mean()
        image = (image - mean) * (contrast + 0.5) + mean
    if "translation" in names:
        most = int(side / 8 + 0.5)
        down, right = (int(place * (2 * most + 1)) - most for place in places[:2])
        moved = torch.zeros_like(image)
        for row in range(side):
            for column in range(side):
                if 0 <= row - down < side and 0 <= column - right < side:
                    moved = moved.clone()
                    moved[:, row, column] = image[:, row - down, column - right]
        image = moved
    if "cutout" in names:
        length = int(side / 2 + 0.5)
        wide = side + 1 - length % 2  # places of a middle that is no pixel, or a pixel
        top, left = (int(place * wide) - length // 2 for place in places[2:])
        kept = torch.ones(side, side)
        for row in range(top, top + length):
            for column in range(left, left + length):
                if 0 <= row < side and 0 <= column < side:
                    kept[row, column] = 0
        image = image * kept
    return image
