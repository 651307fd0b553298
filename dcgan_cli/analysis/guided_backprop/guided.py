"""Guided backpropagation of the discriminator's features, with controls (paper §6.2, Fig. 5).

The maximal responses of the first maps of a layer are backpropagated to the images, for the trained
discriminator and for one of the same architecture with random filters. Such images look convincing
whether or not they depend on what was learned (Adebayo et al. 2018, arXiv 1810.03292), so they are
measured beside those of several random discriminators, and again while the layers of the trained
one are replaced by random ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch

from dcgan_cli.analysis.guided_backprop import maxima as search
from dcgan_cli.analysis.guided_backprop import saliency
from dcgan_cli.analysis.guided_backprop.defaults import DRAWS, FEATURES, MEASURED, TOP
from dcgan_cli.analysis.verdicts import UNCLEAR, compare, percent
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import SourceError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import RULES, Rule
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import (
    SHARE,
    TIMES,
    Beside,
    Estimate,
    Finding,
    ImageGrid,
    Part,
    Provenance,
    Report,
    Stack,
    Table,
    Tiles,
    Words,
)
from dcgan_cli.runtime import torch_stream
from dcgan_cli.wording import counted, counted_are

SAID: Mapping[Rule, str] = {
    "guided": "guided backpropagation: LeakyReLU is read as ReLU, a gradient passes where the "
    "unit's input was positive, and only if it is positive itself",
    "leaky": "guided backpropagation with the leak: negative gradients are cut, positive ones pass "
    "with LeakyReLU's own slope",
    "gradient": "the plain gradient",
}

Statistic = Callable[..., Estimate]

FILLED, OVERLAP = "share of the receptive field filled", "energy on objects / chance"
ON_OBJECTS = (f"inside {saliency.ANY}", f"area {saliency.ANY}")

METRICS: Mapping[str, tuple[str, Statistic, Sequence[str], tuple[float, float], str]] = {
    "concentration": (FILLED, saliency.mean_over_maps, ("filled",), (0.0, 1.0), SHARE),
    **{
        f"agreement_{a}_{b}": (
            label,
            partial(saliency.mean_over_maps, low=-1.0),
            (f"{a} {b}",),
            (-1, 1),
            "",
        )
        for a, b in combinations(RULES, 2)
        for label in (f"rank correlation, {a} and {b}",)
    },
    "overlap": (OVERLAP, saliency.lift_over_maps, ON_OBJECTS, (0.0, math.inf), TIMES),
}
"""By key: label, statistic, the measures it is of, its bounds, and its unit."""


@dataclass(frozen=True)
class Choice:
    """What is looked at, and how; `of` checks it.

    Of convolution `layer`, from 1, the first `features` maps are drawn with `top` images each, and
    the first `measured` give the values; gradients pass LeakyReLU by `rule` (see `hooks.guided`).
    `draws` random discriminators are measured; the first is drawn.
    """

    layer: int
    rule: Rule
    features: int
    top: int
    measured: int
    draws: int
    seed: int

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        layer: int | None = None,
        rule: str = "guided",
        features: int = FEATURES,
        top: int = TOP,
        measured: int = MEASURED,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> Self:
        """The choice for a network of `config`: the last layer where None is given.

        `measured` becomes at least `features`, and at most all maps there are; the other defaults
        are the paper's Fig. 5. Raises UsageError for a rule, layer or maps that do not exist.
        """
        layer = config.levels if layer is None else layer
        if not 1 <= layer <= config.levels:
            raise UsageError(
                f"--layer {layer}: this discriminator has {config.levels} convolution layers; "
                f"expected 1 to {config.levels}"
            )
        width = config.discriminator_widths[layer - 1]
        if not 1 <= features <= width:
            raise UsageError(
                f"--features {features}: layer {layer} has {counted(width, 'map')}; expected 1 to {width}"
            )
        if rule not in RULES:
            raise UsageError(f"--rule {rule}: expected one of {', '.join(RULES)}")
        if draws < 2:
            raise UsageError(f"--draws {draws}: expected 2 or more, to know how they differ")
        return cls(layer, rule, features, top, min(max(features, measured), width), draws, seed)


def guided_backprop(
    discriminator: Discriminator,
    images: DecodedImages,
    choice: Choice,
    *,
    checkpoint: str = "",
    boxes: Boxes | None = None,
    name: Callable[[int], str] = str,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Draw what the first `features` maps of a layer look at, and measure it beside random filters.

    The trained `discriminator` is on the CPU and is not changed. Its maximal responses are looked
    for among `images` of its size, whose source has `boxes` around known objects and calls image i
    `name(i)`. The image grid `guided-backprop` has two rows a map, visualizations above their
    images: left those of the random filters, right those of the trained discriminator.

    Raises:
        SourceError: fewer than `top` images.
        CheckpointError: the discriminator's responses are not finite.
    """
    rule, features, top = choice.rule, choice.features, choice.top
    if len(images) < top:
        raise SourceError(f"{counted_are(len(images), 'image')} fewer than --top {top}; add images")
    config = discriminator.config
    networks, looks = 1 + choice.draws + choice.layer, 2 + choice.draws
    total = networks + search.chunks(len(images)) + looks * search.chunks(choice.measured * top)
    steps = iter(range(1, total + 1))
    step, where = lambda: progress(next(steps), total), device or torch.device("cpu")
    scene = search.MaximaSearch(images, config, choice.layer, rule, where, step)
    filters = [Discriminator(config) for _ in range(choice.draws)]
    for draw, network in enumerate(filters):
        initialize(network, torch_stream(choice.seed, "random filters", draw))
    trained, random = scene.network(discriminator), [scene.network(one) for one in filters]
    own, *others = search.find_maxima(scene, (trained, *random), choice.measured, top)
    kinds = saliency.boxes_by_kind(boxes, images)
    found = saliency.measure_saliency(scene, own, trained, random, kinds)
    control = [
        saliency.measure_saliency(scene, maxima, network, (trained,), kinds)
        for maxima, network in zip(others, random, strict=True)
    ]
    likenesses = {
        name: saliency.mean_over_maps(values, low=-1.0)
        for name, values in saliency.cascade(scene, own, discriminator, trained, filters[0]).items()
    }
    sides = (("random", random[0], others[0]), ("trained", trained, own))
    shown = f"the {counted(top, 'image')} to which"
    first = f"the first {counted(features, 'map')} of convolution layer {choice.layer}"
    facts = {
        "checkpoint": checkpoint,
        **asdict(choice),
        "images": len(images),
        "caption": (
            f"left random filters, right the trained discriminator: {shown} each of {first} responds "
            "most, pale outside the receptive field, and above each what its largest response owes "
            f"to every pixel, by {SAID[rule]}; gray is 0, and the {100 * search.BRIGHT:g}th percentile of "
            "a tile's magnitudes full contrast"
        ),
        "maxima": search.list_maxima(scene, sides, features, name),
    }
    tiles, captions = search.draw_maxima(scene, sides, features)
    command = f"--layer {choice.layer} --rule {rule} --features {features} --top {top}"
    nowhere = np.full((len(tiles), config.z_dim), np.nan, np.float32)
    grid = ImageGrid(
        "guided-backprop",
        tiles,
        columns=2 * top + 1,
        captions=captions,
        row_labels=[text for i in range(features) for text in (f"map {i} {rule}", "")],
        provenance=Provenance(checkpoint, f"guided-backprop {command}", choice.seed, nowhere),
        figure=_figure(features, top),
        caption=(
            f"{SAID[rule]}: {first}, a row each, at {shown} it responds most, among "
            f"{counted(len(images), 'image')}"
        ),
    )
    findings = _findings(found, control, likenesses, bool(kinds))
    return Report(
        "Guided backpropagation",
        facts,
        findings,
        _tables(found, control, likenesses, list(kinds)),
        grids=(grid,),
        notes=_notes(own, bool(kinds)),
        verdict=guided_verdict({each.key: each for each in findings}),
    )


