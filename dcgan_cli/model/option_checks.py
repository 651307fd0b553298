"""Checks of single values, of an option or from a file. Each raises UsageError."""

import math

from dcgan_cli.errors import UsageError


def expect_one_of(option: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise UsageError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise UsageError(f"{option} {value}: expected one of {', '.join(map(str, allowed))}")


def expect_positive(option: str, value: float) -> None:
    """Raise UsageError unless `value` is above 0 and finite."""
    if not 0 < value < math.inf:
        raise UsageError(f"{option} {value}: expected a number above 0")


def expect_whole(option: str, value: object) -> None:
    """Raise UsageError unless `value` is an int: a checkpoint may hold any type."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{option} {value}: expected a whole number")
