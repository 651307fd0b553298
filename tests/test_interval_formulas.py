"""Every rule against its formula, written down once more from its source."""

import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, binom, norm
from scipy.stats import t as student

from dcgan_cli.analysis import statistics as st
from dcgan_cli.report import Estimate

Values = NDArray[np.float64]

Z = float(norm.ppf(0.975))


def t(freedom: float) -> float:
    return float(student.ppf(0.975, freedom))


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def score(value: float, n: float, z: float = Z) -> tuple[float, float]:
    """The p for which (value − p)² = z² p (1 − p) / n, and Clopper and Pearson's where farther out."""
    low, high = sorted(np.roots([1 + z * z / n, -2 * value - z * z / n, value**2]).real)
    tail = 0.7 * 2 * norm.sf(z)
    if value > 0:
        low = min(low, beta.ppf(tail, value * n, (1 - value) * n + 1))
    if value < 1:
        high = max(high, beta.ppf(1 - tail, value * n + 1, (1 - value) * n))
    return max(0, low), min(1, high)


def of_variance(value: float, variance: float, quantile: float) -> tuple[float, float]:
    return score(value, value * (1 - value) / variance * (Z / quantile) ** 2)


def test_kinds_of_all_rules() -> None:
    yes, no = np.array([True, True, False, True]), np.array([True, False, False, False])
    for found, kind in (
        (st.mean([1.0, 2]), "95 % t, n=2 values"),
        (st.mean_above([1.0, 2]), "95 % t on the logarithm, n=2 values"),
        (st.mean_within([0.1, 0.2]), "95 % score, n=2 values"),
        (st.mean_within([0.1]), "no interval (one of values)"),
        (st.share(1, 2), "95 % Wilson, n=2 images"),
        (st.share(1000, 2000, "seeds"), "95 % Wilson, n=2,000 seeds"),
        (st.median(np.arange(6.0)), "95 % order statistics, n=6 images"),
        (st.median(np.arange(5.0)), "no interval (5 images, all equal or too few)"),
        (st.balanced((1, 2), (2, 3)), "95 % Newcombe, n=5 images"),
        (st.balanced((1, 2), (0, 0)), "95 % Wilson, n=2 images"),
        (st.more_often([1.0, 2], [2.0, 3, 4]), "95 % DeLong, n=2 and 3 images"),
        (st.more_often([1.0], [2.0, 3, 4]), "no interval (one of images)"),
        (st.from_influence(0.5, np.array([0.1, -0.1])), "95 % score, n=2 images"),
        (st.another([1.0, 2]), "95 % prediction of one more (t), n=2 draws"),
        (st.another([1.0]), "no interval (one of draws)"),
        (
            st.chain_mean([1.0, 2, 3, 4]),
            "95 % t on the logarithm, n=4 chained segments, which count as half as many",
        ),
        (st.chain_mean([1.0, 2, 3]), "no interval (3 segments, all equal or too few)"),
        (
            st.chain_share(1, 4),
            "95 % Wilson, n=4 chained segments, which count as half as many",
        ),
        (st.ratio([1.0, 2], [1.0, 1]), "95 % t on the logarithm, n=2 images"),
        (st.ratio_within([0.5, 0.2], [1.0, 1]), "95 % score, n=2 images"),
        (st.ratio_of_shares(yes, no), "95 % Bonett and Price, n=4 images"),
        (
            st.two_way(np.stack([yes, no])),
            "95 % two-way (draws × test images), n=4 test images, 2 draws",
        ),
        (st.two_way(yes[None]), "95 % Wilson, n=4 test images"),
        (st.two_way(yes[:2, None]), "no interval (one of test images)"),
        (
            st.two_way_difference(np.stack([yes, no]), np.stack([no, yes])),
            "95 % two-way (2 draws × test images), paired, n=4 test images",
        ),
        (
            st.two_way_difference(yes[None], no[None]),
            "95 % Bonett and Price, paired, n=4 test images",
        ),
        (
            st.over_splits([0.5, 0.6], 80, 20),
            "95 % corrected resampled t (Nadeau and Bengio), n=2 splits",
        ),
        (st.over_splits([0.5], 80, 20), "no interval (one of splits)"),
    ):
        assert found.kind == kind


