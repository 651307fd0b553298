"""How busy the CPU's cores are, and what OpenMP is told about it. Imports no torch, which reads it."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path
from statistics import median_low

_SAMPLES, _PAUSE = 5, 0.005
"""Looks at the system and seconds between them: programs come and go within milliseconds."""


def allowed_cores() -> int:
    """Cores that this process may use; `taskset` or a container may grant fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def busy_cores(stat: Path = Path("/proc/stat")) -> int:
    """Cores of this process's share that other programs keep busy now, in [0, allowed_cores()].

    The median of a few looks at how many threads of the whole system are running. Systems that do
    not say (all but Linux) count as idle.
    """
    seen = [_running(stat)]
    while seen[-1] is not None and len(seen) < _SAMPLES:
        time.sleep(_PAUSE)
        seen.append(_running(stat))
    if None in seen:
        return 0
    others = median_low(count for count in seen if count is not None) - 1
    elsewhere = (os.cpu_count() or 1) - allowed_cores()
    return min(max(0, others - elsewhere), allowed_cores())


def free_threads(allowed: int, busy: int) -> int:
    """Threads that finish a step soonest where `busy` of `allowed` cores are taken.

    Every parallel region waits for its slowest thread, so a thread without a core of its own holds
    the others up. Where no core is free there is nothing to gain by having fewer threads: each gets
    its share of time.
    """
    return allowed - busy if busy < allowed else allowed


def calm_openmp(environment: MutableMapping[str, str] = os.environ) -> None:
    """On a busy machine, tell OpenMP's threads to sleep while they wait. Call before importing torch.

    By default they spin, which takes the core from the very thread they wait for: beside one busy
    program two threads on two cores take five times as long. On an idle machine spinning saves a
    quarter, so there nothing is changed. What a person has set in the environment stays.
    """
    theirs = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & environment.keys()
    if not theirs and busy_cores():
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
        environment["GOMP_SPINCOUNT"] = "0"


def _running(stat: Path) -> int | None:
    """Threads of the whole system that run or wait for a core; None where the system does not say."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("procs_running")), None)
