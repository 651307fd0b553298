"""Intervals by leaving out one unit after the other, against doing just that."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from dcgan_cli.analysis import statistics as st
from dcgan_cli.analysis.statistics.paired import MOST, freedom, influences, reach, variance
from dcgan_cli.report import Estimate

Values = NDArray[np.float64]

X = np.array([0.3, -1.2, 2.5, 0.7, -0.4, 1.9, -2.2, 0.1])
Y = np.array([0.1, -0.8, 1.1, 1.6, -0.9, 1.2, -0.7, 0.6])
N = len(X)
QUANTILE = float(student.ppf(0.975, N - 1))


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def without_each(statistic: object, *columns: Values) -> Values:
    return np.array(
        [statistic(*(np.delete(column, i) for column in columns)) for i in range(len(columns[0]))]  # type: ignore[operator]
    )


def beyond(influence: Values) -> float:
    """Hill's index of one value of eight, which is the logarithm of the largest over the next."""
    second, first = np.sort(influence)[-2:]
    index = math.log(first / second)
    return first * min(MOST, index / (1 - index)) if index < 1 else MOST * first


def test_of_a_mean_it_is_the_variance_of_the_mean() -> None:
    found = influences(without_each(np.mean, X))
    assert found == pytest.approx((X - X.mean()) / N)
    assert variance(found) == pytest.approx(X.var(ddof=1) / N)


def test_a_spread_of_few_large_values_has_few_degrees_of_freedom() -> None:
    even = np.array([1.0, -1.0] * 10)
    assert freedom(even) == 19
    assert freedom(np.array([1.0, -1.0])) == 1
    assert freedom(np.r_[even, 1e9]) == pytest.approx(2 * 21 / 20)
    values = np.random.default_rng(0).laplace(size=1000)  # of kurtosis 6, about
    kurtosis = (values**4).mean() / (values**2).mean() ** 2
    assert freedom(values) == pytest.approx(2000 / (kurtosis - 1))


def test_an_interval_reaches_into_the_tail_on_its_side() -> None:
    influence = np.array([2.0, 1.0, -1.0, -1.1])
    half = student.ppf(0.975, 3) * math.sqrt(4 / 3 * (influence**2).sum())
    below, above = reach(influence, 0)
    assert above == pytest.approx(half + 2 * math.log(2) / (1 - math.log(2)))
    assert below == pytest.approx(half + 1.1 * math.log(1.1) / (1 - math.log(1.1)))
    least = student.ppf(0.975, 3) * 10
    assert reach(influence, 100)[1] - above == pytest.approx(least - half)
    # a tail without an end, nothing beside the largest, and nothing at all on this side
    half = student.ppf(0.975, 3) * 10
    assert reach(np.array([3.0, 1.0, -1.0, -1.0]), 100)[1] == pytest.approx(half + MOST * 3)
    assert reach(np.array([1.0, -1.0, -1.0, -1.0]), 100)[1] == pytest.approx(half + MOST)
    assert reach(np.array([1.0, 0.0, -1.0, -1.0]), 100)[1] == pytest.approx(half + MOST)
    assert reach(np.array([-1.0, -1.0, -1.0, -1.0]), 100) == pytest.approx((half, half))


@pytest.mark.parametrize(("n", "tail"), [(9, 1), (39, 3), (100, 10), (1000, 63)])
def test_the_tail_is_a_tenth_or_less(n: int, tail: int) -> None:
    """Hill's index of the values n, n − 1, … of which `tail` and the next count."""
    values = np.arange(1.0, n + 1)
    index = np.log(values[-tail:] / values[-tail - 1]).mean()
    half = student.ppf(0.975, n - 1) * 1e6
    above = reach(values / n, 1e12)[1] - half
    assert above == pytest.approx(min(MOST, index / (1 - index)), rel=1e-3)


def test_correlation_by_leaving_out() -> None:
    def z(x: Values, y: Values) -> float:
        return math.atanh(np.corrcoef(x, y)[0, 1])

    influence = influences(without_each(z, X, Y))
    half = QUANTILE * math.sqrt(max(1 / (N - 3), variance(influence)))
    low, high = (
        math.tanh(z(X, Y) - half - beyond(-influence)),
        math.tanh(z(X, Y) + half + beyond(influence)),
    )
    found = st.correlation(X, Y)
    assert ends(found) == pytest.approx((low, high))
    assert found.value == pytest.approx(np.corrcoef(X, Y)[0, 1])
    assert (found.n, found.kind) == (N, "95 % jackknife on Fisher's z, n=8 images")
    assert st.correlation(3 + X, 5 - 2 * Y).low == pytest.approx(-high)


def test_correlation_is_never_surer_than_of_normal_values() -> None:
    x, y = (np.repeat(side, 25) for side in ([-1.0, -1, 1, 1], [-1.0, 1, -1, 1]))
    low, high = ends(st.correlation(x, y))
    assert high == pytest.approx(-low)
    assert high >= math.tanh(student.ppf(0.975, 99) / math.sqrt(97))


