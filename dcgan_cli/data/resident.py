"""All training images in GPU memory, if they fit."""

import numpy as np
import torch

from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.runtime import send

MAX_SHARE = 0.5
"""Share of a GPU's free memory that images may take: the rest is for networks and activations."""

IMAGES_PER_COPY = 4096
"""Images that are copied at a time."""


def make_resident(images: ImageDataset, device: torch.device) -> torch.Tensor | None:
    """All `images` on `device`, uint8 [N, S, S, C]; None if it is not a GPU, or they do not fit."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return copy_to(images, device) if fits(images, free) else None


def fits(images: ImageDataset, free: int) -> bool:
    """Whether `images` take at most MAX_SHARE of `free` bytes."""
    return len(images) * images.take(np.zeros(1, np.int64)).nbytes <= MAX_SHARE * free


def copy_to(images: ImageDataset, device: torch.device) -> torch.Tensor:
    """All `images` on `device`, copied block by block."""
    first = images.take(np.zeros(1, np.int64))
    whole = torch.empty((len(images), *first.shape[1:]), dtype=torch.uint8, device=device)
    for start in range(0, len(images), IMAGES_PER_COPY):
        numbers = np.arange(start, min(start + IMAGES_PER_COPY, len(images)))
        whole[start : start + IMAGES_PER_COPY] = send(images.take(numbers), device)
    return whole
