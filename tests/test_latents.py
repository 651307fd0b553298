"""Latent vectors: their distributions, their independence of how many are drawn, and their names."""

import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, PngImagePlugin
from scipy import stats

from dcgan_cli.checkpoint import latent_arguments as reading
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.errors import CheckpointError, DcganError, UsageError
from dcgan_cli.model.config import ModelConfig, ZDistribution
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import Latents, draw, seeded_latents
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.render.png import encode_grid
from dcgan_cli.report import RECORD, ImageGrid, Provenance
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.step import StepSettings, Updater

Z_DIM = 5

UNIFORM = [
    [0.8221423625946045, -0.8909318447113037, 0.7641463279724121],
    [0.4570556879043579, 0.6413500308990479, 0.967636227607727],
]
NORMAL = [[0.5620371, 0.0299475, 1.1529834], [-0.5621717, 1.3332855, -1.025969]]
"""The first numbers of seed 0."""


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    model = ModelConfig(size=8, channels=1, z_dim=Z_DIM, ngf=1, ndf=1, kernel=3)
    return Checkpoint(model, Generator(model).state_dict(), Discriminator(model).state_dict())


def write_grid(path: Path, checkpoint: Checkpoint, latent_arguments: Latents) -> None:
    images = np.zeros((len(latent_arguments), 8, 8, 1), np.uint8)
    record = Provenance(checkpoint.hash, "sample", 0, latent_arguments)
    path.write_bytes(encode_grid(ImageGrid("s", images, 3, provenance=record)))


# Seeded latents


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@given(seed=st.integers(0, 2**40), start=st.integers(0, 10**6), count=st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_a_row_depends_on_seed_and_number_alone(
    distribution: ZDistribution, seed: int, start: int, count: int
) -> None:
    rows = seeded_latents(seed, count, 7, distribution, start)
    assert rows.shape == (count, 7)
    assert rows.dtype == np.float32
    for i in range(count):
        alone = seeded_latents(seed, 1, 7, distribution, start + i)
        assert rows[i].tobytes() == alone[0].tobytes()


def test_seeds_and_rows_differ() -> None:
    rows = np.concatenate([seeded_latents(seed, 50, 4, "normal") for seed in range(20)])
    assert len(np.unique(rows, axis=0)) == 1000


def test_latents_are_the_same_on_every_machine_and_in_every_version() -> None:
    """A changed stream would make every addressed image of every user another one."""
    assert seeded_latents(0, 2, 3, "uniform").tolist() == UNIFORM
    np.testing.assert_allclose(seeded_latents(0, 2, 3, "normal"), NORMAL, rtol=1e-6)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [("uniform", stats.uniform(-1, 2)), ("normal", stats.norm())],
)
def test_distribution(distribution: ZDistribution, expected: Any) -> None:
    rows = seeded_latents(11, 1000, 20, distribution)
    assert stats.kstest(rows.ravel(), expected.cdf).pvalue > 1e-3
    # rows and columns are not copies or mirrors of each other
    assert np.abs(np.corrcoef(rows.T) - np.eye(20)).max() < 5 / 1000**0.5
    assert abs(np.corrcoef(rows[:-1].ravel(), rows[1:].ravel())[0, 1]) < 5 / 20_000**0.5


def test_uniform_stays_within_its_bounds() -> None:
    rows = draw(np.random.default_rng(0), (1_000_000,), "uniform")
    assert rows.min() >= -1
    assert rows.max() < 1


def test_nothing_is_drawn_from_global_generators() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    seeded_latents(0, 5, 5, "normal")
    seeded_latents(0, 5, 5, "uniform")
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_training_draws_nothing_from_global_generators() -> None:
    model = ModelConfig(size=8, channels=1, z_dim=Z_DIM, ngf=1, ndf=1, kernel=3)
    updater = Updater(
        model,
        Recipe(batch_size=4, updates="alternate"),
        StepSettings(LOSSES["wgan-gp"], 2, 0.9, 0, torch.device("cpu"), torch.float32),
    )
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    for number in range(2):
        updater.step(number, 0, lambda j: torch.zeros(4, 1, 8, 8))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tobytes()  # noqa: NPY002


# Latent arguments


@pytest.mark.parametrize(
    ("picks", "rows"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("#3", [3]),
        ("#5,0,5", [5, 0, 5]),
        ("#2-4", [2, 3, 4]),
        ("#0-0,4", [0, 4]),
        ("#003", [3]),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "png"])
