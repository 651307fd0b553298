"""Reading the insides of a network while it runs: hooks that always take themselves out again."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from dcgan_cli.choices import RULES, Rule


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


@contextmanager
def masked(module: nn.Module, maps: Sequence[int]) -> Generator[None]:
    """Set the feature maps `maps` of the output of `module`, [N, C, ...], to zero in the block.

    That is what dropping a filter means (paper §6.3.1): its map is gone from all locations. The
    hook is removed when the block ends, after an exception as well. Raises IndexError, when the
    module runs, for a map that it does not have.
    """
    gone = torch.tensor(list(maps), dtype=torch.int64)

    def drop(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.index_fill(1, gone.to(output.device), 0)

    handle = module.register_forward_hook(drop)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def guided(network: nn.Module, rule: Rule = "guided") -> Generator[None]:
    """Let gradients pass the rectifiers of `network` by `rule`, for what runs forward in the block.

    Guided backpropagation (Springenberg et al. 2014, arXiv 1412.6806, §3.4) is defined for ReLU: a
    gradient passes where the unit's input was positive, and only if it is positive itself. Below
    zero LeakyReLU has a slope, so the rule can be read in two ways. With x the input of a ReLU or
    LeakyReLU module and g the gradient that arrives at its output, what leaves at its input is

        guided      max(g, 0) where x > 0, else 0: the rule to the letter, the leak is closed
        leaky       max(g, 0) where x > 0, else max(g, 0) · slope: negative gradients are cut, the
                    unit's own derivative is kept
        gradient    g where x > 0, else g · slope: the plain gradient

    For ReLU, whose slope is 0, guided and leaky are the same. Slopes are 0 or more. The pass
    forward is not changed, and activations may work in place. The hooks are removed when the block
    ends, after an exception as well; a graph that was built in the block keeps its rule.

    Raises ValueError for an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r}: expected one of {', '.join(RULES)}")

    def guide(_: nn.Module, __: object, output: Tensor) -> None:
        if not output.requires_grad:
            return
        # the sign of the output is that of the input, which an activation in place has overwritten;
        # noted here, because another module in place may overwrite the output in turn
        passes = output > 0 if rule == "guided" else None

        def cut(gradient: Tensor) -> Tensor:
            positive = gradient.clamp(min=0)
            return positive if passes is None else positive * passes

        output.register_hook(cut)

    with ExitStack() as stack:
        if rule != "gradient":
            for module in network.modules():
                if isinstance(module, nn.ReLU | nn.LeakyReLU):
                    stack.callback(module.register_forward_hook(guide).remove)
        yield
