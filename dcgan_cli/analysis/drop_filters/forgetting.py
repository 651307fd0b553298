"""Forgetting to draw an object (paper §6.3.1, Fig. 6): the images, and what they show by measure."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.drop_filters.drop_experiment import (
    Dose,
    DropExperiment,
    DropPlan,
    DropResult,
    FloatArray,
    measure_doses,
)
from dcgan_cli.analysis.drop_filters.filters import without
from dcgan_cli.analysis.statistics import (
    another,
    mean_within,
    ratio_of_shares,
    ratio_within,
    scaled,
    share,
)
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import (
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
    """Draw with and without the chosen maps, and measure both beside random maps.

    Args:
        setup: fresh samples.
        plan: which maps go.
        seed: of the experiment's latents.
        columns: samples on the image grid: those first in which the object is found.
        progress: told how much of the dose curve is measured.

    Returns:
        A report with the image grid `forgotten` and the tables `Dose` and `Maps`.
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
    weights = [
        [number, float(ranking.weights[number]), float(ranking.contrast[number])]
        for number in ranking.order
    ]
    return Report(
        "Forgetting",
        facts,
        findings=_findings(setup, plan, dose),
        tables=(_curve(setup, doses), Table("Maps", ("map", "weight", "contrast"), weights)),
        grids=(_grid(setup, plan, dose, seed, columns),),
        notes=(_summary(setup, plan, dose),),
    )


def _findings(setup: DropExperiment, plan: DropPlan, dose: Dose) -> list[Finding]:
    """Every value beside random maps: where one more draw of maps would fall."""
    kind, own = setup.kind, dose.ranked

    def beside(
        key: str,
        label: str,
        value: Estimate,
        figure: Callable[[DropResult], float],
        low: float = 0.0,
    ) -> Finding:
        found = [figure(outcome) for outcome in dose.random]
        control = another(found, low, 1.0, "draws of maps")
        return Finding(key, label, value, control, "random maps")

    def fall(outcome: DropResult) -> Estimate:
        after = ratio_of_shares(setup.found[kind], outcome.found[kind], "samples")
        return scaled(after, -1, 1)

    def share_after(key: str, label: str, name: str) -> Finding:
        there = own.found[name]
        value = share(int(there.sum()), len(there), "samples")
        found = beside(key, label, value, lambda outcome: float(outcome.found[name].mean()))
        return replace(found, about=name)

    before = share(int(setup.found[kind].sum()), len(setup.latents), "samples")
    learned = setup.detector.objects[kind].share
    rows = [
        Finding(
            "maps_auc",
            f"the maps tell a {kind} from what else is at its place (AUC)",
            plan.ranking.auc,
            Estimate(0.5),
            "chance",
        ),
        Finding(
            "found_before", f"a {kind} is found, all maps there", before, learned, "trained on"
        ),
        share_after("found_after", f"a {kind} is found afterwards", kind),
        beside(
            "fall",
            "fall of that share",
            fall(own),
            lambda outcome: fall(outcome).value,
            -math.inf,
        ),
    ]
    if len(own.change):
        rows += [
            beside(
                "change_inside",
                f"change inside the {kind} (share of black to white)",
                mean_within(own.change[:, 0], unit="samples"),
                lambda outcome: float(outcome.change[:, 0].mean()),
            ),
            beside(
                "change_outside",
                "change outside",
                mean_within(own.change[:, 1], unit="samples"),
                lambda outcome: float(outcome.change[:, 1].mean()),
            ),
            beside(
                "focus",
                "inside / (inside + outside), 0.5 is everywhere alike",
                _focus(own.change),
                lambda outcome: _focus(outcome.change).value,
            ),
        ]
    scene = mean_within(own.scene, -1, 1, "samples")
    rows += [
        beside(
            "scene",
            "likeness of the scene outside (correlation)",
            scene,
            lambda outcome: float(outcome.scene.mean()),
            -1.0,
        ),
        Finding(
            "scene_strangers",
            "the same",
            scene,
            _strangers(setup.unrelated_similarity()),
            "two different samples",
        ),
    ]
    for name, found in setup.found.items():
        if name != kind:
            label = f"a {name} is found afterwards (before: {found.mean():.1%})"
            rows.append(share_after(f"kept_{name}", label, name))
    return [*rows, *setup.detector.findings()]


def _focus(change: FloatArray) -> Estimate:
    """The mean of column 0 as a share of both columns' means."""
    return ratio_within(change[:, 0], change.sum(1), unit="samples")


def _strangers(likeness: FloatArray) -> Estimate:
    """The mean likeness of each sample to the next: neighbors in a row share a sample.

    That doubles the variance of a mean at most (see `statistics.chain_mean`); it counts as half as
    many.
    """
    found = mean_within(likeness, -1, 1, "chained samples, which count as half as many")
    if found.low is None or found.high is None:
        return found
    wider = 2**0.5
    low, high = (found.value + wider * (end - found.value) for end in (found.low, found.high))
    return Estimate(found.value, max(-1.0, low), min(1.0, high), found.n, found.kind)


def _curve(setup: DropExperiment, doses: list[Dose]) -> Table:
    """The object and the scene against the number of maps, beside the draws of random ones."""
    rows: list[list[float | int]] = []
    for dose in doses:
        row: list[float | int] = [dose.count]
        for figure in (lambda o: o.found[setup.kind].mean(), lambda o: o.scene.mean()):
            random = [float(figure(outcome)) for outcome in dose.random]
            row += [float(figure(dose.ranked)), float(np.mean(random)), min(random), max(random)]
        rows.append(row)
    columns = [
        f"{name}{part}"
        for name in ("found", "scene")
        for part in ("", "_random", "_random_low", "_random_high")
    ]
    return Table("Dose", ("maps", *columns), rows)


def _grid(setup: DropExperiment, plan: DropPlan, dose: Dose, seed: int, columns: int) -> ImageGrid:
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
        caption=_summary(setup, plan, dose),
    )


def _figure(setup: DropExperiment, plan: DropPlan, dose: Dose, shown: NDArray[np.int64]) -> Part:
    """Fig. 6: a row before, one without the object's maps, one without random ones, and shares.

    `shown` are the samples of the grid's columns.
    """
    kind, columns = setup.kind, min(SHOWN, len(shown))
    boxes = {
        column: [
            (x0, y0, x1, y1)
            for x0, y0, x1, y1 in setup.boxes.corners[setup.boxes.image == shown[column]].tolist()
        ]
        for column in range(columns)
    }
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
        marked = {first + column: places for column, places in boxes.items()}
        words = [Words(label, "heading"), Words(f"{kind} found in {100 * found:.0f} %")]
        tiles = Tiles([list(range(first, first + columns))], boxes=marked)
        lines.append(Beside([tiles, Stack(words, align="start")]))
    return Stack(lines, align="start")


def _summary(setup: DropExperiment, plan: DropPlan, dose: Dose) -> str:
    """The outcome in a sentence."""
    kind = setup.kind
    random = np.mean([outcome.found[kind].mean() for outcome in dose.random])
    return (
        f"{'keeping only' if plan.keep_only else 'without'} {plan.chosen} of "
        f"{counted(len(plan.ranking.weights), 'map')} a {kind} is found in "
        f"{dose.ranked.found[kind].mean():.1%} of the samples, with all in "
        f"{setup.found[kind].mean():.1%}, without as many random ones in {random:.1%}"
    )
