"""A Sheet as a PNG: tiles in rows on white, captions, and the record of what made them inside."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from dcgan_cli.report import RECORD, Pictures, Provenance, Sheet

GAP = 2
MARGIN = 8
CAPTION = 14
"""Pixels between tiles, around the sheet, and for a line of text."""

COMFORTABLE = 48
"""Smaller tiles are enlarged by a whole factor until they are at least this wide."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER, INK = (255, 255, 255), (70, 70, 70)

PIECE = 500_000
"""Characters of the sheet's record in one PNG text chunk."""


def draw_sheet(sheet: Sheet, numbers: bool = False) -> Image.Image:
    """The sheet as an RGB picture; `numbers` writes its number onto each tile."""
    count, height, width, _ = sheet.pictures.shape
    scale = max(1, math.ceil(COMFORTABLE / width))
    tile_w, tile_h = shown_size(width * scale, height * scale, sheet.aspect)
    columns = min(sheet.columns, count)
    rows = math.ceil(count / columns)
    caption = CAPTION if sheet.captions else 0
    font = ImageFont.load_default(11)
    label_w = max((int(font.getlength(text)) + GAP * 3 for text in sheet.row_labels), default=0)
    paper = Image.new(
        "RGB",
        (
            2 * MARGIN + label_w + columns * (tile_w + GAP) - GAP,
            2 * MARGIN + rows * (tile_h + caption + GAP) - GAP,
        ),
        PAPER,
    )
    brush = ImageDraw.Draw(paper)
    for i, picture in enumerate(sheet.pictures):
        row, column = divmod(i, columns)
        x = MARGIN + label_w + column * (tile_w + GAP)
        y = MARGIN + row * (tile_h + caption + GAP)
        tile = shown(picture, (tile_w, tile_h))
        paper.paste(tile, (x, y))
        if numbers:
            brush.text((x + 3, y + 1), str(i), "white", font, stroke_width=2, stroke_fill="black")
        if caption:
            text = _fitted(sheet.captions[i], tile_w + GAP, font)
            brush.text((x + tile_w / 2, y + tile_h + 1), text, INK, font, anchor="ma")
    for row, text in enumerate(sheet.row_labels):
        y = MARGIN + row * (tile_h + caption + GAP) + tile_h / 2
        brush.text((MARGIN, y), text, INK, font, anchor="lm")
    return paper


def encode_sheet(sheet: Sheet, numbers: bool = False) -> bytes:
    """The sheet as a PNG file; its Provenance is stored in text chunks."""
    buffer = io.BytesIO()
    draw_sheet(sheet, numbers).save(buffer, "PNG", pnginfo=_record(sheet.provenance))
    return buffer.getvalue()


def encode_picture(picture: Pictures, aspect: float = 1.0) -> bytes:
    """One image uint8 [H, W, C] as a PNG file of its own size, shown in `aspect` (width / height)."""
    buffer = io.BytesIO()
    height, width, _ = picture.shape
    shown(picture, shown_size(width, height, aspect)).save(buffer, "PNG")
    return buffer.getvalue()


def shown_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """The size in which a square of `width` by `height` is shown; the shorter side stays."""
    return round(width * max(aspect, 1.0)), round(height * max(1 / aspect, 1.0))


def shown(picture: Pictures, size: tuple[int, int]) -> Image.Image:
    """One image in (width, height): its pixels as they are, smooth where they change their shape."""
    height, width, _ = picture.shape
    alike = size[0] * height == size[1] * width
    how = Image.Resampling.NEAREST if alike else Image.Resampling.BICUBIC
    return to_image(picture).resize(size, how)


def to_image(picture: Pictures) -> Image.Image:
    """One picture uint8 [H, W, C], C 1 or 3, for Pillow."""
    return Image.fromarray(
        picture[..., 0] if picture.shape[-1] == 1 else np.ascontiguousarray(picture)
    )


def _fitted(text: str, width: int, font: Font) -> str:
    """`text`, cut short with … where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _record(provenance: Provenance | None) -> PngImagePlugin.PngInfo | None:
    if provenance is None:
        return None
    info = PngImagePlugin.PngInfo()
    text = provenance.to_json()
    for number, start in enumerate(range(0, len(text), PIECE)):
        info.add_text(f"{RECORD}.{number}", text[start : start + PIECE])
    return info
