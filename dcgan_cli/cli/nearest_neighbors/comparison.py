"""From a checkpoint to its training images and to real images held out, with every step said."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.sample_classifier import Classes
from dcgan_cli.analysis.nearest_neighbors.training_search import MAX_HELD_OUT, Training, hold_out
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import prepare_shown
from dcgan_cli.cli.request import Request
from dcgan_cli.data.sources import Source, select, with_labels
from dcgan_cli.errors import SourceError, UsageError
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted


@dataclass(frozen=True, eq=False)
class Compared:
    """What samples are compared with.

    Attributes:
        training: those that are compared.
        held_out_images: real images held out, uint8 [m, S, S, C].
        trained_on: whether the network was trained on these too.
        classes, held_out_classes: of all training images and of those held out; empty where no
            column of labels was asked for.
    """

    training: Training
    held_out_images: Images
    trained_on: bool
    classes: Classes
    held_out_classes: Classes


def compare_with(
    console: Console,
    stack: ExitStack,
    model: Checkpoint,
    source: Source,
    request: Request,
    *,
    held_out: str | None,
    held_out_labels: Path | None,
    limit: int | None,
    column: str | None,
    seed: int,
) -> Compared:
    """Prepare the training images and hold some back, or read `held_out` instead.

    What is opened is closed with `stack`.
    """
    share = _share(held_out)
    original, held = source, None
    if limit is not None and limit < len(source):
        apart = held_out is None or share is not None
        source, held = _needed(source, limit, share, seed, apart)
    images = prepare_shown(console, source, request, model)
    stack.callback(images.close)
    shown = model.reference.shown
    if shown.image_spec.side != shown.size:
        console.note(
            f"trained on random windows of {shown.size} out of {shown.image_spec.side} pixels: compared "
            "with the middle one; copies of windows far from it go unseen"
        )
    if held_out is None or share is not None:
        if held is None:
            numbers, kept = hold_out(len(images), share, seed)
        else:
            back = held[images.origin]
            numbers, kept = np.flatnonzero(~back), np.flatnonzero(back)
        held_out_images = images.take(kept)
        held_out_classes = _classes(source, request, column)[images.origin[kept]]
        trained_on = True
    else:
        numbers = np.arange(len(images))
        other = Request(held_out, held_out_labels)
        held_out_images, held_out_classes, others = _other(
            console, model, (original, request), other, column, seed
        )
        trained_on = model.reference.is_of(others)
    beside = f"{counted(len(held_out_images), 'real image')} held out"
    if trained_on:
        beside = f"{len(held_out_images):,} set aside, which the network was trained on too"
    console.note(
        f"{request.location}: {source.kind}; {counted(len(numbers), 'training image')} compared, "
        f"{beside}"
    )
    training = Training(images, numbers, lambda number: source.name(int(images.origin[number])))
    classes = _classes(source, request, column)[images.origin]
    return Compared(training, held_out_images, trained_on, classes, held_out_classes)


def _needed(
    source: Source, limit: int, share: float | None, seed: int, apart: bool
) -> tuple[Source, NDArray[np.bool_]]:
    """The records that are compared or held out, and which of them are held out.

    At most `limit` are compared; some are held out where they are kept `apart`. No other is
    decoded.
    """
    numbers, kept = np.arange(len(source)), np.zeros(0, np.int64)
    if apart:
        numbers, kept = hold_out(len(source), share, seed)
    count = min(limit, len(numbers))
    numbers = numbers[np.arange(count) * len(numbers) // count]
    needed = np.sort(np.concatenate([numbers, kept]))
    return select(source, needed), np.isin(needed, kept)


def _share(held_out: str | None) -> float | None:
    """`held_out` as a share; None where it is something else. Raises UsageError."""
    try:
        share = float(held_out or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise UsageError(f"--held-out {held_out}: expected a share between 0 and 1, or a SOURCE")
    return share


def _other(
    console: Console,
    model: Checkpoint,
    training: tuple[Source, Request],
    other: Request,
    column: str | None,
    seed: int,
) -> tuple[Images, Classes, Source]:
    """Up to MAX_HELD_OUT random images of another source, their classes, and the source."""
    location = other.location
    source = other.open()
    if location == training[1].location or source.content() == training[0].content():
        raise UsageError(
            f"--held-out {location}: these are the training images; give others, or a share of "
            "them such as 0.25"
        )
    if column is not None:
        source = _with_classes(source, training[1], column)
    chosen = numpy_stream(seed, "held out").permutation(len(source))[:MAX_HELD_OUT]
    some = select(source, np.sort(chosen))
    images = prepare_shown(console, some, other, model)
    try:
        held_out_images = images.take(np.arange(len(images)))
        return held_out_images, _classes(some, other, column)[images.origin], source
    finally:
        images.close()


def _with_classes(source: Source, training: Request, column: str) -> Source:
    """`source`, whose classes may stand in the label table of the training images.

    Raises UsageError where they are not there either.
    """
    own = {} if source.labels is None else source.labels.columns
    if column in own or training.labels is None:
        return source
    try:
        return with_labels(source, training.labels)
    except SourceError as error:
        raise UsageError(
            f"--held-out {source.location}: has no column {column}, and the training images' labels "
            f"do not fit ({error}); name its own: --held-out-labels FILE"
        ) from error


def _classes(source: Source, request: Request, column: str | None) -> Classes:
    """The words of `column`, one a record of `source`. Raises UsageError where there are none."""
    if column is None:
        return np.zeros(len(source), np.str_)
    columns = {} if source.labels is None else source.labels.columns
    words = [name for name in columns if columns[name].dtype.kind == "U"]
    if column not in words:
        there = (
            f"there are {', '.join(words)}"
            if words
            else "there are none: join some with --labels, to --held-out with --held-out-labels"
        )
        raise UsageError(
            f"--classify {column}: {request.location} has no such column of classes; {there}"
        )
    return np.asarray(columns[column], np.str_)
