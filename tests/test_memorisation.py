"""The verdict: planted copies are found, honest pictures pass, and the figures are what they say."""

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

from dcgan_cli.analysis.nearest_neighbors.eyes import Eye, Features, Outlines, Pixels
from dcgan_cli.analysis.nearest_neighbors.memorisation import (
    LEVEL,
    NEIGHBOURS,
    Numbers,
    Verdict,
    closeness,
    combined,
    detectable,
    memorised,
)
from dcgan_cli.analysis.nearest_neighbors.nearest import softened
from dcgan_cli.analysis.nearest_neighbors.reference import Question, Training, find
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialise
from dcgan_cli.report import Pictures

SIDE, WIDE = 16, 20
N = 1000
CPU = torch.device("cpu")


def scenes(count: int, seed: int, side: int = WIDE) -> Pictures:
    """Smooth scenes of a dozen numbers each, with fine grain, uint8 [count, side, side, 1]."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 1, 4, 4, generator=stream)
    coarse[:, :, :, 2:] += coarse[:, :, :, :2]
    smooth = F.interpolate(coarse, (side, side), mode="bicubic")
    grain = torch.randn(count, 1, side, side, generator=stream)
    grey = (128 + 28 * smooth + 5 * grain).clamp(0, 255)
    return grey.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def window(wide: Pictures, top: int = 2, left: int = 2) -> Pictures:
    return np.ascontiguousarray(wide[:, top : top + SIDE, left : left + SIDE])


def soft(pictures: Pictures) -> Pictures:
    """Without the grain."""
    grey = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    small = F.avg_pool2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return small.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def brighter(pictures: Pictures) -> Pictures:
    return np.clip(pictures.astype(np.int16) + 30, 0, 255).astype(np.uint8)


def starker(pictures: Pictures) -> Pictures:
    return np.clip(1.3 * (pictures.astype(np.float64) - 128) + 128, 0, 255).astype(np.uint8)


def grainier(pictures: Pictures) -> Pictures:
    """As a generator draws: with grain of its own."""
    noise = np.random.default_rng(5).normal(0, 8, pictures.shape)
    return np.clip(pictures + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class World:
    """Closeness by outlines of held-out pictures, fresh ones, soft ones, and copies of each kind."""

    honest: Numbers
    fresh: Numbers
    fresh_alike: Numbers
    """Of fresh ones seen as the held-out ones are: softened too, the closer counts."""
    soft: Numbers
    copies: dict[str, Numbers]
    plain: dict[str, Numbers]
    """Plain distances to the nearest, in pixels."""


@pytest.fixture(scope="module")
def world() -> World:
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
        [held, softened(held), fresh, soft(fresh), softened(fresh), *kinds.values()]
    )
    (by_outlines,) = find([Question(Outlines(SIDE), asked)], whole(train), NEIGHBOURS, CPU)
    close = np.split(closeness(by_outlines.distances), 5 + len(kinds))
    (by_pixels,) = find([Question(Pixels(SIDE, 1), asked[: 4 * N])], whole(train), 1, CPU)
    plain = np.split(by_pixels.distances[:, 0], 4)
    return World(
        honest=np.minimum(*close[:2]),
        fresh=close[2],
        fresh_alike=np.minimum(close[2], close[4]),
        soft=close[3],
        copies=dict(zip(kinds, close[5:], strict=True)),
        plain=dict(zip(("held out", "softened", "fresh", "soft"), plain, strict=True)),
    )


class Kept(Noise):
    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures


def whole(pictures: Pictures) -> Training:
    return Training(Kept(pictures), np.arange(len(pictures)), str)


KINDS = ("exact", "mirrored", "shifted", "brightened", "starker", "grainier", "soft", "all at once")


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_planted_copies_are_found(world: World, kind: str, share: float) -> None:
    count = round(share * N)
    samples = world.fresh.copy()
    samples[:count] = world.copies[kind][:count]
    verdict = Verdict(samples, world.honest)
    # beside an eye that sees nothing, as the command looks with two
    assert memorised({"outlines": verdict, "features": Verdict(world.fresh, world.honest)})
    low, high = verdict.copies.low, verdict.copies.high
    assert low is not None
    assert high is not None
    assert low <= share <= high + 1e-9
    assert low > share / 4
    found = set(np.flatnonzero(verdict.copied))
    assert len(found & set(range(count))) >= 0.9 * count


def test_honest_samples_get_the_stated_null(world: World) -> None:
    """0.5 where both sides are seen in both versions; less where one side alone is."""
    effect = Verdict(world.fresh, world.honest, world.fresh_alike).closer
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low <= 0.5 <= effect.high
    assert 0.46 < effect.value < 0.54
    assert Verdict(world.fresh, world.honest).closer.value < 0.46


def test_honest_pictures_pass_and_so_do_soft_ones_though_they_are_nearer(world: World) -> None:
    assert not memorised({"fresh": Verdict(world.fresh, world.honest)})
    assert not memorised({"soft": Verdict(world.soft, world.honest)})
    plain = world.plain
    assert np.median(plain["fresh"]) == pytest.approx(np.median(plain["held out"]), rel=0.02)
    assert np.median(plain["soft"]) < 0.95 * np.median(plain["held out"])


def duplicated(count: int, seed: int) -> Pictures:
    """Scenes of which a fifth come in threes that differ by their grain alone."""
    pictures = window(scenes(count, seed))
    third = count // 15
    pictures[third : 2 * third] = grainier(pictures[:third])
    pictures[2 * third : 3 * third] = grainier(grainier(pictures[:third]))
    return pictures


@pytest.mark.parametrize("data", ["scenes", "scenes in threes", "noise"])
def test_honest_pictures_are_flagged_in_at_most_5_percent_of_200_trials(data: str) -> None:
    pool = {
        "scenes": lambda: window(scenes(600, 7)),
        "scenes in threes": lambda: duplicated(600, 8),
        "noise": lambda: Noise(600).pictures,
    }[data]()
    eyes = (Outlines(SIDE), Features(random_discriminator()))
    tables = [distances(eye, pool) for eye in eyes]
    stream = np.random.default_rng(0)
    flagged = 0
    for _ in range(200):
        samples, held, train = np.split(stream.permutation(600), [150, 350])
        verdicts = {
            str(i): Verdict(*(near(table, part, train) for part in (samples, held)))
            for i, table in enumerate(tables)
        }
        flagged += memorised(verdicts)
    assert flagged <= 10, f"{flagged} of 200"


def random_discriminator() -> Discriminator:
    discriminator = Discriminator(MODEL)
    initialise(discriminator, torch.Generator().manual_seed(0))
    return discriminator


def distances(eye: Eye, pictures: Pictures) -> NDArray[np.float32]:
    rows, versions = eye.rows(pictures), eye.versions(pictures)
    apart = [torch.cdist(versions[:, v], rows) for v in range(versions.shape[1])]
    return torch.stack(apart).amin(0).numpy()


def near(table: NDArray[np.float32], of: NDArray[np.int64], among: NDArray[np.int64]) -> Numbers:
    part = table[np.ix_(of, among)]
    return closeness(np.sort(np.partition(part, NEIGHBOURS - 1)[:, :NEIGHBOURS]).astype(np.float64))


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
    """The tail at the `rank`-th of m honest pictures with `below` of n samples in it."""
    from dcgan_cli.analysis.nearest_neighbors.memorisation import tail_at

    honest = np.arange(m, dtype=np.float64)
    samples = np.where(np.arange(n) < below, rank - 1.5, rank - 0.5)
    return tail_at(rank, samples, honest)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_the_effect_is_the_share_of_pairs(samples: list[int], honest: list[int]) -> None:
    verdict = Verdict(np.array(samples, np.float64), np.array(honest, np.float64))
    pairs = list(itertools.product(samples, honest))
    expected = sum((s < h) + 0.5 * (s == h) for s, h in pairs) / len(pairs)
    effect = verdict.closer
    assert effect.value == pytest.approx(expected)
    if min(len(samples), len(honest)) > 1:
        assert effect.low is not None
        assert effect.high is not None
        assert effect.low <= effect.value <= effect.high
    rarity = [(1 + sum(h <= s for h in honest)) / (1 + len(honest)) for s in samples]
    assert verdict.rarity.tolist() == pytest.approx(rarity)
    assert 0 <= verdict.p_value <= 1


@given(st.floats(0.1, 10), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_scale_does_not_matter(scale: float, seed: int) -> None:
    stream = np.random.default_rng(seed)
    distances = np.sort(stream.random((40, NEIGHBOURS)), axis=1)
    np.testing.assert_allclose(closeness(scale * distances), closeness(distances))


@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (300, 1000), (100, 12), (1, 2000)])
def test_detectable_is_what_just_is_found(n: int, m: int) -> None:
    share = detectable(n, m, 2)
    honest = np.linspace(1, 2, m)
    for count, found in ((round(share * n), True), (round(share * n) - 1, False)):
        samples = np.full(n, 3.0)
        samples[:count] = 0.5
        one = Verdict(samples, honest)
        assert memorised({"one": one, "other": Verdict(np.full(n, 3.0), honest)}) == found


def test_nothing_can_be_told_with_too_few_held_out_pictures() -> None:
    assert np.isnan(detectable(10, 1, 2))
    assert combined({"one": Verdict(np.zeros(10), np.ones(1))}) > LEVEL


def test_few_held_out_pictures_have_few_tails() -> None:
    assert [tail.rank for tail in Verdict(np.ones(5), np.ones(12)).tails] == [1]
    assert [tail.rank for tail in Verdict(np.ones(5), np.ones(2000)).tails] == [1, 5, 20, 100]


def test_ties_with_held_out_pictures_are_no_evidence() -> None:
    """Where held-out pictures are copies too, because the data repeat themselves, nothing is found."""
    assert combined({"one": Verdict(np.zeros(100), np.zeros(100))}) == 1


def test_an_empty_picture_has_no_outline_and_is_like_another() -> None:
    blank = np.stack([np.full((SIDE, SIDE, 1), level, np.uint8) for level in (0, 90, 255)])
    rows = Outlines(SIDE).rows(blank)
    assert torch.isfinite(rows).all()
    assert torch.cdist(rows, rows).max() < 1e-3


def test_features_of_a_mirrored_copy_are_those_of_the_image() -> None:
    eye, pictures = Features(random_discriminator()), window(scenes(6, 4))
    rows, seen = eye.rows(pictures), eye.versions(pictures[:, :, ::-1].copy())
    assert seen.shape == (6, 2, rows.shape[1])
    torch.testing.assert_close(seen[:, 1], rows)
    assert (seen[:, 0] - rows).norm(dim=1).min() > 0.01, "the mirror image is another one"


@pytest.mark.parametrize(("size", "versions"), [(8, 18), (16, 18), (28, 50), (32, 50), (64, 50)])
def test_outlines_of_every_size_see_a_mirrored_and_shifted_copy(size: int, versions: int) -> None:
    eye, margin = Outlines(size), max(1, round(size / 16))
    wide = scenes(12, 0, size + 2 * margin)
    middle = wide[:, margin:-margin, margin:-margin]
    moved = wide[:, : -2 * margin or None, 2 * margin :][:, :, ::-1]
    rows, seen = eye.rows(middle.copy()), eye.versions(moved.copy())
    assert seen.shape[1] == versions
    nearest = (seen[:, :, None] - rows).norm(dim=-1).amin(1)
    assert nearest.argmin(1).tolist() == list(range(12))
    assert nearest.diagonal().max() < 1e-4
