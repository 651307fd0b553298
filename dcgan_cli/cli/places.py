"""Where a run goes: its name, and that neither it nor its source lies inside the other."""

import os
import re
from pathlib import Path

from dcgan_cli.data.kinds.names import litter
from dcgan_cli.data.sources import source_files
from dcgan_cli.errors import UsageError
from dcgan_cli.files import MAX_NAME_BYTES

ROOT = "checkpoints"
"""What the folder of all runs is called by default."""

Identity = tuple[int, int]
"""A folder by device and inode: the same however it is reached."""


def run_path(out: Path, run: str | None, location: str) -> Path:
    """The folder of the run: `out` / its name, which is from the source where none was typed.

    Raises UsageError where it is no name, or there is neither a name nor a source.
    """
    if run is None and not location:
        raise UsageError("missing SOURCE: a folder of images, an archive, or demo:faces")
    name = _name_of(location) if run is None else run
    if not name or Path(name).name != name or name.startswith("."):
        wrong = f"--run {run}" if run is not None else f"{location}: names no run; type --run NAME"
        raise UsageError(f"{wrong}: expected a name for a folder in {out}/")
    if (length := len(os.fsencode(name))) > MAX_NAME_BYTES:
        raise UsageError(
            f"--run {name[:20]}…: {length} bytes; a folder's name has at most {MAX_NAME_BYTES}"
        )
    return out / name


def _name_of(location: str) -> str:
    """What a run is called after its source: the real name of its folder or file."""
    if location.startswith("demo:"):
        return location[5:].replace(":", "-")
    path = Path(re.sub(r"[-_.]*\{\d+\.\.\d+\}", "", location))
    if path != Path(location) and path.name.startswith("."):  # {000..099}.tar
        path = path.parent
    elif len(files := source_files(location)) == 1:
        path = files[0]
    if path.name in ("", ".", ".."):
        path = path.resolve()
    return path.stem.lstrip(".")


def refuse_overlap(location: str, run: Path) -> None:
    """Raise UsageError where the run would lie inside its own source, or the source inside the run.

    Otherwise the run would be trained on its own image grids, or beginning it anew would delete the
    source. Links are followed, as they are when images are read.
    """
    for source in source_files(location):
        if (place := _holding(source, run)) is not None:
            through = "" if place == source else f", through {place}"
            beside = source.resolve().parent / ROOT
            mend = f"type --out {os.path.relpath(beside)}"
            if beside.parent == source.resolve() or _holding(source, beside) is not None:
                mend = "choose a folder outside of it with --out FOLDER"
            raise UsageError(
                f"the run {run} would lie inside its own source {source}{through}; {mend}"
            )
        if run.exists() and _identity(run) in {_identity(p) for p in _way_up(source)}:
            raise UsageError(
                f"the source {source} lies inside the run's folder {run}; choose another folder "
                "with --run NAME or --out FOLDER"
            )


def _holding(source: Path, run: Path) -> Path | None:
    """The folder of `source` through which `run` would lie inside it, if any."""
    if not source.is_dir():
        return None
    above = {_identity(place) for place in _way_up(run)}
    seen: set[Identity] = set()
    pending = [source]
    while pending:
        place = pending.pop()
        identity = _identity(place)
        if identity in above:
            return place
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        try:
            with os.scandir(place) as entries:
                pending += [
                    place / entry.name
                    for entry in entries
                    if litter(entry.name) is None and entry.is_dir()
                ]
        except OSError:  # reading the source says what is wrong
            continue
    return None


def _way_up(path: Path) -> list[Path]:
    """`path` and the folders above it, of which those that exist."""
    real = path.resolve()
    return [place for place in (real, *real.parents) if place.exists()]


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
