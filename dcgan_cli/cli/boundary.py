"""The one error boundary: whatever happens inside a command ends here, as one line and a code."""

import errno
import os
import signal
import sys
from collections.abc import Callable

import typer

from dcgan_cli.errors import DcganError

_debug = bool(os.environ.get("DCGAN_DEBUG"))


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
