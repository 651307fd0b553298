"""Failing storage, as SQLite tests it: the Nth write, fsync or rename fails, for N = 1, 2, 3 …

Whatever fails, and whenever: the run ends with one line, the last good state loads and resumes, and
no temporary file is left behind.
"""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from dcgan_cli import files
from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.errors import StorageError
from dcgan_cli.files import atomic_write
from dcgan_cli.training import run_folder
from dcgan_cli.training.run_folder import RunFolder

POINTS = ("write", "fsync", "replace")
BEGUN, ENDED = 7, 9
"""The run that meets the faults resumes in its second epoch and ends in its third: it saves at the
end of an epoch twice over and once more at its own."""


class Faulty:
    """The module `os`, whose calls of POINTS are counted and of which some fail.

    `fails(number, name)` says whether call `number` (from 1) does.
    """

    def __init__(self, fails: Callable[[int, str], bool], code: int = errno.ENOSPC) -> None:
        self.fails = fails
        self.code = code
        self.calls = 0
        self.struck = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in POINTS:
            return real

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.fails(self.calls, name):
                self.struck += 1
                raise OSError(self.code, os.strerror(self.code))
            return real(*arguments)

        return call


def install(monkeypatch: pytest.MonkeyPatch, system: Any) -> None:
    monkeypatch.setattr(files, "os", system)
    monkeypatch.setattr(run_folder, "os", system)


def begin(path: Path) -> Checkpoint:
    with tiny.trainer(path) as trainer:
        tiny.train(trainer, BEGUN)
        return load(trainer.folder.last)


def go_on(path: Path, steps: int = ENDED) -> None:
    with tiny.trainer(path) as trainer:
        if trainer.folder.last.exists():
            trainer.restore(load(trainer.folder.last))
        tiny.train(trainer, steps)


def leftovers(path: Path) -> list[str]:
    return [str(file) for file in path.rglob("*.tmp")]


def assert_one_line(error: BaseException) -> None:
    text = str(error)
    assert "\n" not in text
    assert text.startswith("cannot write ")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What an undisturbed run comes to."""
    path = tmp_path_factory.mktemp("whole")
    begin(path)
    go_on(path)
    return load(path / "last.pt")


MODES = pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])


def failing(number: int, lasting: bool) -> Faulty:
    """A fault of call `number` that passes (a shaky device), or one that stays (a full disk)."""
    if lasting:
        return Faulty(lambda call, _: call >= number, errno.ENOSPC)
    return Faulty(lambda call, _: call == number, errno.EIO)


@MODES
def test_every_fault_of_a_save_leaves_the_old_state_or_the_new(
    lasting: bool, whole: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every single call, until a save meets none that fails."""
    target = tmp_path / "last.pt"
    old = replace(whole, optimizers={}, progress={"step": 0})
    save(target, old)
    before = target.read_bytes()
    number, struck = 0, True
    while struck:
        number += 1
        system = failing(number, lasting)
        install(monkeypatch, system)
        error = None
        try:
            save(target, replace(old, progress={"step": 1}))
        except StorageError as failure:
            error = failure
        struck = system.struck > 0
        assert (error is not None) == struck
        if error is not None:
            assert_one_line(error)
            assert os.strerror(system.code) in str(error)
        assert leftovers(tmp_path) == []
        if target.read_bytes() != before:
            # Only the last call of all, the folder's own fsync, comes after the new state is there.
            assert load(target).progress["step"] == 1
            before = target.read_bytes()
            assert not struck or system.calls == number
    assert number > 50


