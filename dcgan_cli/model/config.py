"""The architecture of both networks, as stored in every checkpoint.

Sources: Radford et al. 2015, §4 and Fig. 1; the authors' released code for values that the paper
does not state; soumith/dcgan.torch and pytorch/examples for the two other variants in wide use.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from dcgan_cli.model.option_checks import expect_one_of, expect_positive, expect_whole
from dcgan_cli.model.sizes import split_size

ZDistribution = Literal["uniform", "normal"]
Projection = Literal["unit", "channel"]
Norm = Literal["batch", "layer", "none"]
DiscriminatorNorm = Literal["batch", "layer", "none", "spectral"]

MAX_WIDTH_FACTOR = 8
"""Feature maps grow up to this multiple of ngf or ndf, as in the paper's 64×64 networks (8·128)."""


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
            whose penalty is defined per image (Gulrajani et al. 2017, §4). "spectral" divides the
            weights of every layer by their spectral norm instead (Miyato et al. 2018).
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
    d_norm: DiscriminatorNorm = "batch"

    def __post_init__(self) -> None:
        """Raise UsageError for a value that no network can be built from."""
        for name in ("size", "channels", "z_dim", "ngf", "ndf", "kernel"):
            expect_whole(f"--{name.replace('_', '-')}", getattr(self, name))
        split_size(self.size)
        expect_one_of("--channels", self.channels, (1, 3))
        expect_one_of("--kernel", self.kernel, (3, 4, 5))
        expect_one_of("--z-dist", self.z_dist, ("uniform", "normal"))
        expect_one_of("--projection", self.projection, ("unit", "channel"))
        expect_one_of("--g-norm", self.g_norm, ("batch", "layer", "none"))
        expect_one_of("--d-norm", self.d_norm, ("batch", "layer", "none", "spectral"))
        for name in ("z_dim", "ngf", "ndf"):
            expect_positive(f"--{name.replace('_', '-')}", getattr(self, name))
        expect_positive("--bn-eps", self.bn_eps)

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
