"""Generating images: the same z is always the same image, whatever else is in its batch."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.errors import CheckpointError, UsageError
from dcgan_cli.model.batch_norm_statistics import (
    MODES,
    BatchNormMode,
    draw_settings,
    fix_statistics,
)
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import DrawSettings, ImageGrid, Images, Provenance, Report
from dcgan_cli.runtime import torch_stream
from dcgan_cli.wording import counted

SAMPLES_PER_BATCH = 32
"""Images are always generated in batches of this size, the last one padded: convolutions may round
differently for another batch size, and an image must not depend on how many are requested."""


@dataclass(frozen=True)
class Sampler:
    """A generator with fixed batch-norm statistics: a pure function from z to an image."""

    checkpoint: str
    generator: Generator
    bn: BatchNormMode
    average: bool
    """Whether its weights are the EMA: never if the checkpoint has none."""
    has_average: bool = False
    """Whether the checkpoint has an EMA, so that there was a choice."""

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, bn: str, device: torch.device, average: bool = True
    ) -> Self:
        """The generator of `checkpoint` on `device`, statistics fixed as `bn` says.

        Raises UsageError for an unknown `bn`.
        """
        if bn not in MODES:
            raise UsageError(f"--bn {bn}: expected one of {', '.join(MODES)}")
        generator = checkpoint.build_generator(average).to(device)
        fix_statistics(generator, bn)
        has_average = checkpoint.average is not None
        return cls(checkpoint.hash, generator, bn, average and has_average, has_average)

    @property
    def draw_settings(self) -> DrawSettings:
        """The settings with which it generates images."""
        return draw_settings(self.bn, self.average)

    def seeded(self, seed: int, count: int) -> Latents:
        """The latent vectors 0 … `count` − 1 of `seed`, [count, z_dim]."""
        config = self.generator.config
        return seeded_latents(seed, count, config.z_dim, config.z_dist)

    def options_for(self, drawn: DrawSettings | None) -> str | None:
        """The options that generate images as `drawn` says; None if in use already, or unknown."""
        if drawn is None or drawn == self.draw_settings:
            return None
        weights = "leave out --no-ema" if drawn.ema else "give --no-ema"
        wanted = [f"give --bn {drawn.bn}"] if drawn.bn != self.bn else []
        wanted += [weights] if drawn.ema != self.average else []
        return " and ".join(wanted) or "draw with the version of dcgan that drew them"

    def provenance(self, command: Sequence[str], seed: int | None, latents: Latents) -> Provenance:
        """What a grid keeps of tiles of `latents` [N, z_dim], drawn here by `dcgan` `command`.

        Rows of NaN are tiles that were not drawn from a z.
        """
        options = ["--bn", self.bn]
        options += ["--no-ema"] if self.has_average and not self.average else []
        text = shlex.join([*command, *options])
        return Provenance(self.checkpoint, text, seed, latents, self.draw_settings)

    @torch.no_grad()
    def normalized(self, latents: Latents) -> torch.Tensor:
        """Images of `latents` [N, z_dim] as float32 [N, C, S, S] in [−1, 1] on the CPU.

        Raises CheckpointError where the network's weights lead to values that are not finite.
        """
        device = next(self.generator.parameters()).device
        parts: list[torch.Tensor] = []
        for start in range(0, len(latents), SAMPLES_PER_BATCH):
            rows = latents[start : start + SAMPLES_PER_BATCH]
            full = np.zeros((SAMPLES_PER_BATCH, latents.shape[1]), np.float32)
            full[: len(rows)] = rows
            parts.append(self.generator(torch.from_numpy(full).to(device))[: len(rows)].cpu())
        images = torch.cat(parts)
        if not bool(images.isfinite().all()):
            raise CheckpointError(
                f"model {self.checkpoint}: the generator draws values that are NaN or infinite, so "
                "its weights are damaged or its training failed; use an earlier checkpoint"
            )
        return images

    def images(self, latents: Latents) -> Images:
        """Images of `latents` [N, z_dim] as uint8 [N, S, S, C]."""
        return to_uint8(self.normalized(latents))


def untrained(sampler: Sampler, seed: int) -> Sampler:
    """A generator of the same architecture with random weights, on the same device.

    It normalizes with the statistics of a reference batch: it has no others.
    """
    device = next(sampler.generator.parameters()).device
    generator = Generator(sampler.generator.config)
    initialize(generator, torch_stream(seed, "untrained generator"))
    generator.to(device)
    fix_statistics(generator, "batch")
    return Sampler("", generator, "batch", False)


def draw_samples(sampler: Sampler, *, seed: int, count: int, columns: int | None = None) -> Report:
    """One image grid of the samples 0 … `count` − 1 of `seed`."""
    return draw_latents(sampler, sampler.seeded(seed, count), seed=seed, columns=columns)


def draw_latents(
    sampler: Sampler, latents: Latents, *, seed: int | None = None, columns: int | None = None
) -> Report:
    """One image grid of the images of `latents` [N, z_dim]; `seed` where they come from one."""
    config = sampler.generator.config
    grid = ImageGrid(
        "samples",
        sampler.images(latents),
        columns or math.ceil(math.sqrt(len(latents))),
        provenance=sampler.provenance(["sample"], seed, latents),
    )
    facts: dict[str, Any] = {
        "checkpoint": sampler.checkpoint,
        "seed": seed,
        "count": len(latents),
        "size": config.size,
        "channels": config.channels,
        "bn": sampler.bn,
        "ema": sampler.average,
    }
    drawn = "given latent vectors" if seed is None else f"seed {seed}"
    side = f"{config.size}×{config.size} pixels"
    verdict = f"{counted(len(latents), 'image')} of {side}, {drawn}"
    return Report("Samples", facts, grids=(grid,), verdict=verdict)
