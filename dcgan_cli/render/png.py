"""An image grid as a PNG with every detail: tiles in rows, captions, and the record of what made them.

render/figure.py composes the same tiles for a slide or a paper.
"""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from dcgan_cli.report import RECORD, ImageGrid, Images, Provenance

GAP = 2
MARGIN = 8
CAPTION = 14
"""Pixels between tiles, around the image grid, and for a line of text."""

COMFORTABLE = 48
"""Smaller tiles are enlarged by a whole factor until they are at least this wide."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER, INK = (255, 255, 255), (70, 70, 70)

PIECE = 500_000
"""Characters of the image grid's record in one PNG text chunk."""


COMPRESS_LEVEL = 4
"""Of PNG: half the time of the default, 6, for one percent more bytes."""


def draw_grid(grid: ImageGrid, numbers: bool = False, scale: int | None = None) -> Image.Image:
    """The image grid as an RGB image; `numbers` writes its number onto each tile.

    Tiles are enlarged `scale` times, by default until they are COMFORTABLE.
    """
    count, height, width, _ = grid.images.shape
    scale = scale or max(1, math.ceil(COMFORTABLE / width))
    tile_w, tile_h = shown_size(width * scale, height * scale, grid.aspect)
    columns = min(grid.columns, count)
    rows = math.ceil(count / columns)
    caption = CAPTION if grid.captions else 0
    font = ImageFont.load_default(11)
    label_w = max((int(font.getlength(text)) + GAP * 3 for text in grid.row_labels), default=0)
    across = 2 * MARGIN + label_w + columns * (tile_w + GAP) - GAP
    down = 2 * MARGIN + rows * (tile_h + caption + GAP) - GAP
    paper = Image.new("RGB", (across, down), PAPER)
    brush = ImageDraw.Draw(paper)
    for i, image in enumerate(grid.images):
        row, column = divmod(i, columns)
        x = MARGIN + label_w + column * (tile_w + GAP)
        y = MARGIN + row * (tile_h + caption + GAP)
        paper.paste(shown(image, (tile_w, tile_h)), (x, y))
        if numbers:
            brush.text((x + 3, y + 1), str(i), "white", font, stroke_width=2, stroke_fill="black")
        if caption:
            text = _fitted(grid.captions[i], tile_w + GAP, font)
            brush.text((x + tile_w / 2, y + tile_h + 1), text, INK, font, anchor="ma")
    for row, text in enumerate(grid.row_labels):
        y = MARGIN + row * (tile_h + caption + GAP) + tile_h / 2
        brush.text((MARGIN, y), text, INK, font, anchor="lm")
    return paper


def encode_grid(grid: ImageGrid, numbers: bool = False) -> bytes:
    """The image grid as a PNG file; its Provenance is stored in text chunks."""
    buffer = io.BytesIO()
    draw_grid(grid, numbers).save(
        buffer, "PNG", pnginfo=record(grid.provenance), compress_level=COMPRESS_LEVEL
    )
    return buffer.getvalue()


def encode_image(image: Images, aspect: float = 1.0) -> bytes:
    """One image uint8 [H, W, C] as a PNG file of its own size, shown in `aspect` (width / height)."""
    buffer = io.BytesIO()
    height, width, _ = image.shape
    shown(image, shown_size(width, height, aspect)).save(
        buffer, "PNG", pnginfo=record(None), compress_level=COMPRESS_LEVEL
    )
    return buffer.getvalue()


def shown_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """The size in which a square of `width` by `height` is shown; the shorter side stays."""
    return round(width * max(aspect, 1.0)), round(height * max(1 / aspect, 1.0))


def shown(image: Images, size: tuple[int, int]) -> Image.Image:
    """One image in (width, height): its pixels as they are, smooth where they change their shape."""
    height, width, _ = image.shape
    alike = size[0] * height == size[1] * width
    how = Image.Resampling.NEAREST if alike else Image.Resampling.BICUBIC
    return to_image(image).resize(size, how)


def to_image(image: Images) -> Image.Image:
    """One image uint8 [H, W, C], C 1 or 3, for Pillow."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else np.ascontiguousarray(image))


def _fitted(text: str, width: int, font: Font) -> str:
    """`text`, cut short with … where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def record(provenance: Provenance | None) -> PngImagePlugin.PngInfo:
    """The text chunks of a PNG: who wrote it, and `provenance` where there is one."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "dcgan")  # first, so that a look at the head tells whose file it is
    text = "" if provenance is None else provenance.to_json()
    for number, start in enumerate(range(0, len(text), PIECE)):
        info.add_text(f"{RECORD}.{number}", text[start : start + PIECE])
    return info
