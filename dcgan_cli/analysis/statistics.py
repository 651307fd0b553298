"""How sure a value is: one rule for each kind of statistic, chosen by the name of its function.

Every rule says what varies: `unit` names what was drawn independently (images, maps, seeds), and n
counts those. `kind` of the Estimate puts both into words. Where values say nothing of their own
spread (one value, or measurements that are all equal) there is no interval, and `kind` says so.
The coverage of each rule at the n that the commands use is simulated in tests/test_coverage.py: 93
% or more of the intervals of nominal 95 % hold the truth.

    mean             measurements without bounds: Student's t
    mean_above       measurements that are 0 or more: t on the logarithm
    mean_within      measurements between bounds, also many at a bound: score interval, effective n
    share            yes or no: Wilson's score interval
    median           order statistics, without any assumption
    correlation      Fisher's z with the spread that the data show
    ratio            of two positive means: t on the logarithm
    explained        R²: 1 − a ratio
    ratio_within     of two sums whose ratio has bounds: as mean_within
    ratio_of_shares  of two shares of the same images
    balanced         mean of two shares of different images
    more_often       how often one of two groups is lower: DeLong's spread, score interval
    another          where one more draw falls: prediction interval
    chain_mean, chain_share   values that share an end with their neighbors
    two_way, two_way_difference   draws of labels × test images
    over_splits      repeated random splits of one set of images
"""

import math
from dataclasses import replace

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

_Z = float(ndtri(0.5 + LEVEL / 2))


def mean(values: ArrayLike, unit: str = "values") -> Estimate:
    """The mean of independent measurements [N] and Student's t interval.

    For measurements that are about symmetric, or many. No interval where N < 2 or all are equal.

    Raises:
        ValueError: no values.
    """
    rows = _some(values)
    value, n = float(rows.mean()), len(rows)
    spread = float(rows.std(ddof=1)) if n > 1 else 0.0
    if not spread > 0:
        return _no_interval(value, n, unit)
    half = _t(n - 1) * spread / math.sqrt(n)
    return Estimate(value, value - half, value + half, n, _said("t", n, unit))


def mean_above(values: ArrayLike, unit: str = "values") -> Estimate:
    """The mean of independent measurements [N] that are 0 or more: t on its logarithm.

    Distances and the like have a long tail above, with which Student's interval of few is too short
    below. No interval where N < 2 or all are equal.
    """
    rows = _some(values)
    return ratio(rows, np.ones_like(rows), unit)


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
    rows = (_some(values) - low) / (high - low)
    if rows.min() < -1e-9 or rows.max() > 1 + 1e-9:
        raise ValueError(f"a value lies outside [{low}, {high}]")
    n = len(rows)
    variance = float(rows.var(ddof=1)) / n if n > 1 else 0.0
    value = float(rows.mean())
    found = _scored(value, _careful(variance, value, n), n, n - 1, unit)
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
    low, high = _score(successes / n, n)
    return Estimate(successes / n, low, high, n, _said("Wilson", n, unit))


def median(values: ArrayLike, unit: str = "images") -> Estimate:
    """The median of independent measurements [N] between two of them, whatever their distribution.

    The order statistics between which it lies with LEVEL or more by the binomial distribution
    (Conover 1999, Practical Nonparametric Statistics, §3.2). N is 6 or more for an interval.
    """
    rows = np.sort(_some(values))
    n, value = len(rows), float(np.median(rows))
    rank = int(binom.ppf((1 - LEVEL) / 2, n, 0.5))  # the first that must not be left out
    if binom.cdf(rank - 1, n, 0.5) > (1 - LEVEL) / 2 or rank < 1:
        return _no_interval(value, n, unit)
    low, high = float(rows[rank - 1]), float(rows[n - rank])
    return Estimate(value, low, high, n, _said("order statistics", n, unit))


def correlation(first: ArrayLike, second: ArrayLike, unit: str = "images") -> Estimate:
    """Pearson's correlation of [N] and [N]; 0 without an interval where one does not vary.

    The interval is t on Fisher's z, whose spread is that of the data (the infinitesimal jackknife,
    Efron 1982), not the one of a normal distribution, which is too short where tails are long.
    """
    x, y = (_standardized(_some(values)) for values in (first, second))
    n, value = len(x), float(np.clip((x * y).mean(), -1, 1))
    if not (x.any() and y.any()):
        return _no_interval(0.0, n, unit)
    influence = x * y - value * (x**2 + y**2) / 2
    spread = math.sqrt(float((influence**2).sum()) / (n * max(1, n - 3))) if n > 3 else 0.0
    if not spread > 0 or abs(value) == 1:
        return _no_interval(value, n, unit)
    half = _t(n - 2) * spread / (1 - value**2)
    low, high = (math.tanh(math.atanh(value) + way * half) for way in (-1, 1))
    return Estimate(value, low, high, n, _said("t on Fisher's z", n, unit))


