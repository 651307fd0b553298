"""What every command has in common, given to it where it is registered."""

import copy
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args

from typer import Option

from dcgan_cli.checkpoint.find import find_checkpoint
from dcgan_cli.errors import UsageError

ByOption = Annotated[
    str | None, Option("--checkpoint", "-c", help="The same as CHECKPOINT.", show_default=False)
]
_BY_OPTION = "checkpoint_by_option"


def command(function: Callable[..., None]) -> Callable[..., None]:
    """`function` as a command: what can be told to be wrong at once is told before it is called.

    A parameter whose annotation is a dataclass is a group of options: they stand in its place, in
    the panel of help that the attribute `panel` of the class names, and the function gets the
    dataclass. Where the function takes a checkpoint as an argument, --checkpoint does too;
    whichever is given must be there. Numbers are finite.
    """
    signature = inspect.signature(function)
    groups: dict[str, tuple[Any, list[str]]] = {
        name: (parameter.annotation, [field.name for field in fields(parameter.annotation)])
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }
    parameters = [
        part for parameter in signature.parameters.values() for part in _expanded(parameter)
    ]

    @functools.wraps(function)
    def checked(**given: Any) -> None:
        for name, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                option = f"--{name.strip('_').replace('_', '-')}"
                raise UsageError(f"{option} {value}: expected a finite number")
        if _BY_OPTION in given:
            argument, option = given["checkpoint"], given.pop(_BY_OPTION)
            if argument is not None and option is not None and argument != option:
                raise UsageError(
                    f"{argument} and --checkpoint {option}: two checkpoints; give one of the two"
                )
            given["checkpoint"] = argument or option
            if given["checkpoint"] is not None:
                find_checkpoint(given["checkpoint"])  # a wrong name is refused at once
        built = {
            group: kind(**{name: given.pop(name) for name in names})
            for group, (kind, names) in groups.items()
        }
        function(**given, **built)

    checked.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    checked.__annotations__ = {part.name: part.annotation for part in parameters}
    return checked


def _expanded(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """What stands on the command line for `parameter`: itself, and more of a group or checkpoint."""
    group = parameter.annotation
    if is_dataclass(group):
        parts: list[inspect.Parameter] = []
        for field in fields(group):
            kind, option = get_args(field.type)
            option = copy.copy(option)
            option.rich_help_panel = getattr(group, "panel", None)
            parts.append(_keyword(field.name, field.default, Annotated[kind, option]))
        return parts
    itself = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    if parameter.name == "checkpoint":
        return [itself, _keyword(_BY_OPTION, None, ByOption)]
    return [itself]


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if default is MISSING else default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)
