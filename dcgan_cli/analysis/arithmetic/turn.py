"""The turn vector (paper §6.3.2, Fig. 8): mean(RIGHT) − mean(LEFT), added to random samples.

Each row of the image grid is one random sample; along the row, the vector is added from −reach to
+reach times, with the sample itself in the middle. The control moves every sample by the same
distance in a random direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import rankdata

from dcgan_cli.analysis.arithmetic.calculation import length_finding, spoken
from dcgan_cli.analysis.arithmetic.defaults import COLUMNS, REACH, ROWS
from dcgan_cli.analysis.arithmetic.directions import draw_exemplars, mean, project_out, random_like
from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    AttributePrediction,
    AttributePredictions,
    joined,
)
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.analysis.statistics import mean as mean_of
from dcgan_cli.analysis.statistics import mean_above, mean_within
from dcgan_cli.analysis.verdicts import UNCLEAR, compare
from dcgan_cli.errors import UsageError
from dcgan_cli.model.latents import Latents
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import (
    SHARE,
    Axis,
    Estimate,
    Finding,
    ImageGrid,
    Report,
    Stack,
    Table,
    Tiles,
    in_rows,
)
from dcgan_cli.runtime import numpy_stream

CLASSIFIED_SAMPLES = 64
"""Number of samples that are moved for the measurement; the image grid shows the first of them."""


@dataclass(frozen=True, eq=False)
class Turn:
    """The vector [z_dim] from the mean of the exemplars `left` [K, z_dim] to that of `right`.

    Samples are moved along it by `coefficients` [columns], evenly from −reach to reach.
    """

    left: Latents
    right: Latents
    vector: FloatArray
    coefficients: FloatArray

    @classmethod
    def between(
        cls,
        left: Latents,
        right: Latents,
        *,
        seed: int,
        exemplars: int,
        columns: int = COLUMNS,
        reach: float = REACH,
        without: FloatArray | None = None,
    ) -> "Turn":
        """The turn from `left` to `right`, [K, z_dim] each, less its part along `without`."""
        drawn = [
            draw_exemplars(side, exemplars, numpy_stream(seed, f"exemplars {name}"))
            for name, side in (("left", left), ("right", right))
        ]
        vector = mean(drawn[1]) - mean(drawn[0])
        if without is not None:
            vector = project_out(vector, without)
        return cls(drawn[0], drawn[1], vector, np.linspace(-reach, reach, columns))

    def moved(self, samples: Latents, directions: FloatArray | None = None) -> Latents:
        """`samples` [N, z_dim] moved along the vector, or each along a direction of its own.

        [N · columns, z_dim], a sample a row of the image grid.
        """
        along = np.broadcast_to(self.vector if directions is None else directions, samples.shape)
        steps = self.coefficients[None, :, None] * along[:, None]
        return (samples[:, None] + steps).astype(np.float32).reshape(-1, samples.shape[1])


def turn(
    sampler: Sampler,
    way: Turn,
    *,
    names: tuple[str, str],
    ends: tuple[str, str] = ("", ""),
    rows: int = ROWS,
    seed: int = 0,
) -> Report:
    """The image grid of Fig. 8: `rows` samples of `seed`, moved along `way`.

    It leads from the first to the second of `names`; `ends` say what these are: left and right.
    """
    left, right = (f"{n} ({end})" if end else n for n, end in zip(names, ends, strict=True))
    points = way.moved(sampler.seeded(seed, rows))
    columns = len(way.coefficients)
    grid = ImageGrid(
        "turn",
        sampler.images(points),
        columns,
        [f"{value:+.2f}" for value in way.coefficients] * rows,
        provenance=sampler.provenance(["arithmetic", "--turn", *names], seed, points),
        figure=Stack(
            [
                Tiles(in_rows(range(len(points)), columns), touching=True),
                Axis(spoken(left), spoken(right), middle="the sample" if columns % 2 else ""),
            ]
        ),
        caption=(
            f"{rows} random samples, the middle of their rows, moved along the turn vector from "
            f"{left} to {right}"
        ),
    )
    facts = {
        "checkpoint": sampler.checkpoint,
        "turn": list(names),
        "exemplars": [len(way.left), len(way.right)],
        "seed": seed,
        "bn": sampler.bn,
        "ema": sampler.average,
        "coefficients": way.coefficients.tolist(),
    }
    length = length_finding(sampler, "the turn vector", way.vector, seed, "samples of z")
    hint = "--classifier SOURCE says what turns"
    verdict = f"from {left} to {right}: drawn, not measured ({hint})"
    return Report("Turn vector", facts, [length], grids=(grid,), verdict=verdict)


def turned_attribute(
    sampler: Sampler, classifier: AttributeClassifier, way: Turn, samples: AttributePredictions
) -> str:
    """The attribute in which both sides differ most, in units of its spread among samples."""
    left, right = (classifier.classify(sampler.normalized(one)) for one in (way.left, way.right))

    def gap(name: str) -> float:
        apart = right[name].evidence.mean(0) - left[name].evidence.mean(0)
        return float(np.abs(apart / (samples[name].evidence.std(0) + 1e-12)).max())

    one_number = [name for name, known in classifier.attributes.items() if len(known.classes) <= 2]
    if not one_number:
        raise UsageError(
            "--classifier: no attribute of two classes or of numbers to measure a turn in"
        )
    return max(one_number, key=gap)


def measure_turn(
    sampler: Sampler,
    classifier: AttributeClassifier,
    way: Turn,
    attribute: str,
    samples: AttributePredictions,
    seed: int,
    progress: ProgressCallback = lambda done, total: None,
) -> tuple[list[Finding], Table]:
    """Whether `attribute` rises with the coefficient, and what else changes, over several samples.

    `attribute` has two classes or is a number. The spread of `samples`, predictions on plain
    samples, is the unit of movement. The image grid shows the first of the samples of `seed`.
    """
    start = sampler.seeded(seed, CLASSIFIED_SAMPLES)
    shape = (CLASSIFIED_SAMPLES, len(way.coefficients))
    classified: list[dict[str, AttributePrediction]] = []
    stream = numpy_stream(seed, "random directions")
    random_direction = np.stack([random_like(way.vector, stream) for _ in start])
    for directions in (None, random_direction):
        points = way.moved(start, directions)
        parts: list[dict[str, AttributePrediction]] = []
        for at in range(0, len(points), 512):
            parts.append(classifier.classify(sampler.normalized(points[at : at + 512])))
            progress(len(classified) * len(points) + at, 2 * len(points))
        classified.append(joined(parts))

    def values(predicted: AttributePredictions, name: str) -> FloatArray:
        spread = samples[name].evidence.std(0) + 1e-12
        return (predicted[name].evidence / spread).reshape(*shape, -1)

    def ranks(predicted: AttributePredictions) -> Estimate:
        rows = values(predicted, attribute)[..., 0]
        found = [_rank_correlation(way.coefficients, row) for row in rows]
        return mean_within(found, -1, 1, "samples")

    def drift(predicted: AttributePredictions, name: str) -> Estimate:
        rows = values(predicted, name)
        middle = rows[:, [shape[1] // 2]]
        return mean_above(np.abs(rows - middle).mean((1, 2)), "samples")

    def changed(predicted: AttributePredictions, name: str) -> Estimate:
        words = predicted[name].probabilities.argmax(1).reshape(shape)
        return mean_within((words != words[:, [shape[1] // 2]]).mean(1), unit="samples")

    beside = partial(Finding, control_label="random directions")
    label = f"{attribute} against the coefficient, Spearman's ρ of each sample"
    own, other = classified
    found = ranks(own), ranks(other)
    findings = [beside("rank_correlation", label, *found, better="up", headline=True)]
    for name in sorted(classifier.attributes, key=lambda name: name != attribute):
        moved = partial(beside, unit=" sd", better="up" if name == attribute else "down")
        found = drift(own, name), drift(other, name)
        findings.append(moved(f"drift_{name}", f"{name} moved", *found, about=name, headline=True))
    other_word = partial(beside, unit=SHARE, better="down")
    for name, known in classifier.attributes.items():
        if known.classes and name != attribute:
            label = f"{name}: share of images classified another word than their sample"
            found = changed(own, name), changed(other, name)
            findings.append(other_word(f"changed_{name}", label, *found, about=name))
    moved, lost = (predicted[attribute].evidence.reshape(shape) for predicted in classified)
    rows: list[Sequence[str | float | int | None]] = []
    for column, coefficient in enumerate(way.coefficients.tolist()):
        here = mean_of(moved[:, column])
        rows.append((coefficient, here.value, here.low, here.high, float(lost[:, column].mean())))
    heading = ("coefficient", attribute, "low", "high", "random direction")
    keys = ("coefficient", "value", "low", "high", "random_direction")
    return findings, Table(f"Classified {attribute}", heading, rows, "classified", keys)


def turn_verdict(attribute: str, turns: Finding) -> str:
    """Whether `attribute` follows the coefficient, by Spearman's ρ in `turns` and its control."""
    control = turns.control
    assert control is not None
    says = {1: f"{attribute} turns", 0: f"{attribute}: {UNCLEAR} random directions"}
    clear = compare(turns.value, control)
    return (
        f"{says.get(clear, f'{attribute} does not turn')}: along the vector its rank correlation with the "
        f"coefficient is {turns.value.value:.2f}, in random directions {control.value:.2f}"
    )


def _rank_correlation(coefficients: FloatArray, row: FloatArray) -> float:
    """Spearman's ρ; 0 if one of them is constant."""
    ranks = np.stack([rankdata(coefficients), rankdata(row)], 1)
    spread = ranks.std(0)
    return float(((ranks - ranks.mean(0)) / spread).prod(1).mean()) if spread.all() else 0.0
