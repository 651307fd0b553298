"""Image grids, animations, curves, JSON and tables: read again by other programs, and never crashing."""

import io
import json
import math
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from dcgan_cli.render.animation import MAX_FRAMES, encode_gif
from dcgan_cli.render.curves import MAX_POINTS, PANELS, encode_curves
from dcgan_cli.render.json_report import to_json
from dcgan_cli.render.png import (
    CAPTION,
    COMFORTABLE,
    GAP,
    MARGIN,
    draw_grid,
    encode_grid,
    encode_image,
    to_image,
)
from dcgan_cli.render.terminal import HalfBlocks, findings_table, plain_table
from dcgan_cli.report import Estimate, Finding, ImageGrid, Images, Provenance, Report, Table

AWKWARD = ["", "a" * 300, "ä ß 漢字 🙂", "[red]markup[/]", "$\\frac", "%s {} \t"]


def images(count: int, side: int = 8, channels: int = 3) -> Images:
    """Images of random pixels."""
    stream = np.random.default_rng(count)
    return stream.integers(0, 256, (count, side, side, channels), np.uint8)


def reopened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


# Image grids


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 12),
    columns=st.integers(1, 15),
    side=st.sampled_from([8, 28, 48, 50, 64]),
    channels=st.sampled_from([1, 3]),
    captions=st.booleans(),
    numbers=st.booleans(),
)
def test_every_tile_of_a_grid_is_where_it_belongs(
    count: int, columns: int, side: int, channels: int, captions: bool, numbers: bool
) -> None:
    tiles = images(count, side, channels)
    texts = ["x"] * count if captions else []
    image = reopened(encode_grid(ImageGrid("s", tiles, columns, captions=texts), numbers))
    scale = math.ceil(COMFORTABLE / side)
    across, down = min(columns, count), math.ceil(count / min(columns, count))
    step_x, step_y = side * scale + GAP, side * scale + GAP + (CAPTION if captions else 0)
    assert image.mode == "RGB"
    assert image.size == (2 * MARGIN + across * step_x - GAP, 2 * MARGIN + down * step_y - GAP)
    if not numbers:
        paper = np.array(image)
        for i, tile in enumerate(tiles):
            y, x = MARGIN + i // across * step_y, MARGIN + i % across * step_x
            shown = paper[y : y + side * scale : scale, x : x + side * scale : scale]
            assert np.array_equal(shown, np.broadcast_to(tile, (side, side, 3)))


def test_margins_and_gaps_are_paper() -> None:
    grid = ImageGrid("s", np.zeros((4, 48, 48, 3), np.uint8), 2)
    paper = np.array(draw_grid(grid))
    assert (paper == 0).all(-1).sum() == 4 * 48 * 48
    assert (paper[:MARGIN] == 255).all()
    assert (paper[:, -MARGIN:] == 255).all()
    assert (paper[MARGIN + 48 : MARGIN + 48 + GAP] == 255).all()


def test_numbers_are_written_onto_the_tiles() -> None:
    grid = ImageGrid("s", np.full((12, 48, 48, 3), 128, np.uint8), 4)
    plain, numbered = np.array(draw_grid(grid)), np.array(draw_grid(grid, numbers=True))
    assert plain.shape == numbered.shape
    for i in range(12):
        y, x = MARGIN + i // 4 * 50, MARGIN + i % 4 * 50
        tile = numbered[y : y + 48, x : x + 48]
        assert tile.min() < 30
        assert tile.max() > 200
    assert np.array_equal(plain[:MARGIN], numbered[:MARGIN])


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_caption_and_row_label_can_be_drawn(text: str, channels: int) -> None:
    grid = ImageGrid("s", images(4, 8, channels), 2, captions=[text] * 4, row_labels=[text, "b"])
    labeled = draw_grid(grid, numbers=True)
    assert labeled.width > draw_grid(ImageGrid("s", grid.images, 2)).width
    assert labeled.height == draw_grid(replace(grid, row_labels=())).height


def test_row_labels_are_left_of_their_rows() -> None:
    tiles = np.full((4, 48, 48, 3), 255, np.uint8)
    labels = np.array(draw_grid(ImageGrid("s", tiles, 2, row_labels=["", "label"])))
    rows, columns = np.nonzero((labels != 255).any(-1))
    assert rows.min() > MARGIN + 48 + GAP
    assert columns.max() < labels.shape[1] - MARGIN - 2 * 48 - GAP


