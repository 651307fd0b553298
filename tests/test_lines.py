"""Drawings of lines: PNG, PDF and SVG that others read, the same bytes every time."""

import io
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dcgan_cli.render.curves import PANELS, encode_curves, smoothed, upper_left
from dcgan_cli.render.dose_curve import encode_dose
from dcgan_cli.render.png import draw_grid
from dcgan_cli.render.scatter import encode_scatter
from dcgan_cli.report import ImageGrid, Table

HEADERS = {".png": b"\x89PNG\r\n", ".pdf": b"%PDF-1.", ".svg": b"<?xml"}


def dose(ending: str = ".png", dpi: int = 150, kind: str = "$x$", keep_only: bool = False) -> bytes:
    shares = np.linspace(1, 0, 6)
    names = ("", "_random", "_random_low", "_random_high")
    columns = [f"{name}{part}" for name in ("found", "scene") for part in names]
    rows = [[8 * i, *[1 - value] * 4, *[value] * 4] for i, value in enumerate(shares.tolist())]
    return encode_dose(Table("Dose", ("maps", *columns), rows), kind, 8, keep_only, ending, dpi)


def curves(ending: str = ".png", dpi: int = 150) -> bytes:
    keys = [key for _, lines in PANELS for key, _ in lines]
    metrics = [{"step": step, **dict.fromkeys(keys, 1.0 + step % 3)} for step in range(40)]
    grids = [("epoch 1", grid()), ("epoch 2", grid())]
    return encode_curves(metrics, "$x", grids, ending, dpi)


def scatter(ending: str = ".png", dpi: int = 150) -> bytes:
    points = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
    return encode_scatter(points, np.arange(30) % 3, ["a", "b$", "c"], "title", ending, dpi)


def grid(rows: int = 8) -> Image.Image:
    """A grid as training draws it: every tile of its own gray."""
    count = 8 * rows
    tiles = np.broadcast_to(np.arange(count)[:, None, None, None], (count, 64, 64, 3))
    return draw_grid(ImageGrid("samples", tiles.astype(np.uint8), 8))


DRAWINGS: dict[str, Callable[..., bytes]] = {"dose": dose, "curves": curves, "scatter": scatter}


@pytest.mark.parametrize("ending", HEADERS)
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_drawing_is_what_its_ending_says_and_always_the_same(drawing: str, ending: str) -> None:
    data = DRAWINGS[drawing](ending)
    assert data.startswith(HEADERS[ending])
    assert data == DRAWINGS[drawing](ending)
    assert b"Date" not in data


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_png_for_paper_has_as_many_dots(drawing: str) -> None:
    slide, paper = (Image.open(io.BytesIO(DRAWINGS[drawing](".png", dpi))) for dpi in (150, 300))
    assert paper.size == (2 * slide.width, 2 * slide.height)
    assert paper.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_the_dose_curve_names_its_lines_within_its_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "dcgan_cli.render.lines.encode_lines", lambda figure, *_: drawn.append(figure)
    )
    dose(kind="window")
    (figure,) = drawn
    figure.draw_without_rendering()
    upper, lower = figure.axes
    texts = [[text for text in axes.texts if text.get_text()] for axes in (upper, lower)]
    lines = {"window maps", "random maps\n(band: all draws)"}
    assert {text.get_text() for text in texts[0]} == lines | {"8 maps dropped"}
    assert {text.get_text() for text in texts[1]} == lines | {"scene destroyed"}
    for axes, here in zip((upper, lower), texts, strict=True):
        boxes = [text.get_window_extent() for text in here]
        assert all(axes.bbox.padded(2).containsx(x) for box in boxes for x in box.intervalx)
        assert all(axes.bbox.padded(2).containsy(y) for box in boxes for y in box.intervaly)
    assert upper.get_title("left") == "samples with a window"
    assert [label.get_text() for label in upper.get_yticklabels()][1:3] == ["0%", "20%"]


def test_smoothing_leaves_out_what_is_not_finite() -> None:
    values = np.where(np.arange(200) % 50 == 0, math.nan, 3.0)
    np.testing.assert_allclose(smoothed(values), 3.0)
    assert np.isnan(smoothed(np.full(100, math.inf))).all()
    assert len(smoothed(np.zeros(0))) == 0
    noisy = np.random.default_rng(0).standard_normal(1000)
    assert smoothed(noisy).std() < noisy.std() / 3
    assert len(smoothed(noisy)) == 1000


@pytest.mark.parametrize(("rows", "shown"), [(8, 4), (4, 4), (2, 2)])
def test_of_a_grid_its_upper_left_corner_is_shown(rows: int, shown: int) -> None:
    corner = np.asarray(upper_left(grid(rows)))
    assert corner.shape == (shown * 66 - 2, 4 * 66 - 2, 3)
    tiles = sorted(set(corner[..., 0].ravel().tolist()) - {255})
    assert tiles == [8 * row + column for row in range(shown) for column in range(4)]
    assert all(a < b for a, b in pairwise(tiles))
