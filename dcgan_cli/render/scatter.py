"""Points in the plane, colored by group, as a PNG, PDF or SVG."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from dcgan_cli.render.lines import INK, PAPER, SLIDE_DPI, encode_lines, new_figure

MAX_NAMES = 20
"""Groups that are named on the map; of more, the largest are."""


def encode_scatter(
    points: NDArray[np.float32],
    groups: NDArray[np.int64],
    names: Sequence[str],
    title: str,
    ending: str = ".png",
    dpi: int = SLIDE_DPI,
) -> bytes:
    """The drawing of `points` [N, 2], colored by `groups` (int64 [N], numbers of `names`).

    Each group's name stands at the median of its points. `ending` is .png (of `dpi` dots an inch),
    .pdf or .svg.
    """
    figure = new_figure(7, 7)
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
    colors = _colors(len(names))
    size = float(np.clip(20_000 / len(points), 3, 30))
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colors[groups], linewidths=0, alpha=0.8)
    counts = np.bincount(groups, minlength=len(names))
    for group in np.argsort(-counts, kind="stable")[:MAX_NAMES].tolist():
        if counts[group]:
            x, y = np.median(points[groups == group], axis=0)
            halo = withStroke(linewidth=3, foreground=PAPER)
            axes.text(
                x, y, str(names[group]), color=INK, fontsize=12, fontweight="bold", parse_math=False,
                ha="center", va="center", path_effects=[halo]
            )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(title, color=INK, fontsize=11, parse_math=False)
    return encode_lines(figure, ending, dpi)


def _colors(count: int) -> NDArray[np.float64]:
    """`count` colors that differ as much as so many can: RGBA [count, 4]."""
    if count <= 10:
        return colormaps["tab10"](np.arange(count))
    if count <= 20:
        return colormaps["tab20"](np.arange(count))
    return colormaps["turbo"](np.linspace(0.05, 0.95, count))
