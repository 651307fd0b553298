"""The installed `dcgan` as a process: stdout, stderr and exit code apart."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DCGAN = str(Path(sysconfig.get_path("scripts")) / "dcgan")
TINY = ("--ngf", "4", "--ndf", "4", "--threads", "1")


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200"}


def dcgan(*arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [DCGAN, *arguments],
        check=False,
        cwd=folder,
        capture_output=True,
        env=environment(),
        timeout=600,
    )


def one_line(result: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The error of a command that failed as it should: one line, nothing on stdout."""
    text = result.stderr.decode()
    assert result.returncode == code, text
    assert result.stdout == b""
    assert "Traceback" not in text
    last = text.splitlines()[-1]
    assert last.startswith("dcgan: ")
    return last


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with one finished run, `digits`."""
    place = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(place / "cache"))
        result = dcgan("train", "digits", *TINY, "--steps", "40", folder=place)
        assert result.returncode == 0, result.stderr.decode()
        assert result.stdout.decode() == "checkpoints/digits/last.pt\n"
        assert "\ndone at step 40, epoch " in result.stderr.decode()
        yield place


def test_help_names_every_command_and_imports_no_torch(tmp_path: Path) -> None:
    result = dcgan("--help", folder=tmp_path)
    assert result.returncode == 0
    assert result.stderr == b""
    from dcgan_cli.cli.app import COMMANDS

    for name, _ in COMMANDS:
        assert name in result.stdout.decode()
    code = "import sys, dcgan_cli.cli.app; print([m for m in ('torch','numpy','sklearn','PIL') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.decode().strip() == "[]"


def test_version(tmp_path: Path) -> None:
    result = dcgan("--version", folder=tmp_path)
    assert re.fullmatch(r"dcgan \d+\.\d+\.\d+\S*\n", result.stdout.decode())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "digits", "--stepps", "3"), "--stepps"),
        (("trane",), "trane"),
        (("train",), "SOURCE"),
        (("train", "digits", "--size", "65"), "nearest: 64 or 80"),
        (("train", "digits", "--preset", "big"), "paper, torch, tutorial, small"),
        (("train", "digits", "--loss", "bce"), "non-saturating"),
        (("train", "digits", "--keep", "some"), "a number or all"),
        (("train", "digits", "--on-unhealthy", "cry"), "rollback"),
        (("train", "digits", "--run", "a/b"), "--run a/b"),
        (("train", "digits", "--run", "new", "--resume"), "--resume"),
        (("train", "digits", "--device", "tpu"), "--device tpu"),
        (("train", "digits", "--background", "reddish"), "--background reddish"),
        (("sample", "digits", "--bn", "none"), "running, batch, reestimated"),
        (("sample", "digits", "--latents", "missing.npy"), "missing.npy"),
        (("train", "digits"), "--overwrite"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in one_line(dcgan(*arguments, folder=folder), 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "nowhere"), "nowhere"),
        (("train", "empty"), "empty"),
        (("train", "digits", "--run", "few", "--batch-size", "4000"), "--batch-size"),
        (("sample", "digit"), "digits"),
        (("sample", "notes.pt"), "notes.pt"),
    ],
)
def test_failed_work_is_one_line_and_exit_1(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "notes.pt").write_text("these are notes")
    assert said in one_line(dcgan(*arguments, folder=folder), 1)
    assert not (folder / "checkpoints" / "few").exists()


def test_debug_shows_the_traceback(folder: Path) -> None:
    result = dcgan("sample", "digit", "--debug", folder=folder)
    assert result.returncode == 1
    assert "Traceback" in result.stderr.decode()


def test_training_leaves_what_the_readme_says(folder: Path) -> None:
    run = folder / "checkpoints" / "digits"
    for name in ("last.pt", "epoch-0001.pt", "config.json", "metrics.jsonl", "curves.png"):
        assert (run / name).stat().st_size > 0
    with Image.open(run / "samples" / "last.png") as image:
        assert image.info["dcgan.0"]
    with Image.open(run / "samples.gif") as image:
        assert getattr(image, "n_frames", 1) >= 2
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))


def test_stderr_is_plain_where_it_is_no_terminal_and_silent_when_quiet(folder: Path) -> None:
    loud = dcgan("sample", "digits", "-o", "loud.png", folder=folder)
    assert b"\x1b" not in loud.stderr
    assert b"checkpoints/digits/last.pt" in loud.stderr
    quiet = dcgan("sample", "digits", "-o", "quiet.png", "--quiet", folder=folder)
    assert quiet.stderr == b""
    assert quiet.stdout == b"quiet.png\n"


def test_resume_continues_and_refuses_other_settings(folder: Path) -> None:
    result = dcgan(
        "train", "--run", "digits", "--resume", "--steps", "45", "--json", "-q", folder=folder
    )
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    answer = json.loads(result.stdout)
    assert answer["step"] == 45
    assert set(answer) == {
        "schema_version", "report", "verdict", "run", "file", "checkpoint", "step", "epoch", "seconds", "interrupted",
        "source", "content", "images", "size", "channels", "preset", "loss", "seed", "batch_size",
        "device", "precision", "d_loss", "g_loss", "samples", "best", "diagnostics",
    }  # fmt: skip
    refused = dcgan("train", "--run", "digits", "--resume", "--lr", "0.01", folder=folder)
    assert "begun with 0.0002" in one_line(refused, 2)


def test_samples_are_addressable_and_independent_of_the_count(folder: Path) -> None:
    first = dcgan(
        "sample", "digits", "-n", "40", "--seed", "3", "--split", "many", "--save-latents", "z.npy",
        "--json", folder=folder,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr.decode()
    answer = json.loads(first.stdout)
    assert len(answer["files"]) == 40
    assert answer["seed"] == 3
    assert np.load(folder / "z.npy").shape == (40, 100)
    grid = dcgan("sample", "digits", "-n", "7", "--seed", "3", "-o", "seven.png", folder=folder)
    assert grid.returncode == 0
    for latents in ("seven.png#5", "z.npy#5"):
        again = dcgan("sample", "digits", "--latents", latents, "--split", "one", folder=folder)
        assert again.returncode == 0, again.stderr.decode()
        assert (folder / "one" / "0000.png").read_bytes() == (
            folder / "many" / "0005.png"
        ).read_bytes()


def test_a_grid_can_go_down_a_pipe(folder: Path) -> None:
    result = dcgan("sample", "digits", "-n", "4", "-o", "-", "--quiet", folder=folder)
    assert result.returncode == 0
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert image.format == "PNG"


def test_a_closed_pipe_ends_quietly(folder: Path) -> None:
    process = subprocess.Popen(
        [DCGAN, "sample", "digits", "-n", "256", "-o", "-", "-q"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=300)
    assert errors == b""
    assert process.returncode == 0


def test_show_draws_in_the_terminal(folder: Path) -> None:
    result = dcgan("sample", "digits", "-n", "4", "--show", "-o", "shown.png", folder=folder)
    assert "▀" in result.stdout.decode()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on(folder: Path, number: int, code: int) -> None:
    name = f"stopped-{code}"
    process = start_long_run(folder, name)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors.decode()
    assert b"Traceback" not in errors
    from dcgan_cli.checkpoint.format import load

    reached = load(folder / "checkpoints" / name / "last.pt").progress["step"]
    assert reached > 0
    resumed = dcgan(
        "train", "--run", name, "--resume", "--steps", str(reached + 2), "--json", folder=folder
    )
    assert json.loads(resumed.stdout)["step"] == reached + 2


def test_two_runs_cannot_write_one_folder(folder: Path) -> None:
    process = start_long_run(folder, "busy")
    try:
        second = dcgan("train", "--run", "busy", "--resume", folder=folder)
        assert "another dcgan train" in one_line(second, 1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)


def start_long_run(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A run that has written its first steps and would go on for hours."""
    process = subprocess.Popen(
        [DCGAN, "train", "digits", *TINY, "--epochs", "100000", "--run", name, "--overwrite"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    metrics = folder / "checkpoints" / name / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not (metrics.exists() and metrics.stat().st_size > 0):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process
