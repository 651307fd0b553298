"""Decoding: every kind of picture comes out as documented, every other file is refused in words."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from dcgan_cli.data.decode import (
    MOST_PIXELS,
    MOST_SCANS,
    Framing,
    Unreadable,
    centred_square,
    crop_corners,
    decode,
    read_picture,
)
from dcgan_cli.data.survey import printable, survey
from dcgan_cli.errors import SourceError

Pixels = NDArray[np.uint8]

# Pillow's warnings, which pytest lets through: see test_no_warning_reaches_stderr.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int, width: int) -> Pixels:
    """Colours that JPEG and WebP keep within a few levels."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([255 * x, 255 * y, 255 * (1 - x) * y], 2).astype(np.uint8)


def encode(image: Image.Image | NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def rgb(data: bytes | Pixels, side: int, background: tuple[int, int, int] = (255, 255, 255)):
    return decode(data, Framing(side, 3, background))[0]


def grey(data: bytes | Pixels, side: int) -> Pixels:
    return decode(data, Framing(side, 1))[0]


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header claims RGB of `width` by `height`, whatever follows."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (header, *chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


# -- what each kind of file becomes ---------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_colour_is_exact(form: str) -> None:
    pixels = noise(9, 9)
    options = {"lossless": True} if form == "WEBP" else {}
    square, size = decode(encode(pixels, form, **options), Framing(9, 3))
    assert size == (9, 9)
    np.testing.assert_array_equal(square, pixels)


@pytest.mark.parametrize(("form", "tolerance"), [("JPEG", 12), ("WEBP", 16)])
def test_lossy_colour_is_close(form: str, tolerance: int) -> None:
    pixels = smooth(32, 32)
    square = rgb(encode(pixels, form, quality=95), 32)
    assert np.abs(square.astype(int) - pixels).max() <= tolerance


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_grey_and_one_bit_are_exact_and_repeat_into_colour(form: str) -> None:
    levels = noise(8, 8, 1)[..., 0]
    np.testing.assert_array_equal(grey(encode(levels, form), 8)[..., 0], levels)
    np.testing.assert_array_equal(rgb(encode(levels, form), 8), np.stack([levels] * 3, 2))
    bits = Image.fromarray(levels).convert("1", dither=Image.Dither.NONE)
    expected = np.where(levels >= 128, 255, 0)
    np.testing.assert_array_equal(grey(encode(bits, form), 8)[..., 0], expected)


def test_colour_to_grey_is_itu_r_601_luma() -> None:
    pixels = noise(16, 16)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey(encode(pixels), 16)[..., 0] - luma).max() <= 0.51


def test_palette_and_gif_keep_their_colours() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], np.uint8)
    image = Image.fromarray(pixels).quantize(4)
    for form in ("PNG", "GIF", "TIFF", "BMP"):
        np.testing.assert_array_equal(rgb(encode(image, form), 2), pixels)


def test_transparency_is_laid_over_the_background() -> None:
    layers = np.array([[[10, 200, 30, 255], [10, 200, 30, 0]]] * 2, np.uint8)
    layers[1, 0, 3] = 51  # one fifth
    square = rgb(encode(layers), 2, background=(0, 100, 255))
    assert square[0].tolist() == [[10, 200, 30], [0, 100, 255]]
    assert square[1, 0].tolist() == [2, 120, 210]
    np.testing.assert_array_equal(rgb(layers, 2, background=(0, 100, 255)), square)


def test_hidden_colours_do_not_bleed_when_resized() -> None:
    layers = np.zeros((64, 64, 4), np.uint8)
    layers[..., 0] = 255  # red under alpha 0
    layers[::2, :, 3] = 0
    assert (rgb(encode(layers), 8) == 255).all()


