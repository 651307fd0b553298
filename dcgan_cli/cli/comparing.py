"""From a checkpoint to its training pictures and to real pictures held back, with every step said."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.pictures import Request, prepare_pictures, remembered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dcgan_cli.analysis.nearest_neighbors.reference import Training
    from dcgan_cli.analysis.nearest_neighbors.sample_classifier import Classes
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.pictures import PictureSet
    from dcgan_cli.data.sources import Source
    from dcgan_cli.report import Pictures


@dataclass(frozen=True, eq=False)
class Compared:
    """What samples are compared with.

    Attributes:
        request, kind: where the training pictures come from, and what that is.
        training: those that are compared.
        honest: real pictures held back, uint8 [m, S, S, C].
        classes, honest_classes: of all training pictures and of those held back; empty where no
            column of labels was asked for.
    """

    request: Request
    kind: str
    training: "Training"
    honest: "Pictures"
    classes: "Classes"
    honest_classes: "Classes"


@dataclass(frozen=True, eq=False)
class Middle:
    """The middle of pictures that are larger than the network's: random crops show it most."""

    pictures: "PictureSet"
    size: int

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: "NDArray[np.int64]") -> "Pictures":
        """uint8 [B, size, size, C]."""
        margin = (self.pictures.framing.side - self.size) // 2
        inside = slice(margin, margin + self.size)
        return self.pictures.take(indices)[:, inside, inside]


def training_source(
    model: "Checkpoint", data: str | None, labels: Path | None
) -> "tuple[Source, Request]":
    """The pictures called `data`, or those that `model` was trained on.

    Raises SourceError, with what to type, where the checkpoint does not lead to them.
    """
    from dcgan_cli.data.sources import open_source
    from dcgan_cli.errors import SourceError

    if data is not None:
        request = Request(data, labels, background=str(model.data.get("background", "white")))
    else:
        try:
            source, request = remembered(model)
        except SourceError as error:
            raise SourceError(f"{error}; name the training pictures: --data SOURCE") from error
        if labels is None:
            return source, request
        request = replace(request, labels=labels)
    return open_source(request.location, labels=request.labels, limit=request.limit), request


def compare_with(
    console: Console,
    stack: ExitStack,
    model: "Checkpoint",
    source: "Source",
    request: Request,
    *,
    held_out: str | None,
    limit: int | None,
    column: str | None,
    seed: int,
) -> Compared:
    """Prepare the training pictures and hold some back, or read `held_out` instead.

    What is opened is closed with `stack`.
    """
    import numpy as np

    from dcgan_cli.analysis.nearest_neighbors.reference import Training, hold_out

    share = _share(held_out)
    held = None
    if limit is not None and limit < len(source):
        apart = held_out is None or share is not None
        source, held = _needed(source, limit, share, seed, apart)
    pictures, shown = _prepare(console, stack, model, source, request)
    if held_out is None or share is not None:
        if held is None:
            numbers, kept = hold_out(len(pictures), share, seed)
        else:
            back = held[pictures.origin]
            numbers, kept = np.flatnonzero(~back), np.flatnonzero(back)
        honest = shown.take(kept)
        honest_classes = _classes(source, request, column)[pictures.origin[kept]]
    else:
        numbers = np.arange(len(pictures))
        honest, honest_classes = _other(console, stack, model, request, held_out, column, seed)
    console.note(
        f"{request.location}: {source.kind}; {len(numbers):,} training pictures compared, "
        f"{len(honest):,} real pictures held out"
    )
    training = Training(shown, numbers, lambda number: source.name(int(pictures.origin[number])))
    classes = _classes(source, request, column)[pictures.origin]
    return Compared(request, source.kind, training, honest, classes, honest_classes)


def _needed(
    source: "Source", limit: int, share: float | None, seed: int, apart: bool
) -> "tuple[Source, NDArray[np.bool_]]":
    """The records that are compared or held back, and which of them are held back.

    At most `limit` are compared; some are held back where they are kept `apart`. No other is decoded.
    """
    import numpy as np

    from dcgan_cli.analysis.nearest_neighbors.reference import hold_out
    from dcgan_cli.data.sources import select

    numbers, kept = np.arange(len(source)), np.zeros(0, np.int64)
    if apart:
        numbers, kept = hold_out(len(source), share, seed)
    numbers = numbers[
        np.arange(min(limit, len(numbers))) * len(numbers) // min(limit, len(numbers))
    ]
    needed = np.sort(np.concatenate([numbers, kept]))
    return select(source, needed), np.isin(needed, kept)


def _share(held_out: str | None) -> float | None:
    """`held_out` as a share; None where it is something else. Raises UsageError."""
    from dcgan_cli.errors import UsageError

    try:
        share = float(held_out or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UsageError(f"--held-out {held_out}: expected a share between 0 and 1, or a SOURCE")
    return share


def _prepare(
    console: Console,
    stack: ExitStack,
    model: "Checkpoint",
    source: "Source",
    request: Request,
) -> "tuple[PictureSet, PictureSet | Middle]":
    """The pictures, and what the network may have seen of each."""
    size = model.model.size
    side = model.data.get("side")
    side = side if isinstance(side, int) and side > size else size
    pictures = prepare_pictures(console, source, request, side, model.model.channels)
    stack.callback(pictures.close)
    if side == size:
        return pictures, pictures
    console.note(
        f"trained on random windows of {size} out of {side} pixels: compared with the middle one; "
        f"copies of windows far from it go unseen"
    )
    return pictures, Middle(pictures, size)


def _other(
    console: Console,
    stack: ExitStack,
    model: "Checkpoint",
    request: Request,
    location: str,
    column: str | None,
    seed: int,
) -> "tuple[Pictures, Classes]":
    """Up to MOST_HELD_OUT random pictures of another source, and their classes."""
    import numpy as np

    from dcgan_cli.analysis.nearest_neighbors.reference import MOST_HELD_OUT
    from dcgan_cli.data.sources import open_source, select
    from dcgan_cli.errors import UsageError
    from dcgan_cli.runtime import numpy_stream

    if location == request.location:
        raise UsageError(
            f"--held-out {location}: these are the training pictures; give others, or a share of "
            "them such as 0.25"
        )
    other = Request(location, request.labels, background=request.background)
    source = open_source(location, labels=other.labels)
    chosen = numpy_stream(seed, "held out").permutation(len(source))[:MOST_HELD_OUT]
    source = select(source, np.sort(chosen))
    pictures, shown = _prepare(console, stack, model, source, other)
    return shown.take(np.arange(len(pictures))), _classes(source, other, column)[pictures.origin]


def _classes(source: "Source", request: Request, column: str | None) -> "Classes":
    """The words of `column`, one a record of `source`. Raises UsageError where there are none."""
    import numpy as np

    from dcgan_cli.errors import UsageError

    if column is None:
        return np.zeros(len(source), np.str_)
    columns = {} if source.labels is None else source.labels.columns
    words = [name for name in columns if columns[name].dtype.kind == "U"]
    if column not in words:
        there = (
            f"there are {', '.join(words)}" if words else "there are none: join some with --labels"
        )
        raise UsageError(
            f"--classify {column}: {request.location} has no such column of classes; {there}"
        )
    return np.asarray(columns[column], np.str_)
