"""The object detector: locations and boxes, what is seen, what is trained, and what is refused."""

from dataclasses import replace

import known_filters
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dcgan_cli.analysis.drop_filters import train_detector
from dcgan_cli.analysis.drop_filters.location_features import (
    Linear,
    extract_location_features,
    grid_side,
    places,
)
from dcgan_cli.analysis.drop_filters.locations import (
    auc,
    aucs_within,
    inside,
    mean_auc,
    outlined,
    split,
    usual_place,
)
from dcgan_cli.analysis.drop_filters.object_detector import ObjectDetector, presence
from dcgan_cli.analysis.drop_filters.train_detector import fit_object_detector
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import DcganError
from dcgan_cli.model.latents import seeded_latents

COUNT = 200


def boxes_of(*rows: tuple[int, float, float, float, float], count: int = 1) -> Boxes:
    return Boxes(
        np.array([row[0] for row in rows], np.int64),
        np.full(len(rows), "block"),
        np.array([row[1:] for row in rows], np.float64).reshape(-1, 4),
        np.ones(count, np.bool_),
    )


def test_a_location_is_inside_where_its_center_is() -> None:
    mask = inside(boxes_of((0, 0.25, 0.0, 0.75, 0.25)), "block", 4)
    expected = np.zeros((1, 4, 4), np.bool_)
    expected[0, 0, 1:3] = True
    assert np.array_equal(mask, expected)
    # 0.3 to 0.6 covers the center 0.375 and not 0.125 or 0.625
    mask = inside(boxes_of((0, 0.3, 0.3, 0.6, 0.6)), "block", 4)
    assert np.argwhere(mask).tolist() == [[0, 1, 1]]


def test_boxes_of_another_kind_or_image_are_elsewhere() -> None:
    boxes = boxes_of((1, 0, 0, 0.5, 0.5), (1, 0.5, 0.5, 1, 1), count=3)
    mask = inside(boxes, "block", 2)
    assert np.argwhere(mask).tolist() == [[1, 0, 0], [1, 1, 1]]
    assert not inside(boxes, "door", 2).any()


@given(
    st.floats(0, 0.98),
    st.floats(0, 0.98),
    st.floats(0.001, 1),
    st.floats(0.001, 1),
    st.integers(1, 9),
)
def test_the_smallest_box_has_a_location(
    x: float, y: float, width: float, height: float, side: int
) -> None:
    x1, y1 = min(1.0, x + width), min(1.0, y + height)
    mask = inside(boxes_of((0, x, y, x1, y1)), "block", side)[0]
    assert mask[min(int((y + y1) / 2 * side), side - 1), min(int((x + x1) / 2 * side), side - 1)]
    # and what is inside is a rectangle
    assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()


def test_outlines_of_connected_parts() -> None:
    mask = np.zeros((2, 4, 4), np.bool_)
    mask[0, :2, 0] = mask[0, 1, 1] = True  # an L
    mask[0, 3, 3] = True  # touches nothing
    mask[1, 0, 0] = mask[1, 1, 1] = True  # touch at a corner alone
    found = outlined(mask, "block")
    assert found.image.tolist() == [0, 0, 1, 1]
    assert found.corners.tolist() == [
        [0, 0, 0.5, 0.5], [0.75, 0.75, 1, 1], [0, 0, 0.25, 0.25], [0.25, 0.25, 0.5, 0.5],
    ]  # fmt: skip
    assert found.seen.tolist() == [True, True]
    assert set(found.kind) == {"block"}
    assert outlined(mask, "block", fewest=2).image.tolist() == [0]
    assert outlined(mask, "block", fewest=9).corners.shape == (0, 4)


def test_auc_by_hand() -> None:
    truth = np.array([True, False, True, False])
    assert auc(np.array([4.0, 3.0, 2.0, 1.0]), truth) == 0.75
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), truth) == 0.5
    assert auc(np.array([1.0, 0.0, 1.0, 0.0]), truth) == 1


def test_auc_within_is_of_each_image_by_itself() -> None:
    mask = np.zeros((4, 2, 2), np.bool_)
    mask[0, 0, 0] = mask[1, 0, 0] = True
    mask[3] = True
    scores = np.zeros((4, 2, 2))
    scores[0] = [[9, 1], [2, 3]]  # right
    scores[1] = [[100, 300], [200, 0]]  # above two thirds of none: 1/3
    assert aucs_within(scores, mask).tolist() == [1, pytest.approx(1 / 3)]
    found = mean_auc(scores, mask)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 2)
    assert mean_auc(scores, np.zeros_like(mask)).n == 0


