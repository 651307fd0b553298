"""Figures: every tile where it belongs, words that overlap nothing, the record kept, the same bytes."""

import io
import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import known_attributes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dcgan_cli.analysis.arithmetic.calculation import Term, arithmetic, calculate, draw_concept
from dcgan_cli.analysis.arithmetic.turn import Turn, turn
from dcgan_cli.analysis.guided_backprop.guided import _figure as guided_figure
from dcgan_cli.analysis.nearest_neighbors.neighbor_report import _figure as nearest_figure
from dcgan_cli.analysis.sampling import draw_samples
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.choices import LAYOUTS
from dcgan_cli.render.figure import LARGEST, MEDIA, caption, encode_figure, place_figure
from dcgan_cli.render.layout import Placed, PlacedTile, PlacedWords, Style, folded, place
from dcgan_cli.report import (
    Axis,
    Beside,
    ImageGrid,
    Images,
    Part,
    Provenance,
    Stack,
    Tiles,
    Words,
    in_rows,
)

AWKWARD = ["a" * 300, "ä ß 漢字 🙂", "[red]markup[/]", "$\\frac", "%s {} \t\n"]


def images(count: int, side: int = 64, channels: int = 3) -> Images:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, channels), np.uint8)


def opened(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def placed(grid: ImageGrid, layout: str = "slide") -> list[Placed]:
    return list(place_figure(grid, MEDIA[layout])[1].items)


def numbers(items: list[Placed]) -> list[int]:
    return [item.what.number for item in items if isinstance(item.what, PlacedTile)]


def overlap(one: Placed, other: Placed) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


def arithmetic_grid(counts: tuple[int, ...] = (3, 3, 3), said: Any = ()) -> ImageGrid:
    roles = ("pos", "neg", "add", "add")
    stream = np.random.default_rng(0)
    terms = [
        Term(role, f"term_{i}", stream.standard_normal((count, 8)).astype(np.float32))  # type: ignore[arg-type]
        for i, (role, count) in enumerate(zip(roles, counts, strict=False))
    ]
    done = calculate(terms, seed=0, exemplars=max(counts))
    return arithmetic(known_attributes.sampler(), terms, done, seed=0, said=said).grids[0]


def turn_grid() -> ImageGrid:
    sides = np.random.default_rng(1).standard_normal((2, 4, 8)).astype(np.float32)
    way = Turn.between(*sides, seed=0, exemplars=4, columns=5)
    return turn(known_attributes.sampler(), way, names=("to_left", "to_right"), rows=3).grids[0]


def with_figure(figure: Part, count: int) -> ImageGrid:
    return ImageGrid("s", images(count, 16), 4, figure=figure)


GRIDS = {
    "samples": lambda: draw_samples(known_attributes.sampler(), seed=0, count=10).grids[0],
    "arithmetic": arithmetic_grid,
    "mosaic": lambda: arithmetic_grid((16, 16, 16)),
    "one term": lambda: arithmetic_grid((1,)),
    "uneven": lambda: arithmetic_grid((1, 7, 3, 4), (["a smiling man"] * 9, ["b"] * 9)),
    "turn": turn_grid,
    "concept": lambda: draw_concept(
        known_attributes.sampler(), "smiling_woman", np.ones((11, 8), np.float32)
    ),
    "guided": lambda: with_figure(guided_figure(6, 5), 6 * 2 * 11),
    "nearest": lambda: with_figure(
        nearest_figure([(3, "px"), (3, "out")], 5, "no memorization found (p = 0.4)"), 6 * 12
    ),
}


@pytest.fixture(params=GRIDS)
def grid(request: pytest.FixtureRequest) -> ImageGrid:
    return GRIDS[request.param]()


@pytest.mark.parametrize("layout", MEDIA)
def test_nothing_overlaps_and_all_of_it_is_on_the_paper(grid: ImageGrid, layout: str) -> None:
    _, placement = place_figure(grid, MEDIA[layout])
    for one, other in itertools.combinations(placement.items, 2):
        assert not overlap(one, other), (one, other)
    for item in placement.items:
        assert item.x >= 0
        assert item.y >= 0
        assert item.x + item.width <= placement.width
        assert item.y + item.height <= placement.height


@pytest.mark.parametrize(("layout", "least"), [("slide", 128), ("paper", 192)])
def test_no_tile_is_shown_twice_and_none_that_is_not_there(
    grid: ImageGrid, layout: str, least: int
) -> None:
    items = placed(grid, layout)
    assert max(Counter(numbers(items)).values()) == 1
    assert set(numbers(items)) <= set(range(len(grid.images)))
    sizes = [item.width for item in items if isinstance(item.what, PlacedTile)]
    assert max(sizes) >= least
    assert min(sizes) >= max(sizes) // 2, "mosaics and controls are half as large"


@pytest.mark.parametrize("name", ["samples", "turn", "concept"])
def test_a_figure_without_controls_shows_every_tile_in_order(name: str) -> None:
    grid = GRIDS[name]()
    items = placed(grid)
    assert numbers(items) == list(range(len(grid.images)))
    assert {item.width for item in items if isinstance(item.what, PlacedTile)} == {128}


@pytest.mark.parametrize("counts", [(3, 3, 3), (16, 2), (1, 7, 3, 4)])
def test_arithmetic_shows_all_but_the_empty_places(counts: tuple[int, ...]) -> None:
    grid = arithmetic_grid(counts)
    shown = numbers(placed(grid))
    # exemplars and means, the result, the pixels, and the terms' means of pixels
    assert len(shown) == sum(counts) + len(counts) + 9 + 9 + len(counts)
    assert grid.provenance is not None
    drawn = np.flatnonzero(np.isfinite(grid.provenance.latents).all(1))
    assert set(drawn.tolist()) <= set(shown)


def test_arithmetic_frames_the_means_and_the_center_of_the_result() -> None:
    grid = arithmetic_grid((3, 3, 3))
    tiles = [item.what for item in placed(grid) if isinstance(item.what, PlacedTile)]
    framed = [tile.number for tile in tiles if tile.framed]
    columns = grid.columns
    assert framed == [3, columns + 3, 2 * columns + 3, 4 * columns + 1]
    signs = [i.what.lines[0] for i in placed(grid) if isinstance(i.what, PlacedWords)]
    assert [sign for sign in signs if sign in "−+="] == ["−", "+", "="] * 2
    mosaic = placed(arithmetic_grid((16, 16, 16)))
    sizes = {i.what.number: i.width for i in mosaic if isinstance(i.what, PlacedTile)}
    assert (sizes[0], sizes[15], sizes[16]) == (64, 64, 128)


def test_rows_of_a_turn_touch_and_its_words_are_at_the_foot() -> None:
    items = placed(turn_grid())
    tiles = [item for item in items if isinstance(item.what, PlacedTile)]
    assert {(item.x % 128, item.y % 128) for item in tiles} == {(0, 0)}
    words = [item for item in items if isinstance(item.what, PlacedWords)]
    assert [word.what.lines for word in words] == [["to left"], ["the sample"], ["to right"]]
    assert min(word.y for word in words) > max(tile.y + tile.height for tile in tiles)
    assert [words[0].x, words[2].x + words[2].width] == [0, 5 * 128]


@pytest.mark.parametrize("columns", [3, 11, 30])
def test_words_of_a_wide_slide_can_be_read_where_it_is_shown_small(columns: int) -> None:
    figure = Stack([Words("before", "heading"), Tiles([list(range(columns))])])
    style, placement = place_figure(with_figure(figure, columns), MEDIA["slide"])
    assert 400 * style.text / placement.width >= 8.5
    style, placement = place_figure(with_figure(figure, columns), MEDIA["paper"])
    assert style.text == MEDIA["paper"].text


def test_guided_backpropagation_shows_no_source_images() -> None:
    items = placed(with_figure(guided_figure(2, 3), 2 * 2 * 7))
    # rows of 7 tiles: random, a gap, trained; every other row has the images
    assert sorted(numbers(items)) == [0, 1, 2, 4, 5, 6, 14, 15, 16, 18, 19, 20]


# The file


def test_the_figure_of_a_grid_is_its_tiles_enlarged() -> None:
    grid = ImageGrid("s", np.full((3, 64, 64, 3), 200, np.uint8), 2)
    image = np.array(opened(encode_figure(grid)))
    assert (image == 200).all(-1).sum() == 3 * 128 * 128
    assert (image[:40] == 255).all()
    assert (image[:, -40:] == 255).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_figure_keeps_its_record_and_its_caption(layout: Any, tmp_path: Any) -> None:
    grid = arithmetic_grid((3, 3, 3))
    data = encode_figure(grid, layout)
    assert data == encode_figure(grid, layout), "the same bytes every time"
    info = opened(data).info
    assert info["Description"] == caption(grid)
    said = caption(grid)
    assert "dcgan arithmetic --expr" in said
    assert "checkpoint 0123456789ab, seed 0; 40 tiles" in said
    record = "".join(info[f"dcgan.{i}"] for i in range(1))
    again = Provenance.from_json(record)
    assert grid.provenance is not None
    np.testing.assert_array_equal(again.latents, grid.provenance.latents)
    assert ("dpi" in info) == (layout == "paper")
    if layout == "paper":
        assert info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_tile_of_a_figure_is_a_latent_argument(tmp_path: Any) -> None:
    from cli_runner import untrained

    from dcgan_cli.model.config import ModelConfig

    model = untrained(ModelConfig(size=16, channels=1, z_dim=8, ngf=4, ndf=4, z_dist="normal"))
    grid = arithmetic_grid((3, 3, 3))
    assert grid.provenance is not None
    record = replace(grid.provenance, checkpoint=model.hash)
    path = tmp_path / "arithmetic.png"
    path.write_bytes(encode_figure(replace(grid, provenance=record)))
    center = 4 * grid.columns + 1
    found = read_latents(f"{path}#{center}", model, tmp_path / "model.pt").latents
    np.testing.assert_array_equal(found[0], record.latents[center])


@pytest.mark.parametrize(("scale", "side"), [(None, 128), (1, 64), (3, 192)])
def test_scale_says_how_large_tiles_are(scale: int | None, side: int) -> None:
    grid = ImageGrid("s", images(4), 2)
    image = opened(encode_figure(grid, "slide", scale))
    assert image.width == 2 * 40 + 2 * side + 4
    audit = opened(encode_figure(grid, "audit", scale))
    assert audit.width == 2 * 8 + 2 * 64 * (scale or 1) + 2


def test_many_samples_are_enlarged_less() -> None:
    style, placement = place_figure(ImageGrid("s", images(2500, 4), 50), MEDIA["slide"])
    assert max(placement.width, placement.height) <= LARGEST
    assert style.tile[0] >= 4
    few = place_figure(ImageGrid("s", images(64), 8), MEDIA["slide"])[0]
    assert few.tile == (128, 128)


def test_stretched_images_get_their_shape_back() -> None:
    grid = ImageGrid("s", images(1), 1).shaped(2.0)
    (tile,) = placed(grid)
    assert (tile.width, tile.height) == (256, 128)


def test_frames_and_boxes_are_drawn_on_their_tiles_alone() -> None:
    tiles = Tiles([[0, 1]], framed=[0], boxes={1: [(0.25, 0.25, 0.75, 0.75)]})
    grid = ImageGrid("s", np.full((2, 64, 64, 3), 100, np.uint8), 2, figure=tiles)
    image = np.array(opened(encode_figure(grid)))[40:-40, 40:-40]
    drawn = (image != 100).any(-1)
    assert drawn[:, :128].sum() == 128**2 - (128 - 2 * 4) ** 2
    rows, columns = np.nonzero(drawn[:, 132:])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 95, 32, 95)
    assert len(rows) == 64**2 - 60**2


