"""Options that commands share: whoever can use one has it, spelled alike."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from cli_reference import commands
from typer.main import get_command

from dcgan_cli.cli.command_decorator import command
from dcgan_cli.errors import UsageError
from dcgan_cli.wording import counted, counted_are

EVERY = {"quiet", "debug", "json"}
WORK = EVERY | {"device", "threads"}
DRAWN = WORK | {"seed", "checkpoint"}
FIGURE = {"layout", "scale", "caption"}
WANTED = {
    "train": WORK | {"seed", "limit"},
    "sample": DRAWN | FIGURE,
    "evaluate": DRAWN | FIGURE,
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


def test_every_command_is_in_the_table() -> None:
    assert set(dict(commands())) == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_a_command_has_the_common_options(name: str) -> None:
    assert WANTED[name] <= {one.name for one in dict(commands())[name].params}


@dataclass(frozen=True)
class Sizes:
    panel = "Sizes"
    width: Annotated[int, typer.Option(help="Columns.", min=1)] = 3
    height: Annotated[float, typer.Option(help="Rows.")] = 2.0


def test_a_group_of_options_stands_where_its_parameter_does() -> None:
    taken: list[tuple[int, Sizes, bool]] = []

    def draw(
        first: Annotated[int, typer.Option(help="Before.")] = 0,
        *,
        sizes: Sizes,
        last: Annotated[bool, typer.Option("--last", help="After.")] = False,
    ) -> None:
        taken.append((first, sizes, last))

    tool = typer.Typer()
    tool.command()(command(draw))
    options = get_command(tool).params
    assert [one.name for one in options][:4] == ["first", "width", "height", "last"]
    panels = [getattr(one, "rich_help_panel", None) for one in options][:4]
    assert panels == [None, "Sizes", "Sizes", None]
    tool(["--width", "5", "--last"], standalone_mode=False)
    tool([], standalone_mode=False)
    assert taken == [(0, Sizes(5, 2.0), True), (0, Sizes(), False)]
    with pytest.raises(UsageError, match="--height nan: expected a finite number"):
        tool(["--height", "nan"], standalone_mode=False)


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
