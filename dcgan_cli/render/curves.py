"""The figures of a run against its steps, as a PNG."""

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("losses", (("d_loss", "D"), ("g_loss", "G"))),
    (
        "what D thinks",
        (("d_real", "D(x)"), ("d_fake", "D(G(z))"), ("d_fake_after", "D(G(z)), G's update")),
    ),
    ("gradient norms", (("d_gradient", "D"), ("g_gradient", "G"))),
)
MOST_POINTS = 1000


def encode_curves(metrics: Sequence[Mapping[str, float]], title: str) -> bytes:
    """Three panels over the steps of `metrics` (rows of metrics.jsonl), smoothed to MOST_POINTS."""
    figure = Figure(figsize=(7, 7.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    steps = np.array([row["step"] for row in metrics], np.float64)
    block = max(1, math.ceil(len(steps) / MOST_POINTS))
    for axes, (name, lines) in zip(figure.subplots(3, 1, sharex=True), PANELS, strict=True):
        for key, label in lines:
            values = np.array([row.get(key) for row in metrics], np.float64)
            axes.plot(_mean_of(steps, block), _mean_of(values, block), label=label, linewidth=1)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right", fontsize=8)
        if name == "gradient norms":
            axes.set_yscale("log")
            axes.set_xlabel("step")
    figure.suptitle(title, parse_math=False)  # a run may be called $x$
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def _mean_of(values: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Means of consecutive blocks, the incomplete last one left out."""
    whole = len(values) // block * block
    return values[:whole].reshape(-1, block).mean(1)
