"""EfficientNet-Lite0 (Tan and Le 2019, without swish and squeeze-and-excitation), for features.

Its weights, trained on ImageNet, come inside a package of the package index (see
feature_networks.py); the names of the modules below are those of its tensors. Batch norm is folded
into the convolutions, which halves the time.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

SIDE = 224
"""Side of the images that it was trained on."""

WIDTH = 1280
"""Number of features."""

MEAN, SCALE = 127.0, 128.0
"""Pixels in 0..255 are given as (pixel − MEAN) / SCALE."""

BN_EPS = 1e-3

STAGES = (
    # repeats, kernel, stride, expansion, inputs, outputs
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class SameConv(nn.Conv2d):
    """A convolution, with a bias from batch norm, whose output has the side ⌈side / stride⌉."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Module's own word
        """[N, I, H, W] → [N, O, ⌈H/s⌉, ⌈W/s⌉]; TensorFlow pads the far sides by one more."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[:1:-1]]
        if any(pads):
            input = F.pad(input, [side for p in pads for side in (p // 2, p - p // 2)])  # noqa: A001
        return super().forward(input)


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; added to its input if alike."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = SameConv(inputs, width, 1, 1, 1) if expansion > 1 else nn.Identity()
        self.depthwise = SameConv(width, width, kernel, stride, width)
        self.project = SameConv(width, outputs, 1, 1, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """[N, inputs, H, W] → [N, outputs, H/stride, W/stride]."""
        wide = maps if isinstance(self.expand, nn.Identity) else F.relu6(self.expand(maps))
        out = self.project(F.relu6(self.depthwise(wide)))
        return out + maps if self.adds else out


class EfficientNetLite0(nn.Module):
    """Images [N, 3, SIDE, SIDE] as (pixel − MEAN) / SCALE → features [N, WIDTH]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2, 1)
        blocks: list[Block] = []
        for repeats, kernel, stride, expansion, inputs, outputs in STAGES:
            blocks.append(Block(kernel, stride, expansion, inputs, outputs))
            blocks += [Block(kernel, 1, expansion, outputs, outputs) for _ in range(repeats - 1)]
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(320, WIDTH, 1, 1, 1)
        self.classifier = nn.Linear(WIDTH, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """The mean of every map of the last convolution: what the classes are told by."""
        maps = F.relu6(self.stem(images))
        for block in self.blocks:
            maps = block(maps)
        return F.relu6(self.head(maps)).mean((2, 3))

    def logits(self, images: Tensor) -> Tensor:
        """The logits of the 1,000 classes of ImageNet, [N, 1000]."""
        return self.classifier(self(images))


def from_published(weights: Mapping[str, Tensor]) -> EfficientNetLite0:
    """The network with its published weights, for inference.

    Raises KeyError or RuntimeError where they are others.
    """
    network = EfficientNetLite0()
    _fold(network.stem, weights, "_conv_stem", "_bn0")
    for number, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        place = f"_blocks.{number}."
        if isinstance(block.expand, SameConv):
            _fold(block.expand, weights, f"{place}_expand_conv", f"{place}_bn0")
        _fold(block.depthwise, weights, f"{place}_depthwise_conv", f"{place}_bn1")
        _fold(block.project, weights, f"{place}_project_conv", f"{place}_bn2")
    _fold(network.head, weights, "_conv_head", "_bn1")
    network.classifier.load_state_dict({k: weights[f"_fc.{k}"] for k in ("weight", "bias")})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@torch.no_grad()
def _fold(into: SameConv, weights: Mapping[str, Tensor], conv: str, norm: str) -> None:
    """Give `into` the weights of a convolution and of the batch norm after it."""
    parts = ("weight", "bias", "running_mean", "running_var")
    scale, shift, mean, variance = (weights[f"{norm}.{part}"] for part in parts)
    factor = scale / (variance + BN_EPS).sqrt()
    into.load_state_dict(
        {
            "weight": weights[f"{conv}.weight"] * factor.view(-1, 1, 1, 1),
            "bias": shift - mean * factor,
        }
    )
