"""What every command has in common, given to it where it is registered."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any

import typer

from dcgan_cli.errors import UsageError

ByOption = Annotated[
    str | None,
    typer.Option("--checkpoint", "-c", help="The same as CHECKPOINT.", show_default=False),
]
_BY_OPTION = "checkpoint_by_option"


def command(function: Callable[..., None]) -> Callable[..., None]:
    """`function` as a command: what can be told to be wrong at once is told before it is called.

    Where it takes a checkpoint as an argument, --checkpoint does too; whichever is given must be
    there. Numbers are finite.
    """
    signature = inspect.signature(function)
    takes_checkpoint = "checkpoint" in signature.parameters
    parameters = list(signature.parameters.values())
    if takes_checkpoint:
        place = [parameter.name for parameter in parameters].index("checkpoint") + 1
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        extra = inspect.Parameter(_BY_OPTION, kind, default=None, annotation=ByOption)
        parameters.insert(place, extra)

    @functools.wraps(function)
    def checked(**given: Any) -> None:
        for name, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                option = f"--{name.strip('_').replace('_', '-')}"
                raise UsageError(f"{option} {value}: expected a finite number")
        if takes_checkpoint:
            by_option = given.pop(_BY_OPTION)
            given["checkpoint"] = _one_checkpoint(given["checkpoint"], by_option)
        function(**given)

    checked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    checked.__annotations__ = {**function.__annotations__, _BY_OPTION: ByOption}
    return checked


def _one_checkpoint(argument: str | None, option: str | None) -> str | None:
    """The checkpoint that was named. Raises UsageError for two, CheckpointError for none there."""
    if argument is not None and option is not None and argument != option:
        raise UsageError(
            f"{argument} and --checkpoint {option}: two checkpoints; give one of the two"
        )
    named = argument or option
    if named is not None:
        from dcgan_cli.checkpoint.find import find_checkpoint

        find_checkpoint(named)  # without torch: a wrong name is told at once
    return named
