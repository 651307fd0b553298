"""Rules for one group of values, or two, and what all rules are put together from."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit
from scipy.stats import binom, rankdata

from dcgan_cli.report import Estimate

Numbers = NDArray[np.float64]

LEVEL = 0.95
"""The share of intervals that shall hold the truth."""

TAIL = 0.035
"""Of the exact bounds (Clopper and Pearson 1934) that Wilson's interval is widened to: with it no
share of any number of answers is held by less than 93 % of the intervals."""

Z = float(ndtri(0.5 + LEVEL / 2))


def checked(values: ArrayLike) -> Numbers:
    """`values` as float64 [N], N ≥ 1. Raises ValueError."""
    rows = np.asarray(values, np.float64)
    if rows.ndim != 1 or not len(rows):
        raise ValueError("no values to estimate from")
    return rows


def named(rule: str, n: int, unit: str) -> str:
    """The `kind` of an Estimate with an interval."""
    return f"95 % {rule}, n={n:,} {unit}"


def no_interval(value: float, n: int, unit: str) -> Estimate:
    """A value whose spread nothing tells, and why."""
    why = f"one of {unit}" if n == 1 else f"{n:,} {unit}, all equal or too few"
    return Estimate(value, n=n, kind=f"no interval ({why})")


def t(freedom: float) -> float:
    """The quantile of Student's t that LEVEL asks for."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def score(value: float, n: float, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of a share `value` of n answers, widened as in `share`; n need not be whole."""
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high, true, false = middle - half, middle + half, value * n, (1 - value) * n
    tail = TAIL / (1 - LEVEL) * 2 * float(ndtr(-z))
    # exact at the ends, where rounding would leave 1e-17 or 1 - 1e-16
    low = 0.0 if value <= 0 else min(low, float(betaincinv(true, false + 1, tail)))
    high = 1.0 if value >= 1 else max(high, float(betaincinv(true + 1, false, 1 - tail)))
    return max(0.0, low), min(1.0, high)


def scored(value: float, variance: float, units: int, quantile: float, unit: str) -> Estimate:
    """A value in [0, 1] of a known variance, as a share of so many answers as would have that variance.

    `quantile` standard deviations are taken where Wilson takes Z. Where there is no variance to go
    by, it is the share of as many answers as there are `units`.
    """
    value = min(1.0, max(0.0, value))
    if units < 2:
        return no_interval(value, units, unit)
    if variance > 0 and 0 < value < 1:
        answers = value * (1 - value) / variance * (Z / quantile) ** 2
    else:
        answers = float(units)
    low, high = score(value, answers)
    return Estimate(value, min(low, value), max(high, value), units, named("score", units, unit))


def careful(variance: float, value: float, n: int) -> float:
    """The variance of a mean of n values in [0, 1], as if one more had been all or nothing.

    Few values near a bound rarely show how long their tail is.
    """
    return variance + value * (1 - value) / (n * (n + 1)) if variance > 0 else 0.0


def scaled(estimate: Estimate, factor: float, shift: float = 0.0) -> Estimate:
    """`estimate` of factor · x + shift; a negative factor swaps the ends."""
    low, high = (None if x is None else factor * x + shift for x in (estimate.low, estimate.high))
    if factor < 0:
        low, high = high, low
    return Estimate(factor * estimate.value + shift, low, high, estimate.n, estimate.kind)


def _moments(values: ArrayLike) -> tuple[float, int, float]:
    """The mean of [N], N, and the standard deviation, 0 of one value."""
    rows = checked(values)
    return float(rows.mean()), len(rows), float(rows.std(ddof=1)) if len(rows) > 1 else 0.0


def mean(values: ArrayLike, unit: str = "values") -> Estimate:
    """The mean of independent measurements [N] and Student's t interval.

    For measurements that are about symmetric, or many. No interval where N < 2 or all are equal.
    Raises ValueError where there are no values.
    """
    value, n, spread = _moments(values)
    if not spread > 0:
        return no_interval(value, n, unit)
    half = t(n - 1) * spread / math.sqrt(n)
    return Estimate(value, value - half, value + half, n, named("t", n, unit))


def mean_within(
    values: ArrayLike, low: float = 0.0, high: float = 1.0, unit: str = "values"
) -> Estimate:
    """The mean of independent measurements [N] between bounds, and an interval inside of them.

    Their spread says how many yes-or-no answers would tell as much; of so many it is the score
    interval (Korn and Graubard 1998, Survey Methodology 24, with Wilson's interval). Measurements
    that are all equal count as one answer each: 64 zeros do not say that a one never comes. N is 2
    or more for an interval, unless the measurements are yes or no.

    Raises:
        ValueError: no values, or one outside the bounds.
    """
    rows = (checked(values) - low) / (high - low)
    if rows.min() < -1e-9 or rows.max() > 1 + 1e-9:
        raise ValueError(f"a value lies outside [{low}, {high}]")
    n = len(rows)
    variance = float(rows.var(ddof=1)) / n if n > 1 else 0.0
    value = float(rows.mean())
    found = scored(value, careful(variance, value, n), n, t(n - 1), unit)
    return scaled(found, high - low, low)


