"""Opening encoded images with Pillow: upright, within limits, or Unreadable with a reason.

JPEG, PNG, WebP, BMP, GIF, TIFF and PPM are always supported; AVIF and JPEG 2000 if Pillow was built
with them, HEIC with the `heic` extra.
"""

import contextlib
import ctypes
import io
import logging
import struct
import sys
import warnings
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Imported by name, because Image.open would import every plugin of Pillow to find these.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

MAX_PIXELS = 64_000_000
"""An image of more pixels is refused: decoded it would take some 200 MB to 1 GB."""

MAX_JPEG_PIXELS = 1_000_000_000
"""A JPEG of one scan is shrunk row by row while it is decoded: only the result is in memory."""

MAX_BUFFERED_PIXELS = 128_000_000
"""A JPEG of several scans (a progressive one) is kept in memory as a whole, 2 bytes a value."""

MAX_JPEG_SCANS = 500
"""A progressive JPEG has about ten; thousands of empty ones would take hours to decode."""

DRAFT_GAP = 3
"""JPEGs are shrunk while decoding, by 2, 4 or 8, to no less than this many times the square."""

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
        AvifImagePlugin.AvifImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
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

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_BIG_ENDIAN, _LITTLE_ENDIAN = ";16B", ";16L"
_NATIVE = _LITTLE_ENDIAN if sys.byteorder == "little" else _BIG_ENDIAN

