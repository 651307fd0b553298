"""The minima of `squared_hinge` where the rows are few: Newton's method, every step solved exactly.

A minimum is a combination of the rows, w = Σᵢ aᵢ·xᵢ, so that their products with each other,
G = X·Xᵀ [N, N], say all there is to know about the features. There aᵢ = 2C·(yᵢ − sᵢ) for the rows
inside the margin (yᵢ·sᵢ < 1) and 0 for the others, s = G·a: for a given set A of rows inside

    (G_AA + 1/2C)·a_A = y_A

and Newton's method repeats this with the set it finds (Chapelle, Training a Support Vector Machine in
the Primal, Neural Computation 2007). What it costs depends neither on the conditioning nor on C but
for how many rows are inside: all of them where C is small, a fifth or less where it is large.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dcgan_cli.analysis.probe_svm.squared_hinge import (
    Rows,
    line_search,
    refuse_infinite,
    row_sums,
)
from dcgan_cli.products import times_transposed

_ROWS, _COLUMNS = 512, 8192
"""Rows, and features, that are multiplied at a time."""

_SMALL = 256
"""Rows so few that beginning with all of them inside costs nothing."""

_PART, _ROUGH = 2, 0.03
"""Of more rows every so manieth is solved first, to know nearly which ones are inside; how nearly."""


def products(rows: Rows, dtype: torch.dtype = torch.float64) -> Tensor:
    """G of rows that end in a 1: [N, N] of `dtype`.

    Raises:
        DcganError: the rows hold a number that is not finite.
    """
    count, width = rows.features.shape
    total = torch.ones(count, count, dtype=dtype, device=rows.device)
    for start in range(0, width, _COLUMNS):
        part = rows.features[:, start : start + _COLUMNS].to(rows.device, dtype)
        # G is symmetric: blocks below the diagonal are enough
        for row in range(0, count, _ROWS):
            below = slice(row, row + _ROWS)
            total[row:, below] += times_transposed(part[row:], part[below])
    refuse_infinite(total.diagonal())
    for row in range(0, count, _ROWS):
        end = row + _ROWS
        total[row:end, end:] = total[end:, row:end].t()
    return total


def minimise_few(
    gram: Tensor, signs: Tensor, strengths: Sequence[float], tolerance: float
) -> Tensor:
    """The combinations a [strengths, K, N] that are the minimum for every C and row of signs.

    Args:
        gram: G, [N, N].
        signs: −1 or +1, [K, N] of the same dtype.
        strengths: C, one or more.
        tolerance: how little a step gains, or could gain, that is the last; relative to f.

    Raises:
        torch.linalg.LinAlgError: C·‖x‖² is so large that rounding makes a system indefinite.
    """
    found = signs.new_empty(len(strengths), *signs.shape)
    # From weak to strong, each from the last one's minimum, whose set is nearly its own.
    order = sorted(range(len(strengths)), key=lambda place: strengths[place])
    start = torch.zeros_like(signs)
    if len(gram) > _SMALL:
        some = slice(None, None, _PART)
        weakest = [strengths[order[0]]]
        (start[:, some],) = minimise_few(gram[some, some], signs[:, some], weakest, _ROUGH)
    for place in order:
        start = found[place] = _minimise(gram, signs, strengths[place], start, tolerance)
    return found


def _minimise(
    gram: Tensor, signs: Tensor, strength: float, start: Tensor, tolerance: float
) -> Tensor:
    """Combinations [K, N] of problems that share a C; signs and `start` [K, N]."""
    combinations, scores = start.clone(), times_transposed(start, gram)
    least = torch.full((len(signs),), torch.inf, dtype=torch.float64, device=signs.device)
    systems = _Systems(gram, strength)
    left = torch.arange(len(signs), device=signs.device)
    while True:
        here = combinations[left], scores[left], signs[left]
        objective, gap = duality_gap(*here, strength, row_sums(here[0] * here[1]))
        gain = least[left] - objective
        least[left] = objective
        # A step that gained little is followed by one that gains far less.
        going = (gap > tolerance * objective) & (gain > tolerance * objective)
        if not going.any():
            return combinations
        left = left[going]
        combined, seen, wanted = (part[going] for part in here)
        direction = systems.solve(wanted * seen < 1, wanted) - combined
        reach = times_transposed(direction, gram)
        steps = line_search(
            wanted.double(), seen.double(), reach.double(),
            torch.full_like(least[left], strength),
            row_sums(combined * reach), row_sums(direction * reach),
        ).to(signs)[:, None]  # fmt: skip
        combinations[left] = combined + steps * direction
        scores[left] = seen + steps * reach


def duality_gap(
    combinations: Tensor,
    scores: Tensor,
    signs: Tensor,
    strengths: Tensor | float,
    squares: Tensor,
) -> tuple[Tensor, Tensor]:
    """The value f at w = Σᵢ aᵢ·xᵢ, and how far it may be above its minimum; float64 [K].

    The dual problem is to maximise Σᵢ yᵢ·aᵢ − ½‖w‖² − Σᵢ aᵢ²/4C where no yᵢ·aᵢ is below 0: what a
    combination with such a one says is infinitely little.

    Args:
        combinations: a, [K, N].
        scores: w·xᵢ, [K, N].
        signs: [K, N].
        strengths: C, [K] or one for all.
        squares: ‖w‖², [K].
    """
    pull = combinations * signs
    losses = row_sums((1 - signs * scores).clamp_(min=0).square_())
    objective = squares / 2 + strengths * losses
    dual = row_sums(pull) - squares / 2 - row_sums(pull.square()) / (4 * strengths)
    return objective, torch.where((pull < 0).any(1), torch.inf, objective - dual)


class _Systems:
    """(G_AA + 1/2C)·a_A = y_A for sets of rows A of one G and one C."""

    def __init__(self, gram: Tensor, strength: float) -> None:
        self.gram, self.ridge = gram, 1 / (2 * strength)
        self._of_all: Tensor | None = None

    def solve(self, inside: Tensor, right: Tensor) -> Tensor:
        """Solutions [K, N], 0 outside, of sets `inside`, bool [K, N], and right sides [K, N]."""
        solved = torch.zeros_like(right)
        for k, rows in enumerate(inside):
            if rows.all():  # where C is small, in every problem: one factor serves them all
                if self._of_all is None:
                    self._of_all = self._factor(self.gram.clone())
                solved[k] = torch.cholesky_solve(right[k, :, None], self._of_all)[:, 0]
                continue
            places = rows.nonzero()[:, 0]
            factor = self._factor(self.gram[places[:, None], places])
            solved[k, places] = torch.cholesky_solve(right[k, places, None], factor)[:, 0]
        return solved

    def _factor(self, products: Tensor) -> Tensor:
        products.diagonal().add_(self.ridge)
        return torch.linalg.cholesky(products)
