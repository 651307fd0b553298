"""One record becomes a square of pixels, or is refused with a reason: never anything else.

What is done on purpose, file by file:

- *Formats*: JPEG, PNG, WebP, BMP, GIF, TIFF and PPM, told by content; no other reader is tried.
- *Orientation*: EXIF and XMP orientation is applied, so pictures from cameras stand upright.
- *Transparency* (RGBA, LA, palette or single transparent colour, premultiplied or not) is laid
  over `Framing.background` before anything is resized; colours hidden under alpha 0 never show.
- *Animations*: the first frame.
- *CMYK and YCCK*, Adobe's inverted files too, become RGB by the plain formula; ICC profiles are not
  applied. CIE LAB is refused.
- *Wide greys* (16 and 32 bits, floating point) are scaled from the smallest customary full scale
  that holds the brightest pixel: 1 (floating point alone), 255 or 65535. More than that, or a NaN,
  is refused.
- *Colour to grey* is ITU-R 601 luma (0.299 R + 0.587 G + 0.114 B); grey to colour repeats.
- *Framing*: the centred square, then one antialiased bicubic resize from that square. Bicubic
  rather than Lanczos: nearly as sharp, rings less around hard edges (sprites, digits), enlarges
  small pictures well, and is what Parmar et al. (2022, arXiv:2104.11222) ask for when generated
  pictures are to be compared with these.
- *Bombs*: more than MOST_PIXELS pixels by the header, or more than MOST_SCANS scans in a JPEG, is
  refused before decoding; Pillow refuses PNG texts and profiles that inflate beyond a megabyte.
- *Truncated* files are refused, never half grey.
"""

import contextlib
import ctypes
import io
import logging
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Imported by name, because Image.open would import every plugin of Pillow to find these.
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from dcgan_cli.data.sources import Record, Source

MOST_PIXELS = 64_000_000
"""A picture of more pixels is refused unseen: decoded it would take some 200 MB to 1 GB."""

MOST_SCANS = 500
"""A progressive JPEG has about ten; thousands of empty ones would keep a decoder busy for hours."""

DRAFT_GAP = 3
"""JPEGs are shrunk while decoding, by 2, 4 or 8, down to no less than this times the square."""

