"""Convolutions, normalizations and initialization, shared by both networks (paper §3).

No layer has a bias: batch norm's shift replaces it, and the authors use none elsewhere either.
"""

from collections.abc import Iterator

import torch
from torch import nn

from dcgan_cli.model.config import ModelConfig, Norm


def conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Strided convolution that halves the side: [N, inputs, S, S] → [N, outputs, S/2, S/2]."""
    return nn.Conv2d(inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2, bias=False)


def conv_transpose(inputs: int, outputs: int, kernel: int) -> nn.ConvTranspose2d:
    """Fractionally-strided convolution that doubles the side: [N, inputs, S, S] → [N, outputs, 2S, 2S]."""
    padding = (kernel - 1) // 2
    return nn.ConvTranspose2d(
        inputs,
        outputs,
        kernel,
        stride=2,
        padding=padding,
        output_padding=2 * padding - kernel + 2,
        bias=False,
    )


def norm(kind: Norm, width: int, eps: float) -> nn.Module:
    """Normalization of `width` feature maps [N, width, S, S]."""
    if kind == "batch":
        return nn.BatchNorm2d(width, eps=eps)
    if kind == "layer":
        return nn.GroupNorm(1, width, eps=eps)
    return nn.Identity()


POWER_ITERATIONS = 15
"""Power iterations at initialization; later one a training pass suffices, since weights change little."""


class SpectralScale(nn.Module):
    """Makes the `layer` before it one with weights W / σ(W), and adds a shift (Miyato et al. 2018).

    A convolution or linear layer without bias is linear in its weights, so that its output is
    divided in their place. σ, the largest singular value of W as a matrix [outputs, inputs · k · k],
    is estimated by power iteration, one step in each training pass. The shift replaces the one of
    batch norm.
    """

    u: torch.Tensor
    v: torch.Tensor

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self._layer = (layer,)  # a tuple, so that its weights are not registered here too
        outputs, inputs = self._matrix().shape
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("u", torch.ones(outputs) / outputs**0.5)
        self.register_buffer("v", torch.ones(inputs) / inputs**0.5)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """[N, width, ...] → the same shape and type."""
        if self.training:
            self.iterate(1)
        with torch.autocast(maps.device.type, enabled=False):
            # copies: the next pass changes the vectors before this one's gradients are computed
            sigma = torch.dot(self.u.clone(), torch.mv(self._matrix(), self.v.clone()))
        shift = self.shift.view(-1, *[1] * (maps.dim() - 2))
        return maps / sigma.to(maps.dtype) + shift.to(maps.dtype)

    @torch.no_grad()
    def iterate(self, steps: int) -> None:
        """Improve the estimate of the singular vectors, in the order of PyTorch's own."""
        matrix = self._matrix().detach()
        with torch.autocast(matrix.device.type, enabled=False):
            for _ in range(steps):
                self.u.copy_(nn.functional.normalize(torch.mv(matrix, self.v), dim=0))
                self.v.copy_(nn.functional.normalize(torch.mv(matrix.T, self.u), dim=0))

    def _matrix(self) -> torch.Tensor:
        weight = self._layer[0].weight
        assert isinstance(weight, torch.Tensor)
        return weight.flatten(1)


class Project(nn.Module):
    """The projection of z to the first feature maps (paper Fig. 1): linear, normalized, reshaped.

    [N, z_dim] → [N, width, base, base]. With `projection="channel"` this equals the 4×4 transposed
    convolution of a 1×1 input in the torch implementations.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.shape = (config.generator_widths[0], config.base, config.base)
        units = self.shape[0] * config.base**2
        self.linear = nn.Linear(config.z_dim, units, bias=False)
        per_unit = config.projection == "unit" and config.g_norm == "batch"
        self.norm: nn.Module = (
            nn.BatchNorm1d(units, eps=config.bn_eps)
            if per_unit
            else norm(config.g_norm, self.shape[0], config.bn_eps)
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Feature maps before the activation."""
        maps: torch.Tensor = self.linear(z)
        if isinstance(self.norm, nn.BatchNorm1d):
            maps = self.norm(maps)
            return maps.unflatten(1, self.shape)
        return self.norm(maps.unflatten(1, self.shape))


def match_gradient(maps: torch.Tensor) -> None:
    """Let the gradient of `maps` [N, C, H, W] arrive in their memory format.

    Where maps begin or end as rows, their gradient is in the other format, and every operation on both
    takes several times as long.
    """
    if maps.requires_grad:
        last = maps.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        maps.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))


def tensors_of(network: nn.Module) -> Iterator[torch.Tensor]:
    """Weights, statistics and counters of `network`, always in the same order."""
    yield from network.parameters()
    yield from network.buffers()


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Initialize: weights N(0, 0.02) (paper §4), scales N(1, 0.02), shifts 0 (authors' code)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.normal_(0.0, 0.02, generator=generator)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm):
            module.weight.normal_(1.0, 0.02, generator=generator)
            module.bias.zero_()
        elif isinstance(module, SpectralScale):  # after its layer, which comes before it
            module.shift.zero_()
            module.v.normal_(generator=generator)
            module.iterate(POWER_ITERATIONS)
