"""Validation of the plain values in a checkpoint, key by key, and what a run needs to resume.

A file may match its digest and still contain values that no run has written. They are checked
against the tables below when the file is loaded, so that no later code sees a value of another
type. Keys in no table are ignored: a later version may write more.
"""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from dcgan_cli.errors import CheckpointError, UsageError
from dcgan_cli.model.recipe import Recipe


def _is_name(text: str) -> bool:
    """Whether `text` can be a file name under the rules of the operating system."""
    try:
        return len(text.encode("utf-8", "surrogateescape")) < 1 << 16 and "\0" not in text
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True)
class ValueRule:
    """What a value may be, in words and as a predicate."""

    expected: str
    fits: Callable[[object], bool]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def whole(least: int, most: int = 1 << 53) -> ValueRule:
    """A whole number in [`least`, `most`]."""

    def fits(value: object) -> bool:
        return type(value) is int and least <= value <= most

    return ValueRule(f"a whole number of {least} or more", fits)


def number_between(least: float, most: float = math.inf) -> ValueRule:
    """A finite number in [`least`, `most`]."""

    def fits(value: object) -> bool:
        return _is_number(value) and least <= cast("float", value) <= most

    until = "" if most == math.inf else f" to {most:g}"
    return ValueRule(
        f"a number from {least:g}{until}" if least > -math.inf else "a finite number", fits
    )


def literal(*allowed: object) -> ValueRule:
    """One of some values, of exactly the same type."""

    def fits(value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in allowed)

    one_of = "one of " if len(allowed) > 1 else ""
    return ValueRule(f"{one_of}{', '.join(map(str, allowed))}", fits)


def maybe(rule: ValueRule) -> ValueRule:
    """A value that fits `rule`, or null."""
    return ValueRule(f"{rule.expected}, or null", lambda value: value is None or rule.fits(value))


def listed(rule: ValueRule, most: int) -> ValueRule:
    """A list of up to `most` values that fit `rule`."""

    def fits(value: object) -> bool:
        return isinstance(value, list) and len(value) <= most and all(map(rule.fits, value))

    return ValueRule(f"a list, each {rule.expected}", fits)


TEXT = ValueRule("text", lambda value: isinstance(value, str) and _is_name(value))
FLAG = literal(True, False)
MAPPING = ValueRule("an object", lambda value: isinstance(value, dict))
FINITE = number_between(-math.inf)

Schema = Mapping[str, ValueRule]

MOMENTS = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "rmsprop": {"step", "square_avg"}}
"""The state that an optimizer keeps for every weight."""

RECIPE: Schema = {
    "batch_size": whole(2),
    "optimizer": literal(*MOMENTS),
    "lr": number_between(0),
    "beta1": number_between(0, 1),
    "beta2": number_between(0, 1),
    "weight_decay": number_between(0),
    "updates": literal("together", "alternate"),
    "crop": literal("center", "random"),
    "flip": FLAG,
    "augment": TEXT,
    "lr_g": maybe(number_between(0)),
    "lr_d": maybe(number_between(0)),
    "r1": number_between(0),
    "r2": number_between(0),
    "freeze_d": whole(0, 64),
    "epochs": number_between(0),
}
TRAINING: Schema = {
    "preset": TEXT,
    "loss": TEXT,
    "d_steps": whole(1, 1 << 20),
    "ema": maybe(number_between(0, 1)),
    "sync_bn": FLAG,
    "processes": whole(1),
    "seed": whole(-(1 << 63), 1 << 64),
    "precision": TEXT,
    "device": TEXT,
    "threads": maybe(whole(1, 1 << 12)),
    "statistics": literal("none"),
    "from": TEXT,
}
DATA: Schema = {
    "location": maybe(TEXT),
    "kind": maybe(TEXT),
    "labels": maybe(TEXT),
    "limit": maybe(whole(1)),
    "records": maybe(whole(0)),
    "images": maybe(whole(0)),
    "content": maybe(TEXT),
    "framing": MAPPING,
    # of earlier versions
    "background": TEXT,
    "fingerprint": maybe(TEXT),
    "pictures": maybe(whole(0)),
    "side": whole(1, 1 << 20),
    "channels": literal(1, 3),
}
"""The keys that data.reference reads, which also handles missing ones."""