FORMATS = tuple(
    str(plugin.format)
    for plugin in (
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        WebPImagePlugin.WebPImageFile,
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        TiffImagePlugin.TiffImageFile,
        PpmImagePlugin.PpmImageFile,
    )
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SIDEWAYS = (5, 6, 7, 8)

_TILE_WIDTH, _TILE_LENGTH = 322, 323

# What Pillow thinks of a damaged tag is for the log of unreadable pictures, if for anyone. Set
# once and for the process: warnings.catch_warnings is not safe where several threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
# libtiff prints what it finds wrong on stderr itself. Where Pillow carries it in a form that cannot
# be reached so, its lines show and do no other harm.
with contextlib.suppress(AttributeError, OSError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


class Unreadable(ValueError):  # noqa: N818 - a fact about a picture, counted and skipped
    """A record that is no usable picture; `str(error)` is the short reason, one line."""


@dataclass(frozen=True)
class Framing:
    """How a picture becomes a square of pixels: `side` pixels a side, 1 (grey) or 3 (RGB) channels.

    `background`, RGB in 0..255, shows where a picture is transparent.
    """

    side: int
    channels: int
    background: tuple[int, int, int] = (255, 255, 255)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(side, side, channels), the shape of one picture."""
        return self.side, self.side, self.channels

    @property
    def picture_bytes(self) -> int:
        """Bytes of one picture."""
        return self.side * self.side * self.channels


def read_picture(
    source: Source, index: int, framing: Framing
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Read and decode record `index`: as `decode`. Raises Unreadable, also where reading failed."""
    return decode(fetch(source, index), framing)


def fetch(source: Source, index: int) -> Record:
    """Record `index` as its source holds it. Raises Unreadable where the source cannot read it."""
    try:
        return source.read(index)
    except (OSError, ValueError) as error:
        raise Unreadable(_reason(error)) from error


def decode(record: Record, framing: Framing) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The picture as uint8 [side, side, channels], and its upright (width, height) before framing.

    `record` is an encoded file, or pixels uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGBA).
    Raises Unreadable, and nothing else, whatever the bytes.
    """
    try:
        picture = (
            _from_array(record) if isinstance(record, np.ndarray) else _from_file(record, framing)
        )
        image = _flatten(picture.image, framing.background)
        if framing.channels == 1:
            image = image.convert("L")
        left, top, side = (edge / picture.shrunk for edge in centred_square(*picture.size))
        image = image.resize(
            (framing.side, framing.side),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        pixels = np.empty(framing.shape, np.uint8)
        pixels[:] = np.asarray(image).reshape(framing.side, framing.side, -1)
        return pixels, picture.size
    except Unreadable:
        raise
    # Readers fed with hostile bytes have raised every kind of error there is, from struct.error
    # and SyntaxError to ZeroDivisionError and MemoryError.
    except Exception as error:
        raise Unreadable(_reason(error)) from error


def centred_square(width: int, height: int) -> tuple[int, int, int]:
    """(left, top, side) in pixels of the largest centred square; an odd pixel is cut at the end."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def crop_corners(corners: ArrayLike, width: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Boxes on the whole picture, as boxes on its centred square.

    `corners` [M, 4] holds x0, y0, x1, y1 as fractions of the whole picture, which is `width` by
    `height` pixels (one number, or [M] for boxes of several pictures). Returns float64 [M, 4], in
    fractions of the square, clipped to [0, 1]; a box that lies outside is a row of NaN.
    """
    wide, high = np.asarray(width, np.int64), np.asarray(height, np.int64)
    side = np.minimum(wide, high)
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    for axis, length in ((0, wide), (1, high)):
        start = (length - side) // 2
        ends = boxes[:, axis::2]
        boxes[:, axis::2] = (ends * length[..., None] - start[..., None]) / side[..., None]
    boxes = np.clip(boxes, 0.0, 1.0)
    outside = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    boxes[outside] = np.nan
    return boxes


class _Picture(NamedTuple):
    """An upright picture of `size` (width, height), decoded `shrunk` times smaller."""

    image: Image.Image
    size: tuple[int, int]
    shrunk: float = 1.0


def _from_array(pixels: NDArray[np.uint8]) -> _Picture:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    known = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not known:
        raise Unreadable(f"an array of {pixels.dtype} {list(pixels.shape)} is no picture")
    _limit(pixels.shape[1], pixels.shape[0])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return _Picture(image, image.size)


def _from_file(data: bytes, framing: Framing) -> _Picture:
    if not data:
        raise Unreadable("empty file")
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _limit(*image.size)
    full, shrunk = image.size, 1.0
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        if data.count(b"\xff\xda") > MOST_SCANS:
            raise Unreadable(f"more than {MOST_SCANS} JPEG scans")
        least = framing.side * DRAFT_GAP
        if draft := image.draft(None, (least, least)):
            shrunk = full[0] / draft[1][2]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile is decoded whole, however small the picture; and loading turns it upright.
        _limit(image.tag_v2.get(_TILE_WIDTH, 1), image.tag_v2.get(_TILE_LENGTH, 1))
        image.load()
        return _Picture(image, image.size)
    image.load()
    orientation = _orientation(image)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return _Picture(image, (full[1], full[0]) if orientation in _SIDEWAYS else full, shrunk)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) where there is none or its record is damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the picture itself was decoded; as in `decode`
        return 1


def _limit(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise Unreadable(f"{width}x{height} pixels: nothing to see")
    if width * height > MOST_PIXELS:
        limit = MOST_PIXELS // 1_000_000
        raise Unreadable(f"{width}x{height} pixels, more than {limit} megapixels")


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """The same picture in mode L or RGB."""
    if image.mode[0] in "IF":
        return _narrow(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, background)
        canvas.paste(image, mask=image)
        return canvas
    if image.mode == "LAB":
        raise Unreadable("CIE LAB colours are not supported")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _narrow(image: Image.Image) -> Image.Image:
    """A grey picture of 16 or 32 bits, or floating point, as 8 bits."""
    values = np.asarray(image)
    brightest = float(values.max())
    scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    # A NaN compares as no larger than nothing, so it ends here too.
    scale = next((full for full in scales if brightest <= full), None)
    if scale is None:
        raise Unreadable(f"grey levels up to {brightest:g} fit no known scale")
    levels = np.clip(values, 0, scale).astype(np.float32)
    levels *= 255.0 / scale
    levels += 0.5
    return Image.fromarray(levels.astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in JPEG, PNG, WebP, BMP, GIF, TIFF or PPM"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS // 1_000_000} megapixels"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:160] or type(error).__name__
