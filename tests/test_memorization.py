"""The verdict: planted copies are found, held-out images pass, and the values are what they say."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import MODEL, Noise

from dcgan_cli.analysis.nearest_neighbors.distance_metrics import (
    DistanceMetric,
    Features,
    Outlines,
    Pixels,
)
from dcgan_cli.analysis.nearest_neighbors.memorization import (
    LEVEL,
    SCALE_NEIGHBORS,
    FloatArray,
    MemorizationTest,
    closeness,
    combined,
    detectable,
    memorized,
)
from dcgan_cli.analysis.nearest_neighbors.nearest import blurred
from dcgan_cli.analysis.nearest_neighbors.training_search import Question, Training, find
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import Images

SIDE, WIDE = 16, 20
N = 1000
CPU = torch.device("cpu")


def scenes(count: int, seed: int, side: int = WIDE) -> Images:
    """Smooth scenes of a dozen numbers each, with fine grain, uint8 [count, side, side, 1]."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, 4, 4, generator=stream)
    coarse[:, :, :, 2:] += coarse[:, :, :, :2]
    smooth = F.interpolate(coarse, (side, side), mode="bicubic")
    grain = torch.randn(count, 1, side, side, generator=stream)
    gray = (128 + 28 * smooth + 5 * grain).clamp(0, 255)
    return gray.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def window(wide: Images, top: int = 2, left: int = 2) -> Images:
    return np.ascontiguousarray(wide[:, top : top + SIDE, left : left + SIDE])


def soft(images: Images) -> Images:
    """Without the grain."""
    gray = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    small = F.avg_pool2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def brighter(images: Images) -> Images:
    return np.clip(images.astype(np.int16) + 30, 0, 255).astype(np.uint8)


def starker(images: Images) -> Images:
    return np.clip(1.3 * (images.astype(np.float64) - 128) + 128, 0, 255).astype(np.uint8)


