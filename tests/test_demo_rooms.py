"""The drawn bedrooms: the same for the same index, true to their labels, exact in their boxes."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

from dcgan_cli.data.demo import rooms
from dcgan_cli.data.demo.bed import Bed
from dcgan_cli.data.demo.canvas import Canvas
from dcgan_cli.data.demo.perspective import Camera, Patch, Plane, Rect
from dcgan_cli.data.demo.rooms import Room

OBJECTS = ("window", "door", "lamp", "picture")
CAMERA = Camera(0.55, 0.35, 0.88, 1.55)


def with_and_without(room: Room, name: str) -> NDArray[np.int64]:
    """How much each pixel changes when one object comes or goes: [128, 128]."""
    there, gone = (rooms.paint(replace(room, **{name: value})) for value in (True, False))
    return np.abs(there.astype(np.int64) - gone).max(axis=2)


def gaps(changed: NDArray[np.bool_], box: Rect) -> list[float]:
    """Pixels from each edge of `box` inwards to what changed; negative: it changed outside."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    x0, y0, x1, y1 = (edge * len(changed) for edge in box)
    return [columns[0] - x0, rows[0] - y0, x1 - columns[-1] - 1, y1 - rows[-1] - 1]


def assert_fills(change: NDArray[np.int64], box: Rect) -> None:
    """What changes touches every edge of the box within two pixels, and does not leave it."""
    assert max(gaps(change > 3, box)) <= 2
    # An anti-aliased edge spreads over the pixels next to the one that it crosses.
    assert min(gaps(change > 3, box)) > -1.5
    assert min(gaps(change > 0, box)) > -2


@given(st.integers(0, 2**63))
@settings(max_examples=20, deadline=None)
def test_a_room_is_decided_by_its_index(index: int) -> None:
    assert rooms.truth(index) == rooms.truth(index)
    np.testing.assert_array_equal(rooms.draw(index, 32), rooms.draw(index, 32))


