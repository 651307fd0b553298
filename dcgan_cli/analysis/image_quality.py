"""Features of a random network, blur and difference: what tells noise and gray from photographs.

A network with random weights knows nothing of things, but its averages tell noise, blur and a wrong
color from photographs, and it needs no file. What samples show has to be looked at.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.report import Images
from dcgan_cli.runtime import torch_stream

Features = NDArray[np.float64]

WIDTHS = 32, 64, 128
"""Channels of the random network's layers; each halves the side."""

IMAGES_PER_PASS = 128


def random_features(images: Images) -> Features:
    """Features of `images` uint8 [N, H, W, 1 or 3]: float64 [N, D], the same D for all sizes.

    Of every layer, the mean of each channel in each quarter of the image, and its standard deviation.

    Example: `kid(random_features(samples), random_features(photographs)).value`.
    """
    rows: list[Features] = []
    for start in range(0, len(images), IMAGES_PER_PASS):
        pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + IMAGES_PER_PASS]))
        maps = pixels.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float() / 127.5 - 1
        parts: list[Tensor] = []
        for weight in _random_weights():
            maps = torch.relu(F.conv2d(maps, weight, padding=1))
            parts += [F.adaptive_avg_pool2d(maps, 2).flatten(1), maps.std((2, 3))]
            maps = F.avg_pool2d(maps, 2, ceil_mode=True)
        rows.append(torch.cat(parts, 1).double().numpy())
    return np.concatenate(rows)


@cache
def _random_weights() -> tuple[Tensor, ...]:
    """Weights of the network: normal, of He's variance, so that every layer has the same spread."""
    stream, channels = torch_stream(0, "random features"), 3
    weights: list[Tensor] = []
    for width in WIDTHS:
        scale = (2 / (9 * channels)) ** 0.5
        weights.append(scale * torch.randn(width, channels, 3, 3, generator=stream))
        channels = width
    return tuple(weights)


def standardized(reference: Features, *others: Features) -> list[Features]:
    """All in units of `reference` [N, D]: its features have mean 0 and standard deviation 1."""
    mean, spread = reference.mean(0), reference.std(0)
    scale = np.where(spread > 1e-6 * (1 + np.abs(mean)), spread, 1.0)
    return [(rows - mean) / scale for rows in (reference, *others)]


def blurred(images: Images, sigma: float) -> Images:
    """`images` uint8 [N, H, W, C] blurred by a Gaussian of `sigma` pixels."""
    reach = min(round(3 * sigma), min(images.shape[1:3]) - 1)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(places**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    number, height, width, channels = images.shape
    maps = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    maps = maps.reshape(-1, 1, height, width)
    maps = F.conv2d(F.pad(maps, (0, 0, reach, reach), "reflect"), kernel)
    maps = F.conv2d(F.pad(maps, (reach, reach, 0, 0), "reflect"), kernel.transpose(2, 3))
    maps = maps.view(number, channels, height, width).permute(0, 2, 3, 1)
    return maps.round().to(torch.uint8).numpy()


ALIKE = 0.25
"""Samples that differ from each other less than this share of what training images do look alike."""


def difference(images: Images) -> float:
    """The root mean square difference of pairs of `images` [N, H, W, C], N ≥ 2, in gray levels."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    return float(np.sqrt(2 * flat.var(0, ddof=1).mean()))
