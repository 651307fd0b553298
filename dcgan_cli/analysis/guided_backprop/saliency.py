"""Measures of visualizations: how much they cover, on which objects, how similar they are.

A visualization is treated as energy: the squares of its values, summed over the channels. All
measures are restricted to the receptive field, because a response cannot depend on anything else.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from torch import nn

from dcgan_cli.analysis.guided_backprop.maxima import Maxima, MaximaBatch, MaximaSearch, visualize
from dcgan_cli.analysis.statistics import another, ratio, ratio_within
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.data.labels import Boxes
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import RULES, Rule
from dcgan_cli.report import Estimate

FloatArray = NDArray[np.float64]
Fields = NDArray[np.bool_]

ValuesByName = Mapping[str, FloatArray]
"""Measures by name, each [F, top]: a number for every maximum of every map."""

Parts = dict[str, list[FloatArray]]

Measured = tuple[ValuesByName, Sequence[ValuesByName]]
"""What `measure` found of a network, and of random networks."""

ANY = "any object"

UNTOUCHED = "none, but the next map"


def measure_saliency(
    scene: MaximaSearch,
    maxima: Maxima,
    home: nn.Sequential,
    random_networks: Sequence[nn.Sequential],
    boxes: Mapping[str, Boxes],
) -> Measured:
    """Measures of `home` at its own maxima, and of `random_networks` at the same images, maps and places.

    Of `home`: `filled`; `RULE RULE`, the rank correlation of two rules; and for each kind of
    `boxes` (see `boxes_by_kind`) the shares of area and energy inside, `area KIND` and `inside
    KIND`. Of each random network: `inside KIND`. NaN if there is no energy, or the image was not
    annotated.
    """
    own: Parts = defaultdict(list)
    visitors: list[Parts] = [defaultdict(list) for _ in random_networks]
    for view in scene.views(maxima):
        by_rule = {rule: energy(home, view, rule) for rule in RULES}
        own["filled"].append(filled(by_rule[scene.rule], view.fields))
        for some, others in combinations(RULES, 2):
            alike = likeness(by_rule[some], by_rule[others], view.fields)
            own[f"{some} {others}"].append(alike)
        inside = {k: inside_boxes(of, view.numbers, scene.config.size) for k, of in boxes.items()}
        for kind, mask in inside.items():
            own[f"area {kind}"].append(share_inside(view.fields.astype(np.float64), mask))
            own[f"inside {kind}"].append(share_inside(by_rule[scene.rule], mask))
        for row, random_network in zip(visitors, random_networks, strict=True) if boxes else ():
            seen = energy(random_network, view, scene.rule)
            for kind, mask in inside.items():
                row[f"inside {kind}"].append(share_inside(seen, mask))
    return _shaped(own, maxima), [_shaped(row, maxima) for row in visitors]


def cascade(
    scene: MaximaSearch,
    maxima: Maxima,
    discriminator: Discriminator,
    trained: nn.Sequential,
    filters: Discriminator,
) -> dict[str, FloatArray]:
    """How like its visualizations stay when ever more layers of `discriminator` become random.

    Spearman's rank correlation with those of `trained`, its network (see `MaximaSearch.network`), at the
    same images, maps and places, by the layers that were replaced by those of `filters`, from the
    top down (Adebayo et al. 2018, arXiv 1810.03292, §3.1). The first entry is for what two
    visualizations have in common anyway: nothing is replaced, but the map is another.
    """
    networks: dict[str, nn.Sequential] = {}
    changing = copy.deepcopy(discriminator)
    for number in range(scene.layer, 0, -1):
        changing.layers[number - 1] = filters.layers[number - 1]
        networks[", ".join(map(str, range(scene.layer, number - 1, -1)))] = scene.network(changing)
    rows: Parts = defaultdict(list)
    for view in scene.views(maxima):
        own = energy(trained, view, scene.rule)
        neighbor = replace(view, maps=(view.maps + 1) % scene.width)
        others = {UNTOUCHED: energy(trained, neighbor, scene.rule)}
        others |= {name: energy(network, view, scene.rule) for name, network in networks.items()}
        for name, other in others.items():
            rows[name].append(likeness(own, other, view.fields))
    return _shaped(rows, maxima)


def _shaped(rows: Parts, maxima: Maxima) -> dict[str, FloatArray]:
    return {k: np.concatenate(parts).reshape(maxima.image.shape) for k, parts in rows.items()}


def energy(network: nn.Sequential, view: MaximaBatch, rule: Rule) -> FloatArray:
    """The energy that each response of `view` owes to each pixel: [N, S, S], 0 or more.

    What reaches beyond the receptive fields, through layer norm alone, is left out.
    """
    seen = visualize(network, view, rule).cpu().double().square().sum(1).numpy()
    return np.where(view.fields, seen, 0.0)


def filled(energies: FloatArray, fields: Fields) -> FloatArray:
    """The share of the receptive field that the energy fills: [N] in (0, 1], NaN without energy.

    The participation ratio (Σe)² / Σe² counts the pixels that would hold the energy if all held the
    same; it is divided by the pixels of the field. 1 is even, near 0 is one pixel.
    """
    total, squares = energies.sum((1, 2)), np.square(energies).sum((1, 2))
    with np.errstate(invalid="ignore"):
        return total**2 / squares / fields.sum((1, 2))


def share_inside(energies: FloatArray, masks: FloatArray) -> FloatArray:
    """The share of the energy that lies inside `masks` [N, S, S] in [0, 1]: [N], NaN without energy."""
    with np.errstate(invalid="ignore"):
        return (energies * masks).sum((1, 2)) / energies.sum((1, 2))


def likeness(some: FloatArray, others: FloatArray, fields: Fields) -> FloatArray:
    """Spearman's rank correlation of two energies over the pixels of each field: [N] in [−1, 1].

    NaN where one of them is the same everywhere.
    """
    found = np.full(len(fields), np.nan)
    for i, field in enumerate(fields):
        ranks = [rankdata(energies[i][field]) for energies in (some, others)]
        first, second = (rank - rank.mean() for rank in ranks)
        norm = np.sqrt((first @ first) * (second @ second))
        if norm > 0:
            found[i] = first @ second / norm
    return found


def boxes_by_kind(boxes: Boxes | None, images: DecodedImages) -> dict[str, Boxes]:
    """Boxes of a source as they lie on its prepared images: all of them, and each kind's.

    Renumbered as in `images`, corners as fractions of the centered square, those outside it left
    out; empty where none is left.
    """
    if boxes is None:
        return {}
    boxes = boxes.take(images.origin)
    corners = images.corners(boxes.corners, boxes.image)
    there = ~np.isnan(corners).any(1)
    chosen = {ANY: there} if there.any() else {}
    chosen |= {str(kind): there & (boxes.kind == kind) for kind in np.unique(boxes.kind[there])}
    return {
        kind: Boxes(boxes.image[rows], boxes.kind[rows], corners[rows], boxes.seen)
        for kind, rows in chosen.items()
    }


def inside_boxes(boxes: Boxes, numbers: NDArray[np.int64], size: int) -> FloatArray:
    """How far each pixel of the images `numbers` [N] lies in a box: [N, size, size] in [0, 1].

    NaN in images where nobody looked for objects.
    """
    edges = np.arange(size)
    outside = np.ones((len(numbers), size, size))
    for row, number in enumerate(numbers):
        for x0, y0, x1, y1 in boxes.corners[boxes.image == number] * size:
            across, down = (
                np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1)
                for low, high in ((x0, x1), (y0, y1))
            )
            outside[row] *= 1 - down[:, None] * across
    outside[~boxes.seen[numbers]] = np.nan
    return 1 - outside


def mean_over_maps(values: FloatArray, low: float = 0.0, high: float = 1.0) -> Estimate:
    """The mean of the finite `values` [F, top], each in [low, high], with an interval over maps.

    Maps are what is independent: the images of one map were chosen by one filter and are alike.
    """
    there = np.isfinite(values)
    return ratio_within(np.where(there, values, 0).sum(1), there.sum(1), low, high, "maps")


def lift_over_maps(inside: FloatArray, area: FloatArray) -> Estimate:
    """`lift` of [F, top] with an interval over the F maps."""
    there = np.isfinite(inside) & np.isfinite(area)
    above, below = (np.where(there, values, 0).sum(1) for values in (inside, area))
    return ratio(above, below, "maps")


def finite_mean(values: FloatArray) -> float:
    """The mean of the finite values; NaN if there are none."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else math.nan


