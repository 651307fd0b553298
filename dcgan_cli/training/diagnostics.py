"""Diagnostics of a training run: five known failures and their thresholds.

- not finite: a loss or a gradient is NaN or infinite. Training cannot recover from this.
- D saturated: over WINDOW steps, mean D(x) > 0.99 and mean D(G(z)) < 0.01. D is always right, and
  the saturating loss then gives G no gradient (paper §2; Goodfellow et al. 2014, §3).
- G's gradient vanished: over WINDOW steps, its norm is below 1/1000 of its value at the start.
- past its best: by `--evaluate-every`, KID is above the run's best by more than both intervals.
- mode collapse: the images of a fixed batch of z differ from each other less than a quarter as much
  as real images do, after having differed more, or still after COLLAPSE_PATIENCE steps.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.errors import CheckpointError
from dcgan_cli.report import Estimate, Images
from dcgan_cli.training.step import METRICS

WINDOW = 100
SATURATED_REAL, SATURATED_FAKE = 0.99, 0.01
VANISHED = 1e-3
COLLAPSED = 0.25
DIVERSE = 0.4
COLLAPSE_PATIENCE = 2000


REMEDIES = {
    "not finite": "a lower --lr, or --d-norm spectral",
    "D saturated": "--augment color,translation,cutout, --r1 1, or more images",
    "G's gradient vanished": "--loss non-saturating, or a lower --lr-d",
    "mode collapse": "--augment color,translation,cutout, or --loss wgan-gp",
    "past its best": "best.pt; anew with --augment color,translation,cutout, or on more images",
}
"""What to try against each failure."""


@dataclass(frozen=True)
class Diagnosis:
    """One failure that was found: `name`, a key of REMEDIES, and `sign`, the values that show it."""

    name: str
    sign: str

    @property
    def remedy(self) -> str:
        """What to type against it."""
        return REMEDIES[self.name]


class Diagnostics:
    """Monitors the values of every step; each diagnosis is reported once, until it has passed."""

    def __init__(self, probabilities: bool) -> None:
        self._probabilities = probabilities
        self._window: deque[NDArray[np.float64]] = deque(maxlen=WINDOW)
        self._first_gradient: float | None = None
        self._best_diversity = 0.0
        self._reported: set[str] = set()

    def state(self) -> dict[str, Any]:
        """What a resumed run needs; the inverse of `restore`."""
        return {
            "window": [row.tolist() for row in self._window],
            "first_gradient": self._first_gradient,
            "best_diversity": self._best_diversity,
            "reported": sorted(self._reported),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`. Raises CheckpointError if its window holds other metrics."""
        if any(len(row) != len(METRICS) for row in state["window"]):
            raise CheckpointError(
                f"progress.diagnostics.window: expected {len(METRICS)} numbers a step"
            )
        self._window = deque((np.asarray(row) for row in state["window"]), maxlen=WINDOW)
        self._first_gradient = state["first_gradient"]
        self._best_diversity = state["best_diversity"]
        self._reported = set(state["reported"])

    def observe_steps(self, rows: NDArray[np.float64]) -> list[Diagnosis]:
        """Record the values of further steps [steps, len(METRICS)]; returns new diagnoses."""
        return [diagnosis for row in rows for diagnosis in self._observe_step(row)]

    def _observe_step(self, row: NDArray[np.float64]) -> list[Diagnosis]:
        broken = [name for name, value in zip(METRICS, row, strict=True) if not np.isfinite(value)]
        if broken:
            are = "is" if len(broken) == 1 else "are"
            return self._report(
                [Diagnosis("not finite", f"{', '.join(broken)} {are} NaN or infinite")]
            )
        self._window.append(row)
        if len(self._window) < WINDOW:
            return []
        mean = dict(zip(METRICS, np.mean(self._window, axis=0), strict=True))
        if self._first_gradient is None:
            self._first_gradient = float(mean["g_gradient"])
        found: list[Diagnosis] = []
        real, fake = mean["d_real"], mean["d_fake"]
        if self._probabilities and real > SATURATED_REAL and fake < SATURATED_FAKE:
            sign = f"D(x) {real:.3f}, D(G(z)) {fake:.4f} over {WINDOW} steps"
            found.append(Diagnosis("D saturated", sign))
        if mean["g_gradient"] < VANISHED * self._first_gradient:
            sign = f"norm {mean['g_gradient']:.2g}, at the start {self._first_gradient:.2g}"
            found.append(Diagnosis("G's gradient vanished", sign))
        return self._report(found, over={"D saturated", "G's gradient vanished"})

    def observe_diversity(self, step: int, ratio: float) -> list[Diagnosis]:
        """Record how much a fixed batch of samples varies, relative to real images.

        Returns new diagnoses.
        """
        may_collapse = self._best_diversity >= DIVERSE or step >= COLLAPSE_PATIENCE
        self._best_diversity = max(self._best_diversity, ratio)
        found: list[Diagnosis] = []
        if ratio < COLLAPSED and may_collapse:
            sign = f"samples differ {ratio:.2f} times as much as real images do"
            found.append(Diagnosis("mode collapse", sign))
        return self._report(found, over={"mode collapse"})

    def observe_kid(self, kid: Estimate, best: Estimate, best_epoch: int) -> list[Diagnosis]:
        """Record the KID of an evaluation beside the run's best one. Returns new diagnoses."""
        found: list[Diagnosis] = []
        if kid.low is not None and best.high is not None and kid.low > best.high:
            sign = (
                f"since epoch {best_epoch}: KID {kid.value:.3g} [{kid.low:.3g}, {kid.high:.3g}], "
                f"then {best.value:.3g} [{best.low:.3g}, {best.high:.3g}]"
            )
            found.append(Diagnosis("past its best", sign))
        return self._report(found, over={"past its best"})

    def _report(self, found: Sequence[Diagnosis], over: set[str] | None = None) -> list[Diagnosis]:
        """Those of `found` that are new; diagnoses of `over` that were not found have passed."""
        names = {diagnosis.name for diagnosis in found}
        new = [diagnosis for diagnosis in found if diagnosis.name not in self._reported]
        self._reported = (self._reported - (over or set())) | names
        return new


def diversity(images: Images) -> float:
    """Mean RMS difference of all pairs of `images` [N, H, W, C], N > 1, in gray levels."""
    flat = images.reshape(len(images), -1).astype(
        np.float64
    )  # products of such whole numbers are exact
    products = flat @ flat.T
    squares = np.diag(products)
    distances = squares[:, None] + squares - 2 * products
    pairs = np.triu_indices(len(flat), 1)
    return float(np.sqrt(distances[pairs] / flat.shape[1]).mean())
