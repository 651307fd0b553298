"""The report of arithmetic and of a turn: drawn, and measured where there is a classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from torch import Tensor

from dcgan_cli.analysis.arithmetic import evaluation
from dcgan_cli.analysis.arithmetic import turn as turning
from dcgan_cli.analysis.arithmetic.calculation import Calculation, Term, arithmetic
from dcgan_cli.analysis.arithmetic.directions import attribute_axes, orthonormal
from dcgan_cli.analysis.arithmetic.turn import Turn
from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    AttributePrediction,
)
from dcgan_cli.analysis.concepts.concept_search import agreements, score_samples
from dcgan_cli.analysis.concepts.words import unknown_attribute
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.data.labels import Column
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.latents import Latents
from dcgan_cli.progress import Stage
from dcgan_cli.report import Estimate, Finding, Report


@dataclass(frozen=True, eq=False)
class ClassifierSetup:
    """An attribute classifier, which sees with the features of the `discriminator`.

    It trained on real images `normalized` [N, C, S, S] in [−1, 1] with the labels `columns`.
    `samples` are its predictions on plain samples of the generator, empty before `with_samples`;
    orthonormal rows `without` [R, z_dim] are directions of Z that shall play no part; `findings`
    say how far it can be trusted; `ends` say what low and high numbers of a column are.
    """

    classifier: AttributeClassifier
    discriminator: Discriminator
    normalized: Tensor
    columns: Mapping[str, Column]
    samples: Mapping[str, AttributePrediction]
    without: FloatArray | None
    findings: Sequence[Finding]
    ends: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def with_samples(
        self, stage: Stage, sampler: Sampler, count: int, seed: int, orthogonal_to: list[str]
    ) -> Self:
        """The setup after a look at plain samples, and the directions of `orthogonal_to`.

        Raises UsageError where the attribute classifier knows no such attribute.
        """
        for name in orthogonal_to:
            if name not in self.classifier.attributes:
                raise unknown_attribute("--orthogonal-to", name, self.classifier.attributes)
        with stage("classifying samples") as bar:
            latents, samples = score_samples(sampler, self.classifier, count, seed, bar)
        findings = [*self.classifier.findings(), *agreements(samples, self.classifier)]
        axes: list[FloatArray] = []
        for name in orthogonal_to:
            rows, explained = attribute_axes(latents, samples[name].evidence)
            axes.append(rows)
            what = f"{name} explained by a direction of Z (R² on samples held out)"
            findings.append(
                Finding(f"linear_{name}", what, explained, Estimate(0.0), "the mean", about=name)
            )
        without = orthonormal(np.concatenate(axes)) if axes else None
        return replace(self, samples=samples, without=without, findings=findings)


def calculated(
    stage: Stage,
    sampler: Sampler,
    terms: Sequence[Term],
    done: Sequence[Calculation],
    setup: ClassifierSetup | None,
    seed: int,
    expect: str | None,
) -> Report:
    """The report on calculations, one a seed, of which the first is drawn."""
    if setup is None:
        return arithmetic(sampler, terms, done[0], seed=seed)
    if expect is None:
        target = evaluation.expected(sampler, setup.classifier, terms)
    else:
        target = evaluation.parse_target("--expect", expect, setup.classifier)
    averaged = [len(points) for points in done[0].drawn]
    overlays = evaluation.overlay_classifier(
        setup.normalized, setup.columns, terms, averaged, target, setup.discriminator, seed
    )
    with stage("classifying results") as bar:
        found = evaluation.measure_arithmetic(
            sampler, setup.classifier, overlays, terms, done, target, setup.samples, progress=bar
        )
    report = arithmetic(sampler, terms, done[0], seed=seed, said=found.said)
    trust = [*setup.findings, *([] if overlays is None else overlays.findings())]
    wanted = [{"name": name, "value": value} for name, value in target.items()]
    return replace(
        report,
        facts={**report.facts, "seeds": len(done), "expected": wanted},
        findings=[*report.findings, *found.findings, *trust],
        tables=[found.table],
        verdict=found.verdict,
    )


def turned(
    stage: Stage,
    sampler: Sampler,
    way: Turn,
    names: tuple[str, str],
    ends: tuple[str, str],
    setup: ClassifierSetup | None,
    rows: int,
    seed: int,
) -> tuple[Report, Latents]:
    """The report on a turn, and the points of its image grid; `ends` say what `names` are."""
    report = turning.turn(sampler, way, names=names, ends=ends, rows=rows, seed=seed)
    record = report.grids[0].provenance
    assert record is not None
    if setup is None:
        return report, record.latents
    attribute = turning.turned_attribute(sampler, setup.classifier, way, setup.samples)
    with stage("classifying results") as bar:
        findings, table = turning.measure_turn(
            sampler, setup.classifier, way, attribute, setup.samples, seed, progress=bar
        )
    report = replace(
        report,
        facts={**report.facts, "attribute": attribute, "classified": turning.CLASSIFIED_SAMPLES},
        findings=[*report.findings, *findings, *setup.findings],
        tables=[table],
        verdict=turning.turn_verdict(attribute, findings[0]),
    )
    return report, record.latents
