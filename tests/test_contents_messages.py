"""Values in a checkpoint at their limits, and the very lines that they are refused with."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import test_concepts
import torch
from refusals import refused_as
from torch import nn

from dcgan_cli.checkpoint import contents
from dcgan_cli.errors import CheckpointError

MODEL, LATER = test_concepts.MODEL, test_concepts.LATER


refusal = refused_as(CheckpointError)


RULES: dict[str, tuple[Callable[[], contents.ValueRule], list[object], list[object]]] = {
    "a whole number of 2 or more": (
        lambda: contents.whole(2, 9), [2, 9], [1, 10, 2.0, True, "2", None]
    ),
    "a whole number of 1 or more": (lambda: contents.whole(1), [1, 1 << 53], [0, (1 << 53) + 1]),
    "a number from 0 to 1": (
        lambda: contents.number_between(0, 1), [0, 1, 0.5], [-0.1, 1.1, True, "0", None, math.nan]
    ),
    "a number from 0.5": (lambda: contents.number_between(0.5), [0.5, 1e299], [0.4, math.inf, 1e300]),
    "a finite number": (
        lambda: contents.number_between(-math.inf), [-1e299, 0], [-math.inf, math.nan, "x"]
    ),
    "one of a, 1": (lambda: contents.literal("a", 1), ["a", 1], ["b", True, 1.0, None]),
    "one of True, False": (lambda: contents.literal(True, False), [True, False], [1, 0, "True"]),
    "a whole number of 0 or more, or null": (
        lambda: contents.maybe(contents.whole(0)), [None, 0], [-1, "x"]
    ),
    "a list, each a whole number of 0 or more": (
        lambda: contents.listed(contents.whole(0), 2),
        [[], [0, 1]],
        [[0, 1, 2], [-1], [0, None], (0,), "00", None],
    ),
    "text": (
        lambda: contents.TEXT,
        ["", "a", "\udce9", "x" * 65535],
        ["a\0", "x" * 65536, "\ud800", 3],
    ),
    "an object": (lambda: contents.MAPPING, [{}, {"a": 1}], [[], None]),
    "two numbers from 0 to 1": (
        lambda: contents.GROUP["betas"], [[0, 1]], [[0], [0, 0, 0], [0, 2], 3]
    ),
    "a number, true or false, or null": (
        lambda: contents.SETTING, [1, 0.5, True, None], ["x", math.inf]
    ),
}  # fmt: skip
"""What a rule says, how it is made (a mutant is there only after this is read), what fits and not."""


@pytest.mark.parametrize("words", RULES)
def test_rules_take_what_they_say(words: str) -> None:
    make, good, bad = RULES[words]
    rule = make()
    assert rule.expected == words
    assert [rule.fits(value) for value in good] == [True] * len(good)
    assert [rule.fits(value) for value in bad] == [False] * len(bad)


PARTS: dict[str, dict[str, Any]] = {
    "recipe": dict.fromkeys(contents.REQUIRED_KEYS["recipe"]),
    "training": dict.fromkeys(contents.REQUIRED_KEYS["training"]),
    "data": {},
    "progress": {
        "step": 1, "seconds": 1, "attempt": 0, "health": dict.fromkeys(contents.DIAGNOSTICS),
    },
}  # fmt: skip


def stepped(network: nn.Module, *moments: str) -> dict[str, Any]:
    """An optimizer's state after one step, as a file holds it."""
    groups = {"lr": 0.1, "betas": [0.5, 0.999], "eps": 1e-8, "weight_decay": 0, "fused": None}
    parameters = list(network.parameters())
    state = {
        number: {"step": torch.tensor(1.0), **{name: torch.ones_like(one) for name in moments}}
        for number, one in enumerate(parameters)
    }
    return {"state": state, "param_groups": [{**groups, "params": list(range(len(parameters)))}]}


def adam(network: nn.Module) -> dict[str, Any]:
    return stepped(network, "exp_avg", "exp_avg_sq")


def resuming(parts: Mapping[str, Any] = PARTS, **changes: Any) -> str:
    """What is said where the state of one linear layer, changed, is to be gone on from."""
    network = nn.Linear(2, 1)
    state = {"generator": adam(network)}
    for place, value in changes.items():
        inner: Any = state
        *before, last = [int(key) if key.isdecimal() else key for key in place.split("__")]
        for key in before:
            inner = inner[key]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return refusal(lambda: contents.check_resumable("a.pt", parts, state, {"generator": network}))


