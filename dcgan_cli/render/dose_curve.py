"""The dose curve of dropped feature maps: PNG, PDF or SVG."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from dcgan_cli.render.lines import BLUE, FAINT, INK, SLIDE_DPI, encode_lines, new_figure
from dcgan_cli.report import Table

DESTROYED = 0.5
"""Likeness of the scene below which a share with the object says nothing: little is left of it."""

Columns = dict[str, NDArray[np.float64]]


def encode_dose(
    table: Table,
    kind: str,
    chosen: int,
    keep_only: bool = False,
    ending: str = ".png",
    dpi: int = SLIDE_DPI,
) -> bytes:
    """Two panels over the number of maps: how often the object is found, how like the scene stays.

    Args:
        table: the report's table `Dose`.
        kind: the object.
        chosen: the number of maps that were chosen; marked.
        keep_only: the maps are those that stay.
        ending: .png, .pdf or .svg.
        dpi: dots an inch of a PNG.
    """
    rows = np.array(table.rows, np.float64)
    column = dict(zip(table.columns, rows.T, strict=True))
    figure = new_figure(7, 5.5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    panels = (("found", f"samples with a {kind}"), ("scene", "likeness of the scene"))
    for axes, (name, title) in zip((upper, lower), panels, strict=True):
        _draw(axes, column, name, kind)
        _shade(axes, column)
        axes.axvline(chosen, color=INK, linewidth=0.8, linestyle=":")
        # an object may be called $x$
        axes.set_title(title, loc="left", fontsize=13, color=INK, parse_math=False)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.tick_params(labelsize=11, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.margins(x=0.01)
    doing = "kept" if keep_only else "dropped"
    upper.annotate(
        f"{chosen} maps {doing}",
        (chosen, 1),
        (4, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=11,
        color=INK,
    )
    lower.set_xlabel(f"feature maps {doing}", fontsize=13, color=INK)
    return encode_lines(figure, ending, dpi)


def _draw(axes: Axes, column: Columns, name: str, kind: str) -> None:
    """The object's maps and random maps of one panel, each named at its line."""
    maps = column["maps"]
    band = column[f"{name}_random_low"], column[f"{name}_random_high"]
    axes.fill_between(maps, *band, color="0.88", linewidth=0)
    axes.plot(maps, column[f"{name}_random"], color="0.45", linewidth=2)
    axes.plot(maps, column[name], "o-", color=BLUE, markersize=4, linewidth=2)
    own, random = column[name], column[f"{name}_random"]
    at = int(np.argmax(np.abs(own - random)))
    for values, text, color in (
        (own, f"{kind} maps", BLUE),
        (random, "random maps (band: all draws)", FAINT),
    ):
        above = values[at] >= (random if values is own else own)[at]
        axes.annotate(
            text,
            (maps[at], values[at]),
            (6, 8 if above else -8),
            textcoords="offset points",
            va="bottom" if above else "top",
            fontsize=11,
            color=color,
            parse_math=False,
        )


def _shade(axes: Axes, column: Columns) -> None:
    """Where dropping the object's maps leaves less than DESTROYED of the scene."""
    maps, scene = column["maps"], column["scene"]
    gone = np.flatnonzero(scene < DESTROYED)
    if not len(gone):
        return
    first = int(gone[0])
    left = maps[0]
    if first:  # where the line crosses
        share = (scene[first - 1] - DESTROYED) / (scene[first - 1] - scene[first])
        left = maps[first - 1] + share * (maps[first] - maps[first - 1])
    axes.axvspan(float(left), float(maps.max()), color="#d55e00", alpha=0.12, linewidth=0)
    axes.annotate(
        "the scene is destroyed",
        (float(maps.max()), 0.5),
        (-6, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=11,
        color="#a04000",
    )
