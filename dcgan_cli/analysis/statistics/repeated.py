"""Rules for what is measured again and again on the same images: draws of labels, random splits."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcgan_cli.analysis.statistics.single import (
    Numbers,
    Z,
    checked,
    no_interval,
    scaled,
    scored,
    share,
    t,
)
from dcgan_cli.report import Estimate


def two_way(right: NDArray[np.bool_]) -> Estimate:
    """The share of true answers [R, T], of R draws of labels to T test images; n is T.

    Other draws and other images would both give other answers: the variance is that of the
    pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1), the sum of the variance over
    draws and that over images. Each has Student's t of its own, of R − 1 and T − 1 degrees of
    freedom; their mean, weighted by the variances, counts (Cochran and Cox 1957,
    Experimental Designs). So two draws that happen to agree are not called certain. For one draw it
    is `share`.
    """
    draws, images = right.shape
    if draws == 1:
        return share(int(right.sum()), images, "test images")
    value = float(right.mean())
    if images == 1:
        return no_interval(value, images, "test images")
    variance, quantile = _two_way_variance(right.astype(np.float64))
    found = scored(value, variance, images, quantile, "test images")
    kind = f"95 % two-way (draws × test images), n={images:,} test images, {draws} draws"
    return replace(found, kind=kind)


def two_way_difference(right: NDArray[np.bool_], other: NDArray[np.bool_]) -> Estimate:
    """The share of true answers [R, T] less that of another who had the same draws and images.

    Two images are added, of which each alone got one right (Bonett and Price 2012, Statistics in
    Medicine 31), so that answers that are the same throughout are not called the same for certain.
    The variance is that of `two_way`.
    """
    gaps = right.astype(np.float64) - other
    draws, images = gaps.shape
    value = float(gaps.mean())
    more = np.concatenate([gaps, np.ones((draws, 1)), -np.ones((draws, 1))], 1)
    if draws == 1:
        variance, quantile, rule = float(more.var()) / more.shape[1], Z, "Bonett and Price"
    else:
        variance, quantile = _two_way_variance(more)
        rule = f"two-way ({draws} draws × test images)"
    half = quantile * math.sqrt(variance)
    low, high = max(-1.0, float(more.mean()) - half), min(1.0, float(more.mean()) + half)
    kind = f"95 % {rule}, paired, n={images:,} test images"
    return Estimate(value, min(low, value), max(high, value), images, kind)


def _two_way_variance(values: Numbers) -> tuple[float, float]:
    """The variance of the mean of `values` [R, T], R, T ≥ 2, and how many of its roots are taken."""
    draws, images = values.shape
    of_draws = float(values.mean(1).var(ddof=1)) / draws
    of_images = float(values.mean(0).var(ddof=1)) / images
    variance = of_draws + of_images
    if variance == 0:
        return 0.0, Z
    return variance, (of_draws * t(draws - 1) + of_images * t(images - 1)) / variance


def over_splits(
    values: ArrayLike, train: int, test: int, low: float = 0.0, high: float = 1.0
) -> Estimate:
    """The mean of a value measured on K random splits of one set of images.

    The splits share images, so that their spread alone is too small: the variance is that of
    Nadeau and Bengio's corrected resampled t-test (2003, Machine Learning 52), (1/K + test/train)
    times the variance over splits; interval as in `mean_within`. A share is never surer than as
    many answers as there are images. `values` [K] lie in [low, high], `low` 0 of a share and −1 of
    a difference of shares; `train` and `test` images are learned from and tested in one split. No
    interval where K < 2.
    """
    rows = (checked(values) - low) / (high - low)
    count, value = len(rows), float(rows.mean())
    if count < 2:
        return scaled(no_interval(value, count, "splits"), high - low, low)
    variance = (1 / count + test / train) * float(rows.var(ddof=1))
    if low == 0:
        variance = max(variance, value * (1 - value) / (train + test))
    found = scaled(scored(value, variance, test, t(count - 1), "splits"), high - low, low)
    kind = f"95 % corrected resampled t (Nadeau and Bengio), n={count} splits"
    return replace(found, n=count, kind=kind)
