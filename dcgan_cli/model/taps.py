"""Reading the insides of a network while it runs: taps that always take themselves out again."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn


@contextmanager
def captured(modules: Sequence[nn.Module]) -> Generator[list[Tensor]]:
    """Collect the outputs of `modules`, in the order in which they run, while the block lasts.

    The hooks are removed when the block ends, after an exception as well.
    """
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output)

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(keep).remove)
        yield outputs


@contextmanager
def evaluating(network: nn.Module) -> Generator[None]:
    """Evaluation mode while the block lasts; every module's own mode is put back afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
