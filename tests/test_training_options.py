"""Augmentation, spectral norm, penalties, two rates, frozen layers, a warm start: by exact answers."""

# pyright: reportPrivateUsage=false

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import augmented_by_hand
import dataset_files
import numpy as np
import pytest
import tiny
import torch
from cli_runner import Run, command, untrained
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dcgan_cli.checkpoint.format import load, load_resumable, save
from dcgan_cli.errors import CheckpointError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator, freeze_layers
from dcgan_cli.model.layers import SpectralScale, initialize
from dcgan_cli.model.recipe import AUGMENTATIONS, Recipe
from dcgan_cli.training import step
from dcgan_cli.training.augment import CHANGES, DRAWS, augment
from dcgan_cli.training.diagnostics import Diagnosis
from dcgan_cli.training.matmul_conv import use_matrix_products
from dcgan_cli.training.regularizers import squared_gradient
from dcgan_cli.training.step import Updater

ALL = "color,translation,cutout"


# Augmentation


@given(
    st.integers(0, 1000),
    st.sampled_from([4, 5, 8, 12, 16]),
    st.lists(st.sampled_from(AUGMENTATIONS), min_size=1, max_size=3, unique=True),
)
@settings(deadline=None, max_examples=40)
def test_augmentation_is_that_of_its_paper(seed: int, side: int, names: list[str]) -> None:
    stream = np.random.default_rng(seed)
    images = torch.from_numpy(stream.uniform(-1, 1, (3, 2, side, side)).astype("float32"))
    draws = stream.random((3, DRAWS), "float32")
    ordered = [name for name in CHANGES if name in names]
    found = augment(images, torch.from_numpy(draws), ordered)
    for image, row, changed in zip(images, draws, found, strict=True):
        expected = augmented_by_hand.augmented(image, row, ordered)
        torch.testing.assert_close(changed, expected, rtol=1e-5, atol=1e-5)


def test_the_middle_draws_leave_colors_alone() -> None:
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(augment(images, torch.full((2, DRAWS), 0.5), ["color"]), images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_pass_an_augmentation(name: str) -> None:
    images = torch.rand(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    draws = torch.rand(2, DRAWS, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: augment(x, draws, [name]), images)


def test_every_place_and_shift_is_drawn() -> None:
    """Over many draws every shift up to an eighth, and a cutout around every pixel, occurs."""
    images = torch.ones(4000, 1, 16, 16)
    draws = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(0))
    moved = augment(images, draws, ["translation"])[:, 0]
    first_rows = moved.any(2).to(torch.int8).argmax(1)
    assert set(first_rows.tolist()) == {0, 1, 2}
    cut = 1 - augment(images, draws, ["cutout"])[:, 0]
    areas = cut.sum((1, 2))
    assert areas.max() == 64
    assert areas.min() >= 16  # a corner: a quarter of it
    assert cut.amax(0).min() == 1


@pytest.mark.parametrize("text", ["colour", "color,", "color,noise", ""])
def test_unknown_augmentations_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected one of color, translation, cutout, none"):
        Recipe(augment=text)


def test_real_and_generated_images_are_changed_by_other_draws() -> None:
    updater = made(augment=ALL)
    (given_,) = updater._draw_inputs(0, 0, lambda _: torch.zeros(4, 1, 16, 16))
    assert given_.augment is not None
    assert given_.augment.shape == (3, 4, DRAWS)
    assert len({tuple(each.flatten().tolist()) for each in given_.augment}) == 3
    (again,) = updater._draw_inputs(0, 1, lambda _: torch.zeros(4, 1, 16, 16))
    assert again.augment is not None
    assert not torch.equal(given_.augment, again.augment)


def made(loss: str = "non-saturating", model: ModelConfig = tiny.MODEL, **recipe: Any) -> Updater:
    return Updater(model, replace(tiny.RECIPE, **recipe), tiny.settings(loss))


# Spectral normalization

SPECTRAL = replace(tiny.MODEL, size=32, d_norm="spectral", ndf=4)


def spectral(config: ModelConfig = SPECTRAL) -> Discriminator:
    network = Discriminator(config)
    initialize(network, torch.Generator().manual_seed(0))
    return network


def test_every_layer_has_spectral_norm_one() -> None:
    network = spectral().eval()
    scales = [module for module in network.modules() if isinstance(module, SpectralScale)]
    assert len(scales) == SPECTRAL.levels + 1
    for scale in scales:
        scale.iterate(300)
    for layer in (*(each[0] for each in network.layers), network.head):  # type: ignore[index]
        scale = next(each for each in scales if each._layer[0] is layer)
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
        given_ = torch.randn(2, layer.weight.shape[1], *[8] * (layer.weight.dim() - 2))
        torch.testing.assert_close(
            scale(layer(given_)), layer(given_) / largest, rtol=1e-4, atol=1e-5
        )


def test_spectral_norm_is_that_of_pytorch_step_by_step() -> None:
    """The same singular vectors at the start: the same outputs and gradients for several passes."""
    conv = nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False)
    theirs = nn.utils.parametrizations.spectral_norm(deepcopy(conv), eps=1e-12)
    scale = SpectralScale(conv, 5)
    known = theirs.parametrizations["weight"][0]  # type: ignore[index]
    scale.u.copy_(known._u)
    scale.v.copy_(known._v)
    for number in range(4):
        images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(number))
        ours, expected = scale(conv(images)), theirs(images)
        torch.testing.assert_close(ours, expected)
        conv.zero_grad()
        theirs.zero_grad()
        ours.square().sum().backward()
        expected.square().sum().backward()
        original = theirs.parametrizations["weight"].original  # type: ignore[index]
        torch.testing.assert_close(conv.weight.grad, original.grad, rtol=1e-4, atol=1e-5)
    before = scale.u.clone()
    scale.eval()(conv(images))
    assert torch.equal(scale.u, before), "evaluation changes nothing"


