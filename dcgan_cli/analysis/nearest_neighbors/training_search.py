"""Searching the training images: which are held out, and one pass over the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.distance_metrics import DistanceMetric
from dcgan_cli.analysis.nearest_neighbors.memorization import SCALE_NEIGHBORS
from dcgan_cli.analysis.neighbors import PART, NeighborTable, Search
from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.errors import DcganError
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream

BLOCK = 1024
"""Training images in memory at a time."""

MAX_HELD_OUT = 2000
SHARE_HELD_OUT = 0.25
"""The default share of real images that are held out."""

MIN_HELD_OUT = 8


@dataclass(frozen=True, eq=False)
class Training:
    """Training images to compare with.

    `numbers` is int64 [R], those of `images` that are compared; `name` returns the name of an
    image.
    """

    images: ImageDataset
    numbers: NDArray[np.int64]
    name: Callable[[int], str]


def hold_out(
    count: int, share: float | None, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `count` images to compare with and which to hold out, both ascending.

    What is held out is set aside from the comparison for samples too: both are compared with the
    same images, none of which is one of them. The model was trained on it all the same: copies of
    it go unseen, and what is said of it must not call it held out from training. A `share` of None
    is SHARE_HELD_OUT, at most MAX_HELD_OUT images. Raises DcganError where fewer than MIN_HELD_OUT
    would be held out or too few be left.
    """
    held = min(MAX_HELD_OUT, int(count * SHARE_HELD_OUT)) if share is None else round(count * share)
    if held < MIN_HELD_OUT or count - held <= SCALE_NEIGHBORS:
        raise DcganError(
            f"{count} training images, of which {held} held out: too few to tell copies from "
            f"chance; hold out at least {MIN_HELD_OUT} and leave more than {SCALE_NEIGHBORS}, or give "
            "--held-out other images of the same kind"
        )
    order = numpy_stream(seed, "held out").permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


@dataclass(frozen=True, eq=False)
class Question:
    """Images uint8 [Q, S, S, C] whose nearest training images are wanted, and by which metric.

    `left_out` is int64 [Q], for each the number of a training image that does not count, or −1.
    """

    metric: DistanceMetric
    images: Images
    left_out: NDArray[np.int64] | None = None


def find(
    questions: Sequence[Question],
    training: Training,
    k: int,
    device: torch.device,
    progress: ProgressCallback = lambda done, total: None,
) -> list[NeighborTable]:
    """Answer all questions in one pass over the training images.

    Indices are numbers of `training.images`; distances are in the metric's unit.
    """
    searches: list[Search] = []
    for each in questions:
        starts = range(0, len(each.images), PART)
        versions = (each.metric.versions(each.images[at : at + PART]) for at in starts)
        searches.append(Search(versions, k, left_out=_places(each, training), device=device))
    total = len(training.numbers)
    for first in range(0, total, BLOCK):
        block = training.images.take(training.numbers[first : first + BLOCK])
        for question, search in zip(questions, searches, strict=True):
            search.add(question.metric.rows(block))
        progress(min(first + BLOCK, total), total)
    return [
        NeighborTable(training.numbers[found.indices], found.distances * question.metric.unit)
        for found, question in zip((s.result() for s in searches), questions, strict=True)
    ]


def _places(question: Question, training: Training) -> NDArray[np.int64] | None:
    """Positions, in the order of the pass, of the images that are left out."""
    if question.left_out is None:
        return None
    places = np.searchsorted(training.numbers, question.left_out)
    there = training.numbers[np.minimum(places, len(training.numbers) - 1)] == question.left_out
    return np.where(there, places, -1)
