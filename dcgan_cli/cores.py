"""How busy the CPU cores are, and the OpenMP settings that follow from it. Must not import torch."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path
from statistics import median_low

_SAMPLES, _PAUSE = 5, 0.005
"""How often the system is sampled, and the seconds between: programs come and go within
milliseconds."""


def allowed_cores() -> int:
    """Cores that this process may use; `taskset` or a container may allow fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def busy_cores(stat: Path = Path("/proc/stat")) -> int:
    """Cores of this process's share that other programs keep busy now, in [0, allowed_cores()].

    The median of a few samples of how many threads are running on the whole system. Only Linux
    reports that number; every other system counts as idle.
    """
    samples = [_running(stat)]
    while samples[-1] is not None and len(samples) < _SAMPLES:
        time.sleep(_PAUSE)
        samples.append(_running(stat))
    if None in samples:
        return 0
    others = median_low(count for count in samples if count is not None) - 1
    elsewhere = (os.cpu_count() or 1) - allowed_cores()
    return min(max(0, others - elsewhere), allowed_cores())


def free_threads(allowed: int, busy: int) -> int:
    """The number of threads that finishes a step soonest while `busy` of `allowed` cores are taken.

    Every parallel region waits for its slowest thread, so a thread without a core of its own delays
    the others. Where no core is free, half as many threads as cores get more done than one for each:
    measured on two cores, 0.41 of the idle speed instead of 0.24.
    """
    return allowed - busy if busy < allowed else max(1, allowed // 2)


def configure_openmp(environment: MutableMapping[str, str] = os.environ) -> None:
    """On a busy machine, make OpenMP's threads sleep while they wait. Call before importing torch.

    By default they spin, and so take CPU time from the thread they wait for: beside one busy
    program, two threads on two cores take five times as long. On an idle machine spinning saves a
    quarter of the time, so nothing is changed there. Variables that the user has set are kept.
    """
    set_by_user = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & environment.keys()
    if not set_by_user and busy_cores():
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
        environment["GOMP_SPINCOUNT"] = "0"


def _running(stat: Path) -> int | None:
    """Threads of the whole system that run or wait for a core; None where that is not reported."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("procs_running")), None)
