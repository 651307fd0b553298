"""Drawings of lines and points by matplotlib, as PNG, PDF or SVG: the same every time."""

import io
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SLIDE_DPI, PAPER_DPI = 150, 300

PAPER, INK, FAINT = "white", "#202020", "#606060"
"""The paper is opaque, whatever the page behind it."""

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Okabe and Ito's colors: people with any color vision tell them apart."""


def new_figure(width: float, height: float) -> Figure:
    """An empty drawing of so many inches on white paper."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr]
    return figure


def style_panel(axes: Axes, title: str) -> None:
    """Title, ticks and grid of one of several panels; an object in the title may be called $x$."""
    axes.set_title(title, loc="left", fontsize=13, color=INK, parse_math=False)
    axes.tick_params(labelsize=11, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def encode_lines(figure: Figure, ending: str = ".png", dpi: int = SLIDE_DPI) -> bytes:
    """`figure` as the file that `ending` names: .png of `dpi`, .pdf or .svg, which have no pixels."""
    buffer = io.BytesIO()
    metadata = {
        ".png": {"Software": "dcgan"},
        ".pdf": {"Creator": "dcgan", "CreationDate": None},
        ".svg": {"Creator": "dcgan", "Date": None},
    }[ending]
    _settle(figure)
    with mpl.rc_context({"svg.hashsalt": "dcgan", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=ending[1:], dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _settle(figure: Figure) -> None:
    """Lay `figure` out once and round the result: the last bits of the solver differ from time to time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(6))
    for axes in figure.axes:
        x, y, width, height = (round(edge, 6) for edge in axes.get_position().bounds)
        axes.set_position((x, y, width, height))


def ending_of(path: Path) -> str:
    """By which format a drawing goes into `path`: its ending, PNG where it has none."""
    return path.suffix.lower() or ".png"
