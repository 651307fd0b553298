"""A linear L2-SVM over all classes at once: LIBLINEAR's objective (paper §5.1).

One-vs-rest, squared hinge, the bias regularized as the weight of a feature of value 1:

    ½·‖w‖² + ½·b² + C · Σᵢ max(0, 1 − yᵢ·(xᵢ·w + b))²

which is what scikit-learn's LinearSVC minimizes by default. All classes, and all values of C of a
path, are solved together: by passes over the features that they share (`squared_hinge`), or, if
that is less work, with the Gram matrix of the rows (`gram_solver`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan_cli.analysis.probe_svm.gram_solver import dual, feasible, minimize_few, primal, products
from dcgan_cli.analysis.probe_svm.squared_hinge import DesignMatrix, minimize
from dcgan_cli.errors import DcganError

TOLERANCE = 1e-6
"""How far an objective may be above its minimum, relative."""

_MAX_GRAM_ROWS = 10_000
"""Above this number of rows, their Gram matrix takes too much memory (800 MB in float64)."""

_SOME = 256
"""Number of rows from which the mean squared norm is estimated."""

_ROUNDING = 0.5
"""Maximum rounding error of the Gram matrix, as a share of 1/2C, for steps in float32."""

_RESIDENT = 0.6
"""Share of a GPU's free memory that features may take, to be copied there once and not at every
pass."""


@dataclass(frozen=True, eq=False)
class LinearSvm:
    """K linear functions of F features, one for each class 0 … K − 1, on the CPU.

    `weights` are float32 [K, F], `bias` [K], and the least value of each `objective` float64 [K].
    """

    weights: Tensor
    bias: Tensor
    objective: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """How far each row of `features` [N, F] is on the side of each class: float32 [N, K]."""
        weights = torch.cat([self.weights, self.bias[:, None]], 1)
        return DesignMatrix(features, weights.device).scores(weights).t()

    def predict(self, features: Tensor) -> Tensor:
        """The class of the highest score: int64 [N]."""
        return self.scores(features).argmax(1)


def fit_path(
    features: Tensor,
    labels: Tensor,
    c_values: Sequence[float],
    *,
    classes: int | None = None,
    tolerance: float = TOLERANCE,
    device: torch.device | None = None,
) -> list[LinearSvm]:
    """The L2-SVM of every C, in their order, for much less than the price of each.

    Args:
        features: float32 [N, F]; may be mapped from a file larger than memory.
        labels: int64 [N] in 0 … K − 1.
        c_values: LIBLINEAR's C: weight of the losses against the regularizer.
        classes: K, where not every class need occur; default: the largest label + 1.
        tolerance: how far an objective may be above its minimum, relative.
        device: where to compute (default: the CPU, as where it has no float64).

    Raises:
        DcganError: fewer than two classes, features that are not finite or do not match the
            labels, labels out of range, or a C that is not above 0.
    """
    count = _check(features, labels, c_values, classes)
    rows = _rows(features, device or torch.device("cpu"))
    # Two classes are one problem and its mirror image.
    asked = torch.arange(1 if count == 2 else 0, count, device=rows.device)
    member = labels.to(rows.device) == asked[:, None]
    signs = torch.where(member, 1.0, -1.0).double()
    solution = None
    if _few(features, len(asked), c_values):
        solution = _by_products(rows, signs, c_values, tolerance)
    if solution is None:
        begin = signs.new_zeros(len(asked) * len(c_values), features.shape[1] + 1)
        solution = minimize(rows, *_repeated(signs, c_values), begin, tolerance)
    weights, objective = solution
    return [
        _model(w, f, count)
        for w, f in zip(weights.split(len(asked)), objective.split(len(asked)), strict=True)
    ]


def _by_products(
    rows: DesignMatrix, signs: Tensor, c_values: Sequence[float], tolerance: float
) -> tuple[Tensor, Tensor] | None:
    """What `minimize` returns, or None where C·‖x‖² is too large for the products to be solved."""
    dtype = _dtype_of_products(rows.features, c_values)
    try:
        found = minimize_few(rows, products(rows, dtype), signs.to(dtype), c_values, tolerance / 2)
    except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
        return None
    signs, each = _repeated(signs, c_values)
    combinations = found.flatten(0, 1)
    allowed = feasible(combinations, signs.to(dtype))
    # In float64 where C is strong: what they combine cancels out almost entirely.
    weights, below = (rows.combine(a).double() for a in (combinations, allowed))
    objective = primal(rows.scores(weights), signs, each, weights.square().sum(1))
    gap = objective - dual(allowed.double(), signs, each, below.square().sum(1))
    rest = gap > tolerance * objective
    if rest.any():
        found = minimize(rows, signs[rest], each[rest], weights[rest], tolerance)
        weights[rest], objective[rest] = found
    return weights, objective


def _rows(features: Tensor, device: torch.device) -> DesignMatrix:
    """The features on the device: on a GPU copied at once if they fit, else in blocks."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if features.numel() * 4 < _RESIDENT * free:
            features = features.to(device, torch.float32)
    return DesignMatrix(features, device if device.type == "cuda" else torch.device("cpu"))


