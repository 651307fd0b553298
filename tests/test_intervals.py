"""The rules of analysis.statistics by hand and by the books; their coverage is in test_coverage."""

import math

import numpy as np
import pytest

from dcgan_cli.analysis import statistics as st
from dcgan_cli.report import Estimate


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_students_t_by_hand() -> None:
    found = st.mean([1.0, 2.0, 3.0], "draws")
    half = 4.302652729911275 / math.sqrt(3)  # the 97.5 % quantile with 2 degrees of freedom
    assert ends(found) == pytest.approx((2 - half, 2 + half))
    assert (found.value, found.n, found.kind) == (2, 3, "95 % t, n=3 draws")


def test_one_more_draw_falls_farther_out_than_the_mean() -> None:
    found = st.another([1.0, 2.0, 3.0])
    half = 4.302652729911275 * math.sqrt(4 / 3)
    assert ends(found) == pytest.approx((2 - half, 2 + half))
    assert "prediction of one more" in found.kind
    assert ends(st.another([0.1, 0.5, 0.9], 0, 1)) == (0, 1)


def test_wilson_by_the_book() -> None:
    # Newcombe 1998, Table I: 81 of 263, and 0 of 20
    assert ends(st.share(81, 263)) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert ends(st.share(0, 20)) == pytest.approx((0, 0.1611), abs=1e-4)
    assert ends(st.share(20, 20)) == pytest.approx((0.8389, 1), abs=1e-4)
    assert st.share(0, 20).low == 0
    assert st.share(20, 20).high == 1
    for successes, n in ((1, 0), (-1, 3), (4, 3), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            st.share(successes, n)


@pytest.mark.parametrize("n", [2, 8, 64, 120, 2000])
def test_all_of_them_is_not_all_there_are(n: int) -> None:
    """120 of 120 is not [1, 1], and 64 zeros are not [0, 0]: by whatever rule a share goes."""
    ones, zeros = np.ones(n), np.zeros(n)
    bound = st.share(n, n).low
    assert bound is not None
    assert bound <= n / (n + 1.9599**2) + 1e-9
    found = [st.share(n, n), st.mean_within(ones), st.ratio_within(ones, ones)]
    found.append(st.two_way(np.ones((3, n), np.bool_)))
    for each in found:
        assert ends(each) == pytest.approx((bound, 1), abs=1e-3)
    for each in (st.share(0, n), st.mean_within(zeros), st.ratio_within(zeros, ones)):
        assert ends(each) == pytest.approx((0, 1 - bound), abs=1e-3)
    assert 0 < ends(st.mean_within(np.full(n, 0.5)))[0] < 0.5 < ends(st.mean_within([0.5, 0.5]))[1]
    assert ends(st.more_often(zeros, ones))[0] < 1
    assert ends(st.ratio_of_shares(ones > 0, zeros > 0))[1] > 0
    assert ends(st.chain_share(n, n))[0] < bound
    assert ends(st.balanced((n, n), (n, n)))[0] < 1
    same = np.ones((4, n), np.bool_)
    low, high = ends(st.two_way_difference(same, same))
    assert low < 0 < high


@pytest.mark.parametrize("rule", [st.mean, st.mean_above, st.another, st.chain_mean])
def test_equal_measurements_have_no_interval_and_say_so(rule: object) -> None:
    for values in ([3.0], [3.0] * 64):
        found = rule(values)  # type: ignore[operator]
        assert (found.value, found.low, found.high, found.n) == (3, None, None, len(values))
        assert found.kind.startswith("no interval (")
    with pytest.raises(ValueError, match="no values"):
        rule([])  # type: ignore[operator]


def test_one_share_of_unknown_spread_has_no_interval() -> None:
    """Nine neighbors of one point are one draw."""
    found = st.mean_within([8 / 9], unit="seeds")
    assert (found.low, found.high, found.kind) == (None, None, "no interval (one of seeds)")


def test_yes_or_no_measurements_are_about_wilsons() -> None:
    values = np.arange(100) < 70
    assert ends(st.mean_within(values)) == pytest.approx(ends(st.share(70, 100)), abs=0.005)


def test_bounds_are_kept_and_checked() -> None:
    low, high = ends(st.mean_within([-1.0, -0.99, -0.9, -1.0], -1, 1))
    assert -1 <= low < -0.97 < high < 1
    with pytest.raises(ValueError, match="outside"):
        st.mean_within([0.5, 1.5])


def test_the_median_lies_between_two_of_the_values() -> None:
    # of 20 the 6th and the 15th: Conover 1999, §3.2
    assert ends(st.median(np.arange(1.0, 21))) == (6, 15)
    assert st.median(np.arange(5.0)).low is None
    assert ends(st.median(np.arange(6.0))) == (0, 5)


def test_fisher_z_where_the_data_are_normal() -> None:
    stream = np.random.default_rng(0)
    x, noise = stream.standard_normal((2, 5000))
    found = st.correlation(x, x + noise)
    half = 1.96 / math.sqrt(5000 - 3)
    expected = [math.tanh(math.atanh(found.value) + way * half) for way in (-1, 1)]
    assert ends(found) == pytest.approx(expected, abs=2e-3)
    assert st.correlation(x, np.ones(5000)).value == 0
    assert st.correlation(x, np.ones(5000)).low is None


def test_a_ratio_is_a_ratio_of_sums() -> None:
    found = st.ratio([1.0, 2.0, 4.0], [1.0, 1.0, 2.0])
    assert found.value == 7 / 4
    low, high = ends(found)
    assert low * high == pytest.approx(found.value**2)
    assert math.isnan(st.ratio([0.0], [0.0]).value)
    assert math.isnan(st.ratio_within([0.0], [0.0]).value)


def test_explained_variance_by_hand() -> None:
    truth = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert st.explained(truth, truth).value == 1
    assert st.explained(np.full((4, 1), 1.5), truth).value == pytest.approx(0)


def test_a_negative_factor_swaps_the_ends() -> None:
    found = st.scaled(Estimate(0.2, 0.1, 0.4, 5, "kind"), -1, 1)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.6, 0.9))
    assert (found.n, found.kind) == (5, "kind")
    assert st.scaled(Estimate(0.2), 2).low is None


def test_over_splits_is_the_corrected_t_of_nadeau_and_bengio() -> None:
    """For values whose spread is small beside their distance from the bounds."""
    values = np.array([0.49, 0.5, 0.51])
    found = st.over_splits(values, 80_000, 20_000)
    half = 4.302652729911275 * 0.01 * math.sqrt(1 / 3 + 0.25)
    assert ends(found) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)
    assert st.over_splits([0.5], 80, 20).low is None
    assert ends(st.over_splits([1.0, 1.0, 1.0], 80, 20))[0] < 0.9


def test_kinds_name_rule_and_what_varies() -> None:
    assert st.share(3, 9, "seeds").kind == "95 % Wilson, n=9 seeds"
    assert st.chain_mean(np.arange(1.0, 9)).kind.startswith("95 % t on the logarithm, n=8 chained")
    assert "draws × test images" in st.two_way(np.eye(4, 9) > 0).kind
