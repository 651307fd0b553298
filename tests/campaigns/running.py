"""Running cases in forked children, each with a limit of time and of memory.

Importing PyTorch takes seconds, so one warm parent forks a child that works through the cases of a
kind, one after the other, and says before each which it is. Where the child dies or is late, the
case is known, and a new child goes on with the next one.
"""

import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

SECONDS = 5.0
"""A case that takes longer hangs. Cases take milliseconds; a busy machine makes them slower."""

MEMORY = 1 << 30
"""Bytes above what the child had before its first case; every file of a case is below one MiB."""

ADDRESS_SPACE = 12 << 30
"""Bytes above that: what a child can ask for at all, so that a failure does not take the machine."""

READ, REFUSED = "read", "refused"

FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile",
    "subprocess.Popen", "socket.connect", "pty.spawn", "urllib.Request", "builtins.input",
)  # fmt: skip
"""Python's audit events that no file may cause."""


class Unclean(Exception):  # noqa: N818 - a verdict
    """What a case must not do, in a few words."""


Case = Callable[[random.Random, Path], str]
"""Makes one damaged file in a folder and reads it: READ, REFUSED, or raises."""


@dataclass(frozen=True)
class Kind:
    """One kind of damaged file.

    `prepare` writes what all cases begin with into a folder that they only read; each case gets a
    stream of random numbers of its own, and a folder of its own that already has what was prepared
    named by `base`.
    """

    name: str
    about: str
    prepare: Callable[[Path], None]
    case: Callable[[random.Random, Path, Path], str]
    seconds: float = SECONDS
    share: int = 1
    """Of --mutants, one in so many: for cases that train."""
    kills: bool = False


@dataclass
class Result:
    """How the cases of a kind ended; `unclean` has the seed of each that did not end well."""

    name: str
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    unclean: dict[int, str] = field(default_factory=dict[int, str])
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.name,
            "cases": self.cases,
            "clean": self.cases - len(self.unclean),
            "read": self.outcomes[READ],
            "refused": self.outcomes[REFUSED],
            "unclean": {str(seed): what for seed, what in self.unclean.items()},
            "duration_s": round(self.seconds, 1),
        }


def run_kind(kind: Kind, count: int, seed: int) -> Result:
    """Run the cases `seed`, `seed` + 1 … of `kind`, `count` of them."""
    result = Result(kind.name, count)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
        base = Path(folder) / "base"
        base.mkdir()
        if (failure := _prepare(kind, base)) is not None:
            raise RuntimeError(f"{kind.name}: what its cases begin with was not made: {failure}")
        following = seed
        while following < seed + count:
            following = _run_child(kind, base, Path(folder), range(following, seed + count), result)
    result.seconds = time.monotonic() - began
    return result


def _prepare(kind: Kind, base: Path) -> str | None:
    """In a child of its own: threads that it starts would not survive the later forks."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            kind.prepare(base)
        except BaseException as error:  # noqa: BLE001  # told to the parent
            os.write(writer, repr(error).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return text or (f"exit code {code}" if code else None)


def _run_child(kind: Kind, base: Path, folder: Path, seeds: range, result: Result) -> int:
    """Let one child work through `seeds`; returns the first seed that it has not begun."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        os.close(reader)
        with os.fdopen(writer, "w", buffering=1) as told:
            _work(kind, base, folder, seeds, told)
        os._exit(0)
    os.close(writer)
    current, rest = seeds.start - 1, b""
    deadline = time.monotonic() + kind.seconds + 5
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([reader], [], [], left)[0]:
                os.kill(child, signal.SIGKILL)
                result.unclean[current] = f"no end after {kind.seconds:g} s"
                break
            data = os.read(reader, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                word, _, text = line.decode("utf-8", "replace").partition(" ")
                if word == "begin":
                    current = int(text)
                    deadline = time.monotonic() + kind.seconds
                elif word == "unclean":
                    result.unclean[current] = text
                else:
                    result.outcomes[word] += 1
    finally:
        os.close(reader)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    current = max(current, seeds.start)  # a child that began nothing must not be tried for ever
    if code and current not in result.unclean:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        result.unclean[current] = f"the process died ({name})"
    return current + 1


def _work(kind: Kind, base: Path, folder: Path, seeds: range, told: IO[str]) -> None:
    forbidden: list[str] = []
    watching = not kind.kills
    if watching:
        sys.addaudithook(lambda event, _: forbidden.append(event) if event in FORBIDDEN else None)
        used = _memory("VmSize")
        resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = _memory("VmRSS")
    for seed in seeds:
        told.write(f"begin {seed}\n")
        forbidden.clear()
        with tempfile.TemporaryDirectory(dir=folder) as place:
            outcome = _outcome(kind, base, Path(place), seed)
        peak = _memory("VmHWM") - before
        if forbidden:
            outcome = f"unclean it caused {forbidden[0]}"
        elif watching and peak > MEMORY:
            outcome = f"unclean it took {peak / 2**20:,.0f} MiB"
        told.write(outcome.replace("\n", " ")[:600] + "\n")
        if watching and peak > MEMORY:
            return  # the mark is high from now on: another child goes on


def _outcome(kind: Kind, base: Path, place: Path, seed: int) -> str:
    from dcgan_cli.errors import DcganError

    # a string seeds it alike in every process and version
    stream = random.Random(f"{kind.name} {seed}")
    try:
        return kind.case(stream, base, place)
    except DcganError as error:
        text = str(error)
        if "\n" in text or not text or len(text) > 2000:
            return f"unclean an error that is not one line: {text[:300]!r}"
        return REFUSED
    except Unclean as error:
        return f"unclean {error}"
    except BaseException as error:  # noqa: BLE001  # the verdict
        return f"unclean {type(error).__name__}: {error}"


def _memory(name: str) -> int:
    """Bytes of this process by /proc; 0 where there is no such thing."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name)), 0)
