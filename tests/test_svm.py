"""The L2-SVM: by hand, against scikit-learn, by both methods, streamed, and refused in one line."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from torch import Tensor

from dcgan_cli.analysis.probe_svm import svm
from dcgan_cli.analysis.probe_svm.gram_solver import (
    minimize_few,
    products,
)
from dcgan_cli.analysis.probe_svm.squared_hinge import DesignMatrix
from dcgan_cli.analysis.probe_svm.svm import LinearSvm, fit_path
from dcgan_cli.errors import DcganError

AGREE = 1e-5
"""How far objectives may differ from scikit-learn's, relative."""

METHODS = ["passes", "products", "chosen"]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test that takes it runs by each method, and by the one that is chosen by cost."""
    force(monkeypatch, request.param)
    return request.param


def force(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    if method != "chosen":
        monkeypatch.setattr(svm, "_few", lambda *_: method == "products")


def planted(
    count: int, width: int, classes: int, seed: int = 0, shares: list[float] | None = None
) -> tuple[Tensor, Tensor]:
    """Correlated features, half of them zero as after a ReLU, and labels they half explain."""
    stream = np.random.default_rng(seed)
    labels = stream.choice(classes, count, p=shares)
    labels[:classes] = np.arange(classes)
    means = stream.normal(0, 1, (classes, width))
    mixed = stream.normal(0, 1, (count, width)) @ stream.normal(0, width**-0.5, (width, width))
    return (
        torch.from_numpy(np.maximum(means[labels] + 2 * mixed, 0).astype(np.float32)),
        torch.from_numpy(labels),
    )


def objectives(
    features: Tensor, labels: Tensor, weights: NDArray[Any], bias: NDArray[Any], c: float
) -> NDArray[np.float64]:
    """LIBLINEAR's objective of every class, in float64."""
    weights, bias = weights.astype(np.float64), bias.astype(np.float64)
    signs = np.where(labels.numpy()[:, None] == np.arange(len(bias)), 1, -1)
    scores = features.double().numpy() @ weights.T + bias
    losses = (np.maximum(1 - signs * scores, 0) ** 2).sum(0)
    return ((weights**2).sum(1) + bias**2) / 2 + c * losses


def fit_svm(features: Tensor, labels: Tensor, c: float, **options: Any) -> LinearSvm:
    return fit_path(features, labels, [c], **options)[0]


def ours(features: Tensor, labels: Tensor, c: float, **options: Any) -> NDArray[np.float64]:
    fitted = fit_svm(features, labels, c, **options)
    found = objectives(features, labels, fitted.weights.numpy(), fitted.bias.numpy(), c)
    assert fitted.objective.numpy() == pytest.approx(found, rel=2e-6), "it says what it reached"
    return found


@dataclass(frozen=True)
class Reference:
    """What scikit-learn finds, and the minima, which it may not have reached; float64 [K]."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    objective: NDArray[np.float64]
    least: NDArray[np.float64]


def theirs(features: Tensor, labels: Tensor, c: float) -> Reference:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LinearSVC(
            C=c, tol=1e-10, max_iter=10_000, random_state=0,
            dual=features.shape[0] < features.shape[1],
        ).fit(features.double().numpy(), labels.numpy())  # fmt: skip
    weights, bias = fitted.coef_, fitted.intercept_
    if len(weights) == 1:
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    reached = objectives(features, labels, weights, bias, c)
    rows = np.concatenate([features.double().numpy(), np.ones((len(features), 1))], 1)
    starts = np.concatenate([weights, bias[:, None]], 1)
    least = [
        minimum(rows, np.where(labels.numpy() == k, 1.0, -1.0), c, start)
        for k, start in enumerate(starts)
    ]
    return Reference(weights, bias, reached, np.array(least))


def minimum(rows: NDArray[np.float64], signs: NDArray[np.float64], c: float, weights: Any) -> float:
    """The least f, to a tenth of AGREE at most, by the plainest of Newton's methods."""

    def objective(weights: NDArray[np.float64]) -> float:
        hinge = np.maximum(1 - signs * (rows @ weights), 0)
        return float(weights @ weights / 2 + c * hinge @ hinge)

    for _ in range(1000):
        hinge = np.maximum(1 - signs * (rows @ weights), 0)
        gradient = weights - 2 * c * (signs * hinge) @ rows
        # f is 1-strongly convex: it is ½·‖∇f‖² above its minimum at most.
        if gradient @ gradient / 2 <= AGREE / 10 * objective(weights):
            return objective(weights)
        inside = rows[hinge > 0]
        bend = np.eye(len(weights)) + 2 * c * inside.T @ inside
        step = -np.linalg.solve(bend, gradient)
        while objective(weights + step) >= objective(weights):
            step /= 2
        weights = weights + step
    raise AssertionError("no minimum found")


