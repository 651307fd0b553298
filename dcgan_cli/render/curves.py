"""The metrics of a run against its steps, and its samples at a few moments below: PNG, PDF or SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcgan_cli.render.lines import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SLIDE_DPI,
    encode_lines,
    new_figure,
    style_panel,
)
from dcgan_cli.render.png import GAP, MARGIN

OUTPUTS = (("d_real", "D(x)"), ("d_fake", "D(G(z))"), ("d_fake_after", "D(G(z)), G's update"))
PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("loss", (("d_loss", "D"), ("g_loss", "G"))),
    ("D's output", OUTPUTS),
    ("gradient norm", (("d_gradient", "D"), ("g_gradient", "G"))),
)
COLORS = (BLUE, ORANGE, GREEN)

MAX_POINTS = 1000

WINDOW = 25
"""A smoothed value is the mean over a WINDOWth of the run."""

SHOWN = 4
"""Columns and rows of a grid of samples that are shown, from its upper left corner."""

GRID_COLUMNS = 8
"""Tiles in a row of a run's grids."""

Values = NDArray[np.float64]


def encode_curves(
    metrics: Sequence[Mapping[str, float]],
    title: str,
    moments: Sequence[tuple[str, Image.Image]] = (),
    ending: str = ".png",
    dpi: int = SLIDE_DPI,
) -> bytes:
    """Three panels over the steps of `metrics` (rows of metrics.jsonl), smoothed over pale raw values.

    `moments` are grids of samples, as training draws them, and when that was: shown below. `ending`
    is .png (of `dpi` dots an inch), .pdf or .svg.
    """
    evaluated = [row for row in metrics if row.get("kid") is not None]
    metrics = [row for row in metrics if "d_loss" in row]
    high = 9.5 if evaluated else 7.5
    figure = new_figure(8, high + (3 if moments else 0))
    parts = figure.add_gridspec(
        2 if moments else 1, 1, height_ratios=(high, 3)[: 1 + bool(moments)]
    )
    panels = figure.add_subfigure(parts[0])
    below = (
        figure.add_subfigure(parts[1]).subplots(1, len(moments), squeeze=False) if moments else [()]
    )
    for axes, (when, grid) in zip(below[0], moments, strict=True):
        axes.imshow(np.asarray(upper_left(grid).convert("RGB")), interpolation="lanczos")
        axes.set_axis_off()
        axes.set_title(when, fontsize=13, color=INK, parse_math=False)
    steps = np.array([row["step"] for row in metrics], np.float64)
    block = max(1, math.ceil(len(steps) / MAX_POINTS))
    *rows, last = panels.subplots(3 + bool(evaluated), 1, sharex=True)
    for axes, (name, lines) in zip([*rows, last][:3], PANELS, strict=True):
        for (key, label), color in zip(lines, COLORS, strict=False):
            values = np.array([row.get(key) for row in metrics], np.float64)
            at, values = _mean_of(steps, block), _mean_of(values, block)
            axes.plot(at, values, color=color, linewidth=0.8, alpha=0.3)
            axes.plot(at, smoothed(values), color=color, linewidth=2, label=label)
        style_panel(axes, name)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11, frameon=False)
        if name == "gradient norm":
            axes.set_yscale("log")
    if evaluated:
        _draw_kid(last, evaluated)
    last.set_xlabel("step", fontsize=13, color=INK)
    # a run may be called $x$
    panels.suptitle(title, fontsize=15, color=INK, parse_math=False)
    return encode_lines(figure, ending, dpi)


def _draw_kid(axes: Any, evaluated: Sequence[Mapping[str, float]]) -> None:
    """The distance of samples from real images, with its interval, and the best one marked."""
    steps, values, low, high = (
        np.array([row[key] for row in evaluated], np.float64)
        for key in ("step", "kid", "kid_low", "kid_high")
    )
    axes.fill_between(steps, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(steps, values, color=BLUE, linewidth=2, marker="o", markersize=3, label="KID")
    best = values.argmin()
    axes.plot(steps[best], values[best], "o", color=ORANGE, markersize=8, label="best.pt")
    style_panel(axes, "KID")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=11, frameon=False)


def upper_left(grid: Image.Image) -> Image.Image:
    """The first SHOWN columns and rows of a grid that training drew."""
    step = (grid.width - 2 * MARGIN + GAP) / GRID_COLUMNS
    right = MARGIN + round(SHOWN * step) - GAP
    low = min(right, grid.height - MARGIN)
    return grid.crop((MARGIN, MARGIN, right, low))


def smoothed(values: Values) -> Values:
    """The mean over a WINDOWth of the run around each value; what is not finite is left out."""
    width = max(1, len(values) // WINDOW)
    finite = np.isfinite(values)
    kernel = np.ones(width)
    if not len(values):
        return values
    total = np.convolve(np.where(finite, values, 0.0), kernel, "same")
    count = np.convolve(finite.astype(np.float64), kernel, "same")
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _mean_of(values: Values, block: int) -> Values:
    """Means of consecutive blocks, the incomplete last one left out."""
    whole = len(values) // block * block
    return values[:whole].reshape(-1, block).mean(1)
