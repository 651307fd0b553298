"""What every verdict needs: whether a value differs from its control, and shares in words."""

from typing import Literal

from dcgan_cli.report import Estimate

UNCLEAR = "no clear difference from"


def compare(value: Estimate, control: Estimate) -> Literal[-1, 0, 1]:
    """1 where `value` lies above `control`, −1 where below, and 0 where that is not clear.

    It is clear where the intervals do not meet. An estimate without an interval stands for itself
    beside one that has one (chance is a known number); two without say nothing.
    """
    if value.low is None and control.low is None:
        return 0
    (low, high), (least, most) = _ends(value), _ends(control)
    if low > most:
        return 1
    return -1 if high < least else 0


def percent(share: float) -> str:
    """A share in [0, 1] as `52 %`: `0.4 %` and `99.6 %` are not rounded to none and all."""
    digits = ".2g" if share < 0.01 else ".4g" if share > 0.99 else ".0f"
    return f"{100 * share:{digits}} %"


def _ends(estimate: Estimate) -> tuple[float, float]:
    low, high = estimate.low, estimate.high
    return (estimate.value if low is None else low, estimate.value if high is None else high)
