"""Minimizing many regularized squared-hinge losses over the same rows at once.

For every problem j, with signs y in {−1, +1} and its own value of C:

    minimize  f(w) = ½·‖w‖² + C · Σᵢ max(0, 1 − yᵢ·xᵢ·w)²

where every row x ends in a 1, so that the last weight is the bias, regularized like the others. f
is convex and piecewise quadratic: Newton's method with an exact line search terminates (Keerthi and
DeCoste, JMLR 2005), and each of its linear systems is solved by preconditioned conjugate gradients.
The problems share every pass over the rows, which dominates the cost. `gram_solver` is for fewer
rows.

f and its gradient are computed in float64, block by block; the search direction, which takes most
of the passes and need not be exact, in float32 as long as that is accurate enough.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from dcgan_cli.errors import DcganError
from dcgan_cli.matmul import matmul_nt

_BLOCK = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Numbers in a block of rows: on a CPU, few enough to be still in the cache when the block is read
again."""

_MIN_ROWS = 128
"""Minimum rows in a block, even of very wide rows: matrix products of fewer are slow."""

_RANK = 128
"""Rank of the preconditioner."""

_INEXACT = (1e-2, 0.25)
"""How far conjugate gradients reduce the residual: near the minimum, and at first."""

_MAX_PASSES = 500
"""Conjugate gradients a Newton step. In exact arithmetic as many as rows or features are enough."""

_LEAST = 0.01
"""If a step gains less than this share of what it should, float32 is considered to have failed."""

_NOTHING = 1e-14
"""Gain of a step, relative to f, that rounding in float64 may make or hide."""


