"""How evenly images change along an interpolation: the paper's memorization test as values (§6.1).

A generator that has generalized changes its image at a steady rate; one that reproduces memorized
images stays constant and then jumps. The **sharpest transition** measures that: the fastest change
in a segment as a multiple of its median change. It is located by repeated halving, so that it
depends neither on how many steps are shown nor on how many memorized images the path passes: 1 for
a steady rate, 256 and more for a jump, LIMIT if nothing else changes.

The test distinguishes a lookup table from a generator, whatever the size of the table. A low value
does not prove that nothing was memorized: a network fitted to few images blends between them, which
gives 2 to 5 rather than a sharp transition.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.features import features
from dcgan_cli.analysis.interpolate.paths import Times, split_times
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.runtime import numpy_stream

Film = Callable[[Times], Tensor]
"""From times [N] to images float32 [N, C, S, S] in [−1, 1]."""

FeatureFunction = Callable[[Tensor], Tensor]
"""From images to rows [N, F] whose Euclidean distance says how far the images are apart."""

Transition = Literal["still", "smooth", "sharp"]

MEASURED = 31
"""Steps in which each segment is measured, however many are shown: 32 images, one batch."""

HALVINGS = 8
"""How often the largest of those steps is halved, each time keeping the half that changes more. A
steady change is halved with it; a jump stays whole and becomes 2 ** HALVINGS times as fast."""

LIMIT = float(MEASURED * 2**HALVINGS)
"""All of the way within the smallest step: no transition can be measured as sharper."""

SHARP = 2.0 ** (HALVINGS / 2)
"""From here on a transition is called sharp: 16, by ratio half-way from a steady pace to a jump."""

STILL = 1e-5
"""Distances below this may be rounding errors, at most a fortieth of a gray level: a segment
without a larger step does not change, and a smaller median counts as this."""

PAIRS, EPSILON = 16, 1e-4
"""Pairs of images a segment, and their distance in t, for the perceptual path length."""


def pixel_features(images: Tensor) -> Tensor:
    """Rows whose distance is the root mean square difference, 1 from all black to all white."""
    return images.flatten(1) / (2 * images[0].numel() ** 0.5)


def discriminator_features(discriminator: Discriminator) -> FeatureFunction:
    """D's features (paper §5.1) at unit length: their distance lies in [0, 2]."""
    return lambda images: F.normalize(features(discriminator, images))


def fade_film(ends: Tensor) -> Film:
    """Cross-fades from each of the images `ends` [P, C, S, S] to the next: a mean of pixels."""

    def film(times: Times) -> Tensor:
        first, share = split_times(times, len(ends) - 1)
        weight = torch.from_numpy(share).float().reshape(-1, 1, 1, 1)
        return torch.lerp(ends[first], ends[first + 1], weight)

    return film


@dataclass(frozen=True)
class Measures:
    """What was measured on a film, one row a segment; [segments] or [segments, feature extractors].

    `step` is the mean distance between neighboring images as shown; `sharpest` the fastest change
    as a multiple of the median one, NaN where nothing moves; `path_length` the mean of d² / ε², d
    the distance in the last extractor of two images ε apart in t (Karras et al. 2019, arXiv
    1812.04948, §4.1).
    """

    step: NDArray[np.float64]
    sharpest: NDArray[np.float64]
    path_length: NDArray[np.float64]

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The segments on which the image changes."""
        return ~np.any(np.isnan(self.sharpest), axis=1)

    @property
    def sharp(self) -> NDArray[np.bool_]:
        """The segments with a sharp transition, to any feature extractor."""
        return np.any(self.sharpest >= SHARP, axis=1)


def measure_transitions(
    film: Film, extractors: Sequence[FeatureFunction], segments: int, steps: int, seed: int
) -> Measures:
    """Measure `film` from time 0 to `segments`; `steps` images are shown of each, ends included."""
    with full_precision():
        shown = [_changes(film, extractors, k + np.linspace(0, 1, steps)) for k in range(segments)]
        return Measures(
            np.stack([changes.mean(0) for changes in shown]),
            sharpest(film, extractors, segments),
            np.array([_path_length(film, extractors[-1], k, seed) for k in range(segments)]),
        )


@contextmanager
def full_precision() -> Generator[None]:
    """Convolutions in full float32 while the block lasts.

    On recent NVIDIA devices they otherwise keep ten bits (TF32): smaller changes of z would become
    steps, which look like jumps.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def sharpest(
    film: Film, extractors: Sequence[FeatureFunction], segments: int
) -> NDArray[np.float64]:
    """The sharpest transition for every segment and feature extractor, float64 [segments, E].

    From 1 (up to rounding, and to STILL) to LIMIT; NaN where nothing moves.
    """
    grid = np.linspace(0, 1, MEASURED + 1)
    coarse = np.stack([_changes(film, extractors, k + grid) for k in range(segments)])
    largest = coarse.max(1)
    left = np.arange(segments)[:, None] + grid[coarse.argmax(1)]
    width = 1 / MEASURED
    for _ in range(HALVINGS):
        width /= 2
        times = left[..., None] + width * np.arange(3)
        images = film(times.ravel()).unflatten(0, times.shape)
        for i, extract in enumerate(extractors):
            halves = _lengths(extract(images[:, i].flatten(0, 1)), 3)
            left[:, i] += width * halves.argmax(1)
            largest[:, i] = halves.max(1)
    speed = largest / (width * MEASURED)
    ratio = np.minimum(speed / np.maximum(np.median(coarse, 1), STILL), LIMIT)
    return np.where(coarse.max(1) > STILL, ratio, np.nan)


def classify_transition(measures: Measures) -> Transition:
    """`still` where nothing moves, `sharp` where any segment has a sharp transition, or `smooth`."""
    if not measures.moving.any():
        return "still"
    return "sharp" if measures.sharp.any() else "smooth"


def _changes(
    film: Film, extractors: Sequence[FeatureFunction], times: Times
) -> NDArray[np.float64]:
    """How far each image at `times` is from the one before, float64 [N − 1, feature extractors]."""
    images = film(times)
    return np.stack([_lengths(extract(images), len(times))[0] for extract in extractors], 1)


def _lengths(rows: Tensor, count: int) -> NDArray[np.float64]:
    """Distances of neighbors in runs of `count` rows: [runs × count, F] → [runs, count − 1]."""
    runs = rows.unflatten(0, (-1, count))
    return torch.linalg.vector_norm(runs.diff(dim=1), dim=-1).double().numpy()


def _path_length(film: Film, extract: FeatureFunction, segment: int, seed: int) -> float:
    """Mean of d² / ε² over PAIRS places of one segment, one in each of as many equal parts."""
    part = (np.arange(PAIRS) + numpy_stream(seed, "path length", segment).random(PAIRS)) / PAIRS
    start = segment + part * (1 - EPSILON)
    pairs = extract(film(np.stack([start, start + EPSILON], 1).ravel()))
    return float((_lengths(pairs, 2) ** 2).mean() / EPSILON**2)
