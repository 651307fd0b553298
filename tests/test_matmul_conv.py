"""Convolutions as matrix products: the library's, to the last digits of float64."""

from itertools import product
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dcgan_cli.training import matmul_conv, step
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.matmul_conv import (
    ALL_MATMUL,
    LIBRARY,
    MatmulUse,
    best_matmul_use,
    conv2d,
    conv_transpose2d,
)
from dcgan_cli.training.step import Updater

SIDES = st.integers(3, 9)

any_layer = given(
    high=SIDES,
    wide=SIDES,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    data=st.data(),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_gradients(function: object, *inputs: Tensor) -> list[Tensor]:
    """The result of `function` and the gradients of its inputs under a fixed projection."""
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    result: Tensor = function(*leaves)  # type: ignore[operator]
    result.backward(drawn(*result.shape, seed=9))
    return [result.detach(), *(leaf.grad for leaf in leaves)]  # type: ignore[misc]


def agree(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@any_layer
@settings(deadline=None, max_examples=150)
def test_a_convolution_is_the_librarys(
    high: int, wide: int, kernel: int, stride: int, data: st.DataObject, inputs: int, outputs: int
) -> None:
    least = max(0, -(-(kernel - min(high, wide)) // 2))
    padding = data.draw(st.integers(least, max(least, kernel - 1)))
    maps, weight = drawn(2, inputs, high, wide), drawn(outputs, inputs, kernel, kernel, seed=1)
    agree(
        with_gradients(lambda x, w: conv2d(x, w, stride, padding), maps, weight),
        with_gradients(lambda x, w: F.conv2d(x, w, None, stride, padding), maps, weight),
    )


@any_layer
@settings(deadline=None, max_examples=150)
def test_a_fractionally_strided_convolution_is_the_librarys(
    high: int, wide: int, kernel: int, stride: int, data: st.DataObject, inputs: int, outputs: int
) -> None:
    padding = data.draw(st.integers(0, min(kernel - 1, 2)))
    more = data.draw(st.integers(0, stride - 1))
    maps, weight = drawn(2, inputs, high, wide), drawn(inputs, outputs, kernel, kernel, seed=1)
    agree(
        with_gradients(lambda x, w: conv_transpose2d(x, w, stride, padding, more), maps, weight),
        with_gradients(
            lambda x, w: F.conv_transpose2d(x, w, None, stride, padding, more), maps, weight
        ),
    )


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_channels_last_memory_goes_in_and_comes_out(kernel: int) -> None:
    maps = drawn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    weight = drawn(4, 3, kernel, kernel, seed=1)
    padding = (kernel - 1) // 2
    result = conv2d(maps, weight, 2, padding)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert conv_transpose2d(result, weight, 2, padding).is_contiguous(
        memory_format=torch.channels_last
    )


@pytest.mark.parametrize("form", [ALL_MATMUL, MatmulUse(to_maps=True), MatmulUse(to_weight=True)])
@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_no_more_is_computed_than_is_asked_for(
    wanted: tuple[bool, bool], form: MatmulUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D's weight gradients are not wanted in G's step, nor the gradient of real images."""
    maps, weight = drawn(2, 3, 8, 8), drawn(4, 3, 4, 4, seed=1)
    leaves = [t.clone().requires_grad_(n) for t, n in zip((maps, weight), wanted, strict=True)]
    result = conv2d(*leaves, 2, 1, form)
    unwanted = "_weight_gradient" if wanted[0] else "_conv_transpose"
    monkeypatch.setattr(matmul_conv, unwanted, lambda *_: pytest.fail("made"))
    library = matmul_conv._library_gradients

    def watched(*given: Any) -> Any:
        found = library(*given)
        own = (form.to_maps, form.to_weight)
        made = [want and not ours for want, ours in zip(wanted, own, strict=True)]
        assert [gradient is not None for gradient in found] == made
        return found

    monkeypatch.setattr(matmul_conv, "_library_gradients", watched)
    result.sum().backward()
    assert [leaf.grad is not None for leaf in leaves] == list(wanted)


def test_bfloat16_is_as_near_as_the_librarys() -> None:
    maps, weight = drawn(8, 32, 8, 8), drawn(64, 32, 4, 4, seed=1)
    exact = with_gradients(lambda x, w: F.conv2d(x, w, None, 2, 1), maps, weight)
    low = [tensor.bfloat16() for tensor in (maps, weight)]

    def errors(function: object) -> list[float]:
        leaves = [tensor.clone().requires_grad_() for tensor in low]
        result: Tensor = function(*leaves)  # type: ignore[operator]
        result.backward(drawn(*result.shape, seed=9).bfloat16())
        found = [result, *(leaf.grad for leaf in leaves)]
        return [
            float((one.detach().double() - other).norm() / other.norm())  # type: ignore[union-attr]
            for one, other in zip(found, exact, strict=True)
        ]

    ours = errors(lambda x, w: conv2d(x, w, 2, 1))
    theirs = errors(lambda x, w: F.conv2d(x, w, None, 2, 1))
    assert all(one < 1.2 * other + 1e-4 for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("form", [MatmulUse(*kinds) for kinds in product((False, True), repeat=3)])
def test_every_part_may_be_made_either_way(form: MatmulUse) -> None:
    maps, weight = drawn(2, 3, 6, 6), drawn(4, 3, 4, 4, seed=1)
    agree(
        with_gradients(lambda x, w: conv2d(x, w, 2, 1, form), maps, weight),
        with_gradients(lambda x, w: F.conv2d(x, w, None, 2, 1), maps, weight),
    )
    maps, weight = drawn(2, 3, 6, 6), drawn(3, 4, 5, 5, seed=1)
    agree(
        with_gradients(lambda x, w: conv_transpose2d(x, w, 2, 2, 1, form), maps, weight),
        with_gradients(lambda x, w: F.conv_transpose2d(x, w, None, 2, 2, 1), maps, weight),
    )


def test_the_form_goes_by_processor_side_and_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul_conv, "_has_amx", lambda: True)
    assert [best_matmul_use(side, 256) for side in (8, 16, 32)] == [ALL_MATMUL, ALL_MATMUL, LIBRARY]
    assert best_matmul_use(8, 255) == LIBRARY
    monkeypatch.setattr(matmul_conv, "_has_amx", lambda: False)
    weights = MatmulUse(to_weight=True)
    assert [best_matmul_use(side, 3) for side in (8, 16, 32)] == [weights, LIBRARY, LIBRARY]


@pytest.mark.parametrize("form", [ALL_MATMUL, MatmulUse(to_weight=True)])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_in_bfloat16_is_the_librarys_to_rounding(
    loss: str, form: MatmulUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.PER_IMAGE if loss == "wgan-gp" else tiny.MODEL
    settings = tiny.settings(loss, precision=torch.bfloat16)
    asked: list[int] = []

    def rule(side: int, _: int) -> MatmulUse:
        asked.append(side)
        return form

    monkeypatch.setattr(matmul_conv, "best_matmul_use", rule)
    ours = Updater(model, tiny.RECIPE, settings)
    monkeypatch.setattr(step, "use_matrix_products", lambda network: None)
    theirs = Updater(model, tiny.RECIPE, settings)
    for one, other in (
        (ours.generator, theirs.generator),
        (ours.discriminator, theirs.discriminator),
    ):
        state = other.state_dict()
        assert list(one.state_dict()) == list(state)
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    images = torch.from_numpy(tiny.Noise(4).images).permute(0, 3, 1, 2).float() / 127.5 - 1
    for number in range(3):
        found = ours.step(number, 0, lambda _: images)
        expected = theirs.step(number, 0, lambda _: images)
        torch.testing.assert_close(found, expected, rtol=0.03, atol=0.02)
    assert set(asked) == {8, 16}


def test_float32_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul_conv, "best_matmul_use", lambda *_: pytest.fail("asked"))
    updater = Updater(tiny.MODEL, tiny.RECIPE, tiny.settings())
    updater.step(0, 0, lambda _: torch.zeros(4, 1, 16, 16))
