"""`train --evaluate-every`: KID in the metrics, best.pt, and a run that is past its best."""

# pyright: reportPrivateUsage=false

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from cli_runner import Run, command
from PIL import Image

from dcgan_cli.checkpoint.format import load
from dcgan_cli.errors import DiagnosisError
from dcgan_cli.model.generator import Generator
from dcgan_cli.render.curves import encode_curves
from dcgan_cli.report import Estimate
from dcgan_cli.training.events import DiagnosisEvent, Evaluated
from dcgan_cli.training.trainer import Trainer


def planted(values: Iterator[float]) -> Any:
    """An evaluator that finds `values`, each ± 0.1."""

    def evaluate(_: Generator) -> Estimate:
        value = next(values)
        return Estimate(value, value - 0.1, value + 0.1, 8, "planted")

    return evaluate


def evaluated(trainer: Trainer, values: list[float], steps: int) -> list[Any]:
    trainer.evaluator = planted(iter(values))
    return list(tiny.train(trainer, steps))


def test_the_best_state_is_kept_and_what_is_past_it_is_said(tmp_path: Path) -> None:
    """Four epochs of four steps."""
    with tiny.trainer(tmp_path) as trainer:
        events = evaluated(trainer, [1.0, 0.5, 0.6, 0.9], 16)
        folder = trainer.folder
    found = [event for event in events if isinstance(event, Evaluated)]
    assert [(event.epoch, event.is_best) for event in found] == [
        (1, True), (2, True), (3, False), (4, False)
    ]  # fmt: skip
    assert load(folder.best).progress["step"] == 8
    (said,) = [event.diagnosis for event in events if isinstance(event, DiagnosisEvent)]
    assert said.name == "past its best"
    assert "since epoch 2: KID 0.9 [0.8, 1], then 0.5 [0.4, 0.6]" in said.sign
    rows = [row for row in trainer.folder.read_metrics() if "kid" in row]
    assert [(row["step"], row["kid"]) for row in rows] == [(4, 1), (8, 0.5), (12, 0.6), (16, 0.9)]
    assert rows[0]["kid_high"] == pytest.approx(1.1)


def test_evaluations_are_so_many_epochs_apart(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        trainer.evaluate_every = 2
        events = evaluated(trainer, [1.0, 0.5], 16)
    assert [event.epoch for event in events if isinstance(event, Evaluated)] == [2, 4]


def test_a_resumed_run_knows_the_best_one(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        evaluated(trainer, [0.5], 4)
    with tiny.trainer(tmp_path) as trainer:
        trainer.restore(load(trainer.folder.last))
        events = evaluated(trainer, [0.9], 8)
        assert load(trainer.folder.best).progress["step"] == 4
    assert [event.is_best for event in events if isinstance(event, Evaluated)] == [False]
    assert any(isinstance(event, DiagnosisEvent) for event in events)


def test_evaluating_does_not_change_the_training(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path / "with", ema=0.9) as trainer:
        evaluated(trainer, [0.5, 0.4], 8)
    with tiny.trainer(tmp_path / "without", ema=0.9) as trainer:
        tiny.train(trainer, 8)
    one, other = (load(tmp_path / name / "last.pt") for name in ("with", "without"))
    differing = tiny.differences(one, other)
    assert all(path.startswith("progress/evaluations/") for path in differing)
    assert one.hash == other.hash


@pytest.mark.parametrize("policy", ["stop", "rollback"])
def test_policies(policy: Any, tmp_path: Path) -> None:
    """`stop` ends a run that is past its best; `rollback` goes on: nothing is broken."""
    with tiny.trainer(tmp_path, policy=policy) as trainer:
        if policy == "stop":
            with pytest.raises(DiagnosisError, match="past its best"):
                evaluated(trainer, [0.5, 0.9], 12)
        else:
            evaluated(trainer, [0.5, 0.9, 0.9], 12)
        assert load(trainer.folder.last).progress["step"] == (8 if policy == "stop" else 12)


@pytest.mark.parametrize("evaluations", [0, 3])
def test_curves_have_a_panel_for_it(evaluations: int) -> None:
    names = ("d_loss", "g_loss", "d_real", "d_fake", "d_fake_after", "g_gradient", "d_gradient")
    rows: list[dict[str, float]] = [
        {"step": step, **dict.fromkeys(names, 1.0 / step)} for step in range(1, 40)
    ]
    rows += [
        {"step": 10 * n, "kid": 1 / n, "kid_low": 0.9 / n, "kid_high": 1.1 / n}
        for n in range(1, evaluations + 1)
    ]
    import io

    with Image.open(io.BytesIO(encode_curves(rows, "run"))) as image:
        assert image.height == pytest.approx(
            (9.5 if evaluations else 7.5) * image.width / 8, rel=0.02
        )


def test_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dcgan_cli.analysis.evaluate.feature_networks.PACKAGE", "not_there")
    monkeypatch.setattr("dcgan_cli.cli.train.evaluator.EVALUATED", 40)
    run: Run = command("train", capfdbinary)
    small = ("--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "16", "--run", "f")
    code, _, err = run("demo:faces:60", *small, "--steps", "6", "--evaluate-every", "1")
    assert code == 0, err
    assert "epoch 1: KID " in err
    assert "the best so far: checkpoints/f/best.pt" in err
    assert Path("checkpoints/f/best.pt").is_file()
    code, _, err = run("demo:faces:60", *small, "--steps", "0", "--overwrite")
    assert code == 0, err
    assert not Path("checkpoints/f/best.pt").exists()
