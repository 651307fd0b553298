"""A figure as a PNG: the tiles of an image grid composed for a slide or a paper, with its record.

The paper is white and opaque, with a margin: so it reads on light and on dark pages alike.
"""

import io
import math
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageFont

from dcgan_cli.choices import Layout
from dcgan_cli.render import layout as placing
from dcgan_cli.render.png import COMPRESS_LEVEL, draw_grid, record, shown_size, to_image
from dcgan_cli.report import ImageGrid, Images, Tiles, in_rows

PAPER, INK, FAINT, ACCENT = (255, 255, 255), (32, 32, 32), (96, 96, 96), (230, 80, 30)
"""Colors of the paper, of words, of notes, and of frames and boxes."""

LARGEST = 4096
"""Tiles are enlarged less where the figure would be wider or higher than this."""


@dataclass(frozen=True)
class Medium:
    """What figures are made for: least side of a tile, letters and gaps in pixels, and dots an inch."""

    tile: int
    text: int
    gap: int
    dpi: int | None = None


MEDIA = {"slide": Medium(128, 28, 4), "paper": Medium(192, 33, 5, 300)}
"""By layout. On paper letters are 8 points high, and ten tiles are as wide as two columns."""

WIDEST_IN_LETTERS = 45
"""A slide is at most so many times as wide as its letters are high: in a column of 400 pixels they are 9 high."""


def encode_figure(
    grid: ImageGrid, layout: Layout = "slide", scale: int | None = None, numbers: bool = False
) -> bytes:
    """The figure of `grid` as a PNG file, which keeps its Provenance and its caption.

    `layout` is `slide`, `paper` (300 dots an inch), or `audit`: every tile with its caption. Tiles
    are enlarged `scale` times, by default until they are 128 pixels wide (paper: 192), and in
    `audit` 48. `numbers` writes its number onto each tile.
    """
    if layout == "audit":
        image, dpi = draw_grid(grid, numbers, scale), None
    else:
        image, dpi = draw_figure(grid, MEDIA[layout], scale, numbers), MEDIA[layout].dpi
    info = record(grid.provenance)
    info.add_text("Description", caption(grid))
    buffer = io.BytesIO()
    extra = {} if dpi is None else {"dpi": (dpi, dpi)}
    image.save(buffer, "PNG", pnginfo=info, compress_level=COMPRESS_LEVEL, **extra)
    return buffer.getvalue()


def caption(grid: ImageGrid) -> str:
    """What the figure shows and what made it: command, checkpoint, seed and number of tiles."""
    lines = [grid.caption] if grid.caption else []
    if (made := grid.provenance) is not None:
        seed = "" if made.seed is None else f", seed {made.seed}"
        checkpoint = f"; checkpoint {made.checkpoint}" if made.checkpoint else ""
        lines.append(f"dcgan {made.command}{checkpoint}{seed}; {len(grid.images)} tiles")
    return "\n".join(lines)


def draw_figure(
    grid: ImageGrid, medium: Medium, scale: int | None = None, numbers: bool = False
) -> Image.Image:
    """The figure of `grid` as an RGB image."""
    style, placement = place_figure(grid, medium, scale)
    margin = 2 * style.apart
    paper = Image.new("RGB", (placement.width + 2 * margin, placement.height + 2 * margin), PAPER)
    brush = ImageDraw.Draw(paper)
    for item in placement.at(margin, margin):
        match item.what:
            case placing.PlacedTile():
                _draw_tile(paper, brush, item, item.what, grid.images[item.what.number], style)
                if numbers:
                    face = ImageFont.load_default(max(9, item.height // 7))
                    at = (item.x + item.width // 20, item.y + item.height // 40)
                    text = str(item.what.number)
                    brush.text(at, text, "white", face, stroke_width=2, stroke_fill="black")
            case placing.PlacedWords():
                _draw_words(brush, item, item.what, style)
            case _:
                _draw_line(brush, item, style)
    return paper


def place_figure(
    grid: ImageGrid, medium: Medium, scale: int | None = None
) -> tuple[placing.Style, placing.Placement]:
    """The sizes of `grid`'s figure, and where everything stands, without the margin."""
    count, height, width, _ = grid.images.shape
    figure = grid.figure or Tiles(in_rows(range(count), min(grid.columns, count)))
    factor = scale or max(1, math.ceil(medium.tile / min(width, height)))
    while True:
        tile = shown_size(width * factor, height * factor, grid.aspect)
        style = placing.Style(tile, medium.text, medium.gap)
        placement = placing.place(figure, style)
        if medium.dpi is None and placement.width > WIDEST_IN_LETTERS * style.text:
            style = replace(style, text=placement.width // WIDEST_IN_LETTERS)
            placement = placing.place(figure, style)
        if scale or factor == 1 or max(placement.width, placement.height) <= LARGEST:
            return style, placement
        factor -= 1


def _draw_tile(
    paper: Image.Image,
    brush: ImageDraw.ImageDraw,
    item: placing.Placed,
    tile: placing.PlacedTile,
    image: Images,
    style: placing.Style,
) -> None:
    size = (item.width, item.height)
    paper.paste(to_image(image).resize(size, Image.Resampling.LANCZOS), (item.x, item.y))
    for x0, y0, x1, y1 in tile.boxes:
        left, top = item.x + round(x0 * item.width), item.y + round(y0 * item.height)
        right, bottom = item.x + round(x1 * item.width), item.y + round(y1 * item.height)
        if right - left > 2 and bottom - top > 2:
            brush.rectangle((left, top, right - 1, bottom - 1), outline=ACCENT, width=2)
    if tile.framed:
        edge = (item.x, item.y, item.x + item.width - 1, item.y + item.height - 1)
        brush.rectangle(edge, outline=ACCENT, width=style.stroke + 1)


def _draw_words(
    brush: ImageDraw.ImageDraw,
    item: placing.Placed,
    words: placing.PlacedWords,
    style: placing.Style,
) -> None:
    face = placing.font(words.role, style.text)
    color = FAINT if words.role == "note" else INK
    for number, line in enumerate(words.lines):
        y = item.y + round((number + 0.5) * face.size * placing.LINE)
        if words.align == "center":
            brush.text((item.x + item.width / 2, y), line, color, face, anchor="mm")
        else:
            brush.text((item.x, y), line, color, face, anchor="lm")


def _draw_line(brush: ImageDraw.ImageDraw, item: placing.Placed, style: placing.Style) -> None:
    middle, right = item.y + item.height // 2, item.x + item.width - 1
    brush.line((item.x, middle, right, middle), INK, style.stroke)
    for x in (item.x, right - style.stroke + 1):
        brush.rectangle((x, item.y, x + style.stroke - 1, item.y + item.height - 1), INK)