def lift(inside: FloatArray, area: FloatArray) -> float:
    """The mean share of the energy inside over that of the area; 1 is chance, NaN without objects.

    A ratio of means: that of one image has no bound where an object only just reaches into the field.
    """
    there = np.isfinite(inside) & np.isfinite(area)
    total = area[there].sum()
    return float(inside[there].sum() / total) if total > 0 else math.nan


def same_places(
    trained: Measured, control: Sequence[Measured], kind: str
) -> list[tuple[float, float]]:
    """For each random network the lifts of the trained and of the random one, at the maxima of both.

    `trained` was measured with all random networks, each of `control` with the trained one.
    """
    inside, area = f"inside {kind}", f"area {kind}"
    own, random_networks = trained
    pairs: list[tuple[float, float]] = []
    for (random, (visitor,)), random_network in zip(control, random_networks, strict=True):
        areas = np.concatenate((own[area], random[area]))
        both = ((own[inside], visitor[inside]), (random_network[inside], random[inside]))
        first, second = (lift(np.concatenate(parts), areas) for parts in both)
        pairs.append((first, second))
    return pairs


def prediction_interval(
    values: ArrayLike, low: float = -math.inf, high: float = math.inf
) -> Estimate:
    """`another` of K random networks: the maps of one share its lower layers."""
    return another(values, low, high, "random networks")
