"""demo:faces: the truth is what it says, and the images show it."""

import pickle
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from dcgan_cli.data.demo import faces, facial_features, rooms, source
from dcgan_cli.data.demo.canvas import Canvas, mix, outline, smoothstep
from dcgan_cli.data.demo.faces import Face
from dcgan_cli.data.demo.head import Head
from dcgan_cli.data.demo.source import DemoSource
from dcgan_cli.errors import SourceError

TRUTHS = [faces.truth(index) for index in range(4000)]
FLAGS = ("man", "smiling", "glasses")


def column(name: str) -> np.ndarray:
    return np.array([float(getattr(face, name)) for face in TRUTHS])


def straight(index: int, **changes: object) -> Face:
    """Face `index` in the middle of the frame, looking ahead, without glasses, with changes."""
    still = {"x": 0.5, "y": 0.475, "scale": 0.215, "turn": 0.0, "glasses": False}
    return replace(faces.truth(index), **(still | changes))


def difference(one: Face, other: Face) -> np.ndarray:
    """How far two portraits differ at each pixel, 0 to 255: float [128, 128]."""
    a, b = (faces.paint(face).astype(float) for face in (one, other))
    return np.abs(a - b).max(axis=2)


# The truth


@pytest.mark.parametrize("name", FLAGS)
def test_each_flag_is_as_often_true_as_false(name: str) -> None:
    assert abs(column(name).mean() - 0.5) < 0.03  # almost four standard errors


def test_turn_is_uniform() -> None:
    counts, _ = np.histogram(column("turn"), bins=8, range=(-1, 1))
    assert counts.sum() == len(TRUTHS)
    assert np.abs(counts / 500 - 1).max() < 0.2


def test_no_two_fields_are_correlated() -> None:
    names = list(Face.__dataclass_fields__)
    table = np.stack([column(name) for name in names])
    correlations = np.corrcoef(table)
    worst = max(abs(correlations[i, j]) for i, j in combinations(range(len(names)), 2))
    assert worst < 4.5 / np.sqrt(len(TRUTHS))  # 120 pairs


def test_every_palette_entry_and_style_is_used_within_bounds() -> None:
    for name in ("hair", "style", "iris", "background", "clothes", "frame"):
        values = sorted({int(value) for value in column(name)})
        assert values == list(range(len(values)))
        assert len(values) >= 3


