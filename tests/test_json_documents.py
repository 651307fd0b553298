"""What --json prints is what docs/json.schema.json and docs/json.md say, and nothing else."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.render.json_report import snake_case, to_json
from dcgan_cli.report import Estimate, Finding, Report, Table

DOCS = Path(__file__).parent.parent / "docs"
SCHEMA = json.loads((DOCS / "json.schema.json").read_text("utf-8"))
PAGE = (DOCS / "json.md").read_text("utf-8")
MOST_WORDS = 25
"""Of a note on stderr: what needs more stands in the docs."""

PARTS = ("named_value", "finding")

TINY = "--size 16 --ngf 4 --ndf 4 --batch-size 32"
LINES = [
    ("train", f"train demo:faces --limit 200 --steps 3 --run f {TINY}"),
    ("train", f"train demo:rooms --limit 200 --steps 3 --run r {TINY} --lr 1e30"),
    ("profile", f"train demo:faces --limit 200 --profile {TINY}"),
    ("sample", "sample f -n 4 --save-latents z.npy"),
    ("sample", "sample f -n 2 --split images"),
    ("concepts_list", "concepts list demo-faces"),
    ("concepts_add", "concepts add mine samples.png#0,1,2 -c f"),
    ("concepts_show", "concepts show mine f"),
    ("concepts_export", "concepts export mine.json f"),
    ("concepts_remove", "concepts remove mine f"),
    ("concepts_import", "concepts import mine.json f"),
    ("concepts_learn", f"concepts learn f --data {FACES} --limit 300 --samples 200 --exemplars 3"),
    ("interpolate", "interpolate f --points 3"),
    ("interpolate", "interpolate f --points 2 -o a.gif"),
    ("nearest_neighbors", "nearest-neighbors f -n 20 --rows 2 --limit 60"),
    ("nearest_neighbors", "nearest-neighbors f -n 20 --data demo:faces:100 --held-out 0.3 --classify mouth"),
    ("guided_backprop", "guided-backprop r --limit 40 --features 2 --measured 2 --draws 2"),
    ("arithmetic", "arithmetic f --pos samples.png#0 --neg samples.png#1 --save-latents a.npy"),
    ("turn", "arithmetic f --turn samples.png#0 samples.png#1 --save-latents t.npy"),
    ("probe_svm", "probe-svm f --train digits --labels-total 40 --draws 2 --controls none"),
    ("annotate", "drop-filters r --find window --annotate p.html -n 20"),
]
@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What each of LINES prints on stdout and stderr."""
    folder = tmp_path_factory.mktemp("documents")
    said: dict[str, tuple[str, str]] = {}
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        for name, line in LINES.items():
            out, err, words = io.StringIO(), io.StringIO(), [*line.split(), "--json"]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                assert run_guarded(lambda: app(words, standalone_mode=False)) == 0, line  # noqa: B023
            said[name] = out.getvalue(), err.getvalue()
    return said


