"""Files that are not ours: what a run folder may touch, and what it refuses."""

import json
import os
from pathlib import Path

import pytest
import tiny

from dcgan_cli.errors import StorageError, UsageError
from dcgan_cli.training.mark import MARK
from dcgan_cli.training.run_folder import RunFolder, check_folder


def trained(path: Path, steps: int = 6, keep: int | None = None) -> None:
    with tiny.trainer(path, keep=keep) as trainer:
        trainer.folder.keeping("all", goes_on=False)
        tiny.train(trainer, steps)
        trainer.folder.write_config({"model": {}})


def of_earlier_version(path: Path) -> None:
    """A run as versions without a mark left it."""
    trained(path)
    (path / MARK).unlink()
    (path / "samples").mkdir()
    for name in ("curves.png", "samples/epoch-0001.png", "samples/last.png"):
        (path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (path / "samples.gif").write_bytes(b"GIF89a")


def listing(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name not in (".lock", MARK)
    }


PHOTOS = {"a.png": b"mine", "b.gif": b"mine too", "samples/c.png": b"and mine"}


def photos(path: Path) -> Path:
    for name, content in PHOTOS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    photos(tmp_path)
    with pytest.raises(UsageError, match=r"a\.png and 2 more.*--run NAME") as raised:
        RunFolder(tmp_path)
    assert "\n" not in str(raised.value)
    assert listing(tmp_path) == PHOTOS
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    "name", ["last.pt", "epoch-0001.pt", "metrics.jsonl", "config.json", "samples/last.png", "x"]
)
def test_names_alone_make_no_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / name).write_bytes(b"a person's own")
    with pytest.raises(UsageError, match="no run has written"):
        RunFolder(tmp_path)
    assert (tmp_path / name).read_bytes() == b"a person's own"


def test_only_what_the_mark_lists_is_removed(tmp_path: Path) -> None:
    trained(tmp_path)
    written = set(listing(tmp_path))
    assert written == set(json.loads((tmp_path / MARK).read_text())["files"]) & written
    mine = {
        "notes.txt": b"1", "epoch-0099.pt": b"2", "my.png": b"3", "film.gif": b"4",
        "samples/epoch-0099.png": b"5", "tensorboard/events.out.tfevents.1.x": b"6", ".notes.tmp": b"7",
    }  # fmt: skip
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with RunFolder(tmp_path) as folder:
        assert folder.grids() == []
        folder.drop_epochs(0)
        folder.clear()
    assert listing(tmp_path) == mine


@pytest.mark.parametrize("link", ["samples", "samples/epoch-0001.png", "epoch-0001.pt"])
def test_nothing_is_removed_through_a_link(link: str, tmp_path: Path) -> None:
    run, mine = tmp_path / "run", tmp_path / "mine"
    with RunFolder(run) as folder:
        for name in ("samples/epoch-0001.png", "epoch-0001.pt", "last.pt"):
            folder.write(name, b"ours")
        folder.write("samples/last.png", b"ours")
    mine.mkdir()
    for name in ("epoch-0001.png", "last.png", "epoch-0001.pt", ".last.png.7.tmp"):
        (mine / name).write_bytes(b"mine")
    before = listing(mine)
    (run / "moved").mkdir()
    (run / link).rename(run / "moved" / "away")
    (run / link).symlink_to(mine if link == "samples" else mine / Path(link).name)
    with RunFolder(run) as folder:
        assert folder.is_grid_missing(1) == link.startswith("samples")
        folder.drop_epochs(0)
        if link == "samples":  # every run writes there: said before anything is removed
            with pytest.raises(StorageError, match="is a link"):
                folder.clear()
            assert (run / "last.pt").exists()
        else:
            folder.clear()
            assert not (run / "last.pt").exists()
    assert listing(mine) == before
    assert (run / link).is_symlink()