G, GROUPS = "a.pt: optimizers.generator", "generator__param_groups__0__"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": None}, "a.pt: holds no optimizer state: it cannot be trained on; "
                              "begin another run"),
        ({"generator": []}, f"{G}: expected the keys state and param_groups, one group"),
        ({f"{GROUPS}params": [0]}, f"{G}.param_groups: expected 2 parameters"),
        ({f"{GROUPS}lr": "x"}, f"{G}: param_groups.lr is 'x'; expected a number from 0"),
        ({f"{GROUPS}amsgrad": True}, f"{G}: param_groups.amsgrad is True; expected False, or null"),
        ({f"{GROUPS}fused": "x"},
         f"{G}: param_groups.fused is 'x'; expected a number, true or false, or null"),
        ({f"{GROUPS}{'y' * 50}": "x"},
         f"{G}: param_groups.{'y' * 40} is 'x'; expected a number, true or false, or null"),
        ({f"{GROUPS}lr": None}, f"{G}.param_groups: lr is missing"),
        ({f"{GROUPS}eps": None}, f"{G}.param_groups: eps is missing"),
        ({f"{GROUPS}weight_decay": None}, f"{G}.param_groups: weight_decay is missing"),
        ({"generator__state__1": None}, f"{G}.state: found 1 entries, expected 2, numbered from 0"),
        ({"generator__state__0": 7},
         f"{G}.state.0 holds something else; expected exp_avg, exp_avg_sq, step"),
        ({"generator__state__0__step": None},
         f"{G}.state.0 holds exp_avg, exp_avg_sq; expected exp_avg, exp_avg_sq, step"),
        ({"generator__state__0__exp_avg": 7}, f"{G}.state.0.exp_avg is int, expected numbers [1, 2]"),
        ({"generator__state__1__exp_avg": torch.zeros(3)},
         f"{G}.state.1.exp_avg is [3], expected numbers [1]"),
        ({"generator__state__0__step": torch.zeros(1)}, f"{G}.state.0.step is [1], expected numbers []"),
        ({"generator__state__0__step": torch.tensor(1)}, f"{G}.state.0.step is [], expected numbers []"),
        ({"generator__state__0__exp_avg": torch.tensor([[0, math.inf]])},
         f"{G}.state.0.exp_avg holds NaN or infinite values; go back to an earlier state"),
        ({"generator__state__0__exp_avg_sq": torch.tensor([[0, -1.0]])},
         f"{G}.state.0.exp_avg_sq holds negative values, expected 0 or more"),
        ({"generator__state__0__step": torch.tensor(-1.0)},
         f"{G}.state.0.step holds negative values, expected 0 or more"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_states_that_no_optimizer_has_are_refused(changes: dict[str, Any], said: str) -> None:
    assert resuming(**changes) == said


def test_states_that_optimizers_have_are_taken() -> None:
    network = nn.Linear(2, 1)
    state = adam(network)
    state["state"][0]["exp_avg"].fill_(-1)  # a mean may be
    for moments in (state["state"], {}):
        states = {"generator": {**state, "state": moments}}
        contents.check_resumable("a.pt", PARTS, states, {"generator": network})
    parts = {**PARTS, "recipe": {**PARTS["recipe"], "optimizer": "rmsprop"}}
    states = {"generator": stepped(network, "square_avg")}
    contents.check_resumable("a.pt", parts, states, {"generator": network})
    states["generator"]["state"][0]["square_avg"].fill_(-1)
    assert "square_avg holds negative values" in refusal(
        lambda: contents.check_resumable("a.pt", parts, states, {"generator": network})
    )
    assert refusal(lambda: contents.check_resumable("a.pt", parts, {"x": 1}, {"y": network})) == (
        "a.pt: optimizers.y is missing"
    )


def test_what_resuming_needs_and_does_not_know_is_named() -> None:
    end = " is missing; expected it in a checkpoint that can be trained on"
    without = {**PARTS, "progress": {**PARTS["progress"], "health": {}}}
    assert resuming(without) == f"a.pt: progress.health.window{end}"
    assert resuming({**PARTS, "training": {}}) == f"a.pt: training.loss{end}"
    more = {**PARTS["recipe"], "z" * 50: 1, "b" * 50: 1}
    assert resuming({**PARTS, "recipe": more}) == (
        f"a.pt: recipe.{'b' * 40} is unknown to this dcgan; upgrade it"
    )


def test_impossible_values_are_named_by_their_part() -> None:
    def said(**parts: Any) -> str:
        return refusal(
            lambda: contents.check_parts(
                "a.pt", {"recipe": {}, "training": {}, "data": {}, "progress": {}, **parts}
            )
        )

    assert said(training={"seed": "x"}).startswith("a.pt: training.seed is 'x'; expected a whole")
    assert said(progress={"health": {"window": 1}}).startswith("a.pt: progress.health.window is 1;")
    assert said(recipe={"lr": 0.0, "new": 1}) == (
        "a.pt: recipe: --lr 0.0: expected a number above 0"
    )
    contents.check_parts("a.pt", {"recipe": {"new": 1}, "training": {}, "data": {}, "progress": {}})


def test_weights_that_cannot_be_are_counted() -> None:
    check = contents.check_weights_finite
    check("w", {"a": torch.zeros(2), "n": torch.tensor(-1), "a.running_var": torch.zeros(1)})
    assert refusal(
        lambda: check("w", {"n": torch.tensor(1), "a": torch.full((1001,), math.nan)})
    ) == (
        "w: a holds 1,001 of 1,001 values that are NaN or infinite; nothing can be drawn or "
        "trained with it; go back to an earlier checkpoint"
    )
    assert refusal(lambda: check("w", {"x.running_var": torch.tensor([3, -0.25])})) == (
        "w: x.running_var holds a variance of -0.25; expected 0 or more"
    )
