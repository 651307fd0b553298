"""Reading and writing metrics.jsonl: one JSON object a step; any line may be damaged."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

STEP_LIMIT = 1 << 53
"""Step numbers from here on are damage: float64 cannot represent all of them."""


def encode_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as lines of JSON; NaN and infinity, which JSON does not have, become null."""
    return "".join(json.dumps(_finite(row)) + "\n" for row in rows).encode()


def split_lines(data: bytes) -> tuple[list[tuple[bytes, dict[str, Any]]], list[bytes]]:
    """The valid lines of a metrics.jsonl with their parsed rows, and the damaged lines.

    An unfinished last line was cut off when the process was killed: it is in neither list.
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
    """The row of one line; None if it is not a complete step with numbers."""
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
