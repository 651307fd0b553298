"""The glossary's forbidden words, looked for in names, strings, comments and pages.

    python tests/glossary.py

prints every place as `file:line: word -> what to write` and exits with 1 where there is one.
Strings that are one word are keys (of checkpoints, of `--json`), which outlive a change of words.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

WORDS = {
    "pictures?": "image",
    "sheets?": "image grid",
    "minibatch(es)?": "batch",
    "judges?": "attribute classifier",
    "finders?": "object detector",
    "ailments?": "diagnosis",
    "unwell": "diagnosis",
    "learnt": "trained, learned",
    "contenders?": "baseline",
    "exams?": "split",
    "lessons?": "training subset",
    "obituary": "error message",
    "bury|buried": "requeue",
    "crew": "workers",
    "guests?": "random_networks",
    "felt": "measured",
    "astray": "wrong, diverges",
    "honest": "held out",
    "believed": "checked",
    "dearest": "slowest",
    "doomed": "evicted",
    "parcels?": "payload",
    "times_transposed": "matmul_nt",
    "[a-z]*colour[a-z]*": "color",
    "[a-z]*neighbour[a-z]*": "neighbor",
    "behaviour[a-z]*": "behavior",
    "centred?|centres": "center",
    "gr[e]ys?|greyscale": "gray",
    "(optim|normal|standard|initial|memor|recogn|synchron|visual|minim)is(e|ed|es|er|ers|ing|ation)": "-ize",
    "catalogues?": "catalog",
    "(label|model|travel|cancel)l(ed|ing)": "one l",
}

FORBIDDEN = re.compile("|".join(f"(?P<w{i}>{w})" for i, w in enumerate(WORDS)), re.IGNORECASE)

# a framed picture on the wall is an object of the demo's rooms
WALL_PICTURE = re.compile(
    r"dcgan_cli/data/demo/(rooms|furniture|shell|bed|perspective|source)\.py|tests/test_demo_rooms\.py"
)
ON_THE_WALL = re.compile(
    r"\b(?:doors?|lamps?|windows?|beds?),? (?:and |or )?(?:a |framed )*pictures?\b"
    r"|\bpictures?,? (?:and |or )?(?:a )?(?:windows?|doors?|lamps?|beds?)\b|│ picture  |framed pictures?",
    re.IGNORECASE,
)
ITSELF = {"tests/glossary.py", "tests/test_glossary.py"}
# purposes of random streams, which decide what is drawn, and keys within f-strings
KEPT = re.compile(r"_stream\([^)]*\"[^\"]*\"|\[[\"']\w+[\"']\]")
PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
PROSE_WORD = re.compile(r"(?<![\w./#-])[A-Za-z]+(?!\w)(?!\.(?:zip|csv|json|png|npy|pt|tar)\b)")
KEY = re.compile(r"\w+\Z")
NOT_PROSE = re.compile(r"\]\([^)\s]*\)|https?://\S+|\"\w+\"|(?<=[|. ])\.\w+(?:\.\w+)*|\b\w+_\w+\b")


@dataclass(frozen=True)
class Found:
    """A forbidden word, where it is, and what to write instead."""

    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word} -> {self.instead}"


def _of_words(path: str, line: int, words: Iterator[str]) -> Iterator[Found]:
    for word in words:
        match = FORBIDDEN.fullmatch(word)
        if match and not (WALL_PICTURE.fullmatch(path) and word.lower().startswith("picture")):
            instead = list(WORDS.values())[int(str(match.lastgroup)[1:])] if match.lastgroup else ""
            yield Found(path, line, word.lower(), instead)


def found_in_prose(path: str, text: str, first: int = 1) -> list[Found]:
    """Forbidden words of a text whose first line is line `first` of `path`."""
    found: list[Found] = []
    for number, line in enumerate(text.split("\n"), first):
        plain = ON_THE_WALL.sub(" ", NOT_PROSE.sub(" ", line))
        found += _of_words(path, number, (m.group() for m in PROSE_WORD.finditer(plain)))
    return found


def found_in_python(path: str, source: str) -> list[Found]:
    """Forbidden words in the names, strings and comments of a module."""
    found: list[Found] = []
    source = KEPT.sub(lambda m: re.sub(r"[\"'][^\"']*[\"']", "0", m.group()), source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.NAME:
            found += _of_words(path, line, iter(PART.findall(token.string)))
        elif token.type == tokenize.COMMENT or (
            token.type == tokenize.STRING and not _is_key(token.string)
        ):
            found += found_in_prose(path, token.string, line)
    return found


def _is_key(literal: str) -> bool:
    if "f" in literal[:2].lower():
        return False
    value = ast.literal_eval(literal)
    return isinstance(value, bytes) or KEY.match(value) is not None


def problems() -> list[str]:
    """Every forbidden word of the repository."""
    found: list[Found] = []
    modules = [*(ROOT / "dcgan_cli").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    for file in sorted(modules):
        path = file.relative_to(ROOT).as_posix()
        if path not in ITSELF:
            found += _of_words(path, 1, iter(re.findall("[a-z]+", file.stem)))
            found += found_in_python(path, file.read_text(encoding="utf-8"))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("checkpoints/*.md")]
    for file in sorted(pages):
        path = file.relative_to(ROOT).as_posix()
        found += found_in_prose(path, file.read_text(encoding="utf-8"))
    return [str(one) for one in found]


if __name__ == "__main__":
    lines = problems()
    print("\n".join(lines) or "The glossary is kept.")
    sys.exit(bool(lines))
