"""Feature extractors for classifiers of images, and a blur that makes real images softer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.features import IMAGES_PER_BATCH, features
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback

Features = NDArray[np.float32]
FloatArray = NDArray[np.float64]

PIXELS = 32
"""Side of the small images whose pixels are features."""

COMPONENTS = 256
"""Number of principal components of each extractor's features."""


@dataclass(frozen=True, eq=False)
class FeatureExtractor:
    """A function from images [N, C, S, S] in [−1, 1] to features [N, F]."""

    name: str
    extract: Callable[[Tensor], Features]

    def raw(
        self, normalized: Tensor, progress: ProgressCallback = lambda done, total: None
    ) -> Features:
        """Features of images [N, C, S, S] in pieces, [N, F]."""
        rows: list[Features] = []
        for chunk in normalized.split(IMAGES_PER_BATCH):
            rows.append(self.extract(chunk))
            progress(sum(map(len, rows)), len(normalized))
        return np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Principal components of standardized features, the first of them of unit spread."""

    mean: Features
    scale: Features
    axes: Features

    @classmethod
    def fit(cls, raw: Features, seed: int) -> "PrincipalComponents":
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

    def __call__(self, raw: Features) -> FloatArray:
        """Components [N, K] of features [N, F]."""
        return ((raw - self.mean) / self.scale @ self.axes).astype(np.float64)


def feature_extractors(discriminator: Discriminator) -> tuple[FeatureExtractor, FeatureExtractor]:
    """The two extractors: discriminator features (paper §5.1), and small pixels."""
    side = min(PIXELS, discriminator.config.size)

    def pixels(normalized: Tensor) -> Features:
        return F.adaptive_avg_pool2d(normalized, side).flatten(1).numpy()

    def discriminator_features(normalized: Tensor) -> Features:
        return features(discriminator, normalized).numpy()

    extractor = FeatureExtractor("discriminator features", discriminator_features)
    return extractor, FeatureExtractor(f"{side}×{side} pixels", pixels)


def blur(normalized: Tensor) -> Tensor:
    """Images [N, C, S, S] at half their resolution, scaled back to S."""
    half = F.avg_pool2d(normalized, 2, ceil_mode=True)
    return F.interpolate(half, normalized.shape[-2:], mode="bilinear", align_corners=False)
