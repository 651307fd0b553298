"""The networks' configuration (ModelConfig), the training recipe (Recipe), and presets of both.

Sources: Radford et al. 2015, §4 and Fig. 1; the authors' released code for values that the paper
does not state; soumith/dcgan.torch and pytorch/examples for the two other variants in wide use.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from dcgan_cli.errors import UsageError
from dcgan_cli.model.sizes import split_size

ZDistribution = Literal["uniform", "normal"]
Projection = Literal["unit", "channel"]
Norm = Literal["batch", "layer", "none"]
Updates = Literal["alternate", "together"]
Crop = Literal["center", "random"]
Optimizer = Literal["adam", "rmsprop"]

MAX_WIDTH_FACTOR = 8
"""Feature maps grow up to this multiple of ngf or ndf, as in the paper's 64×64 networks (8·128)."""


def _one_of(option: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value}: expected one of {', '.join(map(str, allowed))}")


def _positive(option: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise UsageError(f"{option} {value}: expected a number above 0")


def _whole(option: str, value: object) -> None:
    """Raise UsageError unless `value` is an int: a checkpoint may hold any type."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{option} {value}: expected a whole number")


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of both networks; stored in every checkpoint.

    Attributes:
        size: side of the square images in pixels, base · 2^k with base in 4..7 and k ≥ 1.
        channels: 1 (gray) or 3 (RGB).
        z_dim: length of z.
        z_dist: "uniform" draws z from U(−1, 1), "normal" from N(0, 1).
        ngf: feature maps of the generator's last hidden layer; doubled per level towards z.
        ndf: feature maps of the discriminator's first layer; doubled per level.
        kernel: side of the convolution kernels: 3, 4 or 5. All have stride 2.
        projection: batch norm of the first generator layer, per "unit" (one scale for each of its
            base·base·width outputs: the paper) or per "channel" (as after a deconvolution).
        bn_eps: ε of batch norm.
        g_norm: normalization of the generator's hidden layers.
        d_norm: normalization of the discriminator's layers after the first. "layer" is for wgan-gp,
            whose penalty is defined per image (Gulrajani et al. 2017, §4).
    """

    size: int = 64
    channels: int = 3
    z_dim: int = 100
    z_dist: ZDistribution = "uniform"
    ngf: int = 128
    ndf: int = 128
    kernel: int = 5
    projection: Projection = "unit"
    bn_eps: float = 1e-8
    g_norm: Norm = "batch"
    d_norm: Norm = "batch"

    def __post_init__(self) -> None:
        """Raise UsageError for a value that no network can be built from."""
        for name in ("size", "channels", "z_dim", "ngf", "ndf", "kernel"):
            _whole(f"--{name.replace('_', '-')}", getattr(self, name))
        split_size(self.size)
        _one_of("--channels", self.channels, (1, 3))
        _one_of("--kernel", self.kernel, (3, 4, 5))
        _one_of("--z-dist", self.z_dist, ("uniform", "normal"))
        _one_of("--projection", self.projection, ("unit", "channel"))
        _one_of("--g-norm", self.g_norm, ("batch", "layer", "none"))
        _one_of("--d-norm", self.d_norm, ("batch", "layer", "none"))
        for name in ("z_dim", "ngf", "ndf"):
            _positive(f"--{name.replace('_', '-')}", getattr(self, name))
        _positive("--bn-eps", self.bn_eps)

    @property
    def base(self) -> int:
        """Side of the first feature map of G and the last of D, in pixels."""
        return split_size(self.size)[0]

    @property
    def levels(self) -> int:
        """How often the side doubles in G, or halves in D: the number of convolutions of each."""
        return split_size(self.size)[1]

    @property
    def generator_widths(self) -> tuple[int, ...]:
        """Feature maps after the projection and after every hidden layer, from z to the image."""
        return tuple(self.ngf * min(MAX_WIDTH_FACTOR, 2**i) for i in reversed(range(self.levels)))

    @property
    def discriminator_widths(self) -> tuple[int, ...]:
        """Feature maps after every convolution, from the image to the decision."""
        return tuple(self.ndf * min(MAX_WIDTH_FACTOR, 2**i) for i in range(self.levels))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`. Raises UsageError or TypeError for other values.

        Example: `ModelConfig.from_dict({"size": 32, "ngf": 64})`.
        """
        return cls(**values)


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
        epochs: passes over the data if no other length is given.
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
        _one_of("--optimizer", self.optimizer, get_args(Optimizer))
        _positive("--lr", self.lr)
        _positive("--epochs", self.epochs)
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: expected a number in [0, 1)")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"--weight-decay {self.weight_decay}: expected 0 or more")
        _one_of("--updates", self.updates, ("alternate", "together"))
        _one_of("--crop", self.crop, ("center", "random"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


HYPERPARAMETERS = frozenset(
    field.name for part in (ModelConfig, Recipe) for field in fields(part) if field.name != "epochs"
)
"""What a preset decides and an option overrides; how long is said apart."""


@dataclass(frozen=True)
class Preset:
    """A named model configuration and recipe; `about` is its line in help texts."""

    about: str
    model: ModelConfig
    recipe: Recipe


_TORCH_NETWORK = ModelConfig(
    z_dist="normal", ngf=64, ndf=64, kernel=4, projection="channel", bn_eps=1e-5
)

PRESETS: dict[str, Preset] = {
    "paper": Preset(
        "the authors' faces code: 5×5 kernels, 128 maps, uniform z",
        ModelConfig(),
        Recipe(weight_decay=1e-5, updates="alternate"),
    ),
    "torch": Preset(
        "soumith/dcgan.torch: 4×4 kernels, 64 maps, random crops and flips",
        _TORCH_NETWORK,
        Recipe(batch_size=64, crop="random", flip=True),
    ),
    "tutorial": Preset(
        "pytorch/examples: 4×4 kernels, 64 maps",
        _TORCH_NETWORK,
        Recipe(batch_size=64),
    ),
    "small": Preset(
        "pytorch/examples at half the width, for CPUs: 4×4 kernels, 32 maps",
        replace(_TORCH_NETWORK, ngf=32, ndf=32),
        Recipe(batch_size=64),
    ),
}


def with_options(preset: Preset, options: Mapping[str, Any]) -> tuple[ModelConfig, Recipe]:
    """The preset with every option that is not None replaced.

    Raises UsageError for a value out of range, TypeError for a name that neither dataclass has.

    Example: `model, recipe = with_options(PRESETS["small"], {"size": 32, "lr": 1e-4})`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    of_model = {field.name for field in fields(ModelConfig)}
    model = replace(preset.model, **{k: v for k, v in given.items() if k in of_model})
    recipe = replace(preset.recipe, **{k: v for k, v in given.items() if k not in of_model})
    return model, recipe