@pytest.mark.parametrize(("mode", "form"), [("LA", "PNG"), ("LA", "TIFF"), ("PA", "TIFF")])
def test_grey_and_palette_with_alpha(mode: str, form: str) -> None:
    image = Image.new("L", (2, 2), 80).convert(mode)
    image.putalpha(Image.fromarray(np.array([[255, 0]] * 2, np.uint8)))
    assert image.mode == mode
    square = rgb(encode(image, form), 2)
    assert square[0].tolist() == [[80, 80, 80], [255, 255, 255]]


@pytest.mark.parametrize("grey_only", [True, False])
def test_premultiplied_alpha(grey_only: bool) -> None:
    square = rgb(premultiplied_tiff(grey_only), 2)
    assert square[0].tolist() == [[80, 80, 80], [255, 255, 255]]


def premultiplied_tiff(grey_only: bool) -> bytes:
    """A 2x2 TIFF with associated alpha: a column of 80, a column of nothing."""
    opaque, clear = ([80, 255], [0, 0]) if grey_only else ([80, 80, 80, 255], [0, 0, 0, 0])
    pixels = bytes((opaque + clear) * 2)
    samples = len(opaque)
    tags = [
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 1, 8) if samples == 1 else (258, 3, samples, 8 + 2 + 12 * 10 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if grey_only else 2),
        (273, 4, 1, 8 + 2 + 12 * 10 + 4 + 8),
        (277, 3, 1, samples),
        (278, 3, 1, 2),
        (279, 4, 1, len(pixels)),
        (338, 3, 1, 1),
    ]
    bits = struct.pack("<4H", 8, 8, 8, 8)
    if samples == 2:  # two shorts fit in the entry itself
        tags[2] = (258, 3, 2, 8 | 8 << 16)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bits + pixels


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_single_transparent_colour(mode: str) -> None:
    levels = np.array([[10, 90], [90, 10]], np.uint8)
    image = Image.fromarray(levels).convert(mode)
    key: Any = {"L": 90, "RGB": (90, 90, 90), "P": 90}[mode]
    square = rgb(encode(image, "PNG", transparency=key), 2, background=(1, 2, 3))
    assert square[0, 1].tolist() == [1, 2, 3]
    assert square[0, 0].tolist() == [10, 10, 10]


def test_cmyk_and_adobes_inverted_jpeg() -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 0] = 255  # cyan
    image = Image.fromarray(inks, "CMYK")
    for form in ("TIFF", "JPEG"):  # Pillow writes CMYK JPEGs as Adobe does, inverted
        square = rgb(encode(image, form), 16).astype(int)
        assert np.abs(square - [0, 255, 255]).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_spans_the_whole_range(form: str) -> None:
    values = np.array([[0, 257 * 7], [257 * 128, 65535]], np.uint16)
    assert grey(encode(values, form), 2)[..., 0].tolist() == [[0, 7], [128, 255]]


def test_wide_greys_take_the_smallest_scale_that_holds_them() -> None:
    narrow = np.array([[0, 10], [20, 255]])
    for kind in (np.uint16, np.int32, np.float32):
        assert grey(encode(narrow.astype(kind), "TIFF"), 2)[..., 0].tolist() == narrow.tolist()
    unit = np.array([[0, 0.5], [1, -3]], np.float32)
    assert grey(encode(unit, "TIFF"), 2)[..., 0].tolist() == [[0, 128], [255, 0]]
    wide = np.array([[0, 65535], [257, -9]], np.int32)
    assert grey(encode(wide, "TIFF"), 2)[..., 0].tolist() == [[0, 255], [1, 0]]


@pytest.mark.parametrize("value", [1e6, np.nan, np.inf])
def test_values_of_no_known_scale_are_refused(value: float) -> None:
    with pytest.raises(Unreadable, match="fit no known scale"):
        decode(encode(np.full((2, 2), value, np.float32), "TIFF"), Framing(2, 1))


