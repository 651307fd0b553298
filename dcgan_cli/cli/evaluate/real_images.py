"""The real images of an evaluation: those that samples are compared with, and others as a control."""

from dataclasses import dataclass

import numpy as np

from dcgan_cli.analysis.evaluate.evaluation import FEWEST
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import (
    inspect_source,
    measured,
    prepare_images,
    prepare_shown,
    training_images,
)
from dcgan_cli.cli.request import Request
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.errors import SourceError
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted


@dataclass(frozen=True, eq=False)
class RealImages:
    """Two groups of as many real images, uint8 [N, S, S, C], that have none in common.

    `identity` says which they are, for a cache.
    """

    location: str
    reference: Images
    others: Images
    others_are: str
    identity: tuple[object, ...]


def of_training(
    console: Console, model: Checkpoint, data: str | None, count: int, seed: int
) -> RealImages:
    """Halves of the images that `model` was trained on, or of those at `data`; at most `count` each."""
    limit = 2 * count
    source, request = training_images(console, model, "--data", location=data, limit=limit)
    images = prepare_shown(console, source, request, model)
    try:
        return _halves(images, request.location, source.content(), count, seed)
    finally:
        images.close()


def of_folder(console: Console, location: str, side: int, count: int, seed: int) -> RealImages:
    """Halves of the images at `location`, cropped to `side` pixels."""
    images, content = _prepared(console, location, side)
    try:
        return _halves(images, location, content, count, seed)
    finally:
        images.close()


def all_of(
    console: Console, location: str, model: Checkpoint | None, side: int, count: int, seed: int
) -> Images:
    """At most `count` random images at `location`, as `model` sees images, or of `side` pixels."""
    if model is None:
        images, _ = _prepared(console, location, side)
    else:
        request = Request(location)
        source, _ = inspect_source(console, request)
        images = prepare_shown(console, source, request, model)
    try:
        if len(images) < FEWEST:
            raise SourceError(f"{location}: {_too_few(len(images), FEWEST)}")
        order = numpy_stream(seed, "evaluated images").permutation(len(images))
        return images.take(np.sort(order[:count]))
    finally:
        images.close()


def usual_side(console: Console, location: str) -> int:
    """The median short side of the images at `location`, in pixels."""
    _, found = inspect_source(console, Request(location))
    return int(found.short_side)


def _prepared(console: Console, location: str, side: int) -> tuple[DecodedImages, str]:
    request = Request(location)
    source, found = inspect_source(console, request)
    request = measured(console, request, found)
    images = prepare_images(console, source, request, request.image_spec(side, 3))
    return images, source.content()


def _halves(
    images: DecodedImages, location: str, content: str, count: int, seed: int
) -> RealImages:
    half = min(count, len(images) // 2)
    if half < FEWEST:
        raise SourceError(f"{location}: {_too_few(len(images), 2 * FEWEST)}")
    order = numpy_stream(seed, "real images").permutation(len(images))
    first, second = (np.sort(order[start : start + half]) for start in (0, half))
    return RealImages(
        location,
        images.take(first),
        images.take(second),
        "other real images",
        (content, images.image_spec, images.image_spec.side, len(images), half, seed),
    )


def _too_few(found: int, needed: int) -> str:
    return f"{counted(found, 'image')}; an evaluation needs {needed} or more"