def test_correlation_where_all_but_one_lie_on_a_line() -> None:
    x = np.arange(12.0)
    for way in (1, -1):
        low, high = ends(st.correlation(x, way * np.r_[x[:-1], 0]))
        assert -1 <= low < high <= 1
    stream = np.random.default_rng(0)
    for x in stream.standard_normal((50, 7)):
        assert st.correlation(x, -x).value >= -1
        assert st.correlation(x, x).value <= 1


def test_explained_variance_by_leaving_out() -> None:
    said, truth = X[:, None], np.stack([Y + 0.1, Y**2], 1)

    def logarithm(said: Values, truth: Values) -> float:
        wrong = ((said - truth) ** 2).sum()
        return math.log(wrong / ((truth - truth.mean(0)) ** 2).sum() * (len(said) - 1) / len(said))

    influence = influences(
        np.array([logarithm(np.delete(said, i, 0), np.delete(truth, i, 0)) for i in range(N)])
    )
    center = logarithm(said, truth)
    normal = (4 * max(0.0, 1 - math.exp(center)) / N + 2 / N**2) / 2
    half = QUANTILE * math.sqrt(max(normal, variance(influence)))
    low, high = (
        1 - math.exp(center + half + beyond(influence)),
        1 - math.exp(center - half - beyond(-influence)),
    )
    found = st.explained(said, truth)
    assert ends(found) == pytest.approx((low, high))
    assert found.value == pytest.approx(1 - math.exp(center) * N / (N - 1))
    assert (found.n, found.kind) == (N, "95 % jackknife on the logarithm of 1 − R², n=8 images")


@pytest.mark.parametrize("dimensions", [1, 4])
def test_explained_variance_is_never_surer_than_of_normal_values(dimensions: int) -> None:
    """Errors and distances that do not vary at all show no spread of their own."""
    truth = np.tile(np.array([1.0, -1.0] * 20)[:, None], (1, dimensions))
    found = st.explained(0.8 * truth, truth)
    low, high = ends(found)
    explained = 1 - 0.04 * 39 / 40
    half = student.ppf(0.975, 39) * math.sqrt((4 * explained / 40 + 2 / 1600) / dimensions)
    assert math.log((1 - low) / (1 - high)) == pytest.approx(2 * half, abs=1e-6)
    assert found.value == pytest.approx(0.96)
    assert low < found.value < high


def test_a_ratio_by_leaving_out() -> None:
    top, bottom = np.abs(X), np.abs(Y)

    def logarithm(top: Values, bottom: Values) -> float:
        return math.log(top.sum() / bottom.sum())

    influence = influences(without_each(logarithm, top, bottom))
    half = student.ppf(0.975, freedom(influence)) * math.sqrt(variance(influence))
    found = st.ratio(top, bottom)
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    assert ends(found) == pytest.approx(
        (found.value * math.exp(-half), found.value * math.exp(half))
    )
    assert (found.n, found.kind) == (N, "95 % t on the logarithm, n=8 images")
    assert ends(st.mean_above(top)) == ends(st.ratio(top, np.ones(N)))
    assert st.mean_above(top).kind == "95 % t on the logarithm, n=8 values"


def test_where_nothing_can_be_left_out_there_is_no_interval() -> None:
    one = np.eye(N)[0]
    for found, value in (
        (st.correlation(one, X), np.corrcoef(one, X)[0, 1]),
        (st.correlation(X, one), np.corrcoef(one, X)[0, 1]),
        (st.correlation(X, 3 * X + 1), 1),
        (st.correlation(X, -X), -1),
        (st.correlation(X[:4], Y[:4]), np.corrcoef(X[:4], Y[:4])[0, 1]),
        (st.correlation(X, np.full(N, 0.1)), 0),
        (st.explained(X[:, None], X[:, None]), 1),
        (st.explained(X[:, None], np.ones((N, 1))), 0),
        (st.explained((one - X)[:, None], -X[:, None]), 1 - 1 / ((X - X.mean()) ** 2).sum()),
        (st.explained(np.ones((N, 1)), one[:, None]), -7),
        (st.explained(X[:4, None], X[:4, None] + 1), 1 - 4 / ((X[:4] - X[:4].mean()) ** 2).sum()),
        (st.ratio(one, np.ones(N)), 1 / N),
        (st.ratio(np.ones(N), one), N),
        (st.ratio(3 * one[:2] + 1, 3 * one[:2] + 1), 1),
        (st.ratio([0.3], [0.1]), 0.3 / 0.1),
        (st.mean_above([0.1] * 7), 0.1),
        (st.mean_above([0.0, 0.0]), 0),
    ):
        assert found.value == pytest.approx(value)
        assert (found.low, found.high) == (None, None)
        assert found.kind.startswith("no interval (")
    assert st.correlation(X[:5], Y[:5]).low is not None
    assert st.explained(X[:5, None], Y[:5, None]).low is not None


def test_one_map_has_no_interval_whatever_rounding_leaves() -> None:
    stream = np.random.default_rng(0)
    for top, bottom in stream.random((50, 2)):
        found = st.ratio([top], [bottom], "maps")
        assert (found.low, found.kind) == (None, "no interval (one of maps)")
