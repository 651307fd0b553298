"""`docs/cli.md`, made from the commands' own help: `python tests/cli_reference.py` writes it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dcgan_cli.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"

HEAD = """# Commands and options

Made from `dcgan COMMAND --help` by `python tests/cli_reference.py`. What `--json` prints is in [json.md](json.md).
"""

SHARED = ("--help", "--debug")
"""Options of every command, said once."""


def commands() -> Iterator[tuple[str, Any]]:
    """Name and click command of every command, those of groups by both their words."""
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {word}", one) for word, one in inner.items())


def _plain(text: str) -> str:
    """Without rich's marks and line breaks; safe inside a table's cell."""
    return re.sub(r"\[/?bold\]", "", " ".join(text.split())).replace("|", "\\|")


def _example(line: str) -> str:
    """A line of the help's examples; what it says beside the command becomes a comment."""
    return "  # ".join(
        " ".join(part.split()) for part in re.split(r"\s{2,}", line.strip(), maxsplit=1)
    )


def _section(name: str, command: Any) -> str:
    about, _, examples = (command.help or "").partition("[bold]Examples[/bold]")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join(["dcgan", name, *(f"[{one.name.upper()}]" for one in arguments)])
    lines = [f"## dcgan {name}", "", f"`{usage} [OPTIONS]`", ""]
    lines += [_plain(part) + "\n" for part in about.split("\n\n") if part.strip()]
    if shown := [_example(line) for line in examples.splitlines() if line.strip()]:
        lines += ["```console", *(f"$ {line}" for line in shown), "```", ""]
    lines += ["| option | default | |", "|---|---|---|"]
    for one in (*arguments, *options):
        names = [*one.opts, *one.secondary_opts]
        if one.param_type_name == "argument":
            names = [one.name.upper()]
        if names[0] in SHARED:
            continue
        default = "" if one.default in (None, False, ()) or callable(one.default) else one.default
        called = ", ".join(f"`{text}`" for text in names)
        lines.append(f"| {called} | {default} | {_plain(getattr(one, 'help', '') or '')} |")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The page."""
    shared = "Every command also has `--help` (`-h`) and `--debug`, which shows the traceback of an error.\n"
    return "\n".join([HEAD, shared, *(_section(*one) for one in commands())])


if __name__ == "__main__":
    PAGE.write_text(reference())