def share(successes: int, n: int, unit: str = "images") -> Estimate:
    """The share `successes / n` of independent yes-or-no answers with Wilson's score interval.

    Wilson 1927, widened to the exact bounds of TAIL a side where those are farther out: by itself
    it holds a share near 0 or 1 in as little as 84 % (Brown, Cai and DasGupta 2001, Statistical
    Science 16). Never leaves [0, 1], and 120 of 120 is not called certain.

    Raises:
        ValueError: the counts are impossible.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no share")
    low, high = score(successes / n, n)
    return Estimate(successes / n, low, high, n, named("Wilson", n, unit))


def median(values: ArrayLike, unit: str = "images") -> Estimate:
    """The median of independent measurements [N] between two of them, whatever their distribution.

    The order statistics between which it lies with LEVEL or more by the binomial distribution
    (Conover 1999, Practical Nonparametric Statistics, §3.2). N is 6 or more for an interval.
    """
    rows = np.sort(checked(values))
    n, value = len(rows), float(np.median(rows))
    rank = int(binom.ppf((1 - LEVEL) / 2, n, 0.5))  # the first that must not be left out
    if rank < 1:
        return no_interval(value, n, unit)
    low, high = float(rows[rank - 1]), float(rows[n - rank])
    return Estimate(value, low, high, n, named("order statistics", n, unit))


def balanced(positive: tuple[int, int], negative: tuple[int, int]) -> Estimate:
    """The mean of two shares of different images, each (successes, n): as balanced accuracy is.

    The two intervals are put together as Newcombe does (1998, Statistics in Medicine 17, method 10;
    Zou and Donner 2008). Where one n is 0, it is the other share alone.
    """
    parts = [counts for counts in (positive, negative) if counts[1]]
    if len(parts) == 1:
        return share(*parts[0])
    values = [successes / n for successes, n in parts]
    value = sum(values) / 2
    ends = [score(one, n) for one, (_, n) in zip(values, parts, strict=True)]
    low, high = (
        math.sqrt(sum((end[side] - one) ** 2 for end, one in zip(ends, values, strict=True)))
        for side in (0, 1)
    )
    n = positive[1] + negative[1]
    return Estimate(value, value - low / 2, value + high / 2, n, named("Newcombe", n, "images"))


def more_often(some: ArrayLike, others: ArrayLike, unit: str = "images") -> Estimate:
    """The probability that one of `some` [N] is lower than one of `others` [M]; ties count half.

    0.5 where both are of one distribution. The spread is DeLong's (1988, Biometrics 44), the
    interval as in `mean_within`, so that groups that do not overlap are not called certain.
    """
    first, second = checked(some), checked(others)
    n, m = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    of_some = 1 - (ranks[:n] - rankdata(first)) / m
    of_others = (ranks[n:] - rankdata(second)) / n
    fewest = min(n, m)
    value = float(of_some.mean())
    if fewest < 2:
        return no_interval(value, n, unit)
    variance = float(of_some.var(ddof=1)) / n + float(of_others.var(ddof=1)) / m
    # never surer than two groups of one distribution: few values near 0 or 1 show too little spread
    variance = max(variance, value * (1 - value) * (1 / n + 1 / m) / 3)
    found = scored(value, variance, fewest, t(fewest - 1), unit)
    return Estimate(value, found.low, found.high, n, f"95 % DeLong, n={n:,} and {m:,} {unit}")


def from_influence(value: float, influence: Numbers, unit: str = "images") -> Estimate:
    """A statistic in [0, 1] with what each independent unit adds to its error, [N].

    The variance is the sum of squares (the infinitesimal jackknife); interval as in `mean_within`.
    """
    n = int(np.count_nonzero(influence)) or len(influence)
    variance = n / max(1, n - 1) * float((influence**2).sum())
    return scored(value, variance, n, t(n - 1), unit)


def leave_one_out(value: float, *without: Numbers, unit: str = "images") -> Estimate:
    """A statistic of one or more independent groups, with its values without each of their units.

    The variance is the jackknife's (Efron and Stein 1981), summed over groups; the interval is that
    of a normal distribution.
    """
    variance, n = 0.0, min(map(len, without))
    for values in without:
        variance += (len(values) - 1) * float(values.var())
    half = Z * math.sqrt(variance)
    return Estimate(value, value - half, value + half, n, named("jackknife", n, unit))


def another(
    values: ArrayLike, low: float = -math.inf, high: float = math.inf, unit: str = "draws"
) -> Estimate:
    """The mean of independent draws [N] and where one more draw falls: a prediction interval.

    Student's t (Hahn 1969, JASA 64), cut at the bounds of what is measured. Not the interval of the
    mean, in which few further draws fall. No interval where N < 2 or all are equal.
    """
    value, n, spread = _moments(values)
    if not spread > 0:
        return no_interval(value, n, unit)
    half = t(n - 1) * spread * math.sqrt(1 + 1 / n)
    kind = f"95 % prediction of one more (t), n={n:,} {unit}"
    return Estimate(value, max(low, value - half), min(high, value + half), n, kind)


def chain_mean(values: ArrayLike, unit: str = "segments") -> Estimate:
    """The mean of [N] values, 0 or more, in a row in which each shares a point with the next.

    Such neighbors have a correlation of one half at most, which doubles the variance of the mean at
    most. That much is taken for it, as so few values cannot tell: they count as half as many. The
    interval is t on the logarithm, of N ≥ 4.
    """
    value, n, spread = _moments(values)
    if n < 4 or not spread > 0:
        return no_interval(value, n, unit)
    factor = math.exp(t(n / 2 - 1) * spread / value / math.sqrt(n / 2))
    kind = named("t on the logarithm", n, f"chained {unit}, which count as half as many")
    return Estimate(value, value / factor, value * factor, n, kind)


def chain_share(successes: int, n: int, unit: str = "segments") -> Estimate:
    """The share `successes / n` of a row as in `chain_mean`: Wilson's of half as many answers."""
    low, high = score(successes / n, n / 2)
    kind = named("Wilson", n, f"chained {unit}, which count as half as many")
    return Estimate(successes / n, low, high, n, kind)
