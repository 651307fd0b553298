"""The folder of a run: its layout, its lock, and which files are kept."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from dcgan_cli.checkpoint.find import LAST
from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.files import atomic_write, make_folder, storage_error, write_text
from dcgan_cli.training.mark import LOCK, Mark, marked
from dcgan_cli.training.metrics import encode_rows, split_lines
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint

PAPER_EPOCHS = (1, 5)
"""The epochs whose samples the paper shows (§4.1); their checkpoints are always kept."""

KEEP = "2"
"""How many of the newest epoch checkpoints are kept unless --keep was given."""

METRICS_FILE, DAMAGED, CONFIG = "metrics.jsonl", "metrics-damaged.txt", "config.json"
CURVES, FILM, LAST_GRID = "curves.png", "samples.gif", "samples/last.png"

ALWAYS = (CONFIG, LAST, METRICS_FILE, CURVES, FILM, LAST_GRID)
"""The files that every run writes: whether they can be written is checked before anything is
deleted or trained."""


def parse_keep(text: str) -> int | None:
    """How many epoch checkpoints `--keep TEXT` keeps; None is all of them. Raises UsageError."""
    if text == "all":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"--keep {text}: expected a number or all")
    return int(text)


class RunFolder:
    """`checkpoints/<run>/`, locked while this object is open.

    It holds last.pt, epoch-0001.pt …, samples/, metrics.jsonl, curves.png, config.json, and the
    marker run.json that lists them (see `mark`): nothing else in the folder is ever removed or
    overwritten. A folder that was created here and is still empty at the end is removed again.
    `tell` is called with messages for the user, one sentence each.

    Example:
        with RunFolder(Path("checkpoints/faces")) as folder:
            folder.save(folder.last, checkpoint)

    Raises:
        UsageError: the folder holds other files.
        StorageError: another process writes there, or it cannot be written.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        marked(path)  # raises for a folder that is not ours, before a lock file is created
        self._is_new = not path.exists()
        self.path = make_folder(path)
        self._lock = _lock(path / LOCK, path)
        self._tell = tell
        try:
            self._mark = marked(path) or Mark(path)
            self._mark.sweep()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_new and [entry.name for entry in self.path.iterdir()] == [LOCK]:
            (self.path / LOCK).unlink()
            self.path.rmdir()
        self._lock.close()

    @property
    def last(self) -> Path:
        """The checkpoint with the newest state of the run."""
        return self.path / LAST

    @property
    def best(self) -> Path:
        """The checkpoint whose samples were nearest to real images, by `--evaluate-every`."""
        return self.path / "best.pt"

    @property
    def samples(self) -> Path:
        """The folder of sample grids."""
        return self.path / "samples"

    @property
    def metrics(self) -> Path:
        """One JSON object a step."""
        return self.path / METRICS_FILE

    def epoch(self, number: int) -> Path:
        """The checkpoint at the end of epoch `number` (from 1)."""
        return self.path / f"epoch-{number:04d}.pt"

    def grid(self, number: int) -> str:
        """The name, in the folder, of the image grid at the end of epoch `number` (from 1)."""
        return f"samples/epoch-{number:04d}.png"

    def grids(self) -> list[Path]:
        """The image grids of all epochs of this run, in order."""
        names = [name for name in self._mark.files if re.fullmatch(r"samples/epoch-\d+\.png", name)]
        return [self.path / name for name in sorted(names, key=_number) if self._mark.holds(name)]

    def is_grid_missing(self, number: int) -> bool:
        """Whether the image grid of epoch `number` is missing."""
        return not self._mark.holds(self.grid(number))

    def clear(self) -> None:
        """Delete what an earlier run has written here, and nothing else.

        Raises StorageError, before anything is deleted, if a file that is not ours is in the way.
        """
        self._mark.check(*ALWAYS)
        self._mark.remove_all()

    def keeping(self, asked: str | None, goes_on: bool) -> int | None:
        """How many epoch checkpoints are kept, None for all: as `asked`, else as before.

        A resumed run remembers the last value that it was given. Raises UsageError if `asked` is
        neither a number nor `all`.
        """
        previous = self._mark.keep if goes_on else None
        if asked is None and previous not in (None, KEEP):
            self._tell(f"keeping {previous} epoch checkpoints, as before; --keep changes it")
        self._mark.keep = asked or previous or KEEP
        return parse_keep(self._mark.keep)

    def save(self, path: Path, state: "Checkpoint") -> None:
        """Write a checkpoint of the run. Raises StorageError."""
        from dcgan_cli.checkpoint.format import save  # imports torch: check_folder needs none

        self._mark.claim(path.relative_to(self.path).as_posix())
        save(path, state)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the run, by its name in the folder: `samples/last.png`. Raises StorageError."""
        self._mark.claim(name)
        make_folder((self.path / name).parent)
        with atomic_write(self.path / name) as file:
            file.write(data)

    def board(self) -> Path:
        """The folder of the TensorBoard files. Raises StorageError if it is a link."""
        folder = self.path / "tensorboard"
        if folder.is_symlink():
            raise StorageError(f"{folder} is a link; a run writes only inside its own folder")
        return make_folder(folder)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.json, and check that every file can be written. Raises StorageError."""
        self._mark.claim(*ALWAYS)
        self._mark.write()  # saves the value of --keep
        write_text(self.path / CONFIG, json.dumps(config, indent=2) + "\n")

    def append_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add one line a step to metrics.jsonl. Raises StorageError."""
        self._mark.claim(METRICS_FILE)
        rest = memoryview(encode_rows(rows))
        try:
            descriptor = os.open(self.metrics, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                while rest:  # a nearly full disk may write only a part
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(self.metrics, error) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of all valid lines of metrics.jsonl; damaged lines are left out."""
        rows, _ = split_lines(self._read(METRICS_FILE))
        return [row for _, row in rows]

    def rewind_metrics(self, step: int) -> None:
        """Remove the lines after `step`, where the run continues. Damaged lines are set aside."""
        rows, damaged = split_lines(self._read(METRICS_FILE))
        if damaged:
            set_aside = self._read(DAMAGED) + b"".join(damaged)
            self.write(DAMAGED, set_aside)
            lines = counted(len(damaged), "line")
            self._tell(
                f"{self.metrics}: {lines} of {len(rows) + len(damaged):,} damaged, and set aside in "
                f"{DAMAGED}; the others are kept"
            )
        self.write(METRICS_FILE, b"".join(line for line, row in rows if row["step"] <= step))

    def drop_epochs(self, keep: int | None) -> None:
        """Delete epoch checkpoints except the newest `keep` and the paper's; None keeps all.

        Raises StorageError.
        """
        if keep is None:
            return
        names = [name for name in self._mark.files if re.fullmatch(r"epoch-\d+\.pt", name)]
        found = sorted((name for name in names if self._mark.holds(name)), key=_number)
        newest = found[-keep:] if keep else []
        self._mark.remove(
            name for name in found if name not in newest and _number(name) not in PAPER_EPOCHS
        )

    def _read(self, name: str) -> bytes:
        """The bytes of a file of the run; empty if it does not exist. Raises StorageError."""
        if not self._mark.holds(name):
            return b""
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{self.path / name}: cannot be read: {reason}") from error


