"""Concepts: files that come back bit for bit, belong to one model, and say what is wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dcgan_cli.checkpoint import concepts as c
from dcgan_cli.checkpoint import find
from dcgan_cli.checkpoint.concepts import Concept
from dcgan_cli.checkpoint.format import Checkpoint, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.errors import CheckpointError, StorageError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents

Z_DIM = 5


def make_model(shift: float = 0.0) -> Checkpoint:
    model = ModelConfig(size=8, channels=1, z_dim=Z_DIM, ngf=1, ndf=1, kernel=3)
    weights = {key: value * 0 + shift for key, value in Generator(model).state_dict().items()}
    zeros = {key: value * 0 for key, value in Discriminator(model).state_dict().items()}
    return Checkpoint(model, weights, zeros)


MODEL, LATER = make_model(), make_model(1.0)


def concept(name: str = "smile", count: int = 3, **changes: object) -> Concept:
    made = Concept(name, seeded_latents(1, count, Z_DIM, "uniform"), "picked: a.png#1")
    return replace(made, **changes)  # type: ignore[arg-type]


def known(*names: str) -> dict[str, Concept]:
    return {name: concept(name) for name in names}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint with two concepts."""
    path = tmp_path / "last.pt"
    save(path, MODEL)
    c.write_concepts(path, MODEL, known("smiling_man", "smiling_woman"))
    return path


# Files


@given(
    exemplars=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.just(Z_DIM)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    made=st.text(max_size=30),
    meaning=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_comes_back(
    tmp_path: Path, exemplars: np.ndarray, made: str, meaning: dict[str, str]
) -> None:
    path = tmp_path / "m.pt"
    c.write_concepts(path, MODEL, {"a": Concept("a", exemplars, made, meaning)})
    found = c.read_concepts(path, MODEL)["a"]
    assert found.exemplars.tobytes() == exemplars.tobytes()
    assert found.exemplars.dtype == np.float32
    assert (found.made, dict(found.meaning)) == (made, meaning)


def test_the_file_is_readable_json_beside_the_checkpoint(path: Path) -> None:
    text = (path.parent / "last.concepts.json").read_text()
    content = json.loads(text)
    assert content["checkpoint"] == MODEL.hash
    assert list(content["concepts"]) == ["smiling_man", "smiling_woman"]
    assert text.count("\n") < 20, "one line an exemplar, not one a number"


def test_no_concepts_at_all(tmp_path: Path) -> None:
    save(tmp_path / "m.pt", MODEL)
    assert c.read_concepts(tmp_path / "m.pt", MODEL) == {}
    c.write_concepts(tmp_path / "m.pt", MODEL, {})
    assert c.read_concepts(tmp_path / "m.pt", MODEL) == {}


def test_the_mean_is_the_mean() -> None:
    points = np.array([[1, 2], [3, 6]], np.float32)
    assert Concept("a", points, "").mean.tolist() == [2, 4]


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = c.concepts_path(path).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match="free some space"):
        c.write_concepts(path, MODEL, known("other"))
    assert c.concepts_path(path).read_bytes() == before
    assert sorted(item.name for item in path.parent.iterdir()) == ["last.concepts.json", "last.pt"]


# Whose they are


def test_other_weights_are_told_apart_and_lose_nothing(path: Path) -> None:
    """last.pt is trained further: its concepts belong to what it was."""
    save(path, LATER)
    with pytest.raises(CheckpointError, match=r"concepts of model .*trained further.*learn") as it:
        c.read_concepts(path, LATER)
    assert "\n" not in str(it.value)
    assert c.own_concepts(path, LATER) == {}
    set_aside = c.write_concepts(path, LATER, known("new"))
    assert set_aside == path.with_name(f"last.{MODEL.hash}.concepts.json")
    assert list(c.read_concepts(path, LATER)) == ["new"]
    # the epoch that has the earlier weights finds the earlier concepts
    save(path.with_name("epoch-0007.pt"), MODEL)
    found = c.read_concepts(path.with_name("epoch-0007.pt"), MODEL)
    assert sorted(found) == ["smiling_man", "smiling_woman"]


