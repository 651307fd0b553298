"""Learners on tables of features: an L2-SVM that chooses its C, and nearest neighbors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan_cli.analysis.neighbors import nearest
from dcgan_cli.analysis.probe_svm.probe_split import Chosen, Codes, TrainingSubset
from dcgan_cli.analysis.probe_svm.svm import TOLERANCE, LinearSvm, fit_path
from dcgan_cli.progress import ProgressCallback

PAPER_C_VALUES = range(-12, -5)
"""C = 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2 (the authors' script), as places in the series 1-2-5."""

WEAKEST, STRONGEST, WIDER = -24, 12, 3
"""The grid of C is extended between 1e-8 and 1e4, by this many values at a time."""

ROUGH = 1e-2
"""Relative tolerance of an SVM's objective while C is chosen: an upper bound, about a hundred times
the actual error."""

NEIGHBOR_COUNTS = (1, 3, 5, 9, 17, 33)
"""Numbers of neighbors that are tried."""

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Tables:
    """Features of the training images, float32 [N, F], and of the test images, float32 [T, F].

    The first `pool` rows of `train` are the pool; the rest are the validation images.
    """

    train: Tensor
    pool: int
    test: Tensor

    def columns(self, span: slice) -> "Tables":
        """Some neighboring features alone: views, nothing is copied."""
        return Tables(self.train[:, span], self.pool, self.test[:, span])

    def rows(self, subset: TrainingSubset) -> Tensor:
        """The features of a training subset's images: a view of all or of the pool, else a copy."""
        rows = subset.rows
        return self.train[rows if isinstance(rows, slice) else torch.from_numpy(rows)]


@dataclass(frozen=True, eq=False)
class SvmLearner:
    """The paper's linear classifier on features: one-vs-rest L2-SVM, C chosen from a grid."""

    tables: Tables
    classes: int
    device: torch.device | None = None

    def choose(
        self, subsets: Sequence[TrainingSubset], validation: Codes, progress: ProgressCallback
    ) -> Chosen:
        """The C of the least mean error on the validation images."""
        unseen = self.tables.train[self.tables.pool :]

        def errors(places: Sequence[int]) -> list[float]:
            wrong = np.zeros(len(places))
            for number, subset in enumerate(subsets):
                machines = self._fit(subset, [c(place) for place in places], ROUGH)
                wrong += [_error(machine.predict(unseen), validation) for machine in machines]
                progress(number + 1, len(subsets))
            return (wrong / len(subsets)).tolist()

        best, tried = choose_place(errors)

        def answer(subset: TrainingSubset) -> Codes:
            (machine,) = self._fit(subset, [c(best)])
            return machine.predict(self.tables.test).numpy()

        named = {f"C {c(place):g}": error for place, error in sorted(tried.items())}
        return Chosen(f"C {c(best):g}", named, answer)

    def _fit(
        self, subset: TrainingSubset, c_values: Sequence[float], tolerance: float = TOLERANCE
    ) -> list[LinearSvm]:
        rows, codes = self.tables.rows(subset), torch.from_numpy(subset.codes)
        return fit_path(
            rows, codes, c_values, classes=self.classes, tolerance=tolerance, device=self.device
        )


def c(place: int) -> float:
    """The series … 0.1, 0.2, 0.5, 1, 2, 5, 10 …; `c(0)` is 1."""
    decade, step = divmod(place, 3)
    return float(f"{(1, 2, 5)[step]}e{decade}")


def choose_place(
    errors: Callable[[Sequence[int]], Sequence[float]],
) -> tuple[int, dict[int, float]]:
    """The place of the least error, the lowest where several are, and the error of all tried.

    Begins with PAPER_C_VALUES; while the place at an edge is better than every other one, that
    edge moves outwards.
    """
    tried: dict[int, float] = {}
    new: Sequence[int] = PAPER_C_VALUES
    while True:
        tried |= zip(new, errors(new), strict=True)
        low, high = min(tried), max(tried)
        best = min(tried, key=lambda place: (tried[place], place))
        alone = list(tried.values()).count(tried[best]) == 1
        if alone and best == low > WEAKEST:
            new = range(low - WIDER, low)
        elif alone and best == high < STRONGEST:
            new = range(high + 1, high + WIDER + 1)
        else:
            return best, tried


@dataclass(frozen=True, eq=False)
class NearestNeighborLearner:
    """The majority of the k nearest labeled images; ties are decided by the nearest."""

    tables: Tables
    classes: int
    device: torch.device | None = None

    def choose(
        self, subsets: Sequence[TrainingSubset], validation: Codes, progress: ProgressCallback
    ) -> Chosen:
        """The k of the least mean error on the validation images."""
        unseen = self.tables.train[self.tables.pool :]
        counts = [k for k in NEIGHBOR_COUNTS if all(k <= len(subset.codes) for subset in subsets)]
        wrong = np.zeros(len(counts))
        for number, subset in enumerate(subsets):
            near = self._nearest(subset, unseen, counts[-1])
            wrong += [_error(vote(near[:, :k], self.classes), validation) for k in counts]
            progress(number + 1, len(subsets))
        tried = {k: float(error) for k, error in zip(counts, wrong / len(subsets), strict=True)}
        best = min(tried, key=lambda k: tried[k])

        def answer(subset: TrainingSubset) -> Codes:
            return vote(self._nearest(subset, self.tables.test, best), self.classes).numpy()

        return Chosen(f"k {best}", {f"k {k}": error for k, error in tried.items()}, answer)

    def _nearest(self, subset: TrainingSubset, asked: Tensor, k: int) -> Tensor:
        """Classes of the k nearest of a subset, the nearest first: int64 [len(asked), k]."""
        blocks = self.tables.rows(subset).split(ROWS_AT_ONCE)
        found = nearest(asked, blocks, k, self.device).indices
        return torch.from_numpy(subset.codes[found])


def vote(near: Tensor, classes: int) -> Tensor:
    """The most common class of each row of int64 [N, k], nearest first; of several, the nearest."""
    counts = torch.zeros(len(near), classes).scatter_add_(1, near, torch.ones(near.shape))
    # of equally common classes the first in the row wins: argmax takes the first of equals
    first = counts.gather(1, near).argmax(1, keepdim=True)
    return near.gather(1, first).squeeze(1)


def _error(answers: Tensor, truth: Codes) -> float:
    return float((answers.numpy() != truth).mean())