def test_values_that_are_none() -> None:
    for values in ([], np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"^no values to estimate from$"):
            st.median(values)
    for values in ([-0.1, 0.5], [0.5, 1.1], [5.1]):
        with pytest.raises(ValueError, match=r"^a value lies outside \[0.0, 1.0\]$"):
            st.mean_within(values)
    assert st.mean_within([0.0, 1 + 1e-12, 0.5]).value == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"^3 of 2 is no share$"):
        st.share(3, 2)


def test_one_value_is_no_reason_to_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rule in (st.mean, st.mean_above, st.mean_within, st.another, st.chain_mean, st.median):
            found = rule([0.25])
            assert (found.value, found.low, found.n) == (0.25, None, 1)


def test_means_and_one_more() -> None:
    values = np.array([2.0, 5.0, 11.0])
    half = t(2) * values.std(ddof=1)
    mean, more = st.mean(values), st.another(values)
    assert (mean.value, more.value, mean.n, more.n) == (6, 6, 3, 3)
    assert ends(mean) == pytest.approx((6 - half / math.sqrt(3), 6 + half / math.sqrt(3)))
    assert ends(more) == pytest.approx((6 - half * math.sqrt(4 / 3), 6 + half * math.sqrt(4 / 3)))
    assert ends(st.another(values, 1, 12)) == (1, 12)
    single = np.array([0.1, 0.7, 0.2], np.float32)
    assert st.mean(single).value == single.astype(np.float64).mean()
    small, large = st.mean_above(values / 100), st.mean_above(values)
    assert ends(small) == pytest.approx(tuple(end / 100 for end in ends(large)))


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (1, 7), (30, 31), (90, 200)])
def test_shares(successes: int, n: int) -> None:
    found = st.share(successes, n)
    assert (found.value, found.n) == (successes / n, n)
    assert ends(found) == pytest.approx(score(successes / n, n))


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_means_between_bounds(low: float) -> None:
    inside = np.array([0.2, 0.9, 0.8, 1.0, 0.0, 0.95])
    value, n = inside.mean(), 6
    variance = inside.var(ddof=1) / n + value * (1 - value) / (n * (n + 1))
    expected = of_variance(value, variance, t(5))
    found = st.mean_within(low + (3 - low) * inside, low, 3)
    assert ends(found) == pytest.approx(tuple(low + (3 - low) * end for end in expected))
    assert (found.value, found.n) == (pytest.approx(low + (3 - low) * value), n)
    same = st.mean_within(low + (3 - low) * np.full(6, 0.25), low, 3)
    expected = score(0.25, 6)
    assert ends(same) == pytest.approx(tuple(low + (3 - low) * end for end in expected))


def test_ratios_between_bounds() -> None:
    top, bottom = np.array([2.0, 1, 0, 3, 0]), np.array([4.0, 1, 2, 3, 0])
    value, n = 0.6, 4  # one has nothing below
    variance = n / (n - 1) * ((top - value * bottom) ** 2).sum() / 100
    careful = variance + value * (1 - value) / (n * (n + 1))
    found = st.ratio_within(top, bottom)
    assert ends(found) == pytest.approx(of_variance(value, careful, t(3)))
    assert (found.value, found.n) == (pytest.approx(value), n)
    wider = st.ratio_within(2 * top - bottom, bottom, -1, 1)
    assert ends(wider) == pytest.approx(tuple(2 * end - 1 for end in ends(found)))
    one = st.ratio_within([1.0], [2.0], unit="maps")
    assert (one.value, one.low, one.kind) == (0.5, None, "no interval (one of maps)")
    nothing = st.ratio_within([0.0, 0.0], [0.0, 0.0])
    assert math.isnan(nothing.value)
    assert (nothing.n, nothing.low) == (0, None)


@pytest.mark.parametrize("n", [6, 9, 20, 64, 2000])
def test_medians(n: int) -> None:
    """As far in as no more than 2.5 % of samples have so few values below the median."""
    low, high = ends(st.median(np.arange(float(n))[::-1]))
    assert (low, high) == (n - 1 - high, n - 1 - low)
    assert binom.cdf(low, n, 0.5) <= 0.025 < binom.cdf(low + 1, n, 0.5)
    assert st.median(np.arange(float(n))).value == (n - 1) / 2


