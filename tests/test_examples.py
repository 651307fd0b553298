"""Examples in docstrings are Python, and call what exists, by arguments that it has."""

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "dcgan_cli"
INLINE = re.compile(r"Example: `([^`]+)`")
BLOCK = re.compile(r"^( *)Example:\n((?:\1    .*\n)+)", re.MULTILINE)


def examples() -> Iterator[tuple[str, str]]:
    """Where each example stands, and its code."""
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        where = file.relative_to(PACKAGE).as_posix()
        for match in INLINE.finditer(text):
            yield where, " ".join(match[1].split())
        for match in BLOCK.finditer(text):
            yield where, textwrap.dedent(match[2])


EXAMPLES = list(examples())


def definitions() -> dict[str, list[set[str] | None]]:
    """Parameter names of every function and class by name; None where any keyword is taken."""
    found: dict[str, list[set[str] | None]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
                found.setdefault(node.name, []).append(None if node.args.kwarg else names)
            elif isinstance(node, ast.ClassDef):
                fields = {
                    s.target.id
                    for s in node.body
                    if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
                }
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                        fields |= {a.arg for a in (*inner.args.args, *inner.args.kwonlyargs)}
                found.setdefault(node.name, []).append(fields)
    return found


DEFINED = definitions()
FOREIGN = {"Path", "device", "zeros", "permutation", "arange", "discriminator"} | set(dir(builtins))
"""Of torch, numpy and Python; and a network, which is called as a function."""


def problems(code: str) -> list[str]:
    """Calls of what the package does not define, or by a keyword that it does not take."""
    found: list[str] = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        keywords = {keyword.arg for keyword in call.keywords if keyword.arg}
        known = DEFINED.get(name, [])
        if name not in FOREIGN and not any(names is None or keywords <= names for names in known):
            found.append(ast.unparse(call))
    return found


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 30


@pytest.mark.parametrize(("where", "code"), EXAMPLES, ids=[where for where, _ in EXAMPLES])
def test_an_example_calls_what_exists(where: str, code: str) -> None:
    assert problems(code) == [], where


@pytest.mark.parametrize("code", ["prepare(source, spec, no_such=1)", "no_such_function()"])
def test_wrong_calls_are_found(code: str) -> None:
    assert problems(code) == [code]
