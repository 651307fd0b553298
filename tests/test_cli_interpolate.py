"""`dcgan interpolate` as typed: what is written, what is printed where, and every wrong usage."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Run, command, untrained
from PIL import Image

from dcgan_cli.checkpoint.format import save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.config import ModelConfig

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, z_dist="normal", bn_eps=1e-5)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `model.pt`, and `other.pt` of another z."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    fingerprint = open_source("digits").fingerprint()
    data = {"location": "digits", "fingerprint": fingerprint, "background": "white"}
    save(tmp_path / "model.pt", untrained(CONFIG, 20, data=data))
    save(tmp_path / "other.pt", untrained(replace(CONFIG, z_dim=7), 20))
    return tmp_path


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Exit code, stdout and stderr of `dcgan interpolate ...`."""
    return command("interpolate", capfdbinary)


def test_a_grid_its_metrics_and_its_path(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", "--points", "4")
    assert code == 0, err
    lines = out.decode().splitlines()
    assert lines[-1] == "walk.png"
    assert lines[0].startswith("no jump in ")
    assert "fastest change / median change" in out.decode()
    assert "untrained" in out.decode()
    assert "training cross-fade" not in out.decode()
    assert "training cross-fade" in run("model.pt", "--points", "4", "-v")[1].decode()
    assert "walking with model.pt" in err
    with Image.open(work / "walk.png") as image:
        text = "".join(
            image.info[f"dcgan.{i}"] for i in range(len(image.info)) if f"dcgan.{i}" in image.info
        )
    record = json.loads(text)
    assert (record["tiles"], record["seed"]) == (30, 0)
    assert "--steps 10" in record["command"]


def test_json_has_stable_keys_and_nothing_else_is_on_stdout(run: Run) -> None:
    code, out, err = run("model.pt", "--points", "3", "--steps", "4", "--json", "--quiet")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {
        "schema_version", "report", "checkpoint", "seed", "points", "segments", "steps", "path", "loop", "size",
        "channels", "bn", "ema", "verdict", "diversity", "transition", "sharp_rows", "sharp_from", "findings", "tables",
        "file",
    }  # fmt: skip
    assert set(answer["findings"]) == {
        "step_pixels", "step_features", "path_length", "sharpest_pixels", "sharpest_features",
        "sharp_segments",
    }  # fmt: skip
    assert answer["file"] == "walk.png"
    assert answer["findings"]["step_pixels"]["n"] == 2
    assert answer["findings"]["step_pixels"]["control"]["what"] == "cross-fade"
    assert [row["metric"] for row in answer["tables"]["walks"]] == list(answer["findings"])


@pytest.mark.parametrize(("ending", "form"), [("gif", "GIF"), ("WebP", "WEBP")])
@pytest.mark.parametrize(("loop", "count"), [(False, 2 * 7 + 1), (True, 3 * 7)])
def test_animations_by_the_end_of_the_name(
    ending: str, form: str, loop: bool, count: int, run: Run, work: Path
) -> None:
    flags = ["--loop"] if loop else []
    name = f"a.{ending}"
    code, out, err = run(
        "model.pt", "--points", "3", "--steps", "8", "-o", name, "--fps", "10", *flags
    )
    assert code == 0, err
    assert out.decode().splitlines()[-1] == name
    with Image.open(work / name) as image:
        frames = getattr(image, "n_frames", 1)
        assert (image.format, image.size, frames) == (form, (512, 512), count)
        assert image.info["loop"] == 0
        durations: list[int] = []
        for number in range(frames):
            image.seek(number)
            image.load()
            durations.append(image.info["duration"])
    assert durations == [100] * (count - 1) + [100 if loop else 1000]


@pytest.mark.parametrize(
    ("name", "options", "measured"),
    [
        ("a.gif", (), False),
        ("a.webp", ("--no-measure",), False),
        ("a.gif", ("--measure",), True),
        ("a.png", (), True),
        ("a.png", ("--no-measure",), False),
    ],
)
def test_a_film_is_drawn_and_measured_only_when_asked(
    name: str, options: tuple[str, ...], measured: bool, run: Run
) -> None:
    line = ("model.pt", "--points", "2", "--steps", "3", "-o", name, *options)
    code, out, err = run(*line, "--json", "-q")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (
        {"findings", "tables", "transition"} <= set(answer)
        if measured
        else (not {"findings", "tables", "diversity", "transition", "sharp_rows"} & set(answer))
    )
    assert ("not measured" in answer["verdict"]) is not measured
    code, out, err = run(*line)
    assert code == 0, err
    where = out.decode() if measured else err
    assert answer["verdict"] in where.splitlines()
    assert measured or out.decode() == f"{name}\n"
    assert measured or "cross-fade" not in err, "the training images are not looked for"


def test_an_mp4(run: Run, work: Path) -> None:
    reader = pytest.importorskip("imageio.v3")
    pytest.importorskip("imageio_ffmpeg")
    code, _, err = run("model.pt", "--points", "2", "-o", "a.mp4", "--fps", "30", "--loop")
    assert code == 0, err
    assert reader.imread(work / "a.mp4", plugin="FFMPEG").shape == (2 * 29, 512, 512, 3)


def test_first_and_last_frame_are_the_samples(run: Run, work: Path) -> None:
    assert run("model.pt", "--points", "3", "--steps", "4", "--seed", "9", "-o", "a.webp")[0] == 0
    sample = ["sample", "model.pt", "-n", "3", "--seed", "9", "--split", "samples"]
    assert run_guarded(lambda: app(sample, standalone_mode=False)) == 0
    with Image.open(work / "a.webp") as image:
        for frame, number in ((0, 0), (3, 1), (6, 2)):
            image.seek(frame)
            shown = np.array(image.convert("L"))[::32, ::32]
            with Image.open(work / "samples" / f"{number:04d}.png") as drawn:
                assert np.array_equal(shown, np.array(drawn))


def test_a_walk_between_named_points(run: Run, work: Path) -> None:
    points = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    np.save("z.npy", points)
    code, out, err = run(
        "model.pt", "--between", "z.npy#4", "--between", "z.npy#0-1", "--steps", "3", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["points"] == 3
    from dcgan_cli.checkpoint.format import load

    walked = read_latents("walk.png", load(work / "model.pt")).latents
    assert np.array_equal(walked[[0, 2, 3, 5]], points[[4, 0, 0, 1]])
    np.testing.assert_allclose(walked[1], (points[4] + points[0]) / 2, atol=1e-6)
    # tiles of a walk are points themselves
    code, _, err = run("model.pt", "--between", "walk.png#1,4", "-o", "two.png", "--path", "slerp")
    assert code == 0, err


def test_the_grid_goes_down_a_pipe_and_the_metrics_beside_it(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", "--points", "2", "--steps", "3", "-o", "-")
    assert code == 0
    with Image.open(io.BytesIO(out)) as image:
        assert image.format == "PNG"
    assert "fastest change / median change" in err
    assert not (work / "walk.png").exists()
    code, again, err = run("model.pt", "--points", "2", "--steps", "3", "-o", "-", "--quiet")
    assert (code, err) == (0, "")
    assert again == out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "does not say where its training images are; name them: --data SOURCE"),
        ({"location": "gone/away"}, "gone/away: no such file"),
        (
            {"location": "digits", "pictures": 5000, "fingerprint": "old"},
            "1,797 images, .* on 5,000",
        ),
        ({"location": "digits", "background": "reddish"}, "--background reddish"),
    ],
)
def test_missing_training_images_are_said(
    data: dict[str, Any], said: str, run: Run, work: Path
) -> None:
    if data.get("location") == "digits":
        data = {"fingerprint": open_source("digits").fingerprint()} | data
    save(work / "alone.pt", untrained(CONFIG, 20, data=data))
    code, out, err = run("alone.pt", "--points", "2", "--steps", "2", "-v")
    assert code == 0
    assert re.search(f"no cross-fade of training images as a control: .*{said}", err)
    assert "training cross-fade" not in out.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "walk.bmp"), "-o walk.bmp: cannot write .bmp; expected .png, .gif, .webp, .mp4"),
        (("-o", "walk"), "expected .png, .gif, .webp, .mp4"),
        (("-o", "-", "--json"), "-o - and --json"),
        (("--path", "cubic"), "--path cubic: expected one of linear, slerp"),
        (("--points", "1"), "--points"),
        (("--steps", "1"), "--steps"),
        (("--fps", "0"), "--fps"),
        (("--bn", "none"), "running, batch, reestimated"),
        (("--device", "tpu"), "--device tpu"),
        (
            ("-o", "a.gif", "--data", "digits"),
            "--data digits: a control of what is measured; add --measure",
        ),
        (("--no-measure", "--data", "digits"), "add --measure"),
        (("--between", "z.npy#0"), "two points"),
        (("--between", "z.npy", "--points", "3"), "give one of the two"),
        (("--between", "z.npy#0", "--between", "z.npy#7"), "z.npy#7: no tile 7; there are 5"),
        (("--between", "z.npy#0", "--between", "z.npy#x"), "'x' is no tile number"),
        (("--between", "missing.npy"), "missing.npy"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    np.save("z.npy", np.zeros((5, 6), np.float32))
    fails(run("model.pt", *arguments), 2, said)


def test_points_of_another_model_are_one_line_and_exit_1(run: Run) -> None:
    np.save("z.npy", np.zeros((5, 6), np.float32))
    fails(run("other.pt", "--between", "z.npy"), 1, "points of 6 numbers, this model's z has 7")
    assert run("model.pt", "--points", "2", "--steps", "2")[0] == 0
    other = untrained(CONFIG, 20)
    other.generator["to_rgb.weight"].mul_(2)
    save(Path("changed.pt"), other)
    fails(run("changed.pt", "--between", "walk.png"), 1, "walk.png: drawn by model")
    fails(run("mod"), 1, "mod: neither a checkpoint file nor a run")


def test_a_missing_extra_is_said_before_anything_is_done(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcgan_cli.render.animation.find_spec", lambda name: None)
    fails(run("model.pt", "-o", "a.mp4"), 2, "dcgan[video]")


def fails(result: tuple[int, bytes, str], code: int, said: str) -> None:
    """One line on stderr (notes may go before it), nothing on stdout, no file."""
    found, out, err = result
    assert found == code, err
    assert out == b""
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("dcgan: ")
    assert "Traceback" not in err