@pytest.mark.parametrize("size", [16, 28, 32, 64, 96, 128])
def test_images_have_the_size_that_was_asked_for(size: int) -> None:
    picture = rooms.draw(3, size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.flags["C_CONTIGUOUS"]
    assert picture.std() > 20


def test_neighboring_indices_differ() -> None:
    images = {rooms.draw(index, 32).tobytes() for index in range(50)}
    assert len(images) == 50


def test_small_images_are_the_large_ones_seen_from_afar() -> None:
    for index in range(20):
        large = rooms.draw(index, 128).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
        assert np.abs(large - rooms.draw(index, 32)).mean() < 4


def test_attributes_are_fair_coins_and_know_nothing_of_each_other_or_of_the_room() -> None:
    truths = [rooms.truth(index) for index in range(4000)]
    names = (*OBJECTS, "mirrored")
    bits = np.array([[getattr(room, name) for name in names] for room in truths], float)
    np.testing.assert_allclose(bits.mean(0), 0.5, atol=0.03)
    nuisance = np.array(
        [
            [
                room.camera.x,
                room.shell.left,
                room.shell.rug is not None,
                room.light.x,
                room.places["window"].plane.across == "x",
                room.bed.cover[0],
                room.bed.accent is not None,
            ]
            for room in truths
        ],
        float,
    )
    related = np.corrcoef(np.hstack([bits, nuisance]).T)[: len(names)]
    np.fill_diagonal(related, 0)
    # 4.5 standard errors of a correlation over 4000 pairs.
    assert np.abs(related).max() < 0.071


def test_boxes_are_those_of_what_is_there_and_lie_within_the_image() -> None:
    for index in range(500):
        room = rooms.truth(index)
        assert set(room.boxes) == {"bed", *(name for name in OBJECTS if getattr(room, name))}
        for x0, y0, x1, y1 in room.boxes.values():
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
            assert min(x1 - x0, y1 - y0) > 0.08


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_changes_its_box_and_nothing_else(name: str) -> None:
    for index in range(80):
        room = replace(rooms.truth(index), **{name: True})
        change = with_and_without(room, name)
        assert_fills(change, room.boxes[name])


def test_the_bed_fills_its_box(monkeypatch: pytest.MonkeyPatch) -> None:
    truths = [rooms.truth(index) for index in range(60)]
    there = [rooms.paint(room) for room in truths]
    monkeypatch.setattr(Bed, "paint", lambda *_: None)
    for room, picture in zip(truths, there, strict=True):
        change = np.abs(picture.astype(int) - rooms.paint(room)).max(axis=2)
        assert_fills(change, room.boxes["bed"])


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_looks_the_same_whatever_else_is_there(name: str) -> None:
    """Its pixels are the same in a full room and in an empty one, but for trivial overlap."""
    for index in range(20):
        full = replace(rooms.truth(index), **dict.fromkeys(OBJECTS, True))
        alone = replace(full, **{other: other == name for other in OBJECTS})
        assert full.boxes[name] == alone.boxes[name]
        hidden = rooms.paint(full) != rooms.paint(alone)
        changed = with_and_without(alone, name) > 0
        assert (hidden.any(axis=2) & changed).sum() < 0.03 * changed.sum(), index


def test_objects_do_not_hide_each_other() -> None:
    for index in range(500):
        room = replace(rooms.truth(index), **dict.fromkeys(OBJECTS, True))
        for one, other in itertools.combinations(OBJECTS, 2):
            a, b = room.boxes[one], room.boxes[other]
            width = min(a[2], b[2]) - max(a[0], b[0])
            height = min(a[3], b[3]) - max(a[1], b[1])
            smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
            assert max(width, 0) * max(height, 0) < 0.04 * smaller, (index, one, other)


def test_mirroring_turns_the_picture_and_its_boxes() -> None:
    room = replace(rooms.truth(0), mirrored=False)
    mirror = replace(room, mirrored=True)
    np.testing.assert_array_equal(rooms.paint(mirror), rooms.paint(room)[:, ::-1])
    for name, (x0, y0, x1, y1) in room.boxes.items():
        assert mirror.boxes[name] == (1 - x1, y0, 1 - x0, y1)


def test_every_part_of_a_room_varies() -> None:
    truths = [rooms.truth(index) for index in range(40)]
    for field in fields(Room):
        assert len({repr(getattr(room, field.name)) for room in truths}) > 1, field.name


def test_a_linear_classifier_finds_each_object_in_32_pixels() -> None:
    count, held_out = 900, 300
    images = np.stack([rooms.draw(index, 32) for index in range(count)])
    # The mirror image of a training picture holds the same objects: twice the evidence.
    train, test = images[:-held_out], images[-held_out:]
    train = np.concatenate([train, train[:, :, ::-1]]).reshape(-1, 32 * 32 * 3) / 255
    truths = [rooms.truth(index) for index in range(count)]
    for name in OBJECTS:
        wanted = np.array([getattr(room, name) for room in truths])
        model = RidgeClassifier(alpha=30).fit(train, np.tile(wanted[:-held_out], 2))
        right = model.score(test.reshape(held_out, -1) / 255, wanted[-held_out:])
        # Guessing gives 0.5 with a standard error of 0.029.
        assert right > 0.6, (name, right)


@given(
    st.sampled_from([("z", 4.4), ("x", -1.6), ("x", 1.9), ("y", 0.0), ("y", 2.6)]),
    st.floats(1.0, 2.5),
    st.floats(1.6, 2.4),
)
def test_planes_find_back_the_points_that_they_project(
    place: tuple[str, float], u: float, v: float
) -> None:
    plane = Plane(*place)  # pyright: ignore[reportArgumentType]
    x, y = plane.project(CAMERA, u, v)
    found = plane.locate(CAMERA, np.full((1, 1), x), np.full((1, 1), y))
    np.testing.assert_allclose([found[0].item(), found[1].item()], [u, v], rtol=1e-4)


@pytest.mark.parametrize("size", [32, 128])
def test_coverage_adds_up_to_the_area_on_the_screen(size: int) -> None:
    canvas = Canvas(size, (0, 0, 0))
    for rect in ((-1.0, 0.5, 0.3, 1.9), (0.1, 1.0, 0.13, 1.6)):
        x0, y0, x1, y1 = Plane("z", 4.0).bounds(CAMERA, rect)
        cover = Patch(canvas, CAMERA, Plane("z", 4.0), rect).box(rect)
        assert cover.sum() / size**2 == pytest.approx((x1 - x0) * (y1 - y0), rel=1e-3)


def test_a_patch_paints_its_canvas_and_nothing_beyond() -> None:
    canvas = Canvas(64, (0, 0, 0))
    rect = (-0.5, 1.0, 0.5, 2.0)
    patch = Patch(canvas, CAMERA, Plane("z", 4.0), rect)
    patch.lay(patch.box(rect), (1, 1, 1))
    painted = canvas.finish().max(axis=2) > 0
    assert painted.any()
    assert min(gaps(painted, Plane("z", 4.0).bounds(CAMERA, rect))) > -1


def test_a_patch_outside_the_picture_is_empty() -> None:
    patch = Patch(Canvas(32, (0, 0, 0)), CAMERA, Plane("z", 4.0), (20.0, 0.0, 21.0, 1.0))
    patch.lay(patch.box((20.0, 0.0, 21.0, 1.0)), (1, 1, 1))
    assert patch.pixels.size == 0
