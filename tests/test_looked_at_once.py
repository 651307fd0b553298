"""How often the files of a source are looked at in a command, and what is no file at all."""

import io
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dataset_files
import pytest

from dcgan_cli.data.cache import prepare
from dcgan_cli.data.reference import Reference
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.data.survey import survey
from dcgan_cli.errors import SourceError

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each path under `tmp_path` is looked at: (stat, open or scandir, name)."""
    found: Counter[tuple[str, str]] = Counter()

    def count(module: Any, name: str) -> None:
        plain: Callable[..., Any] = getattr(module, name)

        def counted(path: Any = ".", *args: Any, **options: Any) -> Any:
            if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(tmp_path):
                found[name, os.path.basename(os.fsdecode(path))] += 1  # noqa: PTH119
            return plain(path, *args, **options)

        monkeypatch.setattr(module, name, counted)

    for name in ("stat", "lstat", "open", "scandir"):
        count(os, name)
    count(io, "open")
    return found


def command(location: Path) -> None:
    """What training does with a source before the first step."""
    source = open_source(str(location))
    survey(source)
    images = prepare(source, ImageSpec(8, 3), workers=0)
    Reference.of(source, images, 8)
    images.close()


def test_each_image_of_a_folder_is_looked_up_once(
    tmp_path: Path, looks: Counter[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    files = [f"{number}.png" for number in range(4)]
    dataset_files.write_folder(tmp_path / "x", dataset_files.images(*files))
    for opened in (3, 2):  # survey, decoding and digest; then the decoded images are there
        looks.clear()
        command(tmp_path / "x")
        for file in files:
            assert looks["stat", file] + looks["lstat", file] == 1
            assert looks["open", file] == opened


def test_a_folder_is_listed_once_by_each_kind_that_looks_for_names(
    tmp_path: Path, looks: Counter[tuple[str, str]]
) -> None:
    dataset_files.write_folder(tmp_path / "x", dataset_files.images("a.png", "b.png"))
    looks.clear()
    open_source(str(tmp_path / "x"))
    assert looks["scandir", "x"] == 3  # *_lmdb, IDX files, images


@pytest.mark.parametrize("write", [dataset_files.write_zip, dataset_files.write_tar])
def test_an_archive_is_opened_to_recognize_it_and_to_read_it(
    write: Callable[[Path, dict[str, bytes]], Path],
    tmp_path: Path,
    looks: Counter[tuple[str, str]],
) -> None:
    path = write(tmp_path / "x", dataset_files.images("a.png"))
    looks.clear()
    open_source(str(path))
    assert looks["open", "x"] == 2


@posix
def test_pipes_and_sockets_are_counted_and_named(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path / "x", dataset_files.images("a.png"))
    os.mkfifo(folder / "queue.png")
    os.mkfifo(folder / "control")
    (folder / "more").mkdir()
    (folder / "more/link.jpg").symlink_to(folder / "queue.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "s.png"))
    source = open_source(str(folder))
    assert len(source) == 1
    assert source.notes == (
        "passed over: 4 special files (pipe, socket or device: control, more/link.jpg, "
        "queue.png, s.png)",
    )


@posix
def test_a_folder_of_pipes_alone_says_so(tmp_path: Path) -> None:
    for number in range(8):
        os.mkfifo(tmp_path / f"{number}.png")
    with pytest.raises(SourceError, match=r"no images there; passed over: 8 special files \(pipe,"):
        open_source(str(tmp_path))


def test_the_notes_of_a_table_are_said_once_beside_a_limit(tmp_path: Path) -> None:
    dataset_files.write_folder(tmp_path / "x", dataset_files.images("a.png", "b.png", "c.png"))
    table = tmp_path / "labels.csv"
    table.write_text("file,label\na.png,cat\nb.png,dog\nz.png,cat\n")
    (note,) = open_source(str(tmp_path / "x"), labels=table, limit=2).notes
    assert "1 of 3 files in it are not among the images" in note
