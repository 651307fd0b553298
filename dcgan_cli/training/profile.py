"""A profile of training steps: where the time goes."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, record_function
from torch.utils.flop_counter import FlopCounterMode

from dcgan_cli.matmul import matmul_nt
from dcgan_cli.report import Report, Table
from dcgan_cli.training import recording
from dcgan_cli.training.precision import precision_name
from dcgan_cli.training.trainer import Trainer

WARM_UP, STEPS = recording.WARM_UP, 10

SLOWEST = 12
"""How many of the slowest operations are listed, told apart by their input shapes."""

MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
"""Side of the square matrices whose product measures the peak speed of the machine."""

_BATCH = "batch"

_OWN_CONVOLUTIONS = {
    "_ConvFunction": "convolution",
    "_ConvTransposeFunction": "convolution",
    "_ConvFunctionBackward": "convolution, backward",
    "_ConvTransposeFunctionBackward": "convolution, backward",
}
"""Category of everything that our own convolutions call: copies and matrix products."""

_KINDS = (
    ("convolution, backward", ("convolution_backward", "mkldnn_convolution_backward")),
    ("convolution", ("conv", "linear", "addmm", "aten::mm", "bmm")),
    ("batch norm, backward", ("batch_norm_backward", "layer_norm_backward")),
    ("batch norm", ("batch_norm", "layer_norm")),
    ("activations", ("relu", "tanh", "sigmoid", "threshold", "softplus")),
    ("optimizer", ("adam", "rmsprop")),
    ("copies and casts", ("copy_", "_to_copy", "aten::to", "clone", "contiguous", "memcpy")),
    ("talk between processes", ("gloo", "nccl", "c10d", "all_reduce", "allreduce", "broadcast")),
)
"""Categories, and parts of the names of their operations in small letters; the first match counts."""


def profile_steps(trainer: Trainer, steps: int = STEPS) -> Report:
    """Make `steps` steps of `trainer` and report where their time goes; nothing is saved.

    Values, of rank 0: wall-clock milliseconds a step; images per second; the floating-point
    operations that the convolutions and matrix products of a step need, and how many a second were
    made, beside a large matrix product of the same precision on the same device, timed just after.
    On a GPU the shares are of GPU time, in steps that are not recorded, because a recorded graph
    cannot be broken down.
    """
    device = trainer.settings.device
    with FlopCounterMode(display=False) as counter:
        _step(trainer)
    for _ in range(WARM_UP):
        _step(trainer)
    seconds = _timed(device, lambda: [_step(trainer) for _ in range(steps)]) / steps
    fault = None if trainer.updater.recorded is None else trainer.updater.recorded.fault
    trainer.updater.recorded = None
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        _step(trainer)  # the memory of the recording is gone: allocate it before the profile
        activities.append(ProfilerActivity.CUDA)
    with (
        _stderr_silenced(),
        torch.profiler.profile(activities=activities, record_shapes=True) as profiler,
    ):
        profiled = _timed(device, lambda: [_step(trainer) for _ in range(steps)]) / steps
    kinds = _by_kind(_operations(profiler.events() or ()), device, steps)
    known = sum(spent for spent, _ in kinds.values())
    if profiled > known:
        kinds["Python and waiting"] = profiled - known, 0.0
    operations = counter.get_total_flops()
    rate, possible = operations / seconds, _matrix_rate(device, trainer.settings.precision)
    images = trainer.settings.d_steps * trainer.recipe.batch_size
    facts: dict[str, Any] = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "precision": precision_name(trainer.settings.precision),
        "steps": steps,
        "milliseconds_per_step": 1000 * seconds,
        "images_per_second": images / seconds,
        "gigaflop_per_step": operations / 1e9,
        "gigaflop_per_second": rate / 1e9,
        "matrix_product_gigaflop_per_second": possible / 1e9,
        "share_of_matrix_product": rate / possible,
    }
    verdict = (
        f"{1000 * seconds:,.1f} ms a step, so 1,000 steps take {1000 * seconds / 60:,.1f} minutes; "
        f"{images / seconds:,.0f} images/s, "
        f"{operations / 1e9:,.1f} GFLOP a step at {rate / 1e9:,.0f} GFLOP/s: "
        f"{rate / possible:.0%} of what a large matrix product reaches here "
        f"({possible / 1e9:,.0f} GFLOP/s)"
    )
    notes = () if fault is None else (recording.recording_failed_message(fault),)
    slowest = _operations(profiler.key_averages(True))
    tables = (_kinds_table(kinds), _slowest_table(slowest, device, steps))
    return Report("Profile", facts, tables=tables, notes=notes, verdict=verdict)


def _step(trainer: Trainer) -> Tensor:
    def batch(j: int) -> Tensor:
        with record_function(_BATCH):
            return trainer.batch(j)

    metrics = trainer.updater.step(trainer.step, trainer.attempt, batch)
    trainer.step += 1
    return metrics


@contextmanager
def _stderr_silenced() -> Generator[None]:
    """Redirect file descriptor 2, on which PyTorch's profiler logs unasked."""
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


