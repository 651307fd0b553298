"""A Report as one JSON document with stable keys: docs/json.md."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dcgan_cli.report import Estimate, Finding, Report, Table

SCHEMA_VERSION = 1
"""Raised when a key goes, or means something else; new keys do not raise it."""

UNITS = {"%": "percent", "sd": "standard_deviations"}
"""Units that JSON names otherwise than a finding does."""


def to_json(report: Report) -> str:
    """Render `report` as indented JSON, in ASCII: it is the same document in any encoding.

    `verdict` and `facts` stand at the top level; `findings` by key, each with value, interval, n, control and
    published value; `tables` by key, as lists of rows. Numbers that are not finite become null.
    """
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    document["report"] = snake_case(report.title)
    if report.verdict:
        document["verdict"] = report.verdict
    document |= report.facts
    if report.findings:
        keys = _distinct([finding.key for finding in report.findings])
        found = zip(keys, report.findings, strict=True)
        document["findings"] = {key: _finding(finding) for key, finding in found}
    if report.tables:
        keys = _distinct([table.key or table.title for table in report.tables])
        tables = zip(keys, report.tables, strict=True)
        document["tables"] = {key: _rows(table) for key, table in tables}
    if report.notes:
        document["notes"] = list(report.notes)
    return json.dumps(_plain(document), indent=2)


def snake_case(text: str) -> str:
    """`text` as a key: small ASCII letters, digits and _; other letters by their code."""
    plain = "".join(
        character if character.isascii() else f" u{ord(character):x} "
        for character in unicodedata.normalize("NFKD", text.replace("%", " percent "))
        if not unicodedata.combining(character)
    )
    key = "_".join(re.findall(r"[a-z0-9]+", plain.lower()))
    return key if key[:1].isalpha() else f"x_{key}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Keys of `names`; a second one that would be the same gets a number."""
    keys: list[str] = []
    for name in names:
        key, number = snake_case(name), 2
        while key in keys:
            key, number = f"{snake_case(name)}_{number}", number + 1
        keys.append(key)
    return keys


def _finding(finding: Finding) -> dict[str, Any]:
    unit, control = finding.unit.strip(), finding.control
    beside = {} if control is None else {**_estimate(control), "what": finding.control_label}
    return {
        **_estimate(finding.value),
        "unit": UNITS.get(unit, unit) or None,
        "label": finding.label,
        "about": finding.about or None,
        "better": finding.better or None,
        "control": beside or None,
        "published": finding.published or None,
    }


def _rows(table: Table) -> list[dict[str, Any]]:
    keys = list(table.keys) or _distinct(table.columns)
    rows: list[dict[str, Any]] = []
    for row in table.rows:
        cells = list(zip(keys, table.columns, row, strict=True))
        entry: dict[str, Any] = {key: value for key, _, value in cells if key}
        values = [{"name": name, "value": value} for key, name, value in cells if not key]
        rows.append(entry | ({"values": values} if values else {}))
    return rows


def _estimate(estimate: Estimate) -> dict[str, Any]:
    values = asdict(estimate)
    kind = values.pop("kind")
    return {**values, "interval_kind": kind or None}


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
