"""Concepts and the finding of checkpoints at their limits, and the very lines that they refuse with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_concepts
import test_foreign
from refusals import refused_as

from dcgan_cli.checkpoint import concepts as c
from dcgan_cli.checkpoint import find
from dcgan_cli.checkpoint.format import save
from dcgan_cli.errors import CheckpointError, UsageError

MODEL, LATER = test_concepts.MODEL, test_concepts.LATER


refusal = refused_as(CheckpointError)


# Concepts


def test_names_that_are_none_get_a_better_one() -> None:
    end = "expected small letters, digits and _"
    assert refusal(lambda: c.check_name("Smiling  Woman!"), UsageError) == (
        f"'Smiling  Woman!' is no name for a concept; {end}; try smiling_woman"
    )
    assert refusal(lambda: c.check_name("é"), UsageError) == (
        f"'é' is no name for a concept; {end}"
    )
    assert refusal(lambda: c.check_name("-A" + "b" * 80), UsageError).endswith("try a" + "b" * 63)


def test_a_concept_of_no_points_is_refused() -> None:
    for shape in ((0, 5), (5,), (1, 1, 5)):
        made = lambda shape=shape: c.Concept("a", np.zeros(shape, np.float32), "")  # noqa: E731
        assert (
            refusal(made, UsageError) == "concept a: holds no points; name at least one, better 3"
        )


def test_few_exemplars_are_counted() -> None:
    end = ", so results are unstable; the paper averaged 3 (§6.3.2)"
    assert c.few_exemplars_warning("a", 1) == f"a has 1 exemplar{end}"
    assert c.few_exemplars_warning("a", 2) == f"a has 2 exemplars{end}"


def test_a_file_of_concepts_is_written_as_people_read_it(tmp_path: Path) -> None:
    points = np.array([[0.1, 1, -2, 3e-9, 0], [1, 2, 3, 4, 5]], np.float32)
    made = {
        "b": c.Concept("b", points, "picked: ä", {"Sex": "Male"}),
        "a": c.Concept("a", points[:1], ""),
    }
    assert c.to_text(MODEL, made, {"y", "x"}) == (
        f'{{"format": "dcgan concepts", "version": 1, "checkpoint": "{MODEL.hash}", "z_dim": 5, '
        '"hidden": ["x", "y"],\n "concepts": {\n'
        ' "a": {"made": "", "meaning": {}, "exemplars": [\n   [0.1, 1.0, -2.0, 3e-09, 0.0]]},\n'
        ' "b": {"made": "picked: ä", "meaning": {"Sex": "Male"}, "exemplars": [\n'
        "   [0.1, 1.0, -2.0, 3e-09, 0.0],\n   [1.0, 2.0, 3.0, 4.0, 5.0]]}\n}}\n"
    )
    assert "hidden" not in c.to_text(MODEL, made)
    c.write_file(tmp_path / "a.json", MODEL, made)
    found = c.read_file(tmp_path / "a.json", MODEL)
    assert {name: (one.name, one.made, dict(one.meaning)) for name, one in found.items()} == {
        "a": ("a", "", {}),
        "b": ("b", "picked: ä", {"Sex": "Male"}),
    }


def test_files_of_concepts_are_refused_with_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.concepts.json"
    assert refusal(lambda: c.read_file(path, MODEL)) == (
        f"{path}: No such file or directory; expected concepts"
    )

    def said(**changes: Any) -> str:
        content = json.loads(c.to_text(MODEL, test_concepts.known("a")))
        path.write_text(json.dumps({**content, **changes}))
        return refusal(lambda: c.read_file(path, MODEL))

    assert said(version=2) == (
        f"{path}: version 2 of concepts, this dcgan reads up to 1; upgrade it"
    )
    assert said(version="x" * 50) == (
        f"{path}: version {'x' * 40} of concepts, this dcgan reads up to 1; upgrade it"
    )
    assert said(format="x") == f"{path}: JSON, but not a list of concepts (no format mark)"
    assert said(checkpoint="x" * 50) == (
        f"{path}: concepts of model {'x' * 40}, this is {MODEL.hash}; "
        "points of one model mean nothing to another"
    )
    entry = {"made": "", "meaning": {}, "exemplars": [[1, 2, 3]]}
    assert said(concepts={"a": entry}) == (
        f"{path}: a holds numbers [1, 3], expected finite ones [exemplars, 5]"
    )
    assert said(concepts={"a": {}}) == f"{path}: damaged list of concepts ('exemplars')"
    path.write_text("{")
    assert refusal(lambda: c.read_file(path, MODEL)).startswith(
        f"{path}: not a list of concepts in JSON (Expecting"
    )
    monkeypatch.setattr(c, "MAX_CONCEPTS_BYTES", 0)
    assert refusal(lambda: c.read_file(path, MODEL)) == (
        f"{path}: larger than any list of concepts; not read"
    )


def test_whose_concepts_a_file_holds(tmp_path: Path) -> None:
    path, file = tmp_path / "a.pt", tmp_path / "a.concepts.json"
    save(path, LATER)
    c.write_file(file, MODEL, test_concepts.known("smile"))
    assert refusal(lambda: c.read_concepts(path, LATER)) == (
        f"{file}: concepts of model {MODEL.hash}, but {path} is {LATER.hash} (trained further?); "
        f"make new ones with dcgan concepts learn {path} --data SOURCE"
    )
    for word in ("../x", "", "A1", "0" * 65):
        file.write_text(json.dumps({"format": "dcgan concepts", "version": 1, "checkpoint": word}))
        assert refusal(lambda: c.own_concepts(path, LATER)) == (
            f"{file}: damaged list of concepts (checkpoint {word[:40]!r})"
        )


def test_what_is_set_aside_is_read_in_utf8_whatever_the_system_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "a.pt", tmp_path / "a.concepts.json"
    made = {"smile": replace(test_concepts.concept(), made="gepflückt")}
    c.write_file(file, MODEL, made)
    before, encodings = file.read_bytes(), set[str | None]()
    plain = Path.read_text

    def read_text(self: Path, encoding: str | None = None) -> str:
        encodings.add(encoding)
        return plain(self, encoding)

    monkeypatch.setattr(Path, "read_text", read_text)
    on_capture_stream = c.write_concepts(path, LATER, {})
    assert on_capture_stream == tmp_path / f"a.{MODEL.hash}.concepts.json"
    assert on_capture_stream.read_bytes() == before
    assert {str(name).lower() for name in encodings} == {"utf-8"}


@pytest.mark.parametrize(
    ("hidden", "names"),
    [
        (["a"], ["b", "c"]),
        ([], ["a", "b", "c"]),
        ("ab", ["a", "b", "c"]),
        (None, ["a", "b", "c"]),
        (7, ["a", "b", "c"]),
    ],
)
def test_a_users_file_hides_and_adds(hidden: object, names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save(path, MODEL)
    c.write_file(c.concepts_path(path), MODEL, test_concepts.known("a", "b"))
    users = c._users_path(MODEL.hash)
    assert users.name == f"{MODEL.hash}.concepts.json"
    users.parent.mkdir(parents=True)
    content = json.loads(c.to_text(MODEL, test_concepts.known("c")))
    users.write_text(json.dumps(content if hidden is None else {**content, "hidden": hidden}))
    assert sorted(c.read_concepts(path, MODEL)) == names
    assert sorted(c._names_of(path)) == names
    assert c.written_path(path, MODEL) == users
    path.write_bytes(b"no checkpoint")
    assert sorted(c._names_of(path)) == names, "the file beside it says whose they are"
    save(path, MODEL)
    c.concepts_path(path).unlink()
    assert sorted(c._names_of(path)) == ["c"], "the weights say whose they are"
    path.write_bytes(b"no checkpoint")
    assert c._names_of(path) == set()


def test_unknown_concepts_say_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c, "bundled", lambda _: None)
    path = tmp_path / "m.pt"
    assert c.unknown([], "a", path) == (
        f"{path} has no concepts yet; make some: dcgan concepts learn {path} --data SOURCE, or "
        "dcgan concepts add NAME samples.png#3,17,40"
    )
    start = f"no such concept of {path}; "
    many = [f"q{number}" for number in range(9)]
    assert c.unknown(many, "zzz", path) == (f"{start}there are q0, q1, q2, q3, q4, q5, q6, q7, …")
    assert c.unknown(many[:8], "zzz", path) == (f"{start}there are q0, q1, q2, q3, q4, q5, q6, q7")
    assert c.unknown(["smile", *many], "smiles", path) == f"{start}near: smile"
    there = tmp_path / "b.pt"
    c.write_file(c.concepts_path(there), MODEL, test_concepts.known("a"))
    monkeypatch.setattr(c, "bundled", lambda _: there)
    assert c.unknown([], "a", path) == (
        f"{path} has no such concept, but the bundled demo-faces has; give the checkpoint "
        f"demo-faces on the command line, or make it: dcgan concepts learn {path} --data SOURCE"
    )
    assert "no concepts yet" in c.unknown([], "b", path)
    assert "no concepts yet" in c.unknown([], "a", there), "it is the bundled one itself"


# Which checkpoint is meant


def test_checkpoints_are_found_by_path_run_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "bundled", lambda _: None)
    root = tmp_path / "root"
    assert refusal(lambda: find.find_checkpoint(None, root)) == (
        f"no checkpoint given and none in {root}/; train one: dcgan train demo:faces"
    )
    assert refusal(lambda: find.find_checkpoint("faces", root)) == (
        f"faces: neither a checkpoint file nor a run; {root}/ holds no runs"
    )
    (root / "faces").mkdir(parents=True)
    (root / "faces" / "last.pt").touch()
    (root / "loose.pt").touch()
    (root / "a folder.pt").mkdir()
    assert find.find_checkpoint("faces", root) == root / "faces" / "last.pt"
    assert find.find_checkpoint(str(root / "faces"), root) == root / "faces" / "last.pt"
    assert find.find_checkpoint(str(root / "loose.pt"), root) == root / "loose.pt"
    assert find.find_checkpoint("loose", root) == root / "loose.pt"
    theirs = test_foreign.write_folder(root / "theirs")
    assert find.find_checkpoint("theirs", root) == theirs / "200_gen_params.jl"
    assert find.find_checkpoint(str(theirs), root) == theirs / "200_gen_params.jl"
    for number in range(6):
        (root / f"x{number}.pt").touch()
    assert refusal(lambda: find.find_checkpoint("qqq", root)) == (
        "qqq: neither a checkpoint file nor a run; there are: a folder, faces, loose, x0, x1"
    )
    assert refusal(lambda: find.find_checkpoint("x", root)).endswith("there are: x5, x4, x3")


def test_what_came_with_the_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "dcgan_cli"
    (package / "bundled").mkdir(parents=True)
    (tmp_path / "lib" / "checkpoints").mkdir()
    monkeypatch.setattr(find, "files", lambda name: {"dcgan_cli": package}[name])
    assert find.bundled("demo-faces") is None
    inner, outer = package / "bundled" / "demo-faces.pt", tmp_path / "lib/checkpoints/demo-faces.pt"
    outer.touch()
    assert find.bundled("demo-faces") == outer
    inner.touch()
    assert find.bundled("demo-faces") == inner
    assert find.bundled("faces") is None
    for path in (inner, outer, package / "any.py", outer.with_name("demo-faces.concepts.json")):
        assert find.is_bundled(path), path
    for path in (
        outer.with_name("mine.pt"),
        tmp_path / "demo-faces.pt",
        outer.parent / "r/last.pt",
    ):
        assert not find.is_bundled(path), path
    (tmp_path / "link.pt").symlink_to(inner)
    assert find.is_bundled(tmp_path / "link.pt")
