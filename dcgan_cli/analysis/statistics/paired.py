"""Rules for two values of each unit: correlation, explained variance, ratios.

Their intervals come from the values that are found when one unit after the other is left out (the
jackknife; Miller 1974, Biometrika 61), on a scale on which errors are closer to symmetric.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from dcgan_cli.analysis.statistics.single import (
    Numbers,
    Z,
    careful,
    checked,
    named,
    no_interval,
    scaled,
    score,
    scored,
    t,
)
from dcgan_cli.report import Estimate

MIN_EXAMPLES = 5
"""Units for a correlation or R² to have an interval."""

_NOTHING = 1e-12
"""The share of a sum that counts as none of it: what rounding leaves."""

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


def correlation(first: ArrayLike, second: ArrayLike, unit: str = "images") -> Estimate:
    """Pearson's correlation of [N] and [N]; 0 without an interval where one does not vary.

    The interval is the jackknife's on Fisher's z (Hinkley 1978, Biometrika 65), never narrower than
    with the variance 1 / (N − 3) of a normal distribution, and reaches as far as the longest tails
    that the data show may go (`reach`). N is MIN_EXAMPLES or more for an interval.
    """
    x, y = (_standardized(checked(values)) for values in (first, second))
    n, value = len(x), float(np.clip((x * y).mean(), -1, 1))
    if not (x.any() and y.any()):
        return no_interval(0.0, n, unit)
    if n < MIN_EXAMPLES or abs(value) > 1 - _NOTHING:
        return no_interval(value, n, unit)
    left_x, left_y = 1 - x**2 / (n - 1), 1 - y**2 / (n - 1)  # of the variance, without each unit
    if min(left_x.min(), left_y.min()) < _NOTHING:
        return no_interval(value, n, unit)
    without = (value - x * y / (n - 1)) / np.sqrt(left_x * left_y)
    found = influences(np.arctanh(without.clip(_NOTHING - 1, 1 - _NOTHING)))
    below, above = reach(found, 1 / (n - 3))
    low, high = math.tanh(math.atanh(value) - below), math.tanh(math.atanh(value) + above)
    return Estimate(value, low, high, n, named("jackknife on Fisher's z", n, unit))


def explained(said: Numbers, truth: Numbers, unit: str = "images") -> Estimate:
    """The share of the variance of `truth` [N, D] that `said` [N, D] explains (R²), 1 at most.

    1 less the ratio of squared errors to squared distances from the mean; 0 without an interval
    where
    `truth` does not vary. The interval is the jackknife's on the logarithm of that ratio (Miller
    1968, Annals of Mathematical Statistics 39), which is made free of bias first: N values lie
    closer to their own mean than to the true one by a share 1 / N. It is never narrower than with
    the variance of a normal distribution (Olkin and Finn 1995, Psychological Bulletin 118), and
    reaches as far as in `correlation`. N is MIN_EXAMPLES or more for an interval.
    """
    errors = ((said - truth) ** 2).sum(1)
    apart = ((truth - truth.mean(0)) ** 2).sum(1)
    n, dimensions = truth.shape
    wrong, total = float(errors.sum()), float(apart.sum())
    if not total > 0:
        return no_interval(0.0, n, unit)
    value = 1 - wrong / total
    if n < MIN_EXAMPLES or not wrong > 0:
        return no_interval(value, n, unit)
    left_wrong, left = 1 - errors / wrong, 1 - apart / total * n / (n - 1)
    if min(left_wrong.min(), left.min()) < _NOTHING:
        return no_interval(value, n, unit)
    unbiased = (1 - value) * (n - 1) / n
    normal = (4 * max(0.0, 1 - unbiased) / n + 2 / n**2) / dimensions
    below, above = reach(influences(np.log(left_wrong / left)), normal)
    low, high = 1 - unbiased * math.exp(above), 1 - unbiased * math.exp(-below)
    return Estimate(value, low, high, n, named("jackknife on the logarithm of 1 − R²", n, unit))


def ratio(top: ArrayLike, bottom: ArrayLike, unit: str = "images") -> Estimate:
    """Sum of `top` over sum of `bottom`, [N] and [N], 0 or more, one pair each unit: t on its logarithm.

    The spread is the jackknife's, with Satterthwaite's degrees of freedom; the logarithm, whose
    error is closer to symmetric, keeps the interval above 0. No interval where N < 2 or one unit
    has it all; NaN for 0 / 0.
    """
    above, below = checked(top), checked(bottom)
    n, total = len(above), float(below.sum())
    value = float(above.sum()) / total if total > 0 else math.nan
    if not value > 0:
        return no_interval(value, n, unit)
    left_above, left_below = 1 - above / above.sum(), 1 - below / total
    if min(left_above.min(), left_below.min()) < _NOTHING:
        return no_interval(value, n, unit)
    found = influences(np.log(left_above / left_below))
    spread = math.sqrt(variance(found))
    if spread < _NOTHING:
        return no_interval(value, n, unit)
    factor = math.exp(t(freedom(found)) * spread)
    return Estimate(value, value / factor, value * factor, n, named("t on the logarithm", n, unit))


def mean_above(values: ArrayLike, unit: str = "values") -> Estimate:
    """The mean of independent measurements [N] that are 0 or more: t on its logarithm.

    Distances and the like have a long tail above, with which Student's interval of few is too short
    below. No interval where N < 2, all are equal, or all but one are 0.
    """
    rows = checked(values)
    return ratio(rows, np.ones_like(rows), unit)


def ratio_within(
    top: ArrayLike, bottom: ArrayLike, low: float = 0.0, high: float = 1.0, unit: str = "images"
) -> Estimate:
    """Sum of `top` over sum of `bottom`, [N] and [N], where that lies between bounds.

    A mean of clusters of unequal size is one: sums over sizes. Interval as in `mean_within`.
    """
    above, below = checked(top), checked(bottom)
    n, total = int((below > 0).sum()), float(below.sum())
    if total <= 0:
        return Estimate(math.nan, n=0)
    value = float(above.sum()) / total
    residual = (above - value * below) / (high - low)
    variance = n / max(1, n - 1) * float((residual**2).sum()) / total**2
    inside = (value - low) / (high - low)
    found = scored(inside, careful(variance, inside, n), n, t(n - 1), unit)
    return scaled(found, high - low, low)


def ratio_of_shares(before: ArrayLike, after: ArrayLike, unit: str = "images") -> Estimate:
    """The share of `after` over the share of `before`, bool [N] of the same images.

    Bonett and Price's interval from two of Wilson's (2006, Statistics in Medicine 25); NaN where
    `before` is never true.
    """
    first, second = (np.asarray(values, np.bool_) for values in (before, after))
    n, either = len(first), int((first | second).sum())
    ones, others = int(first.sum()), int(second.sum())
    if ones == 0:
        return Estimate(math.nan, n=n)
    differ = int((first != second).sum())
    a = math.sqrt((differ + 2) / ((ones + 1) * (others + 1)))
    b, c = (math.sqrt((1 - (x + 1) / (either + 2)) / (x + 1)) for x in (others, ones))
    z = Z * a / (b + c)
    over, under = score(others / either, either, z), score(ones / either, either, z)
    high = over[1] / under[0]
    return Estimate(others / ones, over[0] / under[1], high, n, named("Bonett and Price", n, unit))


def _standardized(values: Numbers) -> Numbers:
    """Of mean 0 and spread 1; all 0 where nothing varies."""
    centered = values - values.mean()
    spread = float(values.std())
    varies = spread > _NOTHING * (abs(float(values.mean())) + 1e-300)
    return centered / spread if varies else 0 * centered
