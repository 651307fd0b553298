"""The report on nearest neighbors: image grid, findings and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.memorization import (
    MemorizationTest,
    combined,
    detectable,
    memorized,
)
from dcgan_cli.analysis.nearest_neighbors.training_search import Training
from dcgan_cli.analysis.neighbors import NeighborTable
from dcgan_cli.analysis.statistics import median
from dcgan_cli.analysis.verdicts import percent
from dcgan_cli.report import (
    SHARE,
    Beside,
    Estimate,
    Finding,
    ImageGrid,
    Images,
    Part,
    Provenance,
    Stack,
    Table,
    Tiles,
    Words,
)
from dcgan_cli.wording import counted

OUTLINES, FEATURES = "outlines", "features"
METRICS = {OUTLINES: "outlines", FEATURES: "D's features"}

HEADINGS = {"px": "pixels", "out": "outlines"}
"""In the headings of the figure, by the short names of metrics."""

REPEATED = 0.1
"""If the closeness of a held-out image is below this, it is said to repeat a training image."""


@dataclass(frozen=True, eq=False)
class Queries:
    """Query images uint8 [n, S, S, C], and their names.

    `record` says what drew them; its latents are [n, z_dim], NaN for images that were given.
    """

    images: Images
    names: Sequence[str]
    record: Provenance

    def __len__(self) -> int:
        return len(self.images)


Block = tuple[NDArray[np.int64], NeighborTable, str, NeighborTable]
"""The numbers of query images, their neighbors by one metric with its short name, and, by number of
the image, those in D's features."""


def grid(
    queries: Queries, training: Training, blocks: Sequence[Block], k: int, verdict: str
) -> ImageGrid:
    """Rows of image, neighbors by one metric, a gap, and neighbors in D's features.

    The figure has `verdict` as its title.
    """
    gap = np.full_like(queries.images[:1], 255)
    images: list[Images] = []
    captions: list[str] = []
    labels: list[str] = []
    made_by: list[int] = []
    for numbers, by_metric, metric, by_features in blocks:
        for row, number in enumerate(map(int, numbers)):
            left, right = by_metric.indices[row, :k], by_features.indices[number, :k]
            found = [training.images.take(near) for near in (left, right)]
            images += [queries.images[number][None], found[0], gap, found[1]]
            captions += ["", *_distances(metric, by_metric.distances[row, :k])]
            captions += ["", *_distances("D", by_features.distances[number, :k])]
            labels.append(queries.names[number])
            made_by += [number, *[-1] * (2 * k + 1)]
    nothing = np.full_like(queries.record.latents[:1], np.nan)
    latents = np.concatenate([queries.record.latents, nothing])[made_by]  # −1: no image
    return ImageGrid(
        "nearest",
        np.concatenate(images),
        2 * k + 2,
        captions,
        labels,
        replace(queries.record, latents=latents),
        figure=_figure([(len(numbers), metric) for numbers, _, metric, _ in blocks], k, verdict),
        caption=f"{verdict}. Images, framed, beside the training images nearest to them",
    )


def _figure(blocks: Sequence[tuple[int, str]], k: int, verdict: str) -> Part:
    """Headed columns of each block: its number of rows, and the metric of its first neighbors."""
    parts: list[Part] = [Words(verdict, "title")]
    first = 0
    for count, metric in blocks:
        starts = [(first + row) * (2 * k + 2) for row in range(count)]
        first += count

        def panel(heading: str, at: int, wide: int, starts: Sequence[int] = starts) -> Part:
            rows = [list(range(start + at, start + at + wide)) for start in starts]
            framed = [] if at else [row[0] for row in rows]
            return Stack([Words(heading, "heading"), Tiles(rows, framed=framed)])

        sample = panel("sample" if metric == "px" else "closest", 0, 1)
        near = panel(f"nearest by {HEADINGS[metric]}", 1, k)
        parts.append(
            Beside([sample, near, panel("nearest in D's features", k + 2, k)], align="end")
        )
    return Stack(parts, apart=True)


def _distances(metric: str, distances: NDArray[np.float64]) -> list[str]:
    return [f"{metric} {distance:.3f}".replace(" 0.", " .") for distance in distances]


