"""How a command that reports ends: the same for all, so that scripts and people know where to look."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_cli.cli.console import Console
from dcgan_cli.files import is_stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dcgan_cli.report import Finding, Report


def refuse_two_results(out: Path | None, json: bool) -> None:
    """Raise UsageError where an image and a document would both be written to stdout."""
    from dcgan_cli.errors import UsageError

    if json and is_stdout(out):
        raise UsageError("-o - and --json would both be written to stdout; name a file with -o")


def say_kinds(console: Console, findings: "Sequence[Finding]") -> None:
    """Say of what kind the intervals of `findings` are, each kind once; `--json` has it for each."""
    estimates = [part for each in findings for part in (each.value, each.control) if part]
    kinds = dict.fromkeys(
        part.kind.partition(", n=")[0] for part in estimates if part.low is not None
    )
    if kinds:
        console.note(f"intervals: {'; '.join(kinds)}")


def conclude(
    console: Console,
    report: "Report",
    *,
    out: Path | None,
    json: bool,
    verbose: bool = False,
    **facts: Any,
) -> None:
    """Say what `report` found: its notes on stderr; its verdict, then one table of its main values.

    With `verbose` all values and tables follow the verdict. `out` is the file that was written,
    whose name is the last line; where it is `-`, the image has stdout to itself and the rest goes to
    stderr. With `json` one document stands for all of this; `facts` are more of its keys.
    """
    for note in report.notes:
        console.note(note)
    if json:
        from dcgan_cli.render.json_report import to_json

        files: Mapping[str, Any] = {} if out is None else {"file": str(out)}
        console.result(to_json(replace(report, facts={**report.facts, **facts, **files})))
        return
    say, show = console.result, console.result_table
    if is_stdout(out):
        say, show = console.note, console.show
    if report.verdict:
        say(report.verdict)
    if report.findings or report.tables:
        from dcgan_cli.render.terminal import findings_table, main_values, plain_table

        findings, tables = (report.findings, report.tables) if verbose else main_values(report)
        if findings:
            show(findings_table(replace(report, findings=findings)))
            say_kinds(console, findings)
        for table in tables:
            show(plain_table(table))
        if len(findings) < len(report.findings) or len(tables) < len(report.tables):
            console.note("more values: --verbose; all of them: --json")
    if out is not None and not is_stdout(out):
        console.result(str(out))
