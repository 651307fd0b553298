"""The training recipe: learning rate, batch size, optimizer and the like, with their defaults.

Sources: Radford et al. 2015, §4; the authors' released code for values that the paper does not state.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dcgan_cli.errors import UsageError
from dcgan_cli.model.option_checks import expect_one_of, expect_positive

Updates = Literal["alternate", "together"]
Crop = Literal["center", "random"]
Optimizer = Literal["adam", "rmsprop"]


USUAL_STEPS = 5_000
"""Steps of both networks by which most of what a small network learns of a few hundred to a few
thousand photographs is learned."""


@dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of training; the defaults are those of the paper.

    Attributes:
        batch_size: images a batch.
        optimizer: "adam", or "rmsprop" with PyTorch's decay of 0.99 (the WGAN authors' code).
        lr: its learning rate, for both networks.
        beta1, beta2: of Adam; RMSProp ignores them.
        weight_decay: coupled (L2) decay on all parameters, as in the authors' code.
        updates: "together" trains D, then G, on every batch; "alternate" gives each batch
            to one of them, as the authors' code does.
        crop: "center" takes the largest centered square; "random" takes a random window of
            `size` out of a square of 1.5 · `size` at every visit.
        flip: mirror images left-right with probability 0.5 at every visit.
        epochs: passes over the data if no other length is given, and at least USUAL_STEPS.
    """

    batch_size: int = 128
    optimizer: Optimizer = "adam"
    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 0.0
    updates: Updates = "together"
    crop: Crop = "center"
    flip: bool = False
    epochs: int = 25

    def __post_init__(self) -> None:
        """Raise UsageError for a value that nothing can be trained with."""
        if self.batch_size < 2:
            raise UsageError(
                f"--batch-size {self.batch_size}: batch norm needs at least 2 images a batch"
            )
        expect_one_of("--optimizer", self.optimizer, get_args(Optimizer))
        expect_positive("--lr", self.lr)
        expect_positive("--epochs", self.epochs)
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: expected a number in [0, 1)")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"--weight-decay {self.weight_decay}: expected 0 or more")
        expect_one_of("--updates", self.updates, ("alternate", "together"))
        expect_one_of("--crop", self.crop, ("center", "random"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
