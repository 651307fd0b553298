"""Batch-norm statistics: re-estimation by hand, and one z is one image in every mode."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from dcgan_cli.model.batch_norm_statistics import (
    MODES,
    REFERENCE_BATCH,
    REFERENCE_SEED,
    BatchNormMode,
    fix_statistics,
    reestimate,
)
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize


def make_generator(seed: int = 0) -> Generator:
    """A tiny generator whose running statistics are like nothing its layers ever see."""
    generator = Generator(ModelConfig(size=16, channels=1, z_dim=4, ngf=3, bn_eps=1e-5))
    initialize(generator, torch.Generator().manual_seed(seed))
    for module in generator.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.fill_(0.3)
            module.running_var.fill_(7.0)
    return generator


def copy_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def settings_of(network: nn.Module) -> list[tuple[object, ...]]:
    """Everything that a pass may have left behind on any module."""
    return [
        (
            module.training,
            getattr(module, "momentum", None),
            getattr(module, "track_running_stats", None),
            len(module._forward_pre_hooks),
            len(module._forward_hooks),
        )
        for module in network.modules()
    ]


def test_reestimated_by_hand() -> None:
    """Two batches of unequal size count alike; the variance is the biased one."""
    layer = nn.BatchNorm1d(1)
    reestimate(layer, [torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [6.0], [6.0], [9.0]])])
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.running_mean.item() == (1.0 + 6.0) / 2
    assert layer.running_var.item() == (1.0 + 4.5) / 2


def test_reestimated_over_batch_height_and_width() -> None:
    layer = nn.BatchNorm2d(2)
    maps = torch.randn(3, 2, 4, 5)
    reestimate(layer, [maps])
    torch.testing.assert_close(layer.running_mean, maps.mean((0, 2, 3)))
    torch.testing.assert_close(layer.running_var, maps.var((0, 2, 3), correction=0))


def test_deeper_layers_see_input_normalized_by_batch() -> None:
    generator = make_generator()
    batches = [torch.randn(8, 4), torch.randn(8, 4)]
    seen: list[torch.Tensor] = []
    hook = generator.hidden[0][1].register_forward_pre_hook(  # type: ignore[index]
        lambda _, inputs: seen.append(inputs[0])
    )
    twin = make_generator().train()
    expected: list[torch.Tensor] = []
    twin.hidden[0][1].register_forward_pre_hook(  # type: ignore[index]
        lambda _, inputs: expected.append(inputs[0].detach())
    )
    for batch in batches:
        twin(batch)
    reestimate(generator, batches)
    hook.remove()
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))
    means = torch.stack([maps.mean((0, 2, 3)) for maps in expected]).mean(0)
    torch.testing.assert_close(generator.hidden[0][1].running_mean, means)  # type: ignore[index]


@pytest.mark.parametrize("training", [True, False])
def test_only_running_statistics_change(training: bool) -> None:
    generator = make_generator()
    generator.train(training)
    generator.hidden[0].train(not training)  # a mixture of modes is a state to be kept, too
    before, settings = copy_of(generator), settings_of(generator)
    reestimate(generator, [torch.randn(8, 4)])
    assert settings_of(generator) == settings
    for name, value in generator.state_dict().items():
        changed = name.endswith(("running_mean", "running_var"))
        assert torch.equal(value, before[name]) != changed, name


@pytest.mark.parametrize("good_batches", [0, 1, 3])
def test_nothing_changes_where_a_batch_fails(good_batches: int) -> None:
    generator = make_generator().eval()
    before, settings = copy_of(generator), settings_of(generator)

    def batches() -> Iterator[torch.Tensor]:
        for _ in range(good_batches):
            yield torch.randn(8, 4)
        raise ValueError("the data ended early")

    with pytest.raises(ValueError, match="ended early"):
        reestimate(generator, batches())
    with pytest.raises(RuntimeError):
        reestimate(generator, [torch.randn(8, 5)])  # no such z
    assert settings_of(generator) == settings
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


@pytest.mark.parametrize("mode", MODES)
def test_a_image_does_not_depend_on_what_is_drawn_beside_it(mode: BatchNormMode) -> None:
    generator = make_generator()
    fix_statistics(generator, mode)
    assert not any(module.training for module in generator.modules())
    with torch.no_grad():
        z = torch.randn(1, 4)
        alone = generator(z)
        for others in (torch.zeros(7, 4), 100 * torch.randn(7, 4)):
            together = generator(torch.cat((others, z)))[-1:]
            torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_modes_give_different_images_and_each_is_repeatable() -> None:
    z = torch.randn(4, 4)
    drawn: dict[str, torch.Tensor] = {}
    for mode in MODES:
        for _ in range(2):
            generator = make_generator()
            fix_statistics(generator, mode)
            with torch.no_grad():
                images = generator(z)
            assert torch.equal(drawn.setdefault(mode, images), images)
    assert len({tuple(images.flatten().tolist()) for images in drawn.values()}) == 3


def test_batch_mode_draws_the_reference_batch_as_training_would() -> None:
    generator = make_generator()
    reference = torch.from_numpy(seeded_latents(REFERENCE_SEED, REFERENCE_BATCH, 4, "uniform"))
    with torch.no_grad():
        as_in_training = make_generator().train()(reference)
        fix_statistics(generator, "batch")
        torch.testing.assert_close(generator(reference), as_in_training, rtol=0, atol=1e-5)


def test_running_mode_keeps_what_training_gathered() -> None:
    generator = make_generator()
    before = copy_of(generator)
    fix_statistics(generator, "running")
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
