"""Reports and pictures in a terminal: tables by rich, pictures by half blocks."""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table as RichTable
from rich.text import Text

from dcgan_cli.render.png import draw_sheet
from dcgan_cli.report import Estimate, Report, Sheet, Table


class HalfBlocks:
    """A sheet in 24-bit colours: every character cell shows two pixels, one above the other."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Scale the sheet to the terminal's width and yield its cells."""
        image = draw_sheet(self.sheet)
        width = min(options.max_width, image.width)
        height = max(2, image.height * width // image.width // 2 * 2)
        small = image.resize((width, height))
        pixels = small.load()
        assert pixels is not None
        for y in range(0, height, 2):
            for x in range(width):
                upper, lower = _hex(pixels[x, y]), _hex(pixels[x, y + 1])
                yield Segment("▀", Style.parse(f"{upper} on {lower}"))
            yield Segment.line()


def findings_table(report: Report) -> RenderableType:
    """Figure, control and published figure side by side, one row a finding.

    Where no finding has a control, or none was published, that column is left out.
    """
    rows = [
        (
            finding.label,
            _estimate(finding.value, finding.unit),
            f"{_estimate(finding.control, finding.unit)} {finding.control_label}".strip(),
            finding.published,
        )
        for finding in report.findings
    ]
    headings = ("figure", "value", "control", "published")
    told = [i for i in range(len(headings)) if i < 2 or any(row[i] for row in rows)]
    table = RichTable(title=Text(report.title), title_justify="left")
    for i in told:
        table.add_column(headings[i])
    for row in rows:
        # as Text: rich would take "[nan, nan]" for markup and swallow it
        table.add_row(*(Text(row[i]) for i in told))
    return table


def plain_table(table: Table) -> RenderableType:
    """A Table with numbers set to the right."""
    result = RichTable(title=Text(table.title), title_justify="left")
    for i, name in enumerate(table.columns):
        numeric = all(isinstance(row[i], int | float) for row in table.rows)
        result.add_column(Text(name), justify="right" if numeric else "left")
    for row in table.rows:
        result.add_row(*(Text(_cell(value)) for value in row))
    return result


def _estimate(estimate: Estimate | None, unit: str) -> str:
    if estimate is None:
        return ""
    text = f"{estimate.value:.4g}{unit}"
    if estimate.low is not None and estimate.high is not None:
        text += f" [{estimate.low:.4g}, {estimate.high:.4g}]"
    if estimate.n is not None:
        text += f" n={estimate.n}"
    return text


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def _hex(pixel: object) -> str:
    red, green, blue = pixel  # type: ignore[misc]  # draw_sheet gives RGB
    return f"#{red:02x}{green:02x}{blue:02x}"