def ratio(top: ArrayLike, bottom: ArrayLike, unit: str = "images") -> Estimate:
    """Sum of `top` over sum of `bottom`, [N] and [N], 0 or more, one pair each unit: t on its logarithm.

    The spread is the jackknife's in its linear form (Cochran 1977, Sampling Techniques, §6.3); the
    logarithm, whose error is closer to symmetric, keeps the interval above 0. NaN for 0 / 0.
    """
    above, below = _some(top), _some(bottom)
    n, total = len(above), float(below.sum())
    value = float(above.sum()) / total if total > 0 else math.nan
    residual = above - value * below
    variance = n / max(1, n - 1) * float((residual**2).sum()) / total**2 if total > 0 else 0.0
    if not value > 0 or not variance > 0:
        return _no_interval(value, n, unit)
    factor = math.exp(_t(n - 1) * math.sqrt(variance) / value)
    return Estimate(value, value / factor, value * factor, n, _said("t on the logarithm", n, unit))


def explained(said: Numbers, truth: Numbers, unit: str = "images") -> Estimate:
    """The share of the variance of `truth` [N, D] that `said` [N, D] explains (R²), below or at 1.

    1 − the ratio of squared errors to squared distances from the mean, with the interval of
    `ratio`.
    """
    errors = ((said - truth) ** 2).sum(1)
    total = ((truth - truth.mean(0)) ** 2).sum(1)
    return scaled(ratio(errors, np.maximum(total, 1e-12 / len(total)), unit), -1, 1)


def ratio_within(
    top: ArrayLike,
    bottom: ArrayLike,
    low: float = 0.0,
    high: float = 1.0,
    unit: str = "images",
) -> Estimate:
    """Sum of `top` over sum of `bottom`, [N] and [N], where that lies between bounds.

    A mean of clusters of unequal size is one: sums over sizes. Interval as in `mean_within`.
    """
    above, below = _some(top), _some(bottom)
    n, total = int((below > 0).sum()), float(below.sum())
    if total <= 0:
        return Estimate(math.nan, n=0)
    value = float(above.sum()) / total
    residual = (above - value * below) / (high - low)
    variance = n / max(1, n - 1) * float((residual**2).sum()) / total**2
    inside = (value - low) / (high - low)
    found = _scored(inside, _careful(variance, inside, n), n, n - 1, unit)
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
    z = _Z * a / (b + c)
    over, under = _score(others / either, either, z), _score(ones / either, either, z)
    high = over[1] / under[0]
    return Estimate(others / ones, over[0] / under[1], high, n, _said("Bonett and Price", n, unit))


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
    ends = [_score(one, n) for one, (_, n) in zip(values, parts, strict=True)]
    low, high = (
        math.sqrt(sum((end[side] - one) ** 2 for end, one in zip(ends, values, strict=True)))
        for side in (0, 1)
    )
    n = positive[1] + negative[1]
    return Estimate(value, value - low / 2, value + high / 2, n, _said("Newcombe", n, "images"))


def more_often(some: ArrayLike, others: ArrayLike, unit: str = "images") -> Estimate:
    """The probability that one of `some` [N] is lower than one of `others` [M]; ties count half.

    0.5 where both are of one distribution. The spread is DeLong's (1988, Biometrics 44), the
    interval as in `mean_within`, so that groups that do not overlap are not called certain.
    """
    first, second = _some(some), _some(others)
    n, m = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    of_some = 1 - (ranks[:n] - rankdata(first)) / m
    of_others = (ranks[n:] - rankdata(second)) / n
    fewest = min(n, m)
    value = float(of_some.mean())
    if fewest < 2:
        return _no_interval(value, n, unit)
    variance = float(of_some.var(ddof=1)) / n + float(of_others.var(ddof=1)) / m
    # never surer than two groups of one distribution: few values near 0 or 1 show too little spread
    variance = max(variance, value * (1 - value) * (1 / n + 1 / m) / 3)
    found = _scored(value, variance, fewest, fewest - 1, unit)
    return Estimate(value, found.low, found.high, n, f"95 % DeLong, n={n:,} and {m:,} {unit}")