def agree(features: Tensor, labels: Tensor, c: float) -> None:
    """The same minimum as scikit-learn's, and that is one."""
    expected, found = theirs(features, labels, c), ours(features, labels, c)
    assert found == pytest.approx(expected.objective, rel=AGREE)
    assert found == pytest.approx(expected.least, rel=AGREE)


# By hand


@pytest.mark.parametrize("c", [1e-3, 0.25, 4.0])
def test_two_points_by_hand(method: str, c: float) -> None:
    # x = ±1: by symmetry b = 0 and f = ½w² + 2C(1 − w)², least at w = 4C/(1 + 4C).
    fitted = fit_svm(torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0]), c, tolerance=1e-12)
    weight = 4 * c / (1 + 4 * c)
    assert fitted.weights.flatten().tolist() == pytest.approx([-weight, weight], rel=1e-6)
    assert fitted.bias.tolist() == pytest.approx([0, 0], abs=1e-6)
    least = weight**2 / 2 + 2 * c * (1 - weight) ** 2
    assert fitted.objective.tolist() == pytest.approx([least, least], rel=1e-6)


def test_the_bias_is_regularized_like_a_weight(method: str) -> None:
    # x = 0, three of class 1 and one of class 0: b + C(−6(1 − b) + 2(1 + b)) = 0, b = 4C/(1 + 8C).
    fitted = fit_svm(torch.zeros(4, 2), torch.tensor([1, 1, 0, 1]), 0.25, tolerance=1e-12)
    assert fitted.bias.tolist() == pytest.approx([-1 / 3, 1 / 3], rel=1e-6)
    assert not fitted.weights.any()


def test_rows_beyond_the_margin_do_not_count(method: str) -> None:
    near = torch.tensor([[1.0], [-1.0]])
    both = torch.cat([near, 1000 * near])
    one = fit_svm(near, torch.tensor([1, 0]), 1.0, tolerance=1e-12)
    other = fit_svm(both, torch.tensor([1, 0, 1, 0]), 1.0, tolerance=1e-12)
    assert torch.allclose(one.weights, other.weights, rtol=1e-3)
    assert one.objective.tolist() == pytest.approx(other.objective.tolist(), rel=1e-6)


# Against scikit-learn

CASES: dict[str, tuple[int, int, int, float]] = {
    "more rows than features": (600, 40, 5, 0.01),
    "fewer rows than features": (120, 500, 5, 0.01),
    "two classes": (300, 60, 2, 0.1),
    "ten classes": (500, 80, 10, 0.05),
    "tiny C": (300, 50, 4, 1e-5),
    "large C": (400, 20, 4, 10.0),
    "large C, separable": (60, 200, 3, 10.0),
}


@pytest.mark.parametrize("case", CASES)
def test_objective_is_scikit_learns(method: str, case: str) -> None:
    count, width, classes, c = CASES[case]
    features, labels = planted(count, width, classes)
    agree(features, labels, c)


def test_unbalanced_classes(method: str) -> None:
    features, labels = planted(800, 60, 3, shares=[0.97, 0.02, 0.01])
    agree(features, labels, 0.1)


def test_columns_that_are_nearly_the_same(method: str) -> None:
    features, labels = planted(300, 30, 3)
    features = torch.cat([features, features * (1 + 1e-6), features], 1)
    agree(features, labels, 0.1)


def test_rows_that_are_the_same(method: str) -> None:
    features, labels = planted(60, 200, 3)
    features, labels = features.repeat(3, 1), labels.repeat(3)
    agree(features, labels, 0.1)


def test_features_of_very_different_sizes(method: str) -> None:
    features, labels = planted(150, 40, 3)
    agree(features * torch.logspace(-3, 1, 40), labels, 0.1)


def test_features_far_from_zero(method: str) -> None:
    features, labels = planted(150, 40, 3)
    agree(features + 20, labels, 0.01)


