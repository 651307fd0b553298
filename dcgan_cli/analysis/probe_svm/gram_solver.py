"""Minimizing `squared_hinge` if there are few rows: Newton's method, every step solved exactly.

A minimum is a combination of the rows, w = Σᵢ aᵢ·xᵢ, so that the Gram matrix of the rows, G = X·Xᵀ
[N, N], is all that is needed of the features. There aᵢ = 2C·(yᵢ − sᵢ) for the rows inside the
margin (yᵢ·sᵢ < 1) and 0 for the others, with s = G·a: for a given set A of rows inside

    (G_AA + 1/2C)·a_A = y_A

and Newton's method repeats this with the set it finds (Chapelle, Training a Support Vector Machine
in the Primal, Neural Computation 2007). The cost depends neither on the conditioning nor on C,
except through the number of rows inside: all of them if C is small, a fifth or less if it is large.
The value of f, and which rows are inside, are computed from the rows themselves, so that G may be
rounded: every step corrects the rounding errors of the previous one.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dcgan_cli.analysis.probe_svm.squared_hinge import (
    DesignMatrix,
    line_search,
    refuse_infinite,
    row_sums,
)
from dcgan_cli.matmul import matmul_nt

Scores = Callable[[Tensor], Tensor]

_ROWS, _COLUMNS = 512, 8192
"""Rows, and features, that are multiplied at a time."""

_SMALL = 256
"""Up to this many rows, the first step starts with all of them inside."""

_PART, _ROUGH = 2, 0.03
"""With more rows, the problem of every _PARTth row is solved first, to this tolerance, to estimate
which rows are inside."""


def products(rows: DesignMatrix, dtype: torch.dtype = torch.float64) -> Tensor:
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
            total[row:, below] += matmul_nt(part[row:], part[below])
    refuse_infinite(total.diagonal())
    for row in range(0, count, _ROWS):
        end = row + _ROWS
        total[row:end, end:] = total[end:, row:end].t()
    return total


def minimize_few(
    rows: DesignMatrix, gram: Tensor, signs: Tensor, c_values: Sequence[float], tolerance: float
) -> Tensor:
    """The combinations a [values of C, K, N] that are the minimum for every C and row of signs.

    `gram` is G, [N, N], which need be right only nearly; `signs` are −1 or +1, [K, N] of the same
    dtype; `tolerance` is how little the last step gains, or could gain, relative to f. Raises
    torch.linalg.LinAlgError where C·‖x‖² is so large that rounding makes a system indefinite.
    """
    found = signs.new_empty(len(c_values), *signs.shape)
    # In ascending order of C, each starting at the minimum of the previous, whose set is similar.
    order = sorted(range(len(c_values)), key=lambda place: c_values[place])
    start = _begin(gram, signs, c_values[order[0]])
    for place in order:
        systems = _Systems(gram, c_values[place])
        start = found[place] = _minimize(
            systems, signs, start, tolerance, lambda a: rows.scores(rows.combine(a))
        )
    return found


def _begin(gram: Tensor, signs: Tensor, c: float) -> Tensor:
    """Combinations [K, N] near the minimum, of every _PARTth row: their minimum, nearly."""
    start = torch.zeros_like(signs)
    if len(gram) > _SMALL:
        part = slice(None, None, _PART)
        gram, signs = gram[part, part].contiguous(), signs[:, part]
        start[:, part] = _minimize(
            _Systems(gram, c), signs, _begin(gram, signs, c), _ROUGH,
            lambda a: matmul_nt(a, gram)
        )  # fmt: skip
    return start


def _minimize(
    systems: "_Systems", signs: Tensor, start: Tensor, tolerance: float, score: Scores
) -> Tensor:
    """Combinations [K, N] of problems that share a C; `score` gives the scores of some, [J, N]."""
    combinations, c = start.clone(), systems.c
    least = torch.full((len(signs),), torch.inf, dtype=torch.float64, device=signs.device)
    left = torch.arange(len(signs), device=signs.device)
    while True:
        here = combinations[left], score(combinations[left]), signs[left]
        objective, gap = systems.state(*here)
        gain = least[left] - objective
        least[left] = objective
        # A step that gained little is followed by one that gains far less.
        going = (gap > tolerance * objective) & (gain > tolerance * objective)
        if not going.any():
            return combinations
        left = left[going]
        combined, seen, wanted = (part[going] for part in here)
        direction = systems.step(combined, seen, wanted)
        reach = matmul_nt(direction, systems.gram)
        steps = line_search(
            wanted.double(), seen.double(), reach.double(),
            torch.full_like(least[left], c),
            row_sums(combined * reach), row_sums(direction * reach)
        ).to(signs)[:, None]  # fmt: skip
        combinations[left] = combined + steps * direction


def primal(scores: Tensor, signs: Tensor, c_values: Tensor | float, squares: Tensor) -> Tensor:
    """Value f at w, float64 [K], of scores w·xᵢ and signs [K, N], C [K] or one for all, and ‖w‖² [K]."""
    losses = row_sums((1 - signs * scores).clamp_(min=0).square_())
    return squares / 2 + c_values * losses


def dual(combinations: Tensor, signs: Tensor, c_values: Tensor | float, squares: Tensor) -> Tensor:
    """What f is nowhere less than, float64 [K]: the dual's value Σᵢ yᵢ·aᵢ − ½‖w‖² − Σᵢ aᵢ²/4C.

    No yᵢ·aᵢ of the combinations a [K, N] is below 0; `squares` are ‖w‖² of w = Σᵢ aᵢ·xᵢ, [K].
    """
    shares = row_sums(combinations.square()) / (4 * c_values)
    return row_sums(combinations * signs) - squares / 2 - shares


def feasible(combinations: Tensor, signs: Tensor) -> Tensor:
    """Combinations where each yᵢ·aᵢ below 0 is set to 0: rows that a step moved past the margin."""
    return (combinations * signs).clamp_(min=0) * signs


class _Systems:
    """(G_AA + 1/2C)·a_A = y_A for sets of rows A of one G and one C."""

    def __init__(self, gram: Tensor, c: float) -> None:
        self.gram, self.c = gram, c
        self._of_all: Tensor | None = None

    def state(self, combinations: Tensor, scores: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        """Value f at combinations [K, N], and how far it may be above its minimum; float64 [K]."""
        squares = row_sums(combinations * scores)
        objective = primal(scores, signs, self.c, squares)
        allowed = feasible(combinations, signs)
        change = allowed - combinations
        seen = 2 * scores + matmul_nt(change, self.gram)
        bound = dual(allowed, signs, self.c, squares + row_sums(change * seen))
        return objective, objective - bound

    def step(self, combinations: Tensor, scores: Tensor, signs: Tensor) -> Tensor:
        """Directions [K, N] from `combinations` to the solutions for the rows inside the margin.

        What is solved for is the difference, so that the error of G is of the difference only.
        """
        inside = signs * scores < 1
        outside = combinations * ~inside
        direction = -outside
        without = scores - matmul_nt(outside, self.gram)
        missing = signs - without - combinations / (2 * self.c)
        for k, rows in enumerate(inside):
            if rows.all():  # where C is small, in every problem: one factor serves them all
                if self._of_all is None:
                    self._of_all = self._factor(self.gram.clone())
                direction[k] += torch.cholesky_solve(missing[k, :, None], self._of_all)[:, 0]
                continue
            places = rows.nonzero()[:, 0]
            factor = self._factor(self.gram[places[:, None], places])
            direction[k, places] += torch.cholesky_solve(missing[k, places, None], factor)[:, 0]
        return direction

    def _factor(self, products: Tensor) -> Tensor:
        products.diagonal().add_(1 / (2 * self.c))
        return torch.linalg.cholesky(products)
