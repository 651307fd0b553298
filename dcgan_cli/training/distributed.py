"""Data-parallel training in several processes: each takes its share of every batch.

The processes are started by torchrun, or by anything else that sets RANK, WORLD_SIZE, MASTER_ADDR
and MASTER_PORT. They run the same code in lockstep: every collective operation here must be called
by all of them, in the same order. In a `ProcessGroup` of one, each of these operations does
nothing, so that the training code need not distinguish the cases.

Decisions are exchanged by gloo over TCP, GPU tensors by nccl. A process that ends, for whatever
reason, closes its connections, and every process that waits for it fails at once.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.layers import tensors_of

PREPARATION_TIMEOUT = timedelta(days=2)
"""How long ranks wait for a rank that is still decoding its images."""

TIMEOUT = timedelta(minutes=5)
"""How long ranks wait, in training, for a rank that is alive and does not answer: rank 0 may be
writing to a slow disk."""

T = TypeVar("T")


class ProcessGroup:
    """The processes of a run, as one of them sees them. This class is a single process.

    Attributes:
        rank: number of this process, from 0; only rank 0 writes files and messages.
        size: the number of processes.
        local_rank: number of this process on its machine; None in a single process.
        local_size: the number of processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int | None = None
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """The rows of a batch that belong to this rank; all ranks have the same number.

        Raises UsageError if the batch cannot be divided evenly.
        """
        return slice(0, batch_size)

    def agree(self, *numbers: int) -> tuple[int, ...]:
        """The maximum of each of `numbers` over the ranks: what one rank wants, all do."""
        return numbers

    def broadcast_from_main(self, make: Callable[[], T]) -> T:
        """The result of `make()` on rank 0, on every rank; the others do not call it."""
        return make()

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of `tensor` over the ranks; differentiable, any number of times."""
        return tensor

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients of `network` by their mean over the ranks."""

    def broadcast_tensors(self, network: nn.Module) -> None:
        """Give every rank the weights of rank 0: other CPUs may round the initial ones differently."""

    def begin(self, device: torch.device) -> None:
        """Wait until every rank has its images, then set up communication on `device`."""

    @contextmanager
    def working(self) -> Generator[None]:
        """Encloses all collective work: errors name the rank, and no rank leaves before the others.

        No collective operation may follow.
        """
        yield


