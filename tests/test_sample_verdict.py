"""KID in random features, and what a run says of its last samples."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from dcgan_cli.analysis.image_quality import blurred, random_features, standardized
from dcgan_cli.analysis.sample_verdict import assess_samples
from dcgan_cli.cli.app import app
from dcgan_cli.data.sources import open_source
from dcgan_cli.report import Images


def demo(count: int, start: int = 0) -> Images:
    """Synthetic faces of 32 pixels, uint8 [count, 32, 32, 3]."""
    source = open_source(f"demo:faces:{start + count}")
    records = [np.asarray(source.read(i))[..., :3] for i in range(start, start + count)]
    return np.stack([np.asarray(Image.fromarray(record).resize((32, 32))) for record in records])


def test_features_are_the_same_for_gray_and_for_equal_channels() -> None:
    gray = demo(3).mean(3, keepdims=True).astype(np.uint8)
    assert np.allclose(
        random_features(gray), random_features(gray.repeat(3, 3)), rtol=1e-5, atol=1e-6
    )
    assert random_features(gray[:, :20, :20]).shape == random_features(gray).shape


def test_features_do_not_depend_on_the_pass() -> None:
    images = demo(150)
    rows = random_features(images)
    assert np.allclose(rows[140:], random_features(images[140:]), rtol=1e-4, atol=1e-5)


def test_a_constant_feature_is_left_alone() -> None:
    reference, other = standardized(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[5.0, 6.0]]))
    assert reference.tolist() == [[-1, 0], [1, 0]]
    assert other.tolist() == [[3, 1]]


@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_blur_is_gaussian(sigma: float) -> None:
    images = demo(2)
    truth = gaussian_filter(
        images.astype(float), (0, sigma, sigma, 0), mode="mirror", radius=round(3 * sigma)
    )
    assert np.abs(blurred(images, sigma) - truth).max() <= 0.51


REAL = demo(120)


def test_samples_like_the_images_vary() -> None:
    assessed = assess_samples(demo(64, 120), REAL, 5000)
    assert assessed.name == "varied"
    assert assessed.diversity == pytest.approx(1, abs=0.15)
    assert assessed.kid < 0.2 * assessed.kid_of_blurred
    assert assessed.sentence.endswith("neither noise nor gray; look at them")


def test_few_steps_are_said() -> None:
    assessed = assess_samples(demo(64, 120), REAL, 900)
    assert assessed.sentence.endswith(
        "look at them, or train longer (--resume; 900 steps made, usual: 5,000)"
    )


@pytest.mark.parametrize("level", [0, 128])
def test_gray_and_black_squares_are_alike(level: int) -> None:
    stream = np.random.default_rng(0)
    gray = (level + stream.integers(0, 4, (64, 32, 32, 3))).astype(np.uint8)
    assessed = assess_samples(gray, REAL, 50)
    assert assessed.name == "alike"
    assert "all 64 samples look alike" in assessed.sentence
    assert "train longer (--resume; 50 steps made, usual: 5,000)" in assessed.sentence


def test_one_image_many_times_is_alike() -> None:
    assessed = assess_samples(REAL[:1].repeat(64, 0), REAL, 6000)
    assert assessed.name == "alike"
    assert assessed.sentence.endswith("--loss wgan-gp, or with half of --lr")


def test_noise_is_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)
    assessed = assess_samples(noise, REAL, 6000)
    assert assessed.name == "noise"
    assert assessed.kid > assessed.kid_of_blurred
    assert "blurred by 2 px" in assessed.sentence


def test_blots_are_noise() -> None:
    assert assess_samples(blurred(demo(64, 120), 6.0), REAL, 6000).name == "noise"


def test_images_that_hardly_differ() -> None:
    black = np.zeros((100, 32, 32, 3), np.uint8)
    assessed = assess_samples(black[:64], black, 5000)
    assert assessed.name == "alike images"
    assert "nothing to learn" in assessed.sentence


@pytest.mark.parametrize("count", [2, 3, 15, 16])
def test_few_images(count: int) -> None:
    assessed = assess_samples(demo(64), REAL[:count], 10)
    assert np.isfinite(assessed.kid) == np.isfinite(assessed.kid_of_blurred) == (count == 16)
    assert assessed.name == "varied"


def run(tmp_path: Path, *words: str) -> tuple[str, dict[str, object]]:
    small = ["--size", "16", "--ngf", "4", "--ndf", "4", "--batch-size", "16"]
    result = CliRunner().invoke(
        app, ["train", *words, *small, "--out", str(tmp_path / "runs"), "--json"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    return found["verdict"], found["samples"]


def test_a_run_of_a_few_steps_says_so(tmp_path: Path) -> None:
    verdict, samples = run(tmp_path, "demo:faces", "--limit", "64", "--steps", "3", "--run", "a")
    assert "done at step 3" in verdict
    assert samples["name"] in ("alike", "noise")
    assert str(samples["sentence"]) in verdict


def test_black_squares_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "black"
    folder.mkdir()
    for i in range(20):
        Image.new("RGB", (20, 20)).save(folder / f"{i}.png")
    verdict, samples = run(tmp_path, str(folder), "--steps", "2", "--run", "b")
    assert samples["name"] == "alike images"
    assert "the training images hardly differ" in verdict


def test_a_run_leaves_no_file_open(tmp_path: Path) -> None:
    opened = Path("/proc/self/fd")
    if not opened.exists():
        pytest.skip("open files are listed by Linux alone")
    before = {str(link.resolve()) for link in opened.iterdir()}
    run(tmp_path, "demo:faces", "--limit", "64", "--steps", "1", "--run", "a")
    left = {str(link.resolve()) for link in opened.iterdir()} - before
    assert not [name for name in left if "dcgan" in name or str(tmp_path) in name]