@pytest.fixture(scope="module")
def documents(streams: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What each of LINES prints on stdout."""
    return {name: out for name, (out, _) in streams.items()}


@pytest.mark.parametrize("name", LINES)
def test_notes_are_one_short_sentence_each(name: str, streams: dict[str, tuple[str, str]]) -> None:
    for line in streams[name][1].splitlines():
        assert len(line.split()) <= MOST_WORDS, line


@pytest.mark.parametrize("name", [name for name in LINES if not name.startswith("concepts_")])
def test_what_is_reported_begins_with_a_verdict(name: str, documents: dict[str, str]) -> None:
    keys = list(json.loads(documents[name]))
    assert keys[:3] == ["schema_version", "report", "verdict"]


def check(document: Any, name: str) -> None:
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("name", LINES)
def test_a_document_is_what_the_schema_says(name: str, documents: dict[str, str]) -> None:
    text = documents[name]
    assert text.isascii()
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    check(document, {"film": "interpolate"}.get(name, name))


COMMANDS = [name for name in SCHEMA["$defs"] if name not in PARTS]
COMMON = {"schema_version", "report", "verdict", "notes"}
KEY = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
NAME = "[a-z0-9_]+"
"""Stands in the schema where the page has a name in capitals."""


def section(heading: str) -> str:
    """The page from `heading`, without its `## `, to the next."""
    return next(part for part in PAGE.split("\n## ") if part.startswith(heading + "\n"))


def keys_on_the_page(heading: str) -> list[str]:
    """The first column of the tables below a heading; names in capitals are patterns."""
    keys = [key for key, _ in KEY.findall(section(heading))]
    return [re.sub("[A-Z]{2,}", lambda _: NAME, key) for key in keys]


def keys_of_the_schema(schema: dict[str, Any], before: str = "") -> set[str]:
    """Every key that a schema allows, with those of objects and rows inside: `tables.dose[].maps`."""
    keys: set[str] = set()
    named = {p.strip("^$"): part for p, part in schema.get("patternProperties", {}).items()}
    for key, part in {**schema.get("properties", {}), **named}.items():
        items = part.get("items", {})
        inner, place = (items, f"{before}{key}[].") if items else (part, f"{before}{key}.")
        inside = keys_of_the_schema(inner, place)
        if key not in ("findings", "tables") and before != "tables.":
            keys.add(before + key)
        keys |= inside
    return keys


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_the_keys_of_the_schema_and_no_others(name: str) -> None:
    on_the_page = keys_on_the_page(f"`dcgan {_line(name)} --json`")
    assert len(on_the_page) == len(set(on_the_page))
    assert set(on_the_page) == keys_of_the_schema(SCHEMA["$defs"][name]) - COMMON


@pytest.mark.parametrize("name", COMMANDS)
def test_every_key_of_the_page_has_a_unit_or_type(name: str) -> None:
    rows = KEY.findall(section(f"`dcgan {_line(name)} --json`"))
    assert [key for key, unit in rows if not unit.strip()] == []


def test_the_page_has_the_keys_of_a_finding() -> None:
    schema = SCHEMA["$defs"]["finding"]
    assert set(keys_on_the_page("A finding")) == set(schema["properties"])
    assert set(keys_on_the_page("Every document")) == COMMON


def test_the_contents_lead_to_every_command() -> None:
    headings = re.findall("^## (.+)$", PAGE, re.MULTILINE)
    slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", section("Contents")))
    assert links == slugs - {"contents"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_key_of_the_schema_has_been_printed(
    name: str, documents: dict[str, list[str]]
) -> None:
    printed = set[str]().union(*(keys_of(json.loads(text)) for text in documents[name]))
    unseen = {
        key
        for key in keys_of_the_schema(SCHEMA["$defs"][name]) - ELSEWHERE.keys() - {"notes"}
        if not any(re.fullmatch(key.replace("[]", r"\[\]"), each) for each in printed)
    }
    assert unseen == set()


def keys_of(document: Any, before: str = "") -> set[str]:
    """Every key of a document, in the words of `keys_of_the_schema`."""
    keys: set[str] = set()
    for key, value in document.items():
        keys.add(before + key)
        rows = value if isinstance(value, list) else [value]
        place = f"{before}{key}{'[].' if isinstance(value, list) else '.'}"
        keys |= set[str]().union(*(keys_of(row, place) for row in rows if isinstance(row, dict)))
    return keys


def _line(name: str) -> str:
    special = {
        "profile": "train --profile",
        "turn": "arithmetic --turn LEFT RIGHT",
        "annotate": "drop-filters --annotate",
    }
    return special.get(name, name.replace("_", " " if name.startswith("concepts") else "-"))


def test_examples_of_the_page_are_documents() -> None:
    blocks = [part.partition("```")[0] for part in PAGE.split("```json\n")[1:]]
    whole = [json.loads(block) for block in blocks if '"schema_version"' in block]
    names = {"training": "train", "samples": "sample", "concept_added": "concepts_add"}
    assert len(whole) == 3
    for document in whole:
        check(document, names[document["report"]])


def test_names_of_people_are_no_keys() -> None:
    report = Report(
        "R %",
        findings=[
            Finding("drift_is smiling man", "l", Estimate(float("nan")), unit=" sd", about="a b"),
            Finding("drift_is_smiling_man", "l", Estimate(1.0), unit=" %"),
        ],
        tables=[Table("T", ("is", "Ä b", "n"), [("x", 1, 2)], keys=("class", "", "images"))],
    )
    document = json.loads(to_json(report))
    assert list(document["findings"]) == ["drift_is_smiling_man", "drift_is_smiling_man_2"]
    first, second = document["findings"].values()
    assert (first["value"], first["about"], first["unit"]) == (None, "a b", "standard_deviations")
    assert second["unit"] == "percent"
    row = {"class": "x", "images": 2, "values": [{"name": "Ä b", "value": 1}]}
    assert document["tables"] == {"t": [row]}


@pytest.mark.parametrize(
    ("text", "key"),
    [("error %", "error_percent"), ("± draws", "ub1_draws"), ("1-NN", "x_1_nn"), ("é", "e")],
)
def test_snake_case(text: str, key: str) -> None:
    assert snake_case(text) == key
