"""Of intervals of nominal 95 %, at least 93 % hold the truth, at the very n that commands use.

The numbers are taken from the commands' own defaults. Distributions are like those that are met:
normal, skewed, shares near 0 and 1, heavy ties. Every simulation has a fixed seed.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from dcgan_cli.analysis import statistics as st
from dcgan_cli.analysis.arithmetic.calculation import TILES
from dcgan_cli.analysis.arithmetic.turn import CLASSIFIED_SAMPLES, COLUMNS
from dcgan_cli.analysis.drop_filters.drop_experiment import RANDOM_DRAWS as MAP_DRAWS
from dcgan_cli.analysis.drop_filters.filters import MIN_EXAMPLES
from dcgan_cli.analysis.drop_filters.locations import auc_in_place
from dcgan_cli.analysis.guided_backprop.guided import Choice
from dcgan_cli.analysis.nearest_neighbors.memorization import MemorizationTest
from dcgan_cli.analysis.nearest_neighbors.training_search import MAX_HELD_OUT
from dcgan_cli.choices import HELD_OUT
from dcgan_cli.cli.arithmetic.command import SCORED
from dcgan_cli.cli.concepts.learn import SAMPLES
from dcgan_cli.cli.drop_filters.command import drop_filters
from dcgan_cli.cli.drop_filters.detector import LEARN
from dcgan_cli.cli.interpolate import POINTS
from dcgan_cli.cli.nearest_neighbors.command import COUNT
from dcgan_cli.cli.options import CLASSIFIER_LIMIT
from dcgan_cli.cli.probe_svm.command import DRAWS
from dcgan_cli.report import Estimate

LEAST = 0.93
TRIALS = 1000

FRESH, LOOKED = (
    inspect.signature(drop_filters).parameters[name].default for name in ("fresh", "count")
)
_CHOICE = inspect.signature(Choice.of).parameters
MAPS, TOP, NETWORKS = (_CHOICE[name].default for name in ("measured", "top", "draws"))
SEGMENTS = POINTS - 1
SEEDS = 20
"""Of arithmetic, as README uses them; the default of one has no interval."""
EXAMINED = CLASSIFIER_LIMIT // 5
"""The share of the attribute classifier's images that it is evaluated on."""
TESTED = round(HELD_OUT * 1797)
"""Test images of scikit-learn's digits."""

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Any]


def coverage(
    draw: Draw, truth: float, rule: Callable[[Any], Estimate], trials: int = TRIALS
) -> float:
    """The share of intervals that hold `truth`; one that is not given holds nothing."""
    stream = np.random.default_rng(0)
    held = 0
    for _ in range(trials):
        found = rule(draw(stream))
        if found.low is not None and found.high is not None:
            held += found.low - 1e-12 <= truth <= found.high + 1e-12
    return held / trials


SHARES = sorted({SEEDS, FRESH, LOOKED, EXAMINED, TESTED, LEARN, SCORED, SAMPLES, COUNT, 8, TILES})


@pytest.mark.parametrize("n", SHARES)
def test_shares_exactly(n: int) -> None:
    """By the binomial distribution: no share whatever is held by fewer."""
    ends = np.array([(e.low, e.high) for e in (st.share(k, n) for k in range(n + 1))], np.float64)
    low, high = ends.T
    for true in np.concatenate([np.geomspace(1e-4, 0.05, 80), np.linspace(0.05, 0.5, 150)]):
        inside = np.flatnonzero((low <= true) & (true <= high))
        held = binom.cdf(inside[-1], n, true) - binom.cdf(inside[0] - 1, n, true)
        assert held >= LEAST, f"{true:.5f}: {held:.4f}"


WITHIN: dict[str, tuple[Callable[[np.random.Generator, int], Values], float]] = {
    "near 1": (lambda s, n: s.beta(19, 1, n), 0.95),
    "near 0": (lambda s, n: s.beta(0.5, 9.5, n), 0.05),
    "mostly 1": (lambda s, n: np.where(s.random(n) < 0.9, 1, s.random(n)), 0.95),
    "ninths": (lambda s, n: s.binomial(TILES, s.beta(4, 1, n)) / TILES, 0.8),
    "all or none": (lambda s, n: (s.random(n) < 0.95).astype(float), 0.95),
    "columns": (lambda s, n: s.binomial(COLUMNS - 1, 0.02, n) / (COLUMNS - 1), 0.02),
}


