"""What a command writes at places that a person named, looked at before any work begins.

Wrong names are refused at once: an ending that says another format, a folder, a place that is not
there, a file that the command reads, one file for two results, or a file that came with dcgan.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dcgan_cli.checkpoint.find import is_bundled
from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.files import MAX_NAME_BYTES, STDOUT, is_special, is_stdout

PNG, NPY, CSV, PT, JSON, TXT = (".png",), (".npy",), (".csv",), (".pt",), (".json",), (".txt",)
LINES = (".png", ".pdf", ".svg")
HTML = (".html", ".htm")
"""Endings of the formats that are written."""

IMAGES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif")
)
"""Endings of files that may be somebody's images."""

WHY_PNG = "an image grid holds the latent vectors of its tiles, which only a PNG keeps"


@dataclass(frozen=True)
class Output:
    """A file to be written.

    Attributes:
        option: what was typed before it: `-o`.
        path: where; None where it is not asked for.
        endings: what its name may end in, the usual one first.
        why: why nothing else, in a few words.
        unnamed: the person did not type this name: only a file of ours is replaced there.
    """

    option: str
    path: Path | None
    endings: tuple[str, ...]
    why: str = ""
    unnamed: bool = False


def check_outputs(
    outputs: Sequence[Output], inputs: Iterable[str | Path | None] = (), json: bool = False
) -> None:
    """Raise UsageError for the first of `outputs` that cannot be meant. Writes nothing.

    `inputs` are what the command reads, as `refuse_inputs` takes them; with `json` a document takes
    stdout.
    """
    for output in outputs:
        if json and is_stdout(output.path):
            raise UsageError(
                f"{output.option} - and --json would both be written to stdout; name a file with "
                f"{output.option}"
            )
        if output.path is not None and not is_special(output.path):
            _check(output, output.path)
    asked = [(output.option, output.path) for output in outputs if output.path is not None]
    files = [(option, path) for option, path in asked if not is_special(path) or path == STDOUT]
    for (other, same), (option, path) in combinations(files, 2):
        if _is_same(path, same):
            raise UsageError(f"{other} and {option} would both be written to {path}")
    refuse_inputs(outputs, *inputs)
    for output in outputs:
        path = output.path
        if not output.unnamed or path is None or is_special(path) or not path.exists():
            continue
        if not is_ours(path):
            raise UsageError(
                f"{output.option} {path}: a file that dcgan did not write is there and would be "
                "replaced; move it away, or name another place with -o"
            )


def rows_file(features: Path) -> Path:
    """The table beside a file of features that says whose they are.

    Raises UsageError where another file is in its place: not one that was written with features.
    """
    rows = features.with_suffix(".csv")
    if features.suffix == ".npy" and _exists(rows) and not features.exists():
        raise UsageError(
            f"--save-features {features}: {rows}, which says whose they are, would replace a file that "
            "is there already; name another .npy"
        )
    return rows


def check_folder(option: str, path: Path | None) -> None:
    """Raise UsageError where `path` cannot become a folder of images, or holds those of others."""
    if path is None or not (path.exists() or path.is_symlink()):
        return
    if not path.is_dir():
        raise UsageError(f"{option} {path}: a file of that name is there; name a folder")
    for file in path.iterdir():
        if file.suffix.lower() in IMAGES and not is_ours(file):
            raise UsageError(
                f"{option} {path}: {file.name} there was not written by dcgan; name a new folder, such "
                f"as {option} {path.with_name(path.name + '-samples')}"
            )


def is_ours(path: Path) -> bool:
    """Whether dcgan wrote the file at `path`: a PNG that says so, or the caption of a figure."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    if head.startswith(b"\x89PNG"):
        return b"dcgan" in head
    return any(line.startswith(b"dcgan ") for line in head.splitlines())


def refuse_inputs(outputs: Sequence[Output], *inputs: str | Path | None) -> None:
    """Raise UsageError where one of `outputs` is a file that the command reads.

    An input is a path, with or without `#part`, or a folder, of which all files are read; words
    that are no path do not count.
    """
    read = [path for given in inputs if given is not None for path in _paths(given)]
    for output in outputs:
        if output.path is None or is_special(output.path):
            continue
        for path in read:
            inside = path.is_dir() and output.path.resolve().is_relative_to(path.resolve())
            if _is_same(output.path, path) or (inside and output.path.is_file()):
                raise UsageError(
                    f"{output.option} {output.path}: this file is read by the same command and "
                    f"would be lost; name another one: {output.option} "
                    f"{output.path.with_name('new-' + output.path.name)}"
                )


def _check(output: Output, path: Path) -> None:
    said = f"{output.option} {path}"
    if (length := len(os.fsencode(path.name))) > MAX_NAME_BYTES:
        raise UsageError(
            f"{output.option} {path.name[:20]}…: {length} bytes; a file's name has at most "
            f"{MAX_NAME_BYTES}"
        )
    if path.is_dir():
        usual = f"{output.option.strip('-')}{output.endings[0]}"
        raise UsageError(f"{said}: a folder; name a file in it, such as {path / usual}")
    if path.suffix.lower() not in output.endings:
        found = path.suffix or "a name without an ending"
        why = f" ({output.why})" if output.why else ""
        raise UsageError(
            f"{said}: cannot write {found}; expected {', '.join(output.endings)}{why}, as in "
            f"{output.option} {path.with_suffix(output.endings[0])}"
        )
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"{said}: there is no folder {folder}; make it: mkdir -p {folder}")
    if path.exists() and path.suffix in (*PT, *JSON) and is_bundled(path):
        raise UsageError(f"{said}: a file that came with dcgan, which is read-only; name another")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise StorageError(f"{said}: may not be written; choose another place, or change its mode")


def _paths(given: str | Path) -> list[Path]:
    """The path that an argument names, if any: as it stands, and without `#part`."""
    text = str(given)
    candidates = [Path(text), Path(text.rpartition("#")[0])] if "#" in text else [Path(text)]
    return [path for path in candidates if str(path) not in ("", ".") and _exists(path)] + (
        [Path()] if text in (".", "./") else []
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there yet
        return os.path.realpath(path) == os.path.realpath(other)
