"""Tables of values for people: no value is ever cut or broken, however narrow the terminal is.

Headings and labels are folded at spaces; where that does not do, every row becomes a block of its
own, one value a line. Into a pipe or a file, width is no limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from dcgan_cli.render.readable import readable

UNLIMITED = 100_000
"""Columns of what is no terminal."""

FOLD_WIDTHS = (UNLIMITED, 48, 36, 28, 22, 17, 13, 10)
"""Widths at which headings and labels are folded, tried in this order."""


@dataclass(frozen=True)
class Cell:
    """One cell: `value` is never broken, the words of `label` after it may be."""

    value: str = ""
    label: str = ""
    right: bool = False

    def folded(self, width: int, encoding: str) -> str:
        """The cell in lines of at most `width` where that does not break a value or a word.

        In the characters of `encoding`: what is counted is what will be written.
        """
        pieces = [self.value] if self.value else []
        pieces += self.label.split()
        lines: list[str] = []
        for piece in (readable(piece, encoding) for piece in pieces):
            if lines and cell_len(lines[-1]) + 1 + cell_len(piece) <= width:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
        return "\n".join(lines)


@dataclass(frozen=True)
class ValueTable:
    """Rows of cells under headings, drawn by rich as wide as the console allows."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The widest layout that fits, or blocks."""
        width = options.max_width if console.file.isatty() else UNLIMITED
        encoding = options.encoding
        roomy = options.update(width=UNLIMITED)
        for fold in FOLD_WIDTHS:
            table = self._table(fold, encoding)
            needed = Measurement.get(console, roomy, table).maximum
            if needed <= width:
                yield from self._title(needed, encoding)
                yield from console.render(table, options.update(width=needed))
                return
        yield from self._title(width, encoding)
        yield from map(_line, self._blocks(width, encoding))

    def _title(self, fold: int, encoding: str) -> Iterator[RenderableType]:
        title = Cell(label=self.title).folded(fold, encoding)
        if title:
            yield _line(title, "italic")

    def _table(self, fold: int, encoding: str) -> RichTable:
        table = RichTable()
        for i, heading in enumerate(self.headings):
            right = bool(self.rows) and all(row[i].right for row in self.rows)
            text = Cell(label=heading).folded(fold, encoding)
            # as Text: rich would take "[nan, nan]" for markup and swallow it
            table.add_column(Text(text), justify="right" if right else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*(Text(cell.folded(fold, encoding)) for cell in row))
        return table

    def _blocks(self, width: int, encoding: str) -> Iterator[str]:
        """Each row as its first cell and, indented, heading and cell of every other one."""
        for row in self.rows:
            yield row[0].folded(width, encoding)
            for heading, cell in zip(self.headings[1:], row[1:], strict=True):
                if cell.value or cell.label:
                    head = Cell(label=f"{heading}:").folded(width - 2, encoding)
                    body = cell.folded(width - 4, encoding)
                    both = f"  {head} {body}"
                    if "\n" in both or cell_len(both) > width:
                        both = f"{indent(head, '  ')}\n{indent(body, '    ')}"
                    yield both


def _line(text: str, style: str = "") -> Text:
    """Lines that rich neither folds nor cuts: where they are too long, the terminal goes on below."""
    return Text(text, style, no_wrap=True, overflow="ignore")