def test_classes_that_do_not_occur_are_problems_too(method: str) -> None:
    features, labels = planted(150, 40, 3)
    drawn = torch.tensor([0, 2, 4])[labels]
    c = 0.01
    found = ours(features, drawn, c, classes=6)
    expected = theirs(features, labels, c)
    assert found[[0, 2, 4]] == pytest.approx(expected.objective, rel=AGREE)
    rows = np.concatenate([features.double().numpy(), np.ones((150, 1))], 1)
    never = minimum(rows, -np.ones(150), c, np.zeros(41))
    assert found[[1, 3, 5]] == pytest.approx([never] * 3, rel=AGREE)


def test_predictions_are_scikit_learns(method: str) -> None:
    features, labels = planted(500, 60, 5)
    expected = theirs(features[:300], labels[:300], 0.01)
    fitted = fit_svm(features[:300], labels[:300], 0.01, tolerance=1e-9)
    asked = features[300:]
    scores = asked.double().numpy() @ expected.weights.T + expected.bias
    assert np.allclose(fitted.scores(asked).numpy(), scores, atol=1e-3)
    assert fitted.predict(asked).tolist() == scores.argmax(1).tolist()


def test_numbers_beyond_what_products_can_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = planted(40, 90, 3)
    features, labels = 1e6 * features.repeat(2, 1), labels.repeat(2)
    rows = DesignMatrix(features, torch.device("cpu"))
    with pytest.raises(torch.linalg.LinAlgError):
        minimize_few(
            rows, products(rows),
            torch.where(labels == torch.arange(3)[:, None], 1.0, -1.0).double(), [1e4], 1e-6,
        )  # fmt: skip
    force(monkeypatch, "products")
    assert torch.equal(fit_svm(features, labels, 1e4).predict(features), labels)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(count=23, width=45, classes=3, c=10, scale=30, seed=45, method="passes")
@example(count=32, width=82, classes=3, c=1, scale=30, seed=86, method="passes")
@given(
    count=st.integers(4, 80),
    width=st.integers(1, 120),
    classes=st.integers(2, 4),
    c=st.sampled_from([1e-5, 1e-3, 0.1, 1.0, 10.0]),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    seed=st.integers(0, 100),
    method=st.sampled_from(METHODS),
)
def test_no_shape_is_worse_than_scikit_learn(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    width: int,
    classes: int,
    c: float,
    scale: float,
    seed: int,
    method: str,
) -> None:
    with monkeypatch.context() as patch:
        force(patch, method)
        features, labels = planted(count, width, classes, seed)
        found = ours(scale * features, labels, c)
    expected = theirs(scale * features, labels, c)
    assert (found <= expected.objective * (1 + AGREE)).all()
    assert found == pytest.approx(expected.least, rel=AGREE)


# What holds at every minimum


def test_the_gradient_is_zero(method: str) -> None:
    features, labels = planted(300, 100, 4)
    c = 0.01
    fitted = fit_svm(features, labels, c, tolerance=1e-8)
    rows = torch.cat([features, torch.ones(300, 1)], 1).double()
    weights = torch.cat([fitted.weights, fitted.bias[:, None]], 1).double()
    signs = torch.where(labels == torch.arange(4)[:, None], 1.0, -1.0)
    hinge = (1 - signs * (weights @ rows.t())).clamp(min=0)
    gradient = weights - 2 * c * (signs * hinge) @ rows
    at_zero = 2 * c * signs.double() @ rows
    assert float(gradient.norm()) < 1e-4 * float(at_zero.norm())
    assert (gradient.square().sum(1) / 2 <= 1e-7 * fitted.objective).all(), "the gap it promises"


def test_a_looser_tolerance_is_kept_too(method: str) -> None:
    features, labels = planted(300, 100, 4)
    best = ours(features, labels, 0.1, tolerance=1e-9)
    loose = ours(features, labels, 0.1, tolerance=1e-2)
    assert (loose <= best * 1.01).all()


def test_two_classes_are_mirror_images(method: str) -> None:
    features, labels = planted(100, 30, 2)
    fitted = fit_svm(features, labels, 0.1)
    assert torch.equal(fitted.weights[0], -fitted.weights[1])
    assert torch.equal(fitted.bias[0], -fitted.bias[1])
    assert fitted.objective[0] == fitted.objective[1]


