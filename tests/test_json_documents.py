"""What --json prints is what docs/json.schema.json and docs/json.md say, and nothing else."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import dataset_files
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
CLASSIFIED = "--classifier demo:faces:300 --orthogonal-to turn"
PROBE = "--labels-total 40 --draws 2 --controls"
LINES = [
    ("train", f"train demo:faces --limit 200 --steps 6 --evaluate-every 1 --run f {TINY}"),
    ("profile", f"train demo:faces --limit 200 --profile {TINY}"),
    ("sample", "sample f -n 4 --save-latents z.npy"),
    ("sample", "sample f -n 2 --split images"),
    ("concepts_list", "concepts list demo-faces"),
    ("concepts_add", "concepts add mine samples.png#0,1,2 -c f"),
    ("concepts_show", "concepts show mine f"),
    ("concepts_export", "concepts export mine.json f"),
    ("concepts_remove", "concepts remove mine f"),
    ("concepts_import", "concepts import mine.json f"),
    ("concepts_learn", "concepts learn f --data demo:faces:150 --samples 200 --exemplars 3"),
    ("evaluate", "evaluate f -n 20 --features random -o e.png"),
    ("interpolate", "interpolate f --points 3"),
    ("interpolate", "interpolate f --points 2 -o a.gif"),
    ("nearest_neighbors", "nearest-neighbors f -n 20 --rows 2 --limit 60"),
    ("nearest_neighbors", "nearest-neighbors f -n 20 --held-out 0.3 --classify mouth"),
    ("guided_backprop", "guided-backprop f --limit 40 --features 2 --measured 2 --draws 2"),
    (
        "guided_backprop",
        "guided-backprop f --data demo:rooms:40 --features 2 --measured 3 --draws 2",
    ),
    ("turn", "arithmetic f --turn samples.png#0 samples.png#1 --save-latents t.npy"),
    ("turn", f"arithmetic f --turn samples.png#0 samples.png#1 {CLASSIFIED}"),
    ("arithmetic", "arithmetic f --pos samples.png#0 --neg samples.png#1 --save-latents a.npy"),
    (
        "arithmetic",
        f"arithmetic f --pos samples.png#0 --neg samples.png#1 --seeds 2 --expect man {CLASSIFIED}",
    ),
    ("probe_svm", f"probe-svm f --train digits {PROBE} pixels --splits 2"),
    ("probe_svm", f"probe-svm f --train cifar --test cifar {PROBE} none"),
    ("probe_svm", f"probe-svm f --train svhn --test svhn {PROBE} none"),
    ("annotate", "drop-filters f --find mouth --annotate page.html -n 20"),
    (
        "drop_filters",
        "drop-filters demo-rooms --find window --from demo:rooms:100 -n 30 --fresh 20 --save s.pt",
    ),
]
"""A definition of the schema, and a command: in this order, because some read what others wrote."""


ELSEWHERE = {
    ("nearest_neighbors", "map"),
    ("probe_svm", "file"),
    *(("train", f"diagnostics[].{key}") for key in ("step", "name", "sign", "action")),
}
"""Keys that a map brings, which takes long to be drawn, and a run that fails."""


def write_data(folder: Path) -> None:
    """Noise in the form of CIFAR-10 and of SVHN, whose published values stand beside a run's."""
    labels = [number % 10 for number in range(200)]
    noise = dataset_files.pixels(200, 32, 32, 3)
    dataset_files.write_cifar10(folder / "cifar", noise, labels, [f"k{n}" for n in range(10)])
    for seed, part in enumerate(("train", "test")):
        noise = dataset_files.pixels(200, 32, 32, 3, seed=seed)
        dataset_files.write_svhn(folder / f"svhn/{part}_32x32.mat", noise, labels)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """What each of LINES prints on stdout and stderr."""
    folder = tmp_path_factory.mktemp("documents")
    write_data(folder)
    said: list[tuple[str, str]] = []
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        for _, line in LINES:
            out, err, words = io.StringIO(), io.StringIO(), [*line.split(), "--json"]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run_guarded(lambda: app(words, standalone_mode=False))  # noqa: B023
            assert code == 0, (line, err.getvalue())
            said.append((out.getvalue(), err.getvalue()))
    return said


each_line = pytest.mark.parametrize("number", range(len(LINES)), ids=[line for _, line in LINES])


@each_line
def test_notes_are_one_short_sentence_each(number: int, streams: list[tuple[str, str]]) -> None:
    for line in streams[number][1].splitlines():
        if line.startswith("object detector:"):
            continue  # values of one object, no sentence
        assert len(line.split()) <= MOST_WORDS, line


def check(document: Any, name: str) -> None:
    schema = {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(document)


@each_line
def test_a_document_is_what_the_schema_says(number: int, streams: list[tuple[str, str]]) -> None:
    name, text = LINES[number][0], streams[number][0]
    assert text.isascii()
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    check(document, name)
    if "verdict" in SCHEMA["$defs"][name]["required"]:
        assert list(document)[:3] == ["schema_version", "report", "verdict"]


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
    name: str, streams: list[tuple[str, str]]
) -> None:
    said = [out for (command, _), (out, _) in zip(LINES, streams, strict=True) if command == name]
    printed = set[str]().union(*(keys_of(json.loads(out)) for out in said))
    unseen = {
        key
        for key in keys_of_the_schema(SCHEMA["$defs"][name]) - {"notes"}
        if (name, key) not in ELSEWHERE
        and not any(re.fullmatch(key.replace("[]", r"\[\]"), each) for each in printed)
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
    (finding,) = json.loads(
        section("A finding").partition("```json\n")[2].partition("```")[0]
    ).values()
    check(finding, "finding")
    (row,) = re.findall(r"```json\n(.*?)```", section("A row of a table"), re.DOTALL)
    check({"walks": [json.loads(row)]}, "interpolate/properties/tables")


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
