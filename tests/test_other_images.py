"""`dcgan train` refuses images that are not the run's, and gives a loss the network that it needs."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from cli_runner import Run, command
from PIL import Image

from dcgan_cli.checkpoint.format import load

TINY = ("--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "4", "--threads", "1")


def write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(tiny.Noise(count).images):
        Image.fromarray(pixels[..., 0]).save(folder / f"{number:02}.png")


@pytest.fixture
def train(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Run:
    """`dcgan train ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return command("train", capfdbinary)


def fewer(photos: Path) -> None:
    for number in range(4):
        (photos / f"{number:02}.png").unlink()


def more(photos: Path) -> None:
    for number in range(4):
        shutil.copy(photos / f"{number:02}.png", photos / f"again-{number}.png")


def others(photos: Path) -> None:
    for file in photos.iterdir():
        Image.new("RGB", (24, 24)).save(file)


@pytest.mark.parametrize("change", [fewer, more, others])
def test_resume_refuses_other_images_and_leaves_the_run_as_it_is(
    change: Callable[[Path], None], train: Run, tmp_path: Path
) -> None:
    write(tmp_path / "photos", 12)
    code, _, said = train("photos", *TINY, "--steps", "1")
    assert code == 0, said
    last = tmp_path / "checkpoints" / "photos" / "last.pt"
    before = last.read_bytes()
    metrics = (last.parent / "metrics.jsonl").read_bytes()
    change(tmp_path / "photos")
    code, out, said = train("--run", "photos", "--resume", "--steps", "3")
    assert code in (1, 2), said
    assert out == b""
    assert "photos" in said.splitlines()[-1]
    assert "--run photos --resume" in said.splitlines()[-1]
    assert last.read_bytes() == before
    assert (last.parent / "metrics.jsonl").read_bytes() == metrics


def test_resume_goes_on_with_the_same_images(train: Run, tmp_path: Path) -> None:
    write(tmp_path / "photos", 12)
    train("photos", *TINY, "--steps", "1")
    code, _, said = train("--run", "photos", "--resume", "--steps", "3")
    assert code == 0, said
    assert load(tmp_path / "checkpoints" / "photos" / "last.pt").progress["step"] == 3


def test_ranks_with_other_images_are_refused(tmp_path: Path) -> None:
    """Two processes as two machines start them: each finds a folder of that name, one has less."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    processes: list[subprocess.Popen[str]] = []
    for rank, count in enumerate((12, 8)):
        write(tmp_path / str(rank) / "photos", count)
        at = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dcgan_cli", "train", "photos", *TINY, "--steps", "2"],
                cwd=tmp_path / str(rank),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    **{name: str(value) for name, value in at.items()},
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": port,
                },
            )
        )
    try:
        said = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode in (1, 2) for process in processes), said
    reason = said[1].splitlines()[-1]
    assert "photos" in reason, said
    assert "rank 0" in reason, said
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ((), "batch"),
        (("--loss", "wgan"), "batch"),
        (("--loss", "wgan-gp"), "layer"),
        (("--loss", "wgan-gp", "--d-norm", "none"), "none"),
    ],
)
def test_a_penalty_on_each_image_has_no_batch_norm_in_d(
    options: tuple[str, ...], norm: str, train: Run, tmp_path: Path
) -> None:
    """WGAN-GP's penalty is of one image's gradient, which batch norm mixes with the others'."""
    write(tmp_path / "photos", 8)
    code, _, said = train("photos", *TINY, "--steps", "1", "--d-steps", "1", *options)
    assert code == 0, said
    assert load(tmp_path / "checkpoints" / "photos" / "last.pt").model.d_norm == norm
