"""What the discriminator's features look at (paper §6.2, Fig. 5): guided backpropagation, and its controls.

The maximal responses of a layer's first maps are carried back to the pictures, for the trained
discriminator and for one of the same architecture with random filters. Such pictures persuade
whether or not they depend on what was learnt (Adebayo et al. 2018, arXiv 1810.03292), so they are
measured beside the random filters, and again while the trained ones are randomised layer by layer.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from dcgan_cli.analysis.maxima import BRIGHT, Maxima, Scene, Side, draw_maxima, find_maxima
from dcgan_cli.analysis.saliency import (
    ANY,
    UNTOUCHED,
    Numbers,
    Rows,
    boxes_by_kind,
    cascade,
    finite_mean,
    lift,
    measure,
    over_maps,
)
from dcgan_cli.data.labels import Boxes
from dcgan_cli.data.pictures import PictureSet
from dcgan_cli.errors import SourceError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialise
from dcgan_cli.model.taps import RULES, Rule
from dcgan_cli.report import Estimate, Finding, Provenance, Report, Sheet, Table
from dcgan_cli.runtime import torch_stream

FEATURES, TOP = 6, 5
"""The paper's Fig. 5."""

MEASURED = 64
"""Maps that the figures are taken over; six would leave wide intervals."""

SAID: Mapping[Rule, str] = {
    "guided": "guided backpropagation: LeakyReLU is read as ReLU, a gradient passes where the "
    "unit's input was positive, and only if it is positive itself",
    "leaky": "guided backpropagation with the leak: negative gradients are cut, positive ones pass "
    "with LeakyReLU's own slope",
    "gradient": "the plain gradient",
}


FILTERS = "random filters"

MEANS = {
    "filled": ("concentration", "share of the receptive field filled"),
    **{
        f"{some} {others}": (f"agreement_{some}_{others}", f"rank correlation, {some} and {others}")
        for some, others in combinations(RULES, 2)
    },
}
"""Measures of which the mean is a figure: its key and label."""

LIFTS = {
    "overlap": "energy on objects / chance",
    "overlap_same_places": "energy on objects / chance, same places",
}

Pair = tuple[Numbers, Numbers]
"""Shares of the energy and of the area that lie inside boxes, [F, top] each."""


