"""The run folder at its limits, and the very lines that it refuses with."""

import errno
import json
import os
from pathlib import Path

import pytest
import tiny
from cli_runner import untrained
from refusals import refused_as

from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.training.mark import MARK, Mark
from dcgan_cli.training.run_folder import NullRunFolder, RunFolder, check_folder, parse_keep

refusal = refused_as(StorageError)


# Keeping


@pytest.mark.parametrize("text", ["", "-1", "1.5", "many", "٣", "ALL"])
def test_keep_is_a_number_or_all(text: str) -> None:
    said = refusal(lambda: parse_keep(text), UsageError)
    assert said == f"--keep {text}: expected a number or all"


def test_what_is_kept_by_default_is_not_told(tmp_path: Path) -> None:
    told: list[str] = []
    with RunFolder(tmp_path / "a", told.append) as folder:
        assert folder.keeping(None, goes_on=True) == 2
        folder.write_config({})
    with RunFolder(tmp_path / "a", told.append) as folder:
        assert folder.keeping(None, goes_on=True) == 2
        assert folder.keeping("7", goes_on=True) == 7
    assert told == []


def test_the_newest_epochs_and_those_of_the_paper_are_kept(tmp_path: Path) -> None:
    def epochs() -> list[int]:
        return sorted(int(file.stem.removeprefix("epoch-")) for file in tmp_path.glob("epoch-*"))

    with RunFolder(tmp_path) as folder:
        for number in (*range(1, 9), 9999, 10000):
            folder.write(folder.epoch(number).name, b"state")
        folder.drop_epochs(None)
        assert len(epochs()) == 10
        folder.drop_epochs(3)
        assert epochs() == [1, 5, 8, 9999, 10000]
        folder.drop_epochs(0)
        assert epochs() == [1, 5]


