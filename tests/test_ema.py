"""The EMA of the generator, and the clipping of D's weights, by small examples."""

import tiny
import torch
from torch import nn

from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import tensors_of
from dcgan_cli.training.ema import update_ema
from dcgan_cli.training.regularizers import clip_weights


def filled(value: float) -> Generator:
    """A generator whose weights and statistics are all `value`, and whose counters are 7."""
    generator = Generator(tiny.MODEL)
    with torch.no_grad():
        for tensor in tensors_of(generator):
            tensor.fill_(value if tensor.is_floating_point() else 7)
    return generator


def test_the_ema_moves_towards_the_generator_by_one_minus_the_decay() -> None:
    average, generator = filled(1.0), filled(2.0)
    update_ema(average, generator, decay=0.75, step=1_000_000)
    values = {float(t.detach().mean()) for t in tensors_of(average) if t.is_floating_point()}
    assert values == {1.25}


def test_the_decay_is_smaller_in_the_first_steps() -> None:
    average, generator = filled(0.0), filled(1.0)
    update_ema(average, generator, decay=0.999, step=0)
    torch.testing.assert_close(average.to_rgb.weight, torch.full_like(average.to_rgb.weight, 0.9))


def test_counters_are_copied_and_the_generator_is_unchanged() -> None:
    average, generator = filled(0.0), filled(1.0)
    for tensor in tensors_of(generator):
        if not tensor.is_floating_point():
            tensor.fill_(9)
    update_ema(average, generator, decay=0.5, step=100)
    counters = [int(t) for t in tensors_of(average) if not t.is_floating_point()]
    assert counters
    assert set(counters) == {9}
    assert {float(t.detach().mean()) for t in tensors_of(generator) if t.is_floating_point()} == {
        1.0
    }


def test_clipping_limits_every_weight() -> None:
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-3.0, 0.005], [0.5, -0.01]]))
        layer.bias.zero_()
    clip_weights(layer, 0.01)
    expected = torch.tensor([[-0.01, 0.005], [0.01, -0.01]])
    torch.testing.assert_close(layer.weight.detach(), expected)
