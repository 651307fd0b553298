"""Ctrl-C, SIGTERM and SIGHUP while a run trains: its state is saved, and it ends with their code."""

import _thread
import contextlib
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from dcgan_cli.errors import Interrupted
from dcgan_cli.training.trainer import Trainer

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, a scheduler, a lost connection; Windows has no SIGHUP."""

GRACE = 2.0
"""Seconds that drawing and writing may still take once a signal has come and the state is saved."""

PATIENCE = 4.0
"""Seconds after which a single operation that does not end is not waited for any longer."""


class _Listener:
    """Answers signals for one trainer.

    The step that is being made is finished and saved. Whatever else a run does, it does with its
    state saved, in blocks of `interruptible`: there a signal leaves GRACE seconds, and Interrupted ends
    the block.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.alone = trainer.process_group.size == 1
        self._is_interruptible = self._grace_is_over = False

    def handle(self, number: int, _: FrameType | None) -> None:
        if self._grace_is_over:
            self._grace_is_over = False
            if self._is_interruptible:
                raise Interrupted(self.trainer.signal or number)
            return
        if self.trainer.signal is not None:
            if self.alone:
                os._exit(128 + number)
            return
        self.trainer.request_stop(number)
        if self.trainer.process_group.is_main:
            what = b"saved; leaving" if self._is_interruptible else b"saving after this step"
            advice = b"; once more leaves at once\n" if self.alone else b"\n"
            with contextlib.suppress(OSError):  # the terminal may be what was lost
                # print is not for signal handlers: it may have been interrupted itself
                os.write(2, what + advice)
        if self._is_interruptible:
            self._enforce_grace()

    @contextmanager
    def interruptible(self) -> Generator[None]:
        """A block that a signal may cut short. Raises Interrupted where one does."""
        self._is_interruptible = True
        try:
            if self.trainer.signal is not None:
                self._enforce_grace()
            yield
        finally:
            self._is_interruptible = False

    def _enforce_grace(self) -> None:
        code = 128 + (self.trainer.signal or 0)

        def end_block() -> None:
            if self._is_interruptible:
                self._grace_is_over = True
                _thread.interrupt_main(signal.Signals(self.trainer.signal or signal.SIGINT))

        def end_process() -> None:
            if self._is_interruptible and self.alone:  # one long operation of a library
                os._exit(code)

        for seconds, end in ((GRACE, end_block), (GRACE + PATIENCE, end_process)):
            timer = threading.Timer(seconds, end)
            timer.daemon = True
            timer.start()


@contextmanager
def listening(trainer: Trainer) -> Generator[None]:
    """Signals ask the trainer to save and end; a second one leaves at once.

    Of several ranks none leaves alone: a second signal may be the launcher's, passing on the first,
    and one more may come while a rank is leaving, whose exit code must be the one agreed on. The
    launcher kills by itself whoever stays too long. A signal that is ignored stays so, as nohup
    asks for.
    """
    listener = _Listener(trainer)
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, listener.handle) for number in heard}
    trainer.interruptible = listener.interruptible
    try:
        yield
    finally:
        trainer.interruptible = contextlib.nullcontext
        for number, handler in before.items():
            signal.signal(number, handler if listener.alone else signal.SIG_IGN)
