"""The maximal responses of discriminator feature maps, and what in the images causes them.

Paper §6.2, Fig. 5: the maximal responses of single maps ("axis-aligned"), each backpropagated to
the image from its own location.

Batch norm uses statistics that are re-estimated on the images, in every network: random filters
have no other statistics, and all networks are to be compared.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_cli.analysis.features import IMAGES_PER_BATCH
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.data.pixels import normalize, to_uint8
from dcgan_cli.errors import CheckpointError
from dcgan_cli.model.batch_norm_statistics import REFERENCE_BATCH, REFERENCE_BATCHES, reestimate
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import Rule, evaluating, guided
from dcgan_cli.report import Images

Integers = NDArray[np.int64]

PALE = 0.3
"""How much of an image's contrast is left outside the receptive field on the image grid."""

BRIGHT = 0.99
"""The quantile of the magnitudes of a visualization that is shown at full contrast."""


def chunks(count: int) -> int:
    """The number of batches for `count` images."""
    return math.ceil(count / IMAGES_PER_BATCH)


@dataclass(frozen=True, eq=False)
class Maxima:
    """The images to which each of F maps responds most, the largest response first.

    Attributes:
        response: float32 [F, top], normalized responses, before LeakyReLU.
        image: int64 [F, top], numbers in the image set; no number twice in a row.
        place: int64 [F, top, 2], row and column of the response in the map.
    """

    response: NDArray[np.float32]
    image: Integers
    place: Integers


def trunk(discriminator: Discriminator, layer: int) -> nn.Sequential:
    """The discriminator up to the normalized responses of convolution `layer`, counted from 1.

    It ends before that layer's own LeakyReLU, which keeps the order, so that a negative response
    has a gradient by every rule. The modules are the discriminator's own.
    """
    *below, last = cast("list[nn.Sequential]", list(discriminator.layers)[:layer])
    return nn.Sequential(*below, last[:-1])


@dataclass(frozen=True, eq=False)
class MaximaSearch:
    """What convolution `layer`, from 1, of networks of one architecture responds to in `images`.

    `rule` says how gradients pass LeakyReLU; `step` is called for every network that was made
    ready, and every chunk that was looked at.
    """

    images: DecodedImages
    config: ModelConfig
    layer: int
    rule: Rule
    device: torch.device
    step: Callable[[], None] = lambda: None

    @property
    def width(self) -> int:
        """Maps of the layer."""
        return self.config.discriminator_widths[self.layer - 1]

    def normalized(self, numbers: Integers) -> Tensor:
        """Images `numbers` as [N, C, S, S] in [−1, 1] on the device."""
        return normalize(torch.from_numpy(self.images.take(numbers)).to(self.device))

    def network(self, discriminator: Discriminator) -> nn.Sequential:
        """A copy on the device, its statistics re-estimated, up to the responses of the layer."""
        network = copy.deepcopy(discriminator).to(self.device)
        count = min(len(self.images), REFERENCE_BATCH * REFERENCE_BATCHES)
        spread = np.arange(count) * len(self.images) // count
        starts = range(0, count, REFERENCE_BATCH)
        reestimate(network, (self.normalized(spread[at : at + REFERENCE_BATCH]) for at in starts))
        self.step()
        return trunk(network, self.layer)

    def view(self, numbers: Integers, maps: Integers, places: Integers) -> "MaximaBatch":
        """Images `numbers` [N], each with the map [N] and the place [N, 2] of a response."""
        fields = receptive_fields(self.config, self.layer, places)
        return MaximaBatch(self.normalized(numbers), numbers, maps, places, fields)

    def views(self, maxima: Maxima) -> Iterator["MaximaBatch"]:
        """All of `maxima` in chunks, map by map."""
        maps, top = maxima.image.shape
        numbers, places = maxima.image.reshape(-1), maxima.place.reshape(-1, 2)
        owners = np.repeat(np.arange(maps), top)
        for start in range(0, len(numbers), IMAGES_PER_BATCH):
            part = slice(start, start + IMAGES_PER_BATCH)
            yield self.view(numbers[part], owners[part], places[part])
            self.step()


@dataclass(frozen=True, eq=False)
class MaximaBatch:
    """Images [N, C, S, S] in [−1, 1] and their `numbers` [N] in the image set, each with a response.

    Whose it is, `maps` [N], its row and column, `places` [N, 2], and its field, bool [N, S, S].
    """

    normalized: Tensor
    numbers: Integers
    maps: Integers
    places: Integers
    fields: NDArray[np.bool_]


@torch.no_grad()
def find_maxima(
    scene: MaximaSearch, networks: Sequence[nn.Sequential], maps: int, top: int
) -> list[Maxima]:
    """The `top` images for each of the first `maps` maps of every one of `networks`.

    The images are read once, in chunks. Of an image only its largest response counts; of equal
    responses, the one of the earlier image.

    Raises CheckpointError where a response is not a finite number.
    """
    none = torch.empty(maps, 0, dtype=torch.int64, device=scene.device)
    best = [_Best(none.float(), none, none, 1) for _ in networks]
    for start in range(0, len(scene.images), IMAGES_PER_BATCH):
        numbers = np.arange(start, min(start + IMAGES_PER_BATCH, len(scene.images)))
        normalized = scene.normalized(numbers)
        for i, network in enumerate(networks):
            with evaluating(network):
                best[i] = best[i].merged(network(normalized)[:, :maps].float(), start, top)
        scene.step()
    return [found.maxima() for found in best]