def test_tiles_are_named(
    picks: str, rows: list[int], suffix: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    latent_arguments = seeded_latents(1, 6, Z_DIM, "normal")
    path = tmp_path / f"z.{suffix}"
    if suffix == "npy":
        np.save(path, latent_arguments)
    else:
        write_grid(path, checkpoint, latent_arguments)
    named = read_latents(f"{path}{picks}", checkpoint)
    assert named.name == f"{path}{picks}"
    assert named.latents.dtype == np.float32
    assert named.latents.tobytes() == latent_arguments[rows].tobytes()
    assert named.checkpoint == (None if suffix == "npy" else checkpoint.hash)


@pytest.mark.parametrize(
    ("picks", "expected"),
    [
        ("#6", "no tile 6; there are 6, counted from 0"),
        ("#0-6", "no tile 6"),
        ("#0-999999999", "no tile 999999999"),
        ("#9" + "9" * 5000, "is no tile number"),
        ("#4-2", "'4-2' is no tile number; expected #3,17 or #2-5"),
        ("#-1", "'-1' is no tile number"),
        ("#1-", "'1-' is no tile number"),
        ("#1,", "'' is no tile number"),
        ("#x", "'x' is no tile number"),
        ("#1 2", "'1 2' is no tile number"),
        ("#²", "'²' is no tile number"),
    ],
)
def test_wrong_tile_numbers(
    picks: str, expected: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    np.save(tmp_path / "z.npy", np.zeros((6, Z_DIM), np.float32))
    with pytest.raises(UsageError) as caught:
        read_latents(f"{tmp_path / 'z.npy'}{picks}", checkpoint)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(Z_DIM),
        np.ones((2, Z_DIM), np.float16),
        np.ones((2, Z_DIM), np.uint8),
        np.asfortranarray(np.arange(2.0 * Z_DIM).reshape(2, Z_DIM)),
        np.ones((2, Z_DIM), ">f8"),
    ],
)
def test_arrays_of_every_kind_of_number(
    values: np.ndarray[Any, Any], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    np.save(tmp_path / "z.npy", values)
    latent_arguments = read_latents(str(tmp_path / "z.npy"), checkpoint).latents
    assert latent_arguments.dtype == np.float32
    assert np.array_equal(latent_arguments, np.atleast_2d(values).astype(np.float32))
    latent_arguments[0, 0] = 7  # a copy of its own, not a window onto the file
    assert np.array_equal(np.load(tmp_path / "z.npy"), values)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, Z_DIM), np.float32),
        np.zeros((2, 2, Z_DIM)),
        np.zeros(()),
        np.zeros((2, Z_DIM), complex),
        np.zeros((2, Z_DIM), bool),
        np.array(["a"]),
        np.array([{}], object),
        np.full((2, Z_DIM), np.nan),
        np.full((2, Z_DIM), 1e300),
    ],
)
def test_arrays_that_are_no_points(
    values: np.ndarray[Any, Any], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    np.save(tmp_path / "z.npy", values, allow_pickle=True)
    with pytest.raises(UsageError) as caught:
        read_latents(str(tmp_path / "z.npy"), checkpoint)
    assert str(caught.value).startswith(str(tmp_path / "z.npy"))
    assert "\n" not in str(caught.value)


def test_hostile_array_files(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "z.npy"
    np.savez(tmp_path / "z.npz", a=np.zeros(3))
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 5), }\n"
    promises = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)
    for content in (b"", b"text", promises, promises[:30], (tmp_path / "z.npz").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"not an array of numbers"):
            read_latents(str(path), checkpoint)


def test_points_of_another_model_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((2, Z_DIM + 1), np.float32))
    with pytest.raises(CheckpointError, match=r"points of 6 numbers, this model's z has 5"):
        read_latents(str(tmp_path / "z.npy"), checkpoint)
    write_grid(tmp_path / "s.png", checkpoint, np.zeros((2, Z_DIM), np.float32))
    other = replace(checkpoint, model=replace(checkpoint.model, bn_eps=1e-3))
    with pytest.raises(CheckpointError, match=f"drawn by model {checkpoint.hash}, this is"):
        read_latents(str(tmp_path / "s.png"), other)


def test_a_tile_without_z_cannot_be_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    latent_arguments = np.zeros((3, Z_DIM), np.float32)
    latent_arguments[1] = np.nan
    write_grid(tmp_path / "s.png", checkpoint, latent_arguments)
    with pytest.raises(UsageError, match="not all of these are latent vectors"):
        read_latents(f"{tmp_path / 's.png'}#1", checkpoint)
    assert len(read_latents(f"{tmp_path / 's.png'}#0,2", checkpoint).latents) == 2


