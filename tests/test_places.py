"""Where a run goes: its name, and that neither it nor its source lies inside the other."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import dataset_files
import pytest
from PIL import Image

from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.cli.places import refuse_overlap, run_path
from dcgan_cli.errors import UsageError

TINY = ("--ngf", "2", "--ndf", "2", "--threads", "1", "--size", "8", "--batch-size", "4")
QUICK = (*TINY, "--steps", "6", "--quiet")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with photos/ and an archive of them."""
    monkeypatch.chdir(tmp_path)
    files = {f"{n}.png": dataset_files.png(n) for n in range(9)}
    dataset_files.write_folder(tmp_path / "photos", {**files, "film.gif": dataset_files.png(9)})
    dataset_files.write_zip(tmp_path / "photos.zip", files)
    return tmp_path


@pytest.fixture
def train(capfd: pytest.CaptureFixture[str]) -> Run:
    def dcgan(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run_guarded(lambda: app(["train", *arguments], standalone_mode=False))
        said = capfd.readouterr()
        return code, said.out, said.err

    return dcgan


def content(folder: Path) -> Mapping[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(result: tuple[int, str, str], said: str) -> None:
    code, out, err = result
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("photos/", "--out", "."), ("photos", "--out", "./"), ("./photos/.", "--out", "."),
        ("photos", "--out", "photos"), ("photos", "--out", "photos/deep/er"),
        ("photos", "--out", "link"), ("link", "--out", "photos"), ("link/", "--out", "."),
        ("photos", "--out", "other/../photos"), (".", "--out", "photos"), (".", "--run", "x"),
        ("photos", "--run", "photos", "--out", ".", "--overwrite"),
        ("photos", "--run", "photos", "--out", ".", "--resume"), ("..", "--run", "y"),
    ],
)  # fmt: skip
def test_a_run_never_lies_in_its_own_source(
    arguments: tuple[str, ...], work: Path, train: Run
) -> None:
    (work / "link").symlink_to("photos")
    (work / "other").mkdir()
    before = content(work)
    result = train(*arguments, *QUICK)
    refused(result, "inside its own source")
    assert re.search(r"type --out (\.\./)*checkpoints\n|choose a folder outside", result[2])
    assert content(work) == before


@pytest.mark.parametrize("source", [".", "./", "", "../photos", "../photos/.", "../link/.."])
def test_the_refusal_names_a_place_that_works(
    source: str, work: Path, train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "link").symlink_to("photos/sub")
    (work / "photos" / "sub").mkdir()
    monkeypatch.chdir(work / "photos")
    source = source or str(work / "photos")
    refused(train(source, *QUICK), "; type --out ../checkpoints")
    assert not (work / "photos" / "checkpoints").exists()
    code, out, err = train(source, "--out", "../checkpoints", *QUICK)
    assert (code, out) == (0, "../checkpoints/photos/last.pt\n"), err
    files = json.loads((work / "checkpoints/photos/run.json").read_text())["files"]
    there = set(content(work / "checkpoints/photos")) - {".lock", "run.json"}
    assert there == set(files)


def test_a_link_in_the_source_that_leads_to_the_runs_is_seen(work: Path, train: Run) -> None:
    (work / "checkpoints").mkdir()
    (work / "photos" / "all").symlink_to("../checkpoints")
    refused(train("photos", *QUICK), "through photos/all; ")
    (work / "photos" / "all").unlink()
    (work / "photos" / "back").symlink_to("..")
    refused(train("photos", *QUICK), "through photos/back; ")


@pytest.mark.parametrize(
    "source",
    ["runs/x/photos.zip", "runs/x/sub/photos", "runs/x/photos-{0..1}.tar", "runs/x", "link.zip"],
)
def test_a_source_never_lies_in_its_own_run(source: str, work: Path, train: Run) -> None:
    files = {f"{n}.png": dataset_files.png(n) for n in range(9)}
    dataset_files.write_folder(work / "runs/x/sub/photos", files)
    dataset_files.write_zip(work / "runs/x/photos.zip", files)
    for number in range(2):
        dataset_files.write_tar(work / f"runs/x/photos-{number}.tar", files)
    (work / "link.zip").symlink_to("runs/x/photos.zip")
    before = content(work)
    refused(train(source, "--run", "x", "--out", "runs", *QUICK), "inside")
    assert content(work) == before


def test_parts_and_pattern_sources_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    with pytest.raises(UsageError, match="own source"):
        refuse_overlap(f"{tmp_path}/mnist#test", tmp_path / "mnist/run")
    refuse_overlap("digits", tmp_path / "digits")
    refuse_overlap("demo:faces", tmp_path / "faces")
    refuse_overlap(str(tmp_path / "mnist"), tmp_path / "mnist2")


