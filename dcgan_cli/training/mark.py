"""The marker file of a run folder, `run.json`: it lists all files that the run has written.

    {"format": "dcgan run", "version": 1, "keep": "2", "files": ["last.pt", "samples/last.png", …]}

A name is listed before its file is first written, so that a run that is killed in between has
written nothing that is not listed. Only listed files are ever removed or overwritten.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.files import finished_name, storage_error, write_text
from dcgan_cli.training.metrics import split_lines

MARK, LOCK = "run.json", ".lock"
FORMAT, VERSION = "dcgan run", 1

BOARD_SUFFIX = ".dcgan"
"""Suffix of our TensorBoard files: TensorBoard chooses the rest of the name, so they cannot be
listed."""

_MAX_MARK_BYTES = 64 << 20
"""A larger marker file is not read: a million names take less."""

_TENSORBOARD_FILE = re.compile(r"events\.out\.tfevents\..*" + re.escape(BOARD_SUFFIX))


@dataclass
class Mark:
    """The files of the run folder at `path` that this run wrote.

    Attributes:
        files: names relative to the folder, with slashes, whether they exist yet or not.
        keep: the last value of --keep, the number of epoch checkpoints; None if it was not given.
    """

    path: Path
    files: set[str] = field(default_factory=set[str])
    keep: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The folder's marker; None if it has none. Raises UsageError: damaged, or too new."""
        file = path / MARK
        if not file.is_file() or file.is_symlink():
            return None
        damaged = (
            f"{file}: not the mark of a run that dcgan wrote; nothing in {path} is touched: choose "
            "another place with --run NAME, or delete this file and type --resume to mark it again"
        )
        try:
            if file.stat().st_size > _MAX_MARK_BYTES:
                raise UsageError(damaged)
            content = json.loads(file.read_bytes())
            files, keep = set[str](content["files"]), content.get("keep")
            known = content["format"] == FORMAT and all(_is_inside(name) for name in files)
        except OSError as error:
            raise StorageError(f"{file}: cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(damaged) from error
        if not known or not (keep is None or isinstance(keep, str)):
            raise UsageError(damaged)
        if content.get("version") != VERSION:
            raise UsageError(f"{file}: written by another version of dcgan; upgrade this one")
        return cls(path, files, keep)

    def write(self) -> None:
        """Write run.json. Raises StorageError."""
        keep = {} if self.keep is None else {"keep": self.keep}
        content = {"format": FORMAT, "version": VERSION, **keep, "files": sorted(self.files)}
        write_text(self.path / MARK, json.dumps(content, indent=1) + "\n")

    def claim(self, *names: str) -> None:
        """List `names` before they are written.

        Raises StorageError if a file of that name exists and is not ours, or is reached through a
        link.
        """
        self.check(*names)
        if new := set(names) - self.files:
            self.files |= new
            self.write()

    def check(self, *names: str) -> None:
        """Raise StorageError as `claim` does; lists nothing."""
        for name in names:
            file = self.path / name
            if (link := self._link_in_path(name)) is not None:
                raise StorageError(
                    f"{link} is a link, and a run writes only inside its own folder; move the link "
                    "elsewhere, or choose another place with --run NAME"
                )
            if file.exists() and not (name in self.files and file.is_file()):
                raise StorageError(
                    f"{file} was not written by this run and is left as it is; move it elsewhere, "
                    "or choose another place with --run NAME"
                )

    def holds(self, name: str) -> bool:
        """Whether `name` is listed and exists as a regular file, not behind a link."""
        return name in self.files and self._is_own(name)

    def remove(self, names: Iterable[str]) -> None:
        """Delete the files of `names` that are ours, and unlist all. Raises StorageError."""
        for name in sorted(names):
            if self.holds(name):
                _unlink(self.path / name)
            self.files.discard(name)

    def remove_all(self) -> None:
        """Delete everything that the run has written except the marker and the lock."""
        self.remove(list(self.files))
        for name in self.found("tensorboard", _TENSORBOARD_FILE.fullmatch):
            _unlink(self.path / name)
        self.write()

    def sweep(self) -> None:
        """Delete temporary files that killed processes left behind."""
        for folder in {str(PurePosixPath(name).parent) for name in (MARK, *self.files)}:
            for name in self.found(folder, finished_name):
                place = PurePosixPath(name)
                finished = str(place.with_name(finished_name(place.name) or ""))
                if finished == MARK or finished in self.files:
                    _unlink(self.path / name)

    def found(self, folder: str, wanted: Callable[[str], object]) -> list[str]:
        """The files directly inside `folder` whose names `wanted` accepts, except behind links."""
        inside = self.path / folder
        if not inside.is_dir():
            return []
        names = [entry.name for entry in inside.iterdir() if wanted(entry.name)]
        return [
            str(path) for name in names if self._is_own(str(path := PurePosixPath(folder, name)))
        ]

    def _is_own(self, name: str) -> bool:
        """Whether `name` is a file that is reached without any link."""
        return (self.path / name).is_file() and self._link_in_path(name) is None

    def _link_in_path(self, name: str) -> Path | None:
        file = self.path / name
        places = (file, *list(file.parents)[: name.count("/")])
        return next((place for place in places if place.is_symlink()), None)


def marked(path: Path) -> Mark | None:
    """The marker of the folder at `path`, which may be missing, empty, or hold an earlier run.

    None if nothing in it is ours yet: then it is empty. A run of a version without markers gets one
    that lists the files that are certainly its own, and keeps all epochs. Writes nothing.

    Raises UsageError if the folder holds anything else.
    """
    if not path.exists():
        return None
    try:
        found = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise storage_error(path, error) from error
    others = [name for name in found if name != LOCK and finished_name(name) != MARK]
    if (mark := Mark.read(path)) is not None or not others:
        return mark
    if _is_checkpoint(path / "last.pt"):
        mark = Mark(path, keep="all")
        for folder, pattern, is_ours in _FILES_OF_EARLIER_VERSIONS:
            names = mark.found(folder, re.compile(pattern).fullmatch)
            mark.files |= {name for name in names if is_ours(path / name)}
        return mark
    more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
    raise UsageError(
        f"{path} holds files that no run has written ({others[0]}{more}), and nothing there is "
        "touched; choose another place with --run NAME or --out FOLDER"
    )


def _is_checkpoint(file: Path) -> bool:
    """Whether a file looks like a training checkpoint; its tensors are not read."""
    if file.is_symlink() or not file.is_file():
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as pickled:
                head = pickled.read(1 << 20)
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile, NotImplementedError):
        return False
    except Exception:  # noqa: BLE001  # zipfile raises many errors on a damaged archive, which is not ours
        return False
    return all(word in head for word in (b"format", b"dcgan", b"digest"))


