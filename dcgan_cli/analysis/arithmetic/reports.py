"""The report of arithmetic and of a turn: drawn, and measured where there is a classifier."""

from collections.abc import Sequence
from dataclasses import replace

from dcgan_cli.analysis.arithmetic import evaluation
from dcgan_cli.analysis.arithmetic import turn as turning
from dcgan_cli.analysis.arithmetic.calculation import Calculation, Term, arithmetic
from dcgan_cli.analysis.arithmetic.classifier_setup import ClassifierSetup
from dcgan_cli.analysis.arithmetic.turn import Turn
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.model.latents import Latents
from dcgan_cli.progress import Stage
from dcgan_cli.report import Report


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
    return replace(
        report,
        facts={
            **report.facts,
            "seeds": len(done),
            "expected": [{"name": name, "value": value} for name, value in target.items()],
        },
        findings=[*report.findings, *found.findings, *trust],
        tables=[found.table],
        verdict=found.verdict,
    )


def turned(
    stage: Stage,
    sampler: Sampler,
    way: Turn,
    names: tuple[str, str],
    setup: ClassifierSetup | None,
    rows: int,
    seed: int,
) -> tuple[Report, Latents]:
    """The report on a turn, and the points of its image grid."""
    report = turning.turn(sampler, way, names=names, rows=rows, seed=seed)
    record = report.grids[0].provenance
    assert record is not None
    if setup is None:
        return report, record.latents
    attribute = turning.turned_attribute(sampler, setup.classifier, way, setup.samples)
    with stage("classifying results") as bar:
        findings, table = turning.measure_turn(
            sampler,
            setup.classifier,
            way,
            attribute=attribute,
            samples=setup.samples,
            seed=seed,
            progress=bar,
        )
    report = replace(
        report,
        facts={**report.facts, "attribute": attribute, "classified": turning.CLASSIFIED_SAMPLES},
        findings=[*report.findings, *findings, *setup.findings],
        tables=[table],
        verdict=turning.turn_verdict(attribute, findings[0]),
    )
    return report, record.latents
