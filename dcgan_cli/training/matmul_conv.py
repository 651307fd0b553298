"""Convolutions as matrix products of patches (im2col), for small feature maps in bfloat16 on a CPU.

Libraries optimize convolutions for large images; on maps of 4×4 to 16×16 they reach a fraction of
the speed of the same CPU's matrix product. So patches are copied into rows (im2col) and multiplied.

The gradient with respect to the input of a convolution of stride s, which is also the
fractionally-strided convolution, is computed phase by phase: output coordinates with the same
remainder modulo s depend on the same kernel elements, so that each of the s·s phases is a small
convolution of stride 1. No multiplication by zero is made, and no overlapping patches are added
(col2im).

The result is exact: the products of the definition, each computed once. Which of the three products
of a layer are computed in this way depends on its size and on the CPU alone, never on a timing: a
timing would change the bits of the result on a busy day.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class MatmulUse:
    """Which products of a layer are matrix products: output, gradient of the input, of the weights."""

    value: bool = False
    to_maps: bool = False
    to_weight: bool = False


LIBRARY = MatmulUse()
ALL_MATMUL = MatmulUse(True, True, True)

_MAX_SIDE_WITH_AMX, _MIN_WIDTH_WITH_AMX = 16, 256
"""With AMX, layers whose larger maps have at most this side, and at least so many channels on one of
their sides, use ALL_MATMUL.

Milliseconds of output / gradient of the maps / gradient of the weights for a batch of 128, by the
library and by matrix products: 256 × 8 × 8 → 512, 34 / 74 / 107 and 6 / 5 / 9; 128 × 16 × 16 → 256,
19 / 18 / 44 and 15 / 19 / 20; at 32 × 32 the library is faster (9 / 9 / 21 and 16 / 29 / 30), and with fewer
channels copying patches takes longer than what is gained."""

_MAX_SIDE_WITHOUT_AMX = 8
"""Other CPUs compute only the gradient of the weights in this way: 256 × 8 × 8 → 512 takes 20 / 22 / 80
by the library and 29 / 52 / 28 by matrix products; at 16 × 16 nothing is gained."""


def best_matmul_use(side: int, width: int) -> MatmulUse:
    """The fastest choice in bfloat16 on this CPU for a layer.

    Args:
        side: of its larger maps.
        width: the number of channels before or after it, whichever is larger.
    """
    if _has_amx():
        fast = side <= _MAX_SIDE_WITH_AMX and width >= _MIN_WIDTH_WITH_AMX
        return ALL_MATMUL if fast else LIBRARY
    return MatmulUse(to_weight=True) if side <= _MAX_SIDE_WITHOUT_AMX else LIBRARY


def _has_amx() -> bool:
    return torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]


def use_matrix_products(network: nn.Module) -> None:
    """Replace the convolutions of `network` by ones that use matrix products where those are fast.

    In place, and only under bfloat16 autocast. The result can be differentiated once; a gradient
    penalty is computed in float32, by the library.
    """
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.Conv2d:
                setattr(parent, name, _Conv(layer))
            elif type(layer) is nn.ConvTranspose2d:
                setattr(parent, name, _ConvTranspose(layer))


class _Conv(nn.Conv2d):
    """A convolution with the weights of `original`."""

    def __init__(self, original: nn.Conv2d) -> None:
        super().__init__(*_shape(original), bias=False, device="meta")
        self.weight = original.weight

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Module's own word
        """[N, I, H, W] → [N, O, H', W']."""
        maps, weight, form = _prepared(input, self.weight, max(input.shape[2:]))
        return conv2d(maps, weight, self.stride[0], int(self.padding[0]), form)


class _ConvTranspose(nn.ConvTranspose2d):
    """A fractionally-strided convolution with the weights of `original`."""

    def __init__(self, original: nn.ConvTranspose2d) -> None:
        super().__init__(*_shape(original), original.output_padding[0], bias=False, device="meta")
        self.weight = original.weight

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002
        """[N, O, H', W'] → [N, I, H, W]."""
        assert output_size is None
        maps, weight, form = _prepared(input, self.weight, self.stride[0] * max(input.shape[2:]))
        geometry = self.stride[0], int(self.padding[0]), self.output_padding[0]
        return conv_transpose2d(maps, weight, *geometry, form)


def _shape(original: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int, int, int]:
    """Both widths, kernel, stride and padding."""
    sides = original.kernel_size[0], original.stride[0], int(original.padding[0])
    return original.in_channels, original.out_channels, *sides


def _prepared(maps: Tensor, weight: Tensor, side: int) -> tuple[Tensor, Tensor, MatmulUse]:
    """Both in bfloat16 and the matrix products to use, if autocast is on; else unchanged."""
    kind = maps.device.type
    if kind != "cpu" or not torch.is_autocast_enabled(kind):
        return maps, weight, LIBRARY
    return maps.bfloat16(), weight.bfloat16(), best_matmul_use(side, max(weight.shape[:2]))


def conv2d(
    maps: Tensor, weight: Tensor, stride: int, padding: int, form: MatmulUse = ALL_MATMUL
) -> Tensor:
    """`F.conv2d`: [N, I, H, W] and [O, I, k, k] → [N, O, H', W'], differentiable once."""
    if form == LIBRARY:
        return F.conv2d(maps, weight, None, stride, padding)
    return cast(Tensor, _ConvFunction.apply(maps, weight, stride, padding, form))


def conv_transpose2d(
    maps: Tensor,
    weight: Tensor,
    stride: int,
    padding: int,
    output_padding: int = 0,
    form: MatmulUse = ALL_MATMUL,
) -> Tensor:
    """`F.conv_transpose2d`: [N, O, H', W'] and [O, I, k, k] → [N, I, H, W], differentiable once."""
    if form == LIBRARY:
        return F.conv_transpose2d(maps, weight, None, stride, padding, output_padding)
    return cast(
        Tensor, _ConvTransposeFunction.apply(maps, weight, stride, padding, output_padding, form)
    )


class _ConvFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, stride: int, padding: int, form: MatmulUse
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.settings = stride, padding, form
        if form.value:
            return _conv(maps, weight, stride, padding)
        return F.conv2d(maps, weight, None, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, weight = ctx.saved_tensors
        stride, padding, _ = ctx.settings
        (gradient,) = gradients
        to_maps, to_weight = _gradients(
            ctx, gradient, None,
            lambda: _conv_transpose(gradient, weight, stride, padding, maps.shape[2:]),
            lambda: _weight_gradient(maps, gradient, weight.shape[2], stride, padding),
        )  # fmt: skip
        return to_maps, to_weight, None, None, None


class _ConvTransposeFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        stride: int,
        padding: int,
        output_padding: int,
        form: MatmulUse,
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.settings = stride, padding, form
        ctx.output_padding = output_padding
        if not form.value:
            return F.conv_transpose2d(maps, weight, None, stride, padding, output_padding)
        kernel = weight.shape[2]
        sides = [(n - 1) * stride - 2 * padding + kernel + output_padding for n in maps.shape[2:]]
        return _conv_transpose(maps, weight, stride, padding, sides)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        maps, weight = ctx.saved_tensors
        stride, padding, _ = ctx.settings
        (gradient,) = gradients
        to_maps, to_weight = _gradients(
            ctx, gradient, ctx.output_padding,
            lambda: _conv(gradient, weight, stride, padding),
            lambda: _weight_gradient(gradient, maps, weight.shape[2], stride, padding),
        )  # fmt: skip
        return to_maps, to_weight, None, None, None, None


def _gradients(
    ctx: Any,
    gradient: Tensor,
    output_padding: int | None,
    to_maps: Callable[[], Tensor],
    to_weight: Callable[[], Tensor],
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients that are needed, by matrix products where `form` says so, else by the library."""
    maps, weight = ctx.saved_tensors
    stride, padding, form = ctx.settings
    wants_maps, wants_weight = ctx.needs_input_grad[:2]
    mask = [wants_maps and not form.to_maps, wants_weight and not form.to_weight]
    of_maps, of_weight = _library_gradients(
        gradient, maps, weight, stride, padding, output_padding, mask
    )
    if wants_maps and form.to_maps:
        of_maps = to_maps()
    if wants_weight and form.to_weight:
        of_weight = to_weight()
    return of_maps, of_weight


