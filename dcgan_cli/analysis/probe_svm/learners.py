"""Who can be examined on tables of features: an L2-SVM that chooses its C, and nearest neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dcgan_cli.analysis.features import Progress
from dcgan_cli.analysis.neighbours import nearest
from dcgan_cli.analysis.probe_svm.exam import Chosen, Codes, Lesson
from dcgan_cli.analysis.probe_svm.svm import TOLERANCE, LinearSvm, fit_path

PAPER_STRENGTHS = range(-12, -5)
"""C = 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2 (the authors' script), as places in the series 1-2-5."""

WEAKEST, STRONGEST, WIDER = -24, 12, 3
"""From 1e-8 to 1e4 the grid widens by itself, this many places at a time."""

ROUGH = 1e-2
"""How far an SVM's objective may be above its minimum, relative, while C is chosen: a bound that the
truth is some hundred times below."""

NEIGHBOURS = (1, 3, 5, 9, 17, 33)
"""Numbers of neighbours that are tried."""

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Tables:
    """Features of the training pictures (the pool first) and of the test pictures.

    Attributes:
        train: float32 [N, F].
        pool: how many rows of `train` are the pool; the rest are the validation pictures.
        test: float32 [T, F].
    """

    train: Tensor
    pool: int
    test: Tensor

    def columns(self, span: slice) -> "Tables":
        """Some neighbouring features alone: views, nothing is copied."""
        return Tables(self.train[:, span], self.pool, self.test[:, span])

    def rows(self, lesson: Lesson) -> Tensor:
        """The features of a lesson's pictures: a view of all or of the pool, else a copy."""
        rows = lesson.rows
        return self.train[rows if isinstance(rows, slice) else torch.from_numpy(rows)]


@dataclass(frozen=True, eq=False)
class SvmLearner:
    """The paper's linear classifier on features: one-vs-rest L2-SVM, C chosen from a grid."""

    tables: Tables
    classes: int
    device: torch.device | None = None

    def choose(self, lessons: Sequence[Lesson], validation: Codes, progress: Progress) -> Chosen:
        """The C of the least mean error on the validation pictures."""
        unseen = self.tables.train[self.tables.pool :]

        def errors(places: Sequence[int]) -> list[float]:
            wrong = np.zeros(len(places))
            for number, lesson in enumerate(lessons):
                machines = self._fit(lesson, [strength(place) for place in places], ROUGH)
                wrong += [_error(machine.predict(unseen), validation) for machine in machines]
                progress(number + 1, len(lessons))
            return (wrong / len(lessons)).tolist()

        best, tried = choose_place(errors)

        def answer(lesson: Lesson) -> Codes:
            (machine,) = self._fit(lesson, [strength(best)])
            return machine.predict(self.tables.test).numpy()

        named = {f"C {strength(place):g}": error for place, error in sorted(tried.items())}
        return Chosen(f"C {strength(best):g}", named, answer)

    def _fit(
        self, lesson: Lesson, strengths: Sequence[float], tolerance: float = TOLERANCE
    ) -> list[LinearSvm]:
        return fit_path(
            self.tables.rows(lesson),
            torch.from_numpy(lesson.codes),
            strengths,
            classes=self.classes,
            tolerance=tolerance,
            device=self.device,
        )


def strength(place: int) -> float:
    """The series … 0.1, 0.2, 0.5, 1, 2, 5, 10 …; `strength(0)` is 1."""
    decade, step = divmod(place, 3)
    return float(f"{(1, 2, 5)[step]}e{decade}")


def choose_place(
    errors: Callable[[Sequence[int]], Sequence[float]],
) -> tuple[int, dict[int, float]]:
    """The place of the least error, the lowest where several are, and the error of all tried.

    Begins with PAPER_STRENGTHS; while the place at an edge is better than every other one, that
    edge moves outwards.
    """
    tried: dict[int, float] = {}
    new: Sequence[int] = PAPER_STRENGTHS
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
class NeighbourLearner:
    """The majority of the k nearest labelled pictures; where classes draw, the nearest decides."""

    tables: Tables
    classes: int
    device: torch.device | None = None

    def choose(self, lessons: Sequence[Lesson], validation: Codes, progress: Progress) -> Chosen:
        """The k of the least mean error on the validation pictures."""
        unseen = self.tables.train[self.tables.pool :]
        counts = [k for k in NEIGHBOURS if all(k <= len(lesson.codes) for lesson in lessons)]
        wrong = np.zeros(len(counts))
        for number, lesson in enumerate(lessons):
            near = self._nearest(lesson, unseen, counts[-1])
            wrong += [_error(vote(near[:, :k], self.classes), validation) for k in counts]
            progress(number + 1, len(lessons))
        tried = {k: float(error) for k, error in zip(counts, wrong / len(lessons), strict=True)}
        best = min(tried, key=lambda k: tried[k])

        def answer(lesson: Lesson) -> Codes:
            return vote(self._nearest(lesson, self.tables.test, best), self.classes).numpy()

        return Chosen(f"k {best}", {f"k {k}": error for k, error in tried.items()}, answer)

    def _nearest(self, lesson: Lesson, asked: Tensor, k: int) -> Tensor:
        """Classes of the k nearest of a lesson, the nearest first: int64 [len(asked), k]."""
        blocks = self.tables.rows(lesson).split(ROWS_AT_ONCE)
        found = nearest(asked, blocks, k, self.device).indices
        return torch.from_numpy(lesson.codes[found])


def vote(near: Tensor, classes: int) -> Tensor:
    """The commonest class of each row of int64 [N, k], the nearest first; of several, the nearest's."""
    counts = torch.zeros(len(near), classes).scatter_add_(1, near, torch.ones(near.shape))
    # of equally common classes the first in the row wins: argmax takes the first of equals
    first = counts.gather(1, near).argmax(1, keepdim=True)
    return near.gather(1, first).squeeze(1)


def _error(answers: Tensor, truth: Codes) -> float:
    return float((answers.numpy() != truth).mean())
