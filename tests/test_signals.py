"""Signals while a run decodes, draws and writes: obeyed within seconds, nothing lost or left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from dataset_files import png, write_folder

from dcgan_cli.checkpoint.format import load
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.train import display as training_display
from dcgan_cli.cli.train import signals as listening_module
from dcgan_cli.cli.train.display import Display
from dcgan_cli.cli.train.signals import listening
from dcgan_cli.errors import Interrupted
from dcgan_cli.training.events import EpochDone, Finished, GridAnnounced, Length

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals of POSIX")

TINY = ("--preset", "small", "--size", "8", "--ngf", "2", "--ndf", "2", "--batch-size", "32")
LONG = 30.0
"""What takes this long must be cut short."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "GRACE", 0.1)


def slow(number: int | None = None) -> Any:
    """Something that takes LONG, and sends this process a signal as it begins."""

    def work(*_: Any) -> Any:
        if number is not None:
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            time.sleep(0.01)
        raise AssertionError("was not cut short")

    return work


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("steps", [8, 2])
def test_a_signal_while_drawing_makes_no_further_step(
    number: int, steps: int, tmp_path: Path
) -> None:
    """Four steps are an epoch: drawn after it (8) or at the end (2)."""
    with tiny.trainer(tmp_path) as trainer, listening(trainer):
        trainer.draw = slow(number)  # type: ignore[method-assign]
        began = time.monotonic()
        *told, end = trainer.run(Length(steps=steps))
        assert time.monotonic() - began < LONG / 2
        assert isinstance(end, Finished)
        assert (end.step, end.signal, end.images) == (min(steps, 4), number, None)
        assert all(event.images is None for event in told if isinstance(event, EpochDone))
        assert load(trainer.folder.last).progress["step"] == end.step
        assert load(trainer.folder.last).hash == end.checkpoint


def test_a_signal_before_the_film_and_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tiny.trainer(tmp_path) as trainer, listening(trainer):
        display = Display(Console(), trainer.folder, "small", False, trainer.draw_settings)
        end = display.follow(trainer.run(Length(steps=4)))
        monkeypatch.setattr(training_display, "encode_gif", slow(signal.SIGTERM))
        began = time.monotonic()
        verdict = display.finish(end, trainer)
        assert time.monotonic() - began < LONG / 2
        assert trainer.signal == signal.SIGTERM
    assert not (tmp_path / "samples.gif").exists()
    assert not list(tmp_path.rglob(".*.tmp"))
    assert verdict.startswith("stopped at step 4")


def test_a_quick_run_is_drawn_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is how many people end a run: its last samples and curves are there."""
    monkeypatch.setattr(listening_module, "GRACE", 30.0)
    with tiny.trainer(tmp_path) as trainer, listening(trainer):
        display = Display(
            Console(quiet=True), trainer.folder, "small", False, trainer.draw_settings
        )
        events = trainer.run(Length(steps=100))
        trainer.request_stop(signal.SIGINT)
        display.finish(display.follow(events), trainer)
    assert (tmp_path / "samples" / "last.png").exists()
    assert (tmp_path / "samples.gif").exists()


def test_the_grid_of_a_step_is_drawn_once_and_announced(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        drawn: list[int] = []
        draw = trainer.draw

        def count() -> Any:
            drawn.append(trainer.step)
            return draw()

        trainer.draw = count  # type: ignore[method-assign]
        trainer.grid_seconds = 100.0
        told = tiny.train(trainer, 4)
        assert drawn == [4]
        (announced,) = (event for event in told if isinstance(event, GridAnnounced))
        assert (announced.step, announced.seconds) == (4, 100.0)


@pytest.mark.parametrize(
    ("last", "each", "grid", "seconds"),
    [(2, 10, 100, 2 * 10 + 100), (4, 10, 100, 4 * 10 + 100), (9, 1, 100, 9 + 3 * 100)],
)
def test_drawing_counts_in_what_is_to_go(
    last: int, each: float, grid: float, seconds: float, tmp_path: Path
) -> None:
    with tiny.trainer(tmp_path) as trainer:
        trainer.grid_seconds = grid
        assert trainer._seconds_left(each, last, None) == pytest.approx(seconds)
        assert trainer._seconds_left(each, None, None) is None
        assert trainer._seconds_left(each, None, 5.0) == pytest.approx(300 + grid)


@pytest.mark.parametrize("last", [1, 4, 39, 40, 41, 100, 229])
def test_as_many_grids_are_counted_as_are_drawn(last: int, tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        trainer.draw = lambda: np.zeros((64, 16, 16, 1), np.uint8)  # type: ignore[method-assign]
        counted = trainer._grids_until(last)
        steps = {event.step for event in tiny.train(trainer, last) if isinstance(event, EpochDone)}
        assert counted == len(steps | {last})


@pytest.mark.parametrize("length", [Length(epochs=0), Length(steps=0), Length(minutes=0)])
def test_a_length_of_nothing_makes_no_step(length: Length, tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        (end,) = trainer.run(length)
        assert isinstance(end, Finished)
        assert end.step == 0
        assert trainer.folder.last.exists()


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As nohup asks for."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tiny.trainer(tmp_path) as trainer, listening(trainer):
            os.kill(os.getpid(), signal.SIGHUP)
            assert trainer.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_operation_that_does_not_end_is_left(tmp_path: Path) -> None:
    """A library that does not come back to Python: nothing can be raised there."""
    body = f"""
