"""What every command in the registry has, a tenth one too: help with examples, a page, a test."""

import re
from pathlib import Path

import pytest
from cli_reference import commands
from typer.testing import CliRunner

from dcgan_cli.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[1]
PAGES = "".join(path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
COMMAND = dict(commands())
TESTS = "".join(
    path.read_text()
    for path in ROOT.glob("tests/test_*.py")
    if path.name not in ("test_common_options.py", Path(__file__).name)
)


def test_the_registry_is_what_can_be_typed() -> None:
    assert {name.partition(" ")[0] for name, _ in commands()} == {name for name, _ in COMMANDS}


@pytest.mark.parametrize("name", COMMAND)
def test_a_command_has_help_with_examples(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    examples = result.output.partition("Examples")[2]
    assert f"dcgan {name}" in examples
    assert "-h" in result.output
    assert all(getattr(one, "help", "") for one in COMMAND[name].params)


@pytest.mark.parametrize("name", COMMAND)
def test_a_command_is_in_readme_or_docs(name: str) -> None:
    assert f"dcgan {name}" in PAGES


@pytest.mark.parametrize("name", COMMAND)
def test_a_command_is_tried_by_a_test(name: str) -> None:
    words = r'",\s+"'.join(re.escape(word) for word in name.split())
    tried = rf'"{words}"[,)\]]|command\("{words}"'
    last = re.escape(name.split()[-1])
    assert re.search(tried, TESTS) or re.search(rf'\(\s*"{last}",', TESTS)
