"""What `dcgan arithmetic` does once everything is read: calculate or turn, and judge."""

from dataclasses import replace
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcgan_cli.analysis.arithmetic.calculation import Calculation, Term
    from dcgan_cli.analysis.arithmetic.turning import Turn
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.cli.judging import Bench
    from dcgan_cli.model.latents import Latents
    from dcgan_cli.report import Report


def calculated(
    console: Console,
    drawing: "Drawing",
    terms: "Sequence[Term]",
    done: "Sequence[Calculation]",
    bench: "Bench | None",
    seed: int,
    expect: str | None,
) -> "Report":
    """The report on calculations, one a seed, of which the first is drawn."""
    from dcgan_cli.analysis.arithmetic import outcome
    from dcgan_cli.analysis.arithmetic.calculation import arithmetic

    if bench is None:
        hint = "what the results are, by measurement: --judge SOURCE (labelled pictures)"
        return replace(arithmetic(drawing, terms, done[0], seed=seed), notes=[hint])
    if expect is None:
        target = outcome.expected(drawing, bench.judge, terms)
    else:
        target = outcome.parse_target("--expect", expect, bench.judge)
    averaged = [len(points) for points in done[0].drawn]
    overlays = outcome.overlay_judge(
        bench.signed, bench.columns, terms, averaged, target, bench.discriminator, seed
    )
    with console.progress("judging results") as bar:
        found = outcome.measure(
            drawing, bench.judge, overlays, terms, done, target, bench.samples, progress=bar
        )
    report = arithmetic(drawing, terms, done[0], seed=seed, said=found.said)
    trust = [*bench.findings, *([] if overlays is None else overlays.findings())]
    return replace(
        report,
        facts={
            **report.facts,
            "seeds": len(done),
            "expected": [{"name": name, "value": value} for name, value in target.items()],
            "summary": found.summary,
        },
        findings=[*report.findings, *found.findings, *trust],
        tables=[found.table],
        notes=[found.summary],
    )


def turned(
    console: Console,
    drawing: "Drawing",
    way: "Turn",
    names: tuple[str, str],
    bench: "Bench | None",
    rows: int,
    seed: int,
) -> "tuple[Report, Latents]":
    """The report on a turn, and the points of its sheet."""
    from dcgan_cli.analysis.arithmetic import turning

    report = turning.turn(drawing, way, names=names, rows=rows, seed=seed)
    record = report.sheets[0].provenance
    assert record is not None
    if bench is None:
        hint = "whether it turns, by measurement: --judge SOURCE (labelled pictures)"
        return replace(report, notes=[hint]), record.latents
    attribute = turning.turned_attribute(drawing, bench.judge, way, bench.samples)
    with console.progress("judging results") as bar:
        findings, table = turning.measure_turn(
            drawing,
            bench.judge,
            way,
            attribute=attribute,
            samples=bench.samples,
            seed=seed,
            progress=bar,
        )
    report = replace(
        report,
        facts={**report.facts, "attribute": attribute, "judged": turning.JUDGED},
        findings=[*report.findings, *findings, *bench.findings],
        tables=[table],
    )
    return report, record.latents
