"""Latent vectors: how they are sampled, and why sample i of a seed is always the same vector."""

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.model.config import ZDistribution
from dcgan_cli.runtime import numpy_stream

Latents = NDArray[np.float32]
"""Latent vectors: float32 [N, z_dim]."""


def draw(
    stream: np.random.Generator, shape: tuple[int, ...], distribution: ZDistribution
) -> Latents:
    """Random numbers of shape `shape` from U(−1, 1) or N(0, 1), as float32."""
    if distribution == "uniform":
        return stream.random(shape, np.float32) * np.float32(2) - np.float32(1)
    return stream.standard_normal(shape, np.float32)


def seeded_latents(
    seed: int, count: int, z_dim: int, distribution: ZDistribution, start: int = 0
) -> Latents:
    """Latent vectors `start` … `start + count − 1` of `seed`: float32 [count, z_dim].

    Each row depends on the seed and on its own number only.

    Example: `z = seeded_latents(0, 64, config.z_dim, config.z_dist)`.
    """
    rows = np.empty((count, z_dim), np.float32)
    for row in range(count):
        rows[row] = draw(numpy_stream(seed, "sample", start + row), (z_dim,), distribution)
    return rows