def _figure(features: int, top: int) -> Part:
    """Fig. 5: the visualizations alone, a row a map; left random filters, right trained ones."""
    columns = 2 * top + 1

    def panel(heading: str, first: int) -> Part:
        starts = [2 * number * columns + first for number in range(features)]
        rows = [list(range(start, start + top)) for start in starts]
        return Stack([Words(heading, "heading"), Tiles(rows)])

    return Beside([panel("random filters", 0), panel("trained filters", top + 1)])


def _findings(
    found: saliency.Measured,
    control: Sequence[saliency.Measured],
    likenesses: Mapping[str, Estimate],
    boxes: bool,
) -> list[Finding]:
    """Every value of the trained discriminator beside its control."""
    findings: list[Finding] = []
    for key, (label, statistic, rows, bounds, unit) in METRICS.items():
        if boxes or key != "overlap":
            own, *random = (statistic(*(one[0][row] for row in rows)) for one in (found, *control))
            beside = (
                saliency.prediction_interval([one.value for one in random], *bounds),
                "random networks",
            )
            better, headline = "up" if key == "overlap" else "", not key.startswith("agreement")
            how: dict[str, Any] = {"unit": unit, "better": better, "headline": headline}
            findings.append(Finding(key, label, own, *beside, **how))
    if boxes:
        gain = saliency.prediction_interval(
            [a - b for a, b in saliency.same_places(found, control, saliency.ANY)]
        )
        label = "energy on objects, trained − random, same places"
        more = partial(Finding, unit=TIMES, better="up", headline=True)
        values = gain, Estimate(0.0), "no difference"
        findings.append(more("overlap_same_places", label, *values))
    stages = [name for name in likenesses if name != saliency.UNTOUCHED]
    less = partial(Finding, better="down", headline=True)
    for key, name in (("cascade_top", stages[0]), ("cascade_all", stages[-1])):
        label = f"rank correlation with itself once the layers {name} are random"
        same = likenesses[saliency.UNTOUCHED], "the next map instead"
        findings.append(less(key, label, likenesses[name], *same))
    return findings


