"""Images as people have them: any shape, many bits, large, and in newer formats."""

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from test_decode import encode, gray, noise, rgb, smooth
from test_survey import Records

from dcgan_cli.data import image_files
from dcgan_cli.data.cache import _key
from dcgan_cli.data.decode import Unreadable, decode
from dcgan_cli.data.resize_crop import Fit, ImageSpec, crop_corners, frame_box
from dcgan_cli.data.survey import survey
from dcgan_cli.errors import SourceError

# -- fit --------------------------------------------------------------------------------------


def test_pad_keeps_all_of_an_image_on_the_background() -> None:
    wide = encode(np.full((20, 40, 3), 200, np.uint8))
    square, size = decode(wide, ImageSpec(16, 3, (255, 0, 0), "pad"))
    assert size == (40, 20)
    assert (square[4:12] == 200).all()
    assert (square[:4] == [255, 0, 0]).all()
    assert (square[12:] == [255, 0, 0]).all()
    high = encode(np.full((40, 20), 200, np.uint8))
    square, _ = decode(high, ImageSpec(16, 1, (0, 0, 0), "pad"))
    assert (square[:, 4:12] == 200).all()
    assert (square[:, :4] == 0).all()
    colored, _ = decode(high, ImageSpec(16, 3, (255, 0, 0), "pad"))
    assert (colored[:, :4] == [255, 0, 0]).all()
    assert (colored[:, 4:12] == 200).all()


def test_stretch_takes_all_of_an_image_to_the_edges() -> None:
    pixels = np.zeros((20, 80), np.uint8)
    pixels[:, :20] = 250
    square, _ = decode(encode(pixels), ImageSpec(16, 1, fit="stretch"))
    assert (square[:, :3] > 240).all()
    assert (square[:, 6:] < 10).all()
    large, _ = decode(encode(smooth(1600, 500), "JPEG"), ImageSpec(16, 3, fit="stretch"))
    small, _ = decode(encode(smooth(1600, 500)), ImageSpec(16, 3, fit="stretch"))
    assert np.abs(large.astype(int) - small).max() <= 6


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (20_000, 2), (7, 5)])
def test_any_shape_fits(fit: Fit, size: tuple[int, int]) -> None:
    color = (9, 99, 199)
    square, found = decode(encode(Image.new("RGB", size, color)), ImageSpec(8, 3, color, fit))
    assert found == size
    assert (square == color).all()