@pytest.mark.parametrize("name", ["metrics.jsonl", "last.pt", "config.json", "samples/last.png"])
def test_nothing_is_written_through_a_link(name: str, tmp_path: Path) -> None:
    run, mine = tmp_path / "run", tmp_path / "mine"
    mine.write_bytes(b"mine")
    with RunFolder(run) as folder:
        folder.write_config({})
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine)
        with pytest.raises(StorageError, match=f"{name} is a link"):
            folder.write_config({})
        with pytest.raises(StorageError, match="is a link"):
            folder.append_metrics([{"step": 1}]) if name == "metrics.jsonl" else folder.write(
                name, b"x"
            )
    assert mine.read_bytes() == b"mine"


def test_a_file_in_the_way_is_said_before_an_old_run_is_deleted(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write("last.pt", b"state")
        (tmp_path / "curves.png").write_bytes(b"mine")
        with pytest.raises(StorageError, match=r"curves\.png was not written by this run"):
            folder.clear()
    assert listing(tmp_path) == {"last.pt": b"state", "curves.png": b"mine"}


def test_a_name_is_listed_before_its_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder(tmp_path) as folder:
        monkeypatch.setattr("dcgan_cli.training.run_folder.atomic_write", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):  # as if killed
            folder.write("samples/last.png", b"grid")
    assert json.loads((tmp_path / MARK).read_text())["files"] == ["samples/last.png"]


def test_a_run_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    run = tmp_path / "run"
    of_earlier_version(run)
    (run / "notes.txt").write_bytes(b"mine")
    (run / "epoch-0077.pt").write_bytes(b"mine too")
    told: list[str] = []
    with RunFolder(run, told.append) as folder:
        assert folder.keeping(None, goes_on=True) is None, (
            "nothing that was there is deleted unasked"
        )
        assert "keeping all" in told[0]
        folder.write_config({"model": {}})
        assert len(folder.read_metrics()) == 6
    with RunFolder(run) as folder:
        folder.clear()
    assert listing(run) == {"notes.txt": b"mine", "epoch-0077.pt": b"mine too"}


def test_a_refused_run_of_an_earlier_version_is_left_as_it_is(tmp_path: Path) -> None:
    of_earlier_version(tmp_path)
    before = listing(tmp_path)
    with RunFolder(tmp_path), pytest.raises(UsageError, match="--overwrite"):
        check_folder(tmp_path, resume=False, overwrite=False)
    assert listing(tmp_path) == before
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    "files", [["../mine"], ["/mine"], ["samples/../../mine"], [""], [3], "last.pt", None, [".."]]
)
def test_a_mark_from_elsewhere_reaches_nothing_outside(files: object, tmp_path: Path) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    mine.write_bytes(b"mine")
    run.mkdir()
    content = {"format": "dcgan run", "version": 1, "files": files}
    (run / MARK).write_text(json.dumps(content))
    if files == "last.pt":  # letters are names, too, and none of them is there
        return
    with pytest.raises(UsageError, match=r"run\.json"):
        RunFolder(run)
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"format": "other"}', "\xff", "[" * 9999])
def test_a_damaged_mark_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / MARK).write_text(text, "latin-1")
    with pytest.raises(UsageError, match=r"run\.json: not the mark") as raised:
        RunFolder(tmp_path)
    assert "\n" not in str(raised.value)


def test_epochs_without_a_last_state_are_not_deleted_unasked(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "last.pt").unlink()
    with RunFolder(tmp_path), pytest.raises(UsageError, match=r"epoch-0001\.pt.*--overwrite"):
        check_folder(tmp_path, resume=False, overwrite=False)


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"")
    (tmp_path / ".run.json.17.tmp").write_bytes(b"{")  # killed inside its very first write
    with RunFolder(tmp_path) as folder:
        folder.write("last.pt", b"state")
    assert sorted(os.listdir(tmp_path)) == [".lock", "last.pt", MARK]  # noqa: PTH208


def test_a_persons_lock_file_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"mine")
    with RunFolder(tmp_path):
        pass
    assert (tmp_path / ".lock").read_bytes() == b"mine"


