"""What a checkpoint argument means: a path, the name of a run, or nothing at all."""

import difflib
from pathlib import Path

from dcgan_cli.errors import CheckpointError

ROOT = Path("checkpoints")
"""Where runs are written and looked for by default."""

LAST = "last.pt"


def find_checkpoint(argument: str | None, root: Path = ROOT) -> Path:
    """The file that `argument` names.

    A path, a run (`faces` is `checkpoints/faces/last.pt`) or, for None, the newest below `root`.

    Raises CheckpointError where there is none, with the names that come near.
    """
    if argument is None:
        found = [*root.glob(f"*/{LAST}"), *root.glob("*.pt")]
        candidates = [path for path in found if path.is_file()]
        if not candidates:
            raise CheckpointError(
                f"no checkpoint given and none in {root}/; train one: dcgan train demo:faces"
            )
        return max(candidates, key=lambda path: path.stat().st_mtime)
    given = Path(argument)
    for path in (given, given / LAST, root / argument / LAST, root / f"{argument}.pt"):
        if path.is_file():
            return path
    names = [path.parent.name for path in root.glob(f"*/{LAST}")]
    names += [path.stem for path in root.glob("*.pt")]
    near = difflib.get_close_matches(argument, names, n=3) or sorted(names)[:5]
    known = f"; runs in {root}/: {', '.join(near)}" if near else f"; {root}/ holds no runs"
    raise CheckpointError(f"{argument}: neither a checkpoint file nor a run{known}")
