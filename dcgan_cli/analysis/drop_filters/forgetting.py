"""Forgetting to draw an object (paper §6.3.1, Fig. 6): images and measurements."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.drop_filters.drop_experiment import (
    Dose,
    DropExperiment,
    DropPlan,
    DropResult,
    FloatArray,
    measure_doses,
)
from dcgan_cli.analysis.drop_filters.filters import without
from dcgan_cli.analysis.verdicts import UNCLEAR, compare, percent
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import (
    SHARE,
    Beside,
    Estimate,
    Finding,
    ImageGrid,
    Part,
    Report,
    Stack,
    Table,
    Tiles,
    Words,
)
from dcgan_cli.wording import counted

COLUMNS = 12
"""Samples on the image grid."""

SHOWN = 6
"""The first of them, which the figure shows, as in the paper."""


def forget(
    setup: DropExperiment,
    plan: DropPlan,
    *,
    seed: int,
    columns: int = COLUMNS,
    progress: ProgressCallback = lambda done, total: None,
) -> Report:
    """Draw fresh samples of `seed` with and without the chosen maps, and measure both beside random maps.

    The report has the tables `Dose` and `Maps`, and the image grid `forgotten` of `columns` samples,
    those first in which the object is found.
    """
    doses = measure_doses(setup, plan, progress)
    dose = next(dose for dose in doses if dose.count == plan.chosen)
    ranking, config = plan.ranking, setup.sampler.generator.config
    chosen = ranking.order[: plan.chosen]
    facts: dict[str, Any] = {
        "checkpoint": setup.sampler.checkpoint,
        "object": setup.kind,
        "layer": ranking.layer,
        "feature_maps": len(ranking.weights),
        "chosen": chosen,
        "keep_only": plan.keep_only,
        "fresh_samples": len(setup.latents),
        "random_draws": len(dose.random),
        "size": config.size,
        "channels": config.channels,
        "bn": setup.sampler.bn,
        "ema": setup.sampler.average,
    }
    columns_of_maps = ranking.order, ranking.weights[ranking.order], ranking.contrast[ranking.order]
    weights = [*zip(*(np.asarray(one).tolist() for one in columns_of_maps), strict=True)]
    findings = _findings(setup, plan, dose)
    verdict = forgetting_verdict(setup.kind, plan, {each.key: each for each in findings})
    return Report(
        "Forgetting",
        facts,
        findings=findings,
        tables=(_curve(setup, doses), Table("Maps", ("map", "weight", "contrast"), weights)),
        grids=(_grid(setup, plan, dose, seed, columns, verdict),),
        verdict=verdict,
    )


def _findings(setup: DropExperiment, plan: DropPlan, dose: Dose) -> list[Finding]:
    """Every value beside random maps, with a prediction interval for one more random draw."""
    kind, own = setup.kind, dose.ranked

    def beside(
        key: str,
        label: str,
        value: Estimate,
        metric: Callable[[DropResult], float],
        low: float = 0.0,
        **how: Any,
    ) -> Finding:
        control = statistics.another(
            [metric(each) for each in dose.random], low, 1.0, "draws of maps"
        )
        how = {"unit": SHARE, **how}
        return Finding(key, label, value, control, "random maps", **how)

    def fall(outcome: DropResult) -> Estimate:
        after = statistics.ratio_of_shares(setup.found[kind], outcome.found[kind], "samples")
        return statistics.scaled(after, -1, 1)

    def share_after(key: str, label: str, name: str, better: str = "") -> Finding:
        there = own.found[name]
        value = statistics.share(int(there.sum()), len(there), "samples")
        how: dict[str, Any] = {"about": name, "better": better, "headline": True}
        return beside(key, label, value, lambda each: float(each.found[name].mean()), **how)

    before = statistics.share(int(setup.found[kind].sum()), len(setup.latents), "samples")
    learned = setup.detector.objects[kind].share
    all_there, control = f"samples with a {kind}, all maps there", "images trained on"
    less = "" if plan.keep_only else "down"
    decrease = f"decrease of the share of samples with a {kind}"
    rows = [
        Finding("found_before", all_there, before, learned, control, unit=SHARE, headline=True),
        share_after("found_after", f"samples with a {kind}, afterwards", kind, less),
        beside("fall", decrease, fall(own), lambda each: fall(each).value, -math.inf),
    ]
    good: dict[str, Any] = {"better": "up", "headline": True}
    if len(own.change):
        for side, where in enumerate((f"inside the {kind}", "outside")):
            key, label = ("change_inside", "change_outside")[side], f"change of pixels {where}"
            change = statistics.mean_within(own.change[:, side], unit="samples")
            of_side = partial(_mean_change, side)
            rows.append(beside(key, f"{label} (of black to white)", change, of_side))
        label = f"part of the change that is inside the {kind} (50 %: everywhere alike)"
        focus = _focus(own)
        rows.append(beside("focus", label, focus, lambda each: _focus(each).value, **good))
    scene = statistics.mean_within(own.scene, -1, 1, "samples")
    likeness = f"likeness of the scene to that before, without the {kind} (correlation)"
    unrelated = _unrelated(setup.unrelated_similarity()), "two different samples"
    label = f"how well the maps tell a {kind} from what else is at its place (AUC)"
    chance = Estimate(0.5), "chance"
    rows += [
        beside(
            "scene", likeness, scene, lambda each: float(each.scene.mean()), -1, unit="", **good
        ),
        Finding("scene_unrelated", likeness, scene, *unrelated, better="up"),
        Finding("maps_auc", label, plan.ranking.auc, *chance, **good),
    ]
    for name, found in setup.found.items():
        if name != kind:
            label = f"samples with a {name}, afterwards (before: {percent(float(found.mean()))})"
            rows.append(share_after(f"kept_{name}", label, name))
    return [*rows, *setup.detector.findings()]


def forgetting_verdict(kind: str, plan: DropPlan, found: Mapping[str, Finding]) -> str:
    """How often the object is found before and after, and whether random maps do as much."""
    before, after, fall = found["found_before"].value, found["found_after"], found["fall"].value
    random = after.control
    assert random is not None
    chosen = f"{plan.chosen} of {counted(len(plan.ranking.weights), 'map')}"
    doing, beside = (
        (f"with {chosen} kept alone", "with as many random maps kept alone")
        if plan.keep_only
        else (f"after {chosen} are dropped", "when as many random maps are dropped")
    )
    says = (
        f"{kind}: found in {percent(before.value)} of the samples before, {percent(after.value.value)} "
        f"{doing}; {percent(random.value)} {beside}"
    )
    differs = compare(after.value, random)
    if differs == 0:
        says += f" ({UNCLEAR} random maps)"
    elif differs > 0:
        says += " (found more often than with random maps)"
    return says if compare(fall, Estimate(0.0)) else f"{says}; no clear change"


def _mean_change(side: int, outcome: DropResult) -> float:
    return float(outcome.change[:, side].mean())


def _focus(outcome: DropResult) -> Estimate:
    """The mean change inside as a share of that inside and outside."""
    return statistics.ratio_within(outcome.change[:, 0], outcome.change.sum(1), unit="samples")


def _unrelated(likeness: FloatArray) -> Estimate:
    """The mean likeness of each sample to the next, with the wider interval of `chain_mean`."""
    found = statistics.mean_within(likeness, -1, 1, "chained samples, which count as half as many")
    if found.low is None or found.high is None:
        return found
    wider = 2**0.5
    low, high = (found.value + wider * (end - found.value) for end in (found.low, found.high))
    return Estimate(found.value, max(-1.0, low), min(1.0, high), found.n, found.kind)


def _curve(setup: DropExperiment, doses: list[Dose]) -> Table:
    """The object and the scene against the number of dropped maps, beside random maps."""
    rows: list[list[float | int]] = []
    for dose in doses:
        row: list[float | int] = [dose.count]
        for figure in (lambda o: o.found[setup.kind].mean(), lambda o: o.scene.mean()):
            random = [float(figure(outcome)) for outcome in dose.random]
            row += [float(figure(dose.ranked)), float(np.mean(random)), min(random), max(random)]
        rows.append(row)
    parts = ("", "_random", "_random_low", "_random_high")
    columns = [f"{name}{part}" for name in ("found", "scene") for part in parts]
    return Table("Dose", ("maps", *columns), rows)


def _grid(
    setup: DropExperiment, plan: DropPlan, dose: Dose, seed: int, columns: int, caption: str
) -> ImageGrid:
    """Samples, the same without the chosen maps, and without as many random ones (draw 0)."""
    shown = np.argsort(~setup.found[setup.kind], kind="stable")[:columns]
    latents = setup.latents[shown]
    layer = plan.ranking.layer
    rows = [
        setup.before[torch.from_numpy(shown)],
        without(setup.sampler, layer, plan.gone(plan.chosen), latents),
        without(setup.sampler, layer, plan.gone(plan.chosen, 0), latents),
    ]
    doing = "only" if plan.keep_only else "without"
    nowhere = np.full((2 * len(shown), latents.shape[1]), np.nan, np.float32)
    return ImageGrid(
        "forgotten",
        to_uint8(torch.cat(rows)),
        len(shown),
        row_labels=(
            "samples",
            f"{doing} {plan.chosen} {setup.kind} maps",
            f"{doing} {plan.chosen} random maps",
        ),
        provenance=setup.sampler.provenance(["sample"], seed, np.concatenate([latents, nowhere])),
        figure=_figure(setup, plan, dose, shown),
        caption=caption,
    )


def _figure(setup: DropExperiment, plan: DropPlan, dose: Dose, shown: NDArray[np.int64]) -> Part:
    """Fig. 6: a row before, one without the object's maps, one without random ones, and shares."""
    kind, columns = setup.kind, min(SHOWN, len(shown))
    corners = [setup.boxes.corners[setup.boxes.image == one].tolist() for one in shown[:columns]]
    doing = "kept alone" if plan.keep_only else "dropped"
    random = float(np.mean([outcome.found[kind].mean() for outcome in dose.random]))
    rows = (
        ("before", float(setup.found[kind].mean())),
        (f"{plan.chosen} {kind} maps {doing}", float(dose.ranked.found[kind].mean())),
        (f"{plan.chosen} random maps {doing}", random),
    )
    lines: list[Part] = []
    for row, (label, found) in enumerate(rows):
        first = row * len(shown)
        marked = {first + n: [(*one,) for one in places] for n, places in enumerate(corners)}
        words = [Words(label, "heading"), Words(f"{kind} found in {100 * found:.0f} %")]
        tiles = Tiles([list(range(first, first + columns))], boxes=marked)
        lines.append(Beside([tiles, Stack(words, align="start")]))
    return Stack(lines, align="start")
