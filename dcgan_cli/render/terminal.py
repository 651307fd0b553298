"""Reports and images in a terminal: tables by rich, images by half blocks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

from dcgan_cli.render.png import draw_grid
from dcgan_cli.render.tables import Cell, ValueTable
from dcgan_cli.report import SHARE, TIMES, Estimate, Finding, ImageGrid, Report, Table

MOST_ROWS = 6
"""Rows that are shown where not all are asked for."""

ARROWS = {"": "", "up": " ↑", "down": " ↓"}
"""After a label: which way is better."""


SHOWN_UNITS = {SHARE: " %", TIMES: "×"}
"""Units as people read them, where a finding names them otherwise."""


class HalfBlocks:
    """A grid in 24-bit colors: every character cell shows two pixels, one above the other."""

    def __init__(self, grid: ImageGrid) -> None:
        self.grid = grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Scale the image grid to the terminal's width and yield its cells."""
        image = draw_grid(self.grid)
        width = min(options.max_width, image.width)
        height = max(2, image.height * width // image.width // 2 * 2)
        pixels = np.asarray(image.resize((width, height)))
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
            for above, below in zip(upper, lower, strict=True):
                colors = f"#{above.tobytes().hex()} on #{below.tobytes().hex()}"
                yield Segment("▀", Style.parse(colors))
            yield Segment.line()


def main_values(report: Report) -> tuple[Sequence[Finding], Sequence[Table]]:
    """One table of at most MOST_ROWS rows: the findings that are marked, or the first table."""
    if report.findings:
        return [finding for finding in report.findings if finding.headline][:MOST_ROWS], ()
    return (), [replace(table, rows=table.rows[:MOST_ROWS]) for table in report.tables[:1]]


def findings_table(report: Report) -> RenderableType:
    """Metric, value, baseline and published value side by side, one row a finding.

    Where no finding has a baseline, or none was published, that column is left out.
    """
    rows = [
        (
            Cell(label=finding.label + ARROWS[finding.better]),
            _estimate(finding.value, finding.unit),
            _estimate(finding.control, finding.unit, finding.control_label),
            Cell(value, f"({why}" if bracket else ""),
        )
        for finding in report.findings
        # a published value, and in brackets why it is not to be compared, which may be folded
        for value, bracket, why in (finding.published.partition(" ("),)
    ]
    headings = ("metric", "value", "control", "published")
    told = [
        i for i in range(4) if i < 2 or any(row[i].value or row[i].label.strip() for row in rows)
    ]
    cells = [[row[i] for i in told] for row in rows]
    return ValueTable(report.title, [headings[i] for i in told], cells)


def plain_table(table: Table) -> RenderableType:
    """A Table with numbers set to the right."""
    rows = [
        [Cell(_cell(value), right=isinstance(value, int | float)) for value in row]
        for row in table.rows
    ]
    return ValueTable(table.title, table.columns, rows)


def _estimate(estimate: Estimate | None, unit: str, label: str = "") -> Cell:
    """Value and interval, which stay together; then n and `label`, which may go below."""
    if estimate is None:
        return Cell(label=label)

    def shown(value: float) -> str:
        value *= 100 if unit == SHARE else 1
        # in percent to a hundredth of one
        return f"{round(value, 2) if unit in (SHARE, ' %') else value:.4g}"

    text = f"{shown(estimate.value)}{SHOWN_UNITS.get(unit, unit)}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{shown(estimate.low)}, {shown(estimate.high)}]"
    n = "" if estimate.n is None else f"n={estimate.n}"
    return Cell(text, f"{n} {label}")


def _cell(value: str | float | None) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value or ""
