"""Matrix products of float32: the same numbers whichever library makes them, of any layout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcgan_cli import matmul
from dcgan_cli.matmul import matmul_nt

LAYOUTS = ("plain", "transposed", "gaps between rows", "every other column")


def laid_out(values: Tensor, layout: str) -> Tensor:
    """The same matrix in memory of another order."""
    rows, columns = values.shape
    if layout == "transposed":
        return values.t().contiguous().t()
    if layout == "gaps between rows":
        wide = torch.full((rows, columns + 3), torch.nan)
        wide[:, :columns] = values
        return wide[:, :columns]
    if layout == "every other column":
        wide = torch.full((rows, 2 * columns), torch.nan)
        wide[:, ::2] = values
        return wide[:, ::2]
    return values


sizes = st.integers(1, 40)
layouts = st.sampled_from(LAYOUTS)


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, sizes, layouts, layouts)
def test_equal_to_the_product_in_float64(m: int, n: int, k: int, one: str, other: str) -> None:
    stream = torch.Generator().manual_seed(m * 1600 + n * 40 + k)
    left = torch.randn(m, k, generator=stream)
    right = torch.randn(n, k, generator=stream)
    found = matmul_nt(laid_out(left, one), laid_out(right, other))
    assert found.dtype is torch.float32
    expected = left.double() @ right.double().t()
    scale = left.double().abs() @ right.double().abs().t()
    assert ((found - expected).abs() <= 1e-6 * scale).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("there", [True, False])
def test_without_the_faster_library_and_in_float64(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, there: bool
) -> None:
    monkeypatch.setattr(matmul, "_ONEDNN", matmul._ONEDNN and there)
    left, right = torch.arange(6.0).view(2, 3).to(dtype), torch.arange(12.0).view(4, 3).to(dtype)
    found = matmul_nt(left, right)
    assert found.tolist() == [[5, 14, 23, 32], [14, 50, 86, 122]]
    assert found.dtype is dtype


def test_the_faster_library_is_there() -> None:
    """Where this fails, probe-svm takes about twice as long; everything else holds."""
    assert torch.backends.mkldnn.is_available() == matmul._ONEDNN