@pytest.mark.slow
@MODES
def test_every_fault_of_a_run_ends_it_with_one_line_and_a_good_state(
    lasting: bool, whole: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All fsyncs and renames, the writes around them, and every 25th of the many other writes."""
    begin(tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def restore() -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        for name, content in kept.items():
            (tmp_path / name).write_bytes(content)

    names: list[str] = []
    with monkeypatch.context() as patch:
        install(patch, Faulty(lambda _, name: names.append(name) is not None))
        go_on(tmp_path)
    total = len(names)
    marked = {number for number, name in enumerate(names, 1) if name != "write"}
    numbers = {n + d for n in marked for d in (-1, 0, 1)} | set(range(1, total, 25))
    for number in sorted(numbers & set(range(1, total + 1))):
        restore()
        with monkeypatch.context() as patch:
            install(patch, failing(number, lasting))
            with pytest.raises(StorageError) as raised:
                go_on(tmp_path)
        assert_one_line(raised.value)
        assert leftovers(tmp_path) == []
        last = load(tmp_path / "last.pt")
        assert BEGUN <= last.progress["step"] <= ENDED
        if number in marked:
            go_on(tmp_path)
            assert tiny.differences(whole, load(tmp_path / "last.pt")) == []
    assert len(marked) > 10


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_run_that_fails_goes_on_to_the_same_end(
    point: str, code: int, whole: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of call fails in its second use; then there is room again."""
    begin(tmp_path)
    seen = 0

    def fails(_: int, name: str) -> bool:
        nonlocal seen
        seen += name == point
        return name == point and seen >= 3

    with monkeypatch.context() as patch:
        install(patch, Faulty(fails, code))
        with pytest.raises(StorageError) as raised:
            go_on(tmp_path)
    assert_one_line(raised.value)
    go_on(tmp_path)
    assert tiny.differences(whole, load(tmp_path / "last.pt")) == []
    steps = [row["step"] for row in RunFolder(tmp_path).read_metrics()]
    assert steps == list(range(1, ENDED + 1))


def test_a_run_that_cannot_even_begin_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Faulty(lambda *_: True))
    with pytest.raises(StorageError, match=r"cannot write .*run\.json: .*free some space"):
        go_on(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


class Stingy(Faulty):
    """A system that writes a few bytes at a time, as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(lambda *_: False)
        self.most = most

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, memoryview(data)[: self.most])


def test_short_writes_lose_nothing(
    whole: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)
    with monkeypatch.context() as patch:
        install(patch, Stingy(97))
        go_on(tmp_path)
    assert tiny.differences(whole, load(tmp_path / "last.pt")) == []
    steps = [row["step"] for row in RunFolder(tmp_path).read_metrics()]
    assert steps == list(range(1, ENDED + 1))


@pytest.mark.parametrize("room", [0, 10, 300])
def test_metrics_cut_short_by_a_full_disk_are_mended_on_resuming(
    room: int, whole: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)

    class Full(Faulty):
        left = room

        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            if self.left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = os.write(descriptor, memoryview(data)[: self.left])
            self.left -= written
            return written

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "os", Full(lambda *_: False))
        with pytest.raises(StorageError, match=r"metrics\.jsonl: .*free some space"):
            go_on(tmp_path)
    go_on(tmp_path)
    assert tiny.differences(whole, load(tmp_path / "last.pt")) == []
    steps = [row["step"] for row in RunFolder(tmp_path).read_metrics()]
    assert steps == list(range(1, ENDED + 1))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as raised:
        RunFolder(tmp_path / "file")
    assert_one_line(raised.value)
    with pytest.raises(StorageError) as raised:
        RunFolder(tmp_path / "file" / "run")
    assert_one_line(raised.value)


def test_what_cannot_be_deleted_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with RunFolder(tmp_path) as folder:
        folder.write("samples/last.png", b"grid")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            with pytest.raises(StorageError) as raised:
                folder.clear()
    assert_one_line(raised.value)
    assert "samples/last.png" in str(raised.value)


def test_an_error_that_is_none_of_storage_passes_through(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_write(target) as file:
        file.write(bytes(1 // len(target.name[4:])))
    assert target.read_text() == "before"
    assert leftovers(tmp_path) == []


def in_child(work: Callable[[], str]) -> str:
    """What `work` returns in a forked process, whose limits are its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = work()
        except BaseException as error:  # noqa: BLE001  # said to the parent, which classifiers
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        text = file.read().decode()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX's")
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_the_systems_own_refusal_is_one_line(share: float, tmp_path: Path) -> None:
    """No simulation: a limit of file size below that of the checkpoint (EFBIG, SIGXFSZ ignored)."""
    state = begin(tmp_path)
    before = (tmp_path / "last.pt").read_bytes()

    def save_again() -> str:
        import resource

        limit = int(len(before) * share)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        save(tmp_path / "last.pt", state)
        return "saved"

    text = in_child(save_again)
    assert text.startswith(f"StorageError: cannot write {tmp_path / 'last.pt'}: File too large")
    assert "\n" not in text
    assert (tmp_path / "last.pt").read_bytes() == before
    assert leftovers(tmp_path) == []
