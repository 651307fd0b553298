"""The turn vector (paper §6.3.2, Fig. 8): mean(RIGHT) − mean(LEFT), added to random samples.

Each row of the sheet is one random sample; along it, the vector is added from −reach to +reach times,
the sample itself in the middle. The control moves every sample in a random direction of its own, as
far.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from dcgan_cli.analysis.arithmetic.directions import draw_exemplars, mean, project_out, random_like
from dcgan_cli.analysis.concepts.judge import Judge, Verdict, Verdicts, correlation
from dcgan_cli.analysis.drawing import Drawing
from dcgan_cli.analysis.statistics import mean as mean_of
from dcgan_cli.analysis.statistics import mean_above, mean_within
from dcgan_cli.analysis.views import Numbers, Progress
from dcgan_cli.errors import UsageError
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.report import Estimate, Finding, Report, Sheet, Table
from dcgan_cli.runtime import numpy_stream

ROWS, COLUMNS = 5, 11
"""The paper's Fig. 8."""

REACH = 0.5
"""How many times the vector is added at most: half of it leads from the middle to either side; more
would be extrapolation beyond the exemplars."""

JUDGED = 64
"""Samples that are moved when a judge measures; the sheet shows the first of them."""


@dataclass(frozen=True, eq=False)
class Turn:
    """A vector and how far samples are moved along it.

    Attributes:
        left, right: the exemplars that were averaged, [K, z_dim].
        vector: from left to right, [z_dim].
        coefficients: [columns], evenly from −reach to reach.
    """

    left: Latents
    right: Latents
    vector: Numbers
    coefficients: Numbers

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
        without: Numbers | None = None,
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

    def moved(self, samples: Latents, directions: Numbers | None = None) -> Latents:
        """`samples` [N, z_dim] moved along the vector, or each along a direction of its own.

        [N · columns, z_dim], a sample a row of the sheet.
        """
        along = np.broadcast_to(self.vector if directions is None else directions, samples.shape)
        steps = self.coefficients[None, :, None] * along[:, None]
        return (samples[:, None] + steps).astype(np.float32).reshape(-1, samples.shape[1])


def turn(
    drawing: Drawing, way: Turn, *, names: tuple[str, str], rows: int = ROWS, seed: int = 0
) -> Report:
    """The sheet of Fig. 8: `rows` samples of `seed`, moved along `way`."""
    points = way.moved(_samples(drawing, rows, seed))
    columns = len(way.coefficients)
    sheet = Sheet(
        "turn",
        drawing.pictures(points),
        columns,
        [f"{value:+.2f}" for value in way.coefficients] * rows,
        provenance=drawing.provenance(["arithmetic", "--turn", *names], seed, points),
    )
    facts = {
        "checkpoint": drawing.checkpoint,
        "turn": list(names),
        "exemplars": [len(way.left), len(way.right)],
        "seed": seed,
        "bn": drawing.bn,
        "ema": drawing.average,
        "coefficients": way.coefficients.tolist(),
    }
    config = drawing.generator.config
    lengths = np.linalg.norm(seeded_latents(seed, 1024, config.z_dim, config.z_dist), axis=1)
    shortest, longest = np.quantile(lengths, [0.025, 0.975]).tolist()
    length = Finding(
        "length",
        "length of the turn vector",
        Estimate(float(np.linalg.norm(way.vector)), n=1),
        Estimate(float(np.median(lengths)), shortest, longest, len(lengths)),
        "samples of z (middle 95 %)",
    )
    return Report("Turn vector", facts, [length], sheets=(sheet,))


def turned_attribute(drawing: Drawing, judge: Judge, way: Turn, samples: Verdicts) -> str:
    """The attribute in which both sides differ most, in units of its spread among samples."""
    left, right = judge.look(drawing.signed(way.left)), judge.look(drawing.signed(way.right))

    def gap(name: str) -> float:
        apart = right[name].evidence.mean(0) - left[name].evidence.mean(0)
        return float(np.abs(apart / (samples[name].evidence.std(0) + 1e-12)).max())

    one_number = [name for name, known in judge.attributes.items() if len(known.classes) <= 2]
    if not one_number:
        raise UsageError("--judge: no attribute of two classes or of numbers to measure a turn in")
    return max(one_number, key=gap)


