"""The games that G and D can play: what each minimizes, given D's logits.

The paper's loss is binary cross-entropy on real and generated batches apart, summed (§3, and
the authors' code). WGAN with clipping (Arjovsky et al. 2017) and with a gradient penalty (Gulrajani
et al. 2017) are the known answers to its known failure, mode collapse.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcgan_cli.errors import UsageError
from dcgan_cli.training.loss_recipes import LOSS_RECIPES


@dataclass(frozen=True)
class Loss:
    """One game.

    Attributes:
        about: its line in help texts.
        discriminator: what D minimizes, from logits of real and of generated images [N].
        generator: what G minimizes, from logits of generated images [N].
        probabilities: D's logit is the logit of a probability, so D(x) means something.
        d_steps: updates of D per update of G, where `--d-steps` does not say.
        clip: D's weights are clipped to ± this after each update (wgan).
        penalty: weight of the gradient penalty (wgan-gp).
        recipe: what its paper trains it with, by the names of Recipe, where nothing else is typed;
            empty where the preset's settings are meant.
    """

    about: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    probabilities: bool = False
    d_steps: int = 1
    clip: float | None = None
    penalty: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z)))."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _critic(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) − E D(x): the negative of the Wasserstein estimate."""
    return fake.mean() - real.mean()


LOSSES: dict[str, Loss] = {
    "non-saturating": Loss(
        "G maximizes log D(G(z)); the usual choice",
        _cross_entropy,
        lambda fake: F.softplus(-fake).mean(),
        probabilities=True,
    ),
    "minimax": Loss(
        "G minimizes log(1 − D(G(z))); saturates when D wins",
        _cross_entropy,
        lambda fake: -F.softplus(fake).mean(),
        probabilities=True,
    ),
    "lsgan": Loss(
        "least squares to 1 and 0 (Mao et al. 2017)",
        lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
        lambda fake: 0.5 * (fake - 1).square().mean(),
    ),
    "hinge": Loss(
        "hinge at ±1 (Lim and Ye 2017)",
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
    "wgan": Loss(
        "critic with weights clipped to ±0.01, 5 D steps per G step",
        _critic,
        lambda fake: -fake.mean(),
        d_steps=5,
        clip=0.01,
        recipe=LOSS_RECIPES["wgan"],
    ),
    "wgan-gp": Loss(
        "critic with gradient penalty 10, 5 D steps per G step",
        _critic,
        lambda fake: -fake.mean(),
        d_steps=5,
        penalty=10.0,
        recipe=LOSS_RECIPES["wgan-gp"],
    ),
}


def choose_loss(name: str) -> Loss:
    """The loss called `name`. Raises UsageError, naming all, for any other name."""
    if name not in LOSSES:
        raise UsageError(f"--loss {name}: expected one of {', '.join(LOSSES)}")
    return LOSSES[name]


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """E (‖∇D(x̂)‖₂ − 1)² at x̂ between real and fake (Gulrajani et al. 2017, eq. 3).

    `alpha` in [0, 1], [N, 1, 1, 1], says where between. Differentiable by D's parameters.
    """
    between = torch.lerp(real, fake, alpha).requires_grad_(True)
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(2, dim=1) - 1).square().mean()
