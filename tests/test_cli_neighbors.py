"""`dcgan nearest-neighbors` as typed: verdict, image grid, streams, and every wrong use."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Run, command, untrained
from PIL import Image

from dcgan_cli.checkpoint.format import save
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.report import Images

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, z_dist="normal", bn_eps=1e-5)

COUNT = 120
"""Images in `train`, and as many in `others`."""

QUICK = ("--threads", "1", "--bn", "running", "-n", "30", "--rows", "3", "-k", "2")


def scenes(count: int, seed: int) -> Images:
    """Images of a few numbers each, uint8 [count, 16, 16]; bright ones on the left or the right."""
    stream = np.random.default_rng(seed)
    coarse = stream.normal(128, 40, (count, 4, 4)) + np.where(np.arange(4) < 2, 25, -25)
    coarse[::2] = coarse[::2, :, ::-1]
    grain = stream.normal(0, 4, (count, 16, 16))
    return np.clip(coarse.repeat(4, 1).repeat(4, 2) + grain, 0, 255).astype(np.uint8)


def write(folder: Path, images: Images) -> None:
    for number, image in enumerate(images):
        side = folder / ("left" if number % 2 else "right")
        side.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(side / f"{number:03}.png")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `train`, `others`, and `model.pt`, said to be trained on `train`."""
    folder = tmp_path_factory.mktemp("work")
    write(folder / "train", scenes(COUNT, 0))
    write(folder / "others", scenes(COUNT, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "200")
        fingerprint = open_source("train").fingerprint()
        save(
            Path("model.pt"),
            untrained(CONFIG, 20, data={"location": "train", "fingerprint": fingerprint}),
        )
        yield folder


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Exit code, stdout and stderr of `dcgan nearest-neighbors ...`."""
    return command("nearest-neighbors", capfdbinary)


def answer(result: tuple[int, bytes, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_samples_beside_their_neighbors_and_a_verdict(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", *QUICK)
    assert code == 0, err
    text = out.decode()
    assert text.splitlines()[-1] == "nearest.png"
    for word in (
        "samples that are copies, by outlines ↓",
        "by D's features",
        "set aside, trained on",
        ".png",
    ):
        assert word in text
    assert "Tails" not in text
    whole = run("model.pt", *QUICK, "-v")[1].decode()
    assert "Tails" in whole
    assert "Closest" in whole
    assert "drawing with model.pt" in err
    said = "90 training images compared, 30 set aside, which the network was trained on too"
    assert said in err
    assert "held out" not in out.decode() + err
    assert out.decode().startswith("not memorized: no copies found among 30 images, beside 30 ")
    with Image.open(work / "nearest.png") as image:
        text = "".join(
            image.info[f"dcgan.{i}"] for i in range(len(image.info)) if f"dcgan.{i}" in image.info
        )
    record = json.loads(text)
    assert record["tiles"] == (3 + 3) * (1 + 2 + 1 + 2)
    assert record["seed"] == 0


def test_json_has_stable_keys_and_nothing_else_is_on_stdout(run: Run) -> None:
    result = run("model.pt", *QUICK, "--json", "--quiet")
    assert result[2] == ""
    found = answer(result)
    assert set(found) == {
        "schema_version", "report", "checkpoint", "seed", "size", "channels", "images", "training", "held_out", "k",
        "held_out_trained_on", "memorized", "verdict", "p_value", "level", "detectable", "closest", "data", "held_out_from", "bn",
        "ema", "findings", "tables", "notes", "file",
    }  # fmt: skip
    keys = ("copies", "closer", "distance")
    assert set(found["findings"]) == {f"{k}_{e}" for k in keys for e in ("outlines", "features")}
    assert (found["images"], found["training"], found["held_out"]) == (30, 90, 30)
    assert found["memorized"] is False
    assert len(found["closest"]) == len(found["tables"]["closest"]) == 3
    assert found["findings"]["distance_outlines"]["control"]["n"] == 30
    assert found["held_out_trained_on"] is True
    assert found["findings"]["closer_outlines"]["control"]["what"] == "set aside, trained on"


def test_what_was_not_trained_on_is_called_held_out(run: Run) -> None:
    result = run("model.pt", *QUICK, "--held-out", "others", "--json")
    found = answer(result)
    assert found["held_out_trained_on"] is False
    assert found["findings"]["closer_outlines"]["control"]["what"] == "held out"
    assert "120 real images held out" in result[2]
    assert "set aside" not in result[2]
    # other images to compare with do not make the training images held out
    named = ("--data", "others", "--held-out", "train", "--json")
    assert answer(run("model.pt", *QUICK, *named))["held_out_trained_on"] is True


def test_the_same_seed_gives_the_same_bytes(run: Run, work: Path) -> None:
    results: list[bytes] = []
    for seed in ("4", "4", "5"):
        code, out, err = run("model.pt", *QUICK, "--seed", seed, "-o", "-", "--quiet")
        assert (code, err) == (0, "")
        results.append(out)
    assert results[0] == results[1] != results[2]
    with Image.open(io.BytesIO(results[0])) as image:
        assert image.format == "PNG"


def test_copies_are_found_by_name_whatever_was_done_to_them(run: Run, work: Path) -> None:
    """Training images given with --of, mirrored or brightened or moved, are what a memorizer draws."""
    names = sorted(str(path) for path in Path("train").rglob("*.png"))[:24]
    Path("given").mkdir(exist_ok=True)
    given: list[str] = []
    for number, name in enumerate(names):
        with Image.open(name) as image:
            pixels = np.array(image).astype(np.float64)
        kinds = (pixels, pixels[:, ::-1], pixels * 0.8 + 40, np.roll(pixels, 1, 1))
        changed = np.clip(kinds[number % len(kinds)], 0, 255).astype(np.uint8)
        given += ["--of", f"given/{number:02}.png"]
        Image.fromarray(changed).save(given[-1])
    cli_runner = (
        "model.pt",
        *given,
        "--held-out",
        "others",
        "--bn",
        "running",
        "-k",
        "2",
        "--strict",
    )
    code, out, err = run(*cli_runner, "--json")
    assert code == 1, err
    found = json.loads(out)
    assert found["memorized"] is True
    assert found["findings"]["copies_outlines"]["low"] > 0.5
    assert found["verdict"].startswith("memorized (p = ")
    rows = found["tables"]["closest"]
    assert len(rows) == 24
    right = [Path(row["training_image"]) == Path(*Path(names[int(row["image"][:2])]).parts[1:])
             for row in rows]  # fmt: skip
    assert sum(right) >= 23
    with Image.open(work / "nearest.png") as image:
        assert image.height > 24 * 48  # all that were named are shown


def test_held_out_images_pass_though_strict(run: Run) -> None:
    names = sorted(str(path) for path in Path("others").rglob("*.png"))[:24]
    given = [part for name in names for part in ("--of", name)]
    code, out, err = run("model.pt", *given, "--bn", "running", "--strict")
    assert code == 0, err
    assert out.decode().startswith("not memorized: no copies found among ")


def test_points_of_z_and_tiles_of_the_grid_can_be_asked_about(run: Run, work: Path) -> None:
    assert run("model.pt", *QUICK, "-o", "first.png")[0] == 0
    np.save("z.npy", np.zeros((2, 6), np.float32))
    cli_runner = ("--of", "first.png#0,6", "--of", "z.npy", "--of", "train/left/001.png", "-k", "3")
    found = answer(run("model.pt", *cli_runner, "--bn", "running", "--json", "-o", "second.png"))
    assert found["images"] == 5
    names = {row["image"] for row in found["tables"]["closest"]}
    assert names == {"first.png#0,6 0", "first.png#0,6 1", "z.npy 0", "z.npy 1", "001.png"}
    from dcgan_cli.checkpoint.format import load
    from dcgan_cli.checkpoint.latent_arguments import read_latents

    model = load(work / "model.pt")
    first = read_latents("first.png#0,6", model).latents
    assert np.array_equal(read_latents("second.png#0,8", model).latents, first)
    fails(run("model.pt", "--of", "first.png#1"), 2, "not all of these are latent vectors")


def test_a_training_image_is_its_own_neighbor(run: Run) -> None:
    """Unless it is the one held out."""
    cli_runner = ("--of", "train/left/001.png", "--held-out", "others", "--bn", "running", "--json")
    row = answer(run("model.pt", *cli_runner))["tables"]["closest"][0]
    assert row["training_image"] == "left/001.png"
    assert row["distance"] < 1e-6
    assert row["closeness"] < 1e-5


def test_data_that_repeat_themselves_are_said_to(run: Run) -> None:
    images = scenes(60, 5)
    write(Path("twice"), np.concatenate([images, images]))
    code, _, err = run("model.pt", *QUICK, "--data", "twice", "--strict")
    assert code == 0, err
    assert re.search(r"\d+ % of the images set aside are near-copies", err)
    assert "near-copies" not in run("model.pt", *QUICK)[2]


def test_a_classifier_that_learns_from_samples(run: Run) -> None:
    found = answer(run("model.pt", *QUICK, "--classify", "label", "--json"))
    metrics = found["findings"]
    assert metrics["nn_error_samples"]["control"]["what"] == "30 real"
    assert metrics["nn_error_samples"]["published"] is None
    assert metrics["nn_error_all"]["value"] < 0.1
    assert metrics["nn_error_relabelled"]["value"] < 0.2
    assert {row["class"] for row in found["tables"]["classes"]} == {"left", "right"}
    cli_runner = ("--held-out", "others", "--classify", "label", "--json")
    assert answer(run("model.pt", *QUICK, *cli_runner))["findings"]["nn_error_all"]["n"] == COUNT


def test_fewer_training_images_can_be_compared(run: Run) -> None:
    found = answer(run("model.pt", *QUICK, "--limit", "20", "--json"))
    assert (found["training"], found["held_out"]) == (20, 30)


def test_random_windows_are_compared_by_their_middle(run: Run, work: Path) -> None:
    data = {"location": "train", "side": 24, "fingerprint": open_source("train").fingerprint()}
    save(work / "windows.pt", untrained(CONFIG, 20, data=data))
    code, _, err = run("windows.pt", *QUICK)
    assert code == 0, err
    assert "trained on random windows of 16 out of 24 pixels" in err


@pytest.mark.slow
def test_a_map_of_samples_among_training_images(run: Run, work: Path) -> None:
    found = answer(run("model.pt", *QUICK, "--map", "map.png", "--json"))
    assert found["map"] == "map.png"
    with Image.open(work / "map.png") as image:
        pixels = np.array(image.convert("RGB"))
        assert np.array_equal(pixels[2, 2], [255, 255, 255])  # on dark pages too
    colors = [np.abs(pixels.astype(int) - color).sum(-1).min() for color in BLUE_AND_ORANGE]
    assert max(colors) < 90


BLUE_AND_ORANGE = ((31, 119, 180), (255, 127, 14))


def test_as_a_process(work: Path) -> None:
    line = [sys.executable, "-m", "dcgan_cli", "nearest-neighbors", "model.pt", *QUICK, "--strict"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=work)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "nearest.png"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "-", "--json"), "-o - and --json"),
        (("--of", "z.npy", "-n", "3"), "-n draws samples, --of names images"),
        (("--of", "z.npy", "--classify", "label"), "--classify learns from samples"),
        (("--of", "missing.jpg"), "missing.jpg"),
        (("--of", "broken.png"), "--of broken.png: cannot be read"),
        (("--held-out", "1.5"), "--held-out 1.5: expected a share between 0 and 1, or a SOURCE"),
        (("--held-out", "train"), "--held-out train: these are the training images"),
        (("--classify", "age"), "--classify age: train has no such column of classes; there are label"),
        (("-n", "0"), "-n"),
        (("-k", "0"), "-k"),
        (("--bn", "none"), "running, batch, reestimated"),
        (("--device", "tpu"), "--device tpu"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    np.save("z.npy", np.zeros((2, 6), np.float32))
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    fails(run("model.pt", *arguments), 2, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.pt",), "neither a checkpoint file nor a run"),
        (("lost.pt",), "gone: no such file or folder"),
        (("lost.pt",), "name the place where they are now, --data SOURCE"),
        (("alone.pt",), "does not say where its training images are; name them: --data"),
        (("model.pt", "--held-out", "0.01"), "hold out at least 8"),
        (("model.pt", "--held-out", "gone"), "gone: no such file or folder"),
        (("model.pt", "--limit", "5"), "10 nearest neighbors were asked for, and only 5 images"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_exit_1(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    save(Path("lost.pt"), untrained(CONFIG, 20, data={"location": "gone"}))
    save(Path("alone.pt"), untrained(CONFIG, 20))
    fails(run(*arguments, "-n", "5", "--bn", "running"), 1, said)


def test_images_that_are_named_need_not_be_remembered(run: Run) -> None:
    save(Path("alone.pt"), untrained(replace(CONFIG, z_dim=7), 20))
    assert answer(run("alone.pt", *QUICK, "--data", "train", "--json"))["data"] == "train"


def fails(result: tuple[int, bytes, str], code: int, said: str) -> None:
    """One line on stderr (notes may go before it) and nothing on stdout."""
    found, out, err = result
    assert found == code, err
    assert out == b""
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("dcgan: ")
    assert "Traceback" not in err
