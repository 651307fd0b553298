"""The mark of a run folder at its limits, and the very lines that it refuses with."""

import errno
import json
import zipfile
from pathlib import Path

import pytest
import tiny
from cli_runner import untrained
from refusals import refused_as

from dcgan_cli.checkpoint.format import save
from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.training import mark as marks
from dcgan_cli.training.mark import MARK, Mark, marked

refusal = refused_as(StorageError)


def test_a_mark_comes_back(tmp_path: Path) -> None:
    mark = Mark(tmp_path, {"last.pt", "samples/last.png"}, "all")
    mark.write()
    assert Mark.read(tmp_path) == mark
    assert json.loads((tmp_path / MARK).read_text()) == {
        "format": "dcgan run",
        "version": 1,
        "keep": "all",
        "files": ["last.pt", "samples/last.png"],
    }
    before = (tmp_path / MARK).stat().st_ino
    mark.claim("last.pt")
    assert (tmp_path / MARK).stat().st_ino == before, "nothing new, nothing written"
    mark.claim("a.png", "last.pt")
    assert Mark.read(tmp_path) == Mark(tmp_path, {"a.png", "last.pt", "samples/last.png"}, "all")


def test_a_folder_without_a_mark_has_none(tmp_path: Path) -> None:
    assert Mark.read(tmp_path) is None
    assert marked(tmp_path / "nothing") is None
    assert marked(tmp_path) is None
    Mark(tmp_path).write()
    (tmp_path / MARK).rename(tmp_path / "away")
    (tmp_path / MARK).symlink_to(tmp_path / "away")
    assert Mark.read(tmp_path) is None, "a link is no mark"


OTHERS: dict[str, dict[str, object]] = {
    "format": {"format": "other"},
    "drive": {"files": ["a:b"]},
    "nul": {"files": ["a\0b"]},
    "backslash": {"files": ["a\\b"]},
    "dot": {"files": ["./a"]},
    "empty part": {"files": ["a//b"]},
    "folder": {"files": ["a/"]},
    "one of two": {"files": ["a", "../b"]},
    "keep": {"keep": 3},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_mark_of_something_else_is_refused(name: str, tmp_path: Path) -> None:
    content = {"format": "dcgan run", "version": 1, "files": [], **OTHERS[name]}
    (tmp_path / MARK).write_text(json.dumps(content))
    assert refusal(lambda: Mark.read(tmp_path), UsageError) == (
        f"{tmp_path}/run.json: not the mark of a run that dcgan wrote; nothing in {tmp_path} is "
        "touched: choose another place with --run NAME, or delete this file and type --resume to "
        "mark it again"
    )


def test_a_newer_mark_and_a_huge_one_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / MARK).write_text('{"format": "dcgan run", "version": 2, "files": []}')
    assert refusal(lambda: Mark.read(tmp_path), UsageError) == (
        f"{tmp_path}/run.json: written by another version of dcgan; upgrade this one"
    )
    Mark(tmp_path).write()
    size = (tmp_path / MARK).stat().st_size
    monkeypatch.setattr(marks, "_MAX_MARK_BYTES", size)
    assert Mark.read(tmp_path) == Mark(tmp_path)
    monkeypatch.setattr(marks, "_MAX_MARK_BYTES", size - 1)
    assert "not the mark" in refusal(lambda: Mark.read(tmp_path), UsageError)


def test_a_mark_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    Mark(tmp_path).write()
    monkeypatch.setattr(Path, "read_bytes", broken)
    said = refusal(lambda: Mark.read(tmp_path))
    assert said == f"{tmp_path}/run.json: cannot be read: Input/output error"


def test_what_killed_writers_left_is_swept_and_a_persons_is_not(tmp_path: Path) -> None:
    left = [".run.json.7.tmp", ".last.pt.7.tmp", ".last.pt.7-1.tmp", "samples/.last.png.7.tmp"]
    mine = [".notes.txt.7.tmp", "samples/.mine.png.7.tmp", ".last.pt.tmp", "other/.last.pt.7.tmp"]
    for name in (*left, *mine):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    Mark(tmp_path, {"last.pt", "samples/last.png", "gone/x.png"}).sweep()
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there == set(mine)


