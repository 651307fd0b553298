"""How long a run is if nobody says, and what is said of it before it begins."""

from pathlib import Path

import pytest
import tiny
from cli_runner import command
from hypothesis import given
from hypothesis import strategies as st

from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.cli.train import display
from dcgan_cli.model.presets import PRESETS
from dcgan_cli.model.recipe import usual_steps
from dcgan_cli.training import events
from dcgan_cli.training.events import Length, ProgressEvent
from dcgan_cli.training.plan import RECOGNIZABLE_STEPS, recognizable_steps, usual_length
from dcgan_cli.training.step import Updater


@given(st.integers(1, 10**6), st.sampled_from(sorted(PRESETS)))
def test_a_small_set_gets_as_many_epochs_as_it_takes(steps_per_epoch: int, preset: str) -> None:
    recipe = PRESETS[preset].recipe
    epochs = usual_length(recipe, steps_per_epoch).epochs
    assert epochs is not None
    usual = usual_steps(recipe.batch_size)
    assert epochs * steps_per_epoch >= usual
    assert epochs == recipe.epochs or (epochs - 1) * steps_per_epoch < usual


def test_smaller_batches_take_more_steps() -> None:
    assert [usual_steps(batch) for batch in (128, 64, 32, 16)] == [5000, 5000, 10_000, 20_000]
    assert [recognizable_steps(batch) for batch in (128, 64, 16)] == [1500, 1500, 3000]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (Length(epochs=1250), "5,000 steps, 1,250 epochs"),
        (Length(steps=2), "2 steps, part of an epoch"),
        (Length(steps=1), "1 step, part of an epoch"),
        (Length(minutes=5), "5:00 min"),
        (Length(steps=8, minutes=60), "8 steps, 2 epochs, at most 1:00 h"),
    ],
)
def test_the_plan_says_how_long_a_run_is(tmp_path: Path, length: Length, expected: str) -> None:
    with tiny.trainer(tmp_path) as trainer:  # of four steps an epoch
        assert display._length(trainer, length) == expected


@pytest.mark.parametrize(
    ("step", "left", "expected"),
    [
        (8, 1248.0, "16 images/s: 20:48 min to go, first recognizable images after about 6:13 min"),
        (8, 373.0, "16 images/s: 6:13 min to go"),
        (8, None, "16 images/s: open end to go, first recognizable images after about 6:13 min"),
        (RECOGNIZABLE_STEPS - 8, 900.0, "16 images/s: 15:00 min to go"),
        (RECOGNIZABLE_STEPS + 8, 900.0, "16 images/s: 15:00 min to go"),
    ],
)
def test_the_first_steps_say_when_there_is_something_to_see(
    step: int, left: float | None, expected: str
) -> None:
    event = ProgressEvent(step, 5000, step / 4, 16.0, 2.0, left, {})
    assert display._estimate(event, 4, RECOGNIZABLE_STEPS) == expected


def train(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `dcgan train` says of three tiny steps."""
    line = ["train", "digits", "--size", "8", "--ngf", "4", "--ndf", "4", "--limit", "64"]
    line += ["--batch-size", "16", "--steps", "3", *options]
    assert run_guarded(lambda: app(line, standalone_mode=False)) == 0
    return capsys.readouterr().err


def test_the_speed_of_a_run_is_said_once_of_its_own_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "ESTIMATE_SECONDS", 0.0)
    monkeypatch.setattr(events, "REPORT_SECONDS", 0.0)
    made: list[Updater] = []
    begin = Updater.__init__
    monkeypatch.setattr(Updater, "__init__", lambda self, *a: made.append(self) or begin(self, *a))
    said = train(capsys, "--out", str(tmp_path))
    assert said.count(" images/s: ") == 1
    assert "3 steps, part of an epoch; Ctrl-C saves and leaves\n" in said
    assert len(made) == 1, "no other networks are trained to know the speed"


@pytest.mark.parametrize(
    ("images", "more", "said"),
    [
        (70, (), "--augment color,translation,cutout --ema 0.999"),
        (1000, (), "--preset photos"),
        (70, ("--preset", "small"), None),
        (70, ("--ema", "0.99"), None),
        (70, ("--lr", "1e-3"), None),
    ],
)
def test_a_run_says_what_does_better_where_nothing_was_chosen(
    images: int,
    more: tuple[str, ...],
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    run = command("train", capfdbinary)
    code, _, err = run(f"demo:faces:{images}", "--steps", "0", "--device", "cpu", *more)
    assert code == 0, err
    lines = [line for line in err.splitlines() if line.startswith("better images in the same time")]
    assert [line.partition(": ")[2] for line in lines] == ([] if said is None else [said])
