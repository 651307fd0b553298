"""kill -9 at any instant: what is on the disk always loads, and goes on to the same end.

A killed process needs a process. Importing PyTorch takes seconds, so one warm parent (this file,
run as a script) forks a child for every life; a child trains tiny networks and saves all the time.
"""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from dcgan_cli import files
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.errors import StorageError
from dcgan_cli.training import events, run_folder
from dcgan_cli.training.events import Length
from dcgan_cli.training.run_folder import RunFolder
from dcgan_cli.training.trainer import FIRST_EPOCHS, SHORT_EPOCH_STEPS

KILLS = 22
LONGEST_LIFE = 0.12

STEPS_PER_EPOCH = 4

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def live(path: Path, steps: int | None, born: Callable[[], None] = lambda: None) -> None:
    """Train on to step `steps`, or for ever and saving after every step; epochs have four steps."""
    events.REPORT_SECONDS = 0.0
    minutes = 0.0 if steps is None else 10.0
    with tiny.trainer(path, ema=0.9, keep=None, save_minutes=minutes) as trainer:
        if trainer.folder.last.exists():
            trainer.restore(load(trainer.folder.last))
        born()
        for _ in trainer.run(Length(steps=steps)):
            pass


def fork(work: Callable[[], None]) -> int:
    """The process id of a child that does `work` and leaves; 1 where it fails."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  # said, and told by the exit code
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at_random_moments(path: Path, stream: random.Random) -> dict[str, Any]:
    """Let KILLS children live for a while each, on what the one before has left."""
    reached: list[int] = []
    for _ in range(KILLS):
        reader, writer = os.pipe()
        child = fork(lambda: live(path, None, lambda: void(os.write(writer, b"!"))))  # noqa: B023
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        time.sleep(stream.uniform(0, LONGEST_LIFE))
        os.kill(child, signal.SIGKILL)
        assert exit_code(child) == -signal.SIGKILL
        if (path / "last.pt").exists():  # the first may have been killed before it was written
            reached.append(load(path / "last.pt").progress["step"])
        for epoch in sorted(path.glob("epoch-*.pt"))[-1:]:
            load(epoch)
    return {"reached": reached}


class Deadly:
    """The module `os`, in which call `number` of write, fsync or replace is the last thing done."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in ("write", "fsync", "replace"):
            return real

        def call(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if name == "write":  # torn in the middle
                    os.write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        return call


def kill_at_every_place(path: Path, numbers: Sequence[int]) -> dict[str, Any]:
    """Kill inside one save after another, at the first call, a later one, and so on."""
    reached: list[int] = []

    def life(number: int) -> None:
        files.os = run_folder.os = Deadly(number)  # type: ignore[assignment]
        live(path, None)

    for number in numbers:
        assert exit_code(fork(lambda: life(number))) == -signal.SIGKILL  # noqa: B023
        if (path / "last.pt").exists():
            reached.append(load(path / "last.pt").progress["step"])
    return {"reached": reached}


def void(_: object) -> None:
    pass


def warm_up(path: Path) -> None:
    """Have all that PyTorch imports late imported before the forks; without a backward pass,
    whose threads would not survive them.
    """
    with tiny.trainer(path, ema=0.9) as trainer:
        for optimizer in (trainer.updater.g_optimizer, trainer.updater.d_optimizer):
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
        save(trainer.folder.last, trainer.checkpoint())
        trainer.restore(load(trainer.folder.last))
        trainer.draw()


def main(kind: str, path: Path) -> None:
    """Kill, let the last one live to a common end, and compare with a run that nobody killed."""
    warm_up(path / "warm")
    killed, whole = path / "killed", path / "whole"
    if kind == "random":
        report = kill_at_random_moments(killed, random.Random(2))
    else:
        report = kill_at_every_place(killed, range(1, 1 + 41 * KILLS, 41))
    steps = report["reached"][-1] + 6
    for place in (killed, whole):
        assert exit_code(fork(lambda: live(place, steps))) == 0  # noqa: B023
    report |= {
        "differences": tiny.differences(load(killed / "last.pt"), load(whole / "last.pt")),
        "metrics": (killed / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text(),
        "epochs": [sorted(f.name for f in p.glob("epoch-*")) for p in (killed, whole)],
        "left": [file.name for file in killed.glob(".*.tmp")],
        "steps": steps,
        "kills": KILLS,
    }
    print(json.dumps(report))


def drive(kind: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, kind, str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "places"])
def test_a_killed_run_loads_and_goes_on_to_the_same_end(kind: str, tmp_path: Path) -> None:
    report = drive(kind, tmp_path)
    assert report["kills"] >= 20
    assert len(report["reached"]) > 10  # the first were killed before there was anything
    assert report["reached"] == sorted(report["reached"])  # never back
    assert report["differences"] == []
    assert report["metrics"]
    killed, whole = report["epochs"]
    assert killed == whole
    together = math.ceil(SHORT_EPOCH_STEPS / STEPS_PER_EPOCH)
    ended = range(1, report["steps"] // STEPS_PER_EPOCH + 1)
    kept = [n for n in ended if n <= FIRST_EPOCHS or n % together == 0]
    assert killed == [f"epoch-{n:04}.pt" for n in kept]
    assert report["left"] == []


HOLD = """
import sys
from pathlib import Path
from dcgan_cli.training.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_run_is_refused_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=r"being written by another .* --run NAME") as raised:
            RunFolder(tmp_path)
        assert "\n" not in str(raised.value)
        other.kill()
        other.wait()
        with RunFolder(tmp_path) as folder:
            assert folder.path == tmp_path


def test_a_folder_is_free_again_after_its_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path), pytest.raises(StorageError, match="another dcgan train"):
        RunFolder(tmp_path)
    with RunFolder(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path):
        _ = 1 // len("")
    with RunFolder(tmp_path):
        pass


def test_what_a_killed_save_left_behind_is_cleared(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write("last.pt", b"state")
        folder.write("samples/epoch-0001.png", b"grid")
    orphans = [
        tmp_path / ".run.json.5.tmp",
        tmp_path / ".last.pt.123.tmp",
        tmp_path / ".last.pt.123-1.tmp",
        tmp_path / "samples" / ".epoch-0001.png.123.tmp",
    ]
    others = [
        tmp_path / name
        for name in (
            ".notes.tmp",
            "notes.tmp",
            ".notes.123.tmp",
            ".last.pt.tmp",
            "samples/.a.1.tmp",
        )
    ]
    for file in (*orphans, *others):
        file.write_bytes(b"half")
    with RunFolder(tmp_path):
        assert not any(orphan.exists() for orphan in orphans)
        assert all(other.exists() for other in others)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
