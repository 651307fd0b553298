"""Points in the plane, colored by group, as a PNG that reads on light and on dark pages alike."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

MOST_NAMES = 20
"""Groups that are named on the map; of more, the largest are."""

PAPER, INK = "white", "#202020"


def encode_scatter(
    points: NDArray[np.float32], groups: NDArray[np.int64], names: Sequence[str], title: str
) -> bytes:
    """The PNG of `points` [N, 2], colored by `groups` (int64 [N], numbers of `names`).

    Each group's name stands at the median of its points. The paper is white and opaque, whatever
    the page behind it.
    """
    figure = Figure(figsize=(7, 7), layout="constrained", facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(PAPER)
    colors = _colors(len(names))
    size = float(np.clip(20_000 / len(points), 3, 30))
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colors[groups], linewidths=0, alpha=0.8)
    counts = np.bincount(groups, minlength=len(names))
    for group in np.argsort(-counts, kind="stable")[:MOST_NAMES].tolist():
        if counts[group]:
            x, y = np.median(points[groups == group], axis=0)
            halo = withStroke(linewidth=3, foreground=PAPER)
            axes.text(
                x, y, str(names[group]), color=INK, fontsize=12, fontweight="bold", parse_math=False,
                ha="center", va="center", path_effects=[halo],
            )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(title, color=INK, fontsize=11, parse_math=False)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def _colors(count: int) -> NDArray[np.float64]:
    """`count` colors that differ as much as so many can: RGBA [count, 4]."""
    if count <= 10:
        return colormaps["tab10"](np.arange(count))
    if count <= 20:
        return colormaps["tab20"](np.arange(count))
    return colormaps["turbo"](np.linspace(0.05, 0.95, count))
