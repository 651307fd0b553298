"""Finding a checkpoint: a path, the name of a run, a bundled model, or the newest."""

import difflib
from importlib.resources import files
from pathlib import Path

from dcgan_cli.errors import CheckpointError

ROOT = Path("checkpoints")
"""Where runs are written and searched by default."""

LAST = "last.pt"

BUNDLED = ("demo-faces", "demo-rooms")
"""Small trained models that are installed with the package; the first is the default of a new
install."""


def find_checkpoint(argument: str | None, root: Path = ROOT) -> Path:
    """The checkpoint file that `argument` names.

    A path, a run (`faces` is `checkpoints/faces/last.pt`), a folder of the authors' own files
    (`foreign`; its index file represents it), a bundled model (`demo-faces`, unless a run has that
    name) or, for None, the first of `known_checkpoints`.

    Example: `checkpoint = load(find_checkpoint("demo-faces"))`.

    Raises CheckpointError if there is none, with similar names.
    """
    if argument is None:
        if not (known := known_checkpoints(root)):
            raise CheckpointError(
                f"no checkpoint given and none in {root}/; train one: dcgan train demo:faces"
            )
        return known[0]
    given = Path(argument)
    for path in (given, given / LAST, root / argument / LAST, root / f"{argument}.pt"):
        if path.is_file():
            return path
    for folder in (given, root / argument):
        if folder.is_dir():
            from dcgan_cli.checkpoint.foreign import recognize  # which imports torch

            if (found := recognize(folder)) is not None:
                return found
    if (found := bundled(argument)) is not None:
        return found
    runs = _runs(root)
    there = [name for name in BUNDLED if bundled(name) is not None]
    names = [*runs, *(name for name in there if name not in runs)]
    near = difflib.get_close_matches(argument, names, n=3) or sorted(names)[:5]
    hint = f"; there are: {', '.join(near)}" if near else f"; {root}/ holds no runs"
    raise CheckpointError(f"{argument}: neither a checkpoint file nor a run{hint}")


def known_checkpoints(root: Path = ROOT) -> list[Path]:
    """All candidates if no checkpoint is named: runs, the newest first, then bundled models."""
    there = [path for path in _runs(root).values() if path.is_file()]
    newest_first = sorted(there, key=lambda path: path.stat().st_mtime, reverse=True)
    return newest_first + [path for name in BUNDLED if (path := bundled(name)) is not None]


def _runs(root: Path) -> dict[str, Path]:
    """The checkpoints below `root` by name."""
    loose = {path.stem: path for path in root.glob("*.pt") if path.stem not in BUNDLED}
    return loose | {path.parent.name: path for path in root.glob(f"*/{LAST}")}


def bundled(name: str) -> Path | None:
    """The bundled model called `name`: installed, or in the repository's checkpoints/."""
    if name not in BUNDLED:
        return None
    for folder in _bundled_folders():
        if (path := folder / f"{name}.pt").is_file():
            return path
    return None


def is_bundled(path: Path) -> bool:
    """Whether `path` was installed: a bundled model, its concepts, or any other file."""
    real = path.resolve()
    if real.is_relative_to(_package().resolve()):
        return True
    folders = [folder.resolve() for folder in _bundled_folders()]
    return real.parent in folders and real.name.partition(".")[0] in BUNDLED


def _bundled_folders() -> tuple[Path, Path]:
    package = _package()
    return package / "bundled", package.parent / "checkpoints"


def _package() -> Path:
    return Path(str(files("dcgan_cli")))
