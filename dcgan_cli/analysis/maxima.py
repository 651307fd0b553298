"""Where feature maps of a discriminator respond most, and what in the pictures they respond to there.

Paper §6.2: the maximal responses of single maps ("axis-aligned"), each carried back to the picture
from its own place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_cli.data.pictures import PictureSet
from dcgan_cli.data.pixels import to_signed
from dcgan_cli.errors import CheckpointError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.taps import Rule, evaluating, guided

Integers = NDArray[np.int64]

CHUNK = 128
"""Pictures that are looked at in one pass."""


@dataclass(frozen=True, eq=False)
class Maxima:
    """The pictures to which each of F maps responds most, the largest response first.

    Attributes:
        response: float32 [F, top], normalised responses, before LeakyReLU.
        picture: int64 [F, top], numbers in the picture set; no number twice in a row.
        place: int64 [F, top, 2], row and column of the response in the map.
    """

    response: NDArray[np.float32]
    picture: Integers
    place: Integers


def trunk(discriminator: Discriminator, layer: int) -> nn.Sequential:
    """The discriminator up to the normalised responses of convolution `layer`, counted from 1.

    It ends before that layer's own LeakyReLU, which keeps the order: the maxima are the same on
    both sides of it. Where a response is positive its gradient is the same too; where it is
    negative, it still has one by every rule. The modules are the discriminator's own.
    """
    *below, last = cast("list[nn.Sequential]", list(discriminator.layers)[:layer])
    return nn.Sequential(*below, last[:-1])


@torch.no_grad()
def find_maxima(
    trunks: Sequence[nn.Sequential],
    pictures: PictureSet,
    maps: int,
    top: int,
    step: Callable[[], None] = lambda: None,
) -> list[Maxima]:
    """The `top` pictures for each of the first `maps` maps of every one of `trunks`.

    The pictures are read once, in chunks. Of a picture only its largest response counts; of equal
    responses, the one of the earlier picture. `step` is called after every chunk.

    Raises CheckpointError where a response is not a finite number.
    """
    device = next(trunks[0].parameters()).device
    best = [_Best.none(maps, device) for _ in trunks]
    for start in range(0, len(pictures), CHUNK):
        numbers = np.arange(start, min(start + CHUNK, len(pictures)))
        signed = to_signed(torch.from_numpy(pictures.take(numbers)).to(device))
        for i, network in enumerate(trunks):
            with evaluating(network):
                best[i] = best[i].merged(network(signed)[:, :maps].float(), start, top)
        step()
    return [found.maxima() for found in best]


@dataclass(frozen=True, eq=False)
class _Best:
    """The largest responses so far, [F, up to top] each; `place` counts row by row."""

    response: Tensor
    picture: Tensor
    place: Tensor
    width: int

    @classmethod
    def none(cls, maps: int, device: torch.device) -> "_Best":
        whole = torch.empty(maps, 0, dtype=torch.int64, device=device)
        return cls(torch.empty(maps, 0, device=device), whole, whole, 1)

    def merged(self, maps: Tensor, first: int, top: int) -> "_Best":
        """After a look at `maps` [B, F, H, W] of the pictures from number `first` on."""
        response, place = maps.flatten(2).max(2)
        if not response.isfinite().all():
            raise CheckpointError(
                "the discriminator's responses are not finite numbers: the run had gone wrong "
                "when this was saved; take an earlier checkpoint"
            )
        numbers = torch.arange(first, first + len(maps), device=maps.device)
        responses = torch.cat((self.response, response.T), 1)
        order = responses.argsort(stable=True, dim=1, descending=True)[:, :top]
        return _Best(
            responses.gather(1, order),
            torch.cat((self.picture, numbers.expand_as(response.T)), 1).gather(1, order),
            torch.cat((self.place, place.T), 1).gather(1, order),
            maps.shape[3],
        )

    def maxima(self) -> Maxima:
        places = np.stack(np.divmod(self.place.cpu().numpy(), self.width), -1)
        return Maxima(self.response.cpu().numpy(), self.picture.cpu().numpy(), places)


def visualise(
    network: nn.Sequential, signed: Tensor, maps: Integers, places: Integers, rule: Rule
) -> Tensor:
    """What single responses of a trunk owe to each pixel.

    Args:
        network: a trunk; batch norm uses the statistics that it holds, forward and backward.
        signed: pictures [N, C, S, S] in [−1, 1].
        maps: [N], the map of each picture whose response is carried back.
        places: [N, 2], its row and column.
        rule: how gradients pass LeakyReLU, see `taps.guided`.

    Returns:
        [N, C, S, S], signed; 0 outside the receptive field.
    """
    rows = torch.arange(len(maps))
    row, column = torch.from_numpy(places).unbind(1)
    with torch.enable_grad(), evaluating(network), guided(network, rule):
        pixels = signed.detach().requires_grad_()
        responses = network(pixels)[rows, torch.from_numpy(maps), row, column]
        return torch.autograd.grad(responses.sum(), pixels)[0]


def receptive_fields(config: ModelConfig, layer: int, places: Integers) -> NDArray[np.bool_]:
    """The pixels that a response of `layer` (from 1) can depend on: [N, 2] → bool [N, S, S]."""
    # a convolution of stride 2 doubles the distance of neighbours, and reaches kernel − 1 of them
    step = 2**layer
    before = (config.kernel - 1) // 2 * (step - 1)
    length = (config.kernel - 1) * (step - 1) + 1
    starts = (places * step - before)[:, :, None]
    pixels = np.arange(config.size)
    inside = (starts <= pixels) & (pixels < starts + length)
    return inside[:, 0, :, None] & inside[:, 1, None, :]
