"""Training pictures as something to compare with: what is held back, and one pass over the others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.eyes import Eye
from dcgan_cli.analysis.nearest_neighbors.memorisation import NEIGHBOURS
from dcgan_cli.analysis.neighbours import PART, Neighbours, Search
from dcgan_cli.data.batches import Gathers
from dcgan_cli.errors import DcganError
from dcgan_cli.report import Pictures
from dcgan_cli.runtime import numpy_stream

BLOCK = 1024
"""Training pictures that are in memory at a time."""

MOST_HELD_OUT = 2000
SHARE_HELD_OUT = 0.25
"""Real pictures held back where nothing else is said."""

LEAST_HELD_OUT = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Training:
    """Training pictures that something can be compared with.

    `numbers` is int64 [R], those of `pictures` that are compared; `name` says what one is called.
    """

    pictures: Gathers
    numbers: NDArray[np.int64]
    name: Callable[[int], str]


def hold_out(
    count: int, share: float | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `count` pictures to compare with and which to hold back, both ascending.

    What is held back is set aside from the comparison for samples too: both are compared with the
    same images, none of which is one of them. The model was trained on it all the same: copies of
    it go unseen, and what is said of it must not call it held out from training.

    Args:
        count: of pictures.
        share: of them to hold back; None holds back SHARE_HELD_OUT, at most MOST_HELD_OUT.
        seed: of the choice.

    Raises:
        DcganError: fewer than LEAST_HELD_OUT would be held back or too few be left.
    """
    held = (
        min(MOST_HELD_OUT, int(count * SHARE_HELD_OUT)) if share is None else round(count * share)
    )
    if held < LEAST_HELD_OUT or count - held <= NEIGHBOURS:
        raise DcganError(
            f"{count} training pictures, of which {held} held out: too few to tell copies from "
            f"chance; hold back at least {LEAST_HELD_OUT} and leave more than {NEIGHBOURS}, or give "
            "--held-out other pictures of the same kind"
        )
    order = numpy_stream(seed, "held out").permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


@dataclass(frozen=True, eq=False)
class Question:
    """Pictures uint8 [Q, S, S, C] whose nearest training pictures are wanted, and by which eye.

    `left_out` is int64 [Q], for each the number of a training picture that does not count, or −1.
    """

    eye: Eye
    pictures: Pictures
    left_out: NDArray[np.int64] | None = None


def find(
    questions: Sequence[Question],
    training: Training,
    k: int,
    device: torch.device,
    progress: Progress = lambda done, total: None,
) -> list[Neighbours]:
    """Answer all questions in one pass over the training pictures.

    Indices are numbers of `training.pictures`; distances are in the eye's unit.
    """
    searches = [
        Search(_versions(question), k, left_out=_places(question, training), device=device)
        for question in questions
    ]
    total = len(training.numbers)
    for first in range(0, total, BLOCK):
        block = training.pictures.take(training.numbers[first : first + BLOCK])
        for question, search in zip(questions, searches, strict=True):
            search.add(question.eye.rows(block))
        progress(min(first + BLOCK, total), total)
    return [
        Neighbours(training.numbers[found.indices], found.distances * question.eye.unit)
        for found, question in zip((s.result() for s in searches), questions, strict=True)
    ]


def _versions(question: Question) -> Iterator[torch.Tensor]:
    """What is looked for, a part at a time."""
    for first in range(0, len(question.pictures), PART):
        yield question.eye.versions(question.pictures[first : first + PART])


def _places(question: Question, training: Training) -> NDArray[np.int64] | None:
    """Where in the order of the pass the pictures stand that do not count."""
    if question.left_out is None:
        return None
    places = np.searchsorted(training.numbers, question.left_out)
    there = training.numbers[np.minimum(places, len(training.numbers) - 1)] == question.left_out
    return np.where(there, places, -1)