class NullRunFolder(RunFolder):
    """The run folder on ranks other than 0: nothing here touches the disk.

    The folder may not even exist, if the machines share no file system.
    """

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self.path = path

    def __exit__(self, *_: object) -> None:
        pass

    def is_grid_missing(self, number: int) -> bool:
        """False: rank 0 writes it."""
        return False

    def keeping(self, asked: str | None, goes_on: bool) -> int | None:
        """As `asked`; only rank 0 knows the earlier value."""
        return parse_keep(asked or KEEP)

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Write nothing."""

    clear = save = write = write_config = _nothing
    append_metrics = rewind_metrics = drop_epochs = _nothing


def check_folder(path: Path, resume: bool, overwrite: bool) -> None:
    """Check that a run will not overwrite an earlier one by accident; writes nothing.

    Raises UsageError if a run exists and neither option was given, or if there is none to resume.
    """
    last = path / LAST
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if resume and not last.exists():
        marked(path)  # refuses a folder of other files, and names them
        raise UsageError(f"--resume: {path} holds no {LAST}; leave --resume out to begin")
    if last.exists() and not (resume or overwrite):
        raise UsageError(
            f"{path} holds a run already; type --resume to go on with it, "
            "--overwrite to begin anew, or --run NAME for another place"
        )
    epochs = sorted(path.glob("epoch-*.pt"))
    if not (last.exists() or overwrite) and epochs:
        raise UsageError(
            f"{path} holds {epochs[-1].name} of a run, but no {LAST}; copy it to {LAST} to go on with "
            "--resume, or type --overwrite to begin anew"
        )


def _number(name: str) -> int:
    """The epoch number in `epoch-0012.pt` or `samples/epoch-0012.png`."""
    return int(re.findall(r"\d+", name)[-1])


def _lock(path: Path, run: Path) -> IO[bytes]:
    """Take an exclusive lock on `path`; the system releases it however the process ends."""
    if path.is_symlink():
        raise StorageError(f"{path} is a link; a run writes only inside its own folder")
    try:
        file = path.open("ab")
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        file.close()
        raise StorageError(
            f"{run} is being written by another dcgan train; wait for it or choose --run NAME"
        ) from error
    except OSError as error:  # a file system without locks
        file.close()
        raise storage_error(path, error) from error
    return file
