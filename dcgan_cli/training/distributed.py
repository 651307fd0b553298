"""Several processes that train one model: each takes its share of every batch.

The processes are started by torchrun, or by whatever else sets RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT. They follow the same code in lockstep: what is summed, agreed or passed on here must be
called by all of them, in the same order. A `ProcessGroup` of one does nothing at every such place,
so that the code of training does not ask how many there are.

Decisions travel by gloo over TCP, tensors of a GPU by nccl. A process that ends, however it ends,
closes its connections, and whoever waits for it then fails at once.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.layers import tensors_of

PREPARATION_TIMEOUT = timedelta(days=2)
"""How long ranks wait for one that still decodes its images."""

TIMEOUT = timedelta(minutes=5)
"""How long they wait, in training, for one that lives and does not answer: rank 0 may be writing to
a slow disk."""

T = TypeVar("T")


class ProcessGroup:
    """All processes of a run, as one of them sees them. This one is alone.

    Attributes:
        rank: number of this process, from 0; rank 0 alone writes and speaks.
        size: how many there are.
        local_rank: number of this process on its machine; None where it is alone.
        local_size: how many there are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int | None = None
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """The rows of a batch that are this rank's; all ranks have as many.

        Raises UsageError where that cannot be.
        """
        return slice(0, batch_size)

    def agree(self, *numbers: int) -> tuple[int, ...]:
        """Each of `numbers` at its highest among the ranks: what any of them wants, all do."""
        return numbers

    def broadcast_from_main(self, make: Callable[[], T]) -> T:
        """What `make()` gives on rank 0, on every rank; the others do not call it."""
        return make()

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of `tensor` over the ranks; differentiable, any number of times."""
        return tensor

    def average_gradients(self, network: nn.Module) -> None:
        """Give every rank the mean of all ranks' gradients of `network`."""

    def broadcast_tensors(self, network: nn.Module) -> None:
        """Give every rank the weights of rank 0: other CPUs may round initial ones otherwise."""

    def begin(self, device: torch.device) -> None:
        """Wait until every rank has its images, then be ready to work on `device`."""

    @contextmanager
    def working(self) -> Generator[None]:
        """All that ranks do together: errors say which rank met them, and none leaves before all did.

        Nothing may be agreed afterwards.
        """
        yield


class TorchProcessGroup(ProcessGroup):
    """One of several processes. Every method raises DcganError where another one is lost."""

    def __init__(self) -> None:
        self.rank = int(os.environ["RANK"])
        self.size = int(os.environ["WORLD_SIZE"])
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        with self._connection_errors():
            store = self._rendezvous_store()
            dist.init_process_group(
                "gloo",
                store=store,
                rank=self.rank,
                world_size=self.size,
                timeout=PREPARATION_TIMEOUT,
            )
        self._gloo_group: dist.ProcessGroup | None = None  # the one just made
        self._tensor_group: dist.ProcessGroup | None = None

    def _rendezvous_store(self) -> Store:
        """Where ranks tell each other their addresses.

        On one machine torchrun keeps it from one start of its processes to the next. Without a part
        of its own, each start would now and then read an address of the last one, and wait for it.
        """
        store, _, _ = next(rendezvous("env://", timeout=PREPARATION_TIMEOUT))
        alone = self.local_size == self.size
        return PrefixStore(f"start {_restart_count()}", store) if alone else store

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
            near = f"{below} or {above}" if below < above else str(above)
            raise UsageError(
                f"--batch-size {batch_size}: a batch is shared out evenly among {self.size} "
                f"processes; type {near}"
            )
        return slice(self.rank * each, (self.rank + 1) * each)

    def agree(self, *numbers: int) -> tuple[int, ...]:
        """As ProcessGroup.agree."""
        votes = torch.tensor(numbers, dtype=torch.int64)
        with self._connection_errors():
            dist.all_reduce(votes, dist.ReduceOp.MAX, group=self._gloo_group)
        return tuple(votes.tolist())

    def broadcast_from_main(self, make: Callable[[], T]) -> T:
        """As ProcessGroup.from_first."""
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
        """As ProcessGroup.copy_first."""
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
            raise  # it has a line of its own
        except Exception as error:
            text = f"rank {self.rank} of {self.size}: {type(error).__name__}: {error}"
            raise RuntimeError(text) from error
        finally:
            # nccl would wait for what a lost process never answers
            if done or self._tensor_group is self._gloo_group:
                self._destroy()

    def _destroy(self) -> None:
        """End the threads of gloo, which nobody may hold a group for.

        One that lived on might let go of a tensor while the interpreter ends, which aborts the
        process (pytorch#179291).
        """
        self._gloo_group = self._tensor_group = None
        dist.destroy_process_group()

    @contextmanager
    def _connection_errors(self) -> Generator[None]:
        """Say in words what PyTorch says of connections."""
        try:
            yield
        except RuntimeError as error:
            raise DcganError(
                "another process of this run was killed, failed or does not answer; the run can "
                "go on from last.pt with --resume"
            ) from error


class _Mean(torch.autograd.Function):
    """The mean over ranks, which is its own adjoint."""

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
    """All ranks once more, who now wait for each other no longer than TIMEOUT."""
    return cast(dist.ProcessGroup, dist.new_group(backend=backend, timeout=TIMEOUT))


def join() -> ProcessGroup:
    """The processes that the environment speaks of; a world of one where it speaks of none."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    several = all(name in os.environ for name in needed) and int(os.environ["WORLD_SIZE"]) > 1
    return TorchProcessGroup() if several else ProcessGroup()


def was_restarted() -> bool:
    """Whether torchrun has started this process in place of one that failed (--max-restarts)."""
    return _restart_count() > 0


def _restart_count() -> int:
    """How often torchrun has started the processes of this machine again."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
