"""All pictures of a training set in the memory of a GPU, where they fit."""

import numpy as np
import torch

from dcgan_cli.data.batches import Gathers
from dcgan_cli.runtime import send

SHARE = 0.5
"""Of a GPU's free memory that pictures may take: the rest is for the networks and their maps."""

BLOCK = 4096
"""Pictures that travel at once."""


def make_resident(pictures: Gathers, device: torch.device) -> torch.Tensor | None:
    """All `pictures` on `device`, uint8 [N, S, S, C]; None where that is no GPU, or they do not fit."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return copy_to(pictures, device) if fits(pictures, free) else None


def fits(pictures: Gathers, free: int) -> bool:
    """Whether `pictures` take no more than their share of `free` bytes."""
    return len(pictures) * pictures.take(np.zeros(1, np.int64)).nbytes <= SHARE * free


def copy_to(pictures: Gathers, device: torch.device) -> torch.Tensor:
    """All `pictures`, block by block."""
    first = pictures.take(np.zeros(1, np.int64))
    whole = torch.empty((len(pictures), *first.shape[1:]), dtype=torch.uint8, device=device)
    for start in range(0, len(pictures), BLOCK):
        numbers = np.arange(start, min(start + BLOCK, len(pictures)))
        whole[start : start + BLOCK] = send(pictures.take(numbers), device)
    return whole
