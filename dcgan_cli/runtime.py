"""What the work runs on: device, threads and every source of randomness."""

import os
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.choices import DEVICES
from dcgan_cli.cores import allowed_cores, busy_cores, free_threads
from dcgan_cli.errors import UsageError
from dcgan_cli.wording import counted


def choose_device(name: str = "auto", local_rank: int | None = None) -> torch.device:
    """The device that `name` means: `auto` takes CUDA, then Apple's MPS, then the CPU.

    `cuda:1` and the like are passed on. Of several processes that train together, each takes the
    CUDA device of its `local_rank` on this machine. Raises UsageError where this machine has no
    such device.

    Example: `device = choose_device("auto")`.
    """
    if local_rank is not None:
        name = _own_device(name, local_rank)
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    kind = name.split(":")[0]
    if kind not in available:
        raise UsageError(f"--device {name}: unknown device; expected one of {', '.join(DEVICES)}")
    if not available[kind]:
        raise UsageError(f"--device {name}: this machine has no {kind} device; try --device auto")
    device = torch.device(name)
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"--device {name}: this machine has {counted(count, 'CUDA device')}, counted from 0"
        )
    return device


def _own_device(name: str, local_rank: int) -> str:
    """The device of one of several processes: cpu, or the CUDA device of its own number."""
    if name not in ("auto", "cuda", "cpu"):
        raise UsageError(
            f"--device {name}: several processes share no device; expected auto, cuda or cpu, "
            "and each takes the CUDA device of its own number"
        )
    count = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and count == 0):
        return "cpu"
    if local_rank >= count > 0:
        raise UsageError(
            f"--device {name}: {local_rank + 1} or more processes on a machine of {count} CUDA "
            f"devices; type --nproc-per-node {count}, or --device cpu"
        )
    return f"cuda:{local_rank}"


def pinned(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """`array` as a tensor on the CPU, in pinned memory if `device` is a GPU."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def send(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """`array` as a tensor on `device`. Copying to a GPU is asynchronous.

    PyTorch keeps the pinned memory until the copy is done. On the CPU, memory is shared.
    """
    return pinned(array, device).to(device, non_blocking=True)


def use_threads(count: int | None, processes: int = 1, *, leave_busy_cores: bool = False) -> int:
    """Set the number of PyTorch's CPU threads and return it; None takes as many as are allowed.

    Cores are divided among `processes` that work side by side on this machine. More threads than
    cores make OpenMP programs many times slower. With `leave_busy_cores`, a single process leaves other
    programs the cores that they keep busy. The number, and with it the last bits of the result,
    then depends on the current load, so a caller that needs to reproduce the result must store it.
    """
    if count is None and "OMP_NUM_THREADS" not in os.environ:
        count = max(1, min(allowed_cores(), torch.get_num_threads()) // processes)
        if leave_busy_cores and processes == 1:
            count = min(count, free_threads(allowed_cores(), busy_cores()))
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def _entropy(seed: int, purpose: str, counters: tuple[int, ...]) -> list[int]:
    return [seed, zlib.crc32(purpose.encode()), *counters]


def numpy_stream(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """The random stream of `seed` for one purpose and position, such as `("order", epoch)`.

    Streams are addressed, not consumed: the same address gives the same numbers, whatever was drawn
    before. That makes resuming exact, and sample i of a seed independent of the batch size.

    Example: `numpy_stream(0, "order", epoch).permutation(count)`.
    """
    return np.random.default_rng(_entropy(seed, purpose, counters))


def torch_stream(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """As `numpy_stream`, for PyTorch on the CPU."""
    state = np.random.SeedSequence(_entropy(seed, purpose, counters)).generate_state(2)
    generator = torch.Generator()
    generator.manual_seed(int(state[0]) << 31 ^ int(state[1]))
    return generator