def guided_verdict(found: Mapping[str, Finding]) -> str:
    """Whether trained filters look at known objects, or fill their field, as random ones do not."""
    if "overlap" in found:
        own, random = found["overlap"].value, found["overlap"].control
        gain = found["overlap_same_places"]
        assert random is not None
        assert gain.control is not None
        looks = {
            1: "trained filters look at objects more than random ones",
            0: f"trained filters: {UNCLEAR} random ones in looking at objects",
            -1: "trained filters look at objects less than random ones",
        }
        return (
            f"{looks[compare(gain.value, gain.control)]}: {own.value:.2f} times as much there as by chance, "
            f"random ones {random.value:.2f} times; at the same places {gain.value.value:+.2f}"
        )
    own, random = found["concentration"].value, found["concentration"].control
    assert random is not None
    fills = {
        1: "trained filters look at more of their field than random ones",
        0: f"trained filters: {UNCLEAR} random ones in how much of their field they look at",
        -1: "trained filters look at less of their field than random ones",
    }
    return f"{fills[compare(own, random)]}: {percent(own.value)} of it, random ones {percent(random.value)}"


def _tables(
    found: saliency.Measured,
    control: Sequence[saliency.Measured],
    likenesses: Mapping[str, Estimate],
    kinds: list[str],
) -> list[Table]:
    """Every kind of object, and every stage of the cascade."""
    objects: list[tuple[str | float | None, ...]] = []
    for kind in kinds:
        pairs = saliency.same_places(found, control, kind)
        gain = saliency.prediction_interval([a - b for a, b in pairs])
        means = (saliency.finite_mean(found[0][f"area {kind}"]), *np.mean(pairs, 0).tolist())
        objects.append((kind, *means, gain.value, gain.low, gain.high))
    stages = [(name, like.value, like.low, like.high) for name, like in likenesses.items()]
    columns = ("random layers", "rank correlation", "low", "high")
    tables = [Table("Cascading randomization", columns, stages)]
    if objects:
        columns = ("object", "area", "trained", "random", "difference", "low", "high")
        title = "Energy on objects / chance, at the same places"
        tables.insert(0, Table(title, columns, objects, "energy_on_objects"))
    return tables


def _notes(maxima: search.Maxima, boxes: bool) -> list[str]:
    """What the values leave out."""
    notes: list[str] = []
    if silent := int((maxima.response[:, 0] <= 0).sum()):
        notes.append(
            f"{silent} of the {counted(len(maxima.response), 'map')} measured respond to no image"
        )
    if not boxes:
        notes.append("no boxes of objects are known here: --labels FILE.csv adds some")
    return notes
