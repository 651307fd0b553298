"""Notices that a run has become slow beside other programs, and says what would help."""

from dcgan_cli.cores import allowed_cores, busy_cores
from dcgan_cli.training.events import ProgressEvent
from dcgan_cli.wording import counted

WINDOW = 30.0
"""Seconds over which speed is measured, so that one image grid does not count as slowness."""

SLOW = 2.0
"""How many times slower than at its fastest a run must be, in two windows in a row."""


class Slowdown:
    """Compares the speed of a run with its fastest so far. Nothing of the training depends on it.

    Example: `if note := slowdown.note(event): console.note(note)`.
    """

    def __init__(self) -> None:
        self._step, self._seconds = 0, 0.0
        self._fastest = self._ratio = 0.0
        self._said = False

    def note(self, event: ProgressEvent) -> str | None:
        """What to say after `event`, once in a run; None almost always."""
        if not self._seconds:
            self._step, self._seconds = event.step, event.seconds
        elapsed = event.seconds - self._seconds
        if self._said or elapsed < WINDOW:
            return None
        speed = (event.step - self._step) / elapsed
        self._step, self._seconds = event.step, event.seconds
        self._fastest = max(self._fastest, speed)
        before, self._ratio = self._ratio, self._fastest / max(speed, 1e-9)
        if min(before, self._ratio) < SLOW or not (busy := busy_cores()):
            return None
        self._said = True
        return (
            f"step {event.step:,}: {self._ratio:.1f} times slower than before, since other programs keep "
            f"{busy} of {counted(allowed_cores(), 'core')} busy; Ctrl-C and the same command with "
            "--resume begin again with threads that do not wait busily"
        )
