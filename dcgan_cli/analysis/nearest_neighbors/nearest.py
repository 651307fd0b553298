"""Memorization: samples beside their nearest training images, and a verdict.

The authors did not accept a search over training images as evidence (paper.md's appendix), and an
image grid of neighbors alone is not evidence: this compares samples with held-out real images,
twice, by outlines and by D's features, and gives the uncertainty.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.feature_extractors import blur
from dcgan_cli.analysis.nearest_neighbors import memorization, neighbor_report
from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Features, Outlines, Pixels
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
    queries: neighbor_report.Queries,
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
    """Find the neighbors of `queries` among `training` and test whether they are copies.

    `held_out`, uint8 [m, S, S, C], are real images that are not among `training`; with `trained_on`
    the network was trained on them, and they are set aside from the comparison and not held out.
    `rows` of the queries and of the closest are shown in the image grid `nearest`: in each row the
    image, its `k` neighbors in pixels (for the closest images: in outlines), and in D's features.
    """
    device = next(discriminator.parameters()).device
    size, channels = queries.images.shape[1], queries.images.shape[3]
    shown = queries.images[:rows]
    everything = np.concatenate(
        [queries.images, held_out, blurred(held_out), blurred(queries.images)]
    )
    questions = (
        Question(Pixels(size, channels), shown),
        Question(Outlines(size), everything),
        Question(Features(discriminator), everything),
    )
    count = max(k, memorization.SCALE_NEIGHBORS)
    by_pixels, by_outlines, by_features = find(questions, training, count, device, progress)
    n, m = len(queries), len(held_out)
    found = {neighbor_report.OUTLINES: by_outlines, neighbor_report.FEATURES: by_features}
    tests = {metric: _verdict(neighbors, n, m) for metric, neighbors in found.items()}
    rarity = np.stack([test.rarity for test in tests.values()])
    closest = np.lexsort((tests[neighbor_report.OUTLINES].samples, rarity.min(0)))[:rows]
    blocks: list[neighbor_report.Block] = [(np.arange(len(shown)), by_pixels, "px", by_features)]
    if n > rows:
        blocks.append((closest, by_outlines[closest], "out", by_features))
    return Report(
        "Nearest neighbors",
        {
            "checkpoint": queries.record.checkpoint,
            "seed": seed,
            "size": size,
            "channels": channels,
            "images": n,
            "training": len(training.numbers),
            "held_out": m,
            "held_out_trained_on": trained_on,
            "k": k,
            "memorized": memorization.memorized(tests),
            "p_value": memorization.combined(tests),
            "level": memorization.LEVEL,
            "detectable": memorization.detectable(n, m, len(tests)),
            "closest": [int(i) for i in closest],
        },
        findings=neighbor_report.findings(tests, found, n, m, trained_on),
        tables=(
            neighbor_report.tails_table(tests),
            neighbor_report.closest_table(queries, training, tests, found, closest),
        ),
        grids=(
            neighbor_report.grid(
                queries, training, blocks, k, neighbor_report.short_verdict(tests, n, m)
            ),
        ),
        notes=neighbor_report.notes(tests, trained_on),
        verdict=neighbor_report.verdict(tests, n, m, trained_on),
    )


def blurred(images: Images) -> Images:
    """Images uint8 [N, S, S, C] at half their resolution, scaled back."""
    return to_uint8(blur(normalize(torch.from_numpy(images))))


def _verdict(found: NeighborTable, n: int, m: int) -> memorization.MemorizationTest:
    """The test of n query images and m held-out images, of both as they are and blurred."""
    queries, held_out, soft_held_out, soft_asked = np.split(
        memorization.closeness(found.distances[:, : memorization.SCALE_NEIGHBORS]),
        [n, n + m, n + 2 * m],
    )
    return memorization.MemorizationTest(
        queries, np.minimum(held_out, soft_held_out), np.minimum(queries, soft_asked)
    )


def map_rows(
    queries: neighbor_report.Queries, training: Training, discriminator: Discriminator, seed: int
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """D's features [N, F] of some training images and some of `queries`, and which are which [N].

    Groups are numbers of MAP_GROUPS; up to MAX_ON_MAP of each, at random.
    """
    metric, stream = Features(discriminator), numpy_stream(seed, "map")
    numbers = stream.permutation(training.numbers)[:MAX_ON_MAP]
    chosen = np.sort(stream.permutation(len(queries))[:MAX_ON_MAP])
    rows = [
        metric.rows(training.images.take(numbers[first : first + BLOCK]))
        for first in range(0, len(numbers), BLOCK)
    ]
    rows.append(metric.rows(queries.images[chosen]))
    return torch.cat(rows), np.repeat([0, 1], [len(numbers), len(chosen)])
