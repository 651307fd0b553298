"""README and docs: every command parses as it is typed, every link leads somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from cli_reference import PAGE, commands, reference

from dcgan_cli.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "checkpoints/README.md"]

FENCE = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def typed(page: Path) -> Iterator[list[str]]:
    """The arguments of every `dcgan` in the page's blocks of commands."""
    for block in FENCE.findall(page.read_text()):
        text = block.replace("\\\n", " ")
        prompts = "$ " in text
        for line in text.splitlines():
            if prompts and not line.startswith("$ "):
                continue  # what the command printed
            line = line.removeprefix("$ ").replace("'", " ").replace("$s", "0")
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|><()")
            lexer.whitespace_split = True
            yield from _commands(list(lexer))


def _commands(words: list[str]) -> Iterator[list[str]]:
    starts = [i for i, word in enumerate(words) if word.split("/")[-1] in ("dcgan", "dcgan_cli")]
    for start in starts:
        if start and words[start - 1] in ("git", "cd"):
            continue
        rest = words[start + 1 :]
        end = next((i for i, word in enumerate(rest) if set(word) <= set(";&|><()")), len(rest))
        yield rest[:end]


def test_pages_hold_commands() -> None:
    found = {page: len(list(typed(page))) for page in PAGES}
    assert found[PAGES[0]] >= 15
    assert sum(found.values()) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_parses(page: Path) -> None:
    group = typer.main.get_command(app)
    for arguments in typed(page):
        context = group.make_context("dcgan", list(arguments), resilient_parsing=True)
        _, command, rest = group.resolve_command(context, list(arguments))  # type: ignore[attr-defined]
        while command is not None and hasattr(command, "commands"):
            _, command, rest = command.resolve_command(context, rest)
        assert command is not None, arguments
        if "--help" not in rest and "-h" not in rest:
            command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [
        target
        for target in targets
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert missing == []


def test_readme_takes_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_every_page_is_reached_from_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"docs/{page.name}" in readme, page.name


def test_the_reference_is_of_these_commands() -> None:
    assert PAGE.read_text() == reference(), "run: python tests/cli_reference.py"


def test_every_command_is_in_the_reference() -> None:
    page = PAGE.read_text()
    for name, _ in commands():
        assert f"## dcgan {name}\n" in page


GENERAL = """
    JSON GPU CPU CSV JPEG PNG GIF MP4 PDF HTML JPG RGB CMYK BMP TIFF PPM WebP ASCII UTF-8 GB GiB NaN
    MNIST EMNIST CIFAR CIFAR-10 CIFAR-100 SVHN CelebA LSUN LFW ImageNet IDX COCO VOC LabelMe MATLAB
    PyTorch CUDA OpenMP TensorBoard LinearSVC ImageFolder DataLoader DCGAN MIT LICENSE NAS
    SIGTERM SIGHUP TERM AVX512-BF16 CI
"""
"""Names of formats, data sets, programs and signals: not words of this project."""

PLACEHOLDERS = "CHECKPOINT SOURCE NAME LEFT RIGHT ATTRIBUTE OBJECT CONTROL RULE FILE KEY"
"""Stand for what a person types, or for names of their own data."""

ABBREVIATION = re.compile(r"\b(?:[A-Z]{2,}[A-Za-z0-9-]*|[A-Z][a-z]+[A-Z]\w*|[a-z]{2}(?:16|32))\b")
TYPED = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)", re.DOTALL)


def abbreviations(text: str) -> set[str]:
    """Abbreviations of the prose of a page, without what is typed as it stands."""
    return set(ABBREVIATION.findall(TYPED.sub(" ", text)))


def test_the_glossary_has_every_abbreviation() -> None:
    known = (ROOT / "docs/glossary.md").read_text()
    words = set[str]().union(*(abbreviations(page.read_text()) for page in PAGES))
    unknown = words - {*GENERAL.split(), *PLACEHOLDERS.split()}
    missing = {word for word in unknown if not re.search(rf"\b{re.escape(word)}\b", known)}
    assert {"KID", "AUC", "EMA", "bf16"} <= words
    assert missing == set()


def test_architecture_names_files_that_exist() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    table = page.partition("## Where is what")[2].partition("\n## ")[0]
    paths = [path for path in re.findall(r"`([\w/.]+)`", table) if "/" in path]
    assert len(paths) > 12
    assert [path for path in paths if not (ROOT / "dcgan_cli" / path).exists()] == []
    tree = page.partition("```\n")[2].partition("```")[0]
    there = {file.name for file in (ROOT / "dcgan_cli").rglob("*.py")}
    assert set(re.findall(r"\w+\.py", tree)) - there == set()