def findings(
    tests: Mapping[str, MemorizationTest],
    found: Mapping[str, NeighborTable],
    n: int,
    m: int,
    trained_on: bool,
) -> tuple[Finding, ...]:
    """Share of copies, effect size and distance of each metric, each beside held-out images."""
    called = "set aside, trained on" if trained_on else "held out"
    one = "image set aside" if trained_on else "held-out image"
    found_less = partial(Finding, control_label=called, unit=SHARE, better="down", headline=True)
    rows: list[Finding] = []
    for metric, test in tests.items():
        of_asked, of_held_out, *_ = np.split(found[metric].distances[:, 0], [n, n + m, n + 2 * m])
        by = f"by {METRICS[metric]}"
        copies, closer = (
            f"samples that are copies, {by}",
            f"samples closer than a random {one}, {by}",
        )
        distances = f"distance to the nearest, {by}", median(of_asked), median(of_held_out)
        rows += [
            found_less(f"copies_{metric}", copies, test.copies, Estimate(0.0)),
            found_less(f"closer_{metric}", closer, test.closer, Estimate(0.5)),
            Finding(f"distance_{metric}", *distances, called),
        ]
    return tuple(rows)


def tails_table(tests: Mapping[str, MemorizationTest]) -> Table:
    """Every tail looked at: where the p-value comes from."""
    return Table(
        "Tails",
        ("by", "closer than", "share of real", "share found", "found", "p-value"),
        [
            (metric, tail.limit, tail.expected, tail.below / tail.samples, tail.below, tail.p_value)
            for metric, test in tests.items()
            for tail in test.tails
        ],
        keys=("by", "closer_than", "share_held_out", "share_found", "found", "p_value"),
    )


def closest_table(
    queries: Queries,
    training: Training,
    tests: Mapping[str, MemorizationTest],
    found: Mapping[str, NeighborTable],
    closest: NDArray[np.int64],
) -> Table:
    """The images that are most likely copies, of what, and by which metric."""
    rows: list[Sequence[str | float]] = []
    for number in map(int, closest):
        metric = min(tests, key=lambda metric: tests[metric].rarity[number])
        test, neighbors = tests[metric], found[metric]
        name = training.name(int(neighbors.indices[number, 0]))
        values = neighbors.distances[number, 0], test.samples[number], test.rarity[number]
        rows.append((queries.names[number], name, metric, *map(float, values)))
    columns = "image", "training image", "by", "distance", "closeness", "real as close"
    return Table("Closest", columns, rows)


def short_verdict(tests: Mapping[str, MemorizationTest], n: int, held_out: int) -> str:
    """The verdict in a few words, for the title of the figure."""
    few = np.isnan(detectable(n, held_out, len(tests)))
    said = "no verdict: too few held-out images" if few else "no memorization found"
    return f"{'memorized' if memorized(tests) else said} (p = {combined(tests):.2g})"


def verdict(
    tests: Mapping[str, MemorizationTest], n: int, held_out: int, trained_on: bool = False
) -> str:
    """Whether `n` images are copies, with the test that says so."""
    real = "images set aside" if trained_on else "held-out images"
    p_value, least = combined(tests), detectable(n, held_out, len(tests))
    if memorized(tests):
        metric, test = min(tests.items(), key=lambda item: item[1].p_value)
        tail = test.most_significant
        return (
            f"memorized (p = {p_value:.2g}): by {METRICS[metric]}, {tail.below:,} of {n:,} are closer to a "
            f"training image than {percent(1 - tail.expected)} of the {real}; by chance it would be "
            f"{tail.expected * n:.3g}"
        )
    if np.isnan(least):
        return (
            f"no verdict: {held_out:,} {real} are too few to tell even copies throughout from chance "
            f"(p = {p_value:.2g}); hold out more"
        )
    return (
        f"not memorized: no copies found among {counted(n, 'image')}, beside {held_out:,} {real} "
        f"(p = {p_value:.2g}); fewer than {percent(least)} would not be found"
    )


def notes(tests: Mapping[str, MemorizationTest], trained_on: bool) -> tuple[str, ...]:
    """What makes the verdict weaker."""
    says: list[str] = []
    if trained_on:
        says += ["the network was trained on the images set aside too; --held-out SOURCE: others"]
    repeated = float(np.mean(tests[OUTLINES].held_out < REPEATED))
    if repeated > 0.01:
        real = "images set aside" if trained_on else "held-out images"
        says.append(
            f"{percent(repeated)} of the {real} are near-copies of training images themselves, among "
            "which copies hide"
        )
    return tuple(says)