@dataclass(frozen=True, eq=False)
class _Best:
    """The largest responses so far, [F, up to top] each; `place` counts row by row."""

    response: Tensor
    image: Tensor
    place: Tensor
    width: int

    def merged(self, maps: Tensor, first: int, top: int) -> "_Best":
        """After a look at `maps` [B, F, H, W] of the images from number `first` on."""
        response, place = maps.flatten(2).max(2)
        if not response.isfinite().all():
            raise CheckpointError(
                "the discriminator's responses are not finite numbers: the run had gone wrong "
                "when this was saved; take an earlier checkpoint"
            )
        numbers = torch.arange(first, first + len(maps), device=maps.device)
        responses = torch.cat((self.response, response.T), 1)
        images = torch.cat((self.image, numbers.expand_as(response.T)), 1)
        all_three = responses, images, torch.cat((self.place, place.T), 1)
        order = responses.argsort(stable=True, dim=1, descending=True)[:, :top]
        response, image, place = (each.gather(1, order) for each in all_three)
        return _Best(response, image, place, maps.shape[3])

    def maxima(self) -> Maxima:
        places = np.stack(np.divmod(self.place.cpu().numpy(), self.width), -1)
        return Maxima(self.response.cpu().numpy(), self.image.cpu().numpy(), places)


def visualize(network: nn.Sequential, view: MaximaBatch, rule: Rule) -> Tensor:
    """The contribution of each pixel of the images to each response of `view`, by `rule`.

    `network` ends at the responses (see `trunk`); its batch norm uses its stored statistics,
    forward and backward. Returns [N, C, S, S], signed; 0 outside the receptive fields (except with
    layer norm, which normalizes with the whole image).
    """
    rows, maps = torch.arange(len(view.maps)), torch.from_numpy(view.maps)
    row, column = torch.from_numpy(view.places).unbind(1)
    with torch.enable_grad(), evaluating(network), guided(network, rule):
        pixels = view.normalized.detach().requires_grad_()
        responses = network(pixels)[rows, maps, row, column]
        return torch.autograd.grad(responses.sum(), pixels)[0]


def receptive_fields(config: ModelConfig, layer: int, places: Integers) -> NDArray[np.bool_]:
    """The pixels that a response of `layer` (from 1) can depend on: [N, 2] → bool [N, S, S]."""
    # a convolution of stride 2 doubles the distance of neighbors, and reaches kernel − 1 of them
    step = 2**layer
    before = (config.kernel - 1) // 2 * (step - 1)
    length = (config.kernel - 1) * (step - 1) + 1
    starts = (places * step - before)[:, :, None]
    pixels = np.arange(config.size)
    inside = (starts <= pixels) & (pixels < starts + length)
    return inside[:, 0, :, None] & inside[:, 1, None, :]


Side = tuple[str, nn.Sequential, Maxima]
"""One side of Fig. 5: what it is called, the network, and its maxima."""


def draw_maxima(
    scene: MaximaSearch, sides: tuple[Side, Side], features: int
) -> tuple[Images, list[str]]:
    """The tiles of Fig. 5, and a caption for each.

    Two rows a map, visualizations above their images, which are pale outside the receptive field;
    an empty column between the sides. Gray is 0; each visualization is scaled by itself.
    """
    size = scene.config.size
    gap = np.full((1, size, size, scene.config.channels), 255, np.uint8)
    tiles: list[Images] = []
    captions: list[str] = []
    for number in range(features):
        left, right = (_drawn(scene, *side, number) for side in sides)
        for (some, said), (others, also_said) in zip(left, right, strict=True):
            tiles += [some, gap, others]
            captions += [*said, "", *also_said]
    return np.concatenate(tiles), captions


def _drawn(
    scene: MaximaSearch, name: str, network: nn.Sequential, maxima: Maxima, number: int
) -> tuple[tuple[Images, list[str]], tuple[Images, list[str]]]:
    """One map's visualizations with their responses, and its images with their numbers."""
    numbers = maxima.image[number]
    view = scene.view(numbers, np.full(len(numbers), number), maxima.place[number])
    fields, normalized = torch.from_numpy(view.fields)[:, None], view.normalized.cpu()
    seen = visualize(network, view, scene.rule).cpu()
    for tile, field in zip(seen, fields, strict=True):
        scale = tile[field.expand_as(tile)].abs().quantile(BRIGHT)
        tile.copy_(tile / scale if scale > 0 else torch.zeros_like(tile))
    pale = torch.where(fields, normalized, 1 - PALE * (1 - normalized))
    return (
        (to_uint8(seen), [f"{name} {response:.1f}" for response in maxima.response[number]]),
        (to_uint8(pale), [f"#{origin}" for origin in scene.images.origin[numbers]]),
    )


def list_maxima(
    scene: MaximaSearch, sides: tuple[Side, Side], features: int, name: Callable[[int], str]
) -> list[dict[str, Any]]:
    """Every maximum of the first `features` maps, for scripts; `name` is of an image's number."""
    return [
        {
            "network": network,
            "map": number,
            "rank": rank,
            "image": origin,
            "name": name(origin),
            "response": float(maxima.response[number, rank]),
            "row": int(maxima.place[number, rank, 0]),
            "column": int(maxima.place[number, rank, 1]),
        }
        for network, _, maxima in sides
        for number in range(features)
        for rank, origin in enumerate(scene.images.origin[maxima.image[number]].tolist())
    ]
