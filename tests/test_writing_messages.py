"""Writing files and naming places at their limits, and the very lines that it refuses with."""

import errno
import os
import stat
from pathlib import Path

import pytest
from test_files import failing

from dcgan_cli import files
from dcgan_cli.errors import StorageError
from dcgan_cli.files import (
    atomic_write,
    cache_folder,
    data_folder,
    finished_name,
    inherited_descriptor,
    is_special,
    is_stdout,
    make_folder,
    storage_error,
    write_text,
)


def test_every_error_of_the_system_says_what_to_do(tmp_path: Path) -> None:
    free, choose = "free some space and run again", "choose a folder you may write to"
    for code, mend in {
        errno.ENOSPC: free,
        errno.EDQUOT: free,
        errno.EACCES: choose,
        errno.EPERM: choose,
        errno.EROFS: choose,
        errno.EIO: "what was there before is intact",
    }.items():
        assert str(storage_error(tmp_path, OSError(code, "x"))) == (
            f"cannot write {tmp_path}: {os.strerror(code)}; {mend}"
        )
    assert str(storage_error(tmp_path, OSError("odd"))) == (
        f"cannot write {tmp_path}: odd; what was there before is intact"
    )


@pytest.mark.parametrize(
    ("platform", "set_to", "cache", "data"),
    [
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dcgan", "/local/dcgan"),
        ("win32", {}, "/home/me/AppData/Local/dcgan", "/home/me/AppData/Local/dcgan"),
        ("darwin", {}, "/home/me/Library/Caches/dcgan",
         "/home/me/Library/Application Support/dcgan"),
        ("linux", {}, "/home/me/.cache/dcgan", "/home/me/.local/share/dcgan"),
        ("linux", {"XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""},
         "/home/me/.cache/dcgan", "/home/me/.local/share/dcgan"),
        ("linux", {"XDG_CACHE_HOME": "/c", "XDG_DATA_HOME": "/d"}, "/c/dcgan", "/d/dcgan"),
        ("linux", {"DCGAN_CACHE": "/mine", "DCGAN_DATA": "/own"}, "/mine", "/own"),
    ],
)  # fmt: skip
def test_every_system_has_its_own_places(
    platform: str, set_to: dict[str, str], cache: str, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DCGAN_CACHE", "DCGAN_DATA", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **set_to}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert (str(cache_folder()), str(data_folder())) == (cache, data)


def test_names_of_temporary_files(tmp_path: Path) -> None:
    name = "x" * 254
    opened: list[str] = []
    for attempt in ("", "-1", "-2"):
        temporary, descriptor = files._open_temporary(tmp_path / "a.png")
        os.write(descriptor, b"x")
        os.close(descriptor)
        assert temporary == tmp_path / f".a.png.{os.getpid()}{attempt}.tmp"
        assert temporary.stat().st_mode & 0o111 == 0, "nothing that can be run"
        opened.append(temporary.name)
    temporary, descriptor = files._open_temporary(tmp_path / name)
    os.close(descriptor)
    assert temporary.name == f".{'x' * 200}.{os.getpid()}.tmp"
    assert [finished_name(one) for one in opened] == ["a.png"] * 3
    assert finished_name(".a.7.8.tmp") == "a.7"
    for other in ("a.7.tmp", ".a.tmp", ".a.x.tmp", ".a.7.tmp~", ".7.tmp", ".a.7-.tmp", "x.a.7.tmp"):
        assert finished_name(other) is None, other


def test_descriptors_by_all_their_names(tmp_path: Path) -> None:
    own, chain = str(os.getpid()), tmp_path / "0"
    for name, number in {
        "/dev/stdin": 0,
        "/dev/stdout": 1,
        "/dev/stderr": 2,
        "/dev/../dev/stdout": 1,
        "/dev/fd/12": 12,
        "/proc/self/fd/3": 3,
        f"/proc/{own}/fd/3": 3,
        f"/proc/{own}1/fd/3": None,
        "/dev/fd/x": None,
        "/dev/fd/1234567890": None,
        "/x/dev/fd/1": None,
        "/dev/fd/1/x": None,
        "/dev/nothing": None,
    }.items():
        assert inherited_descriptor(Path(name)) == number, name
    chain.symlink_to("/dev/stderr")
    for number in range(1, 41):
        (tmp_path / str(number)).symlink_to(str(number - 1))
    assert inherited_descriptor(tmp_path / "38") == 2
    assert inherited_descriptor(tmp_path / "40") is None, "more links than the system follows"


def test_what_is_stdout_and_what_has_no_format(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("pipe")
    for path, stdout, special in (
        (Path("-"), True, True),
        (Path("/dev/stdout"), True, True),
        (Path("/dev/stderr"), False, True),
        (tmp_path / "pipe", False, True),
        (tmp_path / "link", False, True),
        (tmp_path / "file", False, False),
        (tmp_path, False, False),
        (tmp_path / "new", False, False),
        (tmp_path / "file" / "below", False, False),
    ):
        assert is_stdout(path) is stdout, path
        assert is_special(path) is special, path
    assert is_stdout(None) is False


def test_a_reader_that_has_left_is_written_to_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    calls: list[int] = []
    plain = os.write
    monkeypatch.setattr(os, "write", lambda *given: calls.append(1) or plain(*given))
    with atomic_write(tmp_path / "pipe") as file:
        assert file.write(b"12") == 2
        os.close(reader)
        assert file.write(memoryview(b"1234").cast("H")) == 4
        assert file.write(b"12") == 2
    assert len(calls) == 2


def test_a_pipe_that_fails_otherwise_is_a_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with failing("write", 1), pytest.raises(StorageError, match="No space left"):
        write_text(tmp_path / "pipe", "text")
    os.close(reader)


def test_a_file_hands_on_its_mode_and_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(0o640)
    owners: list[tuple[int, int]] = []

    def given_away(_: int, owner: int, group: int) -> None:
        owners.append((owner, group))
        raise PermissionError(errno.EPERM, "only root may")

    def no_modes(*_: int) -> None:
        raise PermissionError(errno.EPERM, "a file system without modes")

    monkeypatch.setattr(os, "fchown", given_away)
    write_text(path, "ä")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert owners == [(os.getuid(), os.getgid())]
    assert path.read_bytes() == "ä".encode()
    monkeypatch.setattr(os, "fchmod", no_modes)
    write_text(path, "text")
    monkeypatch.delattr(os, "fchmod")
    monkeypatch.delattr(os, "fchown")
    write_text(path, "more")
    assert path.read_bytes() == b"more"


def test_a_system_without_syncing_of_folders_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    plain = os.open
    monkeypatch.setattr(os, "open", lambda *given: opened.append(given[:2]) or plain(*given))
    files._sync_folder(tmp_path)
    assert opened == [(tmp_path, os.O_RDONLY)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        files._sync_folder(tmp_path)
    assert len(opened) == 1


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        make_folder(tmp_path / "file" / "below")
    assert str(caught.value) == (
        f"cannot write {tmp_path}/file/below: Not a directory; what was there before is intact"
    )
