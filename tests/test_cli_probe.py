"""`dcgan probe-svm` as typed: what is printed where, what is written, and every wrong usage."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from cli_runner import Run, command, untrained, untrained_on_digits
from dataset_files import write_cifar10, write_svhn
from numpy.typing import NDArray
from PIL import Image
from test_cli import dcgan, one_line
from test_cli_interpolate import CONFIG, fails
from torch import Tensor

from dcgan_cli.analysis.embedding import embed
from dcgan_cli.analysis.features import features as features_of
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.pixels import normalize
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import DcganError
from dcgan_cli.render.scatter import encode_scatter

QUICK = ("--labels-total", "50", "--draws", "2", "--threads", "1")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `model.pt`, said to be trained on digits, and `color.pt`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "180")
    save(tmp_path / "model.pt", untrained_on_digits(CONFIG))
    save(tmp_path / "color.pt", untrained(replace(CONFIG, channels=3)))
    return tmp_path


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Exit code, stdout and stderr of `dcgan probe-svm ...`."""
    return command("probe-svm", capfdbinary)


def write_bands(folder: Path, count: int = 12, classes: int = 3, split: bool = False) -> Path:
    """A flat folder of images with a light band at one of some heights, and labels.csv beside it."""
    stream = np.random.default_rng(0)
    folder.mkdir()
    rows: list[tuple[Any, ...]] = []
    for number in range(count * classes):
        height = number % classes
        pixels = stream.integers(0, 60, (16, 16, 3)).astype(np.uint8)
        pixels[5 * height : 5 * height + 5] += 180
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        part = "test" if number >= count * classes * 2 // 3 else "train"
        word = ("top", "middle", "bottom")[height]
        rows.append((f"{number:03d}.png", word, number / 7, part, f"p{number}"))
    with (folder.parent / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        header = ("file", "band", "depth", "split" if split else "part", "person")
        writer.writerows([header, *rows])
    return folder


def test_digits_by_their_own_labels(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", *QUICK)
    assert code == 0, err
    text = out.decode()
    for said in ("accuracy ↑", "random filters", "k nearest"):
        assert said in text
    assert text.startswith("accuracy ")
    assert "better than pixels + L2-SVM by" in text
    assert "22.48" not in text, "that is of SVHN"
    assert "359 images, stratified by class, are kept for the test" in err
    assert "trained on these test images too, without labels" in err
    assert "two-way" in err


def test_json_has_stable_keys_and_nothing_else_is_on_stdout(run: Run) -> None:
    line = (
        "model.pt", *QUICK, "--controls", "random,pixels", "--ablate", "--json", "--quiet",
    )  # fmt: skip
    code, out, err = run(*line)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {
        "schema_version", "report", "seed", "classes", "protocol", "per_class", "labels_total", "labels", "draws",
        "training_images", "validation_images", "test_images", "grid", "layers", "features",
        "choices", "confusion", "checkpoint", "train", "test", "label_column", "bn",
        "test_seen_unlabelled", "features_file", "verdict", "findings", "tables", "notes",
    }  # fmt: skip
    assert set(answer["findings"]) == {"accuracy", "error", "over_random", "over_pixels"}
    rows = {row["key"]: row for row in answer["tables"]["baselines"]}
    assert list(rows) == ["dcgan", "layer_1", "layer_2", "random", "pixels"]
    assert rows["dcgan"]["features"] == 16 * (4 + 8)
    assert (answer["classes"], answer["labels"]) == ([str(n) for n in range(10)], 50)
    assert answer["test_seen_unlabelled"]
    confusion = np.array(answer["confusion"])
    assert confusion.sum() == 2 * answer["test_images"] == 2 * 359
    found = answer["findings"]["accuracy"]
    assert 100 * np.trace(confusion) / confusion.sum() == pytest.approx(found["value"])
    assert found["control"]["what"] == "random filters + L2-SVM"
    tried = [entry["setting"] for entry in answer["choices"]["dcgan"]["validation_error"]]
    assert answer["choices"]["dcgan"]["chosen"] in tried
    assert run(*line)[1] == out  # one seed, one document


def test_the_installed_command(work: Path) -> None:
    """As a process: values on stdout, the rest on stderr, and one line where it fails."""
    line = ["model.pt", *QUICK, "--controls", "none", "-v"]
    done = dcgan("probe-svm", *line, folder=work)
    assert done.returncode == 0, done.stderr.decode()
    assert "Baselines" in done.stdout.decode()
    assert done.stderr.decode().startswith("looking with the discriminator of model.pt\n")
    failed = dcgan("probe-svm", *line, "--label-column", "digit", folder=work)
    assert "there are: label" in one_line(failed, 2)


def test_a_csv_of_labels_with_a_split(run: Run, work: Path) -> None:
    write_bands(work / "bands", split=True)
    line = (
        "model.pt", "--train", "bands", "--labels", "labels.csv", "--label-column", "band",
        "--controls", "none", "--json",
    )  # fmt: skip
    code, out, err = run(*line)
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["training_images"], answer["test_images"]) == (24, 12)
    assert "the column split says which are the test images (12)" in err
    assert "color images are read as gray" in err
    assert answer["findings"]["accuracy"]["value"] == 100
    assert not answer["test_seen_unlabelled"]
    held = json.loads(run(*line, "--held-out", "0.5")[1])
    assert (held["training_images"], held["test_images"]) == (18, 18)
    both = json.loads(run(*line, "--test", "bands")[1])
    assert both["confusion"] == answer["confusion"]
    assert "the column split keeps" not in err
    assert both["test"] == "bands"


def test_a_test_source_of_its_own(run: Run, work: Path) -> None:
    for name, seed in (("train", 0), ("test", 1)):
        stream = np.random.default_rng(seed)
        for shade, word in enumerate(("dark", "light", "odd")[: 2 + seed]):
            (work / name / word).mkdir(parents=True)
            for number in range(8):
                pixels = stream.integers(120 * shade % 255, 120 * shade % 255 + 9, (16, 16))
                file = work / name / word / f"{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(file)
    code, out, err = run(
        "color.pt", "--train", "train", "--test", "test", "--controls", "knn", "--json"
    )
    assert code == 0, err
    answer = json.loads(out)
    assert answer["classes"] == ["dark", "light"]
    assert answer["test_images"] == 16
    assert "8 test images are of other classes: left out" in err
    assert "gray images are read as color" in err
    assert answer["findings"]["accuracy"]["value"] == 100
    same = run("model.pt", "--train", "train", "--test", "train")
    fails(same, 2, "--test train: the same images as --train")


def house_numbers(count: int, seed: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Color images 32×32 of ten shades."""
    digits = [number % 10 for number in range(count)]
    noise = np.random.default_rng(seed).integers(0, 12, (count, 32, 32, 3))
    return (25 * np.array(digits)[:, None, None, None] + noise).clip(0, 255).astype(
        np.uint8
    ), digits


def test_svhn_by_its_folder_is_table_2(run: Run, work: Path) -> None:
    """`--test svhn` means its test part; fewer images than SVHN's are marked as such."""
    for part, count in (("train", 200), ("test", 60)):
        write_svhn(work / "svhn" / f"{part}_32x32.mat", *house_numbers(count, count))
    line = ("--train", "svhn", "--test", "svhn", "--labels-total", "50", "--draws", "2")
    code, out, err = run("color.pt", *line, "--controls", "knn", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["test"] == "svhn#test"
    assert (answer["training_images"], answer["test_images"]) == (200, 60)
    table = answer["tables"]["table_2_of_the_paper_svhn_1000_labels"]
    assert {"method": "DCGAN + L2-SVM", "error_percent": 22.48} in table
    assert table[-1]["method"] == "this run: DCGAN + L2-SVM (other test images)"
    assert answer["findings"]["error"]["published"] == "22.48 % (other test images)"


def test_cifar_by_its_folder_is_table_1(run: Run, work: Path) -> None:
    write_cifar10(work / "cifar", *house_numbers(150, 0), [f"class{n}" for n in range(10)])
    code, out, err = run(
        "color.pt", "--train", "cifar", "--test", "cifar", "--controls", "none", "--json"
    )
    assert code == 0, err
    answer = json.loads(out)
    table = answer["tables"]["table_1_of_the_paper_cifar_10"]
    assert table[-2]["accuracy_percent"] == 82.8
    assert table[-1]["accuracy_percent"] == answer["findings"]["accuracy"]["value"]
    assert answer["findings"]["accuracy"]["published"] == "82.8 % (other test images)"


def test_features_and_whose_they_are(run: Run, work: Path) -> None:
    write_bands(work / "bands", split=True)
    code, out, err = run(
        "model.pt", "--train", "bands", "--labels", "labels.csv", "--label-column", "band",
        "--controls", "none", "--save-features", "f.npy", "--layers", "2", "--bn", "running", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["features_file"] == "f.npy"
    rows = np.load(work / "f.npy")
    assert (rows.dtype, rows.shape) == (np.float32, (36, 128))
    with (work / "f.csv").open() as file:
        listed = list(csv.reader(file))
    assert listed[0] == ["file", "band", "split"]
    assert listed[1] == ["000.png", "top", "train"]
    assert [row[2] for row in listed[1:]] == ["train"] * 24 + ["test"] * 12
    network = load(work / "model.pt").build_discriminator()
    images = prepare(open_source("bands"), ImageSpec(16, 1, (255, 255, 255)))
    alone = features_of(network, normalize(torch.from_numpy(images.take(np.array([7])))))[0, 64:]
    place = [row[0] for row in listed[1:]].index("007.png")
    np.testing.assert_allclose(rows[place], alone, rtol=1e-5, atol=1e-6)


def test_a_map(run: Run, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def plane(features: Tensor, seed: int) -> NDArray[np.float32]:
        shapes.append(tuple(features.shape))
        return features[:, :2].numpy()

    monkeypatch.setattr("dcgan_cli.cli.probe_svm.feature_export.embed", plane)
    write_bands(work / "bands")
    line = (
        "model.pt", "--train", "bands", "--labels", "labels.csv", "--label-column", "band",
        "--controls", "none",
    )  # fmt: skip
    code, out, err = run(*line, "--map", "map.png")
    assert code == 0, err
    assert out.decode().splitlines()[-1] == "map.png"
    assert shapes == [(36, 192)]
    code, piped, err = run(*line, "--map", "-", "--quiet")
    assert piped == (work / "map.png").read_bytes()


def test_maps_are_opaque_and_colored_by_group() -> None:
    points = np.random.default_rng(0).standard_normal((90, 2)).astype(np.float32)
    names = ["$x$", "café", "third"]
    data = encode_scatter(points, np.arange(90) % 3, names, "title")
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.array(image.convert("RGBA")).reshape(-1, 4)
    assert (pixels[:, 3] == 255).all()
    assert pixels[0].tolist() == [255] * 4  # paper, whatever the page
    for color in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):
        assert (np.abs(pixels[:, :3].astype(int) - color).max(1) < 60).sum() > 100
    assert encode_scatter(points, np.arange(90) % 45, [str(n) for n in range(45)], "many")


@pytest.mark.slow
def test_umap_puts_like_beside_like_and_one_seed_is_one_map() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(120) % 3
    rows = 8 * F.one_hot(groups, 60).float() + torch.randn(120, 60, generator=generator)
    points = embed(rows, 1)
    assert np.array_equal(points, embed(rows, 1))
    middles = np.stack([points[groups.numpy() == k].mean(0) for k in range(3)])
    nearest = ((points[:, None] - middles) ** 2).sum(2).argmin(1)
    assert (nearest == groups.numpy()).mean() > 0.95
    with pytest.raises(DcganError, match="10 or more"):
        embed(rows[:9], 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--per-class", "5", "--labels-total", "50"), "--per-class and --labels-total: give one"),
        (("--test", "digits", "--held-out", "0.5"), "--test and --held-out: give one"),
        (("--test", "digits"), "--test digits: the same images as --train"),
        (("--draws", "5"), "--draws: needs --per-class or --labels-total"),
        (("--test-labels", "labels.csv"), "--test-labels: needs --test"),
        (("--per-class", "300"), "--per-class 300: class"),
        (("--labels-total", "5"), "--labels-total 5: fewer than one for each of 10 classes"),
        (("--validation", "5000"), "--validation 5000"),
        (("--controls", "random,kmean"), "--controls kmean: expected random, pixels, knn"),
        (("--layers", "3"), "--layers 3: expected some of 1 to 2"),
        (("--layers", "one"), "--layers one: expected numbers"),
        (("--bn", "batch"), "--bn batch: expected one of reestimated, running"),
        (("--device", "tpu"), "--device tpu"),
        (("--label-column", "labels"), "no column of labels called labels; there are: label"),
        (("--map", "-", "--json"), "--map - and --json"),
        (("--grid", "0"), "--grid"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    fails(run("model.pt", *arguments), 2, said)


def test_labels_that_no_classifier_can_learn_are_said(run: Run, work: Path) -> None:
    write_bands(work / "bands")
    bands = ("model.pt", "--train", "bands")
    fails(run(*bands), 2, "--train bands: has no labels; give a CSV file of them with --labels")
    labeled = (*bands, "--labels", "labels.csv")
    fails(run(*labeled), 2, "choose one with --label-column: band, part, person")
    fails(run(*labeled, "--label-column", "depth"), 2, "depth holds numbers")
    fails(run(*labeled, "--label-column", "ban"), 2, "there are: band")
    person = run(*labeled, "--label-column", "person")
    fails(person, 2, "person has 0 classes of 5 or more training images")
    fails(run("color.pt"), 1, "training images are; name them: --train SOURCE")
    fails(run("model.pt", "--train", "nowhere"), 1, "nowhere: no such file")


def test_rare_classes_are_left_out_and_unknown_ones_too(run: Run, work: Path) -> None:
    write_bands(work / "bands")
    rows = (work / "labels.csv").read_text().splitlines()
    rows[1] = rows[1].replace("top", "roof")
    rows[2] = rows[2].replace("middle", "")
    (work / "labels.csv").write_text("\n".join(rows))
    code, out, err = run(
        "model.pt", "--train", "bands", "--labels", "labels.csv", "--label-column", "band",
        "--controls", "none", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert "1 of 4 classes have fewer than 5 training images: left out" in err
    answer = json.loads(out)
    assert answer["classes"] == ["bottom", "middle", "top"]
    assert answer["training_images"] + answer["test_images"] == 34
