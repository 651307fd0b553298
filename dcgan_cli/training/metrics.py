"""metrics.jsonl: one JSON object a step, of which any line may be damaged."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

STEP_LIMIT = 1 << 53
"""Steps from here on are damage: no float64 tells them apart."""


def encode_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as lines; NaN and infinity, which JSON does not know, become null."""
    return "".join(json.dumps(_finite(row)) + "\n" for row in rows).encode()


def split_lines(data: bytes) -> tuple[list[tuple[bytes, dict[str, Any]]], list[bytes]]:
    """The lines of a metrics.jsonl that hold a step, each with what it says, and the damaged ones.

    What follows the last line's end and is no step was cut off when the process was killed: it
    counts for nothing.
    """
    *lines, rest = data.split(b"\n")
    if _read(rest) is not None:
        lines.append(rest)
    rows: list[tuple[bytes, dict[str, Any]]] = []
    damaged: list[bytes] = []
    for line in lines:
        row = _read(line)
        if row is not None:
            rows.append((line + b"\n", row))
        elif line:
            damaged.append(line + b"\n")
    return rows, damaged


def _read(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is not a whole step of numbers."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return None
    numbers = all(value is None or _is_number(value) for value in row.values())
    return row if numbers and 0 < row["step"] < STEP_LIMIT else None


def _is_number(value: object) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
