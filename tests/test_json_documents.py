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

PARTS = ("named_value", "finding", "table")

TINY = "--size 16 --ngf 4 --ndf 4 --batch-size 32"
LINES = {
    "train": f"train demo:faces --limit 200 --steps 3 --run f {TINY}",
    "sample": "sample f -n 4",
    "concepts_list": "concepts list demo-faces",
    "concepts_add": "concepts add mine samples.png#0,1,2 -c f",
    "concepts_show": "concepts show mine f",
    "concepts_export": "concepts export mine.json f",
    "concepts_remove": "concepts remove mine f",
    "concepts_import": "concepts import mine.json f",
    "interpolate": "interpolate f --points 3",
    "nearest_neighbors": "nearest-neighbors f -n 20 --rows 2 --limit 60",
    "guided_backprop": "guided-backprop f --limit 40 --features 2 --measured 2 --draws 2",
    "turn": "arithmetic f --turn samples.png#0 samples.png#1",
    "film": "interpolate f --points 2 -o a.gif",
    "arithmetic": "arithmetic f --pos samples.png#0 --neg samples.png#1",
    "probe_svm": "probe-svm f --train digits --labels-total 40 --draws 2 --controls none",
}
"""In this order: some read what others wrote."""


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


@pytest.mark.parametrize("name", [name for name in SCHEMA["$defs"] if name not in PARTS])
def test_every_key_stands_on_the_page(name: str) -> None:
    heading = next(part for part in PAGE.split("\n## ") if part.startswith("`dcgan " + _line(name)))
    common = ("schema_version", "report", "verdict", "findings", "tables", "notes")
    for key in SCHEMA["$defs"][name]["properties"]:
        assert f"`{key}`" in (PAGE if key in common else heading), key


@pytest.mark.parametrize("name", LINES)
def test_every_value_is_explained_on_the_page(name: str, documents: dict[str, str]) -> None:
    name_, document = {"film": "interpolate"}.get(name, name), json.loads(documents[name])
    heading = next(
        part for part in PAGE.split("\n## ") if part.startswith("`dcgan " + _line(name_))
    )
    for key in document.get("findings", {}):
        assert re.search(rf"`{re.sub('_(random|pixels|knn)$', '_CONTROL', key)}`", heading) or (
            re.search(rf"`{re.sub('agreement_.*', 'agreement_RULE_RULE', key)}`", heading)
        ), key


def _line(name: str) -> str:
    special = {
        "profile": "train --profile",
        "turn": "arithmetic --turn",
        "annotate": "drop-filters --annotate",
    }
    plain = name.replace("_", " " if name.startswith("concepts") else "-")
    return special.get(name, plain) + " "


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
