"""How long a run is if nobody says, and what is said of it before it begins."""

from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from dcgan_cli.cli.train import display
from dcgan_cli.model.presets import PRESETS
from dcgan_cli.model.recipe import USUAL_STEPS
from dcgan_cli.report import Table
from dcgan_cli.training.events import Length
from dcgan_cli.training.plan import RECOGNIZABLE_STEPS, TrainingPlan, usual_length


@given(st.integers(1, 10**6), st.sampled_from(sorted(PRESETS)))
def test_a_small_set_gets_as_many_epochs_as_it_takes(steps_per_epoch: int, preset: str) -> None:
    recipe = PRESETS[preset].recipe
    epochs = usual_length(recipe, steps_per_epoch).epochs
    assert epochs is not None
    assert epochs * steps_per_epoch >= USUAL_STEPS
    assert epochs == recipe.epochs or (epochs - 1) * steps_per_epoch < USUAL_STEPS


def said(tmp_path: Path, length: Length, seconds_per_step: float = 0.25) -> str:
    plan = TrainingPlan(Table("", (), []), 0, seconds_per_step, 0.0, 16.0, 0, (), None)
    with tiny.trainer(tmp_path) as trainer:  # of four steps an epoch
        return display._expected(plan, trainer, length)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (Length(epochs=1250), "5,000 steps, 1,250 epochs, at 16 images/s: 20:50 min to go, first"),
        (Length(steps=2), "2 steps, part of an epoch, at 16 images/s: 0 s to go"),
        (Length(minutes=5), "at 16 images/s: 5:00 min to go"),
        (Length(minutes=60), "at 16 images/s: 1:00 h to go, first recognizable images after about"),
        (
            Length(steps=RECOGNIZABLE_STEPS),
            "1,500 steps, 375 epochs, at 16 images/s: 6:15 min to go",
        ),
    ],
)
def test_the_plan_says_how_long_it_takes(tmp_path: Path, length: Length, expected: str) -> None:
    text = said(tmp_path, length)
    assert text.startswith(expected)
    assert ("recognizable" in text) == expected.endswith(("first", "about"))


def test_a_quick_run_needs_no_second_time(tmp_path: Path) -> None:
    assert "recognizable" not in said(tmp_path, Length(epochs=1250), 0.01)