def grainier(images: Images) -> Images:
    """As a generator draws: with grain of its own."""
    noise = np.random.default_rng(5).normal(0, 8, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class ToyData:
    """Closeness by outlines of held-out images, fresh ones, soft ones, and copies of each kind."""

    held_out: FloatArray
    fresh: FloatArray
    fresh_alike: FloatArray
    """Of fresh ones seen as the held-out ones are: blurred too, the closer counts."""
    soft: FloatArray
    copies: dict[str, FloatArray]
    plain: dict[str, FloatArray]
    """Plain distances to the nearest, in pixels."""


@pytest.fixture(scope="module")
def toy() -> ToyData:
    wide = scenes(N, 1)
    train = window(wide)
    kinds = {
        "exact": train,
        "mirrored": train[:, :, ::-1],
        "shifted": window(wide, 1, 3),
        "brightened": brighter(train),
        "starker": starker(train),
        "grainier": grainier(train),
        "soft": soft(train),
        "all at once": brighter(soft(window(wide, 3, 2)))[:, :, ::-1],
    }
    held, fresh = window(scenes(N, 2)), window(scenes(N, 3))
    asked = np.concatenate(
        [held, blurred(held), fresh, soft(fresh), blurred(fresh), *kinds.values()]
    )
    (by_outlines,) = find([Question(Outlines(SIDE), asked)], whole(train), SCALE_NEIGHBORS, CPU)
    close = np.split(closeness(by_outlines.distances), 5 + len(kinds))
    (by_pixels,) = find([Question(Pixels(SIDE, 1), asked[: 4 * N])], whole(train), 1, CPU)
    plain = np.split(by_pixels.distances[:, 0], 4)
    return ToyData(
        held_out=np.minimum(*close[:2]),
        fresh=close[2],
        fresh_alike=np.minimum(close[2], close[4]),
        soft=close[3],
        copies=dict(zip(kinds, close[5:], strict=True)),
        plain=dict(zip(("held out", "softened", "fresh", "soft"), plain, strict=True)),
    )


class Kept(Noise):
    def __init__(self, images: Images) -> None:
        self.images = images


def whole(images: Images) -> Training:
    return Training(Kept(images), np.arange(len(images)), str)


KINDS = ("exact", "mirrored", "shifted", "brightened", "starker", "grainier", "soft", "all at once")


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_found(toy: ToyData, kind: str, share: float) -> None:
    count = round(share * N)
    samples = toy.fresh.copy()
    samples[:count] = toy.copies[kind][:count]
    test = MemorizationTest(samples, toy.held_out)
    # beside an metric that sees nothing, as the command looks with two
    assert memorized({"outlines": test, "features": MemorizationTest(toy.fresh, toy.held_out)})
    low, high = test.copies.low, test.copies.high
    assert low is not None
    assert high is not None
    assert low <= share <= high + 1e-9
    assert low > share / 4
    found = set(np.flatnonzero(test.copied))
    assert len(found & set(range(count))) >= 0.9 * count


def test_held_out_samples_get_the_stated_null(toy: ToyData) -> None:
    """0.5 where both sides are seen in both versions; less where one side alone is."""
    effect = MemorizationTest(toy.fresh, toy.held_out, toy.fresh_alike).closer
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low <= 0.5 <= effect.high
    assert 0.46 < effect.value < 0.54
    assert MemorizationTest(toy.fresh, toy.held_out).closer.value < 0.46


def test_held_out_images_pass_and_so_do_soft_ones_though_they_are_nearer(toy: ToyData) -> None:
    assert not memorized({"fresh": MemorizationTest(toy.fresh, toy.held_out)})
    assert not memorized({"soft": MemorizationTest(toy.soft, toy.held_out)})
    plain = toy.plain
    assert np.median(plain["fresh"]) == pytest.approx(np.median(plain["held out"]), rel=0.02)
    assert np.median(plain["soft"]) < 0.95 * np.median(plain["held out"])


def duplicated(count: int, seed: int) -> Images:
    """Scenes of which a fifth come in threes that differ by their grain alone."""
    images = window(scenes(count, seed))
    third = count // 15
    images[third : 2 * third] = grainier(images[:third])
    images[2 * third : 3 * third] = grainier(grainier(images[:third]))
    return images


@pytest.mark.parametrize("data", ["scenes", "scenes in threes", "noise"])
def test_held_out_images_are_flagged_in_at_most_5_percent_of_200_trials(data: str) -> None:
    pool = {
        "scenes": lambda: window(scenes(600, 7)),
        "scenes in threes": lambda: duplicated(600, 8),
        "noise": lambda: Noise(600).images,
    }[data]()
    metrics = (Outlines(SIDE), Features(random_discriminator()))
    tables = [distances(metric, pool) for metric in metrics]
    stream = np.random.default_rng(0)
    flagged = 0
    for _ in range(200):
        samples, held, train = np.split(stream.permutation(600), [150, 350])
        tests = {
            str(i): MemorizationTest(*(near(table, part, train) for part in (samples, held)))
            for i, table in enumerate(tables)
        }
        flagged += memorized(tests)
    assert flagged <= 10, f"{flagged} of 200"


def random_discriminator() -> Discriminator:
    discriminator = Discriminator(MODEL)
    initialize(discriminator, torch.Generator().manual_seed(0))
    return discriminator


def distances(metric: DistanceMetric, images: Images) -> NDArray[np.float32]:
    rows, versions = metric.rows(images), metric.versions(images)
    apart = [torch.cdist(versions[:, v], rows) for v in range(versions.shape[1])]
    return torch.stack(apart).amin(0).numpy()


def near(table: NDArray[np.float32], of: NDArray[np.int64], among: NDArray[np.int64]) -> FloatArray:
    part = table[np.ix_(of, among)]
    return closeness(
        np.sort(np.partition(part, SCALE_NEIGHBORS - 1)[:, :SCALE_NEIGHBORS]).astype(np.float64)
    )


def test_closeness_by_hand() -> None:
    found = closeness(np.array([[1.0, 2, 3], [2, 2, 2], [0, 4, 5], [0, 0, 0]]))
    assert found.tolist() == [0.5, 1, 0, 0]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (5, 4), (4, 9)])
def test_p_values_are_those_of_all_orders(n: int, m: int) -> None:
    """Against counting: every choice of the places of n samples among n + m is as likely."""
    for rank in range(1, m + 1):
        counts = [
            sum(place < sorted(set(range(n + m)) - set(chosen))[rank - 1] for place in chosen)
            for chosen in itertools.combinations(range(n + m), n)
        ]
        for below in range(n + 1):
            expected = sum(count >= below for count in counts) / math.comb(n + m, n)
            tail = tail_of(n, m, rank, below)
            assert tail.p_value == pytest.approx(expected)