def test_balanced_accuracy() -> None:
    shares, counts = (0.75, 0.9), (8, 30)
    found = st.balanced((6, 8), (27, 30))
    intervals = [score(p, n) for p, n in zip(shares, counts, strict=True)]
    low, high = (
        math.hypot(*(interval[side] - p for interval, p in zip(intervals, shares, strict=True))) / 2
        for side in (0, 1)
    )
    assert found.value == pytest.approx(0.825)
    assert ends(found) == pytest.approx((0.825 - low, 0.825 + high))
    assert found.n == 38
    assert st.balanced((0, 0), (3, 4)) == st.share(3, 4)


def test_which_of_two_is_lower() -> None:
    some, others = np.array([1.0, 3, 3, 5]), np.array([2.0, 3, 4, 6, 8, 9])
    wins = (some[:, None] < others) + 0.5 * (some[:, None] == others)
    value = wins.mean()
    variance = wins.mean(1).var(ddof=1) / 4 + wins.mean(0).var(ddof=1) / 6
    found = st.more_often(some, others)
    assert found.value == pytest.approx(value)
    assert variance > value * (1 - value) * (1 / 4 + 1 / 6) / 3
    assert ends(found) == pytest.approx(of_variance(value, variance, t(3)))
    assert found.n == 4
    # near 1 the spread is taken for that of one distribution
    some, others = np.array([1.0, 2, 3, 4, 5]), np.array([4.5, 6, 7])
    value = 14 / 15
    least = value * (1 - value) * (1 / 5 + 1 / 3) / 3
    assert ends(st.more_often(some, others)) == pytest.approx(of_variance(value, least, t(2)))


def test_from_influence() -> None:
    influence = np.array([0.1, -0.05, 0.0, 0.02])
    variance = 3 / 2 * (influence**2).sum()
    found = st.from_influence(0.7, influence, "maps")
    assert ends(found) == pytest.approx(of_variance(0.7, variance, t(2)))
    assert (found.value, found.n, found.kind) == (0.7, 3, "95 % score, n=3 maps")
    assert ends(st.from_influence(1.0, np.zeros(5))) == pytest.approx(score(1, 5))
    assert st.from_influence(0.7, np.array([0.1])).low is None
    assert ends(st.from_influence(1 + 1e-15, np.zeros(5))) == pytest.approx(score(1, 5))


def test_chains() -> None:
    values = np.array([1.0, 2, 4, 3, 2.5, 1.5])
    factor = math.exp(t(2) * values.std(ddof=1) / values.mean() / math.sqrt(3))
    found = st.chain_mean(values)
    assert ends(found) == pytest.approx((values.mean() / factor, values.mean() * factor))
    assert (found.value, found.n) == (pytest.approx(values.mean()), 6)
    share = st.chain_share(3, 10)
    assert ends(share) == pytest.approx(score(0.3, 5))
    assert (share.value, share.n) == (0.3, 10)


def test_a_share_over_a_share() -> None:
    before = np.array([True] * 12 + [False] * 8)
    after = np.array([True] * 5 + [False] * 10 + [True] * 1 + [False] * 4)
    found = st.ratio_of_shares(before, after)
    either, differ, ones, others = 13, 8, 12, 6
    a = math.sqrt((differ + 2) / ((ones + 1) * (others + 1)))
    b, c = (math.sqrt((1 - (x + 1) / (either + 2)) / (x + 1)) for x in (ones, others))
    over, under = (score(x / either, either, Z * a / (b + c)) for x in (others, ones))
    assert found.value == 0.5
    assert ends(found) == pytest.approx((over[0] / under[1], over[1] / under[0]))
    assert found.n == 20
    low, high = ends(st.ratio_of_shares(after, before))
    assert (1 / high, 1 / low) == pytest.approx(ends(found))
    nothing = st.ratio_of_shares(before & False, after)
    assert math.isnan(nothing.value)
    assert (nothing.n, nothing.low) == (20, None)


RIGHT = np.random.default_rng(0).random((3, 12)) < [[0.9], [0.7], [0.5]]
OTHER = np.random.default_rng(1).random((3, 12)) < 0.5