def test_what_is_removed_is_forgotten_and_boards_are_removed_by_their_names(
    tmp_path: Path,
) -> None:
    board = tmp_path / "tensorboard"
    board.mkdir()
    for name in ("events.out.tfevents.1.dcgan", "events.out.tfevents.1", "x.dcgan"):
        (board / name).touch()
    (tmp_path / "a").touch()
    mark = Mark(tmp_path, {"a", "b"}, "3")
    mark.remove(["b", "c"])
    assert mark.files == {"a"}
    mark.remove_all()
    assert Mark.read(tmp_path) == Mark(tmp_path, set(), "3")
    assert sorted(path.name for path in board.iterdir()) == ["events.out.tfevents.1", "x.dcgan"]
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_removed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def protected(_: Path, missing_ok: bool = False) -> None:
        assert missing_ok, "it may have gone meanwhile"
        raise OSError(errno.EACCES, "no")

    (tmp_path / "a").touch()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", protected)
        said = refusal(lambda: Mark(tmp_path, {"a"}).remove(["a"]))
    assert said == (
        f"cannot write {tmp_path}/a: Permission denied; choose a folder you may write to"
    )


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(lambda: marked(tmp_path / "file")) == (
        f"cannot write {tmp_path}/file: Not a directory; what was there before is intact"
    )


@pytest.mark.parametrize(
    ("count", "more"), [(1, ""), (2, " and 1 more"), (1300, " and 1,299 more")]
)
def test_files_of_something_else_are_counted(count: int, more: str, tmp_path: Path) -> None:
    for number in range(count):
        (tmp_path / f"{number:04}.png").touch()
    (tmp_path / ".lock").touch()
    assert refusal(lambda: marked(tmp_path), UsageError) == (
        f"{tmp_path} holds files that no run has written (0000.png{more}), and nothing there is "
        "touched; choose another place with --run NAME or --out FOLDER"
    )


def test_a_run_of_an_earlier_version_is_told_by_how_its_files_begin(tmp_path: Path) -> None:
    png, gif = b"\x89PNG\r\n", b"GIF89a"
    ours = {
        "metrics.jsonl": b'{"step": 1}\n',
        "config.json": b'{\n  "model": {}}',
        "curves.png": png,
        "samples.gif": gif,
        "samples/last.png": png,
        "samples/epoch-0001.png": png,
        "tensorboard/events.out.tfevents.7.x": b"",
    }
    mine = {
        "epoch-0001.pt": b"PK",
        "epoch-1.pt": b"PK",
        "curves.gif": gif,
        "samples/x.png": png,
        "samples/epoch-0002.png": gif,
        "tensorboard/x": b"",
        "notes": b"",
    }
    for name, content in {**ours, **mine}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    save(tmp_path / "last.pt", untrained(tiny.MODEL))
    assert marked(tmp_path) == Mark(tmp_path, {"last.pt", *ours}, "all")
    for name, content in {"curves.png": gif, "samples.gif": png, "metrics.jsonl": b"x\n"}.items():
        (tmp_path / name).write_bytes(content)
        assert name not in marked(tmp_path).files  # type: ignore[union-attr]
    (tmp_path / "metrics.jsonl").write_bytes(b"")
    assert "metrics.jsonl" in marked(tmp_path).files  # type: ignore[union-attr]


def test_how_files_begin_is_asked_of_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = marks._starts_with(b"GIF8")
    (tmp_path / "a").write_bytes(b"GIF89a" + bytes(64))
    (tmp_path / "b").write_bytes(b"xGIF8")
    assert begins(tmp_path / "a")
    assert not begins(tmp_path / "b")
    assert not begins(tmp_path)
    assert not marks._has_whole_line(tmp_path)
    (tmp_path / "c").write_bytes(b'x\n{"step": 1}\n')
    assert marks._has_whole_line(tmp_path / "c")
    monkeypatch.setattr(marks, "_MAX_MARK_BYTES", 2)
    assert not marks._has_whole_line(tmp_path / "c"), "no more than this is read"
    assert not marks._is_checkpoint(tmp_path)


def test_a_checkpoint_is_told_by_its_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for name, content, is_one in (
        ("x/data.pkl", b"format dcgan digest", True),
        ("x/data.pkl", bytes((1 << 20) - 19) + b"format dcgan digest", True),
        ("x/data.pkl", bytes(1 << 20) + b"format dcgan digest", False),
        ("x/data.pkl", b"format dcgan", False),
        ("x/data.pkl", b"format digest", False),
        ("x/data.pkl", b"dcgan digest", False),
        ("data.pkl", b"format dcgan digest", False),
        ("x/other", b"format dcgan digest", False),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
        assert marks._is_checkpoint(path) is is_one, (name, content[-20:])
    path.write_bytes(b"PK")
    assert marks._is_checkpoint(path) is False
    path.unlink()
    assert marks._is_checkpoint(path) is False
    save(tmp_path / "real.pt", untrained(tiny.MODEL))
    assert marks._is_checkpoint(tmp_path / "real.pt") is True
    path.symlink_to(tmp_path / "real.pt")
    assert marks._is_checkpoint(path) is False, "a link may lead anywhere"
