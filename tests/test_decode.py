"""Decoding: every kind of image comes out as documented, every other file is refused in words."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dcgan_cli.data.decode import Unreadable, decode
from dcgan_cli.data.resize_crop import ImageSpec, centered_square, crop_corners

Pixels = NDArray[np.uint8]

# Pillow's warnings, which pytest lets through: see test_no_warning_reaches_stderr.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int, width: int) -> Pixels:
    """Colors that JPEG and WebP keep within a few levels."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([255 * x, 255 * y, 255 * (1 - x) * y], 2).astype(np.uint8)


def encode(image: Image.Image | NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def rgb(data: bytes | Pixels, side: int, background: tuple[int, int, int] = (255, 255, 255)):
    return decode(data, ImageSpec(side, 3, background))[0]


def gray(data: bytes | Pixels, side: int) -> Pixels:
    return decode(data, ImageSpec(side, 1))[0]


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
def test_lossless_color_is_exact(form: str) -> None:
    pixels = noise(9, 9)
    options = {"lossless": True} if form == "WEBP" else {}
    square, size = decode(encode(pixels, form, **options), ImageSpec(9, 3))
    assert size == (9, 9)
    np.testing.assert_array_equal(square, pixels)


@pytest.mark.parametrize(("form", "tolerance"), [("JPEG", 12), ("WEBP", 16)])
def test_lossy_color_is_close(form: str, tolerance: int) -> None:
    pixels = smooth(32, 32)
    square = rgb(encode(pixels, form, quality=95), 32)
    assert np.abs(square.astype(int) - pixels).max() <= tolerance


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_gray_and_one_bit_are_exact_and_repeat_into_color(form: str) -> None:
    levels = noise(8, 8, 1)[..., 0]
    np.testing.assert_array_equal(gray(encode(levels, form), 8)[..., 0], levels)
    np.testing.assert_array_equal(rgb(encode(levels, form), 8), np.stack([levels] * 3, 2))
    bits = Image.fromarray(levels).convert("1", dither=Image.Dither.NONE)
    expected = np.where(levels >= 128, 255, 0)
    np.testing.assert_array_equal(gray(encode(bits, form), 8)[..., 0], expected)


def test_color_to_gray_is_itu_r_601_luma() -> None:
    pixels = noise(16, 16)
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    assert np.abs(gray(encode(pixels), 16)[..., 0] - luma).max() <= 0.51


def test_palette_and_gif_keep_their_colors() -> None:
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


def test_hidden_colors_do_not_bleed_when_resized() -> None:
    layers = np.zeros((64, 64, 4), np.uint8)
    layers[..., 0] = 255  # red under alpha 0
    layers[::2, :, 3] = 0
    assert (rgb(encode(layers), 8) == 255).all()


@pytest.mark.parametrize(("mode", "form"), [("LA", "PNG"), ("LA", "TIFF"), ("PA", "TIFF")])
def test_gray_and_palette_with_alpha(mode: str, form: str) -> None:
    image = Image.new("L", (2, 2), 80).convert(mode)
    image.putalpha(Image.fromarray(np.array([[255, 0]] * 2, np.uint8)))
    assert image.mode == mode
    square = rgb(encode(image, form), 2)
    assert square[0].tolist() == [[80, 80, 80], [255, 255, 255]]


@pytest.mark.parametrize("gray_only", [True, False])
def test_premultiplied_alpha(gray_only: bool) -> None:
    square = rgb(premultiplied_tiff(gray_only), 2)
    assert square[0].tolist() == [[80, 80, 80], [255, 255, 255]]


def premultiplied_tiff(gray_only: bool) -> bytes:
    """A 2x2 TIFF with associated alpha: a column of 80, a column of nothing."""
    opaque, clear = ([80, 255], [0, 0]) if gray_only else ([80, 80, 80, 255], [0, 0, 0, 0])
    pixels = bytes((opaque + clear) * 2)
    samples = len(opaque)
    tags = [
        (256, 3, 1, 2),
        (257, 3, 1, 2),
        (258, 3, 1, 8) if samples == 1 else (258, 3, samples, 8 + 2 + 12 * 10 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if gray_only else 2),
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
def test_a_single_transparent_color(mode: str) -> None:
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
def test_sixteen_bit_gray_spans_the_whole_range(form: str) -> None:
    values = np.array([[0, 257 * 7], [257 * 128, 65535]], np.uint16)
    assert gray(encode(values, form), 2)[..., 0].tolist() == [[0, 7], [128, 255]]


def test_wide_grays_take_the_smallest_scale_that_holds_them() -> None:
    narrow = np.array([[0, 10], [20, 255]])
    for kind in (np.uint16, np.int32, np.float32):
        assert gray(encode(narrow.astype(kind), "TIFF"), 2)[..., 0].tolist() == narrow.tolist()
    unit = np.array([[0, 0.5], [1, -3]], np.float32)
    assert gray(encode(unit, "TIFF"), 2)[..., 0].tolist() == [[0, 128], [255, 0]]
    wide = np.array([[0, 65535], [257, -9]], np.int32)
    assert gray(encode(wide, "TIFF"), 2)[..., 0].tolist() == [[0, 255], [1, 0]]


@pytest.mark.parametrize("value", [1e6, np.nan, np.inf])
def test_values_of_no_known_scale_are_refused(value: float) -> None:
    with pytest.raises(Unreadable, match="fit no known scale"):
        decode(encode(np.full((2, 2), value, np.float32), "TIFF"), ImageSpec(2, 1))


def test_sixteen_bit_color_and_lab() -> None:
    row = struct.pack(">6H", 0, 257 * 9, 65535, 65535, 0, 257 * 200)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = png(2, 1, (b"IDAT", zlib.compress(b"\0" + row)))
    data = data.replace(struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0), header)
    old = struct.pack(">I", zlib.crc32(b"IHDR" + struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0)))
    data = data.replace(old, struct.pack(">I", zlib.crc32(b"IHDR" + header)))
    assert rgb(data, 1).tolist() == [[[0, 9, 255]]]
    with pytest.raises(Unreadable, match="LAB"):
        decode(encode(Image.new("LAB", (4, 4)), "TIFF"), ImageSpec(4, 3))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert (rgb(data, 8) == [255, 0, 0]).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(form: str, orientation: int) -> None:
    """Turned to be stored, and marked with the tag that turns it back, an image stands upright."""
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
    square, size = decode(encode(pixels, form, exif=exif, **options), ImageSpec(16, 3))
    assert size == (16, 24)
    assert np.abs(square.astype(int) - upright[4:20]).max() <= (6 if form == "JPEG" else 0)


