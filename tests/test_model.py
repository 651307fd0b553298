"""The networks against section 1 of the protocol: shapes, presets, sizes, initial weights."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig, Norm
from dcgan_cli.model.discriminator import SLOPE, Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import Project, conv, conv_transpose, initialize
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.model.sizes import largest_size, split_size

SIZES = [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256]

Shapes = dict[str, tuple[int, ...]]


def shapes(kind: Callable[[ModelConfig], nn.Module], config: ModelConfig) -> Shapes:
    """Names and shapes of all trained parameters, nothing allocated."""
    with torch.device("meta"):
        network = kind(config)
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


def four_level_generator(width: int, kernel: int, norm_units: int) -> Shapes:
    """The 64-pixel generator of Fig. 1, `width` maps in its last hidden layer."""
    top = 8 * width
    result: Shapes = {
        "project.linear.weight": (16 * top, 100),
        "project.norm.weight": (norm_units,),
        "project.norm.bias": (norm_units,),
    }
    for i in range(3):
        inputs, outputs = top >> i, top >> (i + 1)
        result[f"hidden.{i}.0.weight"] = (inputs, outputs, kernel, kernel)
        result[f"hidden.{i}.1.weight"] = result[f"hidden.{i}.1.bias"] = (outputs,)
    return {**result, "to_rgb.weight": (width, 3, kernel, kernel)}


def four_level_discriminator(width: int, kernel: int) -> Shapes:
    result: Shapes = {"layers.0.0.weight": (width, 3, kernel, kernel)}
    for i in range(1, 4):
        inputs, outputs = width << (i - 1), width << i
        result[f"layers.{i}.0.weight"] = (outputs, inputs, kernel, kernel)
        result[f"layers.{i}.1.weight"] = result[f"layers.{i}.1.bias"] = (outputs,)
    return {**result, "head.weight": (1, 16 * 8 * width)}


def test_paper_generator_is_that_of_figure_1() -> None:
    assert shapes(Generator, PRESETS["paper"].model) == {
        "project.linear.weight": (16384, 100),
        "project.norm.weight": (16384,),
        "project.norm.bias": (16384,),
        "hidden.0.0.weight": (1024, 512, 5, 5),
        "hidden.0.1.weight": (512,),
        "hidden.0.1.bias": (512,),
        "hidden.1.0.weight": (512, 256, 5, 5),
        "hidden.1.1.weight": (256,),
        "hidden.1.1.bias": (256,),
        "hidden.2.0.weight": (256, 128, 5, 5),
        "hidden.2.1.weight": (128,),
        "hidden.2.1.bias": (128,),
        "to_rgb.weight": (128, 3, 5, 5),
    }


def test_paper_discriminator_has_no_norm_on_its_first_layer_and_a_linear_end() -> None:
    assert shapes(Discriminator, PRESETS["paper"].model) == {
        "layers.0.0.weight": (128, 3, 5, 5),
        "layers.1.0.weight": (256, 128, 5, 5),
        "layers.1.1.weight": (256,),
        "layers.1.1.bias": (256,),
        "layers.2.0.weight": (512, 256, 5, 5),
        "layers.2.1.weight": (512,),
        "layers.2.1.bias": (512,),
        "layers.3.0.weight": (1024, 512, 5, 5),
        "layers.3.1.weight": (1024,),
        "layers.3.1.bias": (1024,),
        "head.weight": (1, 16384),
    }


@pytest.mark.parametrize(
    ("name", "width", "kernel", "norm_units"),
    [
        ("paper", 128, 5, 16 * 1024),
        ("torch", 64, 4, 512),
        ("tutorial", 64, 4, 512),
        ("photos", 32, 4, 256),
        ("small", 32, 4, 256),
    ],
)
def test_preset_shapes(name: str, width: int, kernel: int, norm_units: int) -> None:
    config = PRESETS[name].model
    assert shapes(Generator, config) == four_level_generator(width, kernel, norm_units)
    assert shapes(Discriminator, config) == four_level_discriminator(width, kernel)


def test_svhn_networks_have_the_shapes_of_the_released_weights() -> None:
    config = ModelConfig(size=32, ngf=64, ndf=64, z_dist="normal")
    assert list(shapes(Generator, config).values()) == [
        (4096, 100),  # the released file holds the transpose: a matrix product from the right
        (4096,),
        (4096,),
        (256, 128, 5, 5),
        (128,),
        (128,),
        (128, 64, 5, 5),
        (64,),
        (64,),
        (64, 3, 5, 5),
    ]
    assert list(shapes(Discriminator, config).values()) == [
        (64, 3, 5, 5),
        (128, 64, 5, 5),
        (128,),
        (128,),
        (256, 128, 5, 5),
        (256,),
        (256,),
        (1, 4096),
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_only_norms_have_biases(name: str) -> None:
    for kind in (Generator, Discriminator):
        with torch.device("meta"):
            network = kind(PRESETS[name].model)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert module.bias is None


@pytest.mark.parametrize(
    ("name", "z_dist", "projection", "eps"),
    [
        ("paper", "uniform", "unit", 1e-8),
        ("torch", "normal", "channel", 1e-5),
        ("tutorial", "normal", "channel", 1e-5),
        ("small", "normal", "channel", 1e-5),
        ("photos", "normal", "channel", 1e-5),
    ],
)
def test_preset_networks(name: str, z_dist: str, projection: str, eps: float) -> None:
    config = PRESETS[name].model
    assert (config.size, config.channels, config.z_dim) == (64, 3, 100)
    assert (config.z_dist, config.projection, config.bn_eps) == (z_dist, projection, eps)
    for kind in (Generator, Discriminator):
        with torch.device("meta"):
            network = kind(config)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {eps}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper", Recipe(128, "adam", 2e-4, 0.5, 0.999, 1e-5, "alternate", "center", False, 25)),
        ("torch", Recipe(64, "adam", 2e-4, 0.5, 0.999, 0.0, "together", "random", True, 25)),
        ("tutorial", Recipe(64, "adam", 2e-4, 0.5, 0.999, 0.0, "together", "center", False, 25)),
        ("small", Recipe(64, "adam", 2e-4, 0.5, 0.999, 0.0, "together", "center", False, 25)),
        ("photos", Recipe(16, "adam", 2e-4, 0.5, 0.999, 0.0, "together", "center", False, 25)),
    ],
)
def test_preset_recipes(name: str, expected: Recipe) -> None:
    assert PRESETS[name].recipe == expected
    assert PRESETS[name].ema == (0.999 if name == "photos" else None)


def test_every_value_can_be_overridden() -> None:
    model, recipe = with_options(
        PRESETS["paper"], {"size": 32, "kernel": 3, "lr": 1e-3, "flip": True, "ngf": None}
    )
    assert model == replace(PRESETS["paper"].model, size=32, kernel=3)
    assert recipe == replace(PRESETS["paper"].recipe, lr=1e-3, flip=True)
    with pytest.raises(TypeError):
        with_options(PRESETS["paper"], {"kernal": 3})


@pytest.mark.parametrize(
    "values",
    [
        {"channels": 2},
        {"channels": True},
        {"kernel": 6},
        {"kernel": 5.0},
        {"size": 64.0},
        {"size": float("inf")},
        {"size": "64"},
        {"z_dim": 0},
        {"ngf": -1},
        {"ndf": 1.5},
        {"bn_eps": 0.0},
        {"bn_eps": float("nan")},
        {"bn_eps": float("inf")},
        {"z_dist": "cauchy"},
        {"projection": "pixel"},
        {"g_norm": "spectral"},
        {"d_norm": None},
    ],
)
def test_networks_that_cannot_be_built_are_refused(values: dict[str, object]) -> None:
    (option,) = values
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} "):
        ModelConfig.from_dict(values)


@pytest.mark.parametrize(
    "values",
    [
        {"batch_size": 1},
        {"lr": 0.0},
        {"lr": float("inf")},
        {"beta1": 1.0},
        {"beta2": float("nan")},
        {"weight_decay": -1e-5},
        {"weight_decay": float("nan")},
        {"updates": "never"},
        {"crop": "left"},
        {"epochs": 0},
    ],
)
def test_recipes_that_cannot_train_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(values)).replace('_', '-')} "):
        Recipe(**values)  # type: ignore[arg-type]


def test_configuration_survives_its_dictionary() -> None:
    config = ModelConfig(size=28, channels=1, z_dist="normal", kernel=3, d_norm="layer")
    assert ModelConfig.from_dict(config.to_dict()) == config


# Sizes


def test_allowed_sizes_are_those_listed() -> None:
    def allowed(size: int) -> bool:
        try:
            split_size(size)
        except UsageError:
            return False
        return True

    assert [size for size in range(-8, 257) if allowed(size)] == SIZES


@given(st.integers(4, 7), st.integers(1, 40))
def test_split_size_finds_base_and_levels(base: int, levels: int) -> None:
    assert split_size(base * 2**levels) == (base, levels)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        (100, "96 or 112"),
        (63, "56 or 64"),
        (65, "64 or 80"),
        (127, "112 or 128"),
        (9, "8 or 10"),
        (15, "14 or 16"),
        (7, "8"),
        (4, "8"),
        (0, "8"),
        (-5, "8"),
    ],
)
def test_refused_size_names_the_nearest(size: int, nearest: str) -> None:
    with pytest.raises(UsageError, match=rf"--size {size}: .*nearest: {nearest}$"):
        split_size(size)


@given(st.integers(-10, 300))
def test_largest_size_is_the_largest(limit: int) -> None:
    assert largest_size(limit) == max([size for size in SIZES if size <= limit], default=8)


def test_an_absurd_size_is_refused_at_once() -> None:
    with pytest.raises(UsageError):
        split_size(10**4000 + 1)


# Forward


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_networks_keep_their_shapes(size: int, kernel: int, channels: int) -> None:
    config = ModelConfig(size=size, channels=channels, z_dim=3, ngf=1, ndf=1, kernel=kernel)
    generator, discriminator = Generator(config), Discriminator(config)
    with torch.no_grad():
        images = generator(torch.randn(2, 3))
        assert images.shape == (2, channels, size, size)
        assert images.abs().max() <= 1
        assert discriminator(images).shape == (2,)
    assert len(discriminator.layers) == config.levels == len(generator.hidden) + 1


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("projection", ["unit", "channel"])
def test_every_normalization_can_be_chosen(norm: Norm, projection: str) -> None:
    config = ModelConfig.from_dict(
        {"size": 16, "ngf": 2, "ndf": 2, "projection": projection, "g_norm": norm, "d_norm": norm}
    )
    generator, discriminator = Generator(config), Discriminator(config)
    assert discriminator(generator(torch.zeros(3, 100))).shape == (3,)
    kind = {"batch": nn.modules.batchnorm._BatchNorm, "layer": nn.GroupNorm, "none": nn.Identity}
    for layer in (*generator.hidden, *list(discriminator.layers)[1:]):
        assert isinstance(layer[1], kind[norm])  # type: ignore[index]
    per_unit = norm == "batch" and projection == "unit"
    assert isinstance(generator.project.norm, nn.BatchNorm1d) == per_unit


def test_widths_stop_growing_at_eight_times() -> None:
    config = ModelConfig(size=256, ngf=2, ndf=3)
    assert config.generator_widths == (16, 16, 16, 8, 4, 2)
    assert config.discriminator_widths == (3, 6, 12, 24, 24, 24)


@pytest.mark.parametrize("size", [8, 10, 12, 14])
def test_projection_is_the_deconvolution_of_one_pixel(size: int) -> None:
    config = ModelConfig(
        size=size, z_dim=5, ngf=2, kernel=4, projection="channel", z_dist="normal", bn_eps=1e-5
    )
    project = Project(config)
    base, width = config.base, config.generator_widths[0]
    z = torch.randn(6, 5)
    kernels = project.linear.weight.reshape(width, base, base, 5).permute(3, 0, 1, 2)
    maps = functional.conv_transpose2d(z[:, :, None, None], kernels)
    expected = functional.batch_norm(maps, None, None, training=True, eps=1e-5)
    torch.testing.assert_close(project(z), expected)


def test_projection_of_the_paper_normalizes_every_unit() -> None:
    project = Project(ModelConfig(size=8, z_dim=5, ngf=2))
    maps = project(torch.randn(64, 5))
    assert maps.shape == (64, 2, 4, 4)
    torch.testing.assert_close(maps.mean(0), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.var(0, correction=0), torch.ones(2, 4, 4))


def test_up_by_hand() -> None:
    """A 2×2 input under a 4×4 kernel of ones: each pixel paints the 4×4 window around its place."""
    layer = conv_transpose(1, 1, 4)
    nn.init.ones_(layer.weight)
    pixels = torch.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]])
    assert layer(pixels)[0, 0].tolist() == [
        [1.0, 11.0, 11.0, 10.0],
        [101.0, 1111.0, 1111.0, 1010.0],
        [101.0, 1111.0, 1111.0, 1010.0],
        [100.0, 1100.0, 1100.0, 1000.0],
    ]


def test_up_with_the_papers_kernel_by_hand() -> None:
    """padding 2, output_padding 1: pixel i paints rows 2i − 2 … 2i + 2."""
    layer = conv_transpose(1, 1, 5)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(25.0).reshape(1, 1, 5, 5))
    pixels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert layer(pixels)[0, 0].tolist() == [
        [12.0, 13.0, 14.0, 0.0],
        [17.0, 18.0, 19.0, 0.0],
        [22.0, 23.0, 24.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ]


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_up_is_the_transpose_of_down(kernel: int) -> None:
    halve, double = conv(2, 3, kernel), conv_transpose(3, 2, kernel)
    double.weight = halve.weight
    large, small = torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)
    torch.testing.assert_close((halve(large) * small).sum(), (large * double(small)).sum())


def test_generator_by_hand() -> None:
    """Weights of one: ReLU(z) everywhere, one 4×4 kernel of ones over it, Tanh."""
    network = Generator(
        ModelConfig(
            size=8, channels=1, z_dim=1, ngf=1, kernel=4, projection="channel", g_norm="none"
        )
    )
    for weight in network.parameters():
        nn.init.ones_(weight)
    image, dark = network(torch.tensor([[0.1], [-5.0]]))[:, 0]
    overlaps = torch.tensor([1.0] + [2.0] * 6 + [1.0])  # how many windows paint a row
    torch.testing.assert_close(image, torch.tanh(0.1 * overlaps[:, None] * overlaps))
    assert not dark.any()


def test_discriminator_by_hand() -> None:
    """One 3×3 convolution of ones on a constant image, LeakyReLU, one linear unit of ones."""
    network = Discriminator(ModelConfig(size=8, channels=1, ndf=1, kernel=3))
    for weight in network.parameters():
        nn.init.ones_(weight)
    at_border = 4 + 6 * 6 + 9 * 9  # 1 corner of 4 pixels, 6 edges of 6, 9 whole windows of 9
    answers = network(torch.stack([torch.ones(1, 8, 8), -torch.ones(1, 8, 8)]))
    torch.testing.assert_close(answers, torch.tensor([1.0, -SLOPE]) * at_border)
    assert SLOPE == 0.2


# Initial weights


def fresh(seed: int) -> tuple[Generator, Discriminator]:
    config = ModelConfig(size=32, ngf=32, ndf=32, d_norm="layer")
    networks = Generator(config), Discriminator(config)
    stream = torch.Generator().manual_seed(seed)
    for network in networks:
        initialize(network, stream)
    return networks


def test_initial_weights_have_the_papers_moments() -> None:
    for network in fresh(0):
        scales: list[torch.Tensor] = []
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                count = module.weight.numel()
                assert abs(module.weight.mean().item()) < 5 * 0.02 / count**0.5
                assert abs(module.weight.std().item() / 0.02 - 1) < 5 / (2 * count) ** 0.5
            elif isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm):
                assert not module.bias.any()
                scales.append(module.weight.detach())
        scale = torch.cat(scales)
        assert abs(scale.mean().item() - 1) < 5 * 0.02 / len(scale) ** 0.5
        assert abs(scale.std().item() / 0.02 - 1) < 5 / (2 * len(scale)) ** 0.5


def test_same_seed_same_bits() -> None:
    for one, again, other in zip(fresh(3), fresh(3), fresh(4), strict=True):
        same = zip(one.state_dict().values(), again.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in same)
        differ = zip(one.parameters(), other.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in differ)


def test_initializing_draws_from_the_given_generator_alone() -> None:
    network = Generator(ModelConfig(size=8, ngf=2))
    before = torch.get_rng_state()
    initialize(network, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
