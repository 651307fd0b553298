"""`dcgan train --profile`: where a step's time goes, against what is known of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from test_cli import dcgan, one_line
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.training import profile
from dcgan_cli.training.profile import profile_steps


def multiplications(network: torch.nn.Module, given: torch.Tensor) -> int:
    """Of all convolutions of one pass, by their definition: each output meets each of its weights."""
    total = 0

    def count(layer: Any, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        spread = isinstance(layer, torch.nn.ConvTranspose2d)
        meets = (inputs[0] if spread else output).numel() // layer.weight.shape[0]
        total += meets * layer.weight.numel()

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(given)
    return total


def test_operations_are_those_that_a_step_needs(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        report = profile_steps(trainer, steps=2)
        model, batch = trainer.model, trainer.recipe.batch_size
    images = torch.zeros(batch, model.channels, model.size, model.size)
    in_d = multiplications(Discriminator(model), images)
    in_g = multiplications(Generator(model), torch.zeros(batch, model.z_dim))
    # D: real and fake forwards, G's forward through D; backward twice a forward for weights and
    # maps, but for the maps of the first layer, and but for D's weights in G's step. G: three
    # times.
    roughly = 2 * (3 * in_g + 3 * in_d + 2 * 2 * in_d + in_d)
    assert report.facts["gigaflop_per_step"] * 1e9 == pytest.approx(roughly, rel=0.1)
    assert report.facts["share_of_matrix_product"] > 0


def test_kinds_make_up_the_step_and_name_what_it_does(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        before = trainer.step
        report = profile_steps(trainer, steps=3)
        assert trainer.step == before + profile.WARM_UP + 1 + 2 * 3
        assert list(tmp_path.rglob("*.pt")) == [], "nothing was written"
    kinds, slowest = report.tables
    shares = {row[0]: float(str(row[2])) for row in kinds.rows}
    assert {"convolution", "convolution, backward", "batch norm", "optimizer", "batch"} <= set(
        shares
    )
    assert sum(shares.values()) == pytest.approx(1, abs=0.01 * len(shares))
    calls = {row[0]: row[3] for row in kinds.rows}
    assert calls["batch"] == 1
    assert 0 < len(slowest.rows) <= profile.SLOWEST


def test_what_a_gpu_does_is_counted_once() -> None:
    """PyTorch lists an operation, whose time on the GPU is that of its kernels, and the kernels too."""
    options: dict[str, Any] = {"thread": 1, "start_us": 0, "end_us": 9, "use_device": "cuda"}
    convolution = FunctionEvent(id=1, name="aten::conv2d", **options)
    convolution.append_kernel("sgemm", 0, 3000)
    kernel = FunctionEvent(id=2, name="sgemm", device_type=DeviceType.CUDA, **options)
    span = FunctionEvent(id=3, name="batch", device_type=DeviceType.CUDA, **options)
    operations = profile._operations([convolution, kernel, span])
    kinds = profile._by_kind(operations, torch.device("cuda"), steps=2)
    assert kinds == {"convolution": (0.0015, 0.5)}


def test_the_command_says_it_all_and_writes_nothing(tmp_path: Path) -> None:
    typing = ("train", "digits", "--size", "16", "--ngf", "8", "--ndf", "8", "--profile")
    typing += ("--precision", "fp32")  # auto is bf16 on some processors
    result = dcgan(*typing, folder=tmp_path)
    said = result.stderr.decode()
    assert result.returncode == 0, said
    assert "Where a step's time goes" in result.stdout.decode()
    assert "convolution, backward" in result.stdout.decode()
    assert " ms a step, so 1,000 steps take " in result.stdout.decode().splitlines()[0]
    assert "profiler" not in said
    assert "to go" not in said
    document = json.loads(dcgan(*typing, "--json", folder=tmp_path).stdout)
    assert document["milliseconds_per_step"] > 0
    assert document["precision"] == "fp32"
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_that_is_not_there_cannot_be_profiled_on(tmp_path: Path) -> None:
    result = dcgan("train", "digits", "--profile", "--resume", folder=tmp_path)
    assert "holds no last.pt" in one_line(result, 2)