def test_numbers_are_written_on_request() -> None:
    grid = ImageGrid("s", np.full((12, 64, 64, 3), 128, np.uint8), 4)
    plain, numbered = (np.array(opened(encode_figure(grid, numbers=n))) for n in (False, True))
    assert plain.shape == numbered.shape
    for i in range(12):
        y, x = 40 + i // 4 * 132, 40 + i % 4 * 132
        tile = numbered[y : y + 128, x : x + 128]
        assert tile.min() < 30
        assert tile.max() > 200


# Words


@pytest.mark.parametrize("text", AWKWARD)
@pytest.mark.parametrize("role", ["title", "heading", "label", "sign", "note"])
def test_any_words_can_be_drawn(text: str, role: Any) -> None:
    words = Words(text, role)
    figure = Stack([words, Beside([Tiles([[0]]), words]), Axis(text, text, text)])
    grid = ImageGrid("s", images(1), 1, figure=figure)
    for one, other in itertools.combinations(placed(grid), 2):
        assert not overlap(one, other)
    assert opened(encode_figure(grid)).format == "PNG"


@settings(max_examples=60, deadline=None)
@given(text=st.text("ab  c", max_size=40), width=st.integers(1, 12))
def test_words_are_folded_to_a_width_and_none_is_lost(text: str, width: int) -> None:
    lines = folded(text, len, width)
    assert all(0 < len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_words_in_a_stack_are_no_wider_than_its_tiles() -> None:
    style = Style((128, 128), 28, 4)
    part = Stack([Tiles([[0, 1]]), Words("a long name of a concept that has to be folded")])
    assert place(part, style).width == 2 * 128 + 4


def test_empty_words_take_no_place() -> None:
    style = Style((128, 128), 28, 4)
    tiles = Tiles([[0]])
    assert place(Stack([Words(""), tiles]), style) == place(tiles, style)
    assert place(Beside([tiles, Words(" ")]), style) == place(tiles, style)


def test_numbers_in_rows() -> None:
    assert in_rows(range(5), 2) == [[0, 1], [2, 3], [4]]
