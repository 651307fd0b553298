"""stdout and stderr made safe at entry: any encoding, any reader, any device, closed or not.

What a stream cannot encode is written as readable ASCII. A write that fails is remembered and what
follows is dropped, so that no library meets the error in the middle of its work: a reader that has
left (`| head`) is no failure at all, and a full device is told about once, at the end.
"""

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from dcgan_cli.render.readable import ERRORS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Device(io.FileIO):
    """A descriptor that remembers the first write that failed, and drops everything after it."""

    def __init__(self, descriptor: int, failure: OSError | None = None) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.broken = failure
        self.lost: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        if self.broken is None:
            try:
                while (written := super().write(data)) is None:  # not ready: another's O_NONBLOCK
                    select.select([], [self], [])
                return written
            except OSError as error:
                self.broken = error
        self.lost = self.broken
        return memoryview(data).nbytes


def secure_streams() -> None:
    """Replace sys.stdout and sys.stderr by streams that neither encoding nor device can break."""
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    if closed:
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass  # the lowest free descriptors: no file that is opened later may take their place
        os.close(number)
    sys.stdout = _secured(sys.stdout, 1, 1 in closed)
    sys.stderr = _secured(sys.stderr, 2, 2 in closed)


def _secured(stream: TextIO | None, number: int, closed: bool) -> TextIO:
    if stream is not None and sys.platform == "win32" and stream.isatty():
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(errors=ERRORS)  # a console of Windows writes through calls of its own
        return stream
    failure = OSError(errno.EBADF, os.strerror(errno.EBADF)) if closed else None
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Device(number, failure)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors=ERRORS,
        line_buffering=number == 2 or (stream is not None and stream.isatty()),
    )


def what_was_lost() -> str | None:
    """Flush both streams; why results could not be written to stdout, or None where all were."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    device = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = device.lost if isinstance(device, _Device) else None
    if error is None or error.errno == errno.EPIPE:  # whoever reads a pipe may leave
        return None
    if error.errno == errno.EBADF:
        return "cannot write to stdout: it is closed; what was to be said there is lost"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot write to stdout: {reason}; what was to be said there is lost"


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
