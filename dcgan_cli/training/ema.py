"""The exponential moving average (EMA) of the generator's weights."""

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import tensors_of


@torch.no_grad()
def update_ema(average: Generator, generator: Generator, decay: float, step: int) -> None:
    """Update `average` in place: average ← decay · average + (1 − decay) · generator.

    Batch-norm statistics are averaged like weights; counters are copied. In the first steps the
    decay is smaller, (1 + step) / (10 + step): otherwise the average would be dominated by the
    initial weights for thousands of steps.

    Example: `update_ema(average, generator, decay=0.999, step=0)`.
    """
    averaged, counters = _floats_and_counters(average)
    latest, latest_counters = _floats_and_counters(generator)
    get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(averaged, latest, None)
    for counter, value in zip(counters, latest_counters, strict=True):
        counter.copy_(value)


def _floats_and_counters(network: Generator) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and statistics of `network`, and its counters of batches."""
    tensors = list(tensors_of(network))
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    counters = [tensor for tensor in tensors if not tensor.is_floating_point()]
    return floats, counters