def from_influence(value: float, influence: Numbers, unit: str = "images") -> Estimate:
    """A statistic in [0, 1] with what each independent unit adds to its error, [N].

    The variance is the sum of squares (the infinitesimal jackknife); interval as in `mean_within`.
    """
    n = int(np.count_nonzero(influence)) or len(influence)
    variance = n / max(1, n - 1) * float((influence**2).sum())
    return _scored(value, variance, n, n - 1, unit)


def another(
    values: ArrayLike,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "draws",
) -> Estimate:
    """The mean of independent draws [N] and where one more draw falls: a prediction interval.

    Student's t (Hahn 1969, JASA 64), cut at the bounds of what is measured. Not the interval of the
    mean, in which few further draws fall. No interval where N < 2 or all are equal.
    """
    rows = _some(values)
    value, n = float(rows.mean()), len(rows)
    spread = float(rows.std(ddof=1)) if n > 1 else 0.0
    if not spread > 0:
        return _no_interval(value, n, unit)
    half = _t(n - 1) * spread * math.sqrt(1 + 1 / n)
    kind = f"95 % prediction of one more (t), n={n:,} {unit}"
    return Estimate(value, max(low, value - half), min(high, value + half), n, kind)


def chain_mean(values: ArrayLike, unit: str = "segments") -> Estimate:
    """The mean of [N] values, 0 or more, in a row in which each shares a point with the next.

    Such neighbors have a correlation of one half at most, which doubles the variance of the mean at
    most. That much is taken for it, as so few values cannot tell: they count as half as many. The
    interval is t on the logarithm, of N ≥ 4.
    """
    rows = _some(values)
    value, n = float(rows.mean()), len(rows)
    spread = float(rows.std(ddof=1)) if n > 3 else 0.0
    if not spread > 0:
        return _no_interval(value, n, unit)
    factor = math.exp(_t(n / 2 - 1) * spread / value / math.sqrt(n / 2))
    kind = _said("t on the logarithm", n, f"chained {unit}, which count as half as many")
    return Estimate(value, value / factor, value * factor, n, kind)


def chain_share(successes: int, n: int, unit: str = "segments") -> Estimate:
    """The share `successes / n` of a row as in `chain_mean`: Wilson's of half as many answers."""
    low, high = _score(successes / n, n / 2)
    return Estimate(
        successes / n,
        low,
        high,
        n,
        _said("Wilson", n, f"chained {unit}, which count as half as many"),
    )


def two_way(right: NDArray[np.bool_]) -> Estimate:
    """The share of true answers [R, T], of R draws of labels to T test images; n is T.

    Other draws and other images would both give other answers. Their variances are those of the
    pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1) without its excess, as in an
    analysis of variance, with Satterthwaite's degrees of freedom. Of one draw it is `share`.
    """
    draws, images = right.shape
    if draws == 1:
        return share(int(right.sum()), images, "test images")
    variance, freedom = _two_way_variance(right.astype(np.float64))
    found = _scored(float(right.mean()), variance, images, freedom, "test images")
    kind = f"95 % two-way (draws × test images), n={images:,} test images, {draws} draws"
    return Estimate(found.value, found.low, found.high, images, kind)