def _repeated(signs: Tensor, c_values: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Signs [J, N] and C [J] of every problem of a path: J is values of C · problems."""
    return signs.repeat(len(c_values), 1), signs.new_tensor(c_values).repeat_interleave(len(signs))


def _dtype_of_products(features: Tensor, c_values: Sequence[float]) -> torch.dtype:
    """float32 where its rounding of G is less than 1/2C, so that steps mend more than they spoil."""
    rounding = torch.finfo(torch.float32).eps * len(features) * _square_length(features)
    return torch.float32 if 2 * max(c_values) * rounding < _ROUNDING else torch.float64


def _square_length(features: Tensor) -> float:
    """Mean squared norm of the first rows."""
    return float(features[:_SOME].square().sum(1, dtype=torch.float64).mean()) + 1


def _few(features: Tensor, problems: int, c_values: Sequence[float]) -> bool:
    """Whether the Gram matrix takes less work than passes over the features, in multiplications.

    The constants are measured on features of DCGANs: the passes grow with the root of the condition
    number, C·‖x‖²; the share of rows inside the margin falls with C·N·‖x‖².
    """
    count, width = features.shape
    if count > _MAX_GRAM_ROWS:
        return False
    length = _square_length(features)
    passes = sum(20 + 120 * math.sqrt(c * length) for c in c_values)
    by_passes = 4 * count * width * problems * passes
    inside = [count * (0.2 + 0.8 / (1 + s * count * length / 300)) for s in c_values]
    by_products = count**2 * width / 2 + 3 * problems * sum(rows**3 for rows in inside)
    return by_products < by_passes


def _check(features: Tensor, labels: Tensor, c_values: Sequence[float], classes: int | None) -> int:
    """The number of classes."""
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        raise DcganError(
            f"features {list(features.shape)} and labels {list(labels.shape)}: expected [N, F] "
            "and [N]"
        )
    there = labels.unique()
    if len(there) < 2:
        raise DcganError(f"a classifier needs two classes, found {len(there)} in the labels")
    least, most = int(there[0]), int(there[-1])
    count = most + 1 if classes is None else classes
    if least < 0 or most >= count:
        raise DcganError(f"labels from {least} to {most}: expected 0 to {count - 1}")
    for c in c_values:
        if not 0 < c < math.inf:
            raise DcganError(f"C = {c}: expected a number above 0")
    return count


def _model(weights: Tensor, objective: Tensor, classes: int) -> LinearSvm:
    if classes == 2:
        weights, objective = torch.cat([-weights, weights]), objective.repeat(2)
    weights = weights.float().cpu()
    return LinearSvm(weights[:, :-1].contiguous(), weights[:, -1].clone(), objective.cpu())