def test_a_folder_with_a_persons_files_is_refused(work: Path, train: Run) -> None:
    mine = work / "checkpoints" / "photos"
    dataset_files.write_folder(
        mine, {"drawing.png": b"mine", "film.gif": b"mine", "samples/a.png": b"mine"}
    )
    before = content(work)
    for options in ((), ("--overwrite",), ("--resume",)):
        refused(train("photos", *QUICK, *options), "drawing.png and 2 more")
    assert content(work) == before


def test_a_link_in_place_of_samples_is_refused_and_what_it_names_stays(
    work: Path, train: Run
) -> None:
    assert train("photos", *QUICK)[0] == 0
    run = work / "checkpoints/photos"
    mine = dataset_files.write_folder(work / "mine", {"last.png": b"mine", "a.png": b"mine"})
    for file in (run / "samples").iterdir():
        file.unlink()
    (run / "samples").rmdir()
    (run / "samples").symlink_to(mine)
    state = (run / "last.pt").read_bytes()
    for options in (("--overwrite",), ("--resume", "--steps", "8")):
        code, out, err = train("photos", *QUICK, *options)
        assert (code, out) == (1, ""), err
        assert "samples is a link" in err
    assert content(mine) == {"last.png": b"mine", "a.png": b"mine"}
    assert (run / "last.pt").read_bytes() == state


def test_a_run_is_begun_anew_gone_on_with_and_keeps_what_it_was_told(
    work: Path, train: Run
) -> None:
    run = work / "checkpoints/photos"
    assert train("photos", *QUICK, "--keep", "all")[0] == 0
    (run / "mine.txt").write_text("mine")
    code, _, err = train(*QUICK, "--run", "photos", "--resume", "--steps", "20")
    assert code == 0, err
    assert len(list(run.glob("epoch-*.pt"))) == 10
    assert len(list(run.glob("samples/epoch-*.png"))) == 10
    assert train("photos", *QUICK, "--overwrite", "--steps", "2")[0] == 0
    assert [file.name for file in run.glob("epoch-*.pt")] == ["epoch-0001.pt"]
    assert (run / "mine.txt").read_text() == "mine"


def test_a_lost_grid_and_damaged_metrics_are_mended_on_resuming(work: Path, train: Run) -> None:
    run = work / "checkpoints/photos"
    assert train("photos", *QUICK)[0] == 0
    grid = run / "samples/epoch-0003.png"
    before = grid.read_bytes()
    grid.unlink()
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[1:3] = [b"\xff\xff\n", b'{"step": "x"}\n']
    (run / "metrics.jsonl").write_bytes(b"".join(lines))
    code, _, err = train(*TINY, "--run", "photos", "--resume", "--steps", "8")
    assert code == 0, err
    assert grid.read_bytes() == before
    assert "2 lines of 6 damaged" in err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 4, 5, 6, 7, 8]
    with Image.open(run / "samples.gif") as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]  # the last is epoch 4's own


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("photos", "photos"), ("photos/", "photos"), ("./photos", "photos"), ("photos/.", "photos"),
        ("photos.zip", "photos"), ("photos/..", "work"), (".", "work"), ("./", "work"),
        ("mnist#test", "mnist"), ("demo:faces:500", "faces-500"), ("digits", "digits"),
        ("data-{000..099}.tar", "data"), ("shards/{0..9}.tar", "shards"), (".hidden", "hidden"),
        ("linked", "linked"), ("a#b", "a#b"),
    ],
)  # fmt: skip
def test_a_run_is_called_after_its_source(
    location: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    for folder in ("photos", "mnist", ".hidden", "a#b"):
        (work / folder).mkdir(parents=True)
    (work / "photos.zip").touch()
    (work / "linked").symlink_to("photos")
    monkeypatch.chdir(work)
    assert run_path(Path("checkpoints"), None, location) == Path("checkpoints") / name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", ".a", "n" * 256, "é" * 128, "a/"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--run"):
        run_path(Path("checkpoints"), name, "digits")


def test_the_root_has_no_name() -> None:
    with pytest.raises(UsageError, match="type --run NAME"):
        run_path(Path("checkpoints"), None, os.sep)


def test_tensorboards_files_are_a_runs_own_and_those_of_others_are_not(
    work: Path, train: Run
) -> None:
    pytest.importorskip("tensorboard")
    board = work / "checkpoints/photos/tensorboard"
    assert train("photos", *QUICK, "--tensorboard")[0] == 0
    first = {file.name for file in board.iterdir()}
    assert len(first) == 1
    (board / "events.out.tfevents.1.mine").write_bytes(b"mine")
    code, _, err = train("photos", *QUICK, "--tensorboard", "--overwrite")
    assert code == 0, err
    after = {file.name for file in board.iterdir()}
    assert "events.out.tfevents.1.mine" in after
    assert len(after) == 2
    assert not first & after