def test_a_damaged_exif_record_costs_the_orientation_alone() -> None:
    pixels = smooth(16, 16)
    data = encode(pixels, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(rgb(data, 16), rgb(encode(pixels, "JPEG"), 16))


def test_arrays_of_every_shape() -> None:
    pixels = noise(6, 8, 4)
    for record in (pixels[..., 0], pixels[..., :1]):
        np.testing.assert_array_equal(gray(record, 6), pixels[:, 1:7, :1])
    np.testing.assert_array_equal(rgb(pixels[..., :3], 6), pixels[:, 1:7, :3])
    for bad in (pixels[..., :2], pixels[0, 0], pixels[:0], pixels.astype(np.float32)):
        with pytest.raises(Unreadable):
            decode(bad, ImageSpec(6, 3))  # type: ignore[arg-type]


# -- framing --------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 40))
def test_an_unscaled_crop_is_the_center_of_the_array(width: int, height: int) -> None:
    pixels = noise(height, width)
    left, top, side = centered_square(width, height)
    assert abs(left - (width - side - left)) <= 1
    assert abs(top - (height - side - top)) <= 1
    square, size = decode(encode(pixels, "PPM"), ImageSpec(side, 3))
    assert size == (width, height)
    np.testing.assert_array_equal(square, pixels[top : top + side, left : left + side])


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    middle = gray(stripes, 8)[1:-1, 1:-1]
    assert np.abs(middle.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20_000, 2), (3, 3)])
def test_tiny_and_absurd_images_are_enlarged(size: tuple[int, int]) -> None:
    square, found = decode(encode(Image.new("RGB", size, (9, 99, 199))), ImageSpec(64, 3))
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
    assert decode(data, ImageSpec(64, 3))[1] == size
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
    left, top, side = centered_square(width, height)
    x0 = data.draw(st.integers(left, left + side - 1))
    y0 = data.draw(st.integers(top, top + side - 1))
    pixels = np.zeros((height, width), np.uint8)
    pixels[y0, x0] = 255
    fractions = [[x0 / width, y0 / height, (x0 + 1) / width, (y0 + 1) / height]]
    box = crop_corners(fractions, width, height)[0] * side
    column, row = (round(float(edge)) for edge in box[:2])
    assert gray(pixels, side)[row, column, 0] == 255