def test_a_spectral_network_can_be_copied_saved_and_run_in_bf16(tmp_path: Path) -> None:
    network = spectral()
    images = torch.randn(2, 1, 32, 32)
    twin = deepcopy(network)
    for parameter in network.parameters():
        parameter.data.zero_()
    assert twin(images).abs().min() > 0, "a copy looks at its own weights"
    saved = untrained(SPECTRAL)
    save(tmp_path / "a.pt", saved)
    again = load(tmp_path / "a.pt").build_discriminator()
    torch.testing.assert_close(again.eval()(images), saved.build_discriminator().eval()(images))
    low = deepcopy(again)
    use_matrix_products(low)
    with torch.autocast("cpu", torch.bfloat16):
        rough = low.eval()(images).float()
    torch.testing.assert_close(rough, again.eval()(images), rtol=0.1, atol=0.02)


def test_spectral_norm_is_of_the_discriminator_alone() -> None:
    with pytest.raises(UsageError, match="--g-norm spectral: expected one of batch, layer, none"):
        ModelConfig(g_norm="spectral")  # type: ignore[arg-type]


# Penalties


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


def test_the_penalty_of_a_linear_discriminator() -> None:
    """‖w‖² = 25 at every image, and its slope is 2 w."""
    network = Linear()
    value = squared_gradient(network, torch.randn(7, 1, 1, 2))
    assert value.item() == pytest.approx(25)
    value.backward()
    assert network.weight.grad is not None
    assert network.weight.grad.tolist() == pytest.approx([6, 8])


def test_penalties_are_lazy() -> None:
    updater = made(r1=1.0)

    def weight(number: int) -> Tensor | None:
        (inputs,) = updater._draw_inputs(number, 0, lambda _: torch.zeros(4, 1, 16, 16))
        return inputs.lazy_weight

    assert [number for number in range(40) if weight(number) is not None] == [0, 16, 32]
    assert weight(16) == 16
    (inputs,) = made()._draw_inputs(0, 0, lambda _: torch.zeros(4, 1, 16, 16))
    assert inputs.lazy_weight is None