@pytest.mark.parametrize(
    "n", sorted({SEEDS, MAPS, CLASSIFIED_SAMPLES, LOOKED, FRESH, MIN_EXAMPLES})
)
@pytest.mark.parametrize("name", WITHIN)
def test_means_between_bounds(name: str, n: int) -> None:
    """Shares of each seed, of each moved sample, AUCs of each image, likenesses of each map."""
    draw, truth = WITHIN[name]
    assert coverage(lambda s: draw(s, n), truth, st.mean_within, 2000) >= LEAST


ABOVE: dict[str, tuple[Callable[[np.random.Generator, int], Values], float]] = {
    "normal": (lambda s, n: s.normal(5, 1, n), 5.0),
    "skewed": (lambda s, n: s.gamma(2, 1, n), 2.0),
    "very skewed": (lambda s, n: s.gamma(1, 1, n), 1.0),
    "log-normal": (lambda s, n: s.lognormal(0, 0.5, n), float(np.exp(0.125))),
}


@pytest.mark.parametrize("n", sorted({SEEDS, CLASSIFIED_SAMPLES, FRESH}))
@pytest.mark.parametrize("name", ABOVE)
def test_means_of_what_is_above_zero(name: str, n: int) -> None:
    """How far attributes moved."""
    draw, truth = ABOVE[name]
    assert coverage(lambda s: draw(s, n), truth, st.mean_above, 1500) >= LEAST


@pytest.mark.parametrize("n", [2, 3, 5, NETWORKS, CLASSIFIED_SAMPLES])
def test_means_of_few(n: int) -> None:
    assert coverage(lambda s: s.normal(0, 1, n), 0, st.mean, 2000) >= LEAST


@pytest.mark.parametrize("n", sorted({MAP_DRAWS, NETWORKS}))
@pytest.mark.parametrize("name", ["normal", "skewed", "near 0"])
def test_one_more_draw(name: str, n: int) -> None:
    """A ninth draw of random maps, a ninth random network."""
    draw: Callable[[np.random.Generator, int], Values] = {
        "normal": lambda s, n: s.normal(0.5, 0.1, n),
        "skewed": lambda s, n: s.gamma(4, 1, n),
        "near 0": lambda s, n: s.binomial(FRESH, s.beta(3, 60, n)) / FRESH,
    }[name]
    stream = np.random.default_rng(0)
    inside = inside_of_the_mean = 0
    for _ in range(1500):
        *known, new = draw(stream, n + 1).tolist()
        found, narrow = st.another(known), st.mean(known)
        inside += (
            found.low is not None and found.high is not None and found.low <= new <= found.high
        )
        inside_of_the_mean += (narrow.low or 0) <= new <= (narrow.high or 0)
    assert inside / 1500 >= LEAST
    assert inside_of_the_mean / 1500 < 0.7  # which is why the mean's interval is none for this


@pytest.mark.parametrize("n", [SEGMENTS, SEGMENTS + 1])
@pytest.mark.parametrize("name", ["distance", "sum", "skewed"])
def test_segments_of_one_walk(name: str, n: int) -> None:
    """Each is measured on two points, of which the next one has one."""
    measure: Callable[[Values, Values], Values] = {
        "distance": lambda a, b: np.linalg.norm(a - b, axis=1),
        "sum": lambda a, b: 8 + a[:, 0] + b[:, 0],  # neighbors correlate by one half
        "skewed": lambda a, b: np.exp(0.4 * (a[:, 0] + b[:, 0])),
    }[name]

    def walk(stream: np.random.Generator, n: int = n) -> Values:
        points = stream.standard_normal((n + 1, 3))
        return measure(points[:-1], points[1:])

    truth = float(walk(np.random.default_rng(1), 400_000).mean())
    assert coverage(walk, truth, st.chain_mean) >= LEAST
    if name == "sum":
        limit = 8 + 2**0.5
        share = float(norm.sf(1))
        held = coverage(walk, share, lambda v: st.chain_share(int((v > limit).sum()), n))
        assert held >= LEAST