def test_grids_are_in_the_order_of_their_epochs(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        for number in (10000, 2, 9999):
            folder.write(folder.grid(number), b"grid")
        folder.write("samples/last.png", b"grid")
        assert [path.name for path in folder.grids()] == [
            "epoch-0002.png",
            "epoch-9999.png",
            "epoch-10000.png",
        ]
        assert not folder.is_grid_missing(2)
        assert folder.is_grid_missing(3)


# Files


def test_where_things_lie(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        assert folder.last == tmp_path / "last.pt"
        assert folder.samples == tmp_path / "samples"
        assert folder.metrics == tmp_path / "metrics.jsonl"
        assert folder.epoch(7) == tmp_path / "epoch-0007.pt"
        assert folder.board() == tmp_path / "tensorboard"
        folder.write_config({"model": {"size": 16}})
    assert (tmp_path / "config.json").read_text() == '{\n  "model": {\n    "size": 16\n  }\n}\n'
    assert (tmp_path / MARK).read_text() == json.dumps(
        {
            "format": "dcgan run",
            "version": 1,
            "files": [
                "config.json",
                "curves.png",
                "last.pt",
                "metrics.jsonl",
                "samples.gif",
                "samples/last.png",
            ],
        },
        indent=1,
    ) + "\n"


def test_steps_are_added_in_parts_where_a_disk_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.write
    rows = [{"step": number, "d_loss": 0.5} for number in range(1, 6)]
    with RunFolder(tmp_path) as folder:
        folder.append_metrics(rows[:2])
        monkeypatch.setattr(os, "write", lambda file, data: plain(file, data[:7]))
        folder.append_metrics(rows[2:])
        assert folder.read_metrics() == rows
        assert folder.metrics.stat().st_mode & 0o111 == 0, "nothing that can be run"


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with RunFolder(tmp_path) as folder:
        folder.append_metrics([])
        monkeypatch.setattr(os, "write", full)
        said = refusal(lambda: folder.append_metrics([{"step": 1}]))
    assert said == (
        f"cannot write {tmp_path}/metrics.jsonl: No space left on device; "
        "free some space and run again"
    )


def test_metrics_that_cannot_be_read_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with RunFolder(tmp_path) as folder:
        assert folder.read_metrics() == []
        folder.append_metrics([{"step": 1}])
        monkeypatch.setattr(Path, "read_bytes", broken)
        said = refusal(folder.read_metrics)
    assert said == f"{tmp_path}/metrics.jsonl: cannot be read: Input/output error"


def test_damaged_lines_are_set_aside_behind_earlier_ones(tmp_path: Path) -> None:
    told: list[str] = []
    with RunFolder(tmp_path, told.append) as folder:
        for damage in (b"first\n", b"second\nthird\n"):
            folder.append_metrics([{"step": 1}])
            folder.metrics.write_bytes(damage + folder.metrics.read_bytes())
            folder.rewind_metrics(9)
        assert len(folder.read_metrics()) == 2
    assert (tmp_path / "metrics-damaged.txt").read_bytes() == b"first\nsecond\nthird\n"
    start, end = f"{tmp_path}/metrics.jsonl: ", "metrics-damaged.txt; the others are kept"
    assert told == [
        f"{start}1 line of 2 damaged, and set aside in {end}",
        f"{start}2 lines of 4 damaged, and set aside in {end}",
    ]


def test_a_folder_that_was_made_for_nothing_is_removed_again(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with RunFolder(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()
    with RunFolder(tmp_path / "used") as folder:
        folder.write("last.pt", b"state")
    assert (tmp_path / "used" / "last.pt").is_file()


# Refusals


def test_one_run_at_a_time_and_the_next_when_it_has_ended(tmp_path: Path) -> None:
    with RunFolder(tmp_path):
        said = refusal(lambda: RunFolder(tmp_path))
    assert said == (
        f"{tmp_path} is being written by another dcgan train; wait for it or choose --run NAME"
    )
    with RunFolder(tmp_path):
        pass


def test_a_refused_folder_is_not_left_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Mark, "sweep", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            RunFolder(tmp_path)
    with RunFolder(tmp_path):
        pass


def test_a_lock_and_a_board_that_are_links_are_refused(tmp_path: Path) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    mine.mkdir()
    run.mkdir()
    (run / ".lock").symlink_to(tmp_path / "nothing")
    end = "is a link; a run writes only inside its own folder"
    assert refusal(lambda: RunFolder(run)) == f"{run}/.lock {end}"
    (run / ".lock").unlink()
    with RunFolder(run) as folder:
        (run / "tensorboard").symlink_to(mine)
        assert refusal(folder.board) == f"{run}/tensorboard {end}"
    assert not (tmp_path / "nothing").exists()


def test_a_lock_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    said = refusal(lambda: RunFolder(tmp_path))
    assert said == f"cannot write {tmp_path}/.lock: Is a directory; what was there before is intact"


def test_a_file_system_without_locks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def nothing(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", nothing)
    said = refusal(lambda: RunFolder(tmp_path))
    assert said == (
        f"cannot write {tmp_path}/.lock: No locks available; what was there before is intact"
    )


def test_what_to_do_with_a_run_that_is_there(tmp_path: Path) -> None:
    def said(resume: bool, overwrite: bool) -> str:
        return refusal(lambda: check_folder(tmp_path, resume, overwrite), UsageError)

    assert said(True, True) == "--resume and --overwrite exclude each other"
    assert said(True, False) == (
        f"--resume: {tmp_path} holds no last.pt; leave --resume out to begin"
    )
    check_folder(tmp_path, resume=False, overwrite=False)
    for name in ("epoch-0001.pt", "epoch-0007.pt", "epoch-0003.pt"):
        (tmp_path / name).touch()
    assert said(False, False) == (
        f"{tmp_path} holds epoch-0007.pt of a run, but no last.pt; copy it to last.pt to go on "
        "with --resume, or type --overwrite to begin anew"
    )
    check_folder(tmp_path, resume=False, overwrite=True)
    (tmp_path / "last.pt").touch()
    assert said(False, False) == (
        f"{tmp_path} holds a run already; type --resume to go on with it, --overwrite to begin "
        "anew, or --run NAME for another place"
    )
    check_folder(tmp_path, resume=True, overwrite=False)
    check_folder(tmp_path, resume=False, overwrite=True)


def test_what_is_in_the_way_is_named_with_what_to_do(tmp_path: Path) -> None:
    mark = Mark(tmp_path, {"ours.png"})
    (tmp_path / "mine.png").touch()
    (tmp_path / "ours.png").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("mine.png", "ours.png"):
        assert refusal(lambda name=name: mark.check("new.png", name)) == (
            f"{tmp_path}/{name} was not written by this run and is left as it is; "
            "move it elsewhere, or choose another place with --run NAME"
        )
    for name in ("link", "link/a/b.png"):
        assert refusal(lambda name=name: mark.claim(name)) == (
            f"{tmp_path}/link is a link, and a run writes only inside its own folder; "
            "move the link elsewhere, or choose another place with --run NAME"
        )
    assert mark.files == {"ours.png"}


def test_a_run_behind_a_link_is_the_run(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with RunFolder(tmp_path / "link") as folder:
        folder.write("samples/epoch-0001.png", b"grid")
        assert len(folder.grids()) == 1


# Another rank


def test_the_folder_of_another_rank_is_only_asked(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with NullRunFolder(path) as folder:
        assert folder.path == path
        assert folder.is_grid_missing(1) is False
        assert folder.keeping(None, goes_on=True) == 2
        assert folder.keeping("all", goes_on=False) is None
        folder.save(path / "last.pt", untrained(tiny.MODEL))
        folder.write("samples/last.png", b"grid")
        folder.clear()
    assert not path.exists()