# Learning rates and frozen layers


def test_each_network_has_its_own_rate() -> None:
    def rates(updater: Updater) -> list[float]:
        optimizers = (updater.g_optimizer, updater.d_optimizer)
        return [optimizer.param_groups[0]["lr"] for optimizer in optimizers]

    assert rates(made(lr=1e-3)) == [1e-3, 1e-3]
    assert rates(made(lr=1e-3, lr_d=4e-4)) == [1e-3, 4e-4]
    assert rates(made(lr=1e-3, lr_g=2e-4, lr_d=4e-4)) == [2e-4, 4e-4]


def test_a_rollback_halves_each_rate(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path, recipe=replace(tiny.RECIPE, lr_g=1e-3, lr_d=4e-3)) as trainer:
        tiny.train(trainer, 1)
        said = trainer._roll_back(Diagnosis("D saturated", "by decree"))
        optimizers = trainer.updater.g_optimizer, trainer.updater.d_optimizer
        assert [each.param_groups[0]["lr"] for each in optimizers] == [5e-4, 2e-3]
        assert said.endswith("learning rate 0.0005 and 0.002")


@pytest.mark.parametrize("loss", ["non-saturating", "wgan"])
def test_frozen_layers_stay_and_the_others_are_trained(loss: str) -> None:
    updater = made(loss, freeze_d=1)
    before = {k: v.clone() for k, v in updater.discriminator.state_dict().items()}
    for number in range(3):
        updater.step(number, 0, lambda _: torch.rand(4, 1, 16, 16))
    for name, value in updater.discriminator.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("layers.0."), name


@pytest.mark.parametrize("count", [-1, 3])
def test_layers_that_are_not_there_cannot_be_frozen(count: int) -> None:
    with pytest.raises(UsageError, match="--freeze-d"):
        made(freeze_d=count)
    if count > 0:
        with pytest.raises(UsageError, match="the discriminator has 2 layers"):
            freeze_layers(Discriminator(tiny.MODEL), count)


# Resuming

KNOWN = {"loss": "non-saturating", "d_steps": 1, "ema": None, "seed": 7, "precision": "fp32"}