PROGRESS: Schema = {
    "step": whole(0),
    "epoch": number_between(0),
    "seconds": number_between(0),
    "attempt": whole(0, 1000),
    "health": MAPPING,
    "evaluations": MAPPING,
}
EVALUATIONS: Schema = {
    "last_epoch": whole(0),
    "best_epoch": whole(0),
    "best_step": whole(0),
    **dict.fromkeys(("kid", "kid_low", "kid_high"), maybe(FINITE)),
}
DIAGNOSTICS: Schema = {
    "window": listed(listed(FINITE, 100), 100_000),
    "first_gradient": maybe(FINITE),
    "best_diversity": maybe(FINITE),
    "reported": listed(TEXT, 1000),
}
TABLES: Mapping[str, Schema] = {
    "recipe": RECIPE,
    "training": TRAINING,
    "data": DATA,
    "progress": PROGRESS,
    "progress.health": DIAGNOSTICS,
    "progress.evaluations": EVALUATIONS,
}

REQUIRED_KEYS = {
    "recipe": (
        "batch_size",
        "lr",
        "beta1",
        "beta2",
        "weight_decay",
        "updates",
        "crop",
        "flip",
        "epochs",
    ),
    "training": ("loss", "d_steps", "ema", "seed", "precision"),
    "progress": ("step", "seconds", "attempt", "health"),
    "progress.health": tuple(DIAGNOSTICS),
}
"""Keys without which a run cannot be resumed."""

GROUP: Schema = {
    "lr": number_between(0),
    "eps": number_between(0),
    "weight_decay": number_between(0),
    "betas": ValueRule(
        "two numbers from 0 to 1",
        lambda value: (
            listed(number_between(0, 1), 2).fits(value) and len(cast("list[object]", value)) == 2
        ),
    ),
    "alpha": number_between(0, 1),
    **dict.fromkeys(
        ("amsgrad", "centered", "maximize", "differentiable", "decoupled_weight_decay"),
        maybe(literal(False)),
    ),
    "momentum": literal(0),
}
"""The known settings of an optimizer; variants that need other moments, no run has."""

SETTING = maybe(
    ValueRule("a number, true or false", lambda value: isinstance(value, bool) or _is_number(value))
)

Parts = Mapping[str, Mapping[str, Any]]
"""The values of `recipe`, `training`, `data` and `progress` by name."""


def check_parts(where: str, parts: Parts) -> None:
    """Check all values against the tables. Raises CheckpointError with the key."""
    for name, table in TABLES.items():
        for key, value in _part(parts, name).items():
            rule = table.get(key)
            if rule is not None and not rule.fits(value):
                raise _invalid_value(where, f"{name}.{key}", value, rule)
    known = {field.name for field in fields(Recipe)}
    try:  # what the dataclass itself refuses, such as a learning rate of 0
        Recipe(**{key: value for key, value in parts["recipe"].items() if key in known})
    except UsageError as error:
        raise CheckpointError(f"{where}: recipe: {error}") from error


def check_resumable(
    where: str, parts: Parts, optimizers: Mapping[str, Any], networks: Mapping[str, nn.Module]
) -> None:
    """Checks beyond `check_parts` that only resuming needs.

    Args:
        where: the file, for the error.
        parts: as for `check_parts`, which they have passed.
        optimizers: their states by network.
        networks: of the same names; may be on the device `meta`.

    Raises:
        CheckpointError: a key is missing, or an optimizer state does not fit its network.
    """
    if not optimizers:
        raise CheckpointError(
            f"{where}: holds no optimizer state: it cannot be trained on; begin another run"
        )
    for name, keys in REQUIRED_KEYS.items():
        part = _part(parts, name)
        if missing := [key for key in keys if key not in part]:
            raise CheckpointError(
                f"{where}: {name}.{missing[0]} is missing; expected it in a checkpoint that can be "
                "trained on"
            )
    unknown = set(parts["recipe"]) - {field.name for field in fields(Recipe)}
    if unknown:
        raise CheckpointError(
            f"{where}: recipe.{min(unknown)[:40]} is unknown to this dcgan; upgrade it"
        )
    for name, network in networks.items():
        if name not in optimizers:
            raise CheckpointError(f"{where}: optimizers.{name} is missing")
        kind = str(parts["recipe"].get("optimizer", "adam"))
        _check_optimizer(f"{where}: optimizers.{name}", optimizers[name], network, kind)