def test_grid_carries_its_record_in_pieces_of_ascii() -> None:
    latents = np.random.default_rng(0).standard_normal((500, 1000)).astype(np.float32)
    record = Provenance("0123456789ab", "sample ä", 7, latents)
    image = reopened(encode_grid(ImageGrid("s", images(1), 1, provenance=record)))
    texts = {key: value for key, value in image.info.items() if key.startswith("dcgan.")}
    assert len(texts) > 2
    again = Provenance.from_json("".join(texts[f"dcgan.{i}"] for i in range(len(texts))))
    assert (again.checkpoint, again.command, again.seed) == ("0123456789ab", "sample ä", 7)
    assert np.array_equal(again.latents, latents)
    assert reopened(encode_grid(ImageGrid("s", images(1), 1))).info == {"Software": "dcgan"}


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_one_image_is_a_png_of_its_own_size(channels: int, mode: str) -> None:
    (array,) = images(1, 10, channels)
    image = reopened(encode_image(array[::-1]))
    assert (image.format, image.mode, image.size) == ("PNG", mode, (10, 10))
    assert np.array_equal(np.array(image).reshape(10, 10, channels), array[::-1])


# Animations


def frames(count: int) -> list[Image.Image]:
    """Frames that all differ: Pillow joins those that do not."""
    gray = np.linspace(0, 255, count).astype(np.uint8)
    images = [np.zeros((4, 100, 3), np.uint8) for _ in gray]
    for i, image in enumerate(images):
        image[i // 100 % 4, i % 100] = 255
    return [to_image(image) for image in images]


@pytest.mark.parametrize("count", [1, 2, 5, 99, 100, 101, 199, 200, 201, 250, 399])
def test_animation_has_its_frames_and_durations(count: int) -> None:
    image = reopened(encode_gif(frames(count), seconds=0.15, hold=2.0))
    shown = getattr(image, "n_frames", 1)
    assert image.format == "GIF"
    assert shown <= MAX_FRAMES
    assert shown == count if count <= MAX_FRAMES else shown > MAX_FRAMES / 2
    durations: list[float] = []
    for number in range(shown):
        image.seek(number)
        durations.append(image.info["duration"])
    assert durations == [150] * (shown - 1) + [2000]
    assert np.array_equal(np.array(image.convert("RGB")), np.array(frames(count)[-1]))
    assert count == 1 or image.info["loop"] == 0


# Curves


def metrics(count: int, value: float = 0.5) -> list[dict[str, float]]:
    keys = [key for _, lines in PANELS for key, _ in lines]
    return [{"step": step + 1, **dict.fromkeys(keys, value + step)} for step in range(count)]


@pytest.mark.parametrize("count", [0, 1, 7, MAX_POINTS + 1])
def test_curves_are_a_png(count: int) -> None:
    image = reopened(encode_curves(metrics(count), "faces"))
    assert image.format == "PNG"
    assert min(image.size) >= 600


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_curves_of_a_run_that_failed(value: float) -> None:
    rows = [*metrics(5), {**metrics(1)[0], **dict.fromkeys(metrics(1)[0], value), "step": 6}]
    assert reopened(encode_curves(rows, "$x^ is no formula $")).format == "PNG"


# JSON


def test_json_of_a_report() -> None:
    report = Report(
        "Samples",
        {"seed": np.int64(3), "path": "Gesichter/ä", "shape": (1, 2)},
        findings=[
            Finding("gap", "gap of ...", Estimate(1.5, 1.0, 2.0, 30), Estimate(0.1), "random", "2"),
            Finding("bare", "bare", Estimate(np.float32(0.25), n=np.int64(4))),  # type: ignore[arg-type]
        ],
        tables=[Table("Layers", ["name", "maps"], [["one", 3], ["two", None]])],
        notes=["a note"],
    )
    nothing = {"low": None, "high": None, "interval_kind": None}
    assert json.loads(to_json(report)) == {
        "schema_version": 1,
        "report": "samples",
        "seed": 3,
        "path": "Gesichter/ä",
        "shape": [1, 2],
        "findings": {
            "gap": {
                "value": 1.5,
                "low": 1.0,
                "high": 2.0,
                "n": 30,
                "interval_kind": None,
                "unit": None,
                "label": "gap of ...",
                "about": None,
                "better": None,
                "control": {"value": 0.1, **nothing, "n": None, "what": "random"},
                "published": "2",
            },
            "bare": {
                "value": 0.25,
                **nothing,
                "n": 4,
                "unit": None,
                "label": "bare",
                "about": None,
                "better": None,
                "control": None,
                "published": None,
            },
        },
        "tables": {"layers": [{"name": "one", "maps": 3}, {"name": "two", "maps": None}]},
        "notes": ["a note"],
    }


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float64("nan"), None),
        (np.float32("inf"), None),
        (np.float32(0.5), 0.5),
        (np.int64(2**40), 2**40),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), [[1.0, None], [None, 2.0]]),
        (np.array(3), 3),
        ({"a": {"b": (math.inf, [math.nan])}}, {"a": {"b": [None, [None]]}}),
        (MappingProxyType({1: np.float16(1)}), {"1": 1.0}),
        ({}, {}),
        (None, None),
    ],
)
def test_every_value_becomes_json(value: Any, expected: Any) -> None:
    text = to_json(Report("r", {"value": value}))
    assert json.loads(text, parse_constant=refuse)["value"] == expected