def tail_of(n: int, m: int, rank: int, below: int):
    """The tail at the `rank`-th of m held-out images with `below` of n samples in it."""
    from dcgan_cli.analysis.nearest_neighbors.memorization import tail_at

    held_out = np.arange(m, dtype=np.float64)
    samples = np.where(np.arange(n) < below, rank - 1.5, rank - 0.5)
    return tail_at(rank, samples, held_out)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_the_effect_is_the_share_of_pairs(samples: list[int], held_out: list[int]) -> None:
    test = MemorizationTest(np.array(samples, np.float64), np.array(held_out, np.float64))
    pairs = list(itertools.product(samples, held_out))
    expected = sum((s < h) + 0.5 * (s == h) for s, h in pairs) / len(pairs)
    effect = test.closer
    assert effect.value == pytest.approx(expected)
    if min(len(samples), len(held_out)) > 1:
        assert effect.low is not None
        assert effect.high is not None
        assert effect.low <= effect.value <= effect.high
    rarity = [(1 + sum(h <= s for h in held_out)) / (1 + len(held_out)) for s in samples]
    assert test.rarity.tolist() == pytest.approx(rarity)
    assert 0 <= test.p_value <= 1


@given(st.floats(0.1, 10), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_scale_does_not_matter(scale: float, seed: int) -> None:
    stream = np.random.default_rng(seed)
    distances = np.sort(stream.random((40, SCALE_NEIGHBORS)), axis=1)
    np.testing.assert_allclose(closeness(scale * distances), closeness(distances))


@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (300, 1000), (100, 12), (1, 2000)])
def test_detectable_is_what_just_is_found(n: int, m: int) -> None:
    share = detectable(n, m, 2)
    held_out = np.linspace(1, 2, m)
    for count, found in ((round(share * n), True), (round(share * n) - 1, False)):
        samples = np.full(n, 3.0)
        samples[:count] = 0.5
        one = MemorizationTest(samples, held_out)
        assert (
            memorized({"one": one, "other": MemorizationTest(np.full(n, 3.0), held_out)}) == found
        )


def test_nothing_can_be_told_with_too_few_held_out_images() -> None:
    assert np.isnan(detectable(10, 1, 2))
    assert combined({"one": MemorizationTest(np.zeros(10), np.ones(1))}) > LEVEL


def test_few_held_out_images_have_few_tails() -> None:
    assert [tail.rank for tail in MemorizationTest(np.ones(5), np.ones(12)).tails] == [1]
    assert [tail.rank for tail in MemorizationTest(np.ones(5), np.ones(2000)).tails] == [
        1,
        5,
        20,
        100,
    ]


def test_ties_with_held_out_images_are_no_evidence() -> None:
    """Where held-out images are copies too, because the data repeat themselves, nothing is found."""
    assert combined({"one": MemorizationTest(np.zeros(100), np.zeros(100))}) == 1


def test_an_empty_image_has_no_outline_and_is_like_another() -> None:
    blank = np.stack([np.full((SIDE, SIDE, 1), level, np.uint8) for level in (0, 90, 255)])
    rows = Outlines(SIDE).rows(blank)
    assert torch.isfinite(rows).all()
    assert torch.cdist(rows, rows).max() < 1e-3


def test_features_of_a_mirrored_copy_are_those_of_the_image() -> None:
    metric, images = Features(random_discriminator()), window(scenes(6, 4))
    rows, seen = metric.rows(images), metric.versions(images[:, :, ::-1].copy())
    assert seen.shape == (6, 2, rows.shape[1])
    torch.testing.assert_close(seen[:, 1], rows)
    assert (seen[:, 0] - rows).norm(dim=1).min() > 0.01, "the mirror image is another one"


@pytest.mark.parametrize(("size", "versions"), [(8, 18), (16, 18), (28, 50), (32, 50), (64, 50)])
def test_outlines_of_every_size_see_a_mirrored_and_shifted_copy(size: int, versions: int) -> None:
    metric, margin = Outlines(size), max(1, round(size / 16))
    wide = scenes(12, 0, size + 2 * margin)
    middle = wide[:, margin:-margin, margin:-margin]
    moved = wide[:, : -2 * margin or None, 2 * margin :][:, :, ::-1]
    rows, seen = metric.rows(middle.copy()), metric.versions(moved.copy())
    assert seen.shape[1] == versions
    nearest = (seen[:, :, None] - rows).norm(dim=-1).amin(1)
    assert nearest.argmin(1).tolist() == list(range(12))
    assert nearest.diagonal().max() < 1e-4
