"""Options that commands share: whoever can use one has it, spelled alike."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from dcgan_cli.cli.app import COMMANDS
from dcgan_cli.cli.commands import command
from dcgan_cli.cli.concepts.command import concepts
from dcgan_cli.errors import UsageError
from dcgan_cli.wording import counted, counted_are

EVERY = {"quiet", "debug", "json"}
WORK = EVERY | {"device", "threads"}
DRAWN = WORK | {"seed", "checkpoint"}
FIGURE = {"layout", "scale", "caption"}
WANTED = {
    "train": WORK | {"seed", "limit"},
    "sample": DRAWN | FIGURE,
    "interpolate": DRAWN | FIGURE,
    "arithmetic": DRAWN | FIGURE,
    "probe-svm": DRAWN | {"limit"},
    "nearest-neighbors": DRAWN | FIGURE | {"limit"},
    "drop-filters": DRAWN | FIGURE | {"limit"},
    "guided-backprop": DRAWN | FIGURE | {"limit"},
    "concepts learn": DRAWN | {"limit"},
    "concepts add": EVERY,
    "concepts list": EVERY | {"checkpoint"},
    "concepts show": WORK | FIGURE | {"checkpoint"},
    "concepts remove": EVERY | {"checkpoint"},
    "concepts export": EVERY | {"checkpoint"},
    "concepts import": EVERY | {"checkpoint"},
}


def commands() -> dict[str, Callable[..., Any]]:
    found = {name: call for name, call in COMMANDS if name != "concepts"}
    for info in concepts.registered_commands:
        assert info.callback is not None
        found[f"concepts {info.name or info.callback.__name__}"] = info.callback
    return found


def test_every_command_is_in_the_table() -> None:
    assert set(commands()) == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_a_command_has_the_common_options(name: str) -> None:
    parameters = set(inspect.signature(commands()[name]).parameters)
    assert WANTED[name] <= parameters


def test_a_checkpoint_is_an_argument_or_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str | None] = []

    def work(checkpoint: str | None = None) -> None:
        taken.append(checkpoint)

    run = command(work)
    for given in ("demo-faces", None), (None, "demo-faces"), ("demo-faces", "demo-faces"):
        run(checkpoint=given[0], checkpoint_by_option=given[1])
    run(checkpoint=None, checkpoint_by_option=None)
    assert taken == ["demo-faces"] * 3 + [None]
    with pytest.raises(UsageError, match="two checkpoints"):
        run(checkpoint="demo-faces", checkpoint_by_option="demo-rooms")


@pytest.mark.parametrize(
    ("count", "noun", "text", "are"),
    [
        (1, "image", "1 image", "1 image is"),
        (0, "image", "0 images", "0 images are"),
        (2000, "step", "2,000 steps", "2,000 steps are"),
        (2, "CUDA device", "2 CUDA devices", "2 CUDA devices are"),
        (2, "class", "2 classes", "2 classes are"),
    ],
)
def test_counts_in_words(count: int, noun: str, text: str, are: str) -> None:
    assert (counted(count, noun), counted_are(count, noun)) == (text, are)