def _timed(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds of `work`, until the device has finished it."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _operations(events: Iterable[Any]) -> list[Any]:
    """The CPU-side `events`; the GPU kernels that they launch are listed separately."""
    return [event for event in events if event.device_type.name == "CPU"]


def _by_kind(
    events: Iterable[FunctionEvent], device: torch.device, steps: int
) -> dict[str, tuple[float, float]]:
    """Seconds and calls a step of every category, the longest first."""
    seconds, calls = defaultdict[str, float](float), defaultdict[str, int](int)
    for event in events:
        kind = _kind(event)
        seconds[kind] += _own_time(event, device)
        calls[kind] += event.cpu_parent is None or _kind(event.cpu_parent) != kind
    order = sorted(seconds, key=lambda kind: -seconds[kind])
    return {kind: (seconds[kind] / steps, calls[kind] / steps) for kind in order}


def _kind(event: FunctionEvent) -> str:
    """The category of an operation: its own or, if it has none, that of its caller."""
    parent: FunctionEvent | None = event
    own = None
    while parent is not None:
        if parent.name == _BATCH:
            return _BATCH
        if parent.name in _OWN_CONVOLUTIONS:
            return _OWN_CONVOLUTIONS[parent.name]
        name = parent.name.lower()
        found = (kind for kind, parts in _KINDS if any(part in name for part in parts))
        own = own or next(found, None)
        parent = parent.cpu_parent
    return own or "everything else"


def _own_time(event: Any, device: torch.device) -> float:
    """Seconds that an operation took itself, without the operations it called."""
    gpu = device.type == "cuda"
    return (event.self_device_time_total if gpu else event.self_cpu_time_total) / 1e6


def _kinds_table(kinds: dict[str, tuple[float, float]]) -> Table:
    total = sum(seconds for seconds, _ in kinds.values())
    keys = ("work", "milliseconds", "share", "calls")
    rows = [
        (kind, round(1000 * seconds, 2), round(seconds / total, 3), round(calls, 1))
        for kind, (seconds, calls) in kinds.items()
        if seconds >= 0.0005 * total
    ]
    return Table("Where a step's time goes", ("work", "ms", "share", "calls"), rows, "work", keys)


def _slowest_table(events: Iterable[Any], device: torch.device, steps: int) -> Table:
    """The operations that take the longest, told apart by their input shapes."""
    slowest = sorted(events, key=lambda event: -_own_time(event, device))[:SLOWEST]
    rows = [
        (
            event.key.removeprefix("aten::"),
            " ".join("×".join(map(str, shape)) for shape in event.input_shapes[:2] if shape),
            round(1000 * _own_time(event, device) / steps, 2),
            round(event.count / steps, 1),
        )
        for event in slowest
    ]
    columns = ("operation", "first inputs", "ms", "calls")
    keys = ("operation", "first_inputs", "milliseconds", "calls")
    return Table("Longest operations", columns, rows, "longest_operations", keys)


def _matrix_rate(device: torch.device, precision: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product, the best of six."""
    side = MATRIX_SIDE.get(device.type, MATRIX_SIDE["cpu"])
    ones = torch.ones(side, side, dtype=precision, device=device)
    return 2 * side**3 / min(_timed(device, lambda: matmul_nt(ones, ones)) for _ in range(6))
