"""How a command that reports ends: the same for all, so that scripts and people know where to look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.options import Streams
from dcgan_cli.files import is_stdout
from dcgan_cli.render.json_report import to_json
from dcgan_cli.render.terminal import HalfBlocks, findings_table, main_values, plain_table
from dcgan_cli.report import Finding, ImageGrid, Report


def say_kinds(console: Console, findings: Sequence[Finding]) -> None:
    """Say of what kind the intervals of `findings` are, each kind once; `--json` has it for each."""
    estimates = [part for each in findings for part in (each.value, each.control) if part]
    kinds = dict.fromkeys(
        part.kind.partition(", n=")[0] for part in estimates if part.low is not None and part.kind
    )
    if kinds:
        console.note(f"intervals: {'; '.join(kinds)}")


def conclude(
    console: Console,
    report: Report,
    streams: Streams,
    *,
    out: Path | None = None,
    shown: ImageGrid | None = None,
    **facts: Any,
) -> None:
    """Say what `report` found: `shown` in the terminal, its notes on stderr; its verdict, then one table of its main values.

    With --verbose all values and tables follow the verdict. `out` is the file that was written,
    whose name is the last line; where it is `-`, the image has stdout to itself and the rest goes to
    stderr. Where nothing was measured, the name is alone on stdout: `$(dcgan train photos/)` is a
    checkpoint. With --json one document stands for all of this; `facts` are more of its keys.
    """
    if shown is not None:
        console.result_table(HalfBlocks(shown))
    for note in report.notes:
        console.note(note)
    if streams.json:
        files: Mapping[str, Any] = {} if out is None else {"file": str(out)}
        show_document(console, report, **facts, **files)
        return
    measured = bool(report.findings or report.tables)
    aside = is_stdout(out)
    if report.verdict:
        (console.result if measured and not aside else console.note)(report.verdict)
    if measured:
        _show_values(
            console, report, streams.verbose, console.show if aside else console.result_table
        )
    if out is not None and not aside:
        console.result(str(out))


def _show_values(
    console: Console, report: Report, verbose: bool, show: Callable[[RenderableType], None]
) -> None:
    """Print the main values of `report`, or all of them."""
    findings, tables = (report.findings, report.tables) if verbose else main_values(report)
    if findings:
        show(findings_table(replace(report, findings=findings)))
        say_kinds(console, findings)
    for table in tables:
        show(plain_table(table))
    if len(findings) < len(report.findings) or len(tables) < len(report.tables):
        console.note("more values: --verbose; all of them: --json")


def show_document(console: Console, report: Report, **facts: Any) -> None:
    """Print `report` as JSON; `facts` are more of its keys."""
    console.result(to_json(replace(report, facts={**report.facts, **facts})))


def say_done(console: Console, title: str, text: str, json: bool, **facts: Any) -> None:
    """End a command that measured nothing: `text`, or with `json` a document of `facts`."""
    if not json:
        console.result(text)
        return

    show_document(console, Report(title), **facts)
