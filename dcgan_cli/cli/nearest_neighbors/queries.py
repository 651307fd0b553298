"""The images that are asked about: samples of a seed, latent vectors by name, or image files."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import PngImagePlugin

from dcgan_cli.analysis.nearest_neighbors.neighbor_report import Queries
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.models import read_points
from dcgan_cli.data.decode import Unreadable
from dcgan_cli.data.kinds.names import is_image_name
from dcgan_cli.data.reference import NetworkView
from dcgan_cli.errors import UsageError
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import RECORD, Images, Provenance

PART = 256
"""Samples drawn between two reports of progress."""


def samples(console: Console, sampler: Sampler, count: int, seed: int) -> Queries:
    """Samples 0 … `count` − 1 of `seed`."""
    latents = sampler.seeded(seed, count)
    parts: list[Images] = []
    with console.progress("drawing") as bar:
        for first in range(0, count, PART):
            parts.append(sampler.images(latents[first : first + PART]))
            bar(min(first + PART, count), count)
    names = [f"sample {number}" for number in range(count)]
    return Queries(np.concatenate(parts), names, _record(sampler, seed, latents))


def given(
    console: Console, arguments: list[str], model: Checkpoint, path: Path, sampler: Sampler
) -> Queries:
    """The images and points that `--of` names, in that order."""
    config = model.model
    shown = model.reference.shown
    images: list[Images] = []
    latents: list[Latents] = []
    names: list[str] = []
    for argument in arguments:
        if (image := _image(argument, shown)) is not None:
            images.append(image[None])
            latents.append(np.full((1, config.z_dim), np.nan, np.float32))
            names.append(Path(argument).name)
            continue
        points = read_points(console, argument, model, path, sampler).latents
        images.append(sampler.images(points))
        latents.append(points)
        names += [argument if len(points) == 1 else f"{argument} {i}" for i in range(len(points))]
    record = _record(sampler, None, np.concatenate(latents))
    return Queries(np.concatenate(images), names, record)


def _image(argument: str, shown: NetworkView) -> Images | None:
    """The image in the file `argument`, as training images were shown; None for anything else.

    An image grid of this toolkit is not an image but latent vectors. Raises UsageError for a
    damaged file.
    """
    path = Path(argument)
    if not path.is_file() or not is_image_name(path.name):
        return None
    # what is no PNG is for the decoder to classify
    with suppress(OSError, ValueError, SyntaxError), PngImagePlugin.PngImageFile(path) as image:
        if f"{RECORD}.0" in image.info:
            return None
    try:
        return shown.decode(path.read_bytes())[0]
    except (Unreadable, OSError) as error:
        raise UsageError(f"--of {argument}: cannot be read: {error}") from error


def _record(sampler: Sampler, seed: int | None, latents: Latents) -> Provenance:
    """What an image grid remembers of the images that were drawn."""
    return sampler.provenance(["nearest-neighbors"], seed, latents)