def test_a_copy_of_the_same_weights_shares_concepts(path: Path) -> None:
    other = path.with_name("epoch-0001.pt")
    save(other, MODEL)
    (path.parent / "broken.concepts.json").write_text("{")
    assert sorted(c.read_concepts(other, MODEL)) == ["smiling_man", "smiling_woman"]


def test_a_file_of_another_model_is_refused(path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"model {MODEL.hash}, this is {LATER.hash}"):
        c.read_file(c.concepts_path(path), LATER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-5], "not a list of concepts in JSON"),
        (lambda text: "[]", "no format mark"),
        (lambda text: text.replace("dcgan concepts", "other"), "no format mark"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "reads up to 1"),
        (lambda text: text.replace('"version": 1', '"version": "1"'), "reads up to 1"),
        (lambda text: text.replace('"exemplars"', '"examples"'), "damaged"),
        (lambda text: text.replace("smiling_man", "Smiling Man"), "damaged"),
        (lambda text: re.sub(r"\[\n.*?\]\]", "[]", text, flags=re.S), "damaged"),
        (lambda text: re.sub(r"\[-?0\.\d+", "[NaN", text), "expected finite"),
        (lambda text: re.sub(r"\[-?0\.\d+", "[1e999", text), "expected finite"),
        (lambda text: re.sub(r"\[-?0\.\d+, ", "[", text), "expected finite"),
        (lambda text: "[" * 100_000, "JSON"),
        (lambda text: re.sub(r'"checkpoint": "\w+"', '"checkpoint": "../../x"', text), "damaged"),
    ],
)
def test_damage_is_one_line(path: Path, change: object, said: str) -> None:
    file = c.concepts_path(path)
    file.write_text(change(file.read_text()))  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=said) as caught:
        c.read_concepts(path, MODEL)
    assert "\n" not in str(caught.value)


def test_huge_files_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "MAX_CONCEPTS_BYTES", 10)
    with pytest.raises(CheckpointError, match="larger than any"):
        c.read_concepts(path, MODEL)


# Names


@pytest.mark.parametrize("name", ["a", "smiling_woman", "4_eyes", "x" * 64])
def test_names(name: str) -> None:
    c.check_name(name)