def test_sixteen_bit_colour_and_lab() -> None:
    row = struct.pack(">6H", 0, 257 * 9, 65535, 65535, 0, 257 * 200)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = png(2, 1, (b"IDAT", zlib.compress(b"\0" + row)))
    data = data.replace(struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0), header)
    old = struct.pack(">I", zlib.crc32(b"IHDR" + struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0)))
    data = data.replace(old, struct.pack(">I", zlib.crc32(b"IHDR" + header)))
    assert rgb(data, 1).tolist() == [[[0, 9, 255]]]
    with pytest.raises(Unreadable, match="LAB"):
        decode(encode(Image.new("LAB", (4, 4)), "TIFF"), Framing(4, 3))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert (rgb(data, 8) == [255, 0, 0]).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form: str, orientation: int) -> None:
    """Turned to be stored, and marked with the tag that turns it back, a picture stands upright."""
    upright = smooth(24, 16)
    stored: dict[int, Callable[[Pixels], Pixels]] = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    if form == "JPEG":
        options = {"quality": 98, "subsampling": 0}
    pixels = np.ascontiguousarray(stored[orientation](upright))
    square, size = decode(encode(pixels, form, exif=exif, **options), Framing(16, 3))
    assert size == (16, 24)
    assert np.abs(square.astype(int) - upright[4:20]).max() <= (6 if form == "JPEG" else 0)


def test_a_damaged_exif_record_costs_the_orientation_alone() -> None:
    pixels = smooth(16, 16)
    data = encode(pixels, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(rgb(data, 16), rgb(encode(pixels, "JPEG"), 16))


def test_arrays_of_every_shape() -> None:
    pixels = noise(6, 8, 4)
    for record in (pixels[..., 0], pixels[..., :1]):
        np.testing.assert_array_equal(grey(record, 6), pixels[:, 1:7, :1])
    np.testing.assert_array_equal(rgb(pixels[..., :3], 6), pixels[:, 1:7, :3])
    for bad in (pixels[..., :2], pixels[0, 0], pixels[:0], pixels.astype(np.float32)):
        with pytest.raises(Unreadable):
            decode(bad, Framing(6, 3))  # type: ignore[arg-type]


# -- framing --------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40))
def test_an_unscaled_crop_is_the_centre_of_the_array(width: int, height: int) -> None:
    pixels = noise(height, width)
    left, top, side = centred_square(width, height)
    assert abs(left - (width - side - left)) <= 1
    assert abs(top - (height - side - top)) <= 1
    square, size = decode(encode(pixels, "PPM"), Framing(side, 3))
    assert size == (width, height)
    np.testing.assert_array_equal(square, pixels[top : top + side, left : left + side])


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    middle = grey(stripes, 8)[1:-1, 1:-1]
    assert np.abs(middle.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20_000, 2), (3, 3)])
def test_tiny_and_absurd_pictures_are_enlarged(size: tuple[int, int]) -> None:
    square, found = decode(encode(Image.new("RGB", size, (9, 99, 199))), Framing(64, 3))
    assert found == size
    assert (square == [9, 99, 199]).all()


@pytest.mark.parametrize("size", [(1024, 1024), (1601, 1203), (900, 1787)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpegs_shrunk_while_decoded_look_the_same(size: tuple[int, int], subsampling: int) -> None:
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / a) * np.cos(y / b) for a, b in ((31, 17), (23, 40), (57, 29))]
    pixels = np.stack(waves, 2) + np.random.default_rng(0).normal(0, 12, (height, width, 1))
    data = encode(np.clip(pixels, 0, 255).astype(np.uint8), "JPEG", subsampling=subsampling)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    assert decode(data, Framing(64, 3))[1] == size
    difference = np.abs(rgb(data, 64).astype(int) - rgb(whole, 64))
    assert difference.max() <= 3
    assert difference.mean() < 0.5


