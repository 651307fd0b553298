"""How far off a statistic may be, by what becomes of it without one unit after the other."""

import math

import numpy as np

from dcgan_cli.analysis.statistics.parts import Numbers, t

MOST = 3.0
"""How many times as far as the farthest unit seen one more may lie, of the longest tails."""


def influences(without: Numbers) -> Numbers:
    """What each of N units adds to the error of a statistic, [N], from its values without each."""
    n = len(without)
    return (without.mean() - without) * (n - 1) / n


def variance(influence: Numbers) -> float:
    """The jackknife's variance of the statistic."""
    n = len(influence)
    return n / (n - 1) * float((influence**2).sum())


def freedom(influence: Numbers) -> float:
    """Satterthwaite's degrees of freedom of that variance, N − 1 at most.

    A variance of N values of kurtosis k has 2 N / (k − 1): that of few large ones is known badly.
    """
    n = len(influence)
    kurtosis = float((influence**4).mean() / (influence**2).mean() ** 2)
    return min(n - 1, 2 * n / max(kurtosis - 1, 1 / n))


def reach(influence: Numbers, least: float) -> tuple[float, float]:
    """How far below and above the statistic, each 0 or more, its 95 % interval reaches.

    Student's t with the jackknife's variance (at least `least`), extended on either side by what one
    more unit from the tail beyond all observed ones may add: without the extension, intervals for
    heavy-tailed values cover the truth in as little as 77 %, because few samples hold such a value.
    """
    half = t(len(influence) - 1) * math.sqrt(max(least, variance(influence)))
    return half + _beyond(-influence), half + _beyond(influence)


def _beyond(values: Numbers) -> float:
    """How far beyond the largest of `values` [N] the next that exceeds it is expected.

    Of a Pareto tail with Hill's index γ (1975, Annals of Statistics 3) of the largest values, that
    is the largest times γ / (1 − γ); MOST times it where the tail is too long to say.
    """
    n = len(values)
    tail = max(1, min(n // 10, int(2 * math.sqrt(n))))
    largest = np.sort(values)[::-1][: tail + 1]
    if largest[0] <= 0:
        return 0.0
    if largest[tail] <= 0:
        return MOST * float(largest[0])
    index = float(np.log(largest[:tail] / largest[tail]).mean())
    times = index / (1 - index) if index < 1 else MOST
    return min(MOST, times) * float(largest[0])