def check_weights_finite(what: str, weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if a weight is NaN or infinite, or a variance is negative."""
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            continue
        wrong = int(tensor.numel() - tensor.isfinite().sum())
        if wrong:
            raise CheckpointError(
                f"{what}: {name} holds {wrong:,} of {tensor.numel():,} values that are NaN or "
                "infinite; nothing can be drawn or trained with it; go back to an earlier checkpoint"
            )
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise CheckpointError(
                f"{what}: {name} holds a variance of {float(tensor.min()):g}; expected 0 or more"
            )


def _part(parts: Parts, name: str) -> Mapping[str, Any]:
    """The values of a part; "progress.health" is the key health in progress. Empty if missing."""
    first, _, second = name.partition(".")
    return parts[first].get(second, {}) if second else parts[first]


def _check_optimizer(where: str, state: object, network: nn.Module, kind: str) -> None:
    parameters = [weight for weight in network.parameters() if weight.requires_grad]
    match state:
        case {"state": dict() as moments, "param_groups": [dict() as group]}:
            pass
        case _:
            raise CheckpointError(f"{where}: expected the keys state and param_groups, one group")
    if group.get("params") != list(range(len(parameters))):
        raise CheckpointError(f"{where}.param_groups: expected {len(parameters)} parameters")
    for key, value in group.items():
        rule = GROUP.get(str(key), SETTING)
        if key != "params" and not rule.fits(value):
            raise _invalid_value(where, f"param_groups.{str(key)[:40]}", value, rule)
    if missing := [key for key in ("lr", "eps", "weight_decay") if key not in group]:
        raise CheckpointError(f"{where}.param_groups: {missing[0]} is missing")
    _check_moments(where, moments, parameters, MOMENTS[kind])


def _check_moments(
    where: str, moments: Mapping[Any, Any], parameters: Sequence[nn.Parameter], names: set[str]
) -> None:
    """Either no moments, before the first step, or those in `names` for every parameter."""
    if moments and set(moments) != set(range(len(parameters))):
        raise CheckpointError(
            f"{where}.state: found {len(moments)} entries, expected {len(parameters)}, numbered "
            "from 0"
        )
    for place, values in moments.items():
        if not isinstance(values, dict) or set(values) != names:
            keys = values if isinstance(values, dict) else ["something else"]
            found = ", ".join(map(str, keys))[:60]
            raise CheckpointError(
                f"{where}.state.{place} holds {found}; expected {', '.join(sorted(names))}"
            )
        for name, value in values.items():
            shape = [] if name == "step" else list(parameters[place].shape)
            what = f"{where}.state.{place}.{name}"
            is_moment = isinstance(value, Tensor) and value.dtype != torch.int64
            if not is_moment or list(value.shape) != shape:
                found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise CheckpointError(f"{what} is {found}, expected numbers {shape}")
            if not bool(value.isfinite().all()):
                raise CheckpointError(
                    f"{what} holds NaN or infinite values; go back to an earlier state"
                )
            if name in ("step", "exp_avg_sq", "square_avg") and bool((value < 0).any()):
                raise CheckpointError(f"{what} holds negative values, expected 0 or more")


def _invalid_value(where: str, key: str, value: object, rule: ValueRule) -> CheckpointError:
    return CheckpointError(f"{where}: {key} is {reprlib.repr(value)}; expected {rule.expected}")
