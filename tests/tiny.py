"""Makers of tiny networks, images and trainers, shared by the tests of training."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.data.batches import Batches
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.report import Images
from dcgan_cli.training.events import Event, Finished, Length, Policy
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.run_folder import RunFolder
from dcgan_cli.training.step import StepSettings
from dcgan_cli.training.trainer import Trainer

MODEL = ModelConfig(
    size=16, channels=1, z_dim=4, z_dist="normal", ngf=2, ndf=2, kernel=4, projection="channel"
)
"""Two levels: the smallest networks with a batch norm in both, of some 200 weights each."""

PER_IMAGE = replace(MODEL, d_norm="layer")
"""For wgan-gp, whose penalty is defined image by image."""

RECIPE = Recipe(batch_size=4)


class Noise:
    """`count` images of random pixels, each with a brightness of its own."""

    def __init__(self, count: int = 16, side: int = 16, channels: int = 1, seed: int = 0) -> None:
        stream = np.random.default_rng(seed)
        level = stream.integers(60, 196, (count, 1, 1, 1))
        spread = stream.integers(-60, 60, (count, side, side, channels))
        self.images: Images = (level + spread).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> Images:
        return self.images[indices]


def settings(loss: str = "non-saturating", **changes: Any) -> StepSettings:
    """Settings of a step on the CPU in float32, with one D update where nothing else is said."""
    values = {"d_steps": 1, "ema": None, "seed": 7, "device": torch.device("cpu")}
    return StepSettings(
        **{"loss": LOSSES[loss], "precision": torch.float32, **values, **changes}  # type: ignore[arg-type]
    )


@contextmanager
def trainer(
    path: Path,
    loss: str = "non-saturating",
    *,
    recipe: Recipe = RECIPE,
    model: ModelConfig | None = None,
    images: Noise | None = None,
    policy: Policy = "warn",
    keep: int | None = 2,
    save_minutes: float = 10.0,
    **changes: Any,
) -> Generator[Trainer]:
    """A trainer of tiny networks that writes to `path`, locked and unlocked with the block."""
    step = settings(loss, **changes)
    model = model or (PER_IMAGE if loss == "wgan-gp" else MODEL)
    batches = Batches(
        images or Noise(),
        size=model.size,
        batch_size=recipe.batch_size,
        seed=step.seed,
        flip=recipe.flip,
    )
    about: dict[str, dict[str, Any]] = {"training": {}, "data": {}}
    try:
        with RunFolder(path) as folder:
            yield Trainer(
                model,
                recipe,
                step,
                batches,
                folder,
                about,
                policy=policy,
                keep=keep,
                save_minutes=save_minutes,
            )
    finally:
        batches.close()


def train(trainer: Trainer, steps: int) -> list[Event]:
    """Train until step `steps` is made; all events, the last of them Finished."""
    events = list(trainer.run(Length(steps=steps)))
    assert isinstance(events[-1], Finished)
    return events


def flat(checkpoint: Checkpoint) -> dict[str, Any]:
    """Every tensor and number of a run's state by its path, without the times."""
    progress = {key: value for key, value in checkpoint.progress.items() if key != "seconds"}
    found: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                add(f"{path}/{key}", inner)
        elif isinstance(value, list | tuple):
            for place, inner in enumerate(value):
                add(f"{path}/{place}", inner)
        else:
            found[path] = value

    add("generator", checkpoint.generator)
    add("discriminator", checkpoint.discriminator)
    add("average", checkpoint.average)
    add("optimizers", checkpoint.optimizers)
    add("progress", progress)
    return found


def differences(one: Checkpoint, other: Checkpoint) -> list[str]:
    """Paths at which two states differ in even one bit; empty where they are the same."""
    first, second = flat(one), flat(other)
    return [
        path for path in sorted({*first, *second}) if not _same(first.get(path), second.get(path))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and one == other
