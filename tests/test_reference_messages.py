"""The reference to the training images at its limits, and the very lines that it refuses with."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dataset_files
import numpy as np
import pytest
from refusals import refused_as

from dcgan_cli.data.cache import prepare
from dcgan_cli.data.reference import CenterCrop, NetworkView, Reference, _is_there, absolute, color
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import CheckpointError, SourceError, UsageError

SHOWN = NetworkView(ImageSpec(16, 3), 16)


refusal = refused_as(SourceError)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return dataset_files.write_folder(
        tmp_path / "photos", {f"{number}.png": dataset_files.png(number, 16) for number in range(4)}
    )


def referring(place: Path, **changes: Any) -> Reference:
    """What is remembered of the images at `place`."""
    source = open_source(str(place))
    known = Reference(SHOWN, str(place), "folder", records=4, images=4, content=source.content())
    return replace(known, **changes)


# Opening


def test_images_are_opened_where_they_were_or_are_named(photos: Path, tmp_path: Path) -> None:
    known = referring(photos)
    assert known.open("--data SOURCE").location == str(photos)
    photos.rename(tmp_path / "new")
    assert known.open("--data SOURCE", str(tmp_path / "new")).location == str(tmp_path / "new")
    assert refusal(lambda: known.open("--data SOURCE")) == (
        f"{photos}: no such file or folder; the training images were there: name the place where "
        "they are now, --data SOURCE"
    )
    assert refusal(lambda: known.open("--data SOURCE", str(photos))).startswith(f"{photos}: ")
    assert "the training images were there" not in refusal(lambda: known.open("x", str(photos)))
    photos.mkdir()
    assert "no such file" not in refusal(lambda: known.open("--data SOURCE"))
    assert refusal(lambda: Reference(SHOWN).open("--data SOURCE")) == (
        "the checkpoint does not say where its training images are; name them: --data SOURCE"
    )


def test_other_images_are_refused_with_what_differs(photos: Path) -> None:
    known = referring(photos)
    (photos / "0.png").write_bytes(dataset_files.png(9, 16))
    end = "restore them, or name the place where they are: --data SOURCE"
    assert refusal(lambda: known.open("--data SOURCE")) == (
        f"{photos}: not the images that the model was trained on (as many, but their content "
        f"differs); {end}"
    )
    many = replace(known, records=5001, images=5000)
    assert refusal(lambda: many.open("--data SOURCE")) == (
        f"{photos}: 4 images, the model was trained on 5,001; {end}"
    )
    source = open_source(str(photos))
    counted = replace(known, records=None, images=7)
    assert counted.difference(source) == "4 images, the model was trained on 7"
    unknown = replace(known, records=None, images=None)
    assert unknown.difference(source).startswith("not the images that the model was trained on")


def test_the_limit_is_that_of_the_training(photos: Path) -> None:
    content = open_source(str(photos), limit=2).content()
    known = referring(photos, limit=2, content=content)
    assert len(known.open("--data SOURCE")) == 2


def test_what_earlier_versions_kept_leaves_a_doubt(photos: Path) -> None:
    source = open_source(str(photos))
    old = referring(photos, content=None)
    assert old.is_same(source) is None
    assert replace(old, fingerprint=source.fingerprint()).is_same(source) is True
    assert replace(old, images=5).is_same(source) is False
    assert replace(old, images=None).is_same(source) is None
    end = ": the checkpoint is of an earlier version, which did not keep their content to compare"
    assert replace(old, images=5000).doubt() == (
        f"taken as the training images (there were 5,000){end}"
    )
    assert replace(old, images=None).doubt() == f"taken as the training images{end}"


def test_the_same_place_by_other_names(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    known = referring(photos)
    assert known.is_location(str(photos))
    assert known.is_location("photos")
    assert known.is_location("./photos/../photos")
    assert not known.is_location(str(photos.parent))
    assert not Reference(SHOWN).is_location(str(photos))


def test_whether_anything_is_at_a_place(photos: Path) -> None:
    for place in (
        "digits",
        "demo:faces",
        "demo:rooms:9",
        "x-{0..3}.tar",
        str(photos),
        f"{photos}#a",
    ):
        assert _is_there(place), place
    for place in ("digit", "demo", "gone", "gone#a", f"{photos}x"):
        assert not _is_there(place), place


def test_places_mean_the_same_in_every_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    (photos.parent / "a#b").mkdir()
    (photos.parent / "link").symlink_to(photos)
    for given, meant in {
        "0.png": f"{photos}/0.png",
        "../a#b": f"{photos.parent}/a#b",
        "../a#b#c": f"{photos.parent}/a#b#c",
        "../link": str(photos),
        "x-{0..3}.tar": f"{photos}/x-{{0..3}}.tar",
        "gone": "gone",
        "gone#a": "gone#a",
        "demo:faces": "demo:faces",
    }.items():
        assert absolute(given) == meant


def test_label_tables_move_with_their_images(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old / "photos", new / "photos"):
        folder.mkdir(parents=True)
    inside, beside, far = old / "photos/l.csv", old / "l.csv", tmp_path / "far.csv"

    def found(labels: Path | None, location: str = str(new / "photos")) -> Path | None:
        return Reference(SHOWN, f"{old}/photos#train", labels=labels).labels_at(location)

    assert found(None) is None
    assert found(far) is None
    assert found(inside) is None, "nothing is there yet"
    for path in (inside, beside):
        (new / path.relative_to(old)).touch()
    assert found(inside) == new / "photos" / "l.csv"
    assert found(inside, f"{new}/photos#test") == new / "photos" / "l.csv"
    assert found(beside) == new / "l.csv"
    far.touch()
    assert found(far) == far, "where it was goes first"
    assert Reference(SHOWN, None, labels=far).labels_at(str(new)) == far
    assert Reference(SHOWN, None, labels=beside).labels_at(str(new)) is None


# Plain values


def test_plain_values_have_these_names(tmp_path: Path) -> None:
    image_spec = ImageSpec(24, 1, (1, 2, 3), "stretch", aspect=2.0)
    known = Reference(
        NetworkView(image_spec, 16), "/a", "folder", tmp_path / "l.csv", 9, 8, 7, "digest"
    )
    data = known.to_dict()
    assert data == {
        "location": "/a",
        "kind": "folder",
        "labels": str(tmp_path / "l.csv"),
        "limit": 9,
        "records": 8,
        "images": 7,
        "content": "digest",
        "framing": asdict(image_spec),
    }
    assert Reference.read(data, 16, 1) == known
    assert Reference(SHOWN).to_dict()["labels"] is None


def test_what_earlier_versions_wrote_is_read() -> None:
    old = {"location": "digits", "pictures": 5, "fingerprint": "f", "side": 20, "background": "red"}
    assert Reference.read(old, 16, 3) == Reference(
        NetworkView(ImageSpec(20, 3, (255, 0, 0)), 16), "digits", images=5, fingerprint="f"
    )
    assert Reference.read({}, 16, 1) == Reference(
        NetworkView(ImageSpec(16, 1, (255, 255, 255)), 16)
    )
    assert Reference.read({"images": 3, "pictures": 5}, 16, 1).images == 3
    assert refusal(lambda: Reference.read({"background": "reed"}, 16, 3), UsageError) == (
        "--background reed: expected a color such as white or #20a0ff"
    )


def test_values_that_cannot_be_are_named() -> None:
    def said(data: dict[str, Any]) -> str:
        return refusal(lambda: Reference.read(data, 16, 3), CheckpointError)

    start = "the checkpoint's data: "
    for key in ("location", "kind", "labels", "content", "fingerprint"):
        assert said({key: 7}) == f"{start}{key} is 7, expected str"
    for key in ("limit", "records", "images", "pictures"):
        assert said({key: "x"}) == f"{start}{key} is 'x', expected int"
        assert said({key: True}) == f"{start}{key} is True, expected int"
    assert said({"limit": "x" * 200}) == f"{start}limit is '{'x' * 200}"[:120] + ", expected int"
    end = "its networks are of 16 and 3"
    assert said({"side": 65}) == f"{start}images of 65 pixels and 3 channels, {end}"
    assert said({"side": 15}) == f"{start}images of 15 pixels and 3 channels, {end}"
    good = asdict(ImageSpec(16, 3))
    assert said({"framing": {**good, "channels": 1}}) == (
        f"{start}images of 16 pixels and 1 channels, {end}"
    )
    assert said({"framing": {**good, "side": 16.0}}).startswith(f"{start}images of 16.0 pixels")
    assert said({"framing": {"side": 16}}) == f"{start}no framing of images: 'background'"
    for side in (16, 64):
        assert (
            Reference.read({"framing": {**good, "side": side}}, 16, 3).shown.image_spec.side == side
        )


def test_colors_are_what_pillow_knows() -> None:
    assert color("white") == (255, 255, 255)
    assert color("#20a0ff80") == (32, 160, 255)
    assert refusal(lambda: color("x"), UsageError) == (
        "--background x: expected a color such as white or #20a0ff"
    )


# How images are shown


def test_the_middle_hands_on_what_is_known_of_its_images(photos: Path) -> None:
    shown = NetworkView(ImageSpec(24, 3), 15)
    framed = prepare(open_source(str(photos)), shown.image_spec, workers=0)
    seen = shown.of(framed)
    assert isinstance(seen, CenterCrop)
    assert replace(shown, size=24).of(framed) is framed
    assert seen.image_spec == ImageSpec(15, 3)
    for name in ("origin", "original_size", "skipped", "log", "notes"):
        assert getattr(seen, name) is getattr(framed, name), name
    assert len(seen) == 4
    whole = framed.take(np.arange(4))
    assert np.array_equal(seen.take(np.arange(4)), whole[:, 4:19, 4:19])
    assert shown.middle(whole[0]).shape == (15, 15, 3)
    pixels, original = shown.read(open_source(str(photos)), 2)
    assert np.array_equal(pixels, whole[2, 4:19, 4:19])
    assert original == (16, 16)
    boxes = [[0, 0, 1, 1], [0.5, 0.25, 0.75, 0.5]]
    np.testing.assert_allclose(
        seen.corners(boxes, np.array([0, 3])),
        [[0, 0, 1, 1], [8 / 15, 2 / 15, 14 / 15, 8 / 15]],
    )
    seen.close()


def test_boxes_beyond_the_middle_are_not_seen() -> None:
    shown = NetworkView(ImageSpec(24, 1), 16)
    inside, over = [0.25, 0.25, 0.75, 0.75], [0.0, 0.5, 1.0, 1.0]
    gone = [[0, 0, 1 / 6, 1], [0, 0, 1, 1 / 6], [5 / 6, 0, 1, 1], [0, 5 / 6, 1, 1]]
    found = shown.within(np.array([inside, over, *gone]))
    np.testing.assert_allclose(found[:2], [[0.125, 0.125, 0.875, 0.875], [0, 0.5, 1, 1]])
    assert np.isnan(found[2:]).all()


def test_a_reference_is_made_of_what_was_prepared(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    source = open_source(str(photos), limit=5)
    framed = prepare(source, ImageSpec(24, 3), workers=0, max_unreadable=1.0)
    labels = tmp_path / "x" / ".." / "l.csv"
    known = Reference.of(source, framed, 16, labels=labels, limit=5)
    framed.close()
    assert known == Reference(
        NetworkView(ImageSpec(24, 3), 16), str(photos), source.kind, tmp_path / "l.csv", 5, 5, 4,
        source.content(),
    )  # fmt: skip