@dataclass(frozen=True, eq=False)
class DesignMatrix:
    """Rows [N, F + 1]: features [N, F], which may be mapped from a file larger than memory, and 1."""

    features: Tensor
    device: torch.device

    def blocks(self, dtype: torch.dtype = torch.float32) -> Iterator[tuple[slice, Tensor]]:
        """All features once, in blocks [n, F] on the device, each with its place."""
        count, width = self.features.shape
        step = max(_MIN_ROWS, _BLOCK[self.device.type] // width)
        for start in range(0, count, step):
            block = self.features[start : start + step]
            yield slice(start, start + len(block)), block.to(self.device, dtype)

    def scored(self, weights: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """All blocks with their places, and the scores w·xᵢ [J, n] of weights w [J, F + 1]."""
        slopes, biases = weights[:, :-1].contiguous(), weights[:, -1:]
        for place, block in self.blocks(weights.dtype):
            yield place, block, matmul_nt(block, slopes).t() + biases

    def scores(self, weights: Tensor) -> Tensor:
        """Scores s = w·Xᵀ [J, N] of weights [J, F + 1]; one pass."""
        return torch.cat([seen for _, _, seen in self.scored(weights)], 1)

    def combine(self, combinations: Tensor) -> Tensor:
        """Weights w = a·X [J, F + 1] of combinations [J, N]; one pass."""
        combined = combinations.new_zeros(len(combinations), self.features.shape[1] + 1)
        for place, block in self.blocks(combinations.dtype):
            combined[:, :-1] += matmul_nt(combinations[:, place], block.t())
        combined[:, -1] = combinations.sum(1)
        return combined

    def through(
        self, weights: Tensor, between: Callable[[Tensor, slice], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """`scores` of weights [J, F + 1], and `combine` of `between(scores)`; one pass for both.

        `between` is given the scores [J, n] of a block and its place, and returns as many numbers.
        """
        scores = weights.new_empty(len(weights), len(self.features))
        pulled = torch.zeros_like(weights)
        for place, block, seen in self.scored(weights):
            scores[:, place] = seen
            pull = between(seen, place)
            pulled[:, :-1] += matmul_nt(pull, block.t())
            pulled[:, -1] += pull.sum(1)
        return scores, pulled


@dataclass(frozen=True, eq=False)
class _Problems:
    """The state of J minimizations, in float64; the first dimension of every field is J."""

    signs: Tensor  # [J, N]
    c_values: Tensor  # [J]
    weights: Tensor  # [J, F + 1]
    scores: Tensor  # [J, N]
    gradient: Tensor  # [J, F + 1]
    objective: Tensor  # [J]

    @classmethod
    def at(cls, rows: DesignMatrix, signs: Tensor, c_values: Tensor, weights: Tensor) -> Self:
        """With scores, gradient and f at `weights`; one pass."""

        def downhill(scores: Tensor, place: slice) -> Tensor:
            hinge = (1 - signs[:, place] * scores).clamp_(min=0)
            return hinge.mul_(signs[:, place]).mul_(-2 * c_values[:, None])

        scores, pulled = rows.through(weights, downhill)
        losses = (1 - signs * scores).clamp_(min=0).square_().sum(1)
        objective = row_sums(weights.square()) / 2 + c_values * losses
        return cls(signs, c_values, weights, scores, weights + pulled, objective)

    def take(self, which: Tensor) -> Self:
        """The problems `which`, int64 or bool."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    def put(self, which: Tensor, others: Self) -> None:
        """Replace the problems `which` by `others`."""
        for field in fields(self):
            getattr(self, field.name)[which] = getattr(others, field.name)

    def moved(self, rows: DesignMatrix, direction: Tensor, reach: Tensor) -> Self:
        """Where f is least along directions [J, F + 1], which add `reach` to the scores; one pass."""
        steps = line_search(
            self.signs, self.scores, reach, self.c_values,
            row_sums(self.weights * direction), row_sums(direction.square())
        )  # fmt: skip
        return self.at(rows, self.signs, self.c_values, self.weights + steps[:, None] * direction)

    @property
    def gap(self) -> Tensor:
        """How far f may be above its minimum, [J]: f is 1-strongly convex, so ½·‖∇f‖² at most."""
        return row_sums(self.gradient.square()) / 2

    def above(self, tolerance: float) -> Tensor:
        """Which problems may be farther from their minimum than `tolerance`, relative: int64."""
        return (self.gap > tolerance * self.objective).nonzero()[:, 0]


def minimize(
    rows: DesignMatrix, signs: Tensor, c_values: Tensor, start: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """The minimizing weights [J, F + 1], and f there, [J], to a relative `tolerance` of f.

    `signs` are −1 or +1, [J, N], `c_values` [J], and `start` [J, F + 1]; all tensors are of float64
    and on the device of `rows`. Raises DcganError where the rows hold a number that is not finite,
    or overflow.
    """
    problems = _Problems.at(rows, signs, c_values, start.clone())
    refuse_infinite(problems.gradient)
    first_gap = problems.gap
    # If float32 is not accurate enough (large C, large features), continue in float64.
    for dtype in (torch.float32, torch.float64):
        if len(problems.above(tolerance)):
            _descend(rows, problems, first_gap, dtype, tolerance)
    return problems.weights, problems.objective


def _descend(
    rows: DesignMatrix, problems: _Problems, first_gap: Tensor, dtype: torch.dtype, tolerance: float
) -> None:
    """Newton steps, in place, until the tolerance is reached or directions of `dtype` fail."""
    precondition = _Preconditioner.of(rows, dtype)
    left = problems.above(tolerance)
    while len(left):
        here = problems.take(left)
        inexact = ((here.gap / first_gap[left]) ** 0.25).clamp(*_INEXACT)
        direction, reach, solved = _newton_direction(rows, here, precondition, inexact)
        there = here.moved(rows, direction, reach)
        gain = here.objective - there.objective
        problems.put(left[gain > 0], there.take(gain > 0))
        # A step that gains little need not be the last: far from the minimum, rows that enter the
        # margin can shorten a step. Only a step that gains nothing is the last.
        if dtype is torch.float32:
            going = solved & (gain > _LEAST * row_sums(here.gradient * direction) / -2)
        else:
            going = gain > _NOTHING * here.objective
        left = left[going & (there.gap > tolerance * there.objective)]


def _newton_direction(
    rows: DesignMatrix, problems: _Problems, precondition: "_Preconditioner", target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Conjugate gradients on H·d = −∇f until the residual has shrunk to `target` [J] of the first.

    Returns d [J, F + 1], what it adds to the scores, [J, N], and whether `target` was reached.
    """
    dtype = precondition.c_values.dtype
    inside = problems.signs * problems.scores < 1
    curvature = (inside * (2 * problems.c_values[:, None])).to(dtype)
    # H is I + 2C·XᵀX over the rows inside the margin: nearly as if of all rows, 2C were that much
    # less.
    share = inside.sum(1) / inside.shape[1]
    ridge = (1 / (2 * problems.c_values * share.clamp(min=1e-3))).to(dtype)
    residual = -problems.gradient.to(dtype)
    direction = torch.zeros_like(residual)
    reach = torch.zeros_like(curvature)
    search = precondition(residual, ridge)
    size = row_sums(residual * search)
    enough = target.square() * size
    numbers = torch.arange(len(target), device=residual.device)
    for _ in range(min(_MAX_PASSES, 2 * min(rows.features.shape))):
        here = curvature[numbers]
        seen, pulled = rows.through(search, lambda s, place, here=here: s * here[:, place])
        product = search + pulled
        length = (size / row_sums(search * product)).to(dtype)[:, None]
        direction[numbers] += length * search
        reach[numbers] += length * seen
        residual = residual - length * product
        eased = precondition(residual, ridge[numbers])
        smaller = row_sums(residual * eased)
        search = eased + (smaller / size).to(dtype)[:, None] * search
        size = smaller
        going = size > enough[numbers]
        numbers, search, residual, size = (p[going] for p in (numbers, search, residual, size))
        if not len(numbers):
            break
    solved = torch.ones_like(target, dtype=torch.bool).index_fill_(0, numbers, False)
    return direction.double(), reach.double(), solved


@dataclass(frozen=True, eq=False)
class _Preconditioner:
    """The strongest directions of XᵀX, and how strong: a Nyström approximation, for one dtype.

    After Frangella, Tropp and Udell, Randomized Nyström Preconditioning (SIMAX 2023), algorithm
    2.1, with eigenvectors in place of a shifted Cholesky factor, which fails on few different rows.
    """

    directions: Tensor  # [rank, F + 1], orthonormal
    c_values: Tensor  # [rank], falling

    @classmethod
    def of(cls, rows: DesignMatrix, dtype: torch.dtype) -> Self:
        """One pass."""
        width = rows.features.shape[1] + 1
        stream = torch.Generator().manual_seed(0)
        probe = torch.randn(width, min(_RANK, width), generator=stream).to(rows.device, dtype)
        probe = torch.linalg.qr(probe).Q.t().contiguous()
        _, image = rows.through(probe, lambda scores, _: scores)
        refuse_infinite(image)
        probe, image = probe.double(), image.double()
        core = image @ probe.t()
        values, basis = torch.linalg.eigh((core + core.t()) / 2)
        # of few different rows most values are zero but for rounding, and some of those negative
        told = values > len(values) * torch.finfo(dtype).eps * values[-1]
        half = (basis[:, told] / values[told].sqrt()).t() @ image
        squares, turn = torch.linalg.eigh(half @ half.t())
        squares, turn = squares.flip(0), turn.flip(1)
        keep = squares > torch.finfo(torch.float32).eps * squares[0]
        directions = (turn[:, keep].t() @ half) / squares[keep].sqrt()[:, None]
        return cls(directions.to(dtype), squares[keep].to(dtype))

    def __call__(self, residual: Tensor, ridge: Tensor) -> Tensor:
        """(XᵀX + ridge)⁻¹·residual up to a factor; residual [J, F + 1], ridge [J]."""
        gain = (self.c_values[-1] + ridge)[:, None] / (self.c_values + ridge[:, None]) - 1
        return torch.addmm(residual, gain * (residual @ self.directions.t()), self.directions)


def line_search(
    signs: Tensor, scores: Tensor, reach: Tensor, c_values: Tensor, linear: Tensor, square: Tensor
) -> Tensor:
    """Where f is least along directions d from weights w: steps, [J].

    The slope of f along a line rises piecewise linearly, so that Newton's method finds its root in
    a few exact steps; where it would leave the bracket, the bracket is halved. In float64: `scores`
    X·w and `reach` X·d, [J, N] like the signs; `linear` w·d and `square` d·d, [J] like C.
    """
    margins, change = 1 - signs * scores, signs * reach
    steps = torch.ones_like(linear)
    low, high = torch.zeros_like(linear), torch.full_like(linear, torch.inf)
    for _ in range(40):
        hinge = (margins - steps[:, None] * change).clamp_(min=0)
        slope = linear + steps * square - 2 * c_values * row_sums(hinge * change)
        bend = square + 2 * c_values * row_sums((hinge > 0) * change.square())
        low = torch.where(slope < 0, steps, low)
        high = torch.where(slope > 0, steps, high)
        newton = steps - slope / bend
        within = (newton > low) & (newton < high)
        after = torch.where(within, newton, (low + high.clamp(max=4 * low + 4)) / 2)
        still = (after - steps).abs() > 1e-4 * steps
        steps = torch.where(slope == 0, steps, after)
        if not still.any():
            break
    return steps


def row_sums(values: Tensor) -> Tensor:
    """Of [J, n], in float64."""
    return values.sum(1, dtype=torch.float64)


def refuse_infinite(values: Tensor) -> None:
    """Raises DcganError where sums over the features, `values`, are not finite."""
    if not values.isfinite().all():
        raise DcganError("the features hold NaN or infinity, or numbers too large to be squared")