def guided_backprop(
    discriminator: Discriminator,
    pictures: PictureSet,
    *,
    checkpoint: str = "",
    layer: int | None = None,
    features: int = FEATURES,
    top: int = TOP,
    measured: int = MEASURED,
    rule: str = "guided",
    seed: int = 0,
    boxes: Boxes | None = None,
    name: Callable[[int], str] = str,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Draw what the first `features` maps of a layer look at, and measure it beside random filters.

    Args:
        discriminator: the trained one, on the CPU; it is not changed.
        pictures: among which the maximal responses are looked for, of the discriminator's size.
        checkpoint: the hash of the model, for the record inside the sheet.
        layer: which convolution, from 1; None is the last.
        features: maps that are drawn, the first of the layer.
        top: pictures of each map.
        measured: maps that the figures are taken over, the first of the layer; at least `features`,
            at most all there are.
        rule: how gradients pass LeakyReLU, see `taps.guided`.
        seed: of the random filters.
        boxes: known objects in the source of `pictures`, as the source has them.
        name: what picture i of the source is called.
        device: where to calculate.
        progress: told how many chunks of pictures are done.

    Returns:
        A report whose sheet `guided-backprop` has two rows a map, visualisations above their
        pictures: left those of the random filters, right those of the trained discriminator.

    Raises:
        UsageError: there is no such rule or layer, or it has fewer maps.
        SourceError: fewer than `top` pictures.
        CheckpointError: the discriminator's responses are not finite.
    """
    config = discriminator.config
    layer = config.levels if layer is None else layer
    chosen = _checked(config, layer, features, rule)
    if len(pictures) < top:
        raise SourceError(f"{len(pictures)} pictures are fewer than --top {top}; add pictures")
    measured = min(max(features, measured), config.discriminator_widths[layer - 1])
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, scene.chunks(3 * measured * top))

    scene = Scene(pictures, config, layer, chosen, device or torch.device("cpu"), step)
    filters = Discriminator(config)
    initialise(filters, torch_stream(seed, "random filters"))
    random, trained = scene.network(filters), scene.network(discriminator)
    of_random, of_trained = find_maxima(scene, (random, trained), measured, top)
    kinds = boxes_by_kind(boxes, pictures)
    rows = measure(scene, of_trained, trained, random, kinds)
    control = measure(scene, of_random, random, trained, kinds)
    likenesses = {
        name: over_maps(finite_mean, values)
        for name, values in cascade(scene, of_trained, discriminator, seed).items()
    }
    sides = (("random", random, of_random), ("trained", trained, of_trained))
    caption = (
        f"left random filters, right the trained discriminator: the {top} pictures to which each of "
        f"the first {features} maps of convolution layer {layer} responds most, pale outside the "
        "receptive field, and above each what its largest response owes to every pixel, by "
        f"{SAID[chosen]}; grey is 0, and the {100 * BRIGHT:g}th percentile of a tile's magnitudes "
        "full contrast"
    )
    command = ["--layer", layer, "--rule", chosen, "--features", features, "--top", top]
    tiles, captions = draw_maxima(scene, sides, features)
    return Report(
        "Guided backpropagation",
        {
            "checkpoint": checkpoint,
            "seed": seed,
            "layer": layer,
            "rule": chosen,
            "features": features,
            "top": top,
            "measured": measured,
            "pictures": len(pictures),
            "caption": caption,
            "maxima": _listed(sides, features, pictures, name),
        },
        findings=_findings(rows, control, likenesses, bool(kinds)),
        tables=_tables(rows, control, likenesses, list(kinds)),
        sheets=(
            Sheet(
                "guided-backprop",
                tiles,
                columns=2 * top + 1,
                captions=captions,
                row_labels=[text for i in range(features) for text in (f"map {i} {chosen}", "")],
                provenance=Provenance(
                    checkpoint,
                    shlex.join(["guided-backprop", *map(str, command)]),
                    seed,
                    np.full((len(tiles), config.z_dim), np.nan, np.float32),
                ),
            ),
        ),
        notes=(caption, *_notes(of_trained, rows, control, bool(kinds))),
    )


def _checked(config: ModelConfig, layer: int, features: int, rule: str) -> Rule:
    """The rule that is meant. Raises UsageError for what cannot be meant."""
    if not 1 <= layer <= config.levels:
        raise UsageError(
            f"--layer {layer}: this discriminator has {config.levels} convolution layers; "
            f"expected 1 to {config.levels}"
        )
    width = config.discriminator_widths[layer - 1]
    if not 1 <= features <= width:
        raise UsageError(
            f"--features {features}: layer {layer} has {width} maps; ask for 1 to {width}"
        )
    for known in RULES:
        if known == rule:
            return known
    raise UsageError(f"--rule {rule}: expected one of {', '.join(RULES)}")


def _listed(
    sides: Sequence[Side], features: int, pictures: PictureSet, name: Callable[[int], str]
) -> list[dict[str, Any]]:
    """Every maximum that is drawn, for scripts."""
    return [
        {
            "network": network,
            "map": number,
            "rank": rank,
            "picture": origin,
            "name": name(origin),
            "response": float(maxima.response[number, rank]),
            "row": int(maxima.place[number, rank, 0]),
            "column": int(maxima.place[number, rank, 1]),
        }
        for network, _, maxima in sides
        for number in range(features)
        for rank, origin in enumerate(pictures.origin[maxima.picture[number]].tolist())
    ]


def _findings(
    trained: Rows, control: Rows, likenesses: Mapping[str, Estimate], boxes: bool
) -> list[Finding]:
    """Every figure of the trained discriminator beside its control."""
    found = [
        Finding(
            key,
            label,
            over_maps(finite_mean, trained[row]),
            over_maps(finite_mean, control[row]),
            FILTERS,
        )
        for row, (key, label) in MEANS.items()
    ]
    overlaps = _overlaps(trained, control, ANY) if boxes else {}
    found += [
        Finding(key, LIFTS[key], over_maps(lift, *own), over_maps(lift, *others), FILTERS)
        for key, (own, others) in overlaps.items()
    ]
    stages = [name for name in likenesses if name != UNTOUCHED]
    found += [
        Finding(key, f"likeness, layers {name} randomised", likenesses[name], same, "another map")
        for key, name in (("cascade_top", stages[0]), ("cascade_all", stages[-1]))
        for same in (likenesses[UNTOUCHED],)
    ]
    return found


def _overlaps(trained: Rows, control: Rows, kind: str) -> dict[str, tuple[Pair, Pair]]:
    """Shares of energy and area inside boxes, of the trained network and of random filters.

    `overlap`: each where it responds most. `overlap_same_places`: both at all of these places.
    """
    area, inside, guest = f"area {kind}", f"inside {kind}", f"guest inside {kind}"
    areas = np.concatenate((trained[area], control[area]), 1)
    return {
        "overlap": ((trained[inside], trained[area]), (control[inside], control[area])),
        "overlap_same_places": (
            (np.concatenate((trained[inside], control[guest]), 1), areas),
            (np.concatenate((trained[guest], control[inside]), 1), areas),
        ),
    }


def _tables(
    trained: Rows, control: Rows, likenesses: Mapping[str, Estimate], kinds: Sequence[str]
) -> list[Table]:
    """Differences with their intervals, every kind of object, and every stage of the cascade."""
    columns = ("figure", "difference", "low", "high")
    differences = {
        label: over_maps(lambda a, b: finite_mean(a) - finite_mean(b), trained[row], control[row])
        for row, (_, label) in MEANS.items()
    }
    objects: list[tuple[str | float | None, ...]] = []
    for kind in kinds:
        overlaps = _overlaps(trained, control, kind)
        gains = {key: _gain(*sides) for key, sides in overlaps.items()}
        if kind == ANY:
            differences |= {LIFTS[key]: gain for key, gain in gains.items()}
        own, others = overlaps["overlap_same_places"]
        gain = gains["overlap_same_places"]
        shown = (finite_mean(own[1]), lift(*own), lift(*others), gain.value, gain.low, gain.high)
        objects.append((kind, *shown))
    tables = [
        Table(
            "Trained minus random filters",
            columns,
            [(name, gain.value, gain.low, gain.high) for name, gain in differences.items()],
        ),
        Table(
            "Likeness after cascading randomisation",
            ("layers randomised", "rank correlation", "low", "high"),
            [(name, like.value, like.low, like.high) for name, like in likenesses.items()],
        ),
    ]
    if objects:
        names = ("object", "share of area", "trained", "random", "difference", "low", "high")
        tables.insert(1, Table("Energy on objects, same places", names, objects))
    return tables


def _gain(own: Pair, others: Pair) -> Estimate:
    """How much larger the lift of `own` is; what is resampled are maps, so that pairs stay pairs."""
    return over_maps(lambda a, b, c, d: lift(a, b) - lift(c, d), *own, *others)


def _notes(maxima: Maxima, trained: Rows, control: Rows, boxes: bool) -> list[str]:
    """What the figures say in words."""
    notes: list[str] = []
    if silent := int((maxima.response[:, 0] <= 0).sum()):
        notes.append(f"{silent} of {len(maxima.response)} maps measured respond to no picture")
    if not boxes:
        return [*notes, "no boxes of objects are known here: --labels FILE.csv adds some"]
    gain = _gain(*_overlaps(trained, control, ANY)["overlap_same_places"])
    if gain.low is None or gain.high is None:
        return notes
    says = (
        "more than" if gain.low > 0 else "less than" if gain.high < 0 else "not clearly more than"
    )
    notes.append(
        f"at the same places the trained discriminator looks at known objects {says} random "
        f"filters: {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    )
    return notes
