"""Context managers that hook a network: capture, mask or guide activations, then undo themselves."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from dcgan_cli.choices import RULES, Rule


@contextmanager
def captured(modules: Sequence[nn.Module]) -> Generator[list[Tensor]]:
    """Collect the outputs of `modules` while the block lasts, in the order in which they run.

    The hooks are removed when the block ends, also after an exception.

    Example: `with captured(discriminator.layers) as maps: discriminator(images)`.
    """
    outputs: list[Tensor] = []

    def append(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output)

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(append).remove)
        yield outputs


@contextmanager
def evaluating(network: nn.Module) -> Generator[None]:
    """Evaluation mode while the block lasts; afterwards every module has its former mode."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def masked(module: nn.Module, maps: Sequence[int]) -> Generator[None]:
    """Set the feature maps `maps` in the output of `module`, [N, C, ...], to zero inside the block.

    That is what dropping a filter means (paper §6.3.1): its feature map is removed at all
    locations. The hook is removed when the block ends, also after an exception. Raises IndexError,
    when the module runs, for a map that does not exist.
    """
    dropped = torch.tensor(list(maps), dtype=torch.int64)

    def drop(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.index_fill(1, dropped.to(output.device), 0)

    handle = module.register_forward_hook(drop)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def guided(network: nn.Module, rule: Rule = "guided") -> Generator[None]:
    """Backpropagate through rectifiers of `network` by `rule`, for forward passes in the block.

    Guided backpropagation (Springenberg et al. 2014, arXiv 1412.6806, §3.4) is defined for ReLU: a
    gradient passes where the unit's input was positive, and only if the gradient itself is
    positive. LeakyReLU has a slope below zero, so there are two ways to apply the rule. With x the
    input of a ReLU or LeakyReLU module and g the gradient at its output, the gradient at its input
    is

        guided      max(g, 0) where x > 0, else 0: the definition as it stands, the leak is closed
        leaky       max(g, 0) where x > 0, else max(g, 0) · slope: negative gradients are cut, the
                    unit's own derivative is kept
        gradient    g where x > 0, else g · slope: the plain gradient

    For ReLU, whose slope is 0, guided and leaky are the same. Slopes are 0 or more. The forward
    pass is unchanged, and activations may be in place. The hooks are removed when the block ends,
    also after an exception; a graph that was built in the block keeps its rule.

    Raises ValueError for an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"rule {rule!r}: expected one of {', '.join(RULES)}")

    def guide(_: nn.Module, __: object, output: Tensor) -> None:
        if not output.requires_grad:
            return
        # the output has the sign of the input, which an in-place activation has overwritten; it is
        # read now, because another in-place module may overwrite the output
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
