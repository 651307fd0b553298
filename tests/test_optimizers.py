"""The optimizer is part of the recipe: each loss brings its paper's, and a run keeps its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from cli_runner import Run, command
from PIL import Image

from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.errors import UsageError
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.training.losses import LOSSES

SMALL = ("--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "4", "--steps", "2")


def test_losses_bring_the_settings_of_their_papers() -> None:
    """Arjovsky et al. 2017 and Gulrajani et al. 2017, algorithm 1 of each."""
    assert LOSSES["wgan"].recipe == {"optimizer": "rmsprop", "lr": 5e-5}
    assert LOSSES["wgan-gp"].recipe == {
        "optimizer": "adam", "lr": 1e-4, "beta1": 0.0, "beta2": 0.9
    }  # fmt: skip
    assert LOSSES["relativistic"].recipe == {"r1": 1.0, "r2": 1.0}
    for name, loss in LOSSES.items():
        assert bool(loss.recipe) == (name.startswith("wgan") or name == "relativistic")
        replace(tiny.RECIPE, **loss.recipe)  # only what a recipe has, in range


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(UsageError, match="--optimizer sgd: expected one of adam, rmsprop"):
        Recipe(optimizer="sgd")  # type: ignore[arg-type]


def test_one_update_of_rmsprop_by_hand(tmp_path: Path) -> None:
    """A first step moves by lr · g / (√(0.01 g²) + ε): ten times lr wherever g is not tiny."""
    recipe = replace(tiny.RECIPE, optimizer="rmsprop", lr=5e-5)
    with tiny.trainer(tmp_path, "wgan-gp", recipe=recipe) as trainer:
        before = [p.detach().clone() for p in trainer.updater.generator.parameters()]
        tiny.train(trainer, 1)
        for old, new in zip(before, trainer.updater.generator.parameters(), strict=True):
            assert new.grad is not None
            gradient = new.grad
            expected = old - 5e-5 * gradient / (0.1 * gradient.abs() + 1e-8)
            torch.testing.assert_close(new.detach(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", ["wgan", "wgan-gp"])
def test_a_stopped_run_goes_on_bit_for_bit(loss: str, tmp_path: Path) -> None:
    recipe = replace(tiny.RECIPE, **LOSSES[loss].recipe)
    options: dict[str, Any] = {"recipe": recipe, "d_steps": 2}
    with tiny.trainer(tmp_path / "whole", loss, **options) as trainer:
        tiny.train(trainer, 6)
        whole = trainer.checkpoint()
    with tiny.trainer(tmp_path / "parts", loss, **options) as trainer:
        tiny.train(trainer, 3)
    with tiny.trainer(tmp_path / "parts", loss, **options) as trainer:
        trainer.restore(load(tmp_path / "parts" / "last.pt"))
        tiny.train(trainer, 6)
        assert tiny.differences(trainer.checkpoint(), whole) == []
    names = {name for state in whole.optimizers["generator"]["state"].values() for name in state}
    assert names >= ({"square_avg"} if loss == "wgan" else {"exp_avg", "exp_avg_sq"})


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """`dcgan train ...` in an empty folder that has `images/`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    Path("images").mkdir()
    stream = np.random.default_rng(0)
    for number in range(24):
        pixels = stream.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(f"images/{number}.png")
    return command("train", capfdbinary)


def recipe_of(folder: str) -> dict[str, Any]:
    return json.loads(Path("checkpoints", folder, "config.json").read_text())["recipe"]


def test_the_papers_settings_are_used_and_said(run: Run) -> None:
    code, _, err = run("images", *SMALL, "--loss", "wgan", "--threads", "1")
    assert code == 0, err
    said = "loss wgan: RMSProp with lr 5e-05, 5 D steps per G step, as its paper trains it"
    assert said in err
    assert recipe_of("images")["optimizer"] == "rmsprop"
    assert recipe_of("images")["lr"] == 5e-5
    # resumed with nothing said, it keeps what it began with; another optimizer is refused
    code, _, err = run("images", "--resume", "--steps", "3", "--threads", "1")
    assert code == 0, err
    assert load(Path("checkpoints/images/last.pt")).recipe["optimizer"] == "rmsprop"
    code, _, err = run("images", "--resume", "--steps", "4", "--optimizer", "adam")
    assert code == 2
    assert "--optimizer adam: the run was begun with rmsprop" in err


def test_what_is_typed_wins(run: Run) -> None:
    cli_runner = ("--loss", "wgan-gp", "--lr", "0.001", "--d-steps", "1", "--threads", "1")
    code, _, err = run("images", *SMALL, *cli_runner)
    assert code == 0, err
    assert "Adam with lr 0.001, β₁ 0, β₂ 0.9, 1 D steps per G step" in err
    assert "but for --lr, --d-steps" in err
    found = recipe_of("images")
    assert (found["lr"], found["beta1"], found["beta2"]) == (0.001, 0.0, 0.9)


def test_other_losses_keep_the_presets_settings(run: Run) -> None:
    code, _, err = run("images", *SMALL, "--loss", "hinge", "--threads", "1")
    assert code == 0, err
    assert "as its paper trains it" not in err
    assert (recipe_of("images")["optimizer"], recipe_of("images")["lr"]) == ("adam", 2e-4)


def test_a_checkpoint_of_an_earlier_version_goes_on_with_adam(run: Run) -> None:
    assert run("images", *SMALL, "--loss", "wgan", "--optimizer", "adam", "--threads", "1")[0] == 0
    file = Path("checkpoints/images/last.pt")
    state = load(file)
    earlier = {name: value for name, value in state.recipe.items() if name != "optimizer"}
    save(file, replace(state, recipe=earlier))
    code, _, err = run("images", "--resume", "--steps", "3", "--threads", "1")
    assert code == 0, err
    assert load(file).recipe["optimizer"] == "adam"
