"""`dcgan evaluate`: the order of images whose order is known, and the command as typed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Run, command, untrained
from PIL import Image

from dcgan_cli.analysis.evaluate import evaluation
from dcgan_cli.analysis.evaluate.feature_networks import random_network
from dcgan_cli.checkpoint.format import save
from dcgan_cli.data.jpeg import compressed
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.report import Images

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, z_dist="normal", bn_eps=1e-5)


def squares(count: int, seed: int, side: int = 32) -> Images:
    """A bright square of any place, size and brightness on a dark ground."""
    stream = np.random.default_rng(seed)
    images = stream.integers(0, 30, (count, side, side, 3)).astype(np.uint8)
    for image in images:
        top, left, length = stream.integers(0, side // 2, 3)
        image[top : top + length + 4, left : left + length + 4] = stream.integers(100, 256, 3)
    return images


def groups(samples: Images, **changes: Any) -> evaluation.Groups:
    whole = evaluation.Groups(squares(80, 0), squares(80, 1), "80 others", samples)
    return replace(whole, **changes)


def test_values_order_images_as_they_are_made() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (80, 32, 32, 3)).astype(np.uint8)
    same = np.repeat(squares(1, 5), 80, axis=0)
    network = random_network()
    by = {
        name: evaluation.evaluate(groups(samples), network)
        for name, samples in (("good", squares(80, 2)), ("noise", noise), ("same", same))
    }
    found = {
        name: {each.key: each.value.value for each in report.findings}
        for name, report in by.items()
    }
    assert abs(found["good"]["kid"]) < 0.3 * found["noise"]["kid"]
    assert found["good"]["frechet"] < found["noise"]["frechet"]
    assert found["good"]["precision"] > 0.5 > found["noise"]["precision"] == 0
    assert found["same"]["recall"] == 0 < found["good"]["recall"]
    assert found["same"]["coverage"] < 0.2 < found["good"]["coverage"]
    assert "worse than" in by["noise"].verdict


def test_controls_are_there_and_in_their_order() -> None:
    real = {"reference": squares(400, 0), "others": squares(400, 1)}
    noise = np.random.default_rng(3).integers(0, 256, (80, 32, 32, 3)).astype(np.uint8)
    report = evaluation.evaluate(groups(squares(80, 2), untrained=noise, **real), random_network())
    rows = {str(row[0]): row for row in report.tables[0].rows}
    assert list(rows) == [
        "samples", "80 others", "real images blurred by 1 px", "real images as JPEG of quality 10",
        "untrained generator",
    ]  # fmt: skip
    kids = [float(row[2] or 0) for row in rows.values()]
    assert abs(kids[1]) < min(kids[2], kids[3]) < kids[4]
    assert {each.control.value for each in report.findings if each.control} == {
        *(float(value or 0) for value in (rows["80 others"][2], *rows["80 others"][5:]))
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_compressed_images_are_near_and_not_equal(channels: int) -> None:
    images = squares(5, 0)[..., :channels]
    found = compressed(images, 10)
    assert found.shape == images.shape
    assert 0 < np.abs(found.astype(int) - images).mean() < 30


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """`dcgan evaluate ...` in a folder with `model.pt`, which says it was trained on digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    data = {"location": "digits", "fingerprint": open_source("digits").fingerprint()}
    save(tmp_path / "model.pt", untrained(CONFIG, 20, data={**data, "background": "white"}))
    return command("evaluate", capfdbinary)


RANDOM = ("--features", "random", "-n", "40")


def test_a_verdict_a_table_and_an_image(run: Run) -> None:
    code, out, err = run("model.pt", *RANDOM, "-o", "e.png")
    assert code == 0, err
    lines = out.decode().splitlines()
    assert lines[0].startswith("KID ")
    assert "by random network: " in lines[0]
    assert lines[-1] == "e.png"
    with Image.open("e.png") as image:
        assert image.info["Software"].startswith("dcgan")


def test_the_same_seed_gives_the_same_values_and_features_are_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("model.pt", *RANDOM, "--json")[1]
    kept = list(Path("cache/features").iterdir())
    assert len(kept) == 4  # both halves, blurred and as JPEG; no samples
    assert run("model.pt", *RANDOM, "--json")[1] == first
    other = json.loads(run("model.pt", *RANDOM, "--json", "--seed", "1")[1])
    assert other["findings"] != json.loads(first)["findings"]
    for path in kept:
        path.write_bytes(b"damaged")
    assert run("model.pt", *RANDOM, "--json")[1] == first


def test_old_features_go_and_files_of_others_stay(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan_cli.cli.evaluate.kept_features.KEPT", 5)
    assert run("model.pt", *RANDOM)[0] == 0
    Path("cache/features/mine.npy").write_bytes(b"mine")
    for seed in ("1", "2"):
        assert run("model.pt", *RANDOM, "--seed", seed)[0] == 0
    names = {path.name for path in Path("cache/features").iterdir()}
    assert len(names) == 6
    assert "mine.npy" in names


def test_anybodys_images_without_a_checkpoint(run: Run) -> None:
    for folder, seed in (("real", 0), ("mine", 1)):
        Path(folder).mkdir()
        for number, pixels in enumerate(squares(70, seed)):
            Image.fromarray(pixels).save(f"{folder}/{number:03}.png")
    code, out, err = run("--images", "mine", "--data", "real", *RANDOM, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["samples"], document["real"], document["size"]) == (40, 35, 32)
    assert "checkpoint" not in document
    assert document["findings"]["precision"]["value"] > 0.3
    code, out, err = run("model.pt", "--images", "mine", *RANDOM, "--json")
    assert code == 0, err
    assert json.loads(out)["size"] == 16


def test_by_the_discriminator(run: Run) -> None:
    code, out, err = run("model.pt", "--features", "discriminator", "-n", "40", "--json")
    assert code == 0, err
    assert json.loads(out)["network"] == "discriminator of the checkpoint"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (("model.pt", "--features", "inceptoin"), 2, "expected one of auto, efficientnet"),
        (("model.pt", "-n", "3"), 2, "16"),
        (("model.pt", "--data", "nowhere/"), 1, "nowhere"),
        (("--images", "a/", "--data", "b/"), 1, "b/: no such"),
        (("model.pt", "-o", "e.jpg"), 2, ".png"),
    ],
)
def test_wrong_usage(run: Run, line: tuple[str, ...], code: int, said: str) -> None:
    found, _, err = run(*line)
    assert (found, said in err) == (code, True), err


def test_too_few_real_images(run: Run) -> None:
    Path("few").mkdir()
    for number, pixels in enumerate(squares(20, 0)):
        Image.fromarray(pixels).save(f"few/{number}.png")
    code, _, err = run("model.pt", "--data", "few", *RANDOM)
    assert code == 1
    assert "20 images; an evaluation needs 32 or more" in err
