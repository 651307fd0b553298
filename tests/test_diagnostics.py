"""Diagnostics: each diagnosis provoked by values and by real training, and what the policies do."""

# pyright: reportPrivateUsage=false

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from dcgan_cli.checkpoint.format import load
from dcgan_cli.errors import DiagnosisError
from dcgan_cli.training import trainer as module
from dcgan_cli.training.diagnostics import (
    COLLAPSE_PATIENCE,
    COLLAPSED,
    WINDOW,
    Diagnosis,
    Diagnostics,
    diversity,
)
from dcgan_cli.training.events import DiagnosisEvent, Event, Finished, Length, ProgressEvent
from dcgan_cli.training.step import METRICS
from dcgan_cli.training.trainer import ROLLBACKS, Trainer

WELL = {
    "d_loss": 1.0,
    "g_loss": 1.0,
    "d_real": 0.7,
    "d_fake": 0.3,
    "d_fake_after": 0.35,
    "g_gradient": 2.0,
    "d_gradient": 3.0,
}
SURE = {"d_real": 0.999, "d_fake": 0.001}
FLAT = {"g_gradient": 2.0e-4}


def rows(count: int, **changes: float) -> NDArray[np.float64]:
    values = {**WELL, **changes}
    return np.tile([values[name] for name in METRICS], (count, 1)).astype(np.float64)


def names(diagnoses: list[Diagnosis]) -> list[str]:
    return [diagnosis.name for diagnosis in diagnoses]


