"""Drawing: sample i of a seed is one image, bit for bit, however it is asked for."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_cli.analysis.sampling import SAMPLES_PER_BATCH, Sampler, draw_latents, draw_samples
from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.data.pixels import normalize, to_uint8
from dcgan_cli.errors import UsageError
from dcgan_cli.model.batch_norm_statistics import MODES
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.render.png import encode_grid

CPU = torch.device("cpu")


def make_checkpoint(**changes: Any) -> Checkpoint:
    """A small model whose images use the whole range of colors."""
    model = replace(
        ModelConfig(size=16, channels=3, z_dim=8, ngf=8, ndf=2, z_dist="normal", bn_eps=1e-5),
        **changes,
    )
    generator, discriminator = Generator(model), Discriminator(model)
    initialize(generator, torch.Generator().manual_seed(0))
    initialize(discriminator, torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.to_rgb.weight.mul_(10)
        z = torch.randn(64, 8, generator=torch.Generator().manual_seed(2))
        for _ in range(50):  # until the running statistics have settled
            generator(z)
    average = {
        name: value + 0.01 if value.is_floating_point() else value
        for name, value in generator.state_dict().items()
    }
    return Checkpoint(model, generator.state_dict(), discriminator.state_dict(), average)


@pytest.fixture(scope="module", params=["unit", "channel"])
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return make_checkpoint(projection=request.param)


@pytest.mark.parametrize("bn", MODES)
def test_sample_of_a_seed_is_one_image(bn: str, checkpoint: Checkpoint) -> None:
    sampler = Sampler.of(checkpoint, bn, CPU)
    most = draw_samples(sampler, seed=5, count=64).grids[0].images
    assert most.shape == (64, 16, 16, 3)
    assert most.std() > 20, "images that are all alike would prove nothing"
    assert len(np.unique(most.reshape(64, -1), axis=0)) > 50
    for count in (1, 5, 31, 32, 33, 63):
        fewer = draw_samples(sampler, seed=5, count=count).grids[0].images
        assert np.array_equal(fewer, most[:count])
    again = draw_samples(Sampler.of(checkpoint, bn, CPU), seed=5, count=64).grids[0].images
    assert np.array_equal(again, most)


@pytest.mark.parametrize("bn", MODES)
def test_samples_drawn_again_from_files(bn: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    save(tmp_path / "last.pt", checkpoint)
    loaded = load(tmp_path / "last.pt")
    grid = draw_samples(Sampler.of(checkpoint, bn, CPU), seed=5, count=40).grids[0]
    assert grid.provenance is not None
    np.save(tmp_path / "z.npy", grid.provenance.latents)
    (tmp_path / "samples.png").write_bytes(encode_grid(grid))
    sampler = Sampler.of(loaded, bn, CPU)
    for name in ("z.npy", "samples.png"):
        for picks, rows in (("", list(range(40))), ("#33", [33]), ("#39,0,7-9", [39, 0, 7, 8, 9])):
            latents = read_latents(f"{tmp_path / name}{picks}", loaded).latents
            images = draw_latents(sampler, latents).grids[0].images
            assert np.array_equal(images, grid.images[rows])


def test_place_in_the_chunk_does_not_matter_to_any_bit(checkpoint: Checkpoint) -> None:
    sampler = Sampler.of(checkpoint, "running", CPU)
    latents = seeded_latents(0, SAMPLES_PER_BATCH, 8, "normal")
    images = sampler.normalized(latents)
    for turn in (1, 7, 16, 31):
        turned = sampler.normalized(np.roll(latents, turn, 0))
        assert torch.equal(turned.roll(-turn, 0), images)


def test_generator_is_always_given_whole_chunks(checkpoint: Checkpoint) -> None:
    sampler = Sampler.of(checkpoint, "running", CPU)
    sizes: list[int] = []
    sampler.generator.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    for count in (1, SAMPLES_PER_BATCH, SAMPLES_PER_BATCH + 1):
        assert len(sampler.images(seeded_latents(0, count, 8, "normal"))) == count
    assert sizes == [SAMPLES_PER_BATCH] * 4


def test_average_is_drawn_unless_refused(checkpoint: Checkpoint) -> None:
    averaged = draw_samples(Sampler.of(checkpoint, "running", CPU), seed=0, count=2)
    last = draw_samples(Sampler.of(checkpoint, "running", CPU, average=False), seed=0, count=2)
    assert checkpoint.average is not None
    swapped = replace(checkpoint, generator=checkpoint.average, average=None)
    other = draw_samples(Sampler.of(swapped, "running", CPU), seed=0, count=2)
    images = [report.grids[0].images for report in (averaged, last, other)]
    assert not np.array_equal(images[0], images[1])
    assert np.array_equal(images[0], images[2])
    records = [report.grids[0].provenance for report in (averaged, last)]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].command == "sample --bn running"
    assert records[1].command == "sample --bn running --no-ema"


def test_report_says_what_was_drawn(checkpoint: Checkpoint) -> None:
    report = draw_samples(Sampler.of(checkpoint, "batch", CPU), seed=3, count=10)
    assert report.facts == {
        "checkpoint": checkpoint.hash,
        "seed": 3,
        "count": 10,
        "size": 16,
        "channels": 3,
        "bn": "batch",
        "ema": True,
    }
    grid = report.grids[0]
    assert grid.columns == 4
    assert grid.provenance is not None
    assert grid.provenance.checkpoint == checkpoint.hash
    assert grid.provenance.seed == 3
    latents = seeded_latents(3, 10, 8, "normal")
    assert np.array_equal(grid.provenance.latents, latents)
    given_points = draw_latents(Sampler.of(checkpoint, "batch", CPU), latents[:2], columns=1)
    assert given_points.facts["seed"] is None
    assert given_points.facts["count"] == 2
    assert given_points.grids[0].columns == 1


def test_unknown_statistics_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="--bn live: expected one of running, batch, reestimated"):
        Sampler.of(checkpoint, "live", CPU)


def test_drawing_touches_no_global_generator_and_no_weight(checkpoint: Checkpoint) -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    weights = {name: value.clone() for name, value in checkpoint.generator.items()}
    for bn in MODES:
        draw_samples(Sampler.of(checkpoint, bn, CPU), seed=0, count=3)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert all(torch.equal(value, weights[name]) for name, value in checkpoint.generator.items())


# Between bytes and [−1, 1]


def test_every_byte_survives_the_way_through_the_networks_numbers() -> None:
    images = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)
    normalized = normalize(torch.from_numpy(images))
    assert normalized.shape == (2, 3, 16, 8)
    assert normalized.dtype == torch.float32
    assert normalized.is_contiguous()
    assert (normalized.min().item(), normalized.max().item()) == (-1.0, 1.0)
    assert np.array_equal(to_uint8(normalized), images)


def test_signed_values_by_hand() -> None:
    normalized = normalize(torch.tensor([[[[0], [51], [255]]]], dtype=torch.uint8))
    torch.testing.assert_close(normalized, torch.tensor([[[[-1.0, -0.6, 1.0]]]]))


def test_channels_are_not_mixed_up() -> None:
    image = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)
    image[0, 1, 2, 0] = 255
    normalized = normalize(image)
    assert normalized[0, 0, 1, 2] == 1
    assert normalized.sum() == -16


@given(st.lists(st.floats(-3, 3, width=32), min_size=1))
@settings(deadline=None)
def test_images_are_rounded_and_clipped(values: list[float]) -> None:
    normalized = torch.tensor(values).reshape(1, 1, 1, -1)
    before = normalized.clone()
    bytes_ = to_uint8(normalized)
    assert torch.equal(normalized, before)
    assert bytes_.shape == (1, 1, len(values), 1)
    exact = np.clip((np.array(values) + 1) * 127.5, 0, 255)
    assert np.abs(bytes_.ravel().astype(float) - exact).max() <= 0.5 + 1e-4


def test_half_precision_and_gradients_are_accepted() -> None:
    normalized = torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16, requires_grad=True)
    assert to_uint8(normalized).tolist() == [[[[128]]]]
