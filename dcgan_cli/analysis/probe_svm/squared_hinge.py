"""The minimum of many regularised squared-hinge losses over the same rows, all at once.

For every column j of signs y [N, J] in {−1, +1} and its strength C:

    minimise  f(w) = ½·‖w‖² + C · Σᵢ max(0, 1 − yᵢ·xᵢ·w)²

where every row x ends in a 1, so that the last weight is the bias, regularised like the others. f is
convex and piecewise quadratic: Newton's method with an exact line search ends (Keerthi and DeCoste,
JMLR 2005), and each of its systems is solved by conjugate gradients. The columns share every pass
over the rows, which is where the time goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from dcgan_cli.errors import DcganError

ROWS_AT_ONCE = 4096
"""Rows of a block: the working memory is this many rows, however many there are."""

_NO_PROGRESS = 1e-9
"""Relative decrease of f below which rounding decides."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows [N, F] of float32, read in blocks; may be mapped from a file larger than memory."""

    features: Tensor
    device: torch.device

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Every row once, in blocks [n, F] on the device, each with its place."""
        for start in range(0, len(self.features), ROWS_AT_ONCE):
            place = slice(start, min(start + ROWS_AT_ONCE, len(self.features)))
            yield place, self.features[place].to(self.device, torch.float32)


@dataclass(frozen=True, eq=False)
class _Columns:
    """Where the minimisation of J columns stands; the last dimension of every field is J."""

    numbers: Tensor  # [J]: which columns these are
    signs: Tensor  # [N, J]
    strengths: Tensor  # [J]
    weights: Tensor  # [F + 1, J]
    scores: Tensor  # [N, J]
    gradient: Tensor  # [F + 1, J]
    objective: Tensor  # float64 [J]

    def take(self, which: Tensor) -> Self:
        """The columns `which`, bool [J]."""
        return type(self)(*(getattr(self, field.name)[..., which] for field in fields(self)))

    @property
    def gap(self) -> Tensor:
        """How far f can be above its minimum: f is 1-strongly convex, so ½·‖∇f‖² at most; [J]."""
        return _sum(self.gradient.square()) / 2


def minimise(
    rows: Rows, signs: Tensor, strengths: Tensor, start: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """The minimising weights [F + 1, J], and f there, float64 [J].

    Args:
        rows: N rows of F features.
        signs: −1 or +1, [N, J], on the device of `rows`.
        strengths: C of every column, [J].
        start: where to begin, [F + 1, J].
        tolerance: of f, relative.

    Raises:
        DcganError: the rows hold a number that is not finite, or overflow.
    """
    columns = _Columns(
        torch.arange(signs.shape[1], device=rows.device), signs, strengths, start,
        *_evaluate(rows, signs, strengths, start),
    )  # fmt: skip
    if not columns.gradient.isfinite().all():
        raise DcganError("the features hold NaN or infinity, or numbers too large to be squared")
    weights, objective = start.clone(), columns.objective.clone()
    scale = columns.gradient.norm(dim=0)
    while len(columns.numbers):
        slope = columns.gradient.norm(dim=0)
        inexact = (slope / scale[columns.numbers]).sqrt().clamp(1e-3, 0.25)
        direction, reach = _newton_direction(rows, columns, inexact * slope)
        steps = _line_search(columns, direction, reach)
        moved = columns.weights + steps * direction
        scores, gradient, reached = _evaluate(rows, columns.signs, columns.strengths, moved)
        better = reached < columns.objective
        going = reached < columns.objective * (1 - _NO_PROGRESS)
        columns = replace(
            columns, weights=moved, scores=scores, gradient=gradient, objective=reached
        )
        done = columns.take(better)
        weights[:, done.numbers], objective[done.numbers] = done.weights, done.objective
        columns = columns.take(going & (columns.gap > tolerance * reached))
    return weights, objective


def _evaluate(
    rows: Rows, signs: Tensor, strengths: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores [N, J], gradient [F + 1, J] and f, float64 [J], of `weights`; one pass."""
    scores, gradient = torch.empty_like(signs), weights.clone()
    for place, block in rows.blocks():
        scores[place] = torch.addmm(weights[-1], block, weights[:-1])
        pull = (1 - signs[place] * scores[place]).clamp_(min=0) * signs[place]
        pull *= -2 * strengths
        gradient[:-1].addmm_(block.t(), pull)
        gradient[-1] += pull.sum(0)
    losses = _sum((1 - signs * scores).clamp_(min=0).square_())
    return scores, gradient, _sum(weights.square()) / 2 + strengths.double() * losses


def _newton_direction(rows: Rows, columns: _Columns, target: Tensor) -> tuple[Tensor, Tensor]:
    """Conjugate gradients on H·d = −∇f until the residual's norm is below `target` [J].

    Returns d [F + 1, J] and what it adds to the scores, [N, J].
    """
    curvature = (columns.signs * columns.scores < 1) * (2 * columns.strengths)
    direction = torch.zeros_like(columns.weights)
    reach = torch.zeros_like(columns.scores)
    residual = -columns.gradient
    search = residual.clone()
    square = _sum(residual.square())
    numbers = torch.arange(len(target), device=rows.device)
    while len(numbers):
        seen, product = _hessian_product(rows, curvature[:, numbers], search)
        length = (square / _sum(search * product)).float()
        direction[:, numbers] += length * search
        reach[:, numbers] += length * seen
        residual -= length * product
        smaller = _sum(residual.square())
        search = residual + (smaller / square).float() * search
        square = smaller
        going = square > target[numbers].double().square()
        numbers, search, residual, square = (
            part[..., going] for part in (numbers, search, residual, square)
        )
    return direction, reach


def _hessian_product(rows: Rows, curvature: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
    """X·p [N, J] and H·p = p + Xᵀ·(curvature · X·p) [F + 1, J]; one pass."""
    seen, product = torch.empty_like(curvature), search.clone()
    for place, block in rows.blocks():
        seen[place] = torch.addmm(search[-1], block, search[:-1])
        pull = seen[place] * curvature[place]
        product[:-1].addmm_(block.t(), pull)
        product[-1] += pull.sum(0)
    return seen, product


def _line_search(columns: _Columns, direction: Tensor, reach: Tensor) -> Tensor:
    """Where f is least along `direction`: steps [J].

    The slope of f along a line rises piecewise linearly, so that Newton's method finds its root in
    a few exact steps; where it would leave the bracket, the bracket is halved.
    """
    linear, square = _sum(columns.weights * direction), _sum(direction.square())
    margins, change = 1 - columns.signs * columns.scores, columns.signs * reach
    strengths = columns.strengths.double()
    steps = torch.ones_like(linear)
    low, high = torch.zeros_like(linear), torch.full_like(linear, torch.inf)
    for _ in range(40):
        hinge = (margins - steps.float() * change).clamp_(min=0)
        slope = linear + steps * square - 2 * strengths * _sum(hinge * change)
        bend = square + 2 * strengths * _sum((hinge > 0) * change.square())
        low = torch.where(slope < 0, steps, low)
        high = torch.where(slope > 0, steps, high)
        newton = steps - slope / bend
        inside = (newton > low) & (newton < high)
        after = torch.where(inside, newton, (low + high.clamp(max=4 * low + 4)) / 2)
        still = (after - steps).abs() > 1e-4 * steps
        steps = torch.where(slope == 0, steps, after)
        if not still.any():
            break
    return steps.float()


def _sum(values: Tensor) -> Tensor:
    """Column sums of [n, J] in float64."""
    return values.sum(0, dtype=torch.float64)