def measure_turn(
    drawing: Drawing,
    judge: Judge,
    way: Turn,
    *,
    attribute: str,
    samples: Verdicts,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> tuple[list[Finding], Table]:
    """Whether `attribute` rises with the coefficient, and what else moves, over JUDGED samples.

    Args:
        drawing: the generator.
        judge: who measures.
        way: the turn.
        attribute: of two classes or a number.
        samples: verdicts on plain samples, whose spread is the unit of movement.
        seed: of the samples that are moved; the sheet shows the first of the same.
        progress: told how many of the moved samples have been judged.
    """
    start = _samples(drawing, JUDGED, seed)
    shape = (JUDGED, len(way.coefficients))
    looks: list[dict[str, Verdict]] = []
    stream = numpy_stream(seed, "random directions")
    astray = np.stack([random_like(way.vector, stream) for _ in start])
    for directions in (None, astray):
        points = way.moved(start, directions)
        parts: list[dict[str, Verdict]] = []
        for at in range(0, len(points), 512):
            parts.append(judge.look(drawing.signed(points[at : at + 512])))
            progress(len(looks) * len(points) + at, 2 * len(points))
        looks.append(
            {name: Verdict.join([part[name] for part in parts]) for name in judge.attributes}
        )

    def values(look: Verdicts, name: str) -> Numbers:
        spread = samples[name].evidence.std(0) + 1e-12
        return (look[name].evidence / spread).reshape(*shape, -1)

    def ranks(look: Verdicts) -> Estimate:
        rows = values(look, attribute)[..., 0]
        found = [_rank_correlation(way.coefficients, row) for row in rows]
        return mean_within(found, -1, 1, "samples")

    def drift(look: Verdicts, name: str) -> Estimate:
        rows = values(look, name)
        middle = rows[:, [shape[1] // 2]]
        return mean_above(np.abs(rows - middle).mean((1, 2)), "samples")

    def changed(look: Verdicts, name: str) -> Estimate:
        words = look[name].probabilities.argmax(1).reshape(shape)
        return mean_within((words != words[:, [shape[1] // 2]]).mean(1), unit="samples")

    findings = [
        Finding(
            "rank_correlation",
            f"{attribute} against the coefficient, Spearman's ρ of each sample",
            ranks(looks[0]),
            ranks(looks[1]),
            "random directions",
        )
    ]
    findings += [
        Finding(
            f"drift_{name}",
            f"{name} moved" + (" (it should)" if name == attribute else ""),
            drift(looks[0], name),
            drift(looks[1], name),
            "random directions",
            unit=" sd",
            about=name,
        )
        for name in judge.attributes
    ]
    findings += [
        Finding(
            f"changed_{name}",
            f"{name}: share of pictures judged another word than their sample",
            changed(looks[0], name),
            changed(looks[1], name),
            "random directions",
            about=name,
        )
        for name, known in judge.attributes.items()
        if known.classes and name != attribute
    ]
    moved, lost = (look[attribute].evidence.reshape(shape) for look in looks)
    rows: list[Sequence[str | float | int | None]] = []
    for column, coefficient in enumerate(way.coefficients.tolist()):
        here = mean_of(moved[:, column])
        rows.append((coefficient, here.value, here.low, here.high, float(lost[:, column].mean())))
    heading = ("coefficient", attribute, "low", "high", "random direction")
    keys = ("coefficient", "value", "low", "high", "random_direction")
    return findings, Table(f"Judged {attribute}", heading, rows, "judged", keys)


def _samples(drawing: Drawing, count: int, seed: int) -> Latents:
    config = drawing.generator.config
    return seeded_latents(seed, count, config.z_dim, config.z_dist)


def _rank_correlation(coefficients: Numbers, row: Numbers) -> float:
    """Spearman's ρ; 0 where nothing changes along the row."""
    if np.ptp(row) == 0:
        return 0.0
    return correlation(np.stack([rankdata(coefficients), rankdata(row)], 1))
