"""The dose curve of dropped feature maps, as a PNG."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dcgan_cli.report import Table


def encode_dose(table: Table, kind: str, chosen: int, keep_only: bool = False) -> bytes:
    """Two panels over the number of maps: how often the object is found, how like the scene stays.

    Args:
        table: the report's table `Dose`.
        kind: the object.
        chosen: the number of maps that were chosen; marked.
        keep_only: the maps are those that stay.
    """
    rows = np.array(table.rows, np.float64)
    column = dict(zip(table.columns, rows.T, strict=True))
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = (("found", f"share with a {kind}"), ("scene", "likeness of the scene"))
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, (name, label) in zip((upper, lower), panels, strict=True):
        axes.fill_between(
            column["maps"],
            column[f"{name}_random_low"],
            column[f"{name}_random_high"],
            color="0.85",
            label="random maps: all draws",
        )
        axes.plot(column["maps"], column[f"{name}_random"], color="0.5", label="random maps: mean")
        axes.plot(column["maps"], column[name], "o-", markersize=3, label=f"{kind} maps")
        axes.axvline(chosen, color="k", linewidth=0.8, linestyle=":")
        axes.set_ylabel(label, parse_math=False)  # an object may be called $x$
        axes.grid(alpha=0.3)
    lower.set_xlabel(f"feature maps {'kept' if keep_only else 'dropped'}")
    legend = upper.legend(loc="best", fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    buffer = io.BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()
