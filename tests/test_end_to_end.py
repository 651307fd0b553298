"""`dcgan train` and `dcgan sample` on every kind of source, the real images among them."""

import subprocess
import sysconfig
from pathlib import Path

import pytest
from PIL import Image

DCGAN = str(Path(sysconfig.get_path("scripts")) / "dcgan")


def train_and_sample(folder: Path, *source: str) -> str:
    """Three steps on `source` and an image grid of its samples; returns what was said."""
    trained = subprocess.run(
        [DCGAN, "train", *source, "--run", "run", "--steps", "3", "--ngf", "8", "--ndf", "8",
         "--limit", "300", "--threads", "1"],
        check=False, cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    drawn = subprocess.run(
        [DCGAN, "sample", "run", "-n", "4", "--threads", "1"],
        check=False, cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    with Image.open(folder / "samples.png") as image:
        assert image.info["dcgan.0"]
    return trained.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo:faces", "demo:rooms", "digits"])
def test_drawn_and_bundled_sources(tmp_path: Path, name: str) -> None:
    assert "300 images" in train_and_sample(tmp_path, name)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("lfw-faces/lfw-faces.zip", "zip of images, 300 images, color"),
        ("sprites/sprites.zip", "color, short side 64 px"),
        ("crawl-tiles/crawl-tiles.zip", "short side 32 px"),
        ("mnist/idx", "gray, short side 28 px"),
        ("smiles-grey64/smiles-grey64.zip", "gray, short side 64 px"),
        ("cifar10-png/cifar10-png.zip", "short side 32 px"),
    ],
)
def test_real_sources(tmp_path: Path, real_data: Path, place: str, said: str) -> None:
    assert said in train_and_sample(tmp_path, str(real_data / place))


@pytest.mark.slow
@pytest.mark.data
def test_real_labels_and_boxes_are_joined(tmp_path: Path, real_data: Path) -> None:
    faces, rooms = real_data / "lfw-faces", real_data / "house-bedrooms"
    said = train_and_sample(
        tmp_path, str(faces / "lfw-faces.zip"), "--labels", str(faces / "labels.csv")
    )
    assert "labels: " in said
    assert "smile" in said
    (tmp_path / "rooms").mkdir()
    train_and_sample(
        tmp_path / "rooms",
        str(rooms / "house-bedrooms.zip"),
        "--labels",
        str(rooms / "window_boxes.csv"),
    )
