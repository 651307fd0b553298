"""The L2-SVM by products of rows: from any part of them, and from products that are wrong."""

import pytest
import torch
from test_svm import force, planted
from torch import Tensor

from dcgan_cli.analysis.probe_svm import gram_solver
from dcgan_cli.analysis.probe_svm.gram_solver import (
    dual,
    feasible,
    minimize_few,
    primal,
    products,
)
from dcgan_cli.analysis.probe_svm.squared_hinge import DesignMatrix
from dcgan_cli.analysis.probe_svm.svm import fit_path


@pytest.mark.parametrize("small", [8, 100, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_few_rows_reach_the_minimum_from_any_part_of_them(
    monkeypatch: pytest.MonkeyPatch, small: int, dtype: torch.dtype
) -> None:
    """Begun with every row inside, or with what every second row says, over up to five levels."""
    features, labels = planted(300, 200, 4)
    labels = labels.sort().values  # every second row is of every class all the same
    signs = torch.where(labels == torch.arange(4)[:, None], 1.0, -1.0)
    rows = DesignMatrix(features, torch.device("cpu"))
    monkeypatch.setattr(gram_solver, "_SMALL", small)
    c_values = [1e-2, 1e-4, 1e-6]
    gram = products(rows, dtype)
    found = minimize_few(rows, gram, signs.to(dtype), c_values, 1e-7)
    force(monkeypatch, "passes")
    expected = fit_path(features, labels, c_values, tolerance=1e-9)
    for combined, machine, c in zip(found, expected, c_values, strict=True):
        least, bound = value_and_bound(rows, combined.double(), signs.double(), c)
        assert least.tolist() == pytest.approx(machine.objective.tolist(), rel=1e-6)
        assert bound.tolist() == pytest.approx(machine.objective.tolist(), rel=1e-6)


def value_and_bound(
    rows: DesignMatrix, combined: Tensor, signs: Tensor, c: float
) -> tuple[Tensor, Tensor]:
    """The value at combinations, and what it is nowhere less than; all of float64."""
    weights, allowed = rows.combine(combined), feasible(combined, signs)
    least = primal(rows.scores(weights), signs, c, weights.square().sum(1))
    return least, dual(allowed, signs, c, rows.combine(allowed).square().sum(1))


def test_products_that_are_wrong_lead_to_the_minimum_all_the_same() -> None:
    """The Gram matrix only gives the steps: here each step is wrong by a tenth."""
    features, labels = planted(300, 200, 4)
    signs = torch.where(labels == torch.arange(4)[:, None], 1.0, -1.0).double()
    rows = DesignMatrix(features, torch.device("cpu"))
    gram = products(rows)
    stream = torch.Generator().manual_seed(0)
    random_direction = torch.randn(gram.shape, generator=stream, dtype=gram.dtype)
    ridge = 1 / (2 * 1e-3)
    gram += (
        0.1
        * ridge
        * (random_direction + random_direction.t())
        / torch.linalg.matrix_norm(random_direction + random_direction.t(), 2)
    )
    (found,) = minimize_few(rows, gram, signs, [1e-3], 1e-10)
    least, _ = value_and_bound(rows, found, signs, 1e-3)
    (fitted,) = fit_path(features, labels, [1e-3], tolerance=1e-12)
    expected = fitted.objective
    assert least.tolist() == pytest.approx(expected.tolist(), rel=1e-8)


def test_primal_and_dual_by_hand() -> None:
    """Two rows, x = 2 and x = −1 (and 1 at the end), y = ±1, C = ½; a = (½, −¼) and its negative."""
    rows = torch.tensor([[2.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
    signs = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    combined = torch.tensor([[0.5, -0.25], [-0.5, 0.25]], dtype=torch.float64)
    weights = combined @ rows
    assert weights.tolist() == [[1.25, 0.25], [-1.25, -0.25]]
    scores, squares = weights @ rows.t(), weights.square().sum(1)
    # scores 2.75 and −1, on the margin or beyond: no loss; or as far on the wrong side
    losses = [0, 3.75**2 + 2**2]
    found = primal(scores, signs, 0.5, squares)
    assert found.tolist() == pytest.approx([0.8125 + loss / 2 for loss in losses])
    allowed = feasible(combined, signs)
    assert allowed.tolist() == [[0.5, -0.25], [0, 0]]
    squares = (allowed @ rows).square().sum(1)
    bound = dual(allowed, signs, 0.5, squares)
    assert bound.tolist() == pytest.approx([0.75 - 0.8125 - 0.3125 / 2, 0])


def test_products_of_rows_that_end_in_a_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram_solver, "_ROWS", 8)
    monkeypatch.setattr(gram_solver, "_COLUMNS", 7)
    features, _ = planted(30, 50, 2)
    ended = torch.cat([features, torch.ones(30, 1)], 1).double()
    for dtype, rounding in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = products(DesignMatrix(features, torch.device("cpu")), dtype)
        assert found.dtype is dtype
        assert torch.allclose(found.double(), ended @ ended.t(), rtol=rounding)
        assert torch.allclose(found, found.t(), rtol=rounding)
