"""What a run will be, said before it starts: networks, length, memory, and hints."""

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.recipe import USUAL_BATCH, Recipe, usual_steps
from dcgan_cli.report import Table
from dcgan_cli.training.events import Length
from dcgan_cli.training.step import StepSettings

RECOGNIZABLE_STEPS = 1_500
"""Steps after which the things on the images can be recognized, in most runs, in batches of
USUAL_BATCH or more."""


def recognizable_steps(batch_size: int) -> int:
    """RECOGNIZABLE_STEPS, and more in smaller batches, whose gradients are noisier."""
    return round(RECOGNIZABLE_STEPS * max(1.0, USUAL_BATCH / batch_size) ** 0.5)


@dataclass(frozen=True)
class TrainingPlan:
    """What is known of a run before training.

    Attributes:
        network: both networks layer by layer.
        parameters: trainable parameters of both.
        memory: estimated bytes of weights, optimizer and activations in each process.
        hints: what would make it faster, most effective first.
    """

    network: Table
    parameters: int
    memory: int
    hints: tuple[str, ...]


def make_plan(
    model: ModelConfig, recipe: Recipe, settings: StepSettings, *, recommend_bf16: bool = True
) -> TrainingPlan:
    """Estimate the cost of a run; the networks of the run itself are not used."""
    with torch.device("meta"):
        generator, discriminator = Generator(model), Discriminator(model)
    networks = (generator, discriminator)
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    memory = _memory(model, recipe, settings, parameters)
    hints = tuple(_hints(model, settings, recommend_bf16))
    return TrainingPlan(_network_table(generator, discriminator), parameters, memory, hints)


def usual_length(recipe: Recipe, steps_per_epoch: int) -> Length:
    """The length of a run for which none was asked: the recipe's epochs, and at least `usual_steps`.

    Example: 819 images in batches of 64 are 12 steps an epoch, so that a run has 417 epochs.
    """
    return Length(
        epochs=max(recipe.epochs, math.ceil(usual_steps(recipe.batch_size) / steps_per_epoch))
    )


def _network_table(generator: Generator, discriminator: Discriminator) -> Table:
    """One row a layer: name, output [C, H, W], parameters (normalization included)."""
    model = generator.config
    base = model.base
    rows: list[tuple[str, str, int]] = []

    def add(name: str, shape: tuple[int, ...], layer: torch.nn.Module) -> None:
        count = sum(parameter.numel() for parameter in layer.parameters())
        rows.append((name, " × ".join(map(str, shape)), count))

    add("G project", (model.generator_widths[0], base, base), generator.project)
    for i, layer in enumerate(generator.hidden, 1):
        side = base * 2**i
        add(f"G hidden {i}", (model.generator_widths[i], side, side), layer)
    add("G to_rgb", (model.channels, model.size, model.size), generator.to_rgb)
    for i, layer in enumerate(discriminator.layers):
        side = model.size // 2 ** (i + 1)
        add(f"D layer {i + 1}", (model.discriminator_widths[i], side, side), layer)
    add("D head", (1,), discriminator.head)
    return Table("Networks", ("layer", "output", "parameters"), rows)


def _memory(model: ModelConfig, recipe: Recipe, settings: StepSettings, parameters: int) -> int:
    """Peak bytes of a step: weights, gradients, two Adam moments, and activations.

    Every layer keeps about three copies of its maps for the backward pass (convolution,
    normalization, activation); G's step holds G and D, D's step holds D twice.
    """
    sides = [model.base * 2**i for i in range(model.levels)]
    g_maps = sum(w * s * s for w, s in zip(model.generator_widths, sides, strict=True))
    halves = [model.size // 2 ** (i + 1) for i in range(model.levels)]
    d_maps = sum(w * s * s for w, s in zip(model.discriminator_widths, halves, strict=True))
    width = 2 if settings.precision is torch.bfloat16 else 4
    share = recipe.batch_size // settings.process_group.size
    return 16 * parameters + 3 * width * share * (g_maps + 2 * d_maps)


def _hints(model: ModelConfig, settings: StepSettings, recommend_bf16: bool) -> list[str]:
    hints: list[str] = []
    low = recommend_bf16 and settings.precision is torch.float32
    if settings.device.type == "cpu":
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > 0.5 * torch.get_num_threads() + 1:
            hints.append(f"fewer other programs on this machine (load {load:.1f})")
        flags = ""
        if low and platform.system() == "Linux":  # elsewhere they are not known
            flags = Path("/proc/cpuinfo").read_text(errors="replace")
        if "avx512_bf16" in flags or "amx_bf16" in flags:
            hints.append("--precision bf16: this CPU multiplies bfloat16 in hardware")
        if model.ngf * model.ndf > 32 * 32:
            hints.append("--preset small: a quarter of tutorial's arithmetic, a 20th of paper's")
        hints.append("a GPU: 50 to 500 times")
    elif low:
        hints.append("--precision bf16")
    if model.size > 32:
        hints.append(f"--size {model.size // 2}: a quarter of the arithmetic")
    return hints
