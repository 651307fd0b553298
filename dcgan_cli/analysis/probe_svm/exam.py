"""The protocol of a probe: what is learnt from, what is chosen by, what is examined on (paper §5).

Training pictures are of two parts: the pool, whose labels are learnt from, and the validation
pictures, by which every choice is made. The truth about the test pictures is used once, to mark the
answers: no learner ever gets to see it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.features import Progress
from dcgan_cli.analysis.probe_svm.draws import Rows, draw_rows, even, split_rows
from dcgan_cli.errors import UsageError
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

Codes = NDArray[np.int64]
"""Classes by number, from 0."""

VALIDATION, MOST_VALIDATION = 0.2, 10_000
"""Share of the training pictures that choices are made by, and the most (paper §5.2: 10,000)."""

CHOOSING_DRAWS = 10
"""Draws of few labels by which choices are made (the authors' script)."""


@dataclass(frozen=True)
class Budget:
    """How many labels are learnt from, and how often they are drawn; all of them where both are None.

    Attributes:
        per_class: so many of each class (paper §5.1: 400).
        total: so many, as even over the classes as can be (paper §5.2: 1000).
        draws: how many random draws are examined.
    """

    per_class: int | None = None
    total: int | None = None
    draws: int = 1

    @property
    def few(self) -> bool:
        """Whether labels are drawn at all."""
        return self.per_class is not None or self.total is not None


@dataclass(frozen=True, eq=False)
class Lesson:
    """Labelled pictures to learn from: which rows of the training pictures, and their classes."""

    rows: Rows | slice
    codes: Codes


@dataclass(frozen=True, eq=False)
class Exam:
    """Everything that is drawn before anybody learns, so that all learners get the same.

    Attributes:
        classes: their words.
        order: the training pictures in the order of every table of features: shuffled, the pool
            first, then the validation pictures; int64 [N].
        pool: how many are in the pool.
        codes: their classes in that order, [N].
        truth: the classes of the test pictures, [T].
        choosing: what is learnt from to choose by the validation pictures.
        lessons: what is learnt from to be examined, one a draw.
    """

    classes: tuple[str, ...]
    order: Rows
    pool: int
    codes: Codes
    truth: Codes
    choosing: tuple[Lesson, ...]
    lessons: tuple[Lesson, ...]

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

        With all labels, choices are made by one fit on the pool, and the exam's one lesson is the
        pool and the validation pictures together. Few labels are drawn from the pool alone.

        Args:
            classes: their words.
            codes: classes of the training pictures, [N], each class at least once.
            truth: classes of the test pictures, [T].
            budget: how many labels are learnt from.
            validation: how many pictures choices are made by; default VALIDATION of them.
            seed: of all that is drawn.

        Raises:
            UsageError: more pictures wanted than there are.
        """
        if validation is None:
            validation = min(MOST_VALIDATION, round(VALIDATION * len(codes)))
        if validation >= len(codes):
            raise UsageError(
                f"--validation {validation}: there are only {counted(len(codes), 'training picture')}"
            )
        pool, kept = split_rows(codes, max(1, validation), numpy_stream(seed, "validation"))
        order = np.concatenate([pool, kept])
        codes = codes[order]
        if not budget.few:
            choosing = (Lesson(slice(len(pool)), codes[: len(pool)]),)
            lessons = (Lesson(slice(len(order)), codes),)
            return cls(tuple(classes), order, len(pool), codes, truth, choosing, lessons)

        def draws(purpose: str, count: int) -> tuple[Lesson, ...]:
            streams = (numpy_stream(seed, purpose, number) for number in range(count))
            here = codes[: len(pool)]
            rows = [draw_rows(here, _wanted(budget, classes, here, s), s) for s in streams]
            return tuple(Lesson(row, here[row]) for row in rows)

        choosing = draws("choosing draw", CHOOSING_DRAWS)
        lessons = draws("draw", budget.draws)
        return cls(tuple(classes), order, len(pool), codes, truth, choosing, lessons)

    @property
    def validation(self) -> Codes:
        """The classes of the validation pictures."""
        return self.codes[self.pool :]


def _wanted(
    budget: Budget, classes: Sequence[str], pool: Codes, stream: np.random.Generator
) -> Rows:
    """How many labels of each class to draw. Raises UsageError where there are not so many."""
    if budget.per_class is not None:
        wanted = np.full(len(classes), budget.per_class, np.int64)
        option = f"--per-class {budget.per_class}"
    else:
        assert budget.total is not None
        if budget.total < len(classes):
            raise UsageError(
                f"--labels-total {budget.total}: fewer than one for each of {counted(len(classes), 'class')}"
            )
        wanted = even(budget.total, len(classes), stream)
        option = f"--labels-total {budget.total}"
    counts = np.bincount(pool, minlength=len(classes))
    least = int((counts - wanted).argmin())
    if counts[least] < wanted[least]:
        raise UsageError(
            f"{option}: class {classes[least]} has {counted(counts[least], 'picture')} to draw from "
            f"(without those kept for validation and test), {wanted[least]:,} are wanted"
        )
    return wanted


@dataclass(frozen=True)
class Chosen:
    """A learner after its choice.

    Attributes:
        setting: what was chosen, in words: "C 0.001".
        tried: the mean error on the validation pictures of every setting, in [0, 1].
        answer: learns a lesson with that setting and gives the classes of the test pictures, [T].
    """

    setting: str
    tried: Mapping[str, float]
    answer: Callable[[Lesson], Codes]


class Learner(Protocol):
    """Something that can be examined. It holds pictures or their features, and no label."""

    def choose(self, lessons: Sequence[Lesson], validation: Codes, progress: Progress) -> Chosen:
        """Choose every setting by learning `lessons` and looking at the validation pictures."""
        ...


@dataclass(frozen=True, eq=False)
class Result:
    """How a learner did.

    Attributes:
        answers: classes of the test pictures as it gave them after each lesson, [draws, T].
        right: which of them are true, bool [draws, T].
        setting, tried: as in Chosen.
    """

    answers: Codes
    right: NDArray[np.bool_]
    setting: str
    tried: Mapping[str, float]


def examine(
    learner: Learner,
    exam: Exam,
    progress: Progress = lambda done, total: None,
    most_draws: int | None = None,
) -> Result:
    """Let `learner` choose, learn every lesson (or the first `most_draws`), answer, and be marked."""
    chosen = learner.choose(exam.choosing, exam.validation, progress)
    lessons = exam.lessons[:most_draws]
    answers = np.empty((len(lessons), len(exam.truth)), np.int64)
    for number, lesson in enumerate(lessons):
        answers[number] = chosen.answer(lesson)
        progress(number + 1, len(lessons))
    return Result(answers, answers == exam.truth, chosen.setting, chosen.tried)
