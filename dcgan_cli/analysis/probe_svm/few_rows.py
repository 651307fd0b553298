"""The minima of `squared_hinge` where the rows are few: Newton's method, every step solved exactly.

A minimum is a combination of the rows, w = Σᵢ aᵢ·xᵢ, so that their products with each other,
G = X·Xᵀ [N, N], say all there is to know about the features. There aᵢ = 2C·(yᵢ − sᵢ) for the rows
inside the margin (yᵢ·sᵢ < 1) and 0 for the others, s = G·a: for a given set A of rows inside

    (G_AA + 1/2C)·a_A = y_A

and Newton's method repeats this with the set it finds (Chapelle, Training a Support Vector Machine in
the Primal, Neural Computation 2007). What it costs depends neither on the conditioning nor on C.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dcgan_cli.analysis.probe_svm.squared_hinge import Rows, line_search, refuse_infinite

_STRETCH = 1024
"""Features, and rows, that are multiplied at a time."""


def products(rows: Rows) -> Tensor:
    """G of rows that end in a 1: float64 [N, N].

    Raises:
        DcganError: the rows hold a number that is not finite.
    """
    count, width = rows.features.shape
    total = torch.ones(count, count, dtype=torch.float64, device=rows.device)
    for start in range(0, width, _STRETCH):
        part = rows.features[:, start : start + _STRETCH].to(rows.device, torch.float64)
        # G is symmetric: blocks below the diagonal are enough
        for row in range(0, count, _STRETCH):
            total[row:, row : row + _STRETCH] += part[row:] @ part[row : row + _STRETCH].t()
    refuse_infinite(total)
    return total.tril() + total.tril(-1).t()


def minimise_few(
    gram: Tensor, signs: Tensor, strengths: Sequence[float], tolerance: float
) -> tuple[Tensor, Tensor]:
    """The minimum for every strength and every row of signs.

    Args:
        gram: G, [N, N].
        signs: −1 or +1, float64 [K, N].
        strengths: C, one or more.
        tolerance: of f, relative.

    Returns:
        Combinations a, float64 [strengths, K, N], and f, float64 [strengths, K].

    Raises:
        torch.linalg.LinAlgError: C·‖x‖² is so large that rounding makes a system indefinite.
    """
    combinations = signs.new_empty(len(strengths), *signs.shape)
    least = signs.new_empty(combinations.shape[:2])
    # From weak to strong, each from the last one's minimum, whose set is nearly its own. The first
    # begins with all rows inside, as from zero: one factor serves all problems.
    order = sorted(range(len(strengths)), key=lambda place: strengths[place])
    start = _solve(gram, strengths[order[0]], signs.t()).t()
    for place in order:
        for k, row in enumerate(signs):
            combinations[place, k], least[place, k] = _minimise(
                gram, row, strengths[place], start[k], tolerance
            )
        start = combinations[place]
    return combinations, least


def _minimise(
    gram: Tensor, signs: Tensor, strength: float, start: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """The combination a [N] and f of one problem; signs and `start` [N]."""
    combination, scores = start, gram @ start
    before = torch.inf
    while True:
        hinge = (1 - signs * scores).clamp(min=0)
        objective = combination @ scores / 2 + strength * hinge.square().sum()
        slope = combination - 2 * strength * hinge * signs
        gap = slope @ (gram @ slope) / 2
        if gap <= tolerance * objective or before - objective <= tolerance / 100 * objective:
            return combination, objective
        before = objective
        inside = hinge.nonzero()[:, 0]
        columns = gram[:, inside]
        solved = _solve(columns[inside], strength, signs[inside, None])[:, 0]
        direction = -combination
        direction[inside] += solved
        reach = columns @ solved - scores
        step = line_search(
            signs[None], scores[None], reach[None], signs.new_tensor([strength]),
            (combination @ reach)[None], (direction @ reach)[None],
        )  # fmt: skip
        combination, scores = combination + step * direction, scores + step * reach


def _solve(products: Tensor, strength: float, right: Tensor) -> Tensor:
    """(G + 1/2C)⁻¹·`right`, [n, K]."""
    ridged = products.clone()
    ridged.diagonal().add_(1 / (2 * strength))
    return torch.cholesky_solve(right, torch.linalg.cholesky(ridged))
