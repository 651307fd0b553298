"""From what a person types as SOURCE to images ready for the networks, with every step said."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.request import Request
from dcgan_cli.data.cache import DecodedImages, prepare
from dcgan_cli.data.decode import Unreadable
from dcgan_cli.data.resize_crop import MAX_ASPECT, ImageSpec
from dcgan_cli.data.sources import Source, open_source, with_labels
from dcgan_cli.data.survey import Survey, survey
from dcgan_cli.errors import DcganError
from dcgan_cli.report import Images
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

CONSIDERABLE = 0.2
"""A crop that leaves out a larger share of the width or height is worth a sentence."""


def inspect_source(
    console: Console, request: Request, source: Source | None = None
) -> tuple[Source, Survey]:
    """Recognize the source, or take `source`, and look at some of its images; said on stderr."""
    source = source or request.open()
    found = survey(source)
    colors = "gray" if found.channels == 1 else "color"
    console.note(
        f"{request.location or source.location}: {source.kind}, {counted(len(source), 'image')}, {colors}, "
        f"short side {found.short_side:.0f} px"
    )
    for note in source.notes:
        console.note(note)
    labels = source.labels
    if labels is not None and labels.columns:
        of = ""
        if labels.listed is not None and not labels.listed.all():
            of = f" for {int(labels.listed.sum()):,} of {counted(len(source), 'image')}"
        console.note(f"labels{of}: {', '.join(labels.columns)}")
    return source, found


def measured(console: Console, request: Request, survey: Survey) -> Request:
    """`request`, with the levels and the aspect of the images themselves; what it does is said."""
    request = replace(request, aspect=min(max(survey.aspect, 1 / MAX_ASPECT), MAX_ASPECT))
    if request.levels is None and survey.levels is not None:
        black, white = survey.levels
        request = replace(request, levels=f"{black!r},{white!r}")
        if survey.levels_note:
            console.note(survey.levels_note)
    cut, what = max((survey.width_cut, "width"), (survey.height_cut, "height"))
    if request.fit == "crop" and cut >= CONSIDERABLE:
        console.note(
            f"center crop cuts away {100 * cut:.0f} % of the {what} on average; "
            "--fit pad or --fit stretch keeps it"
        )
    return request


def prepare_images(
    console: Console, source: Source, request: Request, image_spec: ImageSpec
) -> DecodedImages:
    """Decode the images of `source`, or find them decoded; skipped ones are said."""
    with console.progress("decoding") as bar:
        images = prepare(
            source,
            image_spec,
            workers=request.workers,
            cache_limit=int(request.cache_gib * 2**30),
            max_unreadable=request.max_unreadable,
            use_cache=request.use_cache,
            progress=bar,
        )
    for note in images.notes:
        console.note(note)
    if images.skipped:
        console.note(
            f"{images.skipped} of {counted(len(source), 'image')} skipped; see {images.log}"
        )
    return images


def prepare_shown(
    console: Console, source: Source, request: Request, model: Checkpoint
) -> DecodedImages:
    """The images of `source` as the discriminator of `model` was shown those of its training."""
    shown = model.reference.shown
    return shown.of(prepare_images(console, source, request, shown.image_spec))


def training_images(
    console: Console,
    model: Checkpoint,
    option: str,
    *,
    location: str | None = None,
    labels: Path | None = None,
    limit: int | None = None,
) -> tuple[Source, Request]:
    """The images that `model` was trained on, or others at `location`, which is said.

    `location` is where they are now, or where others are that are meant instead; None where they
    were. It was typed with `option`, which errors name. `labels` is a table that joins them; None
    the one that joined them in training. At most `limit` are kept, evenly spaced.

    Raises:
        SourceError: they cannot be found, or others are where they were.
    """
    reference = model.reference
    if location is None:
        source = reference.open(f"{option} SOURCE")
        location = reference.location or ""
        same = True if reference.content else reference.is_same(source)  # `open` compared it
    else:
        source = open_source(location, limit=reference.limit)
        same = reference.is_same(source)
    request = Request(location, labels, reference.limit)
    if same is False:
        console.note(f"{location}: {reference.difference(source)}")
        request = replace(request, limit=None)
    elif reference.location is not None:
        if same is None:
            console.note(f"{location}: {reference.doubt()}")
        request = replace(request, labels=labels or reference.labels_at(location))
        if reference.labels and not request.labels:
            console.note(f"{reference.labels}: the label table of the training is not there")
    if limit is not None:
        request = replace(request, limit=min(limit, request.limit or limit))
    if request.limit != reference.limit:
        return request.open(), request
    return (with_labels(source, request.labels) if request.labels else source), request


def training_sample(
    console: Console, model: Checkpoint, data: str | None, count: int, seed: int
) -> Images | None:
    """`count` random images of the set the model was trained on; None, and why, without them.

    Raises DcganError where images were named, by `data`, that cannot be read.
    """
    left_out = "no cross-fade of training images as a control:"
    try:
        source, request = training_images(console, model, "--data", location=data)
        shown = model.reference.shown
    except DcganError as error:
        if data is not None:
            raise
        console.note(f"{left_out} {error}")
        return None
    found: list[Images] = []
    # a few more than needed, for some may be unreadable
    candidates = numpy_stream(seed, "training pictures").permutation(len(source))[: 2 * count + 8]
    for number in candidates.tolist():
        with contextlib.suppress(Unreadable):
            found.append(shown.read(source, number)[0])
        if len(found) == count:
            return np.stack(found)
    console.note(
        f"{left_out} only {len(found)} of {request.location} could be read, {count} are needed"
    )
    return None
