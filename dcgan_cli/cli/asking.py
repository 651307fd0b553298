"""The pictures that are asked about: samples of a seed, points of Z by name, or picture files."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.analysis.nearest_neighbors.neighbour_report import Asked
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.reference import Shown
    from dcgan_cli.model.latents import Latents
    from dcgan_cli.report import Pictures, Provenance

PART = 256
"""Samples drawn between two reports of progress."""


def samples(console: Console, drawing: "Drawing", count: int, seed: int) -> "Asked":
    """Samples 0 … `count` − 1 of `seed`."""
    import numpy as np

    from dcgan_cli.analysis.nearest_neighbors.neighbour_report import Asked
    from dcgan_cli.model.latents import seeded_latents

    config = drawing.generator.config
    latents = seeded_latents(seed, count, config.z_dim, config.z_dist)
    parts: list[Pictures] = []
    with console.progress("drawing") as bar:
        for first in range(0, count, PART):
            parts.append(drawing.pictures(latents[first : first + PART]))
            bar(min(first + PART, count), count)
    names = [f"sample {number}" for number in range(count)]
    return Asked(np.concatenate(parts), names, _record(drawing, seed, latents))


def given(
    console: Console, arguments: list[str], model: "Checkpoint", path: Path, drawing: "Drawing"
) -> "Asked":
    """The pictures and points that `--of` names, in that order."""
    import numpy as np

    from dcgan_cli.analysis.nearest_neighbors.neighbour_report import Asked
    from dcgan_cli.cli.tiles import read_points

    config = model.model
    shown = model.reference.shown
    pictures: list[Pictures] = []
    latents: list[Latents] = []
    names: list[str] = []
    for argument in arguments:
        if (picture := _picture(argument, shown)) is not None:
            pictures.append(picture[None])
            latents.append(np.full((1, config.z_dim), np.nan, np.float32))
            names.append(Path(argument).name)
            continue
        points = read_points(console, argument, model, path, drawing).latents
        pictures.append(drawing.pictures(points))
        latents.append(points)
        names += [argument if len(points) == 1 else f"{argument} {i}" for i in range(len(points))]
    record = _record(drawing, None, np.concatenate(latents))
    return Asked(np.concatenate(pictures), names, record)


def _picture(argument: str, shown: "Shown") -> "Pictures | None":
    """The image in the file `argument`, as training images were shown; None for anything else.

    A sheet of this toolkit is not a picture but points of Z. Raises UsageError for a damaged file.
    """
    from PIL import PngImagePlugin

    from dcgan_cli.data.decode import Unreadable
    from dcgan_cli.data.kinds.names import is_picture_name
    from dcgan_cli.errors import UsageError
    from dcgan_cli.report import RECORD

    path = Path(argument)
    if not path.is_file() or not is_picture_name(path.name):
        return None
    # what is no PNG is for the decoder to judge
    with suppress(OSError, ValueError, SyntaxError), PngImagePlugin.PngImageFile(path) as image:
        if f"{RECORD}.0" in image.info:
            return None
    try:
        return shown.decode(path.read_bytes())[0]
    except (Unreadable, OSError) as error:
        raise UsageError(f"--of {argument}: cannot be read: {error}") from error


def _record(drawing: "Drawing", seed: int | None, latents: "Latents") -> "Provenance":
    """What a sheet remembers of the pictures that were drawn."""
    return drawing.provenance(["nearest-neighbors"], seed, latents)