def test_boxes_follow_the_crop() -> None:
    corners = [[0, 0, 1, 1], [0.25, 0.5, 0.75, 1], [0, 0, 0.2, 1], [0.2, 0.1, 0.5, 0.2]]
    wide = crop_corners(corners, 200, 100)  # the square is x 50..150
    expected = [[0, 0, 1, 1], [0, 0.5, 1, 1], [np.nan] * 4, [0, 0.1, 0.5, 0.2]]
    np.testing.assert_allclose(wide, expected)
    both = crop_corners([[0, 0, 0.5, 0.5]] * 2, [200, 100], [100, 200])
    np.testing.assert_allclose(both, [[0, 0, 0.5, 0.5]] * 2)
    assert crop_corners(np.zeros((0, 4)), 5, 5).shape == (0, 4)


@given(st.integers(8, 60), st.integers(8, 60), st.data())
def test_a_box_round_a_patch_is_round_it_after_the_crop(
    width: int, height: int, data: st.DataObject
) -> None:
    left, top, side = centred_square(width, height)
    x0 = data.draw(st.integers(left, left + side - 1))
    y0 = data.draw(st.integers(top, top + side - 1))
    pixels = np.zeros((height, width), np.uint8)
    pixels[y0, x0] = 255
    fractions = [[x0 / width, y0 / height, (x0 + 1) / width, (y0 + 1) / height]]
    box = crop_corners(fractions, width, height)[0] * side
    column, row = (round(float(edge)) for edge in box[:2])
    assert grey(pixels, side)[row, column, 0] == 255


# -- hostile files --------------------------------------------------------------------------------


def progressive_bomb() -> bytes:
    """A JPEG of many empty scans, each of which would walk over the whole picture."""
    data = encode(smooth(32, 32), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * MOST_SCANS + data[-2:]


def text_bomb() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "0" * 50_000_000, zip=True)
    return encode(smooth(4, 4), "PNG", pnginfo=info)


def tile_bomb() -> bytes:
    """A TIFF of 100 by 100 pixels in one tile of 30,000 by 30,000: 900 MB, deflated to nothing."""
    tile = zlib.compress(bytes(1000))
    values = {256: 100, 257: 100, 258: 8, 259: 8, 262: 1, 277: 1, 322: 30_000, 323: 30_000}
    values |= {324: 8 + 2 + 12 * 10 + 4, 325: len(tile)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4) + tile


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty file"),
    "text": (lambda: b"This is no picture at all.\n" * 40, "not a picture in JPEG, PNG"),
    "a program": (lambda: Path(sys.executable).read_bytes()[:5000], "not a picture"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    "png bomb": (lambda: png(50_000, 50_000), "more than 64 megapixels"),
    "png just too large": (lambda: png(8001, 8000), "more than 64 megapixels"),
    "jpeg bomb": (
        lambda: encode(smooth(8, 8), "JPEG").replace(b"\0\x08\0\x08\x03", b"\xff\xff\xff\xff\x03"),
        "more than 64 megapixels",
    ),
    "gif bomb": (lambda: VALID["gif"][:6] + b"\xff" * 4 + VALID["gif"][10:], "more than 64"),
    "bmp bomb": (
        lambda: encode(smooth(4, 4), "BMP").replace(
            struct.pack("<ii", 4, 4), struct.pack("<ii", 60_000, 60_000)
        ),
        "more than 64 megapixels",
    ),
    "ppm bomb": (lambda: b"P6 99999 99999 255\n", "more than 64 megapixels"),
    "text bomb": (text_bomb, "too large"),
    "tile bomb": (tile_bomb, "30000x30000 pixels, more than 64 megapixels"),
    "scans": (progressive_bomb, "JPEG scans"),
    "no pixels": (lambda: png(4, 4), ""),
    "no width": (lambda: b"P6 0 5 255\n", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(name: str) -> None:
    make, reason = HOSTILE[name]
    with pytest.raises(Unreadable, match=reason) as caught:
        decode(make(), Framing(64, 3))
    assert 0 < len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
    assert "object at" not in str(caught.value)


def test_the_largest_picture_allowed_is_read() -> None:
    width = 8000
    assert width * width == MOST_PIXELS
    assert (grey(encode(Image.new("1", (width, width), 1)), 8) == 255).all()


VALID = {
    "png": encode(noise(24, 24)),
    "palette": encode(Image.fromarray(noise(24, 24)).quantize(16)),
    "jpeg": encode(smooth(24, 24), "JPEG"),
    "progressive": encode(smooth(24, 24), "JPEG", progressive=True),
    "gif": encode(Image.fromarray(noise(24, 24)).quantize(16), "GIF"),
    "webp": encode(noise(24, 24), "WEBP", lossless=True),
    "lossy webp": encode(smooth(24, 24), "WEBP"),
    "bmp": encode(noise(24, 24), "BMP"),
    "tiff": encode(noise(24, 24), "TIFF"),
    "lzw tiff": encode(noise(24, 24), "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encode(smooth(24, 24), "TIFF", compression="jpeg"),
    "ppm": encode(noise(24, 24), "PPM"),
}


@pytest.mark.parametrize("name", VALID)
def test_truncated_anywhere_a_picture_is_whole_or_refused(name: str) -> None:
    """What is lost may be a trailer; never does a half-grey picture pass."""
    data, framing = VALID[name], Framing(24, 3)
    whole, _ = decode(data, framing)
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 150)):
        try:
            square, _ = decode(data[:length], framing)
        except Unreadable:
            refused += 1
        else:
            np.testing.assert_array_equal(square, whole, f"{length} of {len(data)} bytes")
    assert refused > 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data, Framing(8, 3))


