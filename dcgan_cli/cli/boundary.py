"""The one error boundary: whatever happens inside a command ends here, as one line and a code."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import typer

from dcgan_cli.cli.streams import what_was_lost
from dcgan_cli.errors import DcganError, Interrupted

_debug = bool(os.environ.get("DCGAN_DEBUG"))

PATIENCE = 5.0
"""Seconds that one operation of a library may keep a signal waiting."""


def set_debug(value: bool) -> bool:
    """Callback of --debug."""
    global _debug
    _debug = _debug or value
    return value


def run_guarded(work: Callable[[], int | None]) -> int:
    """Run `work`; returns the exit code, having said on stderr in one line what went wrong."""
    try:
        return work() or 0
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.TyperException as error:  # wrong usage, in the words of the parser
        return _say(error, error.exit_code, error.format_message())
    except DcganError as error:
        return _say(error, error.exit_code, str(error))
    except Interrupted as error:
        return _say(error, 128 + error.signal, "interrupted")
    except (KeyboardInterrupt, typer.Abort) as error:
        return _say(error, 128 + signal.SIGINT, "interrupted")
    except MemoryError as error:
        return _say(error, 1, "not enough memory; lower --batch-size, --size or --limit")
    except Exception as error:  # noqa: BLE001  # whatever is left is a defect of ours, and is said to be one
        text = str(error).partition("\n")[0]
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = os.path.basename(os.fsdecode(error.filename or ""))  # noqa: PTH119
            return _say(
                error, 2, f"{name[:40]}…: {error.strerror}; expected at most 255 bytes a name"
            )
        if "out of memory" in text:
            return _say(error, 1, "not enough memory; lower --batch-size, --size or --limit")
        return _say(
            error, 1, f"internal error: {type(error).__name__}: {text} (--debug shows where)"
        )


def report_losses(code: int) -> int:
    """The exit code after all was flushed: 1, said in a line, where stdout lost a result."""
    try:
        lost = what_was_lost()
    except (KeyboardInterrupt, Interrupted):  # one more while the last one was being answered
        return code or 128 + signal.SIGINT
    if lost is None:
        return code
    print(f"dcgan: {lost}", file=sys.stderr)
    return code or 1


def ends_on_signals() -> None:
    """Ctrl-C, SIGTERM and SIGHUP end a command tidied up, with nothing half done left behind.

    A signal that is ignored stays so: that is what nohup asks for. Windows has no SIGHUP. One of
    several ranks of torchrun may be waiting for another one, where Python answers no signal: it
    keeps the system's own answer.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        return

    answered = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        answered.set()
        raise Interrupted(number)

    handled: set[int] = set()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        usual = (signal.SIG_DFL, signal.default_int_handler)
        if number is not None and signal.getsignal(number) in usual:
            signal.signal(number, end)
            handled.add(number)
    if hasattr(os, "set_blocking"):
        _leave_if_unanswered(handled, end, answered)


def _leave_if_unanswered(
    numbers: set[int], handler: Callable[..., None], answered: threading.Event
) -> None:
    """End the process PATIENCE seconds after a signal whose `handler` could not run until then.

    Python answers signals between two of its own instructions, and a backward pass at 512 pixels is
    one. While something else handles a signal (a run that saves its state), this leaves it alone.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def watch() -> None:
        while byte := os.read(read, 1):
            number = byte[0]
            ours = number in numbers and signal.getsignal(number) is handler
            if ours and not answered.wait(PATIENCE):
                os._exit(128 + number)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def _say(error: BaseException, code: int, text: str) -> int:
    if _debug:
        import traceback

        traceback.print_exception(error)
    print(f"dcgan: {one_line(text)}", file=sys.stderr)
    return code


LONGEST = 4000
"""Characters of an error: the rest of a longer one is somebody else's text."""


def one_line(text: str) -> str:
    """`text` on one line of its own: what a file says may be anything, a terminal must not obey it."""
    line = " ".join(text[: 2 * LONGEST].split())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} …"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
