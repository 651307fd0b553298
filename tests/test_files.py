"""Atomic writing: every write, fsync and rename is made to fail in turn, as SQLite tests itself."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.errors import StorageError
from dcgan_cli.files import atomic_write, cache_folder, make_folder, write_text
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator

CALLS = ("open", "write", "fsync", "close", "replace")


@contextmanager
def failing(name: str, number: int, code: int = errno.ENOSPC) -> Iterator[list[int]]:
    """Call `number` (from 1) of os.`name`, and every later one, fails; yields the calls made."""
    made: list[int] = [0]
    real: Callable[..., Any] = getattr(os, name)

    def fake(*args: Any, **kwargs: Any) -> Any:
        made[0] += 1
        if made[0] >= number:
            if name == "close":
                real(*args)  # the system forgets the descriptor even where closing reports an error
            raise OSError(code, os.strerror(code))
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, fake)
        yield made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tiny_checkpoint(step: int) -> Checkpoint:
    torch.manual_seed(step)
    model = ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=1, kernel=3)
    generator, discriminator = Generator(model), Discriminator(model)
    return Checkpoint(
        model, generator.state_dict(), discriminator.state_dict(), progress={"step": step}
    )


@pytest.mark.parametrize("name", CALLS)
def test_whatever_fails_a_checkpoint_is_the_old_one_or_the_new(name: str, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    old, new = tiny_checkpoint(1), tiny_checkpoint(2)
    failures = 0
    for number in range(1, 1000):
        save(path, old)
        with failing(name, number) as made:
            try:
                save(path, new)
            except StorageError as error:
                failures += 1
                message = str(error)
            else:
                break
        assert made[0] >= number
        assert f"cannot write {path}" in message
        assert "No space left" in message
        assert names(tmp_path) == ["last.pt"], "a temporary file was left behind"
        # the last fsync is the folder's, after the rename: then the new file is in place, whole
        renamed = (name, number) in {("fsync", 2), ("open", 2), ("close", 2)}
        assert load(path).hash == (new if renamed else old).hash
    else:
        pytest.fail("there is no end to the failing calls")
    least = {"write": 10, "fsync": 2, "replace": 1, "open": 2, "close": 2}[name]
    assert failures >= least
    assert load(path).hash == new.hash


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (errno.ENOSPC, "free some space and run again"),
        (errno.EDQUOT, "free some space and run again"),
        (errno.EROFS, "choose a folder you may write to"),
        (errno.EIO, "what was there before is intact"),
    ],
)
def test_error_says_what_to_do(code: int, mend: str, tmp_path: Path) -> None:
    with failing("write", 1, code), pytest.raises(StorageError) as caught:
        write_text(tmp_path / "config.json", "{}")
    reason = os.strerror(code)
    assert str(caught.value) == f"cannot write {tmp_path / 'config.json'}: {reason}; {mend}"


def test_a_write_that_fails_is_said_even_where_the_writer_hides_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(hides: bool) -> None:
        with atomic_write(path) as file:
            try:
                file.write(b"new")
            except OSError as error:
                if not hides:
                    raise RuntimeError("something went wrong") from error

    for hides in (True, False):
        with failing("write", 1), pytest.raises(StorageError, match="No space"):
            write(hides)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_an_exception_of_the_caller_leaves_the_old_file(
    raised: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the ne")
            raise raised

    with pytest.raises(raised):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_places_that_cannot_be_written_are_storage_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "file" / "below",
        tmp_path / "missing" / "file",
        tmp_path / "folder",
        tmp_path / ("long" * 80),
    ):
        with pytest.raises(StorageError, match="cannot write"):
            write_text(path, "text")
    with pytest.raises(StorageError, match="cannot write"):
        make_folder(tmp_path / "file" / "below")
    assert names(tmp_path) == ["file", "folder"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(pieces=st.lists(st.binary(max_size=50)), most=st.integers(1, 20))
def test_short_writes_are_gone_on_with(tmp_path: Path, pieces: list[bytes], most: int) -> None:
    real = os.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:most]))
        with atomic_write(tmp_path / "file") as file:
            for piece in pieces:
                assert file.write(piece) == len(piece)
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_every_kind_of_buffer_can_be_written(tmp_path: Path) -> None:
    numbers = np.arange(3, dtype="<u2")
    with atomic_write(tmp_path / "file") as file:
        for piece in (b"a", bytearray(b"b"), memoryview(b"c"), memoryview(numbers)):
            file.write(piece)
    assert (tmp_path / "file").read_bytes() == b"abc\0\0\1\0\2\0"


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path) as file:
        file.write(b"text")
        assert not path.exists()
    assert path.read_bytes() == b"text"


def test_folder_is_synced_after_the_rename(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            patch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
        write_text(tmp_path / "file", "text")
    assert calls == ["fsync", "replace", "fsync"]


def test_cache_folder_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCGAN_CACHE", "/chosen")
    assert cache_folder() == Path("/chosen")
    monkeypatch.delenv("DCGAN_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/dcgan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/dcgan")
