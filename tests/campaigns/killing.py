"""Kills: of a training run, of the building of a cache, of one rank of several.

A case is one kill. What was on the disk then must load, never go back, and come to the same end,
bit for bit, as a run that nobody killed.
"""

import os
import random
import signal
import time
from pathlib import Path

import dataset_files
import numpy as np
import test_kill
import test_torchrun
import tiny

from campaigns.running import READ, Kind, Unclean
from dcgan_cli.checkpoint.format import load
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source

STEPS = 14
"""The common end of killed runs: in their fourth epoch."""


def prepare_training(base: Path) -> None:
    """The run that nobody kills."""
    test_kill.live(base / "whole", STEPS)


def kill_training(stream: random.Random, base: Path, place: Path) -> str:
    """Kill a run at a random moment, or inside a save; then let it come to its end."""
    run = place / "killed"
    reached = 0
    for _ in range(stream.randint(0, 1) + 1):
        if stream.random() < 0.5:
            number = stream.randrange(1, 700)
            child = test_kill.fork(lambda number=number: _die_at_call(run, number))
        else:
            reader, writer = os.pipe()
            child = test_kill.fork(lambda writer=writer: _live_until_killed(run, writer))
            os.close(writer)
            os.read(reader, 1)
            os.close(reader)
            time.sleep(stream.uniform(0, 0.15))
            os.kill(child, signal.SIGKILL)
        code = test_kill.exit_code(child)
        if code not in (0, -signal.SIGKILL):
            raise Unclean(f"the run ended with {code} before it was killed")
        if (run / "last.pt").exists():
            step = load(run / "last.pt").progress["step"]
            if step < reached:
                raise Unclean(f"from step {reached} back to {step}")
            reached = step
    if test_kill.exit_code(test_kill.fork(lambda: test_kill.live(run, STEPS))):
        raise Unclean("what a kill left cannot be resumed")
    return _compare(run, base / "whole")


def _die_at_call(run: Path, number: int) -> None:
    from dcgan_cli import files
    from dcgan_cli.training import run_folder

    files.os = run_folder.os = test_kill.Deadly(number)  # type: ignore[assignment]
    test_kill.live(run, STEPS)


def _live_until_killed(run: Path, writer: int) -> None:
    test_kill.live(run, STEPS, lambda: test_kill.void(os.write(writer, b"!")))


def _compare(run: Path, whole: Path) -> str:
    if differences := tiny.differences(load(run / "last.pt"), load(whole / "last.pt")):
        raise Unclean(f"another end: {', '.join(differences[:3])}")
    if (run / "metrics.jsonl").read_bytes() != (whole / "metrics.jsonl").read_bytes():
        raise Unclean("other metrics")
    names = [sorted(file.name for file in place.glob("epoch-*.pt")) for place in (run, whole)]
    if names[0] != names[1]:
        raise Unclean(f"other checkpoints of epochs: {names[0]}")
    if left := list(run.rglob(".*.tmp")):
        raise Unclean(f"left behind: {left[0].name}")
    return READ


IMAGE_SPEC = ImageSpec(16, 3)
IMAGES = 600


def prepare_images(base: Path) -> None:
    """Images for three shards, and their cache as nobody interrupted it."""
    dataset_files.write_zip(
        base / "x.zip", {f"{n}.png": dataset_files.png(n, 24) for n in range(IMAGES)}
    )
    (base / "whole").mkdir()
    _build(base / "x.zip", base / "whole")


def _build(source: Path, cache: Path) -> None:
    os.environ["DCGAN_CACHE"] = str(cache)
    images = prepare(open_source(str(source)), IMAGE_SPEC, workers=0)
    np.save(cache / "taken.npy", images.take(np.arange(len(images))))
    images.close()


def kill_cache(stream: random.Random, base: Path, place: Path) -> str:
    """Kill the building of a cache, damage what it left or not, and build on."""
    child = test_kill.fork(lambda: _build(base / "x.zip", place))
    time.sleep(stream.uniform(0, 0.25))
    os.kill(child, signal.SIGKILL)
    test_kill.exit_code(child)
    files = sorted(place.rglob("shard-*"))
    if files and stream.random() < 0.3:
        victim = stream.choice(files)
        os.truncate(victim, stream.randrange(victim.stat().st_size + 1))
    if test_kill.exit_code(test_kill.fork(lambda: _build(base / "x.zip", place))):
        raise Unclean("what a kill left cannot be built on")
    if (place / "taken.npy").read_bytes() != (base / "whole" / "taken.npy").read_bytes():
        raise Unclean("other images")
    return READ


def prepare_nothing(_: Path) -> None:
    """Every case starts its own ranks."""


def kill_rank(stream: random.Random, base: Path, place: Path) -> str:
    """Kill one of two ranks: the job ends with one line and a state that loads."""
    with test_torchrun.torchrun(place) as process:
        test_torchrun.wait_for(lambda: test_torchrun.reached(place) > 0)
        time.sleep(stream.uniform(0, 0.5))
        os.kill(test_torchrun.ranks_of(process)[stream.randrange(2)], signal.SIGKILL)
        code = process.wait(100)
    text = (place / "said").read_text()
    if code != 1 or "internal error" in text:
        raise Unclean(f"exit code {code}: {text[-200:]}")
    if test_torchrun.reached(place) < 1:
        raise Unclean("no state is left")
    return READ


KINDS = (
    Kind("kill-train", "a training run", prepare_training, kill_training, 120, kills=True),
    Kind("kill-cache", "the building of a cache", prepare_images, kill_cache, 60, kills=True),
    Kind("kill-rank", "one of two ranks", prepare_nothing, kill_rank, 300, kills=True),
)