def test_the_usual_place_knows_other_folds_alone() -> None:
    mask = np.zeros((4, 1, 1), np.bool_)
    mask[:2] = True
    folds = np.array([0, 1, 0, 1])
    assert usual_place(mask, folds).ravel().tolist() == [0.5, 0.5, 0.5, 0.5]
    folds = np.array([0, 0, 1, 1])
    assert usual_place(mask, folds).ravel().tolist() == [0, 0, 1, 1]


@given(st.integers(1, 50), st.integers(1, 7))
def test_folds_are_of_equal_size(count: int, folds: int) -> None:
    sizes = np.bincount(split(count, folds, np.random.default_rng(0)), minlength=folds)
    assert sizes.sum() == count
    assert sizes.max() - sizes.min() <= 1


def test_what_is_seen_at_a_location() -> None:
    network = known_filters.discriminator()
    images = torch.rand(70, 1, 16, 16) * 2 - 1
    all_location_features = list(extract_location_features(network, images))
    assert [len(location_features) for location_features in all_location_features] == [64, 6]
    maps = torch.cat([location_features.features() for location_features in all_location_features])
    widths = sum(network.config.discriminator_widths)
    assert grid_side(network) == 8
    assert maps.shape == (70, widths + 36, 8, 8)
    # the first layer has the grid's size: seen as it is
    with torch.no_grad():
        first = network.layers[0](images.clone())
    torch.testing.assert_close(maps[:, :4], first)
    # colors of a 2×2 location stand in the middle of the 6×6 around it
    colors = maps[:, widths:].unflatten(1, (6, 6))
    torch.testing.assert_close(colors[:, 2:4, 2:4, 3, 5], images[:, 0, 6:8, 10:12])
    torch.testing.assert_close(colors[:, 0:2, 2:4, 3, 5], images[:, 0, 4:6, 10:12])
    # weighing before the grid is the same as after
    weights, place = torch.randn(3, widths + 36), torch.randn(3, 8, 8)
    scores = np.concatenate(
        [Linear(weights, place)(location_features) for location_features in all_location_features]
    )
    expected = torch.einsum("nfyx,kf->nkyx", maps, weights) + place
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert not any(module._forward_hooks for module in network.modules())
    assert places(5)[2, 2].tolist() == [0] * 9
    assert places(5)[0, 4, :2].tolist() == [1, -1]


def planted(count: int = COUNT, seed: int = 0) -> tuple[torch.Tensor, Boxes, NDArray[np.float32]]:
    """Images of the planted generator, and what is in them."""
    latents = seeded_latents(seed, count, 8, "normal")
    sampler = Sampler("", known_filters.generator(), "running", True)
    return sampler.normalized(latents), known_filters.boxes(latents), latents


@pytest.fixture(scope="module")
def detector() -> ObjectDetector:
    images, boxes, _ = planted()
    return fit_object_detector(images, boxes, known_filters.discriminator())


def test_it_finds_what_was_planted(detector: ObjectDetector) -> None:
    known = detector.objects["block"]
    assert known.where.value > 0.95
    assert known.where.low is not None
    assert known.where.low > known.where_usual.value
    assert known.whether is not None
    assert known.whether.value > 0.85
    assert known.share.value == pytest.approx((planted()[2][:, :4] > 1).any(1).mean())
    # on images that it never saw, at full resolution
    images, boxes, latents = planted(100, seed=5)
    scores = detector.score(images)
    assert scores.shape == (100, 1, 8, 8)
    clear = (latents[:, :4] > 1.3).any(1) | ~(latents[:, :4] > 0.9).any(1)
    truth = (latents[:, :4] > 1).any(1)
    assert (detector.found(scores)["block"] == truth)[clear].mean() > 0.9
    found, expected = (
        inside(each, "block", 8) for each in (detector.boxes(scores, "block"), boxes)
    )
    overlap = (found & expected).sum() / (found | expected).sum()
    assert overlap > 0.5


def test_boxes_are_only_where_it_is_found(detector: ObjectDetector) -> None:
    scores = detector.score(planted(60, seed=6)[0])
    assert set(detector.boxes(scores, "block").image) <= set(
        np.flatnonzero(detector.found(scores)["block"])
    )


def test_a_image_is_scored_alike_in_any_company(detector: ObjectDetector) -> None:
    images = planted(80, seed=7)[0]
    np.testing.assert_allclose(detector.score(images)[70:], detector.score(images[70:]), atol=1e-4)


