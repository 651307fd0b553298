"""What a judge sees in pictures: features that are fitted to the real ones, and softer pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.features import features
from dcgan_cli.model.discriminator import Discriminator

Features = NDArray[np.float32]
Numbers = NDArray[np.float64]

PIXELS = 32
"""Side of the small pictures that the pixel view sees."""

COMPONENTS = 256
"""Principal components that are kept of each view's features."""

CHUNK = 256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class View:
    """A way of seeing pictures: `see` turns [N, C, S, S] in [−1, 1] into features [N, F]."""

    name: str
    see: Callable[[Tensor], Features]

    def raw(self, signed: Tensor, progress: Progress = lambda done, total: None) -> Features:
        """Features of pictures [N, C, S, S] in pieces, [N, F]."""
        rows: list[Features] = []
        for chunk in signed.split(CHUNK):
            rows.append(self.see(chunk))
            progress(sum(map(len, rows)), len(signed))
        return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of standardised features, the first of them of unit spread."""

    mean: Features
    scale: Features
    axes: Features

    @classmethod
    def fit(cls, raw: Features, seed: int) -> "Components":
        """Components of `raw` [N, F]; at most COMPONENTS and N − 1."""
        from sklearn.decomposition import PCA

        mean, spread = raw.mean(0), raw.std(0)
        scale = np.where(spread > 0, spread, np.float32(1))
        keep = max(1, min(COMPONENTS, raw.shape[1], len(raw) - 1))
        solver = "randomized" if keep < min(raw.shape) else "full"
        pca = PCA(keep, svd_solver=solver, random_state=seed % 2**32)
        found = pca.fit_transform((raw - mean) / scale)
        axes = np.asarray(pca.components_, np.float32).T
        return cls(mean, scale, axes / np.float32(found[:, 0].std() or 1))

    def __call__(self, raw: Features) -> Numbers:
        """Components [N, K] of features [N, F]."""
        return ((raw - self.mean) / self.scale @ self.axes).astype(np.float64)


def views(discriminator: Discriminator) -> tuple[View, View]:
    """The discriminator's features (paper §5.1), and small pixels."""
    side = min(PIXELS, discriminator.config.size)

    def pixels(signed: Tensor) -> Features:
        return F.adaptive_avg_pool2d(signed, side).flatten(1).numpy()

    return (
        View("discriminator features", lambda signed: features(discriminator, signed).numpy()),
        View(f"{side}×{side} pixels", pixels),
    )


def soften(signed: Tensor) -> Tensor:
    """Pictures [N, C, S, S] at half their resolution, scaled back to S."""
    half = F.avg_pool2d(signed, 2, ceil_mode=True)
    return F.interpolate(half, signed.shape[-2:], mode="bilinear", align_corners=False)