# The terminal


def shown(renderable: Any, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["[red]label", "[/nothing]", "[nan, nan]", "漢字"])
def test_no_text_is_taken_for_markup(text: str) -> None:
    finding = Finding("k", text, Estimate(1.0), Estimate(2.0), text, text)
    assert shown(findings_table(Report(text, findings=[finding]))).count(text) == 4
    assert shown(plain_table(Table(text, [text], [[text]]))).count(text) == 3


def test_findings_beside_control_and_published_figure() -> None:
    value = Estimate(12.3456, 11.0, math.nan, 40)
    finding = Finding("k", "error", value, Estimate(50.0), "random", "22.48 %", " %")
    line = next(
        line
        for line in shown(findings_table(Report("r", findings=[finding]))).split("\n")
        if "error" in line
    )
    cells = [cell.strip() for cell in line.strip("│┃ ").split("│")]
    assert cells == ["error", "12.35 % [11, nan] n=40", "50 % random", "22.48 %"]
    worst = replace(finding, value=Estimate(math.nan, math.nan, math.nan), control=None)
    assert "nan % [nan, nan]" in shown(findings_table(Report("r", findings=[worst])))


def test_numbers_in_tables_are_readable() -> None:
    text = shown(plain_table(Table("t", ["a", "b"], [[1234567, 0.123456], [None, "x"]])))
    assert "1,234,567" in text
    assert "0.1235" in text
    assert "None" not in text


@pytest.mark.parametrize("width", [1, 3, 40, 500])
def test_half_blocks_fit_the_terminal(width: int) -> None:
    grid = ImageGrid("s", np.full((4, 8, 8, 1), 200, np.uint8), 2)
    image = draw_grid(grid)
    lines = shown(HalfBlocks(grid), width).rstrip("\n").split("\n")
    across = min(width, image.width)
    assert {len(line) for line in lines} == {across}
    assert len(lines) == max(1, image.height * across // image.width // 2)


def test_half_blocks_show_two_pixels_a_cell() -> None:
    tiles = np.zeros((1, 48, 48, 3), np.uint8)
    tiles[0, ::2] = (10, 20, 30)
    tiles[0, 1::2] = (40, 50, 60)
    console = Console(width=500, file=io.StringIO(), color_system="truecolor", force_terminal=True)
    console.print(HalfBlocks(ImageGrid("s", tiles, 1)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "38;2;10;20;30;48;2;40;50;60m▀" in text


def test_columns_that_would_be_empty_are_left_out() -> None:
    alone = Finding("a", "steps", Estimate(3))
    beside = Finding("b", "error", Estimate(4), Estimate(5), "chance")
    published = Finding("c", "accuracy", Estimate(6), None, "", "82.8 %")
    for findings, headings in (
        ([alone], ["metric", "value"]),
        ([alone, beside], ["metric", "value", "control"]),
        ([alone, published], ["metric", "value", "published"]),
        ([beside, published], ["metric", "value", "control", "published"]),
    ):
        header = shown(findings_table(Report("r", findings=findings))).splitlines()[2]
        assert header.replace("┃", " ").split() == headings
