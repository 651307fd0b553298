"""How far samples are from real images, and how varied, by features [N, D] of both.

All values are computed in float64 and in blocks of rows, so that 10,000 images need little memory.

- KID: Bińkowski et al. 2018, Demystifying MMD GANs. Unbiased: small sets do not raise it.
- Fréchet distance: Heusel et al. 2017. Smaller sets raise it: compare equal n alone.
- Precision and recall: Kynkäänniemi et al. 2019. Density and coverage: Naeem et al. 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis import statistics
from dcgan_cli.report import Estimate

Features = NDArray[np.float32] | NDArray[np.float64]

PRECISION_NEIGHBORS, DENSITY_NEIGHBORS = 3, 5
"""k of precision and recall, and of density and coverage, as in their papers."""

ROWS = 1024
"""Rows of a block of products or distances."""


def kid(samples: Features, real: Features) -> Estimate:
    """The squared maximum mean discrepancy with the kernel (x·y / D + 1)³, N, M ≥ 4, unbiased.

    0 where both come from the same distribution, and there now and then below.

    Example: `kid(network(samples), network(photographs)).value`.
    """
    x, y = _double(samples), _double(real)
    rows = _RowMeans.of(x, y)
    value = rows.within_x.mean() + rows.within_y.mean() - 2 * rows.across_x.mean()
    # What the value is without row i of x: the sums of all pairs less those with i.
    n, m = len(x), len(y)
    total, across = n * rows.within_x.mean(), n * rows.across_x.mean()
    without_x = (total - 2 * rows.within_x) / (n - 2) - 2 * (across - rows.across_x) / (n - 1)
    total, across = m * rows.within_y.mean(), m * rows.across_y.mean()
    without_y = (total - 2 * rows.within_y) / (m - 2) - 2 * (across - rows.across_y) / (m - 1)
    return statistics.leave_one_out(float(value), without_x, without_y)


@dataclass(frozen=True)
class _RowMeans:
    """Mean kernel of each row with the others of its set, and with those of the other set."""

    within_x: NDArray[np.float64]
    within_y: NDArray[np.float64]
    across_x: NDArray[np.float64]
    across_y: NDArray[np.float64]

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> "_RowMeans":
        across_x, across_y = torch.zeros(len(x)).double(), torch.zeros(len(y)).double()
        for at, rows in _blocks(x):
            kernel = _kernel(rows, y)
            across_x[at] = kernel.mean(1)
            across_y += kernel.sum(0) / len(x)
        parts = (_within(x), _within(y), across_x, across_y)
        return cls(*(part.numpy() for part in parts))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _within(x: Tensor) -> Tensor:
    means = torch.empty(len(x)).double()
    for at, rows in _blocks(x):
        own = (rows.square().sum(1) / x.shape[1] + 1) ** 3
        means[at] = (_kernel(rows, x).sum(1) - own) / (len(x) - 1)
    return means


def frechet_distance(samples: Features, real: Features) -> float:
    """The Fréchet distance of two normal distributions with the means and covariances of both.

    ‖μ − ν‖² + tr(Σ + Τ − 2 (ΣΤ)^½); N, M ≥ 2.
    """
    x, y = _double(samples), _double(real)
    means, covariances = zip(*((each.mean(0), torch.cov(each.T)) for each in (x, y)), strict=True)
    # tr (ΣΤ)^½ = tr (Σ^½ Τ Σ^½)^½, whose matrix is symmetric
    values, vectors = torch.linalg.eigh(covariances[0])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0).sqrt().sum()
    spread = sum(each.trace() for each in covariances)
    return float((means[0] - means[1]).square().sum() + spread - 2 * mixed)


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Which samples are like real images, and which real images are like samples.

    Attributes:
        precise: bool [N], samples that lie among the real images: no farther from one of them than
            its third nearest real neighbor. Their share is the precision.
        recalled: bool [M], real images that lie so among the samples. Their share is the recall.
        dense: float64 [N], in how many real images' balls of five neighbors a sample lies, divided
            by five. The mean is the density: about 1 if the distributions are the same, and not
            bounded by it.
        covered: bool [M], real images whose ball of five neighbors holds a sample. Their share is
            the coverage.
    """

    precise: NDArray[np.bool_]
    recalled: NDArray[np.bool_]
    dense: NDArray[np.float64]
    covered: NDArray[np.bool_]


def fidelity(samples: Features, real: Features) -> Fidelity:
    """Precision, recall, density and coverage of `samples`; both sets need 6 rows or more.

    Example: `fidelity(network(samples), network(photographs)).covered.mean()`.
    """
    x, y = _double(samples), _double(real)
    of_real = _radii(y, (PRECISION_NEIGHBORS, DENSITY_NEIGHBORS))
    of_samples = _radii(x, (PRECISION_NEIGHBORS,))[:, 0]
    precise, dense = torch.empty(len(x), dtype=torch.bool), torch.empty(len(x)).double()
    recalled = torch.zeros(len(y), dtype=torch.bool)
    nearest = torch.full((len(y),), torch.inf).double()
    for at, rows in _blocks(x):
        distances = _squared_distances(rows, y)
        precise[at] = (distances <= of_real[:, 0]).any(1)
        dense[at] = (distances <= of_real[:, 1]).sum(1) / DENSITY_NEIGHBORS
        recalled |= (distances <= of_samples[at, None]).any(0)
        nearest = torch.minimum(nearest, distances.amin(0))
    covered = nearest <= of_real[:, 1]
    return Fidelity(precise.numpy(), recalled.numpy(), dense.numpy(), covered.numpy())


def _radii(rows: Tensor, neighbors: tuple[int, ...]) -> Tensor:
    """Squared distances of each row to its k-th nearest other row, for each k: [N, len(neighbors)]."""
    found = torch.empty(len(rows), len(neighbors)).double()
    for at, some in _blocks(rows):
        # the row itself is the nearest
        nearest = _squared_distances(some, rows).topk(max(neighbors) + 1, largest=False).values
        found[at] = nearest[:, list(neighbors)]
    return found


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    squares = x.square().sum(1)[:, None] + y.square().sum(1)
    return (squares - 2 * (x @ y.T)).clamp(min=0)


def _double(features: Features) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(features, np.float64))


def _blocks(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for start in range(0, len(rows), ROWS):
        at = slice(start, min(start + ROWS, len(rows)))
        yield at, rows[at]
