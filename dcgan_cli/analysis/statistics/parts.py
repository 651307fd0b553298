"""What the rules are put together from: quantiles, the score interval, and what is said of them."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from dcgan_cli.report import Estimate

Numbers = NDArray[np.float64]

LEVEL = 0.95
"""The share of intervals that shall hold the truth."""

TAIL = 0.035
"""Of the exact bounds (Clopper and Pearson 1934) that Wilson's interval is widened to: with it no
share of any number of answers is held by less than 93 % of the intervals."""

Z = float(ndtri(0.5 + LEVEL / 2))


def checked(values: ArrayLike) -> Numbers:
    """`values` as float64 [N], N ≥ 1. Raises ValueError."""
    rows = np.asarray(values, np.float64)
    if rows.ndim != 1 or not len(rows):
        raise ValueError("no values to estimate from")
    return rows


def named(rule: str, n: int, unit: str) -> str:
    """The `kind` of an Estimate with an interval."""
    return f"95 % {rule}, n={n:,} {unit}"


def no_interval(value: float, n: int, unit: str) -> Estimate:
    """A value whose spread nothing tells, and why."""
    why = f"one of {unit}" if n == 1 else f"{n:,} {unit}, all equal or too few"
    return Estimate(value, n=n, kind=f"no interval ({why})")


def t(freedom: float) -> float:
    """The quantile of Student's t that LEVEL asks for."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def score(value: float, n: float, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of a share `value` of n answers, widened as in `share`; n need not be whole."""
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high, true, false = middle - half, middle + half, value * n, (1 - value) * n
    tail = TAIL / (1 - LEVEL) * 2 * float(ndtr(-z))
    # exact at the ends, where rounding would leave 1e-17 or 1 - 1e-16
    low = 0.0 if value <= 0 else min(low, float(betaincinv(true, false + 1, tail)))
    high = 1.0 if value >= 1 else max(high, float(betaincinv(true + 1, false, 1 - tail)))
    return max(0.0, low), min(1.0, high)


def scored(value: float, variance: float, units: int, quantile: float, unit: str) -> Estimate:
    """A value in [0, 1] of a known variance, as a share of so many answers as would have that variance.

    `quantile` standard deviations are taken where Wilson takes Z. Where there is no variance to go
    by, it is the share of as many answers as there are `units`.
    """
    value = min(1.0, max(0.0, value))
    if units < 2:
        return no_interval(value, units, unit)
    if variance > 0 and 0 < value < 1:
        answers = value * (1 - value) / variance * (Z / quantile) ** 2
    else:
        answers = float(units)
    low, high = score(value, answers)
    return Estimate(value, min(low, value), max(high, value), units, named("score", units, unit))


def careful(variance: float, value: float, n: int) -> float:
    """The variance of a mean of n values in [0, 1], as if one more had been all or nothing.

    Few values near a bound rarely show how long their tail is.
    """
    return variance + value * (1 - value) / (n * (n + 1)) if variance > 0 else 0.0


def scaled(estimate: Estimate, factor: float, shift: float = 0.0) -> Estimate:
    """`estimate` of factor · x + shift; a negative factor swaps the ends."""
    low, high = (None if x is None else factor * x + shift for x in (estimate.low, estimate.high))
    if factor < 0:
        low, high = high, low
    return Estimate(factor * estimate.value + shift, low, high, estimate.n, estimate.kind)
