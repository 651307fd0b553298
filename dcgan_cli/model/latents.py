"""Latent vectors: how they are drawn, and why sample i of a seed is always the same point."""

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.model.config import ZDistribution
from dcgan_cli.runtime import numpy_stream

Latents = NDArray[np.float32]
"""Latent vectors: float32 [N, z_dim]."""


def draw(
    stream: np.random.Generator, shape: tuple[int, ...], distribution: ZDistribution
) -> Latents:
    """Numbers of `distribution` (U(−1, 1) or N(0, 1)) from `stream`."""
    if distribution == "uniform":
        return stream.random(shape, np.float32) * np.float32(2) - np.float32(1)
    return stream.standard_normal(shape, np.float32)


def seeded_latents(
    seed: int, count: int, z_dim: int, distribution: ZDistribution, start: int = 0
) -> Latents:
    """Latents `start` … `start + count − 1` of `seed`: each row depends on the seed and its number alone."""
    rows = np.empty((count, z_dim), np.float32)
    for row in range(count):
        rows[row] = draw(numpy_stream(seed, "sample", start + row), (z_dim,), distribution)
    return rows
