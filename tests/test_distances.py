"""KID, Fréchet distance, precision, recall, density and coverage, beside others' code for them."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics.pairwise import polynomial_kernel

from dcgan_cli.analysis import distances
from dcgan_cli.analysis.distances import fidelity, frechet_distance, kid

Rows = NDArray[np.float64]


def clouds(n: int, m: int, width: int, shift: float = 0.3, seed: int = 0) -> tuple[Rows, Rows]:
    stream = np.random.default_rng(seed)
    mixing = stream.normal(size=(width, width))
    return stream.normal(size=(n, width)) @ mixing + shift, stream.normal(size=(m, width)) @ mixing


def kid_by_definition(x: Rows, y: Rows) -> float:
    within = []
    for each in (x, y):
        products = polynomial_kernel(each, degree=3, gamma=1 / each.shape[1], coef0=1)
        pairs = len(each) * (len(each) - 1)
        within.append((products.sum() - np.trace(products)) / pairs)
    across = polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1).mean()
    return float(sum(within) - 2 * across)


@pytest.mark.parametrize(("n", "m", "width"), [(30, 30, 8), (40, 25, 64), (9, 50, 3)])
@pytest.mark.parametrize("rows", [7, 1024])
def test_kid_is_its_definition(
    n: int, m: int, width: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "ROWS", rows)  # any number of blocks
    x, y = clouds(n, m, width)
    assert kid(x, y).value == pytest.approx(kid_by_definition(x, y), rel=1e-9)
    assert kid(x, y).value == pytest.approx(kid(y, x).value, rel=1e-9)


def test_kid_is_that_of_torch_fidelity() -> None:
    metric = pytest.importorskip("torch_fidelity.metric_kid")
    x, y = clouds(50, 50, 16)
    found = metric.kernel_mmd(x, y)
    assert kid(x, y).value == pytest.approx(float(found), rel=1e-6)


def test_frechet_distance_is_that_of_torch_fidelity() -> None:
    metric = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = clouds(200, 300, 12)
    moments = [{"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)} for rows in (x, y)]
    found = metric.fid_statistics_to_metric(*moments, verbose=False)
    value = next(iter(found.values())) if isinstance(found, dict) else found
    assert frechet_distance(x, y) == pytest.approx(float(value), rel=1e-6)


def test_frechet_distance_is_its_formula() -> None:
    x, y = clouds(100, 80, 6)
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + np.trace(first + second - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_fewer_images_than_features() -> None:
    x, _ = clouds(10, 10, 40)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-3 * np.cov(x.T).trace())
    assert frechet_distance(x + 2, x) == pytest.approx(4 * 40, rel=1e-3)


@pytest.mark.parametrize("rows", [7, 1024])
@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_fidelity_is_that_of_prdc(shift: float, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    prdc = pytest.importorskip("prdc")
    monkeypatch.setattr(distances, "ROWS", rows)
    x, y = clouds(120, 90, 5, shift)
    found = fidelity(x, y)
    by_three = prdc.compute_prdc(real_features=y, fake_features=x, nearest_k=3)
    by_five = prdc.compute_prdc(real_features=y, fake_features=x, nearest_k=5)
    assert found.precise.mean() == pytest.approx(by_three["precision"], abs=1e-6)
    assert found.recalled.mean() == pytest.approx(by_three["recall"], abs=1e-6)
    assert found.dense.mean() == pytest.approx(by_five["density"], abs=1e-6)
    assert found.covered.mean() == pytest.approx(by_five["coverage"], abs=1e-6)


@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_what_holds_for_any_images(seed: int, n: int, width: int) -> None:
    x, y = clouds(n, n + 3, width, seed=seed)
    same = fidelity(y, y)
    assert same.precise.all()
    assert same.recalled.all()
    assert same.covered.all()
    far = fidelity(x + 1e6, y)
    assert not far.precise.any()
    assert not far.covered.any()
    assert far.dense.max() == 0
    order = np.random.default_rng(seed).permutation(n)
    assert kid(x[order], y).value == pytest.approx(kid(x, y).value, rel=1e-6, abs=1e-9)
    assert frechet_distance(x[order], y) == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert (fidelity(x[order], y).precise == fidelity(x, y).precise[order]).all()


def test_kid_of_one_distribution_is_zero_on_average() -> None:
    values = [kid(*clouds(30, 30, 4, shift=0, seed=seed)).value for seed in range(200)]
    error = np.std(values) / len(values) ** 0.5
    assert abs(np.mean(values)) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("n", [50, 500])
def test_intervals_of_kid_hold_the_truth(shift: float, n: int) -> None:
    """Of 95 % intervals 93 % or more, over draws of both sets; the truth is the mean of many draws."""
    found = [kid(*clouds_of_one(n, shift, seed)) for seed in range(400)]
    truth = 0.0 if shift == 0 else float(np.mean([each.value for each in found]))
    held = np.mean([each.low <= truth <= each.high for each in found])  # type: ignore[operator]
    assert held >= 0.93 - 2 * (0.93 * 0.07 / len(found)) ** 0.5


def clouds_of_one(n: int, shift: float, seed: int) -> tuple[Rows, Rows]:
    """Two draws of fixed distributions, with features as skewed as those of a network."""
    stream = np.random.default_rng((1, seed))
    return stream.gamma(2, size=(n, 16)) + shift, stream.gamma(2, size=(n, 16))
