"""One-layer K-means features: the strong and simple baseline of the paper's Table 1.

Coates, Ng, Lee: An Analysis of Single-Layer Networks in Unsupervised Feature Learning (AISTATS
2011). Patches of unlabeled images are normalized in contrast, whitened (ZCA) and clustered; a
image is described by how much nearer than average each centroid is to every patch ("triangle"
activation), summed over its four quadrants.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcgan_cli.analysis.probe_svm.probe_split import RowIndices
from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.data.pixels import normalize
from dcgan_cli.progress import ProgressCallback

PATCH = 6
"""Side of the patches in pixels (Coates et al.: 6 is best); half the image where that is less."""

PATCHES = 100_000
"""Patches that centroids are trained on, at most 100 an image."""

ITERATIONS = 20

CONTRAST, WHITENING = 10.0, 0.1
"""Added to the variance of a patch in gray levels of 0 … 255, and to the whitened variances."""

GRAY = 127.5
"""Gray levels a unit of [−1, 1]."""

AT_ONCE = 1 << 21
"""Distances that are computed at a time: 8 MB fit into a processor's cache, which halves the time."""


@dataclass(frozen=True, eq=False)
class KMeans:
    """Centroids [K, D] of whitened patches of `side` pixels, D = channels · side².

    `mean` [D] is that of the patches before whitening by the symmetric `whiten` [D, D].
    """

    side: int
    mean: Tensor
    whiten: Tensor
    centroids: Tensor

    @classmethod
    def fit(
        cls,
        images: ImageDataset,
        rows: RowIndices,
        *,
        centroids: int,
        stream: np.random.Generator,
        progress: ProgressCallback = lambda done, total: None,
    ) -> Self:
        """Learn from random patches of the images `rows`; no labels are needed."""
        patches = _sample(images, rows, stream)
        side = _patch_side(images)
        mean = patches.mean(0)
        patches -= mean
        variances, axes = torch.linalg.eigh(patches.t() @ patches / len(patches))
        whiten = axes * (variances.clamp(min=0) + WHITENING).rsqrt() @ axes.t()
        patches = patches @ whiten
        picks = stream.choice(len(patches), min(centroids, len(patches)), replace=False)
        return cls(side, mean, whiten, _lloyd(patches, patches[torch.from_numpy(picks)], progress))

    def describe(self, normalized: Tensor) -> Tensor:
        """Features [N, 4K] of images [N, C, S, S] in [−1, 1]."""
        patches = F.unfold(normalized * GRAY, self.side)  # [N, D, places]
        places = normalized.shape[-1] - self.side + 1
        flat = (normalize_patches(patches.transpose(1, 2).flatten(0, 1)) - self.mean) @ self.whiten
        near = triangle(flat, self.centroids)
        maps = near.view(len(normalized), places, places, -1)
        half = (places + 1) // 2
        quadrants = [
            maps[:, rows, columns].sum((1, 2))
            for rows in (slice(half), slice(half, None))
            for columns in (slice(half), slice(half, None))
        ]
        return torch.cat(quadrants, 1)

    def table(
        self,
        images: ImageDataset,
        rows: RowIndices,
        progress: ProgressCallback = lambda done, total: None,
    ) -> Tensor:
        """Features of the images `rows`, block by block: float32 [len(rows), 4K]."""
        table = torch.empty(len(rows), 4 * len(self.centroids))
        places = images.take(rows[:1]).shape[1] - self.side + 1
        chunk = max(1, AT_ONCE // (places**2 * len(self.centroids)))
        for start in range(0, len(rows), chunk):
            block = normalize(torch.from_numpy(images.take(rows[start : start + chunk])))
            table[start : start + len(block)] = self.describe(block)
            progress(start + len(block), len(rows))
        return table


def normalize_patches(patches: Tensor) -> Tensor:
    """Patches [N, D] in gray levels without their brightness and contrast."""
    centered = patches - patches.mean(1, keepdim=True)
    return centered / (centered.square().mean(1, keepdim=True) + CONTRAST).sqrt()


def triangle(patches: Tensor, centroids: Tensor) -> Tensor:
    """max(0, mean distance − distance) to each of the centroids [K, D]: [N, D] → [N, K]."""
    distances = torch.cdist(patches, centroids, compute_mode="use_mm_for_euclid_dist")
    return (distances.mean(1, keepdim=True) - distances).clamp_(min=0)


def _sample(images: ImageDataset, rows: RowIndices, stream: np.random.Generator) -> Tensor:
    """Contrast-normalized patches of random images at random places, [PATCHES at most, D]."""
    side = _patch_side(images)
    count = min(PATCHES, 100 * len(rows))
    chosen = np.sort(stream.integers(0, len(rows), count))
    found: list[Tensor] = []
    for part in np.array_split(chosen, -(-count // 4096)):
        which, again = np.unique(part, return_inverse=True)
        block = normalize(torch.from_numpy(images.take(rows[which]))) * GRAY
        corners = stream.integers(0, block.shape[-1] - side + 1, (len(part), 2))
        windows = block.unfold(2, side, 1).unfold(3, side, 1)  # [n, C, places, places, side, side]
        y, x = torch.from_numpy(corners).unbind(1)
        found.append(windows[torch.from_numpy(again), :, y, x].flatten(1))
    return normalize_patches(torch.cat(found))


def _patch_side(images: ImageDataset) -> int:
    return min(PATCH, images.take(np.zeros(1, np.int64)).shape[1] // 2)


def _lloyd(patches: Tensor, centroids: Tensor, progress: ProgressCallback) -> Tensor:
    """Lloyd's algorithm from the given centroids; one that no patch is nearest to stays."""
    for iteration in range(ITERATIONS):
        sums = torch.zeros_like(centroids)
        counts = torch.zeros(len(centroids))
        halves = centroids.square().sum(1) / 2
        for block in patches.split(8192):
            nearest = torch.addmm(halves, block, centroids.t(), alpha=-1).argmin(1)
            sums.index_add_(0, nearest, block)
            counts += torch.bincount(nearest, minlength=len(centroids))
        used = counts > 0
        centroids = torch.where(used[:, None], sums / counts.clamp(min=1)[:, None], centroids)
        progress(iteration + 1, ITERATIONS)
    return centroids


def standardize(train: Tensor, test: Tensor) -> None:
    """Give every column of both tables the mean 0 and spread 1 of `train`, in place."""
    spread, mean = torch.std_mean(train, 0)
    spread = torch.where(spread > 0, spread, 1)
    for table in (train, test):
        table.sub_(mean).div_(spread)
