"""The protocol of a probe: images to train on, to choose by, and to evaluate on (paper §5).

Training images are divided into the pool, whose labels are used for training, and the validation
images, on which every setting is chosen. The labels of the test images are used once, to score the
predictions: no learner has access to them.

Files are often sorted by class, and a few labels drawn regardless of class may miss a class: so
every split keeps the proportions of the classes, and every draw has the requested number of each.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.errors import UsageError
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

RowIndices = NDArray[np.int64]

Codes = NDArray[np.int64]
"""Classes by number, from 0."""

VALIDATION, MAX_VALIDATION = 0.2, 10_000
"""Share of the training images that choices are made by, and the most (paper §5.2: 10,000)."""

CHOOSING_DRAWS = 10
"""Number of draws of few labels on which settings are chosen (the authors' script)."""


@dataclass(frozen=True)
class Budget:
    """How many labels are trained on, in how many random `draws`; all of them where both are None.

    Either `per_class` (paper §5.1: 400), or a `total` as even over the classes as can be (§5.2: 1000).
    """

    per_class: int | None = None
    total: int | None = None
    draws: int = 1

    @property
    def few(self) -> bool:
        """Whether labels are drawn, rather than all used."""
        return self.per_class is not None or self.total is not None


@dataclass(frozen=True, eq=False)
class TrainingSubset:
    """Labeled images for training: their rows in the training images, and their classes."""

    rows: RowIndices | slice
    codes: Codes


@dataclass(frozen=True, eq=False)
class ProbeSplit:
    """Everything that is drawn before anybody learns, so that all learners get the same.

    Attributes:
        classes: their words.
        order: the training images in the order of every table of features: shuffled, the pool
            first, then the validation images; int64 [N].
        pool: how many are in the pool.
        codes: their classes in that order, [N].
        truth: the classes of the test images, [T].
        choosing: what is trained on to choose by the validation images.
        subsets: what is trained on to be evaluated, one a draw.
    """

    classes: tuple[str, ...]
    order: RowIndices
    pool: int
    codes: Codes
    truth: Codes
    choosing: tuple[TrainingSubset, ...]
    subsets: tuple[TrainingSubset, ...]

    @classmethod
    def prepare(
        cls,
        classes: Sequence[str],
        codes: Codes,
        truth: Codes,
        budget: Budget,
        *,
        validation: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Shuffle, split and draw, every class in its share.

        With all labels, choices are made by one fit on the pool, and the split's one training
        subset is the pool and the validation images together. Few labels are drawn from the pool
        alone. `codes` are the classes of the training images, [N], each class at least once;
        `truth` those of the test images, [T]. Choices are made by `validation` images, by default
        VALIDATION of them. Raises UsageError where more images are wanted than there are.
        """
        if validation is None:
            validation = min(MAX_VALIDATION, round(VALIDATION * len(codes)))
        if validation >= len(codes):
            raise UsageError(
                f"--validation {validation}: there are only {counted(len(codes), 'training image')}"
            )
        pool, kept = split_rows(codes, max(1, validation), numpy_stream(seed, "validation"))
        order = np.concatenate([pool, kept])
        codes = codes[order]
        choosing = (TrainingSubset(slice(len(pool)), codes[: len(pool)]),)
        subsets = (TrainingSubset(slice(len(order)), codes),)

        def draws(purpose: str, count: int) -> tuple[TrainingSubset, ...]:
            streams = (numpy_stream(seed, purpose, number) for number in range(count))
            here = codes[: len(pool)]
            rows = [draw_rows(here, _wanted(budget, classes, here, s), s) for s in streams]
            return tuple(TrainingSubset(row, here[row]) for row in rows)

        if budget.few:
            choosing = draws("choosing draw", CHOOSING_DRAWS)
            subsets = draws("draw", budget.draws)
        return cls(tuple(classes), order, len(pool), codes, truth, choosing, subsets)

    @property
    def validation(self) -> Codes:
        """The classes of the validation images."""
        return self.codes[self.pool :]


def _wanted(
    budget: Budget, classes: Sequence[str], pool: Codes, stream: np.random.Generator
) -> RowIndices:
    """How many labels of each class to draw. Raises UsageError where there are not so many."""
    wanted = np.full(len(classes), budget.per_class or 0, np.int64)
    option = f"--per-class {budget.per_class}"
    if budget.total is not None:
        option = f"--labels-total {budget.total}"
        if budget.total < len(classes):
            each = counted(len(classes), "class")
            raise UsageError(f"{option}: fewer than one for each of {each}")
        wanted = even(budget.total, len(classes), stream)
    counts = np.bincount(pool, minlength=len(classes))
    least = int((counts - wanted).argmin())
    if counts[least] < wanted[least]:
        raise UsageError(
            f"{option}: class {classes[least]} has {counted(counts[least], 'image')} to draw from "
            f"(without those kept for validation and test), {wanted[least]:,} are wanted"
        )
    return wanted


@dataclass(frozen=True)
class Chosen:
    """A learner after its choice of a `setting`, in words: "C 0.001".

    `tried` is the mean error on the validation images of every setting, in [0, 1]. `answer` learns a
    training subset with the chosen one and gives the classes of the test images, [T].
    """

    setting: str
    tried: Mapping[str, float]
    answer: Callable[[TrainingSubset], Codes]


class Learner(Protocol):
    """A method that can be evaluated. It holds images or their features, and no labels."""

    def choose(
        self, subsets: Sequence[TrainingSubset], validation: Codes, progress: ProgressCallback
    ) -> Chosen:
        """Choose every setting by learning `subsets` and looking at the validation images."""
        ...


@dataclass(frozen=True, eq=False)
class Result:
    """Predicted classes of the test images after each training subset, [draws, T], and which are right.

    `setting` and `tried` are as in Chosen.
    """

    answers: Codes
    right: NDArray[np.bool_]
    setting: str
    tried: Mapping[str, float]


def evaluate(
    learner: Learner,
    probe_split: ProbeSplit,
    progress: ProgressCallback = lambda done, total: None,
    most_draws: int | None = None,
) -> Result:
    """Let `learner` choose, learn every subset (or the first `most_draws`), answer, and be marked."""
    chosen = learner.choose(probe_split.choosing, probe_split.validation, progress)
    subsets = probe_split.subsets[:most_draws]
    answers = np.empty((len(subsets), len(probe_split.truth)), np.int64)
    for number, subset in enumerate(subsets):
        answers[number] = chosen.answer(subset)
        progress(number + 1, len(subsets))
    return Result(answers, answers == probe_split.truth, chosen.setting, chosen.tried)


def split_rows(
    codes: RowIndices, count: int, stream: np.random.Generator
) -> tuple[RowIndices, RowIndices]:
    """All rows of `codes` (int64 [N], classes from 0) in two parts, `count` of them in the second.

    Both are shuffled, and both hold the classes in the shares of the whole, to the nearest image.
    """
    order = stream.permutation(len(codes))
    ranks = _ranks(codes[order])
    taken = ranks < proportional(np.bincount(codes), count)[codes[order]]
    return order[~taken], order[taken]


def draw_rows(codes: RowIndices, wanted: RowIndices, stream: np.random.Generator) -> RowIndices:
    """`wanted[k]` random rows of each class k of `codes` (int64 [N]), shuffled together.

    Raises ValueError where a class has fewer.
    """
    if (np.bincount(codes, minlength=len(wanted)) < wanted).any():
        raise ValueError("a class has fewer images than are drawn of it")
    order = stream.permutation(len(codes))
    return order[_ranks(codes[order]) < wanted[codes[order]]]


def even(total: int, classes: int, stream: np.random.Generator) -> RowIndices:
    """`total` in `classes` parts that differ by one at most; which parts are larger is random."""
    wanted = np.full(classes, total // classes, np.int64)
    wanted[stream.permutation(classes)[: total % classes]] += 1
    return wanted


def proportional(counts: RowIndices, total: int) -> RowIndices:
    """`total` (at most the sum) in the shares of `counts`, by largest remainders.

    No part is larger than its count; equal remainders go to the earlier class.
    """
    parts, remainders = np.divmod(counts * total, counts.sum())
    left = total - int(parts.sum())
    parts[np.argsort(-remainders, kind="stable")[:left]] += 1
    return parts


def _ranks(codes: RowIndices) -> RowIndices:
    """For each entry, how many before it are of the same class."""
    by_class = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ranks = np.empty(len(codes), np.int64)
    ranks[by_class] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