@pytest.mark.parametrize("n", sorted({COUNT, MAX_HELD_OUT, LEARN // 50, 8}))
@pytest.mark.parametrize("ties", [False, True])
def test_medians(ties: bool, n: int) -> None:
    def draw(stream: np.random.Generator) -> Values:
        values = stream.exponential(1, n)
        return values.round() if ties else values

    assert coverage(draw, 1.0 if ties else float(np.log(2)), st.median, 400) >= LEAST


@pytest.mark.parametrize("n", sorted({SCORED, SAMPLES}))
@pytest.mark.parametrize("truth", [0.0, 0.5, 0.9])
def test_correlations(truth: float, n: int) -> None:
    def draw(stream: np.random.Generator) -> tuple[Values, Values]:
        x, noise = stream.standard_normal((2, n))
        return x, truth * x + np.sqrt(1 - truth**2) * noise

    assert coverage(draw, truth, lambda pair: st.correlation(*pair)) >= LEAST


@pytest.mark.parametrize("n", sorted({EXAMINED, SCORED // 4}))
@pytest.mark.parametrize("truth", [0.2, 0.7])
def test_explained_variance(truth: float, n: int) -> None:
    def draw(stream: np.random.Generator) -> tuple[Values, Values]:
        said = np.sqrt(truth) * stream.standard_normal((n, 1))
        return said, said + np.sqrt(1 - truth) * stream.standard_normal((n, 1))

    assert coverage(draw, truth, lambda pair: st.explained(*pair)) >= LEAST


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.0), (0.9, 0.02), (0.9, 0.5), (0.5, 0.4)])
def test_the_fall_of_a_share(before: float, after: float) -> None:
    def draw(stream: np.random.Generator) -> tuple[Any, Any]:
        first = stream.random(FRESH) < before
        return first, first & (stream.random(FRESH) < after / before)

    assert coverage(draw, after / before, lambda pair: st.ratio_of_shares(*pair)) >= LEAST


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("accuracy", [0.7, 0.95])
def test_balanced_accuracy(accuracy: float, share: float) -> None:
    ones = round(share * LEARN)
    counts = (ones, LEARN - ones)

    def rule(right: Values) -> Estimate:
        return st.balanced(*((int(k), n) for k, n in zip(right, counts, strict=True)))

    assert coverage(lambda s: s.binomial(counts, accuracy), accuracy, rule) >= LEAST


def test_lift_and_focus_over_maps_and_samples() -> None:
    """Ratios of sums over maps that differ, and of changes inside and outside of boxes."""

    def of_maps(stream: np.random.Generator) -> tuple[Values, Values]:
        area = stream.beta(2, 6, (MAPS, TOP)) * stream.gamma(4, 0.25, (MAPS, 1))
        return (area * stream.gamma(3, 0.5, (MAPS, 1))).sum(1), area.sum(1)

    assert coverage(of_maps, 1.5, lambda pair: st.ratio(*pair), 1500) >= LEAST

    def of_samples(stream: np.random.Generator) -> tuple[Values, Values]:
        inner, outer = stream.gamma(2, 0.06, LOOKED), stream.gamma(2, 0.02, LOOKED)
        return inner, inner + outer

    assert coverage(of_samples, 0.75, lambda pair: st.ratio_within(*pair)) >= LEAST


@pytest.mark.parametrize(("n", "m"), [(COUNT, MAX_HELD_OUT), (30, 30), (5, MAX_HELD_OUT)])
@pytest.mark.parametrize("apart", [0.0, 1.0, 2.5])
def test_which_of_two_groups_is_lower(apart: float, n: int, m: int) -> None:
    def draw(stream: np.random.Generator) -> tuple[Values, Values]:
        return stream.normal(0, 1, n), stream.normal(apart, 1, m)

    truth = float(norm.cdf(apart / 2**0.5))
    assert coverage(draw, truth, lambda pair: st.more_often(*pair), 400) >= LEAST


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
@pytest.mark.parametrize(("n", "m"), [(COUNT, MAX_HELD_OUT), (30, 30)])
def test_the_share_of_copies(share: float, n: int, m: int) -> None:
    def draw(stream: np.random.Generator) -> tuple[Values, Values]:
        samples = stream.random(n)
        samples[: stream.binomial(n, share)] = -1
        return samples, stream.random(m)

    assert coverage(draw, share, lambda pair: MemorizationTest(*pair).copies, 300) >= LEAST


@pytest.mark.parametrize("apart", [0.0, 0.7, 1.5])
def test_auc_at_the_same_place(apart: float) -> None:
    """Every image is compared with the same others, and as one of them."""

    def draw(stream: np.random.Generator) -> tuple[Values, Any]:
        own = stream.standard_normal((LOOKED, 1, 1))
        mask = (stream.random((LOOKED, 1, 4)) < 0.3) & (stream.random((LOOKED, 1, 1)) < 0.6)
        return apart * mask + (own + stream.standard_normal(mask.shape)) / 2**0.5, mask

    truth = float(norm.cdf(apart / 2**0.5))
    assert coverage(draw, truth, lambda pair: auc_in_place(*pair), 400) >= LEAST


@pytest.mark.parametrize("images", [50, TESTED, 2000])
@pytest.mark.parametrize("accuracy", [0.7, 0.95, 0.99])
def test_draws_of_labels_and_test_images(accuracy: float, images: int) -> None:
    """Draws with luck of their own and images with difficulty of their own."""
    middle = norm.ppf(accuracy) * np.sqrt(1 + 0.5**2 + 0.15**2)

    def right(stream: np.random.Generator, hard: Values) -> NDArray[np.bool_]:
        lucky = 0.15 * stream.standard_normal((DRAWS, 1))
        return middle + lucky + hard + stream.standard_normal((DRAWS, images)) > 0

    def draw(stream: np.random.Generator) -> tuple[Any, Any]:
        hard = 0.5 * stream.standard_normal((1, images))
        return right(stream, hard), right(stream, hard)

    trials = 300
    assert coverage(draw, accuracy, lambda pair: st.two_way(pair[0]), trials) >= LEAST
    assert coverage(draw, 0, lambda pair: st.two_way_difference(*pair), trials) >= LEAST


@pytest.mark.parametrize("images", [50, TESTED, 2000])
@pytest.mark.parametrize("accuracy", [0.7, 0.95, 0.99])
def test_two_learners_on_the_same_test_images(accuracy: float, images: int) -> None:
    """After one draw of labels: what varies is the images."""
    middle = norm.ppf(accuracy) * np.sqrt(1.25)

    def draw(stream: np.random.Generator) -> tuple[Any, Any]:
        hard = 0.5 * stream.standard_normal((1, images))
        first, second = middle + hard + stream.standard_normal((2, 1, images)) > 0
        return first, second

    assert coverage(draw, 0, lambda pair: st.two_way_difference(*pair)) >= LEAST


@pytest.mark.parametrize("splits", [3, 10])
@pytest.mark.parametrize("apart", [0.3, 1.0, 3.0])
def test_splits_of_one_set(apart: float, splits: int) -> None:
    """A nearest-mean classifier on sets of 100; the truth is its mean on ever new sets."""
    count, test = 100, round(HELD_OUT * 100)

    def accuracies(stream: np.random.Generator, splits: int) -> Values:
        codes = np.arange(count) % 2
        rows = stream.standard_normal((count, 5))
        rows[:, 0] += apart * codes
        order = stream.permuted(np.tile(np.arange(count), (splits, 1)), axis=1)
        asked, learned = order[:, :test], order[:, test:]
        known = (codes[learned] == 1)[..., None]
        ones = (rows[learned] * known).sum(1) / known.sum(1)
        zeros = (rows[learned] * ~known).sum(1) / (~known).sum(1)
        to_one, to_zero = (((rows[asked] - mean[:, None]) ** 2).sum(-1) for mean in (ones, zeros))
        return ((to_one < to_zero) == codes[asked]).mean(1)

    stream = np.random.default_rng(1)
    truth = float(np.mean([accuracies(stream, 1)[0] for _ in range(3000)]))
    held = coverage(
        lambda s: accuracies(s, splits),
        truth,
        lambda values: st.over_splits(values, count - test, test),
        300,
    )
    assert held >= LEAST
