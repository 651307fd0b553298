"""Whether images suffer from bfloat16: the same data and seeds, trained both ways.

    python tests/benchmarks/precision.py [--source demo:faces] [--steps 1000] [--seeds 4]

Two statistics of samples against as many real images, both of 12×12 pixels: the Fréchet distance
(less is better), and how often the nearest neighbor of an image is of its own kind, real or drawn
(Lopez-Paz and Oquab 2017; 50 % where nobody can tell them apart). What bfloat16 changes is shown
beside what another seed changes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import load
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.report import Images

SIDE, COUNT = 12, 2000
PRECISIONS = ("fp32", "bf16")


def small(images: Images) -> NDArray[np.float64]:
    """uint8 [N, S, S, C] → [N, SIDE · SIDE · C] in [0, 1]."""
    maps = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    return F.adaptive_avg_pool2d(maps, SIDE).flatten(1).numpy()


def frechet(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Distance of the normal distributions that fit two sets of images."""
    first, second = np.cov(one.T), np.cov(other.T)
    roots = np.sqrt(
        np.linalg.eigvals(first @ second).real.clip(0)
    )  # of the product, real but for rounding
    means = np.square(one.mean(0) - other.mean(0)).sum()
    return float(means + np.trace(first) + np.trace(second) - 2 * roots.sum())


def told_apart(real: NDArray[np.float64], drawn: NDArray[np.float64]) -> float:
    """Percent of all images whose nearest neighbor is of their kind."""
    every = np.concatenate((real, drawn))
    kind = np.arange(len(every)) < len(real)
    nearest = NearestNeighbors(n_neighbors=1).fit(every).kneighbors(return_distance=False)[:, 0]
    return 100 * float((kind == kind[nearest]).mean())


def trained(folder: Path, arguments: argparse.Namespace, seed: int, precision: str) -> Images:
    """Samples of a training by the command."""
    name = f"{precision}-{seed}"
    typed = [arguments.source, "--run", name, "--out", str(folder), "--precision", precision]
    typed += ["--size", str(arguments.size), "--preset", "small", "--steps", str(arguments.steps)]
    typed += ["--seed", str(seed), "--keep", "0", "--quiet"]
    command = [sys.executable, "-m", "dcgan_cli", "train", *typed]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    state = load(folder / name / "last.pt")
    if state.training["precision"] != precision:
        sys.exit(f"{precision} was not trained in: {state.training['precision']}")
    latents = seeded_latents(0, COUNT, state.model.z_dim, state.model.z_dist)
    return Sampler.of(state, "reestimated", torch.device("cpu")).images(latents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", default="demo:faces")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    source = open_source(arguments.source)
    images = prepare(source, ImageSpec(arguments.size, 3))
    chosen = np.random.default_rng(0).choice(len(images), 2 * COUNT, replace=False)
    real, others = (small(images.take(half)) for half in np.split(chosen, 2))
    print(f"real images: {frechet(real, others):.3f}, {told_apart(real, others):.1f} %")
    found: dict[str, list[tuple[float, float]]] = {precision: [] for precision in PRECISIONS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for precision in PRECISIONS:
                drawn = small(trained(Path(folder), arguments, seed, precision))
                found[precision].append((frechet(real, drawn), told_apart(real, drawn)))
                distance, share = found[precision][-1]
                print(f"seed {seed}, {precision}: {distance:.3f}, {share:.1f} %", flush=True)
    for place, name in enumerate(("Fréchet distance", "own kind nearest, %")):
        by = {p: [metrics[place] for metrics in found[p]] for p in PRECISIONS}
        change = [b - a for a, b in zip(*by.values(), strict=True)]
        print(
            f"{name}: "
            + ", ".join(
                f"{p} {statistics.mean(v):.3f} (± {statistics.stdev(v):.3f} of seeds)"
                for p, v in by.items()
            )
            + f"; bf16 − fp32 {statistics.mean(change):+.3f}"
            + f" ± {statistics.stdev(change) / len(change) ** 0.5:.3f}"
        )


if __name__ == "__main__":
    main()
