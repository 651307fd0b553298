"""Concepts of models that are read-only: bundled ones stay as they are, a user's own go before."""

from pathlib import Path

import cli_runner
import numpy as np
import pytest

from dcgan_cli.checkpoint import concepts as c
from dcgan_cli.checkpoint import find
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.files import data_folder
from dcgan_cli.model.config import ModelConfig

MODEL = cli_runner.untrained(ModelConfig(size=8, channels=1, z_dim=4, ngf=2, ndf=2, kernel=3))


def concept(name: str, value: float = 0.5, count: int = 3) -> c.Concept:
    return c.Concept(name, np.full((count, 4), value, np.float32), "picked")


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with one model and two concepts, and another folder to work in."""
    package = tmp_path / "site-packages" / "dcgan_cli"
    (package / "bundled").mkdir(parents=True)
    monkeypatch.setattr(find, "files", lambda _: package)
    path = package / "bundled" / "demo-faces.pt"
    save(path, MODEL)
    c.write_file(c.concepts_path(path), MODEL, {n: concept(n) for n in ("smiling", "frowning")})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    np.save("z.npy", np.zeros((3, 4), np.float32))
    return path


def dcgan(*arguments: str) -> int:
    return run_guarded(lambda: app(["concepts", *arguments], standalone_mode=False))


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def test_concepts_of_a_bundled_model_go_to_the_user(
    bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(bundled)
    assert dcgan("add", "surprised", "z.npy") == 0
    users = data_folder() / "concepts" / f"{MODEL.hash}.concepts.json"
    assert f"demo-faces.pt is read-only; its new concepts are in {users}" in capsys.readouterr().err
    assert dcgan("add", "smiling", "z.npy", "--overwrite") == 0
    assert dcgan("remove", "frowning") == 0
    assert content(bundled) == before
    known = c.read_concepts(bundled, load(bundled))
    assert sorted(known) == ["smiling", "surprised"]
    assert known["smiling"].mean.tolist() == [0, 0, 0, 0], "the user's goes before"
    assert set(c.read_file(users, MODEL)) == {"smiling", "surprised"}
    assert c.find_checkpoint_with_concepts(None, ["surprised", "smiling"]) == bundled
    assert dcgan("remove", "frowning") == 2
    assert dcgan("remove", "surprised") == 0
    assert sorted(c.read_concepts(bundled, load(bundled))) == ["smiling"]
    assert dcgan("add", "frowning", "z.npy") == 0, "what was removed can be made again"
    assert sorted(c.read_concepts(bundled, load(bundled))) == ["frowning", "smiling"]


def test_new_concepts_that_come_with_an_update_are_seen(bundled: Path) -> None:
    assert dcgan("add", "surprised", "z.npy") == 0
    more = {n: concept(n) for n in ("smiling", "frowning", "winking")}
    c.write_file(c.concepts_path(bundled), MODEL, more)
    assert set(c.read_concepts(bundled, load(bundled))) == {*more, "surprised"}


def test_other_weights_do_not_get_the_users_concepts(bundled: Path) -> None:
    assert dcgan("add", "surprised", "z.npy") == 0
    later = cli_runner.untrained(MODEL.model, 2.0)
    save(bundled, later)
    c.write_file(c.concepts_path(bundled), later, {"smiling": concept("smiling")})
    assert set(c.read_concepts(bundled, load(bundled))) == {"smiling"}


def test_a_copy_of_ones_own_shares_them_and_is_not_shadowed(bundled: Path) -> None:
    assert dcgan("add", "surprised", "z.npy") == 0
    save(Path("own.pt"), MODEL)
    assert set(c.read_concepts(Path("own.pt"), MODEL)) == {"surprised"}
    assert dcgan("add", "winking", "z.npy", "-c", "own.pt") == 0
    assert set(c.read_concepts(Path("own.pt"), MODEL)) == {"surprised", "winking"}


def test_a_folder_that_cannot_be_written_is_treated_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mounted" / "faces.pt"
    path.parent.mkdir()
    save(path, MODEL)
    monkeypatch.setattr(c.os, "access", lambda place, _: place != path.parent)
    c.write_concepts(path, MODEL, {"smiling": concept("smiling")})
    assert [file.name for file in path.parent.iterdir()] == ["faces.pt"]
    assert set(c.read_concepts(path, MODEL)) == {"smiling"}
    assert c._names_of(path) == {"smiling"}


@pytest.mark.parametrize("place", ["package", "clone"])
def test_what_is_bundled_is_known_by_its_place(place: str, bundled: Path) -> None:
    package = bundled.parents[1]
    own = package.parent / "checkpoints"
    own.mkdir()
    paths = {"package": package / "bundled" / "x.pt", "clone": own / "demo-rooms.concepts.json"}
    assert find.is_bundled(paths[place])
    assert not find.is_bundled(own / "mine" / "last.pt")
    assert not find.is_bundled(own / "mine.pt")
    assert not find.is_bundled(Path("checkpoints/demo-faces.pt"))


def test_a_bundled_file_is_no_output(bundled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(bundled)
    line = ["drop-filters", str(bundled), "--find", "window", "--save", str(bundled)]
    assert run_guarded(lambda: app(line, standalone_mode=False)) == 2
    assert "came with dcgan" in capsys.readouterr().err
    assert dcgan("export", str(c.concepts_path(bundled)), "-c", str(bundled)) == 2
    assert content(bundled) == before