def test_files_that_are_no_grids(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    with pytest.raises(UsageError, match="no such file"):
        read_latents(str(path), checkpoint)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(UsageError, match="carries no latents"):
        read_latents(str(path), checkpoint)
    for content in (b"", b"text", path.read_bytes()[:20]):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="not a PNG image grid"):
            read_latents(str(path), checkpoint)


@pytest.mark.filterwarnings("error")
def test_a_grid_of_any_size_is_read_without_decoding_it(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Pillow's own limit against decompression bombs would refuse large image grids of ours."""
    path = tmp_path / "s.png"
    write_grid(path, checkpoint, np.ones((2, Z_DIM), np.float32))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert read_latents(str(path), checkpoint).latents.tolist() == [[1.0] * Z_DIM] * 2


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_grids_are_refused_or_harmless(
    data: st.DataObject, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path, latent_arguments = tmp_path / "s.png", np.ones((2, Z_DIM), np.float32)
    write_grid(path, checkpoint, latent_arguments)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        named = read_latents(str(path), checkpoint)
    except DcganError:
        return
    assert np.array_equal(named.latents, latent_arguments)


# The record inside an image grid


@settings(max_examples=100, deadline=None)
@given(
    checkpoint=st.text(),
    command=st.text(),
    seed=st.none() | st.integers(0, 2**64),
    latent_arguments=hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.integers(1, 5)),
        elements=st.floats(width=32),
    ),
)
def test_record_survives_json(
    checkpoint: str, command: str, seed: int | None, latent_arguments: Latents
) -> None:
    record = Provenance(checkpoint, command, seed, latent_arguments)
    again = Provenance.from_json(record.to_json())
    assert (again.checkpoint, again.command, again.seed) == (checkpoint, command, seed)
    assert again.latents.shape == latent_arguments.shape
    assert again.latents.dtype == np.float32
    assert np.array_equal(again.latents, latent_arguments, equal_nan=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "{}",
        "[" * 100_000,
        '{"latents": "AAAA", "tiles": 1, "z_dim": 1}',
        '{"latents": "AAAAAA==", "tiles": 2, "z_dim": 1, "seed": 0, "checkpoint": "", "command": ""}',
        '{"latents": "AAAAAA==", "tiles": 1e999, "z_dim": 1, "seed": 0}',
        '{"latents": "AAAAAA==", "tiles": 1, "z_dim": 1, "seed": Infinity, "checkpoint": ""}',
        '{"latents": "AAAAAA==", "tiles": 1000000000000000000000000, "z_dim": 1, "seed": 0}',
        '{"latents": "AAA*AAA=", "tiles": 1, "z_dim": 1, "seed": 0}',
        '{"latents": "ä", "tiles": 1, "z_dim": 1, "seed": 0}',
        '{"latents": 5, "tiles": 1, "z_dim": 1, "seed": 0}',
    ],
)
def test_damaged_record(text: str) -> None:
    with pytest.raises(DcganError, match="record of its latents is damaged"):
        Provenance.from_json(text)


def test_more_than_a_megabyte_of_latents_through_a_grid(tmp_path: Path) -> None:
    model = ModelConfig(size=8, channels=1, z_dim=1000, ngf=1, ndf=1, kernel=3)
    large = Checkpoint(model, Generator(model).state_dict(), Discriminator(model).state_dict())
    latent_arguments = seeded_latents(0, 700, 1000, "normal")
    write_grid(tmp_path / "s.png", large, latent_arguments)
    assert latent_arguments.nbytes > 2_500_000
    read = read_latents(str(tmp_path / "s.png"), large).latents
    assert read.tobytes() == latent_arguments.tobytes()


def test_a_file_that_may_only_be_read_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    """As files of others and of read-only media are: nothing is opened for writing."""
    path = tmp_path / "z.npy"
    np.save(path, np.arange(8, dtype=np.float32).reshape(2, 4))
    opened: list[str] = []
    really = Path.open

    def noted(self: Path, mode: str = "r", *rest: Any, **more: Any) -> IO[Any]:
        opened.append(mode)
        return really(self, mode, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", noted)
        named = reading._from_npy(path, str(path), "", 4)
    assert named.latents.shape == (2, 4)
    assert named.name == str(path)
    assert opened
    assert set(opened) == {"rb"}


def test_a_damaged_record_is_refused_by_the_name_of_its_file(
    tmp_path: Path, checkpoint: Checkpoint
) -> None:
    path = tmp_path / "samples.png"
    info = PngImagePlugin.PngInfo()
    info.add_text(f"{RECORD}.0", "{")
    Image.new("L", (4, 4)).save(path, pnginfo=info)
    with pytest.raises(UsageError, match=r"samples\.png: "):
        read_latents(str(path), checkpoint)
