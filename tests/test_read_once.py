"""What takes time is done once in a command: hashing a model, parsing its concepts."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli_runner import untrained

from dcgan_cli.checkpoint import concepts
from dcgan_cli.checkpoint import format as checkpoint_format
from dcgan_cli.checkpoint.concepts import Concept, concepts_path, read_concepts, write_concepts
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.model.config import ModelConfig

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained model with one concept."""
    path = tmp_path / "model.pt"
    save(path, untrained(CONFIG))
    points = np.zeros((3, 6), np.float32)
    write_concepts(path, load(path), {"zero": Concept("zero", points, "by hand")})
    return path


def test_a_loaded_checkpoint_is_hashed_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, calls = load(model), []
    plain = checkpoint_format._digest
    monkeypatch.setattr(checkpoint_format, "_digest", lambda value: calls.append(1) or plain(value))
    assert checkpoint.hash == checkpoint.hash
    assert len(calls) == 1


def test_concepts_are_parsed_once_and_again_when_they_change(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    plain = json.loads
    monkeypatch.setattr(concepts.json, "loads", lambda text: calls.append(1) or plain(text))
    checkpoint = load(model)
    calls.clear()  # the checkpoint is described in JSON too
    first, again = (read_concepts(model, checkpoint) for _ in range(2))
    assert list(first) == list(again) == ["zero"]
    assert len(calls) == 1
    assert first["zero"].exemplars is not again["zero"].exemplars  # nobody changes another's points
    file = concepts_path(model)
    status = file.stat()
    file.write_text(file.read_text().replace('"zero"', '"null"'))  # as long as before
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list(read_concepts(model, checkpoint)) == ["null"]
