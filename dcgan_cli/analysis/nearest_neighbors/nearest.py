"""Memorization: samples beside their nearest training images, and a verdict.

The authors did not accept a search over training images as evidence (paper.md's appendix), and an
image grid of neighbors alone is not evidence: this compares samples with held-out real images,
twice, by outlines and by D's features, and gives the uncertainty.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.feature_extractors import blur
from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Features, Outlines, Pixels
from dcgan_cli.analysis.nearest_neighbors.memorization import (
    LEVEL,
    SCALE_NEIGHBORS,
    MemorizationTest,
    closeness,
    combined,
    detectable,
    memorized,
)
from dcgan_cli.analysis.nearest_neighbors.neighbor_report import (
    FEATURES,
    OUTLINES,
    Asked,
    Block,
    closest_table,
    findings,
    grid,
    notes,
    short_verdict,
    tails_table,
    verdict,
)
from dcgan_cli.analysis.nearest_neighbors.training_search import BLOCK, Question, Training, find
from dcgan_cli.analysis.neighbors import NeighborTable
from dcgan_cli.data.pixels import normalize, to_uint8
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import Images, Report
from dcgan_cli.runtime import numpy_stream

MAX_ON_MAP = 2000
MAP_GROUPS = ("training images", "samples")
MAP_TITLE = "D's features: training images blue, samples orange"


def nearest_neighbors(
    asked: Asked,
    training: Training,
    held_out: Images,
    discriminator: Discriminator,
    *,
    k: int,
    rows: int,
    seed: int,
    trained_on: bool = False,
    progress: ProgressCallback = lambda done, total: None,
) -> Report:
    """Find the neighbors of `asked` and test whether they are copies.

    Args:
        asked: samples, or images that were given.
        training: what they are compared with.
        held_out: uint8 [m, S, S, C], real images that are not among `training`.
        discriminator: whose features are one of the metrics.
        k: neighbors shown of each.
        rows: how many of `asked` are shown, and how many of the closest.
        seed: of all that is drawn at random.
        trained_on: whether the network was trained on `held_out`, which are then set aside from the
            comparison and not held out.
        progress: told how many training images have been compared.

    Returns:
        A report whose image grid `nearest` shows, in each row, the image, its neighbors in pixels
        (for the closest images: in outlines), and its neighbors in D's features.
    """
    device = next(discriminator.parameters()).device
    size, channels = asked.images.shape[1], asked.images.shape[3]
    shown = asked.images[:rows]
    everything = np.concatenate([asked.images, held_out, blurred(held_out), blurred(asked.images)])
    questions = (
        Question(Pixels(size, channels), shown),
        Question(Outlines(size), everything),
        Question(Features(discriminator), everything),
    )
    count = max(k, SCALE_NEIGHBORS)
    by_pixels, by_outlines, by_features = find(questions, training, count, device, progress)
    n, m = len(asked), len(held_out)
    found = {OUTLINES: by_outlines, FEATURES: by_features}
    tests = {metric: _verdict(neighbors, n, m) for metric, neighbors in found.items()}
    rarity = np.stack([test.rarity for test in tests.values()])
    closest = np.lexsort((tests[OUTLINES].samples, rarity.min(0)))[:rows]
    blocks: list[Block] = [(np.arange(len(shown)), by_pixels, "px", by_features)]
    if n > rows:
        blocks.append((closest, by_outlines[closest], "out", by_features))
    return Report(
        "Nearest neighbors",
        {
            "checkpoint": asked.record.checkpoint,
            "seed": seed,
            "size": size,
            "channels": channels,
            "images": n,
            "training": len(training.numbers),
            "held_out": m,
            "held_out_trained_on": trained_on,
            "k": k,
            "memorized": memorized(tests),
            "p_value": combined(tests),
            "level": LEVEL,
            "detectable": detectable(n, m, len(tests)),
            "closest": [int(i) for i in closest],
        },
        findings=findings(tests, found, n, m, trained_on),
        tables=(tails_table(tests), closest_table(asked, training, tests, found, closest)),
        grids=(grid(asked, training, blocks, k, short_verdict(tests, n, m)),),
        notes=notes(tests, trained_on),
        verdict=verdict(tests, n, m, trained_on),
    )


def blurred(images: Images) -> Images:
    """Images uint8 [N, S, S, C] at half their resolution, scaled back."""
    return to_uint8(blur(normalize(torch.from_numpy(images))))


def _verdict(found: NeighborTable, n: int, m: int) -> MemorizationTest:
    """The test of n query images and m held-out images, of both as they are and blurred."""
    asked, held_out, soft_held_out, soft_asked = np.split(
        closeness(found.distances[:, :SCALE_NEIGHBORS]), [n, n + m, n + 2 * m]
    )
    return MemorizationTest(
        asked, np.minimum(held_out, soft_held_out), np.minimum(asked, soft_asked)
    )


def map_rows(
    asked: Asked, training: Training, discriminator: Discriminator, seed: int
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """D's features [N, F] of some training images and some of `asked`, and which are which [N].

    Groups are numbers of MAP_GROUPS; up to MAX_ON_MAP of each, at random.
    """
    metric, stream = Features(discriminator), numpy_stream(seed, "map")
    numbers = stream.permutation(training.numbers)[:MAX_ON_MAP]
    chosen = np.sort(stream.permutation(len(asked))[:MAX_ON_MAP])
    rows = [
        metric.rows(training.images.take(numbers[first : first + BLOCK]))
        for first in range(0, len(numbers), BLOCK)
    ]
    rows.append(metric.rows(asked.images[chosen]))
    return torch.cat(rows), np.repeat([0, 1], [len(numbers), len(chosen)])
