"""The dose curve of dropped feature maps: PNG, PDF or SVG."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from dcgan_cli.render import lines
from dcgan_cli.report import Table

DESTROYED = 0.5
"""Likeness of the scene below which a share with the object says nothing: little is left of it."""

LOW = 0.3
"""Lines below this are named above: below them is the axis."""

Columns = dict[str, NDArray[np.float64]]


def encode_dose(
    table: Table,
    kind: str,
    chosen: int,
    keep_only: bool = False,
    ending: str = ".png",
    dpi: int = lines.SLIDE_DPI,
) -> bytes:
    """Two panels over the number of maps: how often the object is found, how like the scene stays.

    `table` is the report's table `Dose`, `chosen` the number of maps that is marked; with
    `keep_only` the maps are those that stay. `ending` is .png (of `dpi` dots an inch), .pdf or .svg.
    """
    rows = np.array(table.rows, np.float64)
    column = dict(zip(table.columns, rows.T, strict=True))
    figure = lines.new_figure(7, 5.5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    panels = (("found", f"samples with a {kind}"), ("scene", "likeness of the scene (correlation)"))
    for axes, (name, title) in zip((upper, lower), panels, strict=True):
        _draw(axes, column, name, kind)
        _shade(axes, column, "scene destroyed" if axes is lower else "")
        axes.axvline(chosen, color=lines.INK, linewidth=0.8, linestyle=":")
        lines.style_panel(axes, title)
        axes.margins(x=0.01)
    doing = "kept" if keep_only else "dropped"
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    _label(
        upper, (chosen, 1), f"{chosen} maps {doing}", lines.INK, ("left", "top"), "axes fraction"
    )
    lower.set_xlabel(f"feature maps {doing}", fontsize=13, color=lines.INK)
    return lines.encode_lines(figure, ending, dpi)


def _draw(axes: Axes, column: Columns, name: str, kind: str) -> None:
    """The object's maps and random maps of one panel, each named at its line."""
    maps = column["maps"]
    band = column[f"{name}_random_low"], column[f"{name}_random_high"]
    own, random = column[name], column[f"{name}_random"]
    axes.fill_between(maps, *band, color="0.88", linewidth=0)
    axes.plot(maps, random, color="0.45", linewidth=2)
    axes.plot(maps, own, "o-", color=lines.BLUE, markersize=4, linewidth=2)
    at = int(np.argmin(np.abs(maps - maps.max() / 2)))
    for values, other, text, color in (
        (own, random, f"{kind} maps", lines.BLUE),
        (random, own, "random maps\n(band: all draws)", lines.FAINT),
    ):
        above = values[at] >= other[at] or values[at] < LOW
        rising = values[min(at + 1, len(maps) - 1)] > values[max(at - 1, 0)]
        sides = ("right" if rising == above else "left", "bottom" if above else "top")
        _label(axes, (maps[at], values[at]), text, color, sides)


def _label(
    axes: Axes,
    point: tuple[float, float],
    text: str,
    color: str,
    sides: tuple[str, str],
    vertical: str = "data",
) -> None:
    """`text` whose `sides` are a little off `point`; readable where it crosses a line."""
    across, along = sides
    axes.annotate(
        text,
        point,
        (5 if across == "left" else -5, 5 if along == "bottom" else -5),
        xycoords=("data", vertical),
        textcoords="offset points",
        ha=across,
        va=along,
        fontsize=12,
        color=color,
        parse_math=False,
        path_effects=[withStroke(linewidth=3, foreground=lines.PAPER)],
    )


def _shade(axes: Axes, column: Columns, said: str) -> None:
    """Where dropping the object's maps leaves less than DESTROYED of the scene."""
    maps, scene = column["maps"], column["scene"]
    gone = np.flatnonzero(scene < DESTROYED)
    if not len(gone):
        return
    first = int(gone[0])
    left, right = float(maps[0]), float(maps.max())
    if first:  # where the line crosses
        share = (scene[first - 1] - DESTROYED) / (scene[first - 1] - scene[first])
        left = float(maps[first - 1] + share * (maps[first] - maps[first - 1]))
    axes.axvspan(left, right, color=lines.ORANGE, alpha=0.12, linewidth=0)
    _label(axes, (right, 1), said, lines.ORANGE, ("right", "top"), "axes fraction")
