"""Checkpoints of version 1, whose weights had other names, are read as they are."""

import json
from pathlib import Path

import pytest
import torch

from dcgan_cli.checkpoint import format as checkpoints
from dcgan_cli.checkpoint.find import BUNDLED, bundled
from dcgan_cli.checkpoint.untrusted import read_pt


@pytest.mark.parametrize("name", BUNDLED)
def test_version_1_is_renamed_and_keeps_its_hash(name: str, tmp_path: Path) -> None:
    path = bundled(name)
    assert path is not None
    content = read_pt(path)
    assert content["version"] == 1
    model = checkpoints.load(path)
    old, new = content["generator"]["paint.weight"], model.generator["to_rgb.weight"]
    assert torch.equal(old, new)
    assert torch.equal(
        content["discriminator"]["decide.weight"], model.discriminator["head.weight"]
    )
    concepts = json.loads(path.with_suffix(".concepts.json").read_text(encoding="utf-8"))
    assert concepts["checkpoint"] == model.hash

    checkpoints.save(tmp_path / "again.pt", model)
    again = checkpoints.load(tmp_path / "again.pt")
    assert again.hash == model.hash
    assert read_pt(tmp_path / "again.pt")["version"] == checkpoints.VERSION
