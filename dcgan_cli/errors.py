"""The errors that a user can see: each is one line that says what failed and what to type instead."""


class DcganError(Exception):
    """The work failed. `str(error)` is the one line that is printed; the command exits with 1.

    The line names what was found, what was expected, and what to type instead.
    """

    exit_code = 1


class UsageError(DcganError):
    """The command line is wrong: an unknown value, or options in conflict. Exits with 2."""

    exit_code = 2


class SourceError(DcganError):
    """A data source cannot be recognized or read."""


class CheckpointError(DcganError):
    """A checkpoint is missing, damaged, unsafe, or belongs to another model."""


class StorageError(DcganError):
    """A file cannot be written: the disk is full, rights are missing, or the device fails."""


class DiagnosisError(DcganError):
    """Training was stopped because its diagnostics found a problem."""


class Interrupted(BaseException):
    """A signal asked the command to end; it exits with 128 + `signal`.

    A BaseException, so that no `except Exception` catches it.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
