"""Accuracy over draws of labels and over test pictures at once, and paired differences.

Answers after R draws to the same T test pictures vary for two reasons: other labels were drawn, and
other pictures might have been asked about. Resampling draws and pictures, each with replacement, lets
the interval hold both (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 1, 2007). With
one draw it is the ordinary bootstrap over pictures. Two learners that had the same lessons are
compared answer by answer: the same bootstrap of the differences.
"""

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.intervals import RESAMPLES, proportion
from dcgan_cli.report import Estimate
from dcgan_cli.runtime import numpy_stream

Right = NDArray[np.bool_]
"""Which answers are true: bool [R, T]."""

_AT_ONCE = 100
"""Resamples at a time: bounds the memory for their counts."""


def accuracy(right: Right, level: float = 0.95) -> Estimate:
    """The share of true answers; n is T. With one draw the interval is Wilson's."""
    if len(right) == 1:
        return proportion(int(right.sum()), right.shape[1], level)
    return _mean(right.astype(np.float32), level)


def difference(right: Right, other: Right, level: float = 0.95) -> Estimate:
    """Accuracy of the first minus that of the other, over the draws that both had; n is T."""
    both = min(len(right), len(other))
    return _mean(right[:both].astype(np.float32) - other[:both], level)


def spread(right: Right) -> float | None:
    """1.96 standard deviations of the accuracy over draws, as the paper prints; None with one."""
    if len(right) < 2:
        return None
    return 1.96 * float(right.mean(1).std(ddof=1))


def _mean(values: NDArray[np.float32], level: float, seed: int = 0) -> Estimate:
    """The mean of `values` [R, T] and its two-way bootstrap interval."""
    draws, pictures = values.shape
    stream = numpy_stream(seed, "two-way bootstrap")
    means: list[NDArray[np.float64]] = []
    for _ in range(0, RESAMPLES, _AT_ONCE):
        rows = _counts(stream, draws)
        columns = _counts(stream, pictures)
        means.append(np.einsum("bt,bt->b", rows @ values, columns) / values.size)
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Estimate(float(values.mean(dtype=np.float64)), float(low), float(high), pictures)


def _counts(stream: np.random.Generator, n: int) -> NDArray[np.float32]:
    """How often each of n is picked in n picks with replacement: [_AT_ONCE, n]."""
    picks = stream.integers(0, n, (_AT_ONCE, n)) + np.arange(_AT_ONCE)[:, None] * n
    counts = np.bincount(picks.ravel(), minlength=_AT_ONCE * n)
    return counts.reshape(_AT_ONCE, n).astype(np.float32)
