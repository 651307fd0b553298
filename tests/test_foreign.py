"""The authors' own files: kernels flipped exactly, recognized by content, refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import convolve2d

from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint import foreign
from dcgan_cli.checkpoint.find import find_checkpoint
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.errors import CheckpointError
from dcgan_cli.model.batch_norm_statistics import fix_statistics
from dcgan_cli.model.hooks import evaluating
from dcgan_cli.model.latents import seeded_latents

Z, WIDTH, CHANNELS, KERNEL = 5, 2, 3, 5

SHAPES = {
    "gen": [
        (Z, 4 * WIDTH * 16), (4 * WIDTH * 16,), (4 * WIDTH * 16,),
        (4 * WIDTH, 2 * WIDTH, KERNEL, KERNEL), (2 * WIDTH,), (2 * WIDTH,),
        (2 * WIDTH, WIDTH, KERNEL, KERNEL), (WIDTH,), (WIDTH,),
        (WIDTH, CHANNELS, KERNEL, KERNEL),
    ],
    "discrim": [
        (WIDTH, CHANNELS, KERNEL, KERNEL),
        (2 * WIDTH, WIDTH, KERNEL, KERNEL), (2 * WIDTH,), (2 * WIDTH,),
        (4 * WIDTH, 2 * WIDTH, KERNEL, KERNEL), (4 * WIDTH,), (4 * WIDTH,),
        (4 * WIDTH * 16, 1),
    ],
}  # fmt: skip
"""The released network's form (its widths are 64, its z is 100)."""


def file_of(folder: Path, kind: str, number: int, epoch: int = 200) -> Path:
    return folder / f"{epoch}_{kind}_params.jl_{number:02d}.npy"


def write_folder(folder: Path, epoch: int = 200, seed: int = 0) -> Path:
    """A folder in the authors' form, of small whole numbers, so that sums are exact."""
    stream = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for kind, shapes in SHAPES.items():
        (folder / f"{epoch}_{kind}_params.jl").write_bytes(b"a pickle that must never be opened")
        for number, shape in enumerate(shapes, 1):
            array = stream.integers(-3, 4, shape).astype(np.float32)
            np.save(file_of(folder, kind, number, epoch), array)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "theirs")


def array(folder: Path, kind: str, number: int) -> NDArray[np.float32]:
    return np.load(file_of(folder, kind, number))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(find_checkpoint(str(folder)))
    message = str(caught.value)
    assert "\n" not in message
    return message


# What Theano computes


def theano_convolution(maps: NDArray[np.float32], kernels: NDArray[np.float32]):
    """A true convolution, stride 2, half padding: [C, S, S] and [O, C, k, k] → [O, S/2, S/2]."""
    return np.stack(
        [
            sum(convolve2d(m, k, mode="same") for m, k in zip(maps, kernel, strict=True))[::2, ::2]
            for kernel in kernels
        ]
    )


@pytest.mark.parametrize(("layer", "number", "side"), [(0, 1, 32), (1, 2, 16), (2, 5, 8)])
def test_discriminator_convolves_as_theano_does(
    folder: Path, layer: int, number: int, side: int
) -> None:
    kernels = array(folder, "discrim", number)
    maps = np.random.default_rng(1).integers(-9, 10, (kernels.shape[1], side, side))
    ours = load(find_checkpoint(str(folder))).build_discriminator().layers[layer][0]
    expected = theano_convolution(maps.astype(np.float32), kernels)
    with torch.no_grad():
        found = ours(torch.from_numpy(maps).float()[None])[0].numpy()
    assert np.array_equal(found, expected)
    unflipped = theano_convolution(maps.astype(np.float32), kernels[:, :, ::-1, ::-1])
    assert not np.array_equal(found, unflipped)


