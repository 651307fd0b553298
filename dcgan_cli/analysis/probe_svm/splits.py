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
    values = np.array([report.findings[0].value.value for report in each])
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
    keys = [f"{finding.key}_percent" for finding in findings]
    rows = [[n, *(one.value.value for one in report.findings)] for n, report in enumerate(each)]
    tables, verdict = (
        [Table("Splits", ("split", *keys), rows), *first.tables],
        probe_verdict(findings),
    )
    return replace(
        first, facts=facts, findings=findings, tables=tables, notes=told, verdict=verdict
    )


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
