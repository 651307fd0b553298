"""Drawing: sample i of a seed is one picture, bit for bit, however it is asked for."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_cli.analysis.drawing import CHUNK, Drawing, draw_latents, draw_samples
from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.checkpoint.latents import read_latents
from dcgan_cli.data.pixels import to_pictures, to_signed
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialise
from dcgan_cli.model.statistics import MODES
from dcgan_cli.render.png import encode_sheet

CPU = torch.device("cpu")


def make_checkpoint(**changes: Any) -> Checkpoint:
    """A small model whose pictures use the whole range of colours."""
    model = replace(
        ModelConfig(size=16, channels=3, z_dim=8, ngf=8, ndf=2, z_dist="normal", bn_eps=1e-5),
        **changes,
    )
    generator, discriminator = Generator(model), Discriminator(model)
    initialise(generator, torch.Generator().manual_seed(0))
    initialise(discriminator, torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.paint.weight.mul_(10)
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
def test_sample_of_a_seed_is_one_picture(bn: str, checkpoint: Checkpoint) -> None:
    drawing = Drawing.of(checkpoint, bn, CPU)
    most = draw_samples(drawing, seed=5, count=64).sheets[0].pictures
    assert most.shape == (64, 16, 16, 3)
    assert most.std() > 20, "pictures that are all alike would prove nothing"
    assert len(np.unique(most.reshape(64, -1), axis=0)) > 50
    for count in (1, 5, 31, 32, 33, 63):
        fewer = draw_samples(drawing, seed=5, count=count).sheets[0].pictures
        assert np.array_equal(fewer, most[:count])
    again = draw_samples(Drawing.of(checkpoint, bn, CPU), seed=5, count=64).sheets[0].pictures
    assert np.array_equal(again, most)


@pytest.mark.parametrize("bn", MODES)
def test_samples_drawn_again_from_files(bn: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    save(tmp_path / "last.pt", checkpoint)
    loaded = load(tmp_path / "last.pt")
    sheet = draw_samples(Drawing.of(checkpoint, bn, CPU), seed=5, count=40).sheets[0]
    assert sheet.provenance is not None
    np.save(tmp_path / "z.npy", sheet.provenance.latents)
    (tmp_path / "samples.png").write_bytes(encode_sheet(sheet))
    drawing = Drawing.of(loaded, bn, CPU)
    for name in ("z.npy", "samples.png"):
        for picks, rows in (("", list(range(40))), ("#33", [33]), ("#39,0,7-9", [39, 0, 7, 8, 9])):
            latents = read_latents(f"{tmp_path / name}{picks}", loaded).latents
            pictures = draw_latents(drawing, latents).sheets[0].pictures
            assert np.array_equal(pictures, sheet.pictures[rows])


def test_place_in_the_chunk_does_not_matter_to_any_bit(checkpoint: Checkpoint) -> None:
    drawing = Drawing.of(checkpoint, "running", CPU)
    latents = seeded_latents(0, CHUNK, 8, "normal")
    pictures = drawing.signed(latents)
    for turn in (1, 7, 16, 31):
        turned = drawing.signed(np.roll(latents, turn, 0))
        assert torch.equal(turned.roll(-turn, 0), pictures)


def test_generator_is_always_given_whole_chunks(checkpoint: Checkpoint) -> None:
    drawing = Drawing.of(checkpoint, "running", CPU)
    sizes: list[int] = []
    drawing.generator.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    for count in (1, CHUNK, CHUNK + 1):
        assert len(drawing.pictures(seeded_latents(0, count, 8, "normal"))) == count
    assert sizes == [CHUNK] * 4


def test_average_is_drawn_unless_refused(checkpoint: Checkpoint) -> None:
    averaged = draw_samples(Drawing.of(checkpoint, "running", CPU), seed=0, count=2)
    last = draw_samples(Drawing.of(checkpoint, "running", CPU, average=False), seed=0, count=2)
    assert checkpoint.average is not None
    swapped = replace(checkpoint, generator=checkpoint.average, average=None)
    other = draw_samples(Drawing.of(swapped, "running", CPU), seed=0, count=2)
    pictures = [report.sheets[0].pictures for report in (averaged, last, other)]
    assert not np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    records = [report.sheets[0].provenance for report in (averaged, last)]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].command == "sample --bn running"
    assert records[1].command == "sample --bn running --no-ema"


def test_report_says_what_was_drawn(checkpoint: Checkpoint) -> None:
    report = draw_samples(Drawing.of(checkpoint, "batch", CPU), seed=3, count=10)
    assert report.facts == {
        "checkpoint": checkpoint.hash,
        "seed": 3,
        "count": 10,
        "size": 16,
        "channels": 3,
        "bn": "batch",
        "ema": True,
    }
    sheet = report.sheets[0]
    assert sheet.columns == 4
    assert sheet.provenance is not None
    assert sheet.provenance.checkpoint == checkpoint.hash
    assert sheet.provenance.seed == 3
    latents = seeded_latents(3, 10, 8, "normal")
    assert np.array_equal(sheet.provenance.latents, latents)
    given_points = draw_latents(Drawing.of(checkpoint, "batch", CPU), latents[:2], columns=1)
    assert given_points.facts["seed"] is None
    assert given_points.facts["count"] == 2
    assert given_points.sheets[0].columns == 1


def test_unknown_statistics_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="--bn live: expected one of running, batch, reestimated"):
        Drawing.of(checkpoint, "live", CPU)


def test_drawing_touches_no_global_generator_and_no_weight(checkpoint: Checkpoint) -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    weights = {name: value.clone() for name, value in checkpoint.generator.items()}
    for bn in MODES:
        draw_samples(Drawing.of(checkpoint, bn, CPU), seed=0, count=3)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert all(torch.equal(value, weights[name]) for name, value in checkpoint.generator.items())


# Between bytes and [−1, 1]


def test_every_byte_survives_the_way_through_the_networks_numbers() -> None:
    pictures = np.arange(256 * 3, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 8, 3)
    signed = to_signed(torch.from_numpy(pictures))
    assert signed.shape == (2, 3, 16, 8)
    assert signed.dtype == torch.float32
    assert signed.is_contiguous()
    assert (signed.min().item(), signed.max().item()) == (-1.0, 1.0)
    assert np.array_equal(to_pictures(signed), pictures)


def test_signed_values_by_hand() -> None:
    signed = to_signed(torch.tensor([[[[0], [51], [255]]]], dtype=torch.uint8))
    torch.testing.assert_close(signed, torch.tensor([[[[-1.0, -0.6, 1.0]]]]))


def test_channels_are_not_mixed_up() -> None:
    picture = torch.zeros(1, 2, 3, 3, dtype=torch.uint8)
    picture[0, 1, 2, 0] = 255
    signed = to_signed(picture)
    assert signed[0, 0, 1, 2] == 1
    assert signed.sum() == -16


@given(st.lists(st.floats(-3, 3, width=32), min_size=1))
@settings(deadline=None)
def test_pictures_are_rounded_and_clipped(values: list[float]) -> None:
    signed = torch.tensor(values).reshape(1, 1, 1, -1)
    before = signed.clone()
    bytes_ = to_pictures(signed)
    assert torch.equal(signed, before)
    assert bytes_.shape == (1, 1, len(values), 1)
    exact = np.clip((np.array(values) + 1) * 127.5, 0, 255)
    assert np.abs(bytes_.ravel().astype(float) - exact).max() <= 0.5 + 1e-4


def test_half_precision_and_gradients_are_accepted() -> None:
    signed = torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16, requires_grad=True)
    assert to_pictures(signed).tolist() == [[[[128]]]]
