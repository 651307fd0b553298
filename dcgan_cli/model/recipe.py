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

AUGMENTATIONS = ("color", "translation", "cutout")

USUAL_STEPS = 5_000
"""Steps of both networks by which most of what a small network learns of a few hundred to a few
thousand photographs is learned, in batches of USUAL_BATCH or more."""

USUAL_BATCH = 64

FEW_IMAGES = 1_000
"""Of fewer images D learns all by heart within minutes; augmentation keeps it from that."""


def usual_steps(batch_size: int) -> int:
    """USUAL_STEPS, and more in smaller batches: as many images as they are in batches of USUAL_BATCH.

    Example: `usual_steps(16)` is 20,000.
    """
    return max(USUAL_STEPS, math.ceil(USUAL_STEPS * USUAL_BATCH / batch_size))


@dataclass(frozen=True)
class Recipe:
    """The hyper-parameters of training; the defaults are those of the paper.

    Attributes:
        batch_size: images a batch.
        optimizer: "adam", or "rmsprop" with PyTorch's decay of 0.99 (the WGAN authors' code).
        lr: its learning rate, for both networks.
        lr_g, lr_d: the learning rate of one network, if it has its own (Heusel et al. 2017).
        beta1, beta2: of Adam; RMSProp ignores them.
        weight_decay: coupled (L2) decay on all parameters, as in the authors' code.
        updates: "together" trains D, then G, on every batch; "alternate" gives each batch
            to one of them, as the authors' code does.
        crop: "center" takes the largest centered square; "random" takes a random window of
            `size` out of a square of 1.5 · `size` at every visit.
        flip: mirror images left-right with probability 0.5 at every visit.
        augment: what is changed at random in every image that D sees, real or generated: some of
            AUGMENTATIONS, separated by commas, or "none" (Zhao et al. 2020).
        r1, r2: weight γ of the penalty γ/2 · E‖∇D‖² at real and at generated images (Mescheder et
            al. 2018).
        freeze_d: so many layers of D, from the image on, are not trained (Mo et al. 2020).
        epochs: passes over the data if no other length is given, and at least `usual_steps`.
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
    augment: str = "none"
    lr_g: float | None = None
    lr_d: float | None = None
    r1: float = 0.0
    r2: float = 0.0
    freeze_d: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for a value that nothing can be trained with."""
        if self.batch_size < 2:
            raise UsageError(
                f"--batch-size {self.batch_size}: batch norm needs at least 2 images a batch"
            )
        expect_one_of("--optimizer", self.optimizer, get_args(Optimizer))
        for name in ("lr", "lr_g", "lr_d"):
            if (rate := getattr(self, name)) is not None:
                expect_positive(f"--{name.replace('_', '-')}", rate)
        expect_positive("--epochs", self.epochs)
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: expected a number in [0, 1)")
        for name in ("weight_decay", "r1", "r2", "freeze_d"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} {value}: expected 0 or more")
        for name in self.augmentations:
            expect_one_of("--augment", name, (*AUGMENTATIONS, "none"))
        expect_one_of("--updates", self.updates, ("alternate", "together"))
        expect_one_of("--crop", self.crop, ("center", "random"))

    @property
    def augmentations(self) -> tuple[str, ...]:
        """The names in `augment`."""
        return () if self.augment == "none" else tuple(self.augment.split(","))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
