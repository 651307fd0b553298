"""Places of `dcgan_cli/cli` that say the same: `python tests/repetition.py` lists them.

Two places repeat each other where LINES consecutive lines are the same, whitespace and the lines of
imports aside. A passage that is one line longer than that counts as two pairs.
"""

import ast
from collections import defaultdict
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]

LINES = 6

MOST = 9
"""Pairs of places above which options or steps should have been shared."""

Place = tuple[Path, int]
"""A file, and the number of a line in it, from 1."""


def repeated(files: list[Path]) -> list[tuple[Place, Place]]:
    """The pairs of places in `files` from which on LINES lines are the same."""
    places: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for file in sorted(files):
        lines = _lines(file.read_text("utf-8"))
        for start in range(len(lines) - LINES + 1):
            window = lines[start : start + LINES]
            places[tuple(text for _, text in window)].append((file, window[0][0]))
    return [pair for same in places.values() for pair in combinations(same, 2)]


def of_commands() -> list[tuple[Place, Place]]:
    """The pairs of places that repeat each other in the commands."""
    return repeated(list((ROOT / "dcgan_cli/cli").rglob("*.py")))


def _lines(text: str) -> list[tuple[int, str]]:
    """The lines that are counted, with their numbers: no blank ones, no imports."""
    imports = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    numbered = enumerate(text.splitlines(), 1)
    return [
        (n, " ".join(line.split())) for n, line in numbered if line.strip() and n not in imports
    ]


if __name__ == "__main__":
    found = of_commands()
    for pair in found:
        print(" = ".join(f"{file.relative_to(ROOT)}:{line}" for file, line in pair))
    print(f"{len(found)} pairs of places with the same {LINES} lines; at most {MOST} are allowed")
    raise SystemExit(len(found) > MOST)
