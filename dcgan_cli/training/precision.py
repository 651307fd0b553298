"""Whether bfloat16 is correct for these networks on this machine; memory formats.

Libraries have shipped bfloat16 convolutions that were wrong for some shapes on some processors, so
every layer is checked before a run begins. Speed is not considered: a timing would decide the bits
of a run. Which precision `auto` selects is decided in choose_precision below.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcgan_cli.choices import PRECISIONS, one_of
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.runtime import torch_stream
from dcgan_cli.training.matmul_conv import use_matrix_products

CHECK_BATCH_SIZE = 16

MAX_BF16_ERROR = 0.05
"""Maximum relative error; that of sums in bfloat16 is below 0.01."""


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """float32 or bfloat16 for the networks' arithmetic; weights are always kept in float32.

    `auto` takes bfloat16 on CUDA devices that have it and on CPUs that multiply it in matrix units
    (AMX), and float32 elsewhere.
    """
    one_of("--precision", name, PRECISIONS)
    if name == "auto":
        return torch.bfloat16 if _is_fast_in_bf16(device) else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


def _is_fast_in_bf16(device: torch.device) -> bool:
    """Whether `device` has units for bfloat16 that are many times faster than those for float32."""
    if device.type == "cpu":
        return torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def precision_name(precision: torch.dtype) -> str:
    """`bf16` or `fp32`: the word that `--precision` takes."""
    return "bf16" if precision is torch.bfloat16 else "fp32"


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """A context in which matrix products run in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16)


def memory_format(device: torch.device, precision: torch.dtype) -> torch.memory_format:
    """The memory format of weights, which feature maps follow.

    Channels last avoids reordering in a CPU's convolutions, some 15 % of a step of the smaller
    presets, and is the format for a GPU's bfloat16 convolutions.
    """
    last = device.type == "cpu" or (device.type == "cuda" and precision is torch.bfloat16)
    return torch.channels_last if last else torch.contiguous_format


def check_bf16(model: ModelConfig, device: torch.device) -> str | None:
    """What is wrong with bfloat16 on this device, in words; None if nothing is.

    Every convolution and linear layer of both networks is computed in float32 and in bfloat16: its
    output and the gradients of its input and weights must agree.

    Example: `fault = check_bf16(model, torch.device("cpu"))`.
    """
    for name, layer, maps in _layers(model, device):
        found = _Trial(layer, maps, torch.bfloat16).run()
        error = _error(found, _Trial(layer, maps, torch.float32).run())
        if error > MAX_BF16_ERROR:
            return f"its numbers are wrong here ({name} is off by {error:.0%})"
    return None


@dataclass(frozen=True, eq=False)
class _Trial:
    """One layer, forward and backward, in one precision."""

    layer: nn.Module
    maps: Tensor
    precision: torch.dtype

    def run(self) -> list[Tensor]:
        """Its output, and the gradients of half the sum of its squares by input and by weights."""
        maps = self.maps.clone().requires_grad_()
        with autocast(maps.device, self.precision):
            out = self.layer(maps).float()
        self.layer.zero_grad()
        (out.square().sum() / 2).backward()
        gradients = [parameter.grad for parameter in self.layer.parameters()]
        return [part.detach().clone() for part in (out, maps.grad, *gradients) if part is not None]


def _layers(model: ModelConfig, device: torch.device) -> list[tuple[str, nn.Module, Tensor]]:
    """Name, module and input of every convolution and linear layer of both networks."""
    with torch.random.fork_rng(devices=()):
        generator, discriminator = Generator(model), Discriminator(model)
    z = torch.from_numpy(seeded_latents(0, CHECK_BATCH_SIZE, model.z_dim, model.z_dist)).to(device)
    in_g, images = _layer_inputs("G", generator, z)
    in_d, _ = _layer_inputs("D", discriminator, images)
    return [*in_g, *in_d]


@torch.no_grad()
def _layer_inputs(
    letter: str, network: nn.Module, given: Tensor
) -> tuple[list[tuple[str, nn.Module, Tensor]], Tensor]:
    """Name, module and input of every convolution and linear layer of `network`, and its output."""
    initialize(network, torch_stream(0, "bfloat16"))
    use_matrix_products(network)
    network.to(given.device).to(memory_format=memory_format(given.device, torch.bfloat16))
    found: list[tuple[str, nn.Module, Tensor]] = []
    names = {layer: f"{letter} {name}" for name, layer in network.named_modules()}

    def record(layer: nn.Module, maps: tuple[Tensor, ...]) -> None:
        found.append((names[layer], layer, maps[0]))

    hooks = [
        layer.register_forward_pre_hook(record)
        for layer in names
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    out = network(given)
    for hook in hooks:
        hook.remove()
    return found, out


def _error(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest ‖found − expected‖ ÷ ‖expected‖; infinite if a value is not finite."""
    errors = [
        (value - target).norm() / target.norm().clamp(min=1e-30)
        for value, target in zip(found, expected, strict=True)
    ]
    return float(torch.stack(errors).nan_to_num(torch.inf, torch.inf).max())