OPTIONS: dict[str, dict[str, Any]] = {
    "augment": {"recipe": replace(tiny.RECIPE, augment=ALL)},
    "penalties": {"recipe": replace(tiny.RECIPE, r1=0.5, r2=0.5)},
    "rates": {"recipe": replace(tiny.RECIPE, lr_g=1e-3, lr_d=2e-3)},
    "frozen": {"recipe": replace(tiny.RECIPE, freeze_d=1)},
    "spectral": {"model": replace(tiny.MODEL, d_norm="spectral")},
    "bf16": {
        "model": replace(tiny.MODEL, d_norm="spectral"),
        "recipe": replace(tiny.RECIPE, augment=ALL, r1=0.1, r2=0.1, freeze_d=1),
        "precision": torch.bfloat16,
    },
}


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
@pytest.mark.parametrize("option", OPTIONS)
def test_resuming_is_exact(
    option: str, loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """7 steps, with a lazy one before and after the stop, equal 4 and then 3 in every bit."""
    monkeypatch.setattr(step, "LAZY_STEPS", 3)
    common: dict[str, Any] = {"loss": loss, **OPTIONS[option]}
    with tiny.trainer(tmp_path / "whole", ema=0.9, **common) as trainer:
        tiny.train(trainer, 7)
    for stop in (4, 7):
        with tiny.trainer(tmp_path / "parts", ema=0.9, **common) as trainer:
            if stop == 7:
                trainer.restore(load(trainer.folder.last))
            tiny.train(trainer, stop)
    whole, parts = (load(tmp_path / name / "last.pt") for name in ("whole", "parts"))
    assert tiny.differences(whole, parts) == []


def test_a_run_of_an_earlier_version_can_be_resumed(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path / "run") as trainer:
        trainer.about["training"] = KNOWN
        tiny.train(trainer, 2)
        state = trainer.checkpoint()
    new = ("augment", "lr_g", "lr_d", "r1", "r2", "freeze_d")
    old = {key: value for key, value in state.recipe.items() if key not in new}
    assert len(old) == len(state.recipe) - len(new)
    save(tmp_path / "old.pt", replace(state, recipe=old))
    assert Recipe(**load_resumable(tmp_path / "old.pt").recipe) == tiny.RECIPE


def test_moments_of_frozen_layers_are_not_missed_and_others_are(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path / "run", recipe=replace(tiny.RECIPE, freeze_d=1)) as trainer:
        trainer.about["training"] = KNOWN
        tiny.train(trainer, 2)
        state = trainer.checkpoint()
    load_resumable(tmp_path / "run" / "last.pt")
    save(tmp_path / "wrong.pt", replace(state, recipe={**state.recipe, "freeze_d": 0}))
    with pytest.raises(CheckpointError, match="parameters"):
        load_resumable(tmp_path / "wrong.pt")


# A warm start


@pytest.fixture
def train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """`dcgan train ...` in a folder with `photos`, and `first.pt` of networks of 16 pixels."""
    images = {f"{number:02}.png": dataset_files.png(number, 16) for number in range(12)}
    dataset_files.write_folder(tmp_path / "photos", images)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    config = ModelConfig(size=16, channels=3, z_dim=4, z_dist="normal", ngf=2, ndf=2, kernel=4)
    save(tmp_path / "first.pt", untrained(config))
    return command("train", capfdbinary)


BEGIN = ("photos", "--run", "new", "--from", "first.pt", "--batch-size", "4", "--threads", "1")


def test_a_warm_start_begins_with_the_weights_and_nothing_else(train: Run) -> None:
    code, _, err = train(*BEGIN, "--steps", "0", "--ema", "0.9")
    assert code == 0, err
    first, begun = load(Path("first.pt")), load(Path("checkpoints/new/last.pt"))
    for name in ("generator", "discriminator"):
        weights = getattr(begun, name)
        assert all(torch.equal(value, weights[key]) for key, value in getattr(first, name).items())
    assert begun.average is not None
    assert all(torch.equal(begun.average[key], value) for key, value in first.generator.items())
    assert not begun.optimizers["generator"]["state"]
    assert begun.training["from"] == first.hash
    assert (begun.progress["step"], begun.model) == (0, first.model)


def test_a_warm_start_is_trained_and_resumed(train: Run) -> None:
    assert train(*BEGIN, "--steps", "2", "--freeze-d", "1")[0] == 0
    code, _, err = train("photos", "--run", "new", "--resume", "--steps", "4")
    assert code == 0, err
    first, ended = load(Path("first.pt")), load(Path("checkpoints/new/last.pt"))
    assert ended.training["from"] == first.hash
    for key, value in first.discriminator.items():
        assert torch.equal(ended.discriminator[key], value) == key.startswith("layers.0.")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--ngf", "3"), "--ngf 3: the networks of --from first.pt have 2"),
        (("--size", "32"), "--size 32: the networks of --from first.pt have 16"),
        (("--resume",), "--from begins a run, --resume goes on with one"),
        (("--freeze-d", "5"), "--freeze-d 5: the discriminator has 2 layers"),
    ],
)
def test_what_does_not_go_with_a_warm_start(more: tuple[str, ...], said: str, train: Run) -> None:
    code, _, err = train(*BEGIN, *more, "--steps", "1")
    assert code == 2
    assert said in err


def test_a_warm_start_of_nothing_is_refused_at_once(train: Run) -> None:
    code, _, err = train("photos", "--from", "nobody", "--steps", "1")
    assert code == 1
    assert "nobody: neither a checkpoint file nor a run" in err


def test_what_is_typed_as_it_is_there_is_taken(train: Run) -> None:
    assert train(*BEGIN, "--ngf", "2", "--size", "16", "--steps", "0")[0] == 0
