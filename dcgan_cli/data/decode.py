"""Decoding: one record becomes a square of uint8 pixels, or raises Unreadable with a reason.

The decisions, in order:

- *Formats*: those of `image_files.py`, recognized by content; no other reader is tried.
- *Orientation*: EXIF and XMP orientation is applied, so that photographs are upright.
- *Transparency* (RGBA, LA, palette or a single transparent color, premultiplied or not): composited
  over `ImageSpec.background` before anything is resized; colors under alpha 0 never show.
- *Animations*: the first frame.
- *CMYK and YCCK*, including Adobe's inverted files, become RGB by the plain formula; ICC profiles
  are not applied. CIE LAB is refused.
- *More than 8 bits a channel* (16 and 32 bits, floating point): scaled from `ImageSpec.levels`,
  which `survey` determines for a source as a whole; values outside become black or white. Without
  levels, each image has its own: the smallest usual full scale that contains its brightest pixel, 1
  (floating point only), 255 or 65535. A NaN is refused.
- *Color to gray* is ITU-R 601 luma (0.299 R + 0.587 G + 0.114 B); gray to color repeats the
  channel.
- *Fit*: `ImageSpec.fit` selects the part of the image that fills the square (`resize_crop.py`), and
  one antialiased bicubic resize produces it. Bicubic rather than Lanczos: nearly as sharp, less
  ringing around hard edges (sprites, digits), good for enlarging small images, and recommended by
  Parmar et al. (2022, arXiv:2104.11222) where generated images are compared with real ones.
- *Decompression bombs*: an image that its header says has more than MAX_PIXELS pixels, or a JPEG of
  more than MAX_JPEG_SCANS scans, is refused before decoding. A larger JPEG is shrunk while it is
  decoded.
- *Truncated* files are refused, never filled with gray.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dcgan_cli.data.image_files import (
    MAX_PIXELS,
    OpenedImage,
    Unreadable,
    limit,
    load_file,
    wide_values,
)
from dcgan_cli.data.resize_crop import ImageSpec, Levels, resize_to_square
from dcgan_cli.data.sources import Record, Source


def read_image(
    source: Source, index: int, image_spec: ImageSpec
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Read and decode record `index`, as `decode`. Raises Unreadable, also if reading failed."""
    return decode(fetch(source, index), image_spec)


def fetch(source: Source, index: int) -> Record:
    """Record `index` as its source stores it. Raises Unreadable if the source cannot read it."""
    try:
        return source.read(index)
    except (OSError, ValueError) as error:
        raise Unreadable(_reason(error)) from error


def decode(record: Record, image_spec: ImageSpec) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The image as uint8 [side, side, channels], and its upright (width, height) before resizing.

    `record` is an encoded file, or pixels uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (RGBA).
    Raises Unreadable, and nothing else, whatever the bytes.
    """
    try:
        decoded = (
            _from_array(record)
            if isinstance(record, np.ndarray)
            else load_file(record, image_spec.side, image_spec.levels)
        )
        image = _flatten(decoded.image, image_spec)
        if image_spec.channels == 1:
            image = image.convert("L")
        image = resize_to_square(image, decoded, image_spec)
        pixels = np.empty(image_spec.shape, np.uint8)
        pixels[:] = np.asarray(image).reshape(image_spec.side, image_spec.side, -1)
        return pixels, decoded.size
    except Unreadable:
        raise
    # For malicious bytes, readers have raised errors of all kinds, from struct.error and SyntaxError
    # to ZeroDivisionError and MemoryError.
    except Exception as error:
        raise Unreadable(_reason(error)) from error


class ValueRange(NamedTuple):
    """The smallest and largest value of an image, and whether they are floating point."""

    low: float
    high: float
    floating: bool


def value_range(record: Record) -> ValueRange | None:
    """The range of values in a record of more than 8 bits a channel; None for any other record.

    Raises Unreadable if it cannot be read, or holds a value that is not finite.
    """
    if isinstance(record, np.ndarray):
        return None
    try:
        values = wide_values(record)
    except Unreadable:
        raise
    except Exception as error:  # as in `decode`
        raise Unreadable(_reason(error)) from error
    if values is None:
        return None
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise Unreadable("holds values that are not finite (NaN or infinity)")
    return ValueRange(low, high, values.dtype.kind == "f")


def _from_array(pixels: NDArray[np.uint8]) -> OpenedImage:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    known = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not known:
        raise Unreadable(f"an array of {pixels.dtype} {list(pixels.shape)} is no image")
    limit(pixels.shape[1], pixels.shape[0])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return OpenedImage(image, image.size)


def _flatten(image: Image.Image, image_spec: ImageSpec) -> Image.Image:
    """The image in mode L or RGB: transparency composited, wide values scaled to 8 bits."""
    if image.mode[0] in "IF":
        return _narrow(image, image_spec.levels)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, image_spec.background)
        canvas.paste(image, mask=image)
        return canvas
    if image.mode == "LAB":
        raise Unreadable("CIE LAB colors are not supported")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _narrow(image: Image.Image, levels: Levels | None) -> Image.Image:
    """A gray image of 16 or 32 bits, or floating point, as 8 bits."""
    values = np.asarray(image)
    if levels is None:
        brightest = float(values.max())
        scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        # NaN is not <= any scale, so it is refused here too.
        scale = next((full for full in scales if brightest <= full), None)
        if scale is None:
            raise Unreadable(f"gray levels up to {brightest:g} fit no known scale")
        levels = 0.0, scale
    black, white = levels
    if np.isnan(values.max()):
        raise Unreadable("holds values that are not numbers (NaN)")
    scaled = np.clip(values, black, white).astype(np.float32) - np.float32(black)
    scaled *= 255.0 / (white - black)
    scaled += 0.5
    return Image.fromarray(scaled.astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image in JPEG, PNG, WebP, BMP, GIF, TIFF, PPM, AVIF or JPEG 2000"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MAX_PIXELS // 1_000_000} megapixels; shrink it first"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:160] or type(error).__name__
