"""A Report as one JSON document with stable keys."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dcgan_cli.report import Estimate, Report


def to_json(report: Report) -> str:
    """Render `report` as indented JSON.

    `facts` stand at the top level; `findings` by key, each with value, interval, n, control and
    published figure; `tables` by title, as lists of rows. Numbers that are not finite become null.
    """
    document: dict[str, Any] = {"report": report.title, **report.facts}
    if report.findings:
        document["findings"] = {
            finding.key: {
                **_estimate(finding.value),
                "unit": finding.unit,
                "control": None
                if finding.control is None
                else {**_estimate(finding.control), "what": finding.control_label},
                "published": finding.published or None,
            }
            for finding in report.findings
        }
    if report.tables:
        document["tables"] = {
            table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for table in report.tables
        }
    if report.notes:
        document["notes"] = list(report.notes)
    return json.dumps(_plain(document), indent=2, ensure_ascii=False)


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "interval_kind": estimate.kind or None,
    }


def _plain(value: Any) -> Any:
    """The same nesting in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