def _library_gradients(
    gradient: Tensor,
    maps: Tensor,
    weight: Tensor,
    stride: int,
    padding: int,
    output_padding: int | None,
    mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of maps and weights that `mask` selects, by the library.

    Of a fractionally-strided convolution if `output_padding` is given.
    """
    if not any(mask):
        return None, None
    transposed = output_padding is not None
    to_maps, to_weight, _ = torch.ops.aten.convolution_backward(
        gradient, maps, weight, None, (stride, stride), (padding, padding), (1, 1), transposed,
        [output_padding or 0] * 2, 1, [*mask, False],
    )  # fmt: skip
    return to_maps if mask[0] else None, to_weight if mask[1] else None


def _conv(maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Maps [N, I, H, W] → [N, O, H', W'] by weight [O, I, k, k]."""
    outputs, _, kernel, _ = weight.shape
    height, width = (_output_side(side, kernel, stride, padding) for side in maps.shape[2:])
    rows = _patches(_to_nhwc(maps), padding, (height, width), kernel, stride)
    result = _channels_last(maps, outputs, height, width)
    taps = _to_nhwc(weight).view(outputs, -1).t()
    torch.mm(rows, taps, out=result.permute(0, 2, 3, 1).view(-1, outputs))
    return result


def _conv_transpose(
    maps: Tensor, weight: Tensor, stride: int, padding: int, sides: Sequence[int]
) -> Tensor:
    """Maps [N, O, H', W'] → [N, I, *sides] by weight [O, I, k, k]: the transpose of `_conv`."""
    _, inputs, kernel, _ = weight.shape
    elements, result = _to_nhwc(weight), _channels_last(maps, inputs, *sides)
    cells = result.permute(0, 2, 3, 1)
    rows, columns = (_phases(side, kernel, stride, padding) for side in sides)
    y, x = (
        _margins(phases, *lengths, stride)
        for phases, lengths in zip(
            (rows, columns), zip(maps.shape[2:], sides, strict=True), strict=True
        )
    )
    source = F.pad(_to_nhwc(maps), (0, 0, *x, *y))
    for top, ys, above in rows:
        for left, xs, before in columns:
            phase = cells[:, top::stride, left::stride]
            if not (ys and xs):
                phase.zero_()
                continue
            start, taps = (y[0] - above, x[0] - before), (len(ys), len(xs))
            part = _windows(source, start, phase.shape[1:3], taps, 1)
            weights = torch.cat([elements[:, i, j] for i in ys for j in xs])
            phase.copy_((part @ weights).view(phase.shape))
    return result


def _weight_gradient(
    maps: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int
) -> Tensor:
    """The gradient [O, I, k, k] of `_conv`'s weight, from its maps and the gradient of its result."""
    inputs, outputs = maps.shape[1], gradient.shape[1]
    rows = _patches(_to_nhwc(maps), padding, gradient.shape[2:], kernel, stride)
    taps = _to_nhwc(gradient).view(-1, outputs).t() @ rows
    return taps.view(outputs, kernel, kernel, inputs).permute(0, 3, 1, 2)


def _phases(side: int, kernel: int, stride: int, padding: int) -> list[tuple[int, list[int], int]]:
    """For each remainder modulo `stride`: first coordinate, kernel elements, and padding before.

    The kernel elements that contribute to these coordinates are in the order of the maps they
    multiply; the padding is how far outside the maps that order begins.
    """
    phases: list[tuple[int, list[int], int]] = []
    for first in range(min(stride, side)):
        taps = list(range((first + padding) % stride, kernel, stride))
        # element t multiplies the map at (coordinate + padding − t) / stride: later t, earlier map
        before = -((first + padding - taps[-1]) // stride) if taps else 0
        phases.append((first, taps[::-1], before))
    return phases


def _margins(
    phases: Sequence[tuple[int, list[int], int]], side: int, target: int, stride: int
) -> tuple[int, int]:
    """Zeros before and after `side` maps, so that every phase of `target` coordinates finds its maps."""
    needed = [
        (before, len(range(first, target, stride)) - 1 + len(taps) - before - side)
        for first, taps, before in phases
        if taps
    ]
    return max([0, *(b for b, _ in needed)]), max([0, *(a for _, a in needed)])


def _patches(maps: Tensor, padding: int, counts: Sequence[int], kernel: int, stride: int) -> Tensor:
    """Patches of side `kernel` of maps [N, H, W, C], zeros around them: [N·counts, kernel²·C]."""
    after = [
        (c - 1) * stride + kernel - padding - s
        for c, s in zip(counts, maps.shape[1:3], strict=True)
    ]
    # negative padding crops
    maps = F.pad(maps, (0, 0, padding, after[1], padding, after[0]))
    return _windows(maps, (0, 0), counts, (kernel, kernel), stride)


def _windows(
    maps: Tensor, start: Sequence[int], counts: Sequence[int], taps: Sequence[int], stride: int
) -> Tensor:
    """Windows of sides `taps` of maps [N, H, W, C] from `start` on: [N·counts, taps·C].

    They are valid until the next call in the same thread.
    """
    number, channels = len(maps), maps.shape[3]
    plane, row, cell, _ = maps.stride()
    windows = maps.as_strided(
        (number, *counts, *taps, channels),
        (plane, row * stride, cell * stride, row, cell, 1),
        maps.storage_offset() + start[0] * row + start[1] * cell,
    )
    rows = _SCRATCH.take(windows.numel(), maps.dtype).view(windows.shape)
    return rows.copy_(windows).view(-1, taps[0] * taps[1] * channels)


class _Scratch(threading.local):
    """Memory that is used again and again, as large as its largest use.

    Fresh memory of that size is mapped page by page, which takes longer than copying patches into it.
    """

    def __init__(self) -> None:
        self._bytes = torch.empty(0, dtype=torch.uint8)

    def take(self, count: int, kind: torch.dtype) -> Tensor:
        """Uninitialized [count] of dtype `kind`, which shares its memory with all others taken."""
        size = count * kind.itemsize
        if len(self._bytes) < size:
            with torch.inference_mode(False):
                self._bytes = torch.empty(size, dtype=torch.uint8)
        return self._bytes[:size].view(kind)


_SCRATCH = _Scratch()


def _channels_last(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Uninitialized channels-last maps [N, channels, height, width].

    Not a view of a larger tensor, because activations change them in place.
    """
    shape = (len(like), channels, height, width)
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _to_nhwc(maps: Tensor) -> Tensor:
    """[N, C, H, W] as a contiguous [N, H, W, C]: no copy if memory is channels-last."""
    return maps.permute(0, 2, 3, 1).contiguous()


def _output_side(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1
