"""The reference to the training images: told by content, framed as in training, with a mend."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import dataset_files
import numpy as np
import pytest
from PIL import Image

from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.reference import CenterCrop, NetworkView, Reference, absolute
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import Source, open_source
from dcgan_cli.errors import CheckpointError, SourceError
from dcgan_cli.model.config import ModelConfig

IMAGE_SPEC = ImageSpec(16, 3)


def folder(path: Path, count: int = 12, first: int = 0) -> Path:
    names = {f"{number:03}.png": dataset_files.png(first + number, 16) for number in range(count)}
    return dataset_files.write_folder(path, names)


def reference(source: Source, image_spec: ImageSpec = IMAGE_SPEC, **options: Any) -> Reference:
    images = prepare(source, image_spec, workers=0)
    found = Reference.of(source, images, 16, **options)
    images.close()
    return found


# What is the same


def touched(place: Path) -> Path:
    for path in place.iterdir():
        os.utime(path, (1, 1))
    return place


def copied(place: Path) -> Path:
    return Path(shutil.copytree(place, place.parent / "copy", copy_function=shutil.copyfile))


def moved(place: Path) -> Path:
    return place.rename(place.parent / "elsewhere")


def renamed(place: Path) -> Path:
    for path in list(place.iterdir()):
        path.rename(path.with_name(f"x-{path.name}"))
    return place


def zipped(place: Path) -> Path:
    files = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    return dataset_files.write_zip(place.parent / "photos.zip", files)


def tarred(place: Path) -> Path:
    files = {path.name: path.read_bytes() for path in sorted(place.iterdir())}
    return dataset_files.write_tar(place.parent / "photos.tar", files)


@pytest.mark.parametrize("change", [touched, copied, moved, renamed, zipped, tarred])
def test_the_same_images_are_the_same_wherever_they_lie(change: Any, tmp_path: Path) -> None:
    remembered = reference(open_source(str(folder(tmp_path / "photos"))))
    assert remembered.is_same(open_source(str(change(tmp_path / "photos")))) is True


def replaced(place: Path) -> None:
    for path in place.iterdir():
        Image.new("RGB", (16, 16)).save(path)


def one_replaced(place: Path) -> None:
    (place / "005.png").write_bytes(dataset_files.png(99, 16))


def one_added(place: Path) -> None:
    (place / "zzz.png").write_bytes(dataset_files.png(99, 16))


def one_removed(place: Path) -> None:
    (place / "005.png").unlink()


def same_size_and_time(place: Path) -> None:
    path = place / "005.png"
    raw, status = bytearray(path.read_bytes()), path.stat()
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = [replaced, one_replaced, one_added, one_removed, same_size_and_time]


@pytest.mark.parametrize("change", CHANGES)
def test_other_images_are_others_and_are_refused_with_a_mend(change: Any, tmp_path: Path) -> None:
    place = folder(tmp_path / "photos")
    remembered = reference(open_source(str(place)))
    change(place)
    with pytest.raises(SourceError) as caught:
        remembered.open("--data SOURCE")
    assert str(place) in str(caught.value)
    assert "--data SOURCE" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_never_served_from_the_cache(change: Any, tmp_path: Path) -> None:
    place = folder(tmp_path / "photos")
    before = open_source(str(place)).fingerprint()
    change(place)
    assert open_source(str(place)).fingerprint() != before


def test_one_of_many_that_is_not_read_is_told_by_its_size(tmp_path: Path) -> None:
    place = dataset_files.write_folder(tmp_path / "x", {f"{n:04}.png": b"abc" for n in range(2000)})
    before = open_source(str(place)).content()
    (place / "1003.png").write_bytes(b"abcd")
    assert open_source(str(place)).content() != before


def test_few_files_are_opened_of_many(tmp_path: Path) -> None:
    place = dataset_files.write_folder(tmp_path / "x", {f"{n:04}.png": b"abc" for n in range(2000)})
    source, read = open_source(str(place)), list[int]()
    plain = type(source).read

    class Counting(type(source)):  # type: ignore[misc]
        def read(self, index: int) -> bytes:
            read.append(index)
            return plain(self, index)  # type: ignore[return-value]

    source.__class__ = Counting
    source.content()
    assert len(read) <= 256
    assert {0, 1999} <= set(read)


@pytest.mark.parametrize("location", ["digits", "demo:faces:5", "demo:rooms:5"])
def test_words_have_a_content_that_stays(location: str) -> None:
    assert open_source(location).content() == open_source(location).content()
    assert open_source(location, limit=4).content() != open_source(location).content()


# What is kept


def test_a_reference_survives_its_plain_values(tmp_path: Path) -> None:
    source = open_source(str(folder(tmp_path / "photos")), limit=9)
    image_spec = ImageSpec(24, 3, (1, 2, 3))
    found = reference(source, image_spec, limit=9, labels=tmp_path / "labels.csv")
    assert Reference.read(found.to_dict(), 16, 3) == found
    assert found.shown == NetworkView(image_spec, 16)
    assert (found.records, found.images, found.limit) == (9, 9, 9)


def test_the_place_is_absolute_and_words_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(Path("photos"), 1)
    assert absolute("photos") == str(tmp_path / "photos")
    assert absolute("photos#part") == f"{tmp_path}/photos#part"
    assert absolute("x-{0..3}.tar") == f"{tmp_path}/x-{{0..3}}.tar"
    assert absolute("demo:faces") == "demo:faces"


OLD = {"location": "digits", "kind": "digits", "labels": None, "limit": None, "background": "white"}


@pytest.mark.parametrize(
    ("images", "fingerprint", "same"),
    [(1797, "", True), (1797, "old", None), (1700, "old", None), (5000, "old", False)],
)
def test_earlier_checkpoints_are_compared_by_what_they_keep(
    images: int, fingerprint: str, same: bool | None
) -> None:
    source = open_source("digits")
    data = {**OLD, "pictures": images, "fingerprint": fingerprint or source.fingerprint()}
    found = Reference.read({**data, "side": 8, "channels": 1}, 8, 1)
    assert found.is_same(source) is same


def test_bundled_models_lead_to_their_images() -> None:
    for name in ("demo-faces", "demo-rooms"):
        found = load(Path(__file__).parents[1] / "checkpoints" / f"{name}.pt").reference
        assert found.is_same(found.open("--data SOURCE")) is True


@pytest.mark.parametrize(
    "data",
    [
        {"location": 7},
        {"labels": ["x"]},
        {"limit": "x"},
        {"content": 3},
        {"records": True},
        {"side": "wide"},
        {"side": 10**9},
        {"side": 4},
        {"framing": 3},
        {"framing": {"side": 16}},
        {"framing": {"side": 16, "channels": 1, "background": [0, 0, 0]}},
        {"framing": {"side": 16, "channels": 3, "background": [0, 0]}},
        {"framing": {"side": 16, "channels": 3, "background": [0, 0, 0], "other": 1}},
    ],
)
def test_impossible_values_are_one_line(data: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as caught:
        Reference.read(data, 16, 3)
    assert "\n" not in str(caught.value)


def test_a_label_table_may_have_moved_with_its_images(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "photos", tmp_path / "new" / "photos"
    folder(old, 2)
    (old / "in.csv").touch()
    (old.parent / "beside.csv").touch()
    source = open_source(str(old))
    inside, beside = (
        reference(source, labels=path) for path in (old / "in.csv", old.parent / "beside.csv")
    )
    old.parent.rename(new.parent)
    assert inside.labels_at(str(new)) == new / "in.csv"
    assert beside.labels_at(str(new)) == new.parent / "beside.csv"
    assert inside.labels_at(str(tmp_path)) is None


# How they were shown


def test_a_network_of_random_crops_is_shown_the_middle_of_frames(tmp_path: Path) -> None:
    place = folder(tmp_path / "photos", 3)
    source = open_source(str(place))
    shown = NetworkView(ImageSpec(24, 3), 16)
    framed = prepare(source, shown.image_spec, workers=0)
    seen = shown.of(framed)
    assert isinstance(seen, CenterCrop)
    pixels = seen.take(np.arange(3))
    assert np.array_equal(pixels, framed.take(np.arange(3))[:, 4:20, 4:20])
    assert np.array_equal(shown.read(source, 1)[0], pixels[1])
    assert np.array_equal(shown.decode((place / "002.png").read_bytes())[0], pixels[2])
    assert seen.image_spec == replace(shown.image_spec, side=16)


def test_boxes_follow_the_middle() -> None:
    shown = NetworkView(ImageSpec(24, 3), 16)
    corners = [[4 / 24, 4 / 24, 20 / 24, 20 / 24], [0, 0, 1, 0.5], [0, 0, 0.1, 0.1]]
    found = shown.corners(corners, 48, 48)
    np.testing.assert_allclose(found[:2], [[0, 0, 1, 1], [0, 0, 1, 0.5]], atol=1e-12)
    assert np.isnan(found[2]).all()


def test_a_checkpoint_gives_its_reference(tmp_path: Path) -> None:
    from cli_runner import untrained

    config = ModelConfig(size=16, channels=3, z_dim=4, ngf=2, ndf=2)
    found = reference(open_source(str(folder(tmp_path / "photos"))))
    save(tmp_path / "x.pt", untrained(config, data=found.to_dict()))
    checkpoint: Checkpoint = load(tmp_path / "x.pt")
    assert checkpoint.reference == found