# Pillow's warnings about damaged tags are not for the user. They are silenced once, for the process:
# warnings.catch_warnings is not safe if several threads decode.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())
# libtiff prints errors on stderr itself. If its handler cannot be reached in this build of Pillow,
# its messages are shown, which does no other harm.
with contextlib.suppress(AttributeError, OSError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


class Unreadable(ValueError):  # noqa: N818 - a fact about an image, counted and skipped
    """A record that is not a usable image; `str(error)` is the short reason, one line."""


class OpenedImage(NamedTuple):
    """An upright image of `size` (width, height), decoded `shrunk` times smaller."""

    image: Image.Image
    size: tuple[int, int]
    shrunk: float = 1.0


def load_file(data: bytes, side: int, levels: tuple[float, float] | None) -> OpenedImage:
    """The image in `data`, decoded no smaller than a square of `side` pixels needs.

    `levels` are the values of 16-bit color that become 0 and 255; None for the full range. Raises
    Unreadable, and whatever Pillow raises for a damaged file.
    """
    image, size, shrunk = _open(data, side)
    scaled = None if levels is None or not _is_wide_color(image) else _scaled_color(data, levels)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        image.load()  # this also applies the orientation
        return OpenedImage(scaled or image, image.size)
    orientation = _orientation(image)
    image.load()
    image = scaled or image
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return OpenedImage(image, (size[1], size[0]) if orientation in _SIDEWAYS else size, shrunk)


_MEND = "shrink it first, or save it as a JPEG that is not progressive"


def limit(
    width: int, height: int, most: int = MAX_PIXELS, what: str = "", mend: str = _MEND
) -> None:
    """Raise Unreadable if an image of this size has no pixels, or more than `most`."""
    if width < 1 or height < 1:
        raise Unreadable(f"{width}x{height} pixels: nothing to see")
    if width * height > most:
        raise Unreadable(
            f"{what}{width}x{height} pixels, more than {most // 1_000_000:,} megapixels; {mend}"
        )


def wide_values(data: bytes) -> NDArray[np.generic] | None:
    """The values of an image of more than 8 bits a channel, [H, W] or [H, W, 3], as in the file.

    None for any other image, and for none at all.
    """
    try:
        image = _open(data, 1)[0]
    except Exception:  # noqa: BLE001 - decoding will report what is wrong
        return None
    if image.mode[0] in "IF":
        image.load()
        return np.asarray(image)
    return _wide_color(data)[..., :3] if _is_wide_color(image) else None


def _open(data: bytes, side: int) -> tuple[Image.Image, tuple[int, int], float]:
    """An image that is not loaded yet, its full size, and by which factor it will be shrunk."""
    if not data:
        raise Unreadable("empty file")
    if data.startswith(b"\xff\xd8\xff"):
        return _open_jpeg(data, side)
    heic = data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and b"avif" not in data[8:64]
    image = _open_heic(data) if heic else Image.open(io.BytesIO(data), formats=FORMATS)
    limit(*image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile is decoded whole, however small the image.
        limit(image.tag_v2.get(_TILE_WIDTH, 1), image.tag_v2.get(_TILE_LENGTH, 1))
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        _limit_codestream(data)
    return image, image.size, 1.0


def _open_jpeg(data: bytes, side: int) -> tuple[Image.Image, tuple[int, int], float]:
    # Not by Image.open, which checks the size before the image is shrunk.
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    width, height = image.size
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise Unreadable(f"more than {MAX_JPEG_SCANS} JPEG scans")
    if _in_one_scan(data):
        limit(width, height, MAX_JPEG_PIXELS, mend="shrink it first")
    else:
        limit(width, height, MAX_BUFFERED_PIXELS, "a progressive JPEG of ")
    factor = max(1, min(width, height) // (side * DRAFT_GAP))
    while width * height > MAX_PIXELS * factor**2:
        factor += 1
    if draft := image.draft(None, (max(1, width // factor), max(1, height // factor))):
        return image, (width, height), width / draft[1][2]
    return image, (width, height), 1.0


def _in_one_scan(data: bytes) -> bool:
    """Whether one scan holds the whole JPEG, which can then be decoded row by row."""
    at, components = 2, -1
    while at + 10 < len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xC0, 0xC1):
            components = data[at + 9]
        elif marker == 0xDA:
            return data[at + 4] == components
        at += 1 if marker == 0xFF else 2 + size
    return False


def _open_heic(data: bytes) -> Image.Image:
    if find_spec("pillow_heif") is None:
        raise Unreadable("HEIC, which needs: pip install 'dcgan[heic]'")
    from pillow_heif import register_heif_opener  # the `heic` extra

    register_heif_opener()
    return Image.open(io.BytesIO(data), formats=("HEIF",))


def _limit_codestream(data: bytes) -> None:
    """Apply the limit to JPEG 2000's own sizes: those of the box around it may be smaller."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 40 > len(data):
        raise Unreadable("JPEG 2000 without sizes")
    right, low, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, at + 8)
    limit(right - left, low - top)
    limit(min(tile_width, right), min(tile_height, low))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 (upright) if there is none or it is damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - the image itself was decoded; as in `decode`
        return 1


def _scaled_color(data: bytes, levels: tuple[float, float]) -> Image.Image:
    """16-bit color as 8 bits, `levels` becoming 0 and 255; alpha uses the full range."""
    black, white = levels
    values = _wide_color(data).astype(np.float32)
    values[..., :3] = np.clip((values[..., :3] - black) * (255 / (white - black)), 0, 255)
    values[..., 3:] /= 257
    return Image.fromarray((values + 0.5).astype(np.uint8))


def _is_wide_color(image: Image.Image) -> bool:
    """Whether Pillow would keep only the upper 8 of 16 bits of a color image."""
    return bool(image.tile) and all(_swapped(_raw_mode(tile.args)) for tile in image.tile)  # type: ignore[attr-defined]


def _wide_color(data: bytes) -> NDArray[np.uint16]:
    """All bits of an image for which `_is_wide_color` is true, uint16 [H, W, 3 or 4].

    Pillow keeps the upper byte of each value; with the byte order swapped, it keeps the lower one.
    """
    upper, lower = _open(data, 1)[0], _open(data, 1)[0]
    tiles = lower.tile  # type: ignore[attr-defined]
    for place, tile in enumerate(tiles):
        raw = _swapped(_raw_mode(tile.args))
        args = raw if isinstance(tile.args, str) else (raw, *tile.args[1:])
        tiles[place] = tile._replace(args=args)
    return np.asarray(upper).astype(np.uint16) * np.uint16(256) + np.asarray(lower)


def _raw_mode(args: object) -> str:
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def _swapped(raw_mode: str) -> str:
    """A raw mode of 16-bit color in the other byte order; '' for any other."""
    mode, order = raw_mode[:-4], raw_mode[-4:].replace(";16N", _NATIVE)
    if mode not in ("RGB", "RGBA") or order not in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        return ""
    return mode + (_LITTLE_ENDIAN if order == _BIG_ENDIAN else _BIG_ENDIAN)