def two_way_difference(right: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """The share of true answers [R, T] less that of another who had the same draws and images.

    Two images are added, of which each alone got one right (Bonett and Price 2012, Statistics in
    Medicine 31), so that answers that are the same throughout are not called the same for certain.
    """
    gaps = right.astype(np.float64) - other
    draws, images = gaps.shape
    value = float(gaps.mean())
    more = np.concatenate([gaps, np.ones((draws, 1)), -np.ones((draws, 1))], 1)
    if draws == 1:
        variance, freedom = float(more.var()) / more.shape[1], images
        z, said = _Z, "Bonett and Price"
    else:
        variance, freedom = _two_way_variance(more)
        z, said = _t(freedom), f"two-way ({draws} draws × test images)"
    half = z * math.sqrt(variance)
    low, high = max(-1.0, float(more.mean()) - half), min(1.0, float(more.mean()) + half)
    kind = f"95 % {said}, paired, n={images:,} test images"
    return Estimate(value, min(low, value), max(high, value), images, kind)


def over_splits(
    values: ArrayLike, train: int, test: int, low: float = 0.0, high: float = 1.0
) -> Estimate:
    """The mean of a value measured on K random splits of one set of images.

    The splits share images, so that their spread alone is too small: the variance is that of
    Nadeau and Bengio's corrected resampled t-test (2003, Machine Learning 52), (1/K + test/train)
    times the variance over splits; interval as in `mean_within`. A share is never surer than as
    many answers as there are images.

    Args:
        values: [K], each in [low, high]; no interval where K < 2.
        train: images that are learned from in one split.
        test: images of the test in one split.
        low: the lower bound of the value: 0 of a share, −1 of a difference of shares.
        high: its upper bound.
    """
    rows = (_some(values) - low) / (high - low)
    count, value = len(rows), float(rows.mean())
    if count < 2:
        return scaled(_no_interval(value, count, "splits"), high - low, low)
    variance = (1 / count + test / train) * float(rows.var(ddof=1))
    if low == 0:
        variance = max(variance, value * (1 - value) / (train + test))
    found = scaled(_scored(value, variance, test, count - 1, "splits"), high - low, low)
    kind = f"95 % corrected resampled t (Nadeau and Bengio), n={count} splits"
    return replace(found, n=count, kind=kind)


def scaled(estimate: Estimate, factor: float, shift: float = 0.0) -> Estimate:
    """`estimate` of factor · x + shift; a negative factor swaps the ends."""
    low, high = (None if x is None else factor * x + shift for x in (estimate.low, estimate.high))
    if factor < 0:
        low, high = high, low
    return Estimate(factor * estimate.value + shift, low, high, estimate.n, estimate.kind)


# -- parts ------------------------------------------------------------------------------------


def _some(values: ArrayLike) -> Numbers:
    rows = np.asarray(values, np.float64)
    if rows.ndim != 1 or not len(rows):
        raise ValueError("no values to estimate from")
    return rows


def _said(rule: str, n: int, unit: str) -> str:
    return f"95 % {rule}, n={n:,} {unit}"


def _no_interval(value: float, n: int, unit: str) -> Estimate:
    why = f"one of {unit}" if n == 1 else f"{n:,} {unit}, all equal or too few"
    return Estimate(value, n=n, kind=f"no interval ({why})")


def _t(freedom: float) -> float:
    """The quantile of Student's t that LEVEL asks for."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def _score(value: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Wilson's interval of a share `value` of n answers, widened as in `share`; n need not be whole."""
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high, true, false = middle - half, middle + half, value * n, (1 - value) * n
    tail = TAIL / (1 - LEVEL) * 2 * float(ndtr(-z))
    # exact at the ends, where rounding would leave 1e-17 or 1 - 1e-16
    low = 0.0 if value <= 0 else min(low, float(betaincinv(true, false + 1, tail)))
    high = 1.0 if value >= 1 else max(high, float(betaincinv(true + 1, false, 1 - tail)))
    return max(0.0, low), min(1.0, high)


def _scored(value: float, variance: float, units: int, freedom: float, unit: str) -> Estimate:
    """A value in [0, 1] of a known variance, as a share of so many answers as would have that variance.

    Where there is no variance to go by, of as many answers as there are `units`.
    """
    value = min(1.0, max(0.0, value))
    if units < 2:
        return _no_interval(value, units, unit)
    if variance > 0 and 0 < value < 1:
        answers = value * (1 - value) / variance * (_Z / _t(freedom)) ** 2
    else:
        answers = float(units)
    low, high = _score(value, answers)
    return Estimate(value, min(low, value), max(high, value), units, _said("score", units, unit))


def _careful(variance: float, value: float, n: int) -> float:
    """The variance of a mean of n values in [0, 1], as if one more had been all or nothing.

    Few values near a bound rarely show how long their tail is.
    """
    return variance + value * (1 - value) / (n * (n + 1)) if variance > 0 else 0.0


def _standardized(values: Numbers) -> Numbers:
    """Of mean 0 and spread 1; all 0 where nothing varies."""
    centered = values - values.mean()
    spread = float(values.std())
    return (
        centered / spread if spread > 1e-12 * (abs(float(values.mean())) + 1e-300) else 0 * centered
    )


def _two_way_variance(values: Numbers) -> tuple[float, float]:
    """The variance of the mean of `values` [R, T], R ≥ 2, and its degrees of freedom."""
    draws, images = values.shape
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns + values.mean()
    of_rows = float(rows.var(ddof=1)) / draws
    of_columns = float(columns.var(ddof=1)) / images
    of_rest = float((rest**2).sum()) / ((draws - 1) * (images - 1)) / (draws * images)
    variance = max(of_rows + of_columns - of_rest, of_rows, of_columns)
    if variance == 0:
        return 0.0, draws - 1
    freedom = variance**2 / (of_rows**2 / (draws - 1) + of_columns**2 / (images - 1))
    return variance, max(float(draws - 1), min(freedom, float(draws * images)))
