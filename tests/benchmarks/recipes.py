"""Training recipes at equal time: milliseconds of a step, and KID, precision and recall of the samples.

    python tests/benchmarks/recipes.py photos.zip [--minutes 5] [--recipes plain ema ...] [--seeds 0 1]
                                       [--size 64] [--only-times] [--out runs]

Steps of all recipes are timed turn and turn about on random images; the medians say how many steps
are the asked minutes. Then `dcgan train` makes as many, in the folder --out, where a run that was cut
short goes on, and `dcgan evaluate` compares the samples with the images. For figures that can be
compared nothing else may run while steps are timed; training may be disturbed, as steps are counted.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import seconds

from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.runtime import use_threads
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.precision import choose_precision
from dcgan_cli.training.step import StepSettings, Updater

AUGMENT = "color,translation,cutout"

RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "ema": {"ema": 0.999},
    "lr": {"ema": 0.999, "lr": 4e-4},
    "augment": {"ema": 0.999, "augment": AUGMENT},
    "augment+lr": {"ema": 0.999, "lr": 4e-4, "augment": AUGMENT},
    "batch 32": {"ema": 0.999, "lr": 4e-4, "batch_size": 32},
    "photos": {"preset": "photos"},
    "photos+augment": {"preset": "photos", "augment": AUGMENT},
    "spectral": {"ema": 0.999, "d_norm": "spectral"},
    "hinge+spectral": {
        "ema": 0.999, "loss": "hinge", "d_norm": "spectral", "lr_g": 2e-4, "lr_d": 4e-4
    },
    "two rates": {"ema": 0.999, "lr_g": 1e-4, "lr_d": 4e-4},
    "r1": {"ema": 0.999, "r1": 1.0},
    "relativistic": {"ema": 0.999, "loss": "relativistic", "d_norm": "none"},
    "tutorial": {"ema": 0.999, "preset": "tutorial"},
}  # fmt: skip
"""Options of `dcgan train` by name; without a preset, `small`."""


def options(recipe: dict[str, Any]) -> list[str]:
    """As typed."""
    return [
        text
        for name, value in recipe.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]


def one_step(recipe: dict[str, Any], size: int) -> Callable[[], object]:
    """What makes the next 16 steps of a run: as many as hold one with penalties."""
    asked = dict(recipe)
    preset, loss = PRESETS[asked.pop("preset", "small")], asked.pop("loss", None)
    ema = asked.pop("ema", preset.ema)
    chosen = LOSSES[loss or "non-saturating"]
    model, known = with_options(preset, {"size": size, **chosen.recipe, **asked})
    precision = choose_precision("auto", torch.device("cpu"))
    settings = StepSettings(chosen, chosen.d_steps, ema, 0, torch.device("cpu"), precision)
    updater = Updater(model, replace(known), settings)
    images = torch.rand(known.batch_size, model.channels, size, size) * 2 - 1
    made = 0

    def steps() -> None:
        nonlocal made
        for _ in range(16):
            updater.step(made, 0, lambda _: images)
            made += 1

    return steps


def times(names: Sequence[str], size: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step of each recipe, timed turn and turn about."""
    work = {name: one_step(RECIPES[name], size) for name in names}
    for each in work.values():
        each()
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, each in work.items():
            found[name].append(seconds(each) / 16)
    return {name: statistics.median(each) for name, each in found.items()}


def dcgan(*line: str) -> str:
    """The standard output of `dcgan ...`. Raises CalledProcessError."""
    command = [sys.executable, "-m", "dcgan_cli", *line]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def trained(source: str, out: Path, run: str, steps: int, more: list[str]) -> dict[str, Any]:
    """What `dcgan evaluate` says of a run of `steps` steps."""
    resume = ["--resume"] if (out / run / "last.pt").exists() else more
    dcgan("train", source, "--out", str(out), "--run", run, "--steps", str(steps), "-q", *resume)
    return json.loads(dcgan("evaluate", str(out / run / "last.pt"), "--json", "-q"))


def main() -> None:
    """Print a row for each recipe and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only-times", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    use_threads(asked.threads)
    found = times(asked.recipes, asked.size, asked.rounds)
    print("| recipe | ms a step | steps | seed | KID ↓ | precision ↑ | recall ↑ |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in asked.recipes:
        steps = round(60 * asked.minutes / found[name])
        row = f"| {name} | {1000 * found[name]:.1f} | {steps:,} |"
        if asked.only_times:
            print(f"{row} | | | |", flush=True)
            continue
        for seed in asked.seeds:
            more = [
                "--size",
                str(asked.size),
                "--seed",
                str(seed),
                "--keep",
                "0",
                *options(RECIPES[name]),
            ]
            run = f"{name.replace(' ', '-')}-{seed}"
            values = trained(asked.source, asked.out, run, steps, more)["findings"]
            kid, precision, recall = (values[key] for key in ("kid", "precision", "recall"))
            print(
                f"{row} {seed} | {kid['value']:.3f} [{kid['low']:.3f}, {kid['high']:.3f}] | "
                f"{precision['value']:.2f} | {recall['value']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