@pytest.mark.parametrize("name", ["", "_a", "Smile", "a-b", "a b", "a.png", "a/b", "x" * 65, "é"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a concept"):
        c.check_name(name)


def test_a_better_name_is_offered() -> None:
    with pytest.raises(UsageError, match="try smiling_woman"):
        c.check_name("Smiling Woman!")


def test_a_concept_holds_points() -> None:
    with pytest.raises(UsageError, match="holds no points"):
        concept("a", exemplars=np.empty((0, Z_DIM), np.float32))


@pytest.mark.parametrize(("count", "warned"), [(1, True), (2, True), (3, False), (9, False)])
def test_too_few_exemplars_are_warned_of(count: int, warned: bool) -> None:
    text = c.few_exemplars_warning("smile", count)
    assert (text is not None) == warned
    assert text is None or "unstable" in text


# As latent arguments


def test_a_name_is_a_latent_argument(path: Path) -> None:
    points = read_latents("smiling_man", MODEL, path)
    np.testing.assert_array_equal(points.latents, concept().exemplars)
    assert points.concept is not None
    assert points.concept.name == "smiling_man"
    np.testing.assert_array_equal(
        read_latents("smiling_man#2,0", MODEL, path).latents, concept().exemplars[[2, 0]]
    )
    np.testing.assert_allclose(points.mean[0], points.concept.mean)


def test_a_concept_goes_before_a_file_and_a_file_before_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smiling_man").write_text("no image grid")
    assert len(read_latents("smiling_man", MODEL, path).latents) == 3
    Path("other").write_text("no image grid")
    with pytest.raises(UsageError, match="not a PNG image grid"):
        read_latents("other", MODEL, path)
    Path("smiling_man").unlink()
    with pytest.raises(UsageError, match=r"smiling_man: no such file"):
        read_latents("smiling_man", MODEL)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("smiling_men", r"smiling_men: no such concept of .*near: smiling_man"),
        ("qqq", r"there are smiling_man, smiling_woman"),
        ("smiling_man#3", r"no tile 3; there are 3"),
        ("smiling_man#x", r"'x' is no tile number"),
        ("missing.png#3", r"missing.png: no such file.*concept's name"),
    ],
)
def test_unknown_names_say_what_comes_near(path: Path, argument: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_latents(argument, MODEL, path)


def test_a_model_without_concepts_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no concepts yet; make some: dcgan concepts learn"):
        read_latents("smile", MODEL, tmp_path / "m.pt")


# Bundled models


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package, and another folder to work in."""
    package = tmp_path / "site-packages" / "dcgan_cli"
    package.mkdir(parents=True)
    monkeypatch.setattr(find, "files", lambda _: package)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return package


def bundle(folder: Path, name: str = "demo-faces") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.pt"
    save(path, MODEL)
    c.write_file(c.concepts_path(path), MODEL, known("smiling_woman"))
    return path


@pytest.mark.parametrize("place", ["dcgan_cli/bundled", "checkpoints"])
def test_a_bundled_model_is_found_where_no_run_is(package: Path, place: str) -> None:
    path = bundle(package.parent / place)
    assert find.find_checkpoint(None) == path
    assert find.find_checkpoint("demo-faces") == path
    own = Path("checkpoints/mine/last.pt")
    own.parent.mkdir(parents=True)
    save(own, LATER)
    assert find.find_checkpoint(None) == own
    assert find.find_checkpoint("demo-faces") == path
    run = Path("checkpoints/demo-faces/last.pt")
    run.parent.mkdir()
    save(run, LATER)
    assert find.find_checkpoint("demo-faces") == run, "a run of that name goes before"


def test_in_a_clone_the_bundled_model_is_no_run(package: Path) -> None:
    """checkpoints/demo-faces.pt may be newer than any run: git sets the time of a checkout."""
    own = Path("checkpoints/mine/last.pt")
    own.parent.mkdir(parents=True)
    save(own, LATER)
    here = bundle(Path("checkpoints"))
    assert find.find_checkpoint(None) == own
    assert find.find_checkpoint("demo-faces") == here


def test_names_that_only_the_bundled_model_knows(package: Path) -> None:
    bundle(package / "bundled")
    own = Path("checkpoints/mine/last.pt")
    own.parent.mkdir(parents=True)
    save(own, LATER)
    with pytest.raises(UsageError, match=r"bundled demo-faces has; give the checkpoint demo-faces"):
        read_latents("smiling_woman", LATER, own)
    with pytest.raises(UsageError, match="has no concepts yet"):
        read_latents("frowning_woman", LATER, own)


def test_concepts_named_choose_the_model_where_none_is(package: Path) -> None:
    """A fresh install calculates with the bundled model, and still does after the first training."""
    bundled = bundle(package / "bundled")
    own = Path("checkpoints/mine/last.pt")
    own.parent.mkdir(parents=True)
    save(own, LATER)
    terms = ["smiling_woman", "smiling_woman#0", "samples.png#3"]
    assert c.find_checkpoint_with_concepts(None, terms) == bundled
    assert c.find_checkpoint_with_concepts("mine", terms) == own, "what is named is taken"
    assert c.find_checkpoint_with_concepts(None, ["samples.png#3"]) == own
    assert c.find_checkpoint_with_concepts(None, ["frowning_woman"]) == own
    c.write_concepts(own, LATER, known("smiling_woman"))
    assert c.find_checkpoint_with_concepts(None, terms) == own
    assert c.find_checkpoint_with_concepts(None, [*terms, "frowning_woman"]) == own


def test_near_names_include_bundled_models(package: Path) -> None:
    bundle(package / "bundled")
    with pytest.raises(CheckpointError, match="demo-faces"):
        find.find_checkpoint("demo-face")
