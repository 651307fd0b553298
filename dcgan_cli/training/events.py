"""The events that a training run yields, and the clock behind them."""

import time
from dataclasses import dataclass

from dcgan_cli.choices import Policy as Policy
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import Estimate, Images
from dcgan_cli.training.diagnostics import Diagnosis

REPORT_SECONDS = 0.5
"""Seconds between two progress events."""


@dataclass(frozen=True)
class Length:
    """How long to train: the first limit that is reached ends the run.

    `minutes` counts this invocation only.
    """

    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class ProgressEvent:
    """After some steps: where the run is, and the values of the last step."""

    step: int
    steps: int | None
    epoch: float
    images_per_second: float
    seconds: float
    seconds_left: float | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class EpochDone:
    """An epoch is finished and saved; `images` are generated from the fixed `latents`.

    `images` is None if a signal arrived while they were generated.
    """

    epoch: int
    step: int
    images: Images | None
    latents: Latents
    checkpoint: str


@dataclass(frozen=True)
class DiagnosisEvent:
    """The diagnostics found a failure; `action` is what was done about it."""

    diagnosis: Diagnosis
    step: int
    action: str


@dataclass(frozen=True)
class Evaluated:
    """Samples were compared with real images; `is_best` where none before were nearer."""

    epoch: int
    step: int
    kid: Estimate
    is_best: bool


@dataclass(frozen=True)
class RecordingFailed:
    """Steps cannot be recorded as a CUDA graph because of `fault`; kernels are launched one by one."""

    fault: str


@dataclass(frozen=True)
class GridAnnounced:
    """An image grid is about to be generated, which takes about `seconds`; the state is saved."""

    step: int
    seconds: float


@dataclass(frozen=True)
class Finished:
    """The run has reached its length, or was stopped by signal number `signal`.

    `images` as in EpochDone; `metrics` are those of the last step, empty if there was none.
    """

    step: int
    epoch: float
    seconds: float
    images: Images | None
    latents: Latents
    checkpoint: str
    signal: int | None
    metrics: dict[str, float]


Event = (
    ProgressEvent
    | EpochDone
    | DiagnosisEvent
    | Evaluated
    | RecordingFailed
    | GridAnnounced
    | Finished
)


class Clock:
    """Wall-clock time of one invocation."""

    def __init__(self, seconds_before: float, first_step: int) -> None:
        self.began = self.reported = self.saved = time.monotonic()
        self.seconds_before = seconds_before
        self.first_step = first_step

    def elapsed(self) -> float:
        """Seconds since this invocation began."""
        return time.monotonic() - self.began

    def seconds(self) -> float:
        """Seconds of the whole run, including earlier invocations."""
        return self.seconds_before + self.elapsed()

    def report_is_due(self) -> bool:
        """True once every REPORT_SECONDS."""
        if time.monotonic() - self.reported < REPORT_SECONDS:
            return False
        self.reported = time.monotonic()
        return True

    def save_is_due(self, minutes: float) -> bool:
        """True if the last save was `minutes` ago; the clock then starts again."""
        if time.monotonic() - self.saved < 60 * minutes:
            return False
        self.saved = time.monotonic()
        return True