SIGNATURES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "gif": b"GIF89a",
    "webp": b"RIFF\x40\0\0\0WEBPVP8 ",
    "bmp": b"BM",
    "tiff": b"II*\0\x08\0\0\0",
    "big-endian tiff": b"MM\0*\0\0\0\x08",
    "ppm": b"P6 ",
    "plain ppm": b"P3 2 2 255 ",
}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SIGNATURES)), st.binary(max_size=200))
def test_random_bytes_after_a_signature(name: str, data: bytes) -> None:
    only_unreadable(SIGNATURES[name] + data)


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(sorted(VALID)), st.data())
def test_corrupted_pictures_are_read_or_refused(name: str, draw: st.DataObject) -> None:
    """A few bytes changed, one stretch removed or repeated: Unreadable or a picture."""
    data = bytearray(VALID[name])
    places = st.integers(0, len(data) - 1)
    for place in draw.draw(st.lists(places, max_size=6)):
        data[place] = draw.draw(st.integers(0, 255))
    first, second = sorted((draw.draw(places), draw.draw(places)))
    change = draw.draw(st.sampled_from(["none", "remove", "repeat"]))
    if change == "remove":
        del data[first:second]
    elif change == "repeat":
        data[second:second] = data[first:second]
    only_unreadable(bytes(data))


def only_unreadable(data: bytes) -> None:
    try:
        square, size = decode(data, Framing(8, 3))
    except Unreadable as error:
        reason = str(error)
    else:
        assert square.shape == (8, 8, 3)
        assert square.dtype == np.uint8
        assert min(size) >= 1
        return
    assert reason
    assert "\n" not in reason


