"""The folder of a run: what lies where, who may write, and what is kept."""

import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from dcgan_cli.checkpoint.find import LAST
from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.files import atomic_write, make_folder, storage_error, write_text

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint

PAPERS_EPOCHS = (1, 5)
"""The epochs whose samples the paper shows (§4.1); their checkpoints are always kept."""


LOCK = ".lock"


class RunFolder:
    """`checkpoints/<run>/`, locked for as long as this object is open.

    last.pt, epoch-0001.pt …, samples/, metrics.jsonl, curves.png, config.json. A folder that was
    made for this and holds nothing when it is left is removed again.
    """

    def __init__(self, path: Path) -> None:
        self._is_new = not path.exists()
        self.path = make_folder(path)
        self._lock = _lock(path / LOCK, path)
        # Whoever was killed inside an atomic write left its temporary file behind.
        self._delete(".*.tmp", "samples/.*.tmp")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_new and [entry.name for entry in self.path.iterdir()] == [LOCK]:
            (self.path / LOCK).unlink()
            self.path.rmdir()
        self._lock.close()

    @property
    def last(self) -> Path:
        """The newest state of the run."""
        return self.path / LAST

    @property
    def samples(self) -> Path:
        """The folder of sample grids."""
        return make_folder(self.path / "samples")

    @property
    def metrics(self) -> Path:
        """One JSON object a step."""
        return self.path / "metrics.jsonl"

    def epoch(self, number: int) -> Path:
        """The checkpoint at the end of epoch `number` (from 1)."""
        return self.path / f"epoch-{number:04d}.pt"

    def clear(self) -> None:
        """Delete what an earlier run has left here. Raises StorageError."""
        written = (LAST, "epoch-*.pt", "metrics.jsonl", "samples/*", "*.png", "*.gif")
        self._delete(*written, "tensorboard/*")

    def save(self, path: Path, state: "Checkpoint") -> None:
        """Write a checkpoint of the run. Raises StorageError."""
        from dcgan_cli.checkpoint.format import (
            save,  # imports torch, which `check_folder` needs not
        )

        save(path, state)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.json."""
        write_text(self.path / "config.json", json.dumps(config, indent=2) + "\n")

    def append_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add one line a step to metrics.jsonl. Raises StorageError."""
        text = "".join(json.dumps(_finite(row)) + "\n" for row in rows)
        rest = memoryview(text.encode())
        try:
            descriptor = os.open(self.metrics, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(self.metrics, error) from error

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl; a last one that was cut off is left out."""
        if not self.metrics.exists():
            return []
        rows: list[dict[str, Any]] = []
        for line in self.metrics.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def rewind_metrics(self, step: int) -> None:
        """Drop the lines after `step`: the run goes on from there."""
        kept = [json.dumps(row) + "\n" for row in self.read_metrics() if row["step"] <= step]
        with atomic_write(self.metrics) as file:
            file.write("".join(kept).encode())

    def drop_epochs(self, keep: int | None) -> None:
        """Delete epoch checkpoints but the newest `keep` and the paper's own; None keeps all.

        Raises StorageError.
        """
        if keep is None:
            return
        found = sorted(
            int(match[1])
            for file in self.path.glob("epoch-*.pt")
            if (match := re.fullmatch(r"epoch-(\d+)\.pt", file.name))
        )
        newest = found[-keep:] if keep else []
        for number in found:
            if number not in newest and number not in PAPERS_EPOCHS:
                self._delete(self.epoch(number).name)

    def _delete(self, *patterns: str) -> None:
        for pattern in patterns:
            for file in self.path.glob(pattern):
                try:
                    file.unlink(missing_ok=True)
                except OSError as error:
                    raise storage_error(file, error) from error


class OthersFolder(RunFolder):
    """The folder of a run that another rank writes: nothing here touches the disk.

    It may not even be there, where machines share no file system.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __exit__(self, *_: object) -> None:
        pass

    def clear(self) -> None:
        """Nothing."""

    def save(self, path: Path, state: "Checkpoint") -> None:
        """Nothing."""

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Nothing."""

    def append_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Nothing."""

    def rewind_metrics(self, step: int) -> None:
        """Nothing."""

    def drop_epochs(self, keep: int | None) -> None:
        """Nothing."""


def check_folder(path: Path, resume: bool, overwrite: bool) -> None:
    """Make sure that nothing of an earlier run is lost unasked; writes nothing.

    Raises UsageError where a run is there and neither option says what to do with it, or none is
    there to resume.
    """
    last = path / LAST
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if resume and not last.exists():
        raise UsageError(f"--resume: {path} holds no {LAST}; leave --resume out to begin")
    if last.exists() and not (resume or overwrite):
        raise UsageError(
            f"{path} holds a run already; type --resume to go on with it, "
            "--overwrite to begin anew, or --run NAME for another place"
        )


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same with null for NaN and infinity, which JSON does not know."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def _lock(path: Path, run: Path) -> IO[bytes]:
    """Hold an exclusive lock on `path`; the system releases it however the process ends."""
    try:
        file = path.open("wb")
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