@pytest.mark.parametrize(("layer", "number", "side"), [(0, 4, 8), (1, 7, 16), (2, 10, 32)])
def test_generator_runs_theanos_convolution_backwards(
    folder: Path, layer: int, number: int, side: int
) -> None:
    # Their deconvolution is the gradient of a convolution with respect to its input, its adjoint:
    # ⟨conv(x), y⟩ = ⟨x, deconv(y)⟩ for all x and y.
    kernels = array(folder, "gen", number)
    stream = np.random.default_rng(2)
    generator = load(find_checkpoint(str(folder))).build_generator()
    ours = [*(hidden[0] for hidden in generator.hidden), generator.to_rgb][layer]
    for _ in range(5):
        x = stream.integers(-9, 10, (kernels.shape[1], side, side)).astype(np.float32)
        y = stream.integers(-9, 10, (kernels.shape[0], side // 2, side // 2)).astype(np.float32)
        with torch.no_grad():
            backwards = ours(torch.from_numpy(y)[None])[0].numpy()
        assert (theano_convolution(x, kernels) * y).sum() == (x * backwards).sum()


def test_projection_and_decision_are_their_matrix_products(folder: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    z = np.random.default_rng(3).integers(-3, 4, (7, Z)).astype(np.float32)
    maps = np.random.default_rng(4).integers(-3, 4, (7, 4 * WIDTH * 16)).astype(np.float32)
    with torch.no_grad():
        projected = checkpoint.build_generator().project.linear(torch.from_numpy(z)).numpy()
        decided = checkpoint.build_discriminator().head(torch.from_numpy(maps)).numpy()
    assert np.array_equal(projected, z @ array(folder, "gen", 1))
    assert np.array_equal(decided, maps @ array(folder, "discrim", 8))


def test_scales_and_shifts_land_where_they_belong(folder: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    for kind, state, names in (
        ("gen", checkpoint.generator, ("project.norm", "hidden.0.1", "hidden.1.1")),
        ("discrim", checkpoint.discriminator, ("layers.1.1", "layers.2.1")),
    ):
        numbers = (2, 5, 8) if kind == "gen" else (3, 6)
        for name, number in zip(names, numbers, strict=True):
            assert np.array_equal(state[f"{name}.weight"].numpy(), array(folder, kind, number))
            assert np.array_equal(state[f"{name}.bias"].numpy(), array(folder, kind, number + 1))


def test_the_shapes_say_which_network_it_is(folder: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    model = checkpoint.model
    assert (model.size, model.channels, model.z_dim, model.kernel) == (32, CHANNELS, Z, KERNEL)
    assert (model.ngf, model.ndf) == (WIDTH, WIDTH)
    assert (model.z_dist, model.projection, model.bn_eps) == ("normal", "unit", 1e-8)
    assert checkpoint.progress["epoch"] == 200


# Statistics


def test_running_statistics_are_those_of_reference_latents(folder: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    z = seeded_latents(0, 8, Z, "normal")
    device = torch.device("cpu")
    running, reestimated = (
        Sampler.of(checkpoint, bn, device).normalized(z) for bn in ("running", "reestimated")
    )
    assert torch.equal(running, reestimated)


def test_discriminator_is_normalized_to_what_the_generator_draws(folder: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    generator, discriminator = checkpoint.build_generator(), checkpoint.build_discriminator()
    inputs: list[torch.Tensor] = []
    norm = discriminator.layers[1][1]
    norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    latents = torch.from_numpy(
        seeded_latents(foreign.REFERENCE_SEED, foreign.REFERENCE_BATCH, Z, "normal")
    )
    with torch.no_grad(), evaluating(generator), evaluating(discriminator):
        discriminator(generator(latents))
    spread, mean = torch.std_mean(inputs[0], (0, 2, 3))
    assert torch.allclose(norm.running_mean, mean, atol=0.1 * float(spread.max()))
    assert torch.allclose(norm.running_var.sqrt(), spread, rtol=0.1)


def test_a_converted_checkpoint_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    checkpoint = load(find_checkpoint(str(folder)))
    save(tmp_path / "ours.pt", checkpoint)
    again = load(tmp_path / "ours.pt")
    assert again.hash == checkpoint.hash
    one, other = checkpoint.build_discriminator(), again.build_discriminator()
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    assert float(one.layers[2][1].running_var.min()) != 1, "kept without statistics, given some"


# Finding


def test_found_as_a_folder_as_a_run_and_by_its_index(folder: Path, tmp_path: Path) -> None:
    index = folder / "200_gen_params.jl"
    assert find_checkpoint(str(folder)) == index
    assert find_checkpoint("theirs", root=tmp_path) == index
    assert load(index).hash == load(folder / "200_discrim_params.jl").hash


def test_the_last_epoch_is_read_and_any_can_be_named(folder: Path) -> None:
    write_folder(folder, epoch=30, seed=1)
    assert load(find_checkpoint(str(folder))).progress["epoch"] == 200
    assert load(folder / "30_gen_params.jl").progress["epoch"] == 30


def test_the_pickles_are_not_needed(folder: Path) -> None:
    before = load(find_checkpoint(str(folder))).hash
    for index in folder.glob("*.jl"):
        index.unlink()
    assert load(find_checkpoint(str(folder))).hash == before


def test_a_run_is_found_before_its_neighbors(folder: Path) -> None:
    (folder / "last.pt").write_bytes(b"")
    assert find_checkpoint(str(folder)) == folder / "last.pt"


def test_a_folder_of_other_things_is_not_recognized(tmp_path: Path) -> None:
    np.save(tmp_path / "200_gen.npy", np.zeros(3))
    (tmp_path / "200_gen_params.jl").write_bytes(b"")
    assert foreign.recognize(tmp_path) is None
    with pytest.raises(CheckpointError, match="neither a checkpoint file nor a run"):
        find_checkpoint(str(tmp_path))


# Refusals, one line each


@pytest.mark.parametrize(("kind", "number"), [("gen", 4), ("gen", 10), ("discrim", 8)])
def test_missing_array(folder: Path, kind: str, number: int) -> None:
    file_of(folder, kind, number).unlink()
    message = refused(folder)
    assert file_of(folder, kind, number).name in message
    assert f"200_{kind}_params.jl_01.npy to 200_{kind}_params.jl" in message


def test_missing_network(folder: Path) -> None:
    for path in folder.glob("*_discrim_*"):
        path.unlink()
    assert "missing 200_discrim_params.jl_01.npy and 7 more" in refused(folder)


@pytest.mark.parametrize(
    ("kind", "number"),
    [(kind, number) for kind, shapes in SHAPES.items() for number in range(1, len(shapes) + 1)],
)
def test_wrong_shape_says_found_and_expected(folder: Path, kind: str, number: int) -> None:
    shape = (*SHAPES[kind][number - 1], 7)
    np.save(file_of(folder, kind, number), np.zeros(shape, np.float32))
    message = refused(folder)
    assert message.startswith(str(file_of(folder, kind, number)))
    assert f"shape {list(shape)}, expected [" in message


def test_wrong_width_says_found_and_expected(folder: Path) -> None:
    np.save(file_of(folder, "discrim", 5), np.zeros((8, 3, 5, 5), np.float32))
    assert "shape [8, 3, 5, 5], expected [8, 4, 5, 5]" in refused(folder)


def test_no_such_network(folder: Path) -> None:
    np.save(file_of(folder, "discrim", 1), np.zeros((2, 2, 5, 5), np.float32))
    np.save(file_of(folder, "gen", 10), np.zeros((2, 2, 5, 5), np.float32))
    assert "--channels 2: expected one of 1, 3" in refused(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an array of numbers"),
        (b"\x80\x04K\x01.", "not an array of numbers"),
        (np.array([{"a": 1}], dtype=object), "not an array of numbers"),
        (np.array(["7"] * 4), "<U1 numbers"),
        (np.full(4, np.nan, np.float32), "expected finite float32"),
    ],
)
def test_what_is_no_array_of_numbers(folder: Path, content: object, said: str) -> None:
    path = file_of(folder, "discrim", 3)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    message = refused(folder)
    assert message.startswith(str(path))
    assert said in message


def test_truncated_array_asks_for_no_memory(folder: Path) -> None:
    path = file_of(folder, "gen", 1)
    header = path.read_bytes().replace(b"(5, 128), ", b"(5, 9**9), ")[:128]
    path.write_bytes(header.replace(b"9**9", b"9999999999999"))
    assert refused(folder).startswith(str(path))


# The real files


@pytest.mark.data
def test_the_authors_network_draws_whole_images(real_data: Path) -> None:
    folder = real_data / "authors-svhn-weights"
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} in {real_data}")
    checkpoint = load(find_checkpoint(str(folder)))
    model = checkpoint.model
    assert (model.size, model.z_dim, model.ngf, model.ndf) == (32, 100, 64, 64)
    z = seeded_latents(0, 64, 100, "normal")
    sampler = Sampler.of(checkpoint, "reestimated", torch.device("cpu"))
    assert 0.9 < liveliness_of_the_border(sampler.normalized(z)) < 1.1
    for convolution in (*(h[0] for h in sampler.generator.hidden), sampler.generator.to_rgb):
        convolution.weight.data = convolution.weight.flip(2, 3)
    fix_statistics(sampler.generator, "batch")
    assert liveliness_of_the_border(sampler.normalized(z)) < 0.5, "kernels that are not flipped"


def liveliness_of_the_border(normalized: torch.Tensor) -> float:
    """How much images differ from each other at their border, against their middle.

    Cuttings of photographs go on beyond it. Kernels the wrong way round, trained with zeros around
    the maps, leave a gray frame around smears.
    """
    spread = normalized.std(0).mean(0)
    border = torch.cat([spread[0], spread[-1], spread[:, 0], spread[:, -1]])
    return float(border.mean() / spread[8:-8, 8:-8].mean())
