"""Timing two ways of doing the same work, turn and turn about, because machines are noisy."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times faster `ours` is: the median of the rounds' ratios, and their quartiles."""

    ours: float
    theirs: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of the seconds of both in each round."""
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(statistics.median(ours), statistics.median(theirs), median, low, high)

    def line(self, name: str, unit: str, amount: float) -> str:
        """One line: both speeds in `unit` per second for `amount` a round, and the ratio."""
        return (
            f"{name}: ours {amount / self.ours:,.0f} {unit}/s, theirs {amount / self.theirs:,.0f} "
            f"{unit}/s, ratio {self.median:.2f} (quartiles {self.low:.2f} to {self.high:.2f})"
        )


def compare(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> Ratio:
    """Run both once to warm up, then `rounds` times each, alternating."""
    ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return Ratio.of([a for a, _ in times], [b for _, b in times])


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
