"""Importing the DCGAN authors' own networks (Newmu/dcgan_code, Theano and joblib).

They are a folder of plain arrays, one file a parameter, numbered from 01 in the order of their
code:

    EPOCH_gen_params.jl_NN.npy       projection, γ, β; convolution, γ, β of every level; convolution
    EPOCH_discrim_params.jl_NN.npy   convolution; convolution, γ, β of every level; linear unit

The architecture follows from the shapes. The `.jl` index beside them is a pickle: its path
represents the network here, and it is never opened. Theano convolves where PyTorch correlates, so
every kernel is flipped in both spatial axes, and matrices are transposed.

The files contain batch norm's scales and shifts, but no running statistics. `gather_statistics`
estimates them: G's over reference latent vectors, D's over the images that G then generates, which
are half of what D was trained on. For other images they have to be re-estimated, as the authors'
script does.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dcgan_cli.checkpoint.npy import open_npy
from dcgan_cli.checkpoint.untrusted import reason
from dcgan_cli.errors import CheckpointError, UsageError
from dcgan_cli.model.batch_norm_statistics import (
    REFERENCE_BATCH,
    REFERENCE_BATCHES,
    REFERENCE_SEED,
    reestimate,
)
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.hooks import evaluating
from dcgan_cli.model.latents import seeded_latents

BASE = 4
"""Side of the generator's first feature maps in all of the authors' networks."""

_INDEX = re.compile(r"(\d+)_(?:gen|discrim)_params\.jl")
_ARRAY = re.compile(rf"{_INDEX.pattern}_(\d+)\.npy")

Arrays = Mapping[str, NDArray[np.float32]]
"""Arrays by file name, in the order of the authors' code."""


class ForeignNetworks(NamedTuple):
    """Both networks, their weights under our names, and the epoch of the files."""

    model: ModelConfig
    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    epoch: int


def recognize(folder: Path) -> Path | None:
    """The index file that represents the last networks in `folder`; None if there are none."""
    if not folder.is_dir():
        return None
    epochs = [found[1] for path in folder.iterdir() if (found := _ARRAY.fullmatch(path.name))]
    return folder / f"{max(epochs, key=int)}_gen_params.jl" if epochs else None


def is_foreign(path: Path) -> bool:
    """Whether `path` is such an index file. It need not exist: the arrays beside it are read."""
    return _INDEX.fullmatch(path.name) is not None


def read(path: Path) -> ForeignNetworks:
    """The networks that the index file at `path` represents.

    z is normal: the arrays do not say so, but the name of the authors' folder does.

    Raises:
        CheckpointError: an array is missing, unreadable, not numeric, or of a shape that does not
            fit the others. Nothing is unpickled.
    """
    epoch = path.name.partition("_")[0]
    levels = _levels(path.parent, epoch)
    g_arrays = _arrays(path.parent, f"{epoch}_gen_params.jl", 3 * levels + 1)
    d_arrays = _arrays(path.parent, f"{epoch}_discrim_params.jl", 3 * levels - 1)
    model = _config(path.parent, g_arrays, d_arrays, levels)
    with torch.device("meta"):
        networks = Generator(model), Discriminator(model)
    return ForeignNetworks(
        model,
        _weights(path.parent, networks[0], g_arrays),
        _weights(path.parent, networks[1], d_arrays),
        int(epoch),
    )


@torch.no_grad()
def gather_statistics(generator: Generator, discriminator: Discriminator | None = None) -> None:
    """Estimate the statistics of G on reference latent vectors, and of D on its images."""
    config = generator.config
    latents = [
        torch.from_numpy(
            seeded_latents(
                REFERENCE_SEED, REFERENCE_BATCH, config.z_dim, config.z_dist, i * REFERENCE_BATCH
            )
        )
        for i in range(REFERENCE_BATCHES)
    ]
    reestimate(generator, latents)
    if discriminator is not None:
        with evaluating(generator):
            reestimate(discriminator, map(generator, latents))


def _levels(folder: Path, epoch: str) -> int:
    """The number of convolutions of each network, from the highest numbers of its arrays."""
    highest = 0
    for path in folder.iterdir():
        found = _ARRAY.fullmatch(path.name)
        if found and found[1] == epoch:
            # G has 3·levels + 1 arrays, D 3·levels − 1.
            highest = max(highest, int(found[2]) + (-1 if "_gen_" in path.name else 1))
    return -(-highest // 3)


def _arrays(folder: Path, index: str, count: int) -> Arrays:
    """The arrays 1 … `count` of one network."""
    names = [f"{index}_{number:02d}.npy" for number in range(1, count + 1)]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise CheckpointError(
            f"{folder}: missing {missing[0]}{f' and {len(missing) - 1} more' * (len(missing) > 1)}; "
            f"expected {names[0]} to {names[-1]}"
        )
    return {name: _array(folder / name) for name in names}


def _array(path: Path) -> NDArray[np.float32]:
    """The array in the file, as float32."""
    try:
        file = open_npy(path)
        values = file.read() if file.dtype.name in ("float32", "float64") else None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not an array of numbers: {reason(error)}") from error
    if values is None or not np.isfinite(values).all():
        raise CheckpointError(
            f"{path}: {file.dtype} numbers, or some not finite; expected finite float32"
        )
    return values.astype(np.float32)


def _config(folder: Path, g_arrays: Arrays, d_arrays: Arrays, levels: int) -> ModelConfig:
    """The model configuration that follows from the shapes of the first and last arrays."""
    g_names, d_names = list(g_arrays), list(d_arrays)
    z_dim, _ = _shape(folder, g_names[0], g_arrays, "[z, units]")
    ngf, channels, kernel, _ = _shape(folder, g_names[-1], g_arrays, "[maps, channels, side, side]")
    ndf, *_ = _shape(folder, d_names[0], d_arrays, "[maps, channels, side, side]")
    try:
        return ModelConfig(
            size=BASE << levels,
            channels=channels,
            z_dim=z_dim,
            z_dist="normal",
            ngf=ngf,
            ndf=ndf,
            kernel=kernel,
            projection="unit",
            bn_eps=1e-8,
        )
    except UsageError as error:
        raise CheckpointError(f"{folder}: not a network that can be built: {error}") from error


def _shape(folder: Path, name: str, arrays: Arrays, expected: str) -> tuple[int, ...]:
    shape = arrays[name].shape
    if len(shape) != len(expected.split(",")):
        raise CheckpointError(f"{folder / name}: shape {list(shape)}, expected {expected}")
    return shape


def _weights(folder: Path, network: nn.Module, arrays: Arrays) -> dict[str, Tensor]:
    """The state dict of `network`, which is on the device `meta`, filled with `arrays`.

    The batch counters of batch norm are 0: its statistics are not in the files.
    """
    network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
    state = dict(network.state_dict())
    parameters = network.named_parameters()
    for (name, parameter), (file, array) in zip(parameters, arrays.items(), strict=True):
        # Their matrices multiply rows, x·W; ours are transposed.
        expected = parameter.shape[::-1] if parameter.dim() == 2 else parameter.shape
        if array.shape != expected:
            raise CheckpointError(
                f"{folder / file}: shape {list(array.shape)}, expected {list(expected)}"
            )
        source = torch.from_numpy(array)
        transposed = source.t() if source.dim() == 2 else source
        state[name] = (transposed.flip(2, 3) if source.dim() == 4 else transposed).contiguous()
    return state
