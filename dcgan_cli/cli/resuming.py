"""Going on with a run: what is taken over from it, and what is refused because it would change it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcgan_cli.checkpoint.format import Checkpoint, load_resumable
from dcgan_cli.cli.pictures import Request
from dcgan_cli.errors import UsageError
from dcgan_cli.training.distributed import was_restarted
from dcgan_cli.training.run import RunFolder, check_folder


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


def as_before(request: Request, before: Checkpoint) -> Request:
    """`request`, with what the run was trained on where nothing else was typed."""
    data = before.data
    return replace(
        request,
        location=request.location or data["location"],
        labels=request.labels or (Path(data["labels"]) if data["labels"] else None),
        limit=request.limit or data["limit"],
        background=data["background"],
    )


def refuse_changes(held: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError where an option differs from what the resumed run was begun with.

    Options that are None were not given.
    """
    for name, value in given.items():
        if value is not None and held[name] != value:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} {value}: the run was begun with {held[name]}, and a resumed run keeps "
                f"it; leave {option} out, or begin another with --run NAME"
            )


def refuse_other_pictures(before: Checkpoint, data: Mapping[str, Any]) -> None:
    """Raise UsageError where the pictures are not those that the run was trained on."""
    if before.data["pictures"] != data["pictures"]:
        raise UsageError(
            f"{data['location']} now gives {data['pictures']:,} pictures, the run was trained on "
            f"{before.data['pictures']:,}; restore them, or begin another with --run NAME"
        )
