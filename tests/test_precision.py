"""Training uses bfloat16 where it is asked for and its layers are right, however fast it is."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from cli_runner import command
from torch import Tensor, nn

from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.training import matmul_conv
from dcgan_cli.training.precision import check_bf16, choose_precision

CPU = torch.device("cpu")

Layer = Callable[[nn.Module, Tensor], Tensor]


def in_bfloat16(kind: type[nn.Module], spoil: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `spoil` compute layers of `kind` wherever bfloat16 is asked for."""
    kind = {nn.Conv2d: matmul_conv._Conv, nn.ConvTranspose2d: matmul_conv._ConvTranspose}.get(
        kind, kind
    )
    ordinary: Any = kind.forward

    def forward(layer: nn.Module, *given: Any) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            return spoil(layer, given[0])
        return ordinary(layer, *given)

    monkeypatch.setattr(kind, "forward", forward)


def computed(layer: Any, maps: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return nn.functional.linear(maps, layer.weight, layer.bias)
    if isinstance(layer, nn.Conv2d):
        return nn.functional.conv2d(maps, layer.weight, None, layer.stride, layer.padding)
    return nn.functional.conv_transpose2d(
        maps, layer.weight, None, layer.stride, layer.padding, layer.output_padding
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_pytorchs_own_layers_are_right(preset: str) -> None:
    model, _ = with_options(PRESETS[preset], {"size": 32, "ngf": 8, "ndf": 8, "channels": 3})
    assert check_bf16(model, CPU) is None


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d, nn.Linear])
def test_a_layer_that_is_wrong_is_named(
    kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_bfloat16(kind, lambda layer, maps: 1.1 * computed(layer, maps), monkeypatch)
    fault = check_bf16(tiny.MODEL, CPU)
    letter = "D" if kind is nn.Conv2d else "G"
    assert fault is not None
    assert fault.startswith(f"its numbers are wrong here ({letter} ")
    assert "is off by" in fault


def test_numbers_that_are_not_finite_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    in_bfloat16(nn.Conv2d, lambda layer, maps: computed(layer, maps) * torch.nan, monkeypatch)
    assert "wrong" in str(check_bf16(tiny.MODEL, CPU))


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is right; backwards, the weights are told nothing."""
    in_bfloat16(
        nn.Conv2d,
        lambda layer, maps: (lambda out: out + (1.5 * out - (1.5 * out).detach()))(
            computed(layer, maps)
        ),
        monkeypatch,
    )
    assert "D " in str(check_bf16(tiny.MODEL, CPU))


def test_no_timing_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(layer: nn.Module, maps: Tensor) -> Tensor:
        time.sleep(0.05)
        return computed(layer, maps)

    in_bfloat16(nn.Conv2d, slowly, monkeypatch)
    assert check_bf16(tiny.MODEL, CPU) is None


@pytest.mark.parametrize("amx", [True, False])
def test_auto_is_bf16_on_cpus_with_matrix_units(amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert choose_precision("auto", CPU) is (torch.bfloat16 if amx else torch.float32)
    assert choose_precision("fp32", CPU) is torch.float32
    assert choose_precision("bf16", CPU) is torch.bfloat16


def test_a_run_falls_back_and_says_so(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = command("train", capfdbinary)
    options = ["--size", "16", "--ngf", "2", "--ndf", "2", "--limit", "64", "--steps", "1"]
    options += ["--batch-size", "4", "--device", "cpu", "--precision", "bf16"]

    def precision_of(run: str) -> str:
        config = Path("checkpoints", run, "config.json").read_text()
        return json.loads(config)["training"]["precision"]

    code, _, said = train("demo:faces", "--run", "right", *options)
    assert code == 0
    assert "bf16:" not in said
    assert precision_of("right") == "bf16"
    in_bfloat16(nn.Conv2d, lambda layer, maps: 2 * computed(layer, maps), monkeypatch)
    code, _, said = train("demo:faces", "--run", "wrong", *options)
    assert code == 0
    assert "bf16: its numbers are wrong here (D layers.0.0" in said
    assert said.count("training in fp32") == 1
    assert precision_of("wrong") == "fp32"


def test_a_run_that_fell_back_stays_there(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed by the same words, or by torchrun, and not recommended what was refused."""
    monkeypatch.chdir(tmp_path)
    train = command("train", capfdbinary)
    options = ["demo:faces", "--run", "slow", "--limit", "64", "--device", "cpu"]
    options += ["--precision", "bf16"]
    shape = ["--size", "16", "--ngf", "2", "--ndf", "2", "--batch-size", "4"]
    in_bfloat16(nn.Conv2d, lambda layer, maps: 2 * computed(layer, maps), monkeypatch)
    code, _, said = train(*options, *shape, "--steps", "1")
    assert code == 0
    assert "training in fp32" in said
    assert "with: --precision" not in said
    config = Path("checkpoints", "slow", "config.json")
    code, _, said = train(*options, "--resume", "--steps", "2")
    assert code == 0
    assert "training in fp32" in said
    assert json.loads(config.read_text())["training"]["precision"] == "fp32"
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    in_bfloat16(nn.Conv2d, computed, monkeypatch)
    code, _, said = train(*options, "--steps", "3")
    assert code == 0, said
    assert "resuming at step 2" in said
    assert json.loads(config.read_text())["training"]["precision"] == "fp32"
