"""What the two ends of a numerical attribute are: said where the labels know it, left and right."""

from pathlib import Path

import numpy as np
import pytest

from dcgan_cli.checkpoint.concepts import Concept, read_file, write_file
from dcgan_cli.checkpoint.find import bundled, find_checkpoint
from dcgan_cli.checkpoint.format import load
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.data.labels import Labels
from dcgan_cli.data.sources import open_source


def test_synthetic_faces_know_which_way_they_turn() -> None:
    labels = open_source("demo:faces", limit=8).labels
    assert labels is not None
    assert labels.ends == {"turn": ("left", "right")}
    assert labels.take(np.array([1, 2])).ends == labels.ends
    assert labels.updated(Labels({"turn": np.zeros(8)})).ends == {}, "another column of that name"
    assert open_source("demo:rooms", limit=8).labels.ends == {}  # type: ignore[union-attr]


def test_a_concept_keeps_its_end(tmp_path: Path) -> None:
    model = load(find_checkpoint("demo-faces"))
    row = np.zeros((1, model.model.z_dim), np.float32)
    made = {"a": Concept("a", row, "by hand", {"turn": "low"}, "left"), "b": Concept("b", row, "x")}
    write_file(tmp_path / "a.json", model, made)
    assert {n: one.end for n, one in read_file(tmp_path / "a.json", model).items()} == {
        "a": "left",
        "b": "",
    }
    assert '"end"' not in (tmp_path / "a.json").read_text().partition('"b"')[2]


def test_bundled_faces_say_left_and_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled("demo-faces") is not None
    line = ["arithmetic", "demo-faces", "--turn", "turn_low", "turn_high", "--rows", "1"]
    assert run_guarded(lambda: app([*line, "--caption"], standalone_mode=False)) == 0
    said = "from turn_low (left) to turn_high (right)"
    assert said in capsys.readouterr().err + Path("turn.txt").read_text()
    assert said in Path("turn.txt").read_text()
