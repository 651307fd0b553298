"""Files that mean harm, or came to harm: refused in one line, by nothing but Unreadable."""

import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from test_decode import encode, gray, noise, png, smooth

from dcgan_cli.data.decode import Unreadable, decode
from dcgan_cli.data.image_files import MAX_JPEG_SCANS, MAX_PIXELS
from dcgan_cli.data.resize_crop import ImageSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def progressive_bomb() -> bytes:
    """A JPEG of many empty scans, each of which would walk over the whole image."""
    data = encode(smooth(32, 32), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * MAX_JPEG_SCANS + data[-2:]


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
    "text": (lambda: b"This is no image at all.\n" * 40, "not an image in JPEG, PNG"),
    "a program": (lambda: Path(sys.executable).read_bytes()[:5000], "not an image"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "png bomb": (lambda: png(50_000, 50_000), "more than 64 megapixels"),
    "png just too large": (lambda: png(8001, 8000), "more than 64 megapixels"),
    "jpeg bomb": (
        lambda: encode(smooth(8, 8), "JPEG").replace(b"\0\x08\0\x08\x03", b"\xff\xff\xff\xff\x03"),
        "more than 1,000 megapixels",
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
        decode(make(), ImageSpec(64, 3))
    assert 0 < len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
    assert "object at" not in str(caught.value)


def test_the_largest_image_allowed_is_read() -> None:
    width = 8000
    assert width * width == MAX_PIXELS
    assert (gray(encode(Image.new("1", (width, width), 1)), 8) == 255).all()


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
def test_truncated_anywhere_a_image_is_whole_or_refused(name: str) -> None:
    """What is lost may be a trailer; never does a half-gray image pass."""
    data, image_spec = VALID[name], ImageSpec(24, 3)
    whole, _ = decode(data, image_spec)
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 150)):
        try:
            square, _ = decode(data[:length], image_spec)
        except Unreadable:
            refused += 1
        else:
            np.testing.assert_array_equal(square, whole, f"{length} of {len(data)} bytes")
    assert refused > 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data, ImageSpec(8, 3))


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
def test_corrupted_images_are_read_or_refused(name: str, draw: st.DataObject) -> None:
    """A few bytes changed, one stretch removed or repeated: Unreadable or an image."""
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
        square, size = decode(data, ImageSpec(8, 3))
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
            decode(b"x", ImageSpec(8, 3))
    monkeypatch.setattr(Image, "open", lambda *_, **__: sys.exit(3))
    with pytest.raises(SystemExit):  # what is no failure of decoding passes
        decode(b"x", ImageSpec(8, 3))


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
        "    try: decode(path.read_bytes(), ImageSpec(8, 3))\n"
        "    except Unreadable: print('refused')\n"
    )
    command = [sys.executable, "-W", "always", "-c", script, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.count("refused") > 20
