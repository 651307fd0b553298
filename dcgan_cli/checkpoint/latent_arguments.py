"""Latent arguments: `samples.png#3,17`, `z.npy#0,4`, `smiling_woman` become latent vectors.

Every image grid that this package writes contains the z of its tiles (report.Provenance), so that
any tile can be used in a later command; a concept is a name for such vectors.
"""

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import PngImagePlugin

from dcgan_cli.checkpoint.concepts import Concept, read_concepts, unknown
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.checkpoint.names import NO_POINTS, is_name
from dcgan_cli.checkpoint.npy import open_npy
from dcgan_cli.errors import CheckpointError, DcganError, UsageError
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import RECORD, DrawSettings, Provenance

MAX_POINTS = 100_000
"""Maximum number of latent vectors in one argument; each becomes an image."""


@dataclass(frozen=True)
class NamedLatents:
    """Latent vectors and their origin: `name` is the argument as typed."""

    name: str
    latents: Latents
    checkpoint: str | None  # the hash of the model they belong to, if the file says it
    concept: Concept | None = None  # that was named
    drawn: DrawSettings | None = None  # how the tiles were generated, if the file says it

    @property
    def mean(self) -> Latents:
        """The mean of the latent vectors, which represents them (paper §6.3.2): float32 [1, z_dim]."""
        return self.latents.mean(0, dtype=np.float64, keepdims=True).astype(np.float32)


def read_latents(argument: str, checkpoint: Checkpoint, path: Path | None = None) -> NamedLatents:
    """The latent vectors that `argument` names.

        FILE.png#3,17 · FILE.png#2-5 · FILE.npy · FILE.npy#0,4 · CONCEPT · CONCEPT#0,2

    Args:
        argument: as typed; a concept has precedence over a file of the same name.
        checkpoint: the model whose latent space is meant.
        path: where `checkpoint` was read from: its concepts are beside it. None: no concepts.

    Example: `z = read_latents("samples.png#3,17", load(path), path).latents`.

    Raises:
        UsageError: no such file or concept, not an image grid, no vectors, an index out of range.
        CheckpointError: the vectors belong to another model, or have another dimension.
    """
    text, _, indices = argument.partition("#")
    named = _named(argument, text, indices, checkpoint, path)
    rows = named.latents
    if rows.shape[1] != checkpoint.model.z_dim:
        raise CheckpointError(
            f"{argument}: points of {rows.shape[1]} numbers, this model's z has "
            f"{checkpoint.model.z_dim}; they belong to another model"
        )
    if named.checkpoint is not None and named.checkpoint != checkpoint.hash:
        raise CheckpointError(
            f"{argument}: drawn by model {named.checkpoint[:40]}, this is {checkpoint.hash}; "
            "name the checkpoint that drew it, or pass the numbers as .npy"
        )
    if not np.isfinite(rows).all():
        raise UsageError(
            f"{argument}: not all of these are latent vectors (a tile may show an image that was not "
            "drawn from one); name those that are: #3,17"
        )
    return replace(named, name=argument, latents=rows)


def to_npy(points: Latents) -> bytes:
    """A .npy file of `points` [N, z_dim], which can be used as a latent argument."""
    buffer = io.BytesIO()
    np.save(buffer, points)
    return buffer.getvalue()


def _named(
    argument: str, text: str, indices: str, checkpoint: Checkpoint, path: Path | None
) -> NamedLatents:
    """The latent vectors `indices` of the concept or file called `text`."""
    file = Path(text)
    missing = NO_POINTS
    if path is not None and is_name(text):
        concepts = read_concepts(path, checkpoint)
        if (concept := concepts.get(text)) is not None:
            points = concept.exemplars[_indices(argument, indices, len(concept.exemplars))]
            return NamedLatents(text, points, checkpoint.hash, concept)
        missing = unknown(concepts, text, path)
    if not file.is_file():
        raise UsageError(f"{text}: {missing}")
    if file.suffix == ".npy":
        return _from_npy(file, argument, indices, checkpoint.model.z_dim)
    named = _from_grid(file)
    return replace(named, latents=named.latents[_indices(argument, indices, len(named.latents))])


def _from_npy(path: Path, argument: str, indices: str, z_dim: int) -> NamedLatents:
    """Only the rows `indices` of a file: it may be larger than memory."""
    try:
        file = open_npy(path)
        if len(file.shape) == 1:
            file = replace(file, shape=(1, *file.shape))
        if len(file.shape) != 2:
            raise UsageError(
                f"{path}: {file.dtype} {list(file.shape)}; expected numbers [N, z_dim]"
            )
        if file.shape[1] != z_dim:  # the caller reports the wrong dimension; no row is needed
            return NamedLatents(str(path), np.empty((0, file.shape[1]), np.float32), None)
        values = file.rows(_indices(argument, indices, file.shape[0]))
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: not an array of numbers (.npy): {error}") from error
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow is infinite, which is refused
        return NamedLatents(str(path), values.astype(np.float32), None)


def _from_grid(path: Path) -> NamedLatents:
    try:
        # not Image.open, which refuses large images or warns about them: no pixel is decoded here
        with PngImagePlugin.PngImageFile(path) as image:
            texts = {key: str(value) for key, value in image.info.items() if isinstance(key, str)}
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path}: not a PNG image grid: {error}") from error
    pieces: list[str] = []
    while (piece := texts.get(f"{RECORD}.{len(pieces)}")) is not None:
        pieces.append(piece)
    if not pieces:
        raise UsageError(
            f"{path}: carries no latents; only image grids drawn by dcgan do (not re-saved elsewhere)"
        )
    try:
        provenance = Provenance.from_json("".join(pieces))
    except DcganError as error:
        raise UsageError(f"{path}: {error}") from error
    return NamedLatents(
        str(path), provenance.latents, provenance.checkpoint, drawn=provenance.drawn
    )


def _indices(argument: str, indices: str, count: int) -> list[int]:
    """Tile numbers of `3,17,40` or `2-5`; all if `indices` is empty."""
    if count == 0:
        raise UsageError(f"{argument}: holds no points")
    if not indices and count > MAX_POINTS:
        raise UsageError(
            f"{argument}: holds {count:,} points, more than {MAX_POINTS:,}; name those that are "
            f"meant: {argument}#0-{MAX_POINTS - 1}"
        )
    if not indices:
        return list(range(count))
    chosen: list[int] = []
    for part in indices.split(","):
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if last < first:
            raise UsageError(f"{argument}: {part!r} is no tile number; expected #3,17 or #2-5")
        if last >= count:
            raise UsageError(f"{argument}: no tile {last}; there are {count}, counted from 0")
        if len(chosen) + last - first >= MAX_POINTS:
            raise UsageError(f"{argument}: names more than {MAX_POINTS:,} points; name fewer")
        chosen += range(first, last + 1)
    return chosen