class TorchProcessGroup(ProcessGroup):
    """One of several processes. Every method raises DcganError if another process is lost."""

    def __init__(self) -> None:
        self.rank = int(os.environ["RANK"])
        self.size = int(os.environ["WORLD_SIZE"])
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        with self._connection_errors():
            store, _, _ = next(rendezvous("env://", timeout=PREPARATION_TIMEOUT))
            if self.local_size == self.size:
                # On one machine torchrun keeps the store when it restarts its processes: without a
                # prefix a process would sometimes wait for an address of the previous start.
                store = PrefixStore(f"start {_restart_count()}", store)
            place: dict[str, Any] = {"store": store, "rank": self.rank, "world_size": self.size}
            dist.init_process_group("gloo", timeout=PREPARATION_TIMEOUT, **place)
        self._gloo_group: dist.ProcessGroup | None = None  # None is the default group, made above
        self._tensor_group: dist.ProcessGroup | None = None

    def begin(self, device: torch.device) -> None:
        """As ProcessGroup.begin."""
        self.agree(0)
        with self._connection_errors():
            self._gloo_group = self._tensor_group = _new_group("gloo")
            if device.type == "cuda":
                torch.cuda.set_device(device)
                self._tensor_group = _new_group("nccl")

    def share(self, batch_size: int) -> slice:
        """As ProcessGroup.share."""
        each, left = divmod(batch_size, self.size)
        if left or not each:
            below, above = max(each, 1) * self.size, (each + 1) * self.size
            nearest = f"{below} or {above}" if below < above else str(above)
            raise UsageError(
                f"--batch-size {batch_size}: a batch is shared out evenly among {self.size} "
                f"processes; type {nearest}"
            )
        return slice(self.rank * each, (self.rank + 1) * each)

    def agree(self, *numbers: int) -> tuple[int, ...]:
        """As ProcessGroup.agree."""
        votes = torch.tensor(numbers, dtype=torch.int64)
        with self._connection_errors():
            dist.all_reduce(votes, dist.ReduceOp.MAX, group=self._gloo_group)
        return tuple(votes.tolist())

    def broadcast_from_main(self, make: Callable[[], T]) -> T:
        """As ProcessGroup.broadcast_from_main."""
        payload = [make() if self.is_main else None]
        with self._connection_errors():
            dist.broadcast_object_list(payload, 0, group=self._gloo_group)
        return cast(T, payload[0])

    def mean(self, tensor: Tensor) -> Tensor:
        """As ProcessGroup.mean."""
        return cast(Tensor, _Mean.apply(tensor, self))

    @torch.no_grad()
    def average_gradients(self, network: nn.Module) -> None:
        """As ProcessGroup.average_gradients."""
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        whole = self.sum_(torch.cat([gradient.flatten() for gradient in gradients])) / self.size
        pieces = whole.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    @torch.no_grad()
    def broadcast_tensors(self, network: nn.Module) -> None:
        """As ProcessGroup.broadcast_tensors."""
        with self._connection_errors():
            for tensor in tensors_of(network):
                dist.broadcast(tensor, 0, group=self._tensor_group)

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum the contiguous `tensor` over the ranks, in place; all get the same bits."""
        with self._connection_errors():
            dist.all_reduce(tensor, group=self._tensor_group)
        return tensor

    @contextmanager
    def working(self) -> Generator[None]:
        """As ProcessGroup.working."""
        done = False
        try:
            yield
            self.agree(0)
            done = True
        except DcganError as error:
            raise type(error)(f"rank {self.rank} of {self.size}: {error}") from error
        except MemoryError:
            raise  # has an error message of its own
        except Exception as error:
            text = f"rank {self.rank} of {self.size}: {type(error).__name__}: {error}"
            raise RuntimeError(text) from error
        finally:
            # nccl would wait forever for a lost process
            if done or self._tensor_group is self._gloo_group:
                # No reference to a group may remain: a thread of gloo that lived on could free a
                # tensor while the interpreter shuts down, which aborts the process (pytorch#179291).
                self._gloo_group = self._tensor_group = None
                dist.destroy_process_group()

    @contextmanager
    def _connection_errors(self) -> Generator[None]:
        """Turn PyTorch's connection errors into one DcganError."""
        try:
            yield
        except RuntimeError as error:
            raise DcganError(
                "another process of this run was killed, failed or does not answer; the run can "
                "go on from last.pt with --resume"
            ) from error


class _Mean(torch.autograd.Function):
    """The mean over ranks, which is its own adjoint: backward is the same operation."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, tensor: Tensor, ranks: TorchProcessGroup
    ) -> Tensor:
        ctx.ranks = ranks  # type: ignore[attr-defined]
        whole = tensor.detach().clone(memory_format=torch.contiguous_format)
        return ranks.sum_(whole) / ranks.size

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, None]:
        ranks: TorchProcessGroup = ctx.ranks  # type: ignore[attr-defined]
        return ranks.mean(gradients[0]), None


def _new_group(backend: str) -> "dist.ProcessGroup":
    """Another group of all ranks, with TIMEOUT as its timeout."""
    return cast(dist.ProcessGroup, dist.new_group(backend=backend, timeout=TIMEOUT))


def join() -> ProcessGroup:
    """The process group that the environment describes; a single process if it describes none."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    several = all(name in os.environ for name in needed) and int(os.environ["WORLD_SIZE"]) > 1
    return TorchProcessGroup() if several else ProcessGroup()


def was_restarted() -> bool:
    """Whether torchrun started this process to replace one that failed (--max-restarts)."""
    return _restart_count() > 0


def _restart_count() -> int:
    """How often torchrun has restarted the processes of this machine."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