def test_a_class_that_does_not_occur_is_never_said(method: str) -> None:
    features, labels = planted(100, 30, 3)
    fitted = fit_svm(features, labels, 0.1, classes=5)
    assert fitted.weights.shape == (5, 30)
    assert set(fitted.predict(features).tolist()) <= {0, 1, 2}


def test_prediction_is_the_highest_score() -> None:
    fitted = LinearSvm(
        torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), torch.tensor([0.0, 0.0, 1.0]),
        torch.zeros(3, dtype=torch.float64),
    )  # fmt: skip
    features = torch.tensor([[2.0, 1.0], [1.0, 3.0], [0.0, 0.0]])
    assert fitted.scores(features).tolist() == [[2, 1, -2], [1, 3, -3], [0, 0, 1]]
    assert fitted.predict(features).tolist() == [0, 1, 2]


def test_same_numbers_twice(method: str) -> None:
    features, labels = planted(400, 150, 4)
    one = fit_svm(features, labels, 0.01)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    other = fit_svm(features, labels, 0.01)
    assert torch.equal(torch.get_rng_state(), before), "nobody else's chance is used up"
    assert torch.equal(one.weights, other.weights)
    assert torch.equal(one.bias, other.bias)


# Paths


def test_a_path_is_single_fits(method: str) -> None:
    features, labels = planted(200, 120, 3)
    c_values = [0.1, 1e-4, 1.0, 0.01]
    path = fit_path(features, labels, c_values, tolerance=1e-9)
    for c, fitted in zip(c_values, path, strict=True):
        alone = fit_svm(features, labels, c, tolerance=1e-9)
        assert fitted.objective.numpy() == pytest.approx(alone.objective.numpy(), rel=1e-7)
        assert torch.allclose(fitted.scores(features), alone.scores(features), atol=1e-3)


@pytest.mark.parametrize(
    ("count", "width", "c", "few"),
    [
        (200, 5000, 1.0, True),
        (1000, 7168, 1.0, True),
        (4000, 4096, 1e-5, False),
        (4000, 4096, 1e-3, True),
        (20_000, 64, 0.01, False),
    ],
)
def test_the_cheaper_method_is_chosen(count: int, width: int, c: float, few: bool) -> None:
    features = torch.ones(1, 1).expand(count, width)
    assert svm._few(features, 10, [c]) is few


# Refusals


def refusals() -> Iterator[tuple[str, Tensor, Tensor, dict[str, Any], str]]:
    features, labels = planted(20, 5, 3)
    yield "one class", features, torch.ones(20, dtype=torch.int64), {}, "two classes, found 1"
    yield "lengths", features, labels[:19], {}, r"features \[20, 5\] and labels \[19\]"
    yield "not a table", features[0], labels, {}, r"features \[5\]"
    yield "label below", features, labels - 1, {}, "labels from -1 to 1: expected 0 to 1"
    yield "label above", features, labels, {"classes": 2}, "labels from 0 to 2: expected 0 to 1"
    yield "no C", features, labels, {"c": 0.0}, "C = 0.0: expected a number above 0"
    yield "NaN C", features, labels, {"c": np.nan}, "C = nan"
    spoilt = features.clone()
    spoilt[13, 2] = torch.nan
    yield "NaN", spoilt, labels, {}, "NaN or infinity"
    spoilt = features.clone()
    spoilt[13, 2] = -torch.inf
    yield "infinity", spoilt, labels, {}, "NaN or infinity"


@pytest.mark.parametrize(
    ("features", "labels", "options", "said"),
    [pytest.param(*case[1:], id=case[0]) for case in refusals()],
)
def test_refusals_in_one_line(
    method: str, features: Tensor, labels: Tensor, options: dict[str, Any], said: str
) -> None:
    options = {"c": 0.1, **options}
    with pytest.raises(DcganError, match=said) as caught:
        fit_svm(features, labels, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.cuda
def test_a_gpu_finds_the_same_minimum(method: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    features, labels = planted(500, 300, 4)
    here = fit_svm(features, labels, 0.05)
    there = fit_svm(features, labels, 0.05, device=torch.device("cuda"))
    assert there.weights.device.type == "cpu"
    assert there.objective.numpy() == pytest.approx(here.objective.numpy(), rel=AGREE)