# The images


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_image_is_rgb_of_the_size_asked(size: int) -> None:
    image = faces.draw(3, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


@given(st.integers(0, 2**40))
@settings(max_examples=12, deadline=None)
def test_a_image_is_a_pure_function_of_its_index(index: int) -> None:
    first = faces.draw(index, 32)
    faces.draw(index + 1, 32)
    assert np.array_equal(first, faces.draw(index, 32))
    assert np.array_equal(first, faces.paint(faces.truth(index), 32))
    assert first.std() > 10


def test_a_small_image_is_the_large_one_reduced() -> None:
    for index in range(8):
        large, small = faces.draw(index, 128), faces.draw(index, 32)
        reduced = large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
        assert np.abs(reduced - small).mean() < 5


@pytest.mark.parametrize("index", range(12))
def test_a_smile_changes_the_mouth_and_leaves_the_hair(index: int) -> None:
    changed = difference(straight(index, smiling=False), straight(index, smiling=True))
    assert changed[75:100, 48:80].mean() > 10
    assert changed[:48].max() == 0
    assert changed[:, :24].max() == 0
    assert changed[110:].max() == 0


@pytest.mark.parametrize("index", range(12))
def test_glasses_change_the_eyes_and_leave_mouth_and_hair(index: int) -> None:
    changed = difference(straight(index), straight(index, glasses=True))
    assert changed[50:75, 38:90].mean() > 15
    assert changed[:46].max() == 0
    assert changed[80:].max() == 0


@pytest.mark.parametrize("index", range(12))
def test_woman_or_man_changes_much_and_never_the_background_corner(index: int) -> None:
    changed = difference(straight(index, man=False), straight(index, man=True))
    assert changed.mean() > 8
    assert changed[:10, :20].max() == 0


@pytest.mark.parametrize("part", ["_paint_nose", "_paint_mouth", "_paint_eyes"])
@pytest.mark.parametrize("index", range(3))
def test_features_move_with_the_turn_and_only_ever_its_way(
    index: int, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = [straight(index, turn=float(turn)) for turn in np.linspace(-1, 1, 9)]
    whole = [faces.paint(face).astype(float) for face in turned]
    monkeypatch.setattr(facial_features, part, lambda *_: None)
    places: list[float] = []
    for face, image in zip(turned, whole, strict=True):
        across = np.abs(image - faces.paint(face)).sum(axis=(0, 2))
        places.append(float(across @ np.arange(128) / across.sum()))
    assert (np.diff(places) > 0.8).all()
    assert places[-1] - places[0] > 12


@given(st.floats(-0.75, 0.75), st.floats(-1, 1))
def test_turning_back_finds_the_point_of_the_face(u: float, turn: float) -> None:
    yaw = 0.45 * turn
    head = Head(Canvas(8, (0, 0, 0)), man=True, smiling=True, yaw=yaw, light=0, skin=(1, 1, 1))
    x = np.array([[head.across(u)]])
    if abs(x[0, 0] + 0.18 * np.sin(yaw)) < 1:  # within the rim
        assert head.unturned(x)[0, 0] == pytest.approx(u, abs=1e-9)


def test_looking_left_mirrors_looking_right() -> None:
    # A bun is the same from both sides, and so is light from straight ahead.
    left = straight(0, man=False, style=3, turn=-0.8, light=0.0)
    seen = faces.paint(left).astype(float)
    mirrored = faces.paint(replace(left, turn=0.8)).astype(float)[:, ::-1]
    assert np.abs(seen - mirrored)[40:100].mean() < 12
    assert np.abs(seen - mirrored[:, ::-1])[40:100].mean() > 12


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([faces.draw(i, 32) for i in range(700)]).reshape(700, -1) / 127.5 - 1


@pytest.mark.parametrize(("name", "least"), [("man", 0.9), ("smiling", 0.75), ("glasses", 0.8)])
def test_a_linear_classifier_reads_the_flag_from_small_images(
    pixels: np.ndarray, name: str, least: float
) -> None:
    told = column(name)[:700] > 0.5
    model = LogisticRegression(C=0.01, max_iter=300).fit(pixels[:500], told[:500])
    assert model.score(pixels[500:], told[500:]) > least


def test_a_linear_model_reads_the_turn_from_small_images(pixels: np.ndarray) -> None:
    turn = column("turn")[:700]
    model = Ridge(300.0).fit(pixels[:500], turn[:500])
    assert np.corrcoef(model.predict(pixels[500:]), turn[500:])[0, 1] > 0.8


# The canvas


def test_an_outline_through_points_of_a_circle_is_that_circle() -> None:
    canvas = Canvas(64, (0, 0, 0))
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    points = [(0.5 + 0.3 * np.cos(a), 0.5 + 0.3 * np.sin(a)) for a in angles]
    exact = np.hypot(canvas.x - 0.5, canvas.y - 0.5) - 0.3
    assert np.abs(outline(canvas.x, canvas.y, points, 0.5, 0.5) - exact).max() < 2e-3


def test_painting_on_a_patch_paints_the_canvas_there_and_only_there() -> None:
    whole, patched = Canvas(40, (0.2, 0.4, 0.6)), Canvas(40, (0.2, 0.4, 0.6))
    whole.paint(np.hypot(whole.x - 0.3, whole.y - 0.6) - 0.1, (1, 0, 0))
    patch = patched.frame(0.3, 0.6, 0.1).patch(-1.2, -1.2, 1.2, 1.2)
    patch.paint(np.hypot(patch.x, patch.y) - 1, (1, 0, 0))
    assert patch.x.size < 40 * 40 / 4
    np.testing.assert_allclose(patched.pixels, whole.pixels, atol=1e-5)


def test_a_patch_outside_the_canvas_holds_at_least_a_pixel_and_harms_nothing() -> None:
    canvas = Canvas(16, (0, 0, 0))
    patch = canvas.patch(1.5, -2.0, 1.9, -1.0)
    patch.paint(np.hypot(patch.x - 1.7, patch.y + 1.5) - 0.1, (1, 1, 1))
    assert canvas.pixels.max() == 0


def test_clipped_painting_stays_inside() -> None:
    canvas = Canvas(16, (0, 0, 0))
    with canvas.clipped(canvas.x - 0.5):
        canvas.pixels[:] = 1
    assert canvas.pixels[:, :8].min() == 1
    assert canvas.pixels[:, 8:].max() == 0


def test_mix_and_smoothstep_meet_their_ends() -> None:
    ramp = smoothstep(1.0, 3.0, np.array([[0.0, 1.0, 2.0, 3.0, 4.0]], np.float32))
    assert ramp.tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]
    colors = mix((0, 0.5, 1), (1, 0.5, 0), ramp)
    assert colors[0, 0].tolist() == [0, 0.5, 1]
    assert colors[0, 2].tolist() == [0.5, 0.5, 0.5]
    assert colors[0, 4].tolist() == [1, 0.5, 0]


# The source


def test_the_source_reads_what_is_drawn_and_names_it() -> None:
    demo = DemoSource("faces", 50)
    assert (demo.kind, demo.location, len(demo)) == ("synthetic faces", "demo:faces:50", 50)
    assert demo.name(17) == "face 17"
    assert np.array_equal(demo.read(17), faces.draw(17, 128))
    assert np.array_equal(pickle.loads(pickle.dumps(demo)).read(17), demo.read(17))
    assert DemoSource("faces").location == "demo:faces"
    assert DemoSource("rooms").kind == "synthetic rooms"
    for outside in (-1, 50):
        with pytest.raises(ValueError, match="no image"):
            demo.read(outside)


def test_no_images_at_all_are_refused_with_the_mend() -> None:
    with pytest.raises(SourceError, match=r"demo:faces:0: .* at least 1 .* demo:faces:\d+"):
        DemoSource("faces", 0)


def test_the_fingerprint_tells_sets_counts_and_versions_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {
        DemoSource("faces", 5).fingerprint(),
        DemoSource("faces", 6).fingerprint(),
        DemoSource("rooms", 5).fingerprint(),
    }
    monkeypatch.setattr(faces, "VERSION", faces.VERSION + 1)
    seen.add(DemoSource("faces", 5).fingerprint())
    assert len(seen) == 4


def test_labels_of_faces_are_their_truth() -> None:
    labels = DemoSource("faces", 300).labels
    assert set(labels.columns) == {"sex", "mouth", "glasses", "turn"}
    for index, face in enumerate(TRUTHS[:300]):
        row = {name: words[index] for name, words in labels.columns.items()}
        assert row == {
            "sex": "man" if face.man else "woman",
            "mouth": "smiling" if face.smiling else "neutral",
            "glasses": "glasses" if face.glasses else "no_glasses",
            "turn": face.turn,
        }


def test_labels_of_rooms_are_their_truth() -> None:
    from dcgan_cli.data.demo import rooms

    labels = DemoSource("rooms", 60).labels
    assert labels.boxes is not None
    assert labels.boxes.seen.all()
    for index in range(60):
        room = rooms.truth(index)
        for kind in ("window", "door", "lamp", "picture"):
            there = bool(getattr(room, kind))
            assert labels.columns[kind][index] == (kind if there else f"no_{kind}")
        rows = labels.boxes.image == index
        boxes = zip(labels.boxes.kind[rows], labels.boxes.corners[rows].tolist(), strict=True)
        assert dict(boxes) == {kind: list(box) for kind, box in room.boxes.items()}


def test_labels_are_worked_out_without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "paint", None)
    source._faces.cache_clear()
    assert len(DemoSource("faces", 40).labels.columns["turn"]) == 40


@pytest.mark.parametrize("name", ["faces", "rooms"])
def test_the_names_of_labels_are_known_before_any_label_is(
    name: source.Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"faces": faces, "rooms": rooms}[name]
    monkeypatch.setattr(module, "truth", None)
    columns = DemoSource(name, 77).labels.columns
    assert len(columns) == len(set(columns)) == 4
    with pytest.raises(TypeError, match="not callable"):
        columns[next(iter(columns))]