@given(st.integers(4, 60), st.integers(4, 60), st.sampled_from(["pad", "stretch"]), st.data())
def test_boxes_follow_the_fit(width: int, height: int, fit: Fit, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = [[x / width, y / height, (x + 1) / width, (y + 1) / height]]
    (x0, y0, x1, y1) = crop_corners(box, width, height, fit)[0]
    left, top, wide, high = frame_box(width, height, fit)
    assert x0 * wide + left == pytest.approx(x)
    assert x1 * wide + left == pytest.approx(x + 1)
    assert y0 * high + top == pytest.approx(y)
    assert y1 * high + top == pytest.approx(y + 1)


def test_survey_finds_the_shape_and_what_a_crop_cuts() -> None:
    found = survey(Records(*[encode(noise(40, 250))] * 3))
    assert found.aspect == pytest.approx(6.25)
    assert found.width_cut == pytest.approx(0.84)
    assert found.height_cut == 0
    assert survey(Records(encode(noise(8, 8)))).width_cut == 0


def test_every_part_of_the_framing_is_in_the_cache_key() -> None:
    source, image_spec = Records(noise(4, 4)), ImageSpec(8, 3)
    others = [
        replace(image_spec, fit="pad"),
        replace(image_spec, levels=(0, 4095)),
        replace(image_spec, background=(0, 0, 0)),
        replace(image_spec, side=16),
    ]
    keys = {_key(source, other) for other in [image_spec, *others]}
    assert len(keys) == 5


@pytest.mark.parametrize(
    "wrong",
    [{"fit": "squash"}, {"levels": (5, 5)}, {"levels": (0, float("nan"))}, {"aspect": 0.0}],
)
def test_a_framing_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ImageSpec(8, 3, **wrong)  # type: ignore[arg-type]


# -- bits -------------------------------------------------------------------------------------


def deep(values: np.ndarray, form: str = "PNG") -> bytes:
    return encode(values, form)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_in_use_are_found_over_the_whole_source(bits: int, form: str) -> None:
    top = 2**bits - 1
    records = [deep(np.full((4, 4), v, np.uint16), form) for v in (0, top // 2, top)]
    found = survey(Records(*records))
    assert found.levels == (0, top)
    assert (f"use {bits} bits" in found.levels_note) == (bits < 16)
    image_spec = ImageSpec(4, 1, levels=found.levels)
    shown = [int(decode(record, image_spec)[0].mean()) for record in records]
    assert shown == [0, 127, 255]


@pytest.mark.parametrize(
    ("low", "high", "levels"),
    [
        (0.0, 1.0, (0, 1)),
        (0.1, 0.7, (0, 1)),
        (0.0, 0.01, (0, 0.01)),
        (-1.0, 1.0, (-1, 1)),
        (0.0, 255.0, (0, 255)),
        (0.0, 3.75, (0, 3.75)),
        (-1024.0, 3071.0, (-1024, 3071)),
        (0.0, 1e6, (0, 1e6)),
        (0.0, 0.0, (0, 1)),
    ],
)
def test_floating_point_of_any_range(low: float, high: float, levels: tuple[float, float]) -> None:
    record = deep(np.array([[low, high], [low, high]], np.float32), "TIFF")
    found = survey(Records(record))
    assert found.levels == pytest.approx(levels)
    pixels, _ = decode(record, ImageSpec(2, 1, levels=found.levels))
    black, white = levels
    expected = [round(255 * (value - black) / (white - black)) for value in (low, high)]
    assert np.abs(pixels[0, :, 0].astype(int) - expected).max() <= 1


def test_signed_and_32_bit_integers() -> None:
    record = deep(np.array([[-1000, 3000]], np.int32), "TIFF")
    found = survey(Records(record))
    assert found.levels == (-1000, 3000)
    assert "black" in found.levels_note


def test_values_outside_the_levels_are_black_and_white_and_nan_is_refused() -> None:
    record = deep(np.array([[0, 60000]], np.uint16))
    pixels, _ = decode(record, ImageSpec(1, 1, fit="stretch", levels=(1000, 4095)))
    assert pixels.shape == (1, 1, 1)
    edges = deep(np.array([[0, 60000], [0, 60000]], np.uint16))
    assert decode(edges, ImageSpec(2, 1, levels=(1000, 4095)))[0][0, :, 0].tolist() == [0, 255]
    with pytest.raises(Unreadable, match="NaN"):
        decode(deep(np.full((2, 2), np.nan, np.float32), "TIFF"), ImageSpec(2, 1, levels=(0, 1)))
    with pytest.raises(SourceError, match="NaN"):
        survey(Records(deep(np.full((2, 2), np.nan, np.float32), "TIFF")))


def test_integers_beside_floating_point_of_another_range_are_refused() -> None:
    whole = deep(np.full((2, 2), 4000, np.uint16))
    half = deep(np.full((2, 2), 0.5, np.float32), "TIFF")
    with pytest.raises(SourceError, match=r"--levels BLACK,WHITE"):
        survey(Records(whole, half))


def test_eight_bits_have_no_levels() -> None:
    modes = ["1", "L", "LA", "P", "RGB", "RGBA"]
    records = [encode(Image.new(mode, (4, 4), 1)) for mode in modes]
    records.append(encode(Image.new("CMYK", (4, 4)), "JPEG"))
    assert survey(Records(*records, noise(4, 4))).levels is None


def color_png(values: np.ndarray) -> bytes:
    """A PNG of 16-bit color, uint16 [H, W, 3 or 4], which Pillow cannot write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("channels", [3, 4])
def test_twelve_bits_of_color_are_not_near_black(channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (6, 6, channels)).astype(np.uint16)
    values[0, 0] = 4095
    if channels == 4:
        values[..., 3] = 65535
    record = color_png(values)
    found = survey(Records(record))
    assert found.levels == (0, 4095)
    pixels, _ = decode(record, ImageSpec(6, 3, levels=found.levels))
    np.testing.assert_allclose(pixels, values[..., :3] / 4095 * 255, atol=0.51)


# -- size -------------------------------------------------------------------------------------


def test_a_large_jpeg_is_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = smooth(600, 800)
    whole = rgb(encode(pixels, "JPEG"), 64)
    monkeypatch.setattr(image_files, "MAX_PIXELS", 20_000)
    square, size = decode(encode(pixels, "JPEG"), ImageSpec(64, 3))
    assert size == (800, 600)
    assert np.abs(square.astype(int) - whole).max() <= 16


def test_beyond_64_megapixels_a_jpeg_is_read_and_a_png_says_the_mend() -> None:
    image = Image.new("L", (11_000, 10_000), 77)
    square, size = decode(encode(image, "JPEG"), ImageSpec(16, 1))
    assert size == (11_000, 10_000)
    assert (square == 77).all()
    with pytest.raises(Unreadable, match="save it as a JPEG that is not progressive"):
        decode(encode(Image.new("1", (11_000, 10_000))), ImageSpec(16, 1))


def test_a_jpeg_that_a_decoder_holds_whole_has_a_lower_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(image_files, "MAX_BUFFERED_PIXELS", 100_000)
    data = encode(smooth(600, 800), "JPEG", progressive=True)
    with pytest.raises(Unreadable, match="a progressive JPEG of 800x600 pixels, more than"):
        decode(data, ImageSpec(64, 3))
    decode(encode(smooth(600, 800), "JPEG"), ImageSpec(64, 3))


# -- formats ----------------------------------------------------------------------------------


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_is_read() -> None:
    pixels = smooth(32, 32)
    assert np.abs(rgb(encode(pixels, "AVIF", quality=95), 32).astype(int) - pixels).max() <= 16


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
def test_jpeg_2000_is_read_and_bounded_by_its_codestream() -> None:
    pixels = smooth(32, 32)
    data = encode(pixels, "JPEG2000")
    np.testing.assert_array_equal(rgb(data, 32), pixels)
    at = data.find(b"\xff\x4f\xff\x51") + 8
    bomb = data[:at] + struct.pack(">II", 60_000, 60_000) + data[at + 8 :]
    with pytest.raises(Unreadable, match="60000x60000"):
        decode(bomb, ImageSpec(8, 3))


def test_heic_is_read_with_the_extra() -> None:
    heif = pytest.importorskip("pillow_heif", reason="the heic extra is not installed")
    heif.register_heif_opener()
    pixels = smooth(64, 64)
    data = encode(pixels, "HEIF", quality=95)
    assert np.abs(rgb(data, 64).astype(int) - pixels).max() <= 16


def test_heic_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "find_spec", lambda name: None)
    with pytest.raises(Unreadable, match=r"pip install 'dcgan\[heic\]'"):
        decode(b"\0\0\0\x18ftypheic" + bytes(100), ImageSpec(8, 3))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P5 2 1 255\n\x00\xff", [0, 255]),
        (b"P2 2 1 15\n0 15\n", [0, 255]),
        (b"P4 8 1\n\xf0", None),
        (b"P6 2 1 255\n\0\0\0\xff\xff\xff", [0, 255]),
    ],
)
def test_portable_maps(data: bytes, expected: list[int] | None) -> None:
    pixels, size = decode(data, ImageSpec(size_of(data), 1, fit="stretch"))
    if expected is not None:
        assert pixels[0, :, 0].tolist() == expected
    else:
        assert size == (8, 1)


def size_of(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return image.width


# -- real images ------------------------------------------------------------------------------


@pytest.mark.data
def test_real_tiles_of_all_modes_fit_in_each_way(real_data: Path) -> None:
    from dcgan_cli.data.sources import open_source

    source = open_source(str(real_data / "crawl-tiles" / "crawl-tiles.zip"), limit=60)
    for fit in ("crop", "pad", "stretch"):
        for index in range(len(source)):
            pixels, (width, height) = decode(source.read(index), ImageSpec(32, 3, fit=fit))
            if (width, height) == (32, 32):
                whole, _ = decode(source.read(index), ImageSpec(32, 3))
                np.testing.assert_array_equal(pixels, whole)
    assert gray(noise(4, 4), 4).shape == (4, 4, 1)
