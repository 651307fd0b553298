"""From images with boxes to a detector of objects, with every step said; for `drop-filters`."""

import contextlib
import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dcgan_cli.analysis.drop_filters.object_detector import ObjectDetector
from dcgan_cli.analysis.drop_filters.train_detector import fit_object_detector
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import training_images
from dcgan_cli.data.decode import Unreadable
from dcgan_cli.data.labels import Boxes
from dcgan_cli.data.pixels import normalize
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import DcganError, SourceError, UsageError
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted, counted_are

LEARN = 1000
"""Images that an object detector learns from at most."""


def boxed_source(
    console: Console,
    model: Checkpoint,
    location: str | None,
    labels: Path | None,
    limit: int | None = None,
) -> tuple[Source, Boxes]:
    """Real images with boxes: those at `location`, or those that `model` was trained on.

    Raises UsageError where they have no boxes, SourceError where there are no such images.
    """
    # of synthetic rooms no more than are looked at: working out the truth of each takes its time
    limit = limit or (LEARN if location == "demo:rooms" else None)
    try:
        source, _ = training_images(
            console, model, "--from", location=location, labels=labels, limit=limit
        )
    except DcganError as error:
        if location is not None:
            raise
        raise UsageError(f"--find learns from real images with boxes, and {error}") from error
    boxes = None if source.labels is None else source.labels.boxes
    if boxes is None or not len(boxes.image):
        raise UsageError(
            f"--from {source.location}: has no boxes; give a CSV file of them with --labels (file, "
            "kind, x0, y0, x1, y1 as fractions), or a source that has its own, such as demo:rooms"
        )
    return source, boxes


def learn_from_source(
    console: Console,
    found: tuple[Source, Boxes],
    model: Checkpoint,
    kind: str,
    device: torch.device,
    seed: int,
) -> ObjectDetector:
    """Learn to find what is boxed in real images, at most LEARN of those that were looked at.

    Raises UsageError where no box is a `kind`, DcganError where it cannot be found by them.
    """
    source, boxes = found
    check_kind(kind, boxes.kind.tolist(), source.location)
    shown = model.reference.shown
    looked = np.flatnonzero(boxes.seen)
    rows: list[int] = []
    images: list[Images] = []
    sizes = np.zeros((len(boxes.seen), 2), np.int64)
    with console.progress("reading images with boxes") as bar:
        order = numpy_stream(seed, "boxed pictures").permutation(looked)[:LEARN]
        for number in order.tolist():
            with contextlib.suppress(Unreadable):
                image, sizes[number] = shown.read(source, number)
                images.append(image)
                rows.append(number)
            bar(len(rows), len(order))
    if not rows:
        raise SourceError(f"{source.location}: none of its images with boxes can be read")
    chosen = np.array(rows, np.int64)
    kept = np.isin(boxes.image, chosen)
    width, height = sizes[boxes.image[kept]].T
    corners = shown.corners(boxes.corners[kept], width, height)
    inside = ~np.isnan(corners).any(1)
    framed = replace(
        boxes,
        image=boxes.image[kept][inside],
        kind=boxes.kind[kept][inside],
        corners=corners[inside],
    )
    console.note(
        f"{source.location}: {source.kind}, {counted(len(rows), 'image')} with boxes are trained on"
    )
    return train_detector(console, np.stack(images), framed.take(chosen), model, kind, device, seed)


def train_detector(
    console: Console,
    images: Images,
    boxes: Boxes,
    model: Checkpoint,
    kind: str,
    device: torch.device,
    seed: int,
) -> ObjectDetector:
    """Learn to find what is boxed in `images` uint8 [N, S, S, C], and say how well that goes.

    Raises DcganError where `kind` cannot be found.
    """
    discriminator = model.build_discriminator().to(device)
    with console.progress("learning to find") as bar:
        detector = fit_object_detector(
            normalize(torch.from_numpy(images)), boxes, discriminator, seed=seed, progress=bar
        )
    for name, reason in detector.refused.items():
        if name == kind:
            raise DcganError(f"a {kind} cannot be found by these boxes: {reason}")
        console.note(f"not looked for: {name}: {reason}")
    for name, known in detector.objects.items():
        without = round((known.share.n or 0) * (1 - known.share.value))
        said = f"not evaluated, {counted_are(without, 'image')} without"
        if known.whether is not None:
            low, high = known.whether.low, known.whether.high
            said = f"{known.whether.value:.3f} [{low:.3f}, {high:.3f}] (chance 0.5)"
        console.note(
            f"object detector: {name}: AUC {known.where.value:.3f} [{known.where.low:.3f}, "
            f"{known.where.high:.3f}] on {counted(known.where.n or 0, 'image')} held out, by the usual place "
            f"{known.where_usual.value:.3f}; whether there is one: {said}"
        )
    return detector


def check_kind(kind: str, kinds: Iterable[str], where: str) -> None:
    """Raise UsageError, with what comes near, where none of `kinds` is `kind`."""
    there = sorted(set(kinds))
    if kind not in there:
        near = difflib.get_close_matches(kind, there, n=3) or there
        raise UsageError(
            f"--find {kind}: {where} has no box of that; there are {', '.join(near) or 'none at all'}"
        )