import os, signal, sys, threading, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
import tiny
from dcgan_cli.cli.train import signals as module
module.GRACE, module.PATIENCE = 0.1, 0.3
from dcgan_cli.training.events import Length
with tiny.trainer(Path({str(tmp_path / "run")!r})) as trainer, module.listening(trainer):
    def draw():
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while True:
            try:
                time.sleep({LONG})
            except BaseException:
                pass
    trainer.draw = draw
    list(trainer.run(Length(steps=4)))
"""
    done = subprocess.run(
        [sys.executable, "-c", body], timeout=60, capture_output=True, check=False
    )
    assert done.returncode == 143, done.stderr
    assert load(tmp_path / "run" / "last.pt").progress["step"] == 4


def dcgan(*arguments: str, cwd: Path, cache: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dcgan_cli", *arguments],
        cwd=cwd,
        env={**os.environ, "DCGAN_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until(what: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 90
    while not what():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_lost_connection_saves_and_the_run_goes_on(tmp_path: Path) -> None:
    process = dcgan(
        "train", "digits", *TINY, "--epochs", "100000", "--run", "r", cwd=tmp_path, cache=tmp_path
    )
    metrics = tmp_path / "checkpoints" / "r" / "metrics.jsonl"
    wait_until(metrics.exists, process)
    process.send_signal(signal.SIGHUP)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 129, errors.decode()
    assert out.decode() == "checkpoints/r/last.pt\n"
    assert "stopped at step " in errors.decode()
    assert load(tmp_path / "checkpoints" / "r" / "last.pt").progress["step"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_while_decoding_leaves_no_process_behind(number: int, tmp_path: Path) -> None:
    write_folder(tmp_path / "photos", {"0.png": png(size=700)})
    for i in range(1, 300):
        os.link(tmp_path / "photos" / "0.png", tmp_path / "photos" / f"{i}.png")
    process = dcgan(
        "train", "photos", *TINY, "--workers", "2", cwd=tmp_path, cache=tmp_path / "cache"
    )
    wait_until(lambda: list((tmp_path / "cache").rglob("*.tmp")), process)
    os.kill(process.pid, number)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    while True:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() - began < 5, "workers outlive their parent"
        time.sleep(0.02)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert errors.decode().splitlines()[-1] == "dcgan: interrupted"
        assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_interrupted_is_not_caught_by_accident() -> None:
    assert not issubclass(Interrupted, Exception)


def test_an_operation_outside_of_python_keeps_no_signal_waiting() -> None:
    """A signal is answered between two instructions of Python, and this is one that does not end."""
    body = """
import hashlib, os, signal, threading
from dcgan_cli.cli import boundary
boundary.PATIENCE = 0.3
boundary.ends_on_signals()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", body], timeout=30, capture_output=True, check=False
    )
    assert done.returncode == 143, done.stderr


def test_a_run_that_saves_its_state_is_given_the_time() -> None:
    """A process that handles the signal in another way is not ended from outside."""
    body = """
import os, signal, time
from dcgan_cli.cli import boundary
boundary.PATIENCE = 0.1
boundary.ends_on_signals()
heard = []
signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
os.kill(os.getpid(), signal.SIGTERM)
end = time.monotonic() + 1
while time.monotonic() < end:
    time.sleep(0.05)
print(heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", body], timeout=30, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"[15]\n"), done.stderr
