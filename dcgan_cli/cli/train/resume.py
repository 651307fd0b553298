"""Going on with a run: what is taken over from it, and what is refused because it would change it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from dcgan_cli.checkpoint.format import Checkpoint, load_resumable
from dcgan_cli.cli.request import Request
from dcgan_cli.data.reference import Reference, color
from dcgan_cli.data.sources import Source, open_source, with_labels
from dcgan_cli.errors import UsageError
from dcgan_cli.model.presets import HYPERPARAMETERS
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.training.distributed import was_restarted
from dcgan_cli.training.run_folder import RunFolder, check_folder
from dcgan_cli.wording import counted


def earlier_state(folder: RunFolder, resume: bool, overwrite: bool) -> Checkpoint | None:
    """The state to go on from, if any. What torchrun restarts goes on with its own run unasked.

    Raises UsageError where the options do not say what to do with a run that is there.
    """
    there = folder.last.exists()
    if there and was_restarted():
        return load_resumable(folder.last)
    check_folder(folder.path, resume, overwrite)
    if there and overwrite and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        raise UsageError(
            f"--overwrite with --max-restarts: a restart might go on with the old run; "
            f"delete {folder.path}, or leave one of them out"
        )
    return load_resumable(folder.last) if resume else None


KEPT = HYPERPARAMETERS | {
    *("limit", "background", "fit", "levels", "preset", "loss", "d_steps", "sync_bn", "ema", "seed")
}
"""Options of `dcgan train` that a run keeps: another value, typed with --resume, is refused. Of the
others, what is typed with --resume holds from then on. SOURCE may name another place, where the same
images are."""


def as_before(request: Request, before: Reference) -> Request:
    """`request`, with what the run was trained on where nothing else was typed."""
    location = request.location or before.location or ""
    return replace(
        request,
        location=location,
        labels=request.labels or before.labels_at(location),
        limit=before.limit,
    )


def refuse_changes(before: Checkpoint, typed: Mapping[str, Any]) -> None:
    """Raise UsageError where a `typed` option is not what the run was begun with (KEPT)."""
    image_spec = asdict(before.reference.shown.image_spec)
    recipe = Recipe(**before.recipe).to_dict()  # with what its version did not have yet
    held = {"sync_bn": True, **before.model.to_dict(), **recipe, **image_spec}
    held |= {"limit": before.reference.limit, **before.training}
    for name in sorted(KEPT & typed.keys()):
        value = _AS_HELD.get(name, lambda text: text)(typed[name])
        if held.get(name) != value:
            option = name.replace("_", "-")
            wrong = f"--no-{option}" if value is False else f"--{option}"
            if not isinstance(value, bool):
                wrong += f" {value:g}" if isinstance(value, float) else f" {typed[name]}"
            raise UsageError(
                f"{wrong}: the run was begun {_begun(held.get(name))}, and a resumed run keeps to "
                "that; leave the option out, or begin another with --run NAME"
            )


def same_images(before: Reference, request: Request, mend: str) -> tuple[Source, str | None]:
    """The images of the run that goes on, and what cannot be told of them.

    `mend` is what to type where they have moved.

    Raises UsageError where `request` names others, SourceError where they are gone or changed.
    """
    if before.location is None or not before.is_location(request.location):
        source = open_source(request.location, limit=request.limit)
        if before.is_same(source) is False:
            raise UsageError(
                f"{request.location}: {before.difference(source)}; give those, or begin another "
                "with --run NAME"
            )
    else:
        source = before.open(mend)
    unsure = None
    if before.content is None and before.is_same(source) is None:
        unsure = f"{request.location}: {before.doubt()}"
    return (with_labels(source, request.labels) if request.labels else source), unsure


def refuse_another_count(before: Reference, now: Reference) -> None:
    """Raise UsageError where another number of images could be read than in the run so far.

    Batches are drawn by number: one image more or less would make it another run.
    """
    if before.images is not None and before.images != now.images:
        raise UsageError(
            f"{now.location}: {counted(now.images or 0, 'image')} can be read there, the run was trained on "
            f"{before.images:,}; restore them, or begin another with --run NAME"
        )


def _levels(text: str) -> tuple[float, ...] | str:
    """`0,4095` as numbers; text that holds none as it is, which equals nothing."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return text


_AS_HELD: Mapping[str, Callable[[Any], Any]] = {"background": color, "levels": _levels}
"""Options whose typed text is not what a checkpoint holds."""


def _begun(value: Any) -> str:
    """With which value of an option, as it is typed."""
    if value is None or isinstance(value, bool):
        return "with it" if value else "without it"
    if isinstance(value, tuple) and len(value) == 2:
        return "with " + ",".join(f"{part:g}" for part in value)
    if isinstance(value, tuple):
        return "with #" + "".join(f"{part:02x}" for part in value)
    return f"with {value:g}" if isinstance(value, float) else f"with {value}"