def test_same_seed_same_detector(detector: ObjectDetector) -> None:
    images, boxes, _ = planted()
    again = fit_object_detector(images, boxes, known_filters.discriminator())
    assert again.objects == detector.objects
    other = fit_object_detector(images, boxes, known_filters.discriminator(), seed=1)
    assert other.objects != detector.objects
    assert np.array_equal(again.score(images), detector.score(images))


def test_images_that_nobody_looked_at_are_left_out() -> None:
    images, boxes, _ = planted()
    looked = np.zeros(COUNT, np.bool_)
    looked[:150] = True
    kept = boxes.image < 150
    some = Boxes(boxes.image[kept], boxes.kind[kept], boxes.corners[kept], looked)
    detector = fit_object_detector(images, some, known_filters.discriminator())
    alone = fit_object_detector(
        images[:150], boxes.take(np.arange(150)), known_filters.discriminator()
    )
    assert detector.images == 150
    assert detector.objects == alone.objects


def test_what_cannot_be_found_is_refused_and_said() -> None:
    images, boxes, _ = planted()
    stream = np.random.default_rng(0)
    # "ghost" boxes have nothing to do with the images; "sky" fills them; "rare" is too rare
    low = stream.uniform(0, 0.7, (80, 2))
    more = {
        "ghost": (stream.integers(0, COUNT, 80), np.concatenate([low, low + 0.3], 1)),
        "sky": (np.arange(COUNT), np.tile([0.0, 0, 1, 1], (COUNT, 1))),
        "rare": (np.arange(9), np.tile([0.0, 0, 0.5, 0.5], (9, 1))),
    }
    every = replace(
        boxes,
        image=np.concatenate([boxes.image, *(image for image, _ in more.values())]),
        kind=np.concatenate([boxes.kind, *(np.full(len(p), k) for k, (p, _) in more.items())]),
        corners=np.concatenate([boxes.corners, *(corners for _, corners in more.values())]),
    )
    detector = fit_object_detector(images, every, known_filters.discriminator())
    assert list(detector.objects) == ["block"]
    assert set(detector.refused) == {"ghost", "sky", "rare"}
    assert "9 images with it" in detector.refused["rare"]
    assert "fills" in detector.refused["sky"]
    only = replace(every, kind=np.where(every.kind == "rare", "rare", "sky"))
    with pytest.raises(DcganError, match=r"nothing can be found by these boxes: .*rare: 9 images"):
        fit_object_detector(images, only, known_filters.discriminator())
    with pytest.raises(DcganError, match="no boxes"):
        fit_object_detector(images, boxes_of(count=COUNT), known_filters.discriminator())


def test_an_object_in_every_image_passes_at_the_usual_rate() -> None:
    images, boxes, _ = planted(300)
    there = np.unique(boxes.image)
    detector = fit_object_detector(
        images[torch.from_numpy(there)], boxes.take(there), known_filters.discriminator()
    )
    known = detector.objects["block"]
    assert known.whether is None
    assert known.share.value == 1
    assert len(detector.findings()) == 1
    scores = detector.score(images[torch.from_numpy(there)])
    assert detector.found(scores)["block"].mean() > 0.85


@pytest.mark.parametrize("without", [15, 45])
def test_a_verdict_on_presence_needs_images_without_the_object(without: int) -> None:
    """Scores that know where it is and not whether: refused, where there is enough to say so."""
    stream = np.random.default_rng(0)
    count = 50 + without
    mask = np.zeros((count, 8, 8), np.bool_)
    places = stream.integers(0, 7, (count, 2))
    scores = stream.normal(0, 1, (count, 8, 8)).astype(np.float32)
    for number, (y, x) in enumerate(places):
        scores[number, y : y + 2, x : x + 2] += 8
        mask[number, y : y + 2, x : x + 2] = number < 50
    known = train_detector._evaluate(scores, mask, np.arange(count) % 3)
    if without == 45:
        assert isinstance(known, str)
        assert "no better than by chance" in known
    else:
        assert not isinstance(known, str)
        assert known.whether is not None
        assert known.whether.low is not None
        assert known.whether.low <= 0.5, "and this is said beside chance"


def test_presence_is_the_mean_of_the_highest_scores() -> None:
    scores = np.zeros((2, 8, 8), np.float32)
    scores[0, 3, 4], scores[0, 5, 5], scores[1, 0, 0] = 5, 3, 8
    assert presence(scores).tolist() == [4, 4]
    assert presence(np.full((1, 2, 2), 7, np.float32)).tolist() == [7]
