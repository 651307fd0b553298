"""The GAN losses: what G and D minimize, given D's logits.

The paper's loss is binary cross-entropy on separate real and generated batches, summed (§3, and the
authors' code). WGAN with clipping (Arjovsky et al. 2017) and with a gradient penalty (Gulrajani et
al. 2017) are the known answers to its known failure, mode collapse.

A new loss is an entry in LOSSES. A loss that needs a regularizer of D sets its weight here; the
regularizers themselves are in `regularizers.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from dcgan_cli.errors import UsageError
from dcgan_cli.training.loss_recipes import LOSS_RECIPES


@dataclass(frozen=True)
class Loss:
    """The losses of both networks and the settings that belong to them.

    Attributes:
        about: its line in help texts.
        discriminator: what D minimizes, given logits of real and of generated images [N].
        generator: what G minimizes, given logits of generated images [N].
        relativistic: whether `generator` is given those logits less D's logits of real images.
        probabilities: whether the sigmoid of D's logit is a probability.
        d_steps: updates of D per update of G, unless `--d-steps` is given.
        clip: D's weights are clipped to ± this after each update (wgan).
        penalty: weight of the gradient penalty (wgan-gp).
        recipe: the settings of its paper, by the field names of Recipe, used unless options set
            them; empty: the preset's settings.
    """

    about: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    relativistic: bool = False
    probabilities: bool = False
    d_steps: int = 1
    clip: float | None = None
    penalty: float | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z)))."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def _wasserstein(real: Tensor, fake: Tensor) -> Tensor:
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
    "relativistic": Loss(
        "real above generated images by pairs, with --r1 and --r2 (Huang et al. 2024)",
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda difference: F.softplus(-difference).mean(),
        relativistic=True,
        recipe=LOSS_RECIPES["relativistic"],
    ),
    "wgan": Loss(
        "critic with weights clipped to ±0.01, 5 D steps per G step",
        _wasserstein,
        lambda fake: -fake.mean(),
        d_steps=5,
        clip=0.01,
        recipe=LOSS_RECIPES["wgan"],
    ),
    "wgan-gp": Loss(
        "critic with gradient penalty 10, 5 D steps per G step",
        _wasserstein,
        lambda fake: -fake.mean(),
        d_steps=5,
        penalty=10.0,
        recipe=LOSS_RECIPES["wgan-gp"],
    ),
}


def choose_loss(name: str) -> Loss:
    """The loss called `name`. Raises UsageError, listing all names, for any other name."""
    if name not in LOSSES:
        raise UsageError(f"--loss {name}: expected one of {', '.join(LOSSES)}")
    return LOSSES[name]
