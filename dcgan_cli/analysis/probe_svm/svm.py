"""A linear L2-SVM over all classes at once: LIBLINEAR's objective (paper §5.1).

One-vs-rest, squared hinge, the bias regularised as the weight of a feature of value 1:

    ½·‖w‖² + ½·b² + C · Σᵢ max(0, 1 − yᵢ·(xᵢ·w + b))²

which is what scikit-learn's LinearSVC minimises by default. The classes, and all strengths C of a
path, are columns of one problem that share every pass over the features.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dcgan_cli.analysis.probe_svm.squared_hinge import Rows, minimise
from dcgan_cli.errors import DcganError

TOLERANCE = 1e-6
"""How far the objective may be above its minimum, relative."""


@dataclass(frozen=True, eq=False)
class LinearSvm:
    """K linear functions of F features, one for each class 0 … K − 1.

    Attributes:
        weights: float32 [K, F].
        bias: float32 [K].
        objective: the value of the objective that each was fitted to, float64 [K].
    """

    weights: Tensor
    bias: Tensor
    objective: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """How far each row of `features` [N, F] is on the side of each class: float32 [N, K]."""
        rows = Rows(features, self.weights.device)
        return torch.cat(
            [torch.addmm(self.bias, block, self.weights.t()).cpu() for _, block in rows.blocks()]
        )

    def predict(self, features: Tensor) -> Tensor:
        """The class of the highest score: int64 [N]."""
        return self.scores(features).argmax(1)


def fit_svm(
    features: Tensor,
    labels: Tensor,
    strength: float,
    *,
    classes: int | None = None,
    start: LinearSvm | None = None,
    tolerance: float = TOLERANCE,
    device: torch.device | None = None,
) -> LinearSvm:
    """The L2-SVM of one strength; arguments and errors as `fit_path`."""
    starts = None if start is None else [start]
    return fit_path(
        features, labels, [strength], classes=classes, starts=starts, tolerance=tolerance,
        device=device,
    )[0]  # fmt: skip


def fit_path(
    features: Tensor,
    labels: Tensor,
    strengths: Sequence[float],
    *,
    classes: int | None = None,
    starts: Sequence[LinearSvm] | None = None,
    tolerance: float = TOLERANCE,
    device: torch.device | None = None,
) -> list[LinearSvm]:
    """The L2-SVM of every strength, in their order, for little more than the price of one.

    Args:
        features: float32 [N, F]; may be mapped from a file larger than memory.
        labels: int64 [N] in 0 … K − 1.
        strengths: LIBLINEAR's C: weight of the loss against the regulariser.
        classes: K, where not every class need occur; default: the largest label + 1.
        starts: where to begin, one for each strength; default: zero.
        tolerance: how far an objective may be above its minimum, relative.
        device: where to compute; default: the CPU.

    Raises:
        DcganError: fewer than two classes, features that are not finite or of another shape than
            the labels, labels out of range, or a strength that is not above 0.
    """
    count = _check(features, labels, strengths, classes)
    device = device or torch.device("cpu")
    # Two classes are one problem and its mirror image.
    solved = 1 if count == 2 else count
    first = count - solved
    member = labels.to(device)[:, None] == torch.arange(first, count, device=device)
    signs = member.float().mul_(2).sub_(1).repeat(1, len(strengths))
    repeated = torch.tensor(strengths, dtype=torch.float32, device=device)
    start = torch.zeros(features.shape[1] + 1, signs.shape[1], device=device)
    if starts is not None:
        start = torch.cat([_flat(known, device)[:, first:] for known in starts], 1)
    weights, objective = minimise(
        Rows(features, device), signs, repeated.repeat_interleave(solved), start, tolerance
    )
    return [
        _model(w, f, count)
        for w, f in zip(weights.split(solved, 1), objective.split(solved), strict=True)
    ]


def _check(
    features: Tensor, labels: Tensor, strengths: Sequence[float], classes: int | None
) -> int:
    """The number of classes."""
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        raise DcganError(
            f"features {list(features.shape)} and labels {list(labels.shape)}: expected [N, F] "
            "and [N]"
        )
    there = labels.unique()
    if len(there) < 2:
        raise DcganError(f"a classifier needs two classes, found {len(there)} in the labels")
    count = int(there[-1]) + 1 if classes is None else classes
    if int(there[0]) < 0 or int(there[-1]) >= count:
        raise DcganError(f"labels {int(there[0])} … {int(there[-1])}: expected 0 … {count - 1}")
    for strength in strengths:
        if not 0 < strength < math.inf:
            raise DcganError(f"C = {strength}: expected a number above 0")
    return count


def _flat(known: LinearSvm, device: torch.device) -> Tensor:
    return torch.cat([known.weights.t(), known.bias[None]]).to(device)


def _model(weights: Tensor, objective: Tensor, classes: int) -> LinearSvm:
    if classes == 2:
        weights, objective = torch.cat([-weights, weights], 1), objective.repeat(2)
    weights = weights.cpu()
    return LinearSvm(weights[:-1].t().contiguous(), weights[-1].clone(), objective.cpu())