@pytest.mark.parametrize("figure", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_figure_that_is_not_finite_is_reported_at_once(figure: str, value: float) -> None:
    diagnostics = Diagnostics(probabilities=True)
    assert diagnostics.observe_steps(rows(3)) == []
    (diagnosis,) = diagnostics.observe_steps(rows(2, **{figure: value}))
    assert diagnosis.name == "not finite"
    assert figure in diagnosis.sign
    assert diagnostics.observe_steps(rows(200, **{figure: value})) == []


def test_a_sure_d_is_saturated_after_a_window_and_reported_once() -> None:
    diagnostics = Diagnostics(probabilities=True)
    assert diagnostics.observe_steps(rows(WINDOW - 1, **SURE)) == []
    assert names(diagnostics.observe_steps(rows(1, **SURE))) == ["D saturated"]
    assert diagnostics.observe_steps(rows(500, **SURE)) == []


def test_an_diagnosis_that_has_passed_is_reported_again_when_it_returns() -> None:
    diagnostics = Diagnostics(probabilities=True)
    assert names(diagnostics.observe_steps(rows(WINDOW, **SURE))) == ["D saturated"]
    assert diagnostics.observe_steps(rows(WINDOW)) == []
    assert names(diagnostics.observe_steps(rows(WINDOW, **SURE))) == ["D saturated"]


@pytest.mark.parametrize(
    "almost", [{"d_real": 0.999, "d_fake": 0.02}, {"d_real": 0.98, "d_fake": 0.001}]
)
def test_a_d_that_errs_on_one_side_is_not_saturated(almost: dict[str, float]) -> None:
    assert Diagnostics(probabilities=True).observe_steps(rows(3 * WINDOW, **almost)) == []


def test_a_critic_has_no_probabilities_that_could_saturate() -> None:
    assert Diagnostics(probabilities=False).observe_steps(rows(3 * WINDOW, **SURE)) == []


def test_saturation_is_classified_by_the_mean_of_the_last_window() -> None:
    diagnostics = Diagnostics(probabilities=True)
    diagnostics.observe_steps(rows(WINDOW))
    # D(x) passes 0.99 when 0.7 · n/100 + 0.999 · (100 − n)/100 does: with three or fewer of 0.7.
    assert diagnostics.observe_steps(rows(96, **SURE)) == []
    assert names(diagnostics.observe_steps(rows(4, **SURE))) == ["D saturated"]


def test_a_gradient_of_a_thousandth_has_vanished() -> None:
    diagnostics = Diagnostics(probabilities=False)
    assert diagnostics.observe_steps(rows(WINDOW)) == []
    assert diagnostics.observe_steps(rows(WINDOW, g_gradient=2.1e-3)) == []
    (diagnosis,) = diagnostics.observe_steps(rows(2 * WINDOW, **FLAT))
    assert diagnosis.name == "G's gradient vanished"
    assert diagnostics.observe_steps(rows(2 * WINDOW, **FLAT)) == []


def test_a_gradient_that_was_small_from_the_start_has_not_vanished() -> None:
    assert Diagnostics(probabilities=False).observe_steps(rows(5 * WINDOW, **FLAT)) == []


def test_diversity_that_falls_is_a_collapse() -> None:
    diagnostics = Diagnostics(probabilities=True)
    assert diagnostics.observe_diversity(200, 0.1) == []  # not yet learned, which is no collapse
    assert diagnostics.observe_diversity(400, 0.6) == []
    assert diagnostics.observe_diversity(600, COLLAPSED + 0.01) == []
    (diagnosis,) = diagnostics.observe_diversity(800, COLLAPSED - 0.01)
    assert diagnosis.name == "mode collapse"
    assert "0.24" in diagnosis.sign
    assert diagnostics.observe_diversity(1000, 0.1) == []
    assert diagnostics.observe_diversity(1200, 0.5) == []
    assert names(diagnostics.observe_diversity(1400, 0.1)) == ["mode collapse"]


def test_diversity_that_never_comes_is_a_collapse_in_the_end() -> None:
    diagnostics = Diagnostics(probabilities=True)
    assert diagnostics.observe_diversity(COLLAPSE_PATIENCE - 1, 0.1) == []
    assert names(diagnostics.observe_diversity(COLLAPSE_PATIENCE, 0.1)) == ["mode collapse"]


def test_diagnoses_do_not_hide_one_another() -> None:
    diagnostics = Diagnostics(probabilities=True)
    diagnostics.observe_steps(rows(WINDOW))
    assert diagnostics.observe_diversity(1, 0.9) == []
    assert names(diagnostics.observe_steps(rows(3 * WINDOW, **SURE, **FLAT))) == [
        "D saturated",
        "G's gradient vanished",
    ]
    assert names(diagnostics.observe_diversity(2, 0.1)) == ["mode collapse"]
    assert diagnostics.observe_steps(rows(1, **SURE, **FLAT)) == []
    assert names(diagnostics.observe_steps(rows(1, d_loss=np.nan))) == ["not finite"]


LIVES = st.lists(
    st.tuples(st.integers(1, 130), st.sampled_from(["well", "sure", "flat", "sure and flat"])),
    min_size=1,
    max_size=6,
)


@given(LIVES, st.data())
@settings(deadline=None, max_examples=40)
def test_neither_portions_nor_a_resumption_change_what_is_found(lives: Any, data: Any) -> None:
    """One step at a time, all at once, or with the state stored in between: the same findings."""
    changes = {"well": {}, "sure": SURE, "flat": FLAT, "sure and flat": {**SURE, **FLAT}}
    metrics = np.concatenate([rows(count, **changes[kind]) for count, kind in lives])
    cut = data.draw(st.integers(0, len(metrics)))
    at_once, one_by_one, first = (Diagnostics(probabilities=True) for _ in range(3))
    found = at_once.observe_steps(metrics)
    singly = [diagnosis for row in metrics for diagnosis in one_by_one.observe_steps(row[None])]
    before = first.observe_steps(metrics[:cut])
    second = Diagnostics(probabilities=True)
    second.restore(first.state())
    assert found == singly == before + second.observe_steps(metrics[cut:])
    assert at_once.state() == one_by_one.state() == second.state()


def test_diversity_by_hand() -> None:
    """Three images of two pixels: root mean squares of the pairs are 3, √(16/2) and √(2.5)."""
    images = np.array([[0, 0], [3, 3], [4, 0]], np.uint8).reshape(3, 1, 2, 1)
    expected = (3 + np.sqrt(16 / 2) + np.sqrt((1 + 9) / 2)) / 3
    assert diversity(images) == pytest.approx(expected)
    assert diversity(np.full((5, 4, 4, 3), 200, np.uint8)) == 0


# What real training does.


def diagnoses(events: list[Event]) -> list[str]:
    return [event.diagnosis.name for event in events if isinstance(event, DiagnosisEvent)]


BLINDING = replace(tiny.RECIPE, lr=1e30)


def test_some_hundred_healthy_steps_raise_nothing(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, images=tiny.Noise(128)) as trainer:
        events = tiny.train(trainer, 300)
    assert diagnoses(events) == []


@pytest.mark.parametrize("policy", ["warn", "stop"])
def test_values_that_are_not_finite_end_the_run_with_the_last_good_state(
    policy: Any, tmp_path: Path
) -> None:
    with tiny.trainer(tmp_path, policy=policy) as trainer:
        tiny.train(trainer, 4)
        good = load(trainer.folder.last)
    with tiny.trainer(tmp_path, recipe=BLINDING, policy=policy) as trainer:
        trainer.restore(good)
        for optimizer in (trainer.updater.g_optimizer, trainer.updater.d_optimizer):
            optimizer.param_groups[0]["lr"] = 1e30
        with pytest.raises(DiagnosisError, match=r"not finite .*last\.pt is the last good state"):
            tiny.train(trainer, 20)
    last = load(tmp_path / "last.pt")
    assert last.progress["step"] == 4
    assert tiny.differences(last, load(tmp_path / "epoch-0001.pt")) == []
    assert all(value.isfinite().all() for value in last.generator.values())
    with tiny.trainer(tmp_path) as trainer:
        trainer.restore(last)
        tiny.train(trainer, 8)


def test_an_error_of_diagnostics_is_one_line(tmp_path: Path) -> None:
    with (
        tiny.trainer(tmp_path, recipe=BLINDING) as trainer,
        pytest.raises(DiagnosisError) as raised,
    ):
        tiny.train(trainer, 20)
    text = str(raised.value)
    assert "\n" not in text
    assert "step" in text
    assert "--lr" in text


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        tiny.train(trainer, 3)
        before = (tmp_path / "last.pt").read_bytes()
        with torch.no_grad():
            trainer.updater.generator.to_rgb.weight[0, 0, 0, 0] = torch.nan
        with pytest.raises(DiagnosisError, match="no longer finite"):
            trainer._save(trainer.folder.last)
        assert (tmp_path / "last.pt").read_bytes() == before


def train_d_alone(trainer: Trainer) -> None:
    """G stands still, so that D comes to tell its images from the real ones with certainty."""
    trainer.updater.g_optimizer.param_groups[0]["lr"] = 0.0


EAGER = replace(tiny.RECIPE, lr=0.02)


def test_a_d_trained_alone_saturates_and_leaves_g_nothing_to_learn_from(tmp_path: Path) -> None:
    """Goodfellow et al. 2014, §3: the minimax gradient dies with D's certainty. Both said once."""
    recipe = replace(tiny.RECIPE, lr=2e-3)
    with tiny.trainer(tmp_path, "minimax", recipe=recipe, images=tiny.Noise(64)) as trainer:
        train_d_alone(trainer)
        assert diagnoses(tiny.train(trainer, 120)) == []
        (saturated,) = (e for e in tiny.train(trainer, 400) if isinstance(e, DiagnosisEvent))
        assert (saturated.diagnosis.name, saturated.action) == ("D saturated", "going on")
        # As sure as it would be much later: its logits 20 times as large.
        trainer.updater.discriminator.head.weight.data.mul_(20)
        trainer.updater.d_optimizer.param_groups[0]["lr"] = 0.0
        assert diagnoses(tiny.train(trainer, 540)) == ["G's gradient vanished"]


def test_a_g_that_draws_one_image_has_collapsed(tmp_path: Path) -> None:
    """Diverse at first; then its last weights shrink until every z gives the same gray."""
    recipe = replace(tiny.RECIPE, lr=1e-3)
    with tiny.trainer(tmp_path, recipe=recipe, images=tiny.Noise(64)) as trainer:
        to_rgb = trainer.updater.generator.to_rgb.weight.data
        to_rgb.mul_(100)
        assert diagnoses(tiny.train(trainer, 64)) == []
        assert trainer.diagnostics.state()["best_diversity"] > 0.8
        to_rgb.mul_(1e-3)
        assert diagnoses(tiny.train(trainer, 96)) == ["mode collapse"]


def test_stop_saves_the_state_and_says_why(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, recipe=EAGER, policy="stop") as trainer:
        train_d_alone(trainer)
        with pytest.raises(DiagnosisError, match=r"D saturated \(D\(x\) 0\.99"):
            tiny.train(trainer, 400)
        reached = trainer.step
    assert 100 <= reached < 400
    assert load(tmp_path / "last.pt").progress["step"] == reached
    with tiny.trainer(tmp_path, recipe=EAGER, policy="stop") as trainer:
        trainer.restore(load(trainer.folder.last))
        tiny.train(trainer, reached + 10)  # said once, it goes on when told to


def fall_ill(trainer: Trainer, steps: set[int], *found: Diagnosis) -> None:
    """Let the diagnostics check find something after each of `steps`, once each."""
    left = set(steps)

    def see(rows: NDArray[np.float64]) -> list[Diagnosis]:
        reached = set(range(trainer.step - len(rows) + 1, trainer.step + 1))
        due = left & reached
        left.difference_update(due)
        return list(found) if due else []

    trainer.diagnostics.observe_steps = see  # type: ignore[method-assign]


ILL = Diagnosis("D saturated", "by decree")
ILL_TOO = Diagnosis("G's gradient vanished", "by decree")


def rates(trainer: Trainer) -> set[float]:
    updater = trainer.updater
    return {
        group["lr"]
        for optimizer in (updater.g_optimizer, updater.d_optimizer)
        for group in optimizer.param_groups
    }


def latents_of(trainer: Trainer) -> list[bytes]:
    seen: list[bytes] = []

    def see(network: nn.Module, z: tuple[Tensor]) -> None:
        if network is trainer.updater.generator and network.training:  # not the copies that draw
            seen.append(z[0].numpy().tobytes())

    trainer.updater.generator.register_forward_pre_hook(see)
    return seen


def test_rollback_returns_with_half_the_rate_and_other_latents(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, policy="rollback") as trainer:
        tiny.train(trainer, 4)
        good = load(trainer.folder.last)
        seen = latents_of(trainer)
        fall_ill(trainer, {6}, ILL)
        trainer.batches.get((1, 0))
        run = trainer.run(Length(steps=6))
        event = next(event for event in run if isinstance(event, DiagnosisEvent))
        assert event.step == 6
        assert event.action == "back to step 4, learning rate 0.0001"
        assert trainer.step == 4
        assert trainer.attempt == 1
        assert rates(trainer) == {tiny.RECIPE.lr / 2}
        rolled = trainer.checkpoint()
        paths = tiny.differences(good, rolled)
        assert paths == [
            "optimizers/discriminator/param_groups/0/lr",
            "optimizers/generator/param_groups/0/lr",
            "progress/attempt",
        ]
        assert len(trainer.folder.read_metrics()) == 4
        *_, end = run
        assert isinstance(end, Finished)
        assert end.step == 6
        assert len(set(seen)) == len(seen) == 4
        assert [row["step"] for row in trainer.folder.read_metrics()] == [1, 2, 3, 4, 5, 6]
        assert load(trainer.folder.last).progress["attempt"] == 1


def test_a_run_that_was_rolled_back_resumes_exactly(tmp_path: Path) -> None:
    for name in ("straight", "resumed"):
        with tiny.trainer(tmp_path / name, policy="rollback") as trainer:
            fall_ill(trainer, {6}, ILL)
            tiny.train(trainer, 7 if name == "resumed" else 11)
    with tiny.trainer(tmp_path / "resumed", policy="rollback") as trainer:
        trainer.restore(load(trainer.folder.last))
        assert rates(trainer) == {tiny.RECIPE.lr / 2}
        trainer.diagnostics.observe_steps = lambda rows: []  # type: ignore[method-assign]
        tiny.train(trainer, 11)
    whole, parts = (load(tmp_path / name / "last.pt") for name in ("straight", "resumed"))
    assert tiny.differences(whole, parts) == []


def test_two_diagnoses_at_once_are_one_rollback(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, policy="rollback") as trainer:
        fall_ill(trainer, {3}, ILL, ILL_TOO)
        events = tiny.train(trainer, 4)
        assert diagnoses(events) == ["D saturated"]
        assert trainer.attempt == 1


def test_a_rollback_in_the_last_step_does_not_end_the_run_early(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, policy="rollback") as trainer:
        fall_ill(trainer, {6}, ILL)
        end = tiny.train(trainer, 6)[-1]
        assert isinstance(end, Finished)
        assert end.step == 6


def test_every_rollback_halves_the_rate_and_after_three_the_run_ends(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, policy="rollback") as trainer:
        tiny.train(trainer, 4)
        trainer.diagnostics.observe_steps = lambda rows: [ILL]  # type: ignore[method-assign]
        events: list[Event] = []
        with pytest.raises(DiagnosisError, match="after 3 rollbacks"):
            events.extend(trainer.run(Length(steps=8)))
    told = [event.action for event in events if isinstance(event, DiagnosisEvent)]
    assert ROLLBACKS == 3
    assert told == [
        f"back to step 4, learning rate {rate}" for rate in ("0.0001", "5e-05", "2.5e-05")
    ]
    assert load(tmp_path / "last.pt").progress["step"] == 4


def test_rollback_from_values_that_are_not_finite(tmp_path: Path) -> None:
    """A real blow-up: the weights, moments and statistics of before are all back."""
    with tiny.trainer(tmp_path, policy="rollback") as trainer:
        tiny.train(trainer, 4)
        trainer.updater.d_optimizer.param_groups[0]["lr"] = 1e38
        events = tiny.train(trainer, 12)
        assert diagnoses(events) == ["not finite"]
        assert rates(trainer) == {tiny.RECIPE.lr / 2}
        assert isinstance(events[-1], Finished)
        assert trainer.step == 12
        state = load(trainer.folder.last)
        assert all(value.isfinite().all() for value in state.discriminator.values())


def test_a_network_that_is_not_finite_is_not_drawn_from(tmp_path: Path) -> None:
    """Its diversity says nothing: one diagnosis is reported, by its right name."""
    with tiny.trainer(tmp_path, recipe=BLINDING, policy="rollback") as trainer:
        told: list[Event] = []
        with pytest.raises(DiagnosisError, match="not finite"):
            told.extend(trainer.run(Length(steps=400)))
        assert set(diagnoses(told)) <= {"not finite"}


def test_diversity_is_looked_at_however_ill_the_steps_were(tmp_path: Path) -> None:
    """Else what diagnostics remembers would depend on when the last report happened to be."""
    with tiny.trainer(tmp_path) as trainer:
        fall_ill(trainer, {4}, ILL)
        assert diagnoses(tiny.train(trainer, 4)) == ["D saturated"]
        assert trainer.diagnostics.state()["best_diversity"] > 0


def test_diagnostics_sees_every_step_whatever_the_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values wait on the device until a report is due; none is passed over."""
    monkeypatch.setattr(module, "DIVERSITY_EVERY", 1000)
    with tiny.trainer(tmp_path, images=tiny.Noise(400)) as trainer:
        seen: list[int] = []
        see = trainer.diagnostics.observe_steps

        def count(rows: NDArray[np.float64]) -> list[Diagnosis]:
            seen.append(len(rows))
            return see(rows)

        trainer.diagnostics.observe_steps = count  # type: ignore[method-assign]
        reports = [e for e in tiny.train(trainer, 30) if isinstance(e, ProgressEvent)]
        assert sum(seen) == 30
        assert len(seen) == len(reports)
        assert len(trainer.folder.read_metrics()) == 30