def test_a_reader_that_breaks_in_any_way_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (
        MemoryError,
        OverflowError,
        ZeroDivisionError,
        struct.error,
        SyntaxError,
        KeyError,
    ):

        def broken(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("as a plugin might")

        monkeypatch.setattr(Image, "open", broken)
        with pytest.raises(Unreadable):
            decode(b"x", Framing(8, 3))
    monkeypatch.setattr(Image, "open", lambda *_, **__: sys.exit(3))
    with pytest.raises(SystemExit):  # what is no failure of decoding passes
        decode(b"x", Framing(8, 3))


def test_no_warning_reaches_stderr(tmp_path: Path) -> None:
    """Python's warnings, Pillow's log and the C libraries are silent, in a process of their own."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(300):
        name = sorted(VALID)[number % len(VALID)]
        data = bytearray(VALID[name])
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        (folder / str(number)).write_bytes(data)
    samples = struct.pack("<HHII", 277, 3, 1, 60_000)
    (folder / "samples").write_bytes(
        VALID["tiff"].replace(struct.pack("<HHII", 277, 3, 1, 3), samples)
    )
    (folder / "large").write_bytes(png(12_000, 12_000))  # Pillow warns of such sizes
    (folder / "exif").write_bytes(encode(smooth(8, 8), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff"))
    script = (
        "import pathlib, sys\n"
        "from dcgan_cli.data.decode import *\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: decode(path.read_bytes(), Framing(8, 3))\n"
        "    except Unreadable: print('refused')\n"
    )
    command = [sys.executable, "-W", "always", "-c", script, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.count("refused") > 20


# -- a look at a source ---------------------------------------------------------------------------


class Records:
    """A source of records in memory; an exception among them is raised by reading it."""

    kind, location, labels = "records", "here", None

    def __init__(self, *records: bytes | Pixels | Exception) -> None:
        self.records = records
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int) -> bytes | Pixels:
        self.reads.append(index)
        record = self.records[index]
        if isinstance(record, Exception):
            raise record
        return record

    def name(self, index: int) -> str:
        return f"{index}.png"

    def fingerprint(self) -> str:
        return "records"


def test_a_record_that_cannot_be_read_is_unreadable() -> None:
    source = Records(OSError(5, "Input/output error"), ValueError("bad\nzip"))
    with pytest.raises(Unreadable, match=r"^Input/output error$"):
        read_picture(source, 0, Framing(8, 3))
    with pytest.raises(Unreadable, match=r"^bad zip$"):
        read_picture(source, 1, Framing(8, 3))


def test_survey_tells_grey_from_colour_and_finds_the_short_side() -> None:
    greys = [encode(np.repeat(noise(h, 40, 1, h), 3, 2)) for h in (30, 20, 50)]
    found = survey(Records(*greys, b""))
    assert (found.count, found.looked, found.readable) == (4, 4, 3)
    assert found.channels == 1
    assert found.short_side == 30
    assert found.examples == ("3.png (empty file)",)
    speck = np.full((30, 30, 3), 100, np.uint8)
    speck[15, 15] = (100, 101, 100)
    assert survey(Records(*greys, encode(speck))).channels == 3


def test_survey_looks_at_evenly_spaced_records() -> None:
    source = Records(*[noise(4, 4)] * 1000)
    survey(source, most=10)
    assert source.reads == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]


def test_survey_refuses_an_empty_and_an_unreadable_source() -> None:
    with pytest.raises(SourceError, match="holds no pictures"):
        survey(Records())
    with pytest.raises(SourceError, match=r"none of 2 pictures .* 0.png \(empty file\)"):
        survey(Records(b"", b"?"))


def test_names_cannot_speak_to_the_terminal() -> None:
    assert printable("Ünïcode ok.png") == "Ünïcode ok.png"
    assert printable("a\tb\n\x1b[31m\udcff") == "a\\tb\\n\\x1b[31m\\udcff"


# -- real pictures --------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("archive", "channels"),
    [("crawl-tiles", 3), ("sprites", 3), ("lfw-faces", 3), ("scene15-indoor-grey", 1)],
)
def test_real_pictures_in_mixed_modes(real_data: Path, archive: str, channels: int) -> None:
    with zipfile.ZipFile(real_data / archive / f"{archive}.zip") as file:
        names = [name for name in file.namelist() if name.endswith((".png", ".jpg"))][::23]
        records = [file.read(name) for name in names]
    found = survey(Records(*records))
    assert found.readable == found.looked
    assert found.channels == channels
    framing = Framing(32, channels)
    for record in records:
        with Image.open(io.BytesIO(record)) as image:
            whole = image.convert("RGBA")
        canvas = Image.new("RGBA", whole.size, "white")
        canvas.alpha_composite(whole)
        direct, size = decode(record, framing)
        again, _ = decode(np.asarray(canvas.convert("RGB")), framing)
        assert size == whole.size
        assert np.abs(direct.astype(int) - again).max() <= 3