def two_ways(values: Values) -> tuple[float, float]:
    """The variance of the mean, and Cochran and Cox's quantile."""
    draws, images = values.shape
    first, second = values.mean(1).var(ddof=1) / draws, values.mean(0).var(ddof=1) / images
    return first + second, (first * t(draws - 1) + second * t(images - 1)) / (first + second)


def test_draws_by_images() -> None:
    found = st.two_way(RIGHT)
    assert ends(found) == pytest.approx(of_variance(RIGHT.mean(), *two_ways(RIGHT.astype(float))))
    assert (found.value, found.n) == (pytest.approx(RIGHT.mean()), 12)
    one = st.two_way(np.ones((2, 1), np.bool_))
    assert (one.value, one.low, one.n) == (1, None, 1)


def test_a_difference_over_draws_by_images() -> None:
    gaps = RIGHT.astype(float) - OTHER
    more = np.concatenate([gaps, np.ones((3, 1)), -np.ones((3, 1))], 1)
    variance, quantile = two_ways(more)
    half = quantile * math.sqrt(variance)
    found = st.two_way_difference(RIGHT, OTHER)
    assert ends(found) == pytest.approx((more.mean() - half, more.mean() + half))
    assert (found.value, found.n) == (pytest.approx(gaps.mean()), 12)
    # of one draw: Bonett and Price 2012
    more = np.r_[gaps[0], 1, -1]
    half = Z * math.sqrt(more.var() / 14)
    found = st.two_way_difference(RIGHT[:1], OTHER[:1])
    assert ends(found) == pytest.approx((more.mean() - half, more.mean() + half))
    # an end is at a bound, and never beyond the value
    all_right = np.ones((1, 40), np.bool_)
    low, high = ends(st.two_way_difference(all_right, ~all_right))
    assert (0.8 < low < 1, high) == (True, 1)
    low, high = ends(st.two_way_difference(~all_right, all_right))
    assert (low, -1 < high < -0.8) == (-1, True)


def test_random_splits() -> None:
    values = np.array([0.7, 0.75, 0.65, 0.8])
    variance = (1 / 4 + 20 / 80) * values.var(ddof=1)
    assert variance > 0.725 * 0.275 / 100
    found = st.over_splits(values, 80, 20)
    assert ends(found) == pytest.approx(of_variance(0.725, variance, t(3)))
    assert (found.value, found.n) == (pytest.approx(0.725), 4)
    # never surer than as many answers as there are images
    close = np.array([0.72, 0.725, 0.73])
    expected = of_variance(0.725, 0.725 * 0.275 / 100, t(2))
    assert ends(st.over_splits(close, 80, 20)) == pytest.approx(expected)
    percent = st.over_splits(100 * close, 80, 20, 0, 100)
    assert ends(percent) == pytest.approx(tuple(100 * end for end in expected))
    # which does not hold of a difference
    inside = (close + 1) / 2
    expected = of_variance(inside.mean(), (1 / 3 + 0.25) * inside.var(ddof=1), t(2))
    found = st.over_splits(close, 80, 20, -1, 1)
    assert ends(found) == pytest.approx(tuple(2 * end - 1 for end in expected))
    assert ends(st.over_splits([1.0, 1.0], 80, 20)) == pytest.approx(score(1, 20))
    alone = st.over_splits([70.0], 80, 20, 0, 100)
    assert (alone.value, alone.n, alone.low) == (pytest.approx(70), 1, None)
    assert st.over_splits([20.0], 80, 20, -100, 100).value == pytest.approx(20)


def test_scaling_keeps_what_is_said() -> None:
    found = st.scaled(Estimate(0.2, 0.1, 0.4, 5, "kind"), 100)
    assert (found.value, found.low, found.high, found.n, found.kind) == (20, 10, 40, 5, "kind")
    assert (st.scaled(Estimate(0.2), -2, 1).value, st.scaled(Estimate(0.2), -2).high) == (0.6, None)
    equal = st.scaled(Estimate(0.2, 0.1, 0.4), 0, 3)
    assert (equal.low, equal.value, equal.high) == (3, 3, 3)
