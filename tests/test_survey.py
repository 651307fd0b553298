"""A look at a source: color, sizes, what cannot be read, and names that are printed."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_decode import Pixels, encode, noise

from dcgan_cli.data.decode import Unreadable, decode, read_image
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.survey import printable, survey
from dcgan_cli.errors import SourceError


class Records:
    """A source of records in memory; an exception among them is raised by reading it."""

    kind, location, labels, notes = "records", "here", None, ()

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
        read_image(source, 0, ImageSpec(8, 3))
    with pytest.raises(Unreadable, match=r"^bad zip$"):
        read_image(source, 1, ImageSpec(8, 3))


def test_survey_tells_gray_from_color_and_finds_the_short_side() -> None:
    grays = [encode(np.repeat(noise(h, 40, 1, h), 3, 2)) for h in (30, 20, 50)]
    found = survey(Records(*grays, b""))
    assert (found.count, found.looked, found.readable) == (4, 4, 3)
    assert found.channels == 1
    assert found.short_side == 30
    assert found.examples == ("3.png (empty file)",)
    speck = np.full((30, 30, 3), 100, np.uint8)
    speck[15, 15] = (100, 101, 100)
    for place in range(len(grays) + 1):
        mixed = [*grays[:place], encode(speck), *grays[place:]]
        assert survey(Records(*mixed)).channels == 3, "one in color is enough, wherever it is"


def test_survey_looks_at_evenly_spaced_records() -> None:
    source = Records(*[noise(4, 4)] * 1000)
    survey(source, most=10)
    assert source.reads == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]


def test_survey_refuses_an_empty_and_an_unreadable_source() -> None:
    with pytest.raises(SourceError, match="holds no images"):
        survey(Records())
    with pytest.raises(SourceError, match=r"none of 2 images .* 0.png \(empty file\)"):
        survey(Records(b"", b"?"))


def test_names_cannot_speak_to_the_terminal() -> None:
    assert printable("Ünïcode ok.png") == "Ünïcode ok.png"
    assert printable("a\tb\n\x1b[31m\udcff") == "a\\tb\\n\\x1b[31m\\udcff"


# -- real images --------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("archive", "channels"),
    [("crawl-tiles", 3), ("sprites", 3), ("lfw-faces", 3), ("scene15-indoor-grey", 1)],
)
def test_real_images_in_mixed_modes(real_data: Path, archive: str, channels: int) -> None:
    with zipfile.ZipFile(real_data / archive / f"{archive}.zip") as file:
        names = [name for name in file.namelist() if name.endswith((".png", ".jpg"))][::23]
        records = [file.read(name) for name in names]
    found = survey(Records(*records))
    assert found.readable == found.looked
    assert found.channels == channels
    image_spec = ImageSpec(32, channels)
    for record in records:
        with Image.open(io.BytesIO(record)) as image:
            whole = image.convert("RGBA")
        canvas = Image.new("RGBA", whole.size, "white")
        canvas.alpha_composite(whole)
        direct, size = decode(record, image_spec)
        again, _ = decode(np.asarray(canvas.convert("RGB")), image_spec)
        assert size == whole.size
        assert np.abs(direct.astype(int) - again).max() <= 3
