"""`train --fit` and `--levels` from the command line to the image grids, and what they say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_decode import encode, noise

from dcgan_cli.checkpoint.format import load
from dcgan_cli.render.png import draw_grid, encode_image, shown_size
from dcgan_cli.report import ImageGrid

TINY = ["--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "4", "--steps", "1"]


def dcgan(*words: str | Path, code: int = 0) -> str:
    """What the command says on stderr."""
    command = [sys.executable, "-m", "dcgan_cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    folder = tmp_path / "wide"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(encode(noise(20, 60, seed=number)))
    return folder


def test_stretched_images_are_drawn_in_their_shape(wide: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    said = dcgan("train", wide, "--fit", "stretch", "--out", out, *TINY)
    assert "cuts away" not in said
    run = out / "wide"
    assert load(run / "last.pt").aspect == pytest.approx(3.0)
    with Image.open(run / "samples" / "last.png") as image:
        assert image.width > 2.5 * image.height
    dcgan("sample", run / "last.pt", "-n", "1", "-o", tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        margins = 80
        assert (image.width - margins, image.height - margins) == (3 * 128, 128)
    dcgan("sample", run / "last.pt", "-n", "2", "--split", tmp_path / "split")
    assert {Image.open(path).size for path in (tmp_path / "split").iterdir()} == {(48, 16)}


def test_what_a_crop_cuts_away_is_said(wide: Path, tmp_path: Path) -> None:
    said = dcgan("train", wide, "--out", tmp_path / "runs", *TINY)
    assert "center crop cuts away 67 % of the width on average; --fit pad or --fit stretch" in said
    assert load(tmp_path / "runs" / "wide" / "last.pt").aspect == 1.0


def test_levels_are_found_said_remembered_and_can_be_given(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(6):
        values = np.random.default_rng(number).integers(0, 4096, (16, 16)).astype(np.uint16)
        (folder / f"{number}.png").write_bytes(encode(values))
    out = tmp_path / "runs"
    said = dcgan("train", folder, "--out", out, *TINY)
    assert "16-bit files whose values use 12 bits: scaled by 4095" in said
    again = dcgan("train", "--run", "deep", "--resume", "--out", out, *TINY[:-1], "2")
    assert "resuming" in again
    said = dcgan("train", folder, "--run", "b", "--levels", "0,65535", "--out", out, *TINY)
    assert "12 bits" not in said


def test_too_few_images_names_what_was_passed_over(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(encode(noise(16, 16)))
        (tmp_path / f"{number}.CR2").write_bytes(b"x")
    said = dcgan("train", tmp_path, "--quiet", "--out", tmp_path.parent / "runs", *TINY, code=1)
    assert "3 images are fewer than a batch of 4" in said
    assert "passed over: 3 .cr2 files (camera raw" in said


@pytest.mark.parametrize("wrong", [("--fit", "squash"), ("--levels", "5"), ("--levels", "9,1")])
def test_wrong_values_are_wrong_usage(wrong: tuple[str, str], wide: Path, tmp_path: Path) -> None:
    said = dcgan("train", wide, *wrong, "--out", tmp_path / "runs", *TINY, code=2)
    assert f"{wrong[0]} {wrong[1]}: expected" in said


@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5, 6.25])
def test_tiles_keep_their_shorter_side(aspect: float) -> None:
    width, height = shown_size(48, 48, aspect)
    assert min(width, height) == 48
    assert width / height == pytest.approx(aspect, rel=0.02)
    images = noise(48, 48 * 4).reshape(4, 48, 48, 3)
    image = draw_grid(ImageGrid("s", images, 2).shaped(aspect))
    assert image.size == (2 * 8 + 2 * (width + 2) - 2, 2 * 8 + 2 * (height + 2) - 2)
    assert encode_image(images[0], aspect)[:4] == b"\x89PNG"