# What a run was told about keeping


def test_what_was_said_about_keeping_is_remembered(tmp_path: Path) -> None:
    told: list[str] = []
    with RunFolder(tmp_path, told.append) as folder:
        assert folder.keeping("all", goes_on=False) is None
        folder.write_config({})
    with RunFolder(tmp_path, told.append) as folder:
        assert folder.keeping(None, goes_on=True) is None
        assert told == ["keeping all epoch checkpoints, as before; --keep changes it"]
        assert folder.keeping("3", goes_on=True) == 3
        folder.write_config({})
    with RunFolder(tmp_path) as folder:
        assert folder.keeping(None, goes_on=True) == 3
    with RunFolder(tmp_path) as folder:
        assert folder.keeping(None, goes_on=False) == 2, "a run that begins anew was told nothing"


# A kill between last.pt and the samples of its epoch


def test_samples_that_were_not_drawn_are_made_up_on_resuming(tmp_path: Path) -> None:
    from dcgan_cli.checkpoint.format import load
    from dcgan_cli.training.events import EpochDone, Length

    def drawn(steps: int) -> list[EpochDone]:
        with tiny.trainer(tmp_path) as trainer:
            if trainer.folder.last.exists():
                trainer.restore(load(trainer.folder.last))
            found: list[EpochDone] = []
            for event in trainer.run(Length(steps=steps)):
                if isinstance(event, EpochDone):
                    found.append(event)
                    if event.epoch > 1:
                        trainer.folder.write(trainer.folder.grid(event.epoch), b"grid")
            return found

    first = drawn(4)  # one epoch, whose samples are lost
    again = drawn(8)
    assert [event.epoch for event in first] == [1]
    assert [event.epoch for event in again] == [1, 2]
    assert again[0].checkpoint == first[0].checkpoint
    assert (again[0].images == first[0].images).all()
    assert again[0].step == 4
    with tiny.trainer(tmp_path) as trainer:
        trainer.restore(load(trainer.folder.last))
        assert not any(isinstance(e, EpochDone) for e in tiny.train(trainer, 9))


# metrics.jsonl


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe", b"null", b'{"step": "x"}', b'{"step": 3', b"[]", b"{}", b'{"step": true}',
     b'{"step": 3, "d_loss": "high"}', b'{"step": 1e999}', b'{"step": 3, "d_loss": 1e999}',
     b"[" * 100_000, b'{"step": ' + b"9" * 400 + b"}", b"\0" * 64, b'{"step": -1}'],
)  # fmt: skip
def test_a_damaged_line_costs_that_line_alone(damage: bytes, tmp_path: Path) -> None:
    told: list[str] = []
    with RunFolder(tmp_path, told.append) as folder:
        folder.append_metrics({"step": n, "d_loss": 1.5} for n in range(1, 1001))
        lines = folder.metrics.read_bytes().splitlines(keepends=True)
        lines[9] = damage + b"\n"
        folder.metrics.write_bytes(b"".join(lines))
        assert [row["step"] for row in folder.read_metrics()] == [
            n for n in range(1, 1001) if n != 10
        ]
        folder.rewind_metrics(998)
        assert folder.metrics.read_bytes() == b"".join(lines[:9] + lines[10:998])
        assert (tmp_path / "metrics-damaged.txt").read_bytes() == damage + b"\n"
        assert len(told) == 1
        assert "1 line of 1,000 damaged" in told[0]
        folder.rewind_metrics(998)
        assert len(told) == 1


def test_a_line_that_was_cut_off_at_the_end_is_no_damage(tmp_path: Path) -> None:
    told: list[str] = []
    with RunFolder(tmp_path, told.append) as folder:
        folder.append_metrics([{"step": 1}, {"step": 2}])
        with folder.metrics.open("ab") as file:
            file.write(b'{"step": 3, "d_lo')
        folder.rewind_metrics(2)
        assert folder.metrics.read_bytes() == b'{"step": 1}\n{"step": 2}\n'
    assert told == []
