"""What there is to show of nearest neighbours and of the verdict on them: sheet, figures, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.eyes import OUTLINE
from dcgan_cli.analysis.nearest_neighbors.memorisation import (
    NEIGHBOURS,
    Verdict,
    combined,
    detectable,
    memorised,
)
from dcgan_cli.analysis.nearest_neighbors.reference import Training
from dcgan_cli.analysis.neighbours import Neighbours
from dcgan_cli.analysis.statistics import median
from dcgan_cli.report import Estimate, Finding, Pictures, Provenance, Sheet, Table

OUTLINES, FEATURES = "outlines", "features"
EYES = {OUTLINES: "outlines", FEATURES: "D's features"}

REPEATED = 0.1
"""Closeness below which a held-out picture is said to repeat a training picture."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Pictures uint8 [n, S, S, C] to be judged, and what each is called.

    `record` says what drew them; its latents are [n, z_dim], NaN for pictures that were given.
    """

    pictures: Pictures
    names: Sequence[str]
    record: Provenance

    def __len__(self) -> int:
        return len(self.pictures)


Block = tuple[NDArray[np.int64], Neighbours, str, Neighbours]
"""Which of the pictures asked about, and their neighbours by one eye (whose short name follows) and,
by number of the picture, in D's features."""


def sheet(asked: Asked, training: Training, blocks: Sequence[Block], k: int) -> Sheet:
    """Rows of picture, neighbours by one eye, a gap, and neighbours in D's features."""
    gap = np.full_like(asked.pictures[:1], 255)
    pictures: list[Pictures] = []
    captions: list[str] = []
    labels: list[str] = []
    made_by: list[int] = []
    for numbers, by_eye, eye, by_features in blocks:
        for row, number in enumerate(map(int, numbers)):
            left, right = by_eye.indices[row, :k], by_features.indices[number, :k]
            pictures += [asked.pictures[number][None], training.pictures.take(left), gap]
            pictures += [training.pictures.take(right)]
            captions += ["", *_distances(eye, by_eye.distances[row, :k])]
            captions += ["", *_distances("D", by_features.distances[number, :k])]
            labels.append(asked.names[number])
            made_by += [number, *[-1] * (2 * k + 1)]
    nothing = np.full_like(asked.record.latents[:1], np.nan)
    latents = np.concatenate([asked.record.latents, nothing])[made_by]  # −1 is nothing
    record = replace(asked.record, latents=latents)
    return Sheet("nearest", np.concatenate(pictures), 2 * k + 2, captions, labels, record)


def _distances(eye: str, distances: NDArray[np.float64]) -> list[str]:
    return [f"{eye} {distance:.3f}".replace(" 0.", " .") for distance in distances]


def findings(
    verdicts: Mapping[str, Verdict],
    found: Mapping[str, Neighbours],
    n: int,
    m: int,
    trained_on: bool,
) -> tuple[Finding, ...]:
    """Share of copies, effect size and distance of each eye, each beside honest images."""
    called = "set aside, trained on" if trained_on else "held out"
    one = "set aside" if trained_on else "held out"
    rows: list[Finding] = []
    for eye, verdict in verdicts.items():
        of_asked, of_honest, *_ = np.split(found[eye].distances[:, 0], [n, n + m, n + 2 * m])
        where = f"by {EYES[eye]}"
        rows += [
            Finding(
                f"copies_{eye}",
                f"copies, {where}",
                verdict.copies,
                Estimate(0.0),
                called,
            ),
            Finding(
                f"closer_{eye}",
                f"P(closer than one {one}), {where}",
                verdict.closer,
                Estimate(0.5),
                called,
            ),
            Finding(
                f"distance_{eye}",
                f"distance to the nearest, {where}",
                median(of_asked),
                median(of_honest),
                called,
            ),
        ]
    return tuple(rows)


def tails_table(verdicts: Mapping[str, Verdict]) -> Table:
    """Every tail looked at: where the p-value comes from."""
    return Table(
        "Tails",
        ("by", "closer than", "share of real", "share found", "found", "p-value"),
        [
            (eye, tail.limit, tail.expected, tail.below / tail.samples, tail.below, tail.p_value)
            for eye, verdict in verdicts.items()
            for tail in verdict.tails
        ],
        keys=("by", "closer_than", "share_held_out", "share_found", "found", "p_value"),
    )


def closest_table(
    asked: Asked,
    training: Training,
    verdicts: Mapping[str, Verdict],
    found: Mapping[str, Neighbours],
    closest: NDArray[np.int64],
) -> Table:
    """The pictures that are most likely copies, of what, and by which eye."""
    rows: list[tuple[str, str, str, float, float, float]] = []
    for number in map(int, closest):
        eye = min(verdicts, key=lambda eye: verdicts[eye].rarity[number])
        verdict, neighbours = verdicts[eye], found[eye]
        rows.append(
            (
                asked.names[number],
                training.name(int(neighbours.indices[number, 0])),
                eye,
                float(neighbours.distances[number, 0]),
                float(verdict.samples[number]),
                float(verdict.rarity[number]),
            )
        )
    columns = "picture", "training picture", "by", "distance", "closeness", "real as close"
    return Table("Closest", columns, rows)


def notes(
    verdicts: Mapping[str, Verdict], n: int, honest: int, trained_on: bool = False
) -> tuple[str, ...]:
    """How to read the figures, and what they say."""
    real = "images set aside" if trained_on else "held-out images"
    p_value, least = combined(verdicts), detectable(n, honest, len(verdicts))
    reading = (
        "closeness: distance to the nearest training picture as a share of the mean distance to the "
        f"{NEIGHBOURS} nearest; 1 is like several of them, 0 a copy of one. Outlines: {OUTLINE}×"
        f"{OUTLINE} pixels up to a mirror, a small shift, brightness and contrast"
    )
    if memorised(verdicts):
        eye, verdict = min(verdicts.items(), key=lambda item: item[1].p_value)
        tail = verdict.telling
        says = (
            f"memorised (p = {p_value:.2g}): by {EYES[eye]}, {tail.below:,} of {n:,} are closer to a "
            f"training image than {1 - tail.expected:.4g} of the {real}; about "
            f"{tail.expected * n:.3g} would be by chance"
        )
    elif np.isnan(least):
        says = (
            f"no verdict: with {honest:,} {real}, not even copies throughout would be told "
            f"from chance (p = {p_value:.2g}); hold back more"
        )
    else:
        says = (
            f"no memorisation found (p = {p_value:.2g}); copies that make up less than {least:.2g} of "
            f"the images, or that are vaguer than the {real} are by themselves, would not be"
        )
    if trained_on:
        says += "; the network was trained on the images set aside too (--held-out SOURCE: others)"
    repeated = float(np.mean(verdicts[OUTLINES].honest < REPEATED))
    if repeated <= 0.01:
        return reading, says
    hides = (
        f"{repeated:.2g} of the {real} are near-copies of training images themselves "
        f"(closeness by outlines below {REPEATED:g}): where the data repeat themselves, copies hide"
    )
    return reading, says, hides
