"""How a command that reports ends: the same for all, so that scripts and people know where to look."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dcgan_cli.cli.console import Console
from dcgan_cli.files import is_stdout

if TYPE_CHECKING:
    from dcgan_cli.report import Report


def refuse_two_results(out: Path | None, json: bool) -> None:
    """Raise UsageError where an image and a document would both be written to stdout."""
    from dcgan_cli.errors import UsageError

    if json and is_stdout(out):
        raise UsageError("-o - and --json would both be written to stdout; name a file with -o")


def say_kinds(console: Console, report: "Report") -> None:
    """Say of what kind the intervals of `report` are, each kind once; `--json` has it for each."""
    estimates = [part for each in report.findings for part in (each.value, each.control) if part]
    kinds = dict.fromkeys(part.kind.partition(", n=")[0] for part in estimates if part.kind)
    if kinds:
        console.note(f"intervals: {'; '.join(kinds)}")


def conclude(
    console: Console, report: "Report", *, out: Path | None, json: bool, **facts: Any
) -> None:
    """Say what `report` found: its notes on stderr, its values and tables on stdout.

    `out` is the file that was written, whose name is the last line; where it is `-`, the image has
    stdout to itself and the values go to stderr. With `json` one document stands for all of this;
    `facts` are more of its keys.
    """
    for note in report.notes:
        console.note(note)
    if json:
        files: Mapping[str, Any] = {} if out is None else {"file": str(out)}
        show_document(console, report, **facts, **files)
        return
    if report.findings or report.tables:
        from dcgan_cli.render.terminal import findings_table, plain_table

        show = console.show if is_stdout(out) else console.result_table
        if report.findings:
            show(findings_table(report))
            say_kinds(console, report)
        for table in report.tables:
            show(plain_table(table))
    if out is not None and not is_stdout(out):
        console.result(str(out))


def show_document(console: Console, report: "Report", **facts: Any) -> None:
    """Print `report` as JSON; `facts` are more of its keys."""
    from dcgan_cli.render.json_report import to_json

    console.result(to_json(replace(report, facts={**report.facts, **facts})))


def say_done(console: Console, title: str, text: str, json: bool, **facts: Any) -> None:
    """End a command that measured nothing: `text`, or with `json` a document of `facts`."""
    if not json:
        console.result(text)
        return
    from dcgan_cli.report import Report

    show_document(console, Report(title), **facts)
