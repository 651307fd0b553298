"""Ctrl-C and SIGTERM while a run trains: its state is saved, and it ends with the signal's code."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from dcgan_cli.training.trainer import Trainer


@contextmanager
def listening(trainer: Trainer) -> Generator[None]:
    """Ctrl-C and SIGTERM ask the trainer to save and end; a second one leaves at once.

    Of several ranks none leaves alone: a second signal may be the launcher's, passing on the first,
    and one more may come while a rank is leaving, whose exit code must be the one agreed on. The
    launcher kills by itself whoever stays too long.
    """
    world = trainer.world
    alone = world.size == 1
    advice = b"saving after this step; once more leaves at once\n"

    def handle(number: int, _: FrameType | None) -> None:
        if trainer.signal is not None:
            if alone:
                os._exit(128 + number)
            return
        trainer.request_stop(number)
        if world.leads:
            # print is not for signal handlers: it may have been interrupted itself
            os.write(2, advice if alone else b"saving after this step\n")

    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if alone else signal.SIG_IGN)
