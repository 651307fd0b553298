"""Every error a person can meet: one line that says what, where, found, expected, and the mend."""


class DcganError(Exception):
    """The work failed. `str(error)` is the one line shown; the command exits with 1.

    Raise it with what was found, what was expected and what to type instead.
    """

    exit_code = 1


class UsageError(DcganError):
    """The command line asks for something that cannot be meant; exits with 2."""

    exit_code = 2


class SourceError(DcganError):
    """A data source that cannot be recognized, read or used."""


class CheckpointError(DcganError):
    """A checkpoint that is missing, damaged, hostile, or made for something else."""


class StorageError(DcganError):
    """A file could not be written: full disk, missing rights, a failing device."""


class DiagnosisError(DcganError):
    """A training run was stopped because its health check asked for it."""


class Interrupted(BaseException):
    """A signal asked the command to end; it exits with 128 + `signal`. No `except Exception` stops it."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
