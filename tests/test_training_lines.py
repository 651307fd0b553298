"""What `dcgan train` says while it goes: step of how many, time left, where to look; losses with -v."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from rich.console import Console as RichConsole

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.train import display as training_display
from dcgan_cli.cli.train.display import Display, _live_table, _rows
from dcgan_cli.training.events import Length, ProgressEvent

METRICS = {"d_loss": 1.25, "g_loss": 0.75, "d_real": 0.6, "d_fake": 0.4, "d_fake_after": 0.3}
LOSSES = ("D 1.250", "G 0.750", "D(x) 0.600", "D(G(z)) 0.400 / 0.300")


def event(steps: int | None = 3000, left: float | None = 185.0) -> ProgressEvent:
    return ProgressEvent(1200, steps, 7.5, 364.0, 60.0, left, METRICS)


@pytest.fixture
def lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """The plain line of an event, of a run in which nothing was drawn yet or after some steps."""
    monkeypatch.setattr(training_display, "LINE_SECONDS", 0.0)

    def said(told: ProgressEvent, verbose: bool = False, steps: int = 0) -> str:
        with tiny.trainer(tmp_path) as trainer:
            display = Display(
                Console(), trainer.folder, "small", False, trainer.draw_settings, 1.0, verbose
            )
            if steps:
                display.follow(trainer.run(Length(steps=steps)))
            capsys.readouterr()
            display.follow(iter([told, *trainer.run(Length(steps=steps))]))
        return capsys.readouterr().err.splitlines()[0]

    return said


def test_a_line_says_step_time_and_where_to_look(lines: Callable[..., str], tmp_path: Path) -> None:
    line = lines(event())
    place = tmp_path / "samples" / "epoch-0001.png"
    assert line == f"step 1,200 of 3,000, 3:05 min to go; see {place} after epoch 1"
    assert not place.exists()


def test_it_names_the_newest_image_grid(lines: Callable[..., str], tmp_path: Path) -> None:
    line = lines(event(), steps=9)
    newest = max((tmp_path / "samples").glob("epoch-*.png"))
    assert line.endswith(f"; see {newest}")
    assert newest.name == "epoch-0002.png"


def test_a_run_without_an_end_says_so(lines: Callable[..., str]) -> None:
    assert lines(event(None, None)).startswith("step 1,200, no end set; see ")


def test_losses_are_shown_when_verbose(lines: Callable[..., str]) -> None:
    short, long = lines(event()), lines(event(), verbose=True)
    assert long.startswith(short)
    assert all(loss in long and loss not in short for loss in LOSSES)
    assert "364 images/s" in long


@pytest.mark.parametrize("verbose", [False, True])
def test_a_terminal_shows_the_same(verbose: bool) -> None:
    console = RichConsole(width=120, color_system=None)
    with console.capture() as capture:
        console.print(_live_table("r (small)", _rows(event(), "r/samples/x.png", "good", verbose)))
    text = capture.get()
    for said in ("1,200 of 3,000", "3:05 min to go", "r/samples/x.png", "good"):
        assert said in text
    assert all((loss in text) is verbose for loss in LOSSES)
