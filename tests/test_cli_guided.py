"""`dcgan guided-backprop` as typed: what is written, what is printed where, and every wrong usage."""

import io
import json
import os
import subprocess
import sysconfig
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_runner import Run, command, untrained, untrained_on_digits
from PIL import Image

from dcgan_cli.checkpoint.format import save
from dcgan_cli.model.config import ModelConfig

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=2, ndf=4, z_dist="normal", bn_eps=1e-5)

FEW = ("--limit", "60", "--measured", "6", "--draws", "2")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `model.pt`, of scikit-learn's digits, and `alone.pt`, of nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    save(tmp_path / "model.pt", untrained_on_digits(CONFIG))
    save(tmp_path / "alone.pt", untrained(replace(CONFIG, channels=3)))
    return tmp_path


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Exit code, stdout and stderr of `dcgan guided-backprop ...`."""
    return command("guided-backprop", capfdbinary)


def test_the_checkpoint_alone_suffices(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", *FEW)
    assert code == 0, err
    text = out.decode()
    assert text.splitlines()[-1] == "guided-backprop.png"
    for said in (
        "share of the receptive field filled",
        "random networks",
        "rank correlation with itself",
    ):
        assert said in text
    assert "looking with the discriminator of model.pt" in err
    assert "digits: " in err
    assert "Cascading" in run("model.pt", *FEW, "-v")[1].decode()
    assert "no boxes of objects are known here" in err
    with Image.open(work / "guided-backprop.png") as image:
        record = json.loads(
            "".join(
                image.info[f"dcgan.{i}"]
                for i in range(len(image.info))
                if f"dcgan.{i}" in image.info
            )
        )
    assert record["tiles"] == 6 * 2 * 11
    assert record["command"].startswith("guided-backprop --layer 2 --rule guided --features 6")


def test_json_has_stable_keys_and_the_same_seed_the_same_bits(run: Run, work: Path) -> None:
    few = (*FEW, "--features", "2", "--top", "3", "--layer", "1", "--rule", "leaky", "--json", "-q")
    code, out, err = run("model.pt", *few)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {
        "schema_version", "report", "checkpoint", "layer", "rule", "features", "top", "measured", "draws", "seed",
        "images", "caption", "maxima", "verdict", "findings", "tables", "notes", "data", "file",
    }  # fmt: skip
    assert set(answer["findings"]) == {
        "concentration", "agreement_guided_leaky", "agreement_guided_gradient",
        "agreement_leaky_gradient", "cascade_top", "cascade_all",
    }  # fmt: skip
    # a first layer has four maps, and its maxima are shown to nothing but themselves
    assert (answer["layer"], answer["measured"], answer["images"]) == (1, 4, 60)
    assert len(answer["maxima"]) == 2 * 2 * 3
    assert set(answer["maxima"][0]) == {
        "network", "map", "rank", "image", "name", "response", "row", "column",
    }  # fmt: skip
    grid = (work / "guided-backprop.png").read_bytes()
    assert run("model.pt", *few)[1] == out
    assert (work / "guided-backprop.png").read_bytes() == grid


def test_known_objects_are_measured(run: Run) -> None:
    code, out, err = run(
        "alone.pt", "--data", "demo:rooms", "--limit", "24", "--measured", "4", "--features", "2",
        "--top", "2", "--draws", "2", "--json",
    )  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)
    assert answer["data"] == "demo:rooms:24"
    assert {"overlap", "overlap_same_places"} <= set(answer["findings"])
    rows = answer["tables"]["energy_on_objects"]
    kinds = [row["object"] for row in rows]
    assert kinds[0] == "any object"
    assert (
        {"bed", "window"}
        <= set(kinds)
        <= {"any object", "bed", "door", "lamp", "picture", "window"}
    )


def test_boxes_of_a_file(run: Run, work: Path) -> None:
    folder = work / "photos"
    folder.mkdir()
    stream = np.random.default_rng(0)
    lines = ["file,kind,x0,y0,x1,y1"]
    for i in range(12):
        pixels = stream.integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,cat,0.25,0.25,0.75,0.75")
    (work / "boxes.csv").write_text("\n".join(lines) + "\n")
    code, out, err = run(
        "model.pt", "--data", "photos", "--labels", "boxes.csv", "--measured", "4", "--features",
        "1", "--top", "2", "--draws", "2", "--verbose",
    )  # fmt: skip
    assert code == 0, err
    assert "the model is gray, and so it sees them" in err
    assert "cat" in out.decode()


def test_the_grid_goes_down_a_pipe_and_the_metrics_beside_it(run: Run, work: Path) -> None:
    few = (*FEW, "--features", "1", "--top", "2")
    code, out, err = run("model.pt", *few, "-o", "-")
    assert code == 0, err
    with Image.open(io.BytesIO(out)) as image:
        assert image.format == "PNG"
    assert "share of the receptive field filled" in err
    assert not (work / "guided-backprop.png").exists()
    code, again, err = run("model.pt", *few, "-o", "-", "--quiet")
    assert (code, again) == (0, out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--layer", "3"),
            "--layer 3: this discriminator has 2 convolution layers; expected 1 to 2",
        ),
        (("--layer", "0"), "--layer"),
        (("--features", "9"), "--features 9: layer 2 has 8 maps; expected 1 to 8"),
        (("--features", "0"), "--features"),
        (("--top", "0"), "--top"),
        (("--draws", "1"), "--draws"),
        (("--limit", "0"), "--limit"),
        (("--rule", "deconv"), "--rule deconv: expected one of guided, leaky, gradient"),
        (("--device", "tpu"), "--device tpu"),
        (("-o", "-", "--json"), "-o - and --json"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    fails(run("model.pt", *arguments), 2, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alone.pt",), "does not say where its training images are; name them: --data"),
        (("moved.pt",), "gone/away: no such file or folder"),
        (("model.pt", "--limit", "3"), "3 images are fewer than --top 5"),
        (("model.pt", "--data", "nowhere"), "nowhere"),
        (("model.pt", "--labels", "boxes.csv"), "boxes.csv"),
        (("mod",), "mod: neither a checkpoint file nor a run"),
    ],
)
def test_failed_work_is_one_line_and_exit_1(
    arguments: tuple[str, ...], said: str, run: Run, work: Path
) -> None:
    save(work / "moved.pt", untrained(CONFIG, data={"location": "gone/away"}))
    fails(run(*arguments), 1, said)


def test_the_installed_command(work: Path) -> None:
    command = str(Path(sysconfig.get_path("scripts")) / "dcgan")
    result = subprocess.run(
        [command, "guided-backprop", "model.pt", *FEW, "--threads", "1"],
        check=False, cwd=work, capture_output=True, timeout=300, env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.decode().splitlines()[-1] == "guided-backprop.png"
    assert b"\x1b" not in result.stdout + result.stderr
    with Image.open(work / "guided-backprop.png") as image:
        assert image.format == "PNG"


def fails(result: tuple[int, bytes, str], code: int, said: str) -> None:
    """One line on stderr (notes may go before it), nothing on stdout."""
    found, out, err = result
    assert found == code, err
    assert out == b""
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("dcgan: ")
    assert "Traceback" not in err
