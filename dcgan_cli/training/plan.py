"""The cost of a run, estimated before it starts: networks, speed, memory, and hints."""

import math
import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dcgan_cli.model.batch_norm_statistics import REFERENCE_BATCH, REFERENCE_BATCHES
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import draw
from dcgan_cli.model.recipe import USUAL_STEPS, Recipe
from dcgan_cli.report import Table
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.training import recording
from dcgan_cli.training.events import Length
from dcgan_cli.training.step import StepSettings, Updater

PROBE_SECONDS = 2.0

RECOGNIZABLE_STEPS = 1_500
"""Steps after which the things on the images can be recognized, in most runs."""

SAMPLES = 64
"""Number of fixed latent vectors whose images show the progress of a run."""

WRITE_SECONDS_PER_PIXEL = 4e-7
"""Approximate seconds to write a pixel of an image grid as PNG and as a frame of the film."""


@dataclass(frozen=True)
class TrainingPlan:
    """Estimates of a run before training.

    Attributes:
        network: both networks layer by layer.
        parameters: trainable parameters of both.
        seconds_per_step: median of a few steps on random images, on this machine now.
        seconds_per_grid: of one image grid of the fixed samples: statistics, generating, writing.
        images_per_second: real images that D processes.
        memory: estimated bytes of weights, optimizer and activations in each process.
        hints: what would make it faster, most effective first.
        fault: why steps cannot be recorded on this GPU; None if they can, or there is no GPU.
    """

    network: Table
    parameters: int
    seconds_per_step: float
    seconds_per_grid: float
    images_per_second: float
    memory: int
    hints: tuple[str, ...]
    fault: str | None


def make_plan(
    model: ModelConfig, recipe: Recipe, settings: StepSettings, *, recommend_bf16: bool = True
) -> TrainingPlan:
    """Estimate the cost, on all ranks together; the networks of the run itself are not used."""
    with torch.device("meta"):
        networks = (Generator(model), Discriminator(model))
    parameters = sum(p.numel() for network in networks for p in network.parameters())
    seconds, seconds_per_image, fault = _probe(model, recipe, settings)
    return TrainingPlan(
        network_table(model),
        parameters,
        seconds,
        _grid_seconds(model, seconds_per_image),
        settings.d_steps * recipe.batch_size / seconds,
        _memory(model, recipe, settings, parameters),
        tuple(_hints(model, settings, recommend_bf16)),
        fault,
    )


def usual_length(recipe: Recipe, steps_per_epoch: int) -> Length:
    """The length of a run for which none was asked: the recipe's epochs, and at least USUAL_STEPS.

    Example: 819 images in batches of 64 are 12 steps an epoch, so that a run has 417 epochs.
    """
    return Length(epochs=max(recipe.epochs, math.ceil(USUAL_STEPS / steps_per_epoch)))


def network_table(model: ModelConfig) -> Table:
    """One row a layer: name, output [C, H, W], parameters (normalization included)."""
    with torch.device("meta"):
        generator, discriminator = Generator(model), Discriminator(model)
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


def _grid_seconds(model: ModelConfig, seconds_per_image: float) -> float:
    """Seconds to generate the fixed samples, including the reference batches, and to write them."""
    images = REFERENCE_BATCH * REFERENCE_BATCHES + SAMPLES
    return seconds_per_image * images + WRITE_SECONDS_PER_PIXEL * SAMPLES * model.size**2


def _probe(
    model: ModelConfig, recipe: Recipe, settings: StepSettings
) -> tuple[float, float, str | None]:
    """Time throwaway networks: seconds a step, seconds in which G generates an image, and a fault.

    Seconds a step are a median over at least one step after warm-up, and over as many as
    PROBE_SECONDS allow. The fault is why steps cannot be recorded.
    """
    updater = Updater(model, recipe, replace(settings, ema=None))
    share = updater.share.stop - updater.share.start
    shape = (share, model.channels, model.size, model.size)
    noise = draw(numpy_stream(0, "probe"), shape, "uniform")
    images = torch.from_numpy(noise).to(settings.device)
    times: list[float] = []
    warm_up = 1 if updater.recorded is None else recording.WARM_UP + 1
    began = time.perf_counter()
    # All ranks make the same number of steps: if one rank wants another step, all make it.
    while len(times) <= warm_up or any(
        updater.process_group.agree(time.perf_counter() - began < PROBE_SECONDS)
    ):
        start = time.perf_counter()
        updater.step(len(times), 0, lambda _: images).cpu()  # .cpu() waits for the device
        times.append(time.perf_counter() - start)
    timed = sorted(times[warm_up:])
    fault = None if updater.recorded is None else updater.recorded.fault
    updater.recorded = None  # frees the memory of the recorded graph
    start = time.perf_counter()
    with torch.no_grad():
        z = torch.zeros(share, model.z_dim, device=settings.device)
        updater.generator(z).cpu()
    seconds_per_image = (time.perf_counter() - start) / share
    return timed[len(timed) // 2], seconds_per_image, fault


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
        if low and _cpu_multiplies_bf16():
            hints.append("--precision bf16: this CPU multiplies bfloat16 in hardware")
        if model.ngf * model.ndf > 32 * 32:
            hints.append("--preset small: a quarter of tutorial's arithmetic, a 20th of paper's")
        hints.append("a GPU: 50 to 500 times")
    elif low:
        hints.append("--precision bf16")
    if model.size > 32:
        hints.append(f"--size {model.size // 2}: a quarter of the arithmetic")
    return hints


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU lists bfloat16 instructions (known on Linux with x86 only)."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
