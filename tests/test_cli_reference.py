"""Analyses open the training images through one reference: where they are, as they were shown."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Run, command, untrained
from PIL import Image

from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.reference import Reference
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import DcganError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.report import DrawSettings, Provenance

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, z_dist="normal", bn_eps=1e-5)

COUNT = 48

NEAREST = ("--threads", "1", "--bn", "running", "--rows", "2", "-k", "2")
WALK = ("--threads", "1", "--bn", "running", "--points", "2", "--steps", "3", "-v")
PROBE = ("--threads", "1", "--controls", "none", "--labels", "labels.csv")
GUIDED = ("--threads", "1", "--features", "1", "--top", "1", "--measured", "2", "--draws", "2")


def write(folder: Path, seed: int) -> None:
    stream = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(COUNT):
        coarse = stream.integers(0, 256, (6, 6), np.uint8).repeat(5, 0).repeat(5, 1)
        Image.fromarray(coarse).save(folder / f"{number:03}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`photos`, `others`, labels of photos, and models said to be trained on photos."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "photos", 0)
    write(folder / "others", 1)
    rows = "".join(f"{n:03}.png,{'left' if n % 2 else 'right'}\n" for n in range(COUNT))
    (folder / "labels.csv").write_text("file,side\n" + rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        source = open_source(str(folder / "photos"))
        for name, side, labels in (
            ("crops", 24, None),
            ("model", 16, None),
            ("labeled", 16, folder / "labels.csv"),
        ):
            images = prepare(source, ImageSpec(side, 1), workers=0)
            data = Reference.of(source, images, 16, labels=labels).to_dict()
            images.close()
            save(folder / f"{name}.pt", untrained(CONFIG, 20, data=data))
    model = load(folder / "model.pt")
    average = untrained(CONFIG, 5).generator
    save(folder / "ema.pt", replace(model, average=average))
    return folder


@pytest.fixture
def dcgan(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[[str], Run]:
    """`dcgan NAME ...` in a folder of its own that holds what `made` holds."""
    for path in made.iterdir():
        if path.name != "cache":
            (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return lambda name: command(name, capfdbinary)


def remember(model: str, place: str, **changes: Any) -> None:
    """Let `model` remember its images at `place`."""
    checkpoint = load(Path(model))
    data = {**checkpoint.data, "location": str(Path(place).resolve()), **changes}
    save(Path(model), replace(checkpoint, data=data))


def answer(result: tuple[int, bytes, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


ANALYSES = {
    "nearest-neighbors": (*NEAREST, "-n", "4"),
    "probe-svm": PROBE,
    "guided-backprop": GUIDED,
}
OPTION = {"nearest-neighbors": "--data", "probe-svm": "--train", "guided-backprop": "--data"}


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_moved_images_are_asked_for_and_found_where_they_are_named(
    name: str, dcgan: Callable[[str], Run]
) -> None:
    remember("model.pt", "photos")
    Path("photos").rename("new")
    code, _, err = dcgan(name)("model.pt", *ANALYSES[name])
    line = err.splitlines()[-1]
    assert code == 1
    assert "photos: no such file or folder; the training images were there" in line
    assert f"{OPTION[name]} SOURCE" in line
    code, _, err = dcgan(name)("model.pt", *ANALYSES[name], OPTION[name], "new")
    assert code == 0, err
    assert "content differs" not in err


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_other_images_are_refused_where_they_were_and_said_where_named(
    name: str, dcgan: Callable[[str], Run]
) -> None:
    remember("model.pt", "others")
    code, _, err = dcgan(name)("model.pt", *ANALYSES[name])
    assert code == 1
    assert "not the images that the model was trained on" in err.splitlines()[-1]
    code, _, err = dcgan(name)("model.pt", *ANALYSES[name], OPTION[name], "others")
    assert code == 0, err
    assert "others: not the images that the model was trained on" in err


def test_a_walk_finds_moved_images_too(dcgan: Callable[[str], Run]) -> None:
    remember("model.pt", "photos")
    Path("photos").rename("new")
    run = dcgan("interpolate")
    code, out, err = run("model.pt", *WALK)
    assert code == 0, err
    assert "no cross-fade of training images as a control: " in err
    assert "--data SOURCE" in err
    assert b"training cross-fade" not in out
    code, out, err = run("model.pt", *WALK, "--data", "new")
    assert code == 0, err
    assert "no cross-fade" not in err
    assert b"training cross-fade" in out
    code, _, err = run("model.pt", *WALK, "--data", "nowhere")
    assert code == 1
    assert "nowhere" in err.splitlines()[-1]


def test_images_of_an_earlier_checkpoint_are_taken_with_a_word(
    dcgan: Callable[[str], Run],
) -> None:
    remember("model.pt", "photos", content=None, fingerprint="other times", images=COUNT)
    code, _, err = dcgan("nearest-neighbors")("model.pt", *ANALYSES["nearest-neighbors"])
    assert code == 0, err
    assert f"taken as the training images (there were {COUNT})" in err


@pytest.mark.parametrize("model", ["model.pt", "crops.pt"])
def test_a_training_image_is_its_own_neighbor(model: str, dcgan: Callable[[str], Run]) -> None:
    remember(model, "photos")
    run = dcgan("nearest-neighbors")
    found = answer(run(model, *NEAREST, "--of", "photos/000.png", "--held-out", "others", "--json"))
    distances = {key: value for key, value in found["findings"].items() if "distance" in key}
    assert len(distances) >= 2
    assert all(abs(value["value"]) < 1e-5 for value in distances.values()), distances


def test_a_network_of_crops_classifiers_probes_and_looks_at_crops(
    dcgan: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcgan_cli.data import reference

    taken: list[tuple[int, ...]] = []
    plain = reference.CenterCrop.take

    def take(self: Any, indices: Any) -> Any:
        taken.append(plain(self, indices).shape)
        return plain(self, indices)

    monkeypatch.setattr(reference.CenterCrop, "take", take)
    remember("crops.pt", "photos")
    lines = (
        ("probe-svm", "crops.pt", *PROBE),
        ("guided-backprop", "crops.pt", *GUIDED),
        ("concepts", "learn", "crops.pt", "--data", "photos", "--labels", "labels.csv"),
    )
    for name, *arguments in lines:
        taken.clear()
        dcgan(name)(*arguments)
        assert taken, name
        assert all(shape[1:] == (16, 16, 1) for shape in taken)


# Other images held out


def test_held_out_images_need_no_labels_of_the_training(dcgan: Callable[[str], Run]) -> None:
    remember("labeled.pt", "photos")
    for path in Path("others").iterdir():
        path.rename(path.with_name(f"x{path.name}"))  # the training's table does not fit them
    run = dcgan("nearest-neighbors")
    line = ("labeled.pt", *NEAREST, "-n", "4", "--held-out", "others")
    code, _, err = run(*line)
    assert code == 0, err
    code, _, err = run(*line, "--labels", "labels.csv")
    assert code == 0, err
    code, _, err = run(*line, "--classify", "side")
    assert code == 2
    assert "--held-out-labels FILE" in err.splitlines()[-1]
    table = Path("labels.csv").read_text().replace("\n", "\nx").removesuffix("x")
    Path("own.csv").write_text(table)
    code, _, err = run(*line[:-4], "-n", "40", "--held-out", "others", "--classify", "side",
                       "--held-out-labels", "own.csv")  # fmt: skip
    assert code == 0, err


def test_a_copy_of_the_training_images_is_not_held_out(dcgan: Callable[[str], Run]) -> None:
    remember("model.pt", "photos")
    shutil.copytree("photos", "copy")
    code, _, err = dcgan("nearest-neighbors")("model.pt", *NEAREST, "-n", "4", "--held-out", "copy")
    assert code == 2
    assert "--held-out copy: these are the training images" in err.splitlines()[-1]


# What made a tile


@pytest.mark.parametrize(
    ("drawn", "again", "said"),
    [
        (("--bn", "running"), ("--bn", "running"), None),
        (("--no-ema",), (), "give --no-ema"),
        ((), ("--no-ema",), "leave out --no-ema"),
        (("--bn", "batch"), (), "give --bn batch"),
        (("--no-ema", "--bn", "batch"), (), "give --bn batch and give --no-ema"),
    ],
)
@pytest.mark.parametrize("name", ["sample", "interpolate", "arithmetic", "nearest-neighbors"])
def test_a_tile_that_would_be_drawn_otherwise_is_said(
    name: str,
    drawn: tuple[str, ...],
    again: tuple[str, ...],
    said: str | None,
    dcgan: Callable[[str], Run],
) -> None:
    remember("ema.pt", "photos")
    code, _, err = dcgan("sample")("ema.pt", "-n", "6", *drawn, "--threads", "1")
    assert code == 0, err
    tile = {
        "sample": ("--latents", "samples.png#3"),
        "interpolate": ("--between", "samples.png#3,4", "--steps", "2"),
        "arithmetic": ("--pos", "samples.png#3,4,5"),
        "nearest-neighbors": ("--of", "samples.png#3", "-k", "2"),
    }[name]
    code, _, err = dcgan(name)("ema.pt", *tile, *again, "-o", "x.png", "--threads", "1")
    assert code == 0, err
    notes = [line for line in err.splitlines() if "to see the same images, " in line]
    if said is None:
        assert notes == []
    else:
        assert len(notes) == 1
        assert notes[0].endswith(f"to see the same images, {said}")


def test_weights_that_are_not_there_are_not_claimed(dcgan: Callable[[str], Run]) -> None:
    run = dcgan("sample")
    for model, options, ema in (
        ("model.pt", (), False),
        ("ema.pt", (), True),
        ("ema.pt", ("--no-ema",), False),
    ):
        line = (model, "-n", "2", "--threads", "1", "--json", *options)
        assert answer(run(*line))["ema"] is ema
        drawn = read_latents("samples.png", load(Path(model))).drawn
        assert drawn is not None
        assert (drawn.bn, drawn.ema, drawn.reference_batches) == ("reestimated", ema, 8)


def test_records_of_earlier_grids_are_read_and_damaged_ones_refused() -> None:
    drawn = DrawSettings("batch", False, 7, 1, 128)
    record = Provenance("0123456789ab", "sample", 0, np.zeros((2, 3), np.float32), drawn)
    assert Provenance.from_json(record.to_json()).drawn == drawn
    fields = json.loads(record.to_json())
    del fields["drawn"]
    assert Provenance.from_json(json.dumps(fields)).drawn is None
    for wrong in (7, [], {"bn": 3}, {**asdict(drawn), "ema": "yes"}, {**asdict(drawn), "bn": None}):
        with pytest.raises(DcganError, match="damaged"):
            Provenance.from_json(json.dumps({**fields, "drawn": wrong}))
