"""The same probe on several random splits: how much its values depend on the test images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dcgan_cli.analysis.probe_svm.probe import probe_verdict
from dcgan_cli.analysis.statistics import over_splits
from dcgan_cli.report import Estimate, Finding, Report, Table


def over(reports: Iterable[Report]) -> Report:
    """One report of the `reports` of a probe, one a split, two or more.

    Every value is the mean over splits, with an interval that says what another set of as many
    images would give (`statistics.over_splits`); controls in the same way. The tables are those of
    the first split, after one of all splits; `facts` are the first split's.
    """
    each = list(reports)
    first, count = each[0], len(each)
    train, test = first.facts["training_images"], first.facts["test_images"]
    findings = [
        _joined([report.findings[place] for report in each], train, test)
        for place in range(len(first.findings))
    ]
    values = _values(each, 0)
    spread = float(values.std(ddof=1))
    told = [
        f"over {count} random splits of {train:,} + {test:,} images: accuracy {values.min():.1f} to "
        f"{values.max():.1f} %, standard deviation {spread:.1f}"
    ]
    facts = {
        **first.facts,
        "splits": count,
        "split_accuracies_percent": values.tolist(),
        "split_sd_percent": spread,
    }
    return replace(
        first,
        facts=facts,
        findings=findings,
        tables=[_table(each), *first.tables],
        notes=told,
        verdict=probe_verdict(findings),
    )


def _values(reports: Sequence[Report], place: int) -> np.ndarray:
    return np.array([report.findings[place].value.value for report in reports], np.float64)


def _joined(findings: Sequence[Finding], train: int, test: int) -> Finding:
    """One finding of all splits; a null value that is the same in all stays one."""
    first = findings[0]
    # accuracies and errors lie between 0 and 100 %, differences reach below
    low = -100.0 if first.key.startswith("over_") else 0.0

    def joined(values: Sequence[Estimate]) -> Estimate:
        return over_splits([each.value for each in values], train, test, low, 100.0)

    controls = [each.control for each in findings if each.control is not None]
    control = first.control
    if control is not None and control.n is not None:
        control = joined(controls)
    return replace(first, value=joined([each.value for each in findings]), control=control)


def _table(reports: Sequence[Report]) -> Table:
    """Every value of every split."""
    keys = [finding.key for finding in reports[0].findings]
    rows = [
        [number, *(finding.value.value for finding in report.findings)]
        for number, report in enumerate(reports)
    ]
    return Table("Splits", ("split", *(f"{key}_percent" for key in keys)), rows)
