"""Coverage where it is hard: few units, long tails, ties, two draws of labels.

As in test_coverage: of intervals of nominal 95 %, 93 % or more hold the truth. The n are those of
the
commands: their defaults, and the least that they permit. Every simulation has a fixed seed; those
marked slow have 2,000 trials, at every n.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from test_coverage import EXAMINED, LEAST, TESTED, coverage

from dcgan_cli.analysis import statistics as st
from dcgan_cli.analysis.concepts.attribute_classifier import MIN_EXAMPLES
from dcgan_cli.cli.arithmetic.command import SCORED, arithmetic
from dcgan_cli.cli.concepts.learn import SAMPLES, learn
from dcgan_cli.cli.drop_filters.command import drop_filters
from dcgan_cli.cli.guided_backprop import guided_backprop
from dcgan_cli.cli.probe_svm.command import DRAWS
from dcgan_cli.report import Estimate

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, Any], Values]


def least(command: Callable[..., Any], option: str) -> int:
    """The least value that `option` of `command` takes."""
    return next(
        int(part.min)
        for part in get_args(signature(command).parameters[option].annotation)
        if getattr(part, "min", None) is not None
    )


SHAPES: dict[str, Draw] = {
    "normal": lambda s, shape: s.standard_normal(shape),
    "skewed": lambda s, shape: s.exponential(1, shape) - 1,
    "long": lambda s, shape: s.standard_t(3, shape) / 3**0.5,
    "ties": lambda s, shape: s.integers(-2, 3, shape) / 2**0.5,
}
"""All of mean 0 and variance 1; the kurtosis of `long` is infinite."""

PAIRS = [
    ("normal", "normal"),
    ("skewed", "skewed"),
    ("skewed", "normal"),
    ("long", "long"),
    ("long", "normal"),
    ("normal", "long"),
    ("ties", "normal"),
]
"""Shapes of what is explained and of the error."""


def sizes(*known: int, quick: int) -> list[Any]:
    """Each n with 2,000 trials, which is slow, and those up to `quick` with 400 as well."""
    thorough = [pytest.param(n, 2000, marks=pytest.mark.slow) for n in known]
    return [pytest.param(n, 400) for n in known if n <= quick] + thorough


@pytest.mark.parametrize(
    ("n", "trials"), sizes(least(learn, "samples"), SCORED, SAMPLES, quick=1000)
)
@pytest.mark.parametrize(("signal", "noise"), PAIRS)
def test_correlations_of_long_tails(signal: str, noise: str, n: int, trials: int) -> None:
    """How far both views of an attribute classifier agree about numbers."""
    for truth in (0.0, 0.5, 0.9):

        def draw(s: np.random.Generator, truth: float = truth) -> tuple[Values, Values]:
            x, error = SHAPES[signal](s, n), SHAPES[noise](s, n)
            return x, truth * x + np.sqrt(1 - truth**2) * error

        held = coverage(draw, truth, lambda pair: st.correlation(*pair), trials)
        assert held >= LEAST, truth


@pytest.mark.parametrize(
    ("n", "trials"),
    sizes(2 * MIN_EXAMPLES // 5, least(learn, "limit") // 5, SCORED // 4, EXAMINED, quick=100),
)
@pytest.mark.parametrize(("signal", "noise"), PAIRS)
def test_explained_variance_of_long_tails(signal: str, noise: str, n: int, trials: int) -> None:
    """A classifier of a number is evaluated on a fifth of its images, 8 of the fewest that it learns from."""
    for truth in (0.0, 0.2, 0.5, 0.9):

        def draw(s: np.random.Generator, truth: float = truth) -> tuple[Values, Values]:
            said = np.sqrt(truth) * SHAPES[signal](s, (n, 1))
            return said, said + np.sqrt(1 - truth) * SHAPES[noise](s, (n, 1))

        held = coverage(draw, truth, lambda pair: st.explained(*pair), trials)
        assert held >= LEAST, truth


@pytest.mark.parametrize("classes", [3, 12])
@pytest.mark.parametrize("n", [20, SCORED // 4])
def test_explained_variance_of_several_scores(n: int, classes: int) -> None:
    def draw(s: np.random.Generator) -> tuple[Values, Values]:
        said, error = s.standard_normal((2, n, classes))
        return said, said + error

    assert coverage(draw, 0.5, lambda pair: st.explained(*pair), 400) >= LEAST


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


@pytest.mark.parametrize(("n", "most"), [(20, 2.1), (SCORED, 1.2)])
def test_intervals_of_normal_values_stay_narrow(n: int, most: float) -> None:
    """What is done for long tails does not cost the usual case much: beside the normal interval."""
    stream = np.random.default_rng(0)
    explained, correlated = [], []
    for _ in range(100):
        x, error = stream.standard_normal((2, n))
        explained.append(width(st.explained(x[:, None], (x + error)[:, None])))
        correlated.append(width(st.correlation(x, x + error)))
    # R² is 0.5: 2 · 1.96 · (1 − R²) · √(4 R² / n), and of the correlation 2 · 1.96 · (1 − R²) / √n
    assert np.median(explained) < most * 3.92 * 0.5 * np.sqrt(2 / n)
    assert np.median(correlated) < most * 3.92 * 0.5 / np.sqrt(n)


FACTORS = [
    (2, 50, 0.15, 0.5),
    (2, 2000, 0.05, 0.5),
    (2, TESTED, 0.15, 0.5),
    (2, TESTED, 0.3, 1.5),
    (3, 2000, 0.15, 1.5),
    (DRAWS, 50, 0.0, 1.5),
    (DRAWS, TESTED, 0.15, 0.5),
    (100, TESTED, 0.15, 0.5),
]
"""Draws of labels, test images, spread of the luck of a draw and of how hard an image is (probits)."""


@pytest.mark.parametrize(
    ("draws", "images", "luck", "hard", "trials"),
    [(*row, 300) for row in FACTORS[:-1]]
    + [pytest.param(*row, 2000, marks=pytest.mark.slow) for row in FACTORS],
)
def test_few_draws_of_labels(
    draws: int, images: int, luck: float, hard: float, trials: int
) -> None:
    for accuracy in (0.6, 0.95):
        middle = norm.ppf(accuracy) * np.sqrt(1 + hard**2 + luck**2)

        def draw(s: np.random.Generator, middle: float = middle) -> tuple[Any, Any]:
            difficulty = middle + hard * s.standard_normal((1, images))
            chance = luck * s.standard_normal((2, draws, 1)) + s.standard_normal((2, draws, images))
            return tuple(difficulty + chance > 0)

        held = coverage(draw, accuracy, lambda pair: st.two_way(pair[0]), trials)
        assert held >= LEAST, accuracy
        held = coverage(draw, 0, lambda pair: st.two_way_difference(*pair), trials)
        assert held >= LEAST, accuracy


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_seeds(n: int) -> None:
    """arithmetic --seeds: shares, and how far attributes moved."""
    assert n >= least(arithmetic, "seeds")
    for draw, truth in (
        (lambda s: s.normal(5, 1, n), 5.0),
        (lambda s: s.gamma(2, 1, n), 2.0),
        (lambda s: s.lognormal(0, 0.5, n), float(np.exp(0.125))),
    ):
        assert coverage(draw, truth, st.mean_above, 4000) >= LEAST
    assert coverage(lambda s: s.binomial(9, s.beta(4, 1, n)) / 9, 0.8, st.mean_within) >= LEAST
    for share in (0.5, 0.9):
        held = coverage(lambda s, p=share: s.binomial(n, p), share, lambda k: st.share(int(k), n))
        assert held >= LEAST


@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_few_maps(n: int) -> None:
    """guided-backprop --measured: lifts and shares over maps of which each has five images."""
    assert n >= least(guided_backprop, "measured")

    def of_maps(s: np.random.Generator) -> tuple[Values, Values]:
        area = s.beta(2, 6, (n, 5)) * s.gamma(4, 0.25, (n, 1))
        return (area * s.gamma(3, 0.5, (n, 1))).sum(1), area.sum(1)

    assert coverage(of_maps, 1.5, lambda pair: st.ratio(*pair), 2000) >= LEAST

    def within(s: np.random.Generator) -> tuple[Values, Values]:
        inner, outer = s.gamma(2, 0.06, n), s.gamma(2, 0.02, n)
        return inner, inner + outer

    assert coverage(within, 0.75, lambda pair: st.ratio_within(*pair)) >= LEAST


def test_few_random_networks() -> None:
    n = least(guided_backprop, "draws")
    stream = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        *known, new = stream.gamma(4, 1, n + 1).tolist()
        found = st.another(known)
        inside += found.low is not None and (found.low or 0) <= new <= (found.high or 0)
    assert inside / 2000 >= LEAST


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.0), (0.9, 0.5), (0.5, 0.4)])
def test_few_fresh_samples(before: float, after: float) -> None:
    n = least(drop_filters, "fresh")

    def draw(s: np.random.Generator) -> tuple[Any, Any]:
        first = s.random(n) < before
        return first, first & (s.random(n) < after / before)

    assert coverage(draw, after / before, lambda pair: st.ratio_of_shares(*pair)) >= LEAST


@pytest.mark.parametrize("n", [4, 5])
def test_short_walks(n: int) -> None:
    def walk(s: np.random.Generator, n: int = n) -> Values:
        points = s.standard_normal((n + 1, 3))
        return np.exp(0.4 * (points[:-1, 0] + points[1:, 0]))

    truth = float(walk(np.random.default_rng(1), 400_000).mean())
    assert coverage(walk, truth, st.chain_mean) >= LEAST


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 50), (20, 20)])
def test_few_samples_beside_few_images(n: int, m: int) -> None:
    for apart in (0.0, 2.5):
        held = coverage(
            lambda s, a=apart: (s.normal(0, 1, n), s.normal(a, 1, m)),
            float(norm.cdf(apart / 2**0.5)),
            lambda pair: st.more_often(*pair),
            300,
        )
        assert held >= LEAST


@pytest.mark.parametrize("counts", [(1, 5), (2, 2), (5, 20)])
@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.95])
def test_balanced_accuracy_of_few(accuracy: float, counts: tuple[int, int]) -> None:
    def rule(right: Values) -> Estimate:
        return st.balanced(*((int(k), n) for k, n in zip(right, counts, strict=True)))

    assert coverage(lambda s: s.binomial(counts, accuracy), accuracy, rule) >= LEAST
