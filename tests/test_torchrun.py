"""torchrun as a person starts it: killed, stopped, interrupted, started again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny
from PIL import Image

from dcgan_cli.checkpoint.format import load


@contextmanager
def torchrun(folder: Path, *options: str) -> Generator[subprocess.Popen[str]]:
    """Two ranks that train tiny networks for ever and save all the time."""
    for number, image in enumerate(tiny.Noise(16).images):
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / "photos" / f"{number}.png")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *options]
    command += ["-m", "--", "dcgan_cli", "train", "photos", "--run", "run", "--steps", "1000000"]
    command += ["--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "4"]
    command += ["--save-minutes", "0.01", "--device", "cpu"]
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            # the ranks too: they outlive a torchrun that is killed
            ranks = ranks_of(process).values() if process.poll() is None else ()
            process.kill()
            for pid in ranks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def wait_for(what: Callable[[], bool], seconds: float = 450) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def reached(folder: Path) -> int:
    last = folder / "checkpoints" / "run" / "last.pt"
    return load(last).progress["step"] if last.exists() else 0


def ranks_of(process: subprocess.Popen[str]) -> dict[int, int]:
    """Process ids by rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    environments = {int(pid): Path(f"/proc/{pid}/environ").read_bytes() for pid in children}
    return {
        int(entry[5:]): pid
        for pid, environment in environments.items()
        for entry in environment.split(b"\0")
        if entry.startswith(b"RANK=")
    }


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.slow
def test_a_killed_rank_ends_the_job_with_a_state_to_go_on_from(tmp_path: Path) -> None:
    with torchrun(tmp_path) as process:
        wait_for(lambda: reached(tmp_path) > 0)
        os.kill(ranks_of(process)[1], signal.SIGKILL)
        at = time.monotonic()
        assert process.wait(300) == 1
        assert time.monotonic() - at < 270
    text = (tmp_path / "said").read_text()
    assert text.count("dcgan: rank 0 of 2: another process of this run was killed") == 1
    assert reached(tmp_path) > 0


@linux
@pytest.mark.slow
def test_a_signal_to_one_rank_stops_all(tmp_path: Path) -> None:
    with torchrun(tmp_path) as process:
        wait_for(lambda: reached(tmp_path) > 0)
        before = reached(tmp_path)
        os.kill(ranks_of(process)[1], signal.SIGTERM)
        assert process.wait(300) == 1
    text = (tmp_path / "said").read_text()
    assert text.count("stopped at step") == 1
    assert text.count("exitcode  : 143") == 2
    assert reached(tmp_path) >= before


@linux
@pytest.mark.slow
def test_ctrl_c_for_torchrun_saves_once_and_rank_0_alone_speaks(tmp_path: Path) -> None:
    with torchrun(tmp_path) as process:
        wait_for(lambda: reached(tmp_path) > 0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    text = (tmp_path / "said").read_text()
    assert out == "checkpoints/run/last.pt\n"
    for words in (
        "photos: folder",
        "2 processes share batches of 4 (--batch-size), 2 images each",
        "stopped at step",
    ):
        assert text.count(words) == 1, text
    # a step is finished first; an image grid that is being drawn may be left
    assert text.count("saving after this step") + text.count("saved; leaving") == 1, text
    assert "dcgan: " not in text


@linux
@pytest.mark.slow
def test_what_torchrun_starts_again_goes_on(tmp_path: Path) -> None:
    """Several times: the addresses of one start must not be taken for those of the next."""
    with torchrun(tmp_path, "--max-restarts", "3") as process:
        for _ in range(3):
            before = reached(tmp_path)
            wait_for(lambda before=before: reached(tmp_path) > before)
            os.kill(ranks_of(process)[1], signal.SIGKILL)
        before = reached(tmp_path)
        wait_for(lambda: reached(tmp_path) > before)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    assert (tmp_path / "said").read_text().count("resuming at step") == 3
