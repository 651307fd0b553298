"""How sure a figure is: bootstrap intervals for statistics, Wilson's interval for shares."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcgan_cli.report import Estimate
from dcgan_cli.runtime import numpy_stream

RESAMPLES = 2000


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], Any] = np.mean,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """`statistic` of `values` and its percentile bootstrap interval (Efron 1979).

    Args:
        values: [N] or [N, ...]; what is resampled, with replacement, is whole rows. They must be
            independent of each other: pass one row a picture or a walk, not its parts.
        statistic: from an array shaped as `values` to one number.
        level: the share of intervals that hold the true value, in (0, 1).
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The value with n = N; without an interval where N < 2, which tells nothing of the spread.

    Raises:
        ValueError: no values.
    """
    rows = np.asarray(values, np.float64)
    n = len(rows)
    if n == 0:
        raise ValueError("no values to estimate from")
    value = float(statistic(rows))
    if n < 2:
        return Estimate(value, n=n)
    picks = numpy_stream(seed, "bootstrap").integers(0, n, (RESAMPLES, n))
    again = np.array([statistic(rows[pick]) for pick in picks], np.float64)
    tail = (1 - level) / 2
    low, high = np.quantile(again, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def proportion(successes: int, n: int, level: float = 0.95) -> Estimate:
    """The share `successes / n` with Wilson's score interval (Wilson 1927).

    Never leaves [0, 1], and 9 of 9 is not called certain. Raises ValueError where the counts are
    impossible.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no share")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (middle - spread) / scale, (middle + spread) / scale
    # exact at the ends, where rounding would leave 1e-17 or 1 - 1e-16
    return Estimate(share, 0.0 if successes == 0 else low, 1.0 if successes == n else high, n)
