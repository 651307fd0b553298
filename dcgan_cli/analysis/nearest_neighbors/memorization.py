"""Are samples copies of training images? A test that held-out images pass.

The distance to the nearest training image says little by itself: soft images are near to
everything, and in some data all images are similar. So the **closeness** of an image is its
distance to the nearest training image as a share of the mean distance to the nearest SCALE_NEIGHBORS of
them (after Carlini et al. 2023, arXiv 2301.13188, §4): about 1 for an image that is similar to
several others, 0 for a copy of one, independent of the scale.

The null distribution comes from held-out real images, compared with the same training images. If
noise contributes much to all distances, soft images are slightly closer than sharp ones, and
generated images are soft; so each held-out image is compared both as it is and blurred, and the
closer version counts. This can only make the test more conservative: held-out samples, compared as
they are, are in its tails less often than the p-value says. (`MemorizationTest.closer` compares
like with like, both groups in both versions.) Held-out images are images that the network never
saw, or training images that are excluded from the comparison, so that samples and held-out images
are compared with the same set.

A generator that copies has more samples than held-out images in the low tail of closeness; the rest
of the distribution may differ arbitrarily. Under the null hypothesis, samples and held-out images
come from one distribution, so the number of n samples below the j-th smallest closeness of m
held-out images is beta-binomial (n; j, m + 1 − j), exactly and for any distribution. (Whether
samples as a whole are closer than held-out images, which Meehan et al. 2020, arXiv 2004.05675,
test, is measured too, but is not part of the verdict, because images of GANs are soft.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

from dcgan_cli.analysis.statistics import more_often
from dcgan_cli.report import Estimate
from dcgan_cli.runtime import numpy_stream

FloatArray = NDArray[np.float64]

SCALE_NEIGHBORS = 10
"""Training images whose mean distance sets the scale; an image may have several near-duplicates
among them before a copy of it is missed."""

TAILS = (0.0, 0.0025, 0.01, 0.05)
"""Shares of held-out images in the tails that are tested; 0 means beyond the closest held-out
image. The first finds a few exact copies, the last many inexact ones."""

LEVEL = 0.01
"""Memorization is reported if the p-value is below this."""

SIDE = 0.0125
"""Left out at each end of that interval: half of 0.025, because the fullest of several tails is chosen."""

INTERVAL_DRAWS = 4000
"""Number of random draws for the interval of the share of copies."""


def closeness(distances: FloatArray) -> FloatArray:
    """Distance to the nearest as a share of the mean distance, [Q] in [0, 1], of [Q, K] ascending."""
    mean = distances.mean(1)
    return np.divide(distances[:, 0], mean, out=np.zeros_like(mean), where=mean > 0)


@dataclass(frozen=True)
class Tail:
    """The samples below the `rank`-th smallest closeness, `limit`, of `held_out` held-out images.

    `below` of `samples` are closer; `p_value` is the probability of at least as many, if the samples
    were held-out images.
    """

    rank: int
    held_out: int
    limit: float
    below: int
    samples: int
    p_value: float

    @property
    def expected(self) -> float:
        """The expected share of held-out images below the limit."""
        return self.rank / (self.held_out + 1)

    @property
    def copies(self) -> tuple[float, float, float]:
        """The share of samples in excess of that, and an interval of 95 %.

        Samples are a mixture of copies, all of which lie below, and held-out images. The interval
        takes in that both shares are estimated.
        """
        stream = numpy_stream(self.below, "copies", self.rank, self.held_out, self.samples)
        held_out = stream.beta(self.rank, self.held_out + 1 - self.rank, INTERVAL_DRAWS)
        found = stream.beta(self.below + 0.5, self.samples - self.below + 0.5, INTERVAL_DRAWS)
        low, high = np.quantile(_excess(found, held_out), (SIDE, 1 - SIDE))
        value = float(_excess(np.float64(self.below / self.samples), np.float64(self.expected)))
        return value, min(value, float(low)), max(value, float(high))


def _excess(found: FloatArray | np.float64, held_out: FloatArray | np.float64) -> FloatArray:
    return np.clip((found - held_out) / (1 - held_out), 0, 1)


def tail_at(rank: int, samples: FloatArray, held_out: FloatArray) -> Tail:
    """The tail below the `rank`-th smallest (from 1) of `held_out` [m], and which of `samples` [n] are in."""
    n, m = len(samples), len(held_out)
    limit = np.sort(held_out)[rank - 1]
    below = int(np.count_nonzero(samples < limit))
    return Tail(rank, m, float(limit), below, n, float(_at_least(n, rank, m)[below]))


def _at_least(n: int, rank: int, m: int) -> FloatArray:
    """The probability of 0, 1, … n or more of n samples below the `rank`-th of m held-out images, [n + 1]."""
    exactly = betabinom.pmf(np.arange(n + 1), n, rank, m + 1 - rank)
    # summed from the far end, so that the small ones are exact too
    return np.minimum(exactly[::-1].cumsum()[::-1], 1)


def ranks(held_out: int) -> list[int]:
    """Where the tails of so many held-out images end, ascending."""
    return sorted({max(1, round(share * held_out)) for share in TAILS})


@dataclass(frozen=True, eq=False)
class MemorizationTest:
    """What one metric says: closeness of `samples` [n] and of `held_out` images [m] to the training set.

    `alike` [n] is the closeness of the samples seen as held-out images are, blurred too; without it
    both groups count as they are given.
    """

    samples: FloatArray
    held_out: FloatArray
    alike: FloatArray | None = None

    @cached_property
    def tails(self) -> tuple[Tail, ...]:
        """The tails, from the smallest; those that would hold the same images are one."""
        ends = ranks(len(self.held_out))
        return tuple(tail_at(rank, self.samples, self.held_out) for rank in ends)

    @property
    def most_significant(self) -> Tail:
        """The tail with the lowest p-value."""
        return min(self.tails, key=lambda tail: tail.p_value)

    @property
    def p_value(self) -> float:
        """Of all tails together (Bonferroni)."""
        return min(1.0, len(self.tails) * self.most_significant.p_value)

    @property
    def copies(self) -> Estimate:
        """The share of samples that are copies: of all tails that are evidence, what the fullest says.

        No less than this; copies that are vaguer than any tail are not counted.
        """
        evidence = [tail for tail in self.tails if len(self.tails) * tail.p_value < LEVEL]
        value, low, high = max(tail.copies for tail in evidence or [self.most_significant])
        n = len(self.samples)
        # the tail that tells most was chosen by what it tells: without evidence there may be none
        low = low if evidence else 0.0
        return Estimate(value, low, high, n, f"95 % of a mixture, n={n:,} images")

    @property
    def copied(self) -> NDArray[np.bool_]:
        """The samples in the tail on which the share of copies is based, [n]."""
        return self.samples < self.most_significant.limit

    @property
    def closer(self) -> Estimate:
        """The probability that a sample is closer than a held-out image, ties counted half.

        Both are seen in the same two versions, so that it is 0.5 where there is no difference. With
        the blurred version on one side alone, held-out samples would get about 0.44.
        """
        return more_often(self.samples if self.alike is None else self.alike, self.held_out)

    @property
    def rarity(self) -> FloatArray:
        """For each sample, the share of held-out images that are at least as close, [n] in (0, 1]."""
        as_close = np.searchsorted(np.sort(self.held_out), self.samples, side="right")
        return (1 + as_close) / (1 + len(self.held_out))


def combined(tests: Mapping[str, MemorizationTest]) -> float:
    """The p-value of several metrics together (Bonferroni)."""
    return min(1.0, len(tests) * min(test.p_value for test in tests.values()))


def memorized(tests: Mapping[str, MemorizationTest]) -> bool:
    """Whether any metric finds more close samples than chance explains."""
    return combined(tests) < LEVEL


def detectable(samples: int, held_out: int, metrics: int) -> float:
    """The smallest share of `samples` that would be found if they alone were closer than `held_out`."""
    tests = metrics * len(ranks(held_out))
    enough = np.flatnonzero(tests * _at_least(samples, 1, held_out) < LEVEL)
    return float(enough[0] / samples) if len(enough) else np.nan