def _starts_with(head: bytes) -> Callable[[Path], bool]:
    """Whether a file begins with `head`."""

    def is_ours(file: Path) -> bool:
        try:
            with file.open("rb") as opened:
                return opened.read(16).startswith(head)
        except OSError:
            return False

    return is_ours


def _has_whole_line(file: Path) -> bool:
    """Whether any line of a metrics.jsonl is complete: others may be damaged."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_MARK_BYTES)
    except OSError:
        return False
    return not data or bool(split_lines(data)[0])


_PNG = _starts_with(b"\x89PNG")

_FILES_OF_EARLIER_VERSIONS: tuple[tuple[str, str, Callable[[Path], bool]], ...] = (
    (".", r"last\.pt|epoch-\d{4,}\.pt", _is_checkpoint),
    (".", r"metrics\.jsonl", _has_whole_line),
    (".", r"config\.json", _starts_with(b'{\n  "model": ')),
    (".", r"curves\.png", _PNG),
    (".", r"samples\.gif", _starts_with(b"GIF8")),
    ("samples", r"(epoch-\d{4,}|last)\.png", _PNG),
    ("tensorboard", r"events\.out\.tfevents\..*", _starts_with(b"")),
)
"""Names that versions without a marker wrote, and a test of their first bytes. They count as the
files of a run only beside a last.pt that is a training checkpoint."""


def _is_inside(name: object) -> bool:
    """Whether `name` is a path inside the folder: a marker may come from anybody."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    parts = name.split("/")
    return not any(part in ("", ".", "..") or ":" in part for part in parts)


def _unlink(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error) from error
