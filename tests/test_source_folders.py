"""Folders of images: nested, linked, full of what is no image."""

import os
import pickle
import sys
from pathlib import Path

import dataset_files
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_checks import FILES, names, refusal

from dcgan_cli.data.kinds.names import NameTable, folder_labels, is_image_name
from dcgan_cli.data.sources import open_source

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    shown = ["B.JPG", "a.png", "c.tiff", "z.bmp", "b/1.webp", "b/2/deep.GIF", "c/3.png"]
    skipped_files = [
        ".hidden.png", "._a.png", "Thumbs.db", ".git/x.png", "__MACOSX/y.png", "notes.txt", "png",
    ]  # fmt: skip
    folder = dataset_files.write_folder(
        tmp_path / "x", dataset_files.images(*shown, *skipped_files)
    )
    source = open_source(str(folder))
    assert source.kind == "folder of images"
    assert names(source) == shown
    assert [source.read(i) for i in range(7)] == [(folder / name).read_bytes() for name in shown]


def test_a_image_by_name_is_listed_whatever_it_holds(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path, {"empty.jpg": b"", "text.png": b"hello"})
    source = open_source(str(folder))
    assert [source.read(0), source.read(1)] == [b"", b"hello"]


def test_a_file_that_vanishes_is_an_os_error(tmp_path: Path) -> None:
    source = open_source(
        str(dataset_files.write_folder(tmp_path, dataset_files.images("a.png", "b.png")))
    )
    before = source.fingerprint()
    (tmp_path / "a.png").unlink()
    with pytest.raises(OSError):  # noqa: PT011  # any of them
        source.read(0)
    assert source.fingerprint() != before


def test_a_huge_file_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path, dataset_files.images("a.png"))
    os.truncate(folder / "a.png", 1 << 40)  # a sparse terabyte
    with pytest.raises(ValueError, match="more than any image needs"):
        open_source(str(folder)).read(0)


@posix
def test_loops_of_links_end_and_each_folder_is_read_once(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(
        tmp_path / "x", dataset_files.images("b/1.png", "b/c/2.png")
    )
    (folder / "a").symlink_to(folder / "b")
    (folder / "b" / "up").symlink_to(folder)
    (folder / "b" / "c" / "itself").symlink_to(folder / "b" / "c")
    (folder / "link.png").symlink_to(folder / "b" / "1.png")
    (folder / "broken.png").symlink_to(folder / "nowhere.png")
    assert names(open_source(str(folder))) == ["broken.png", "link.png", "b/1.png", "b/c/2.png"]


@posix
def test_a_pipe_called_png_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path / "x", dataset_files.images("a.png"))
    os.mkfifo(folder / "b.png")
    assert names(open_source(str(folder))) == ["a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such file names")
def test_file_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(raw, "wb") as file:  # noqa: PTH123  # pathlib has no bytes
        file.write(b"content")
    source = open_source(str(tmp_path))
    assert source.read(0) == b"content"
    assert source.name(0) == "caf?.png"
    source.fingerprint()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["1.png", "2.png"], {}),
        (["a/1.png", "b/1.png"], {"label": ["a", "b"]}),
        (["a/x/1.png", "a/y/1.png", "b/1.png"], {"label": ["a", "a", "b"]}),
        (["0.png", "a/1.png"], {"label": ["", "a"]}),
        (["only/1.png", "only/2.png"], {}),
        (["wrap/a/1.png", "wrap/b/1.png"], {"label": ["a", "b"]}),
        (
            ["train/a/1.png", "train/b/1.png", "test/a/1.png"],
            {"split": ["train", "train", "test"], "label": ["a", "b", "a"]},
        ),
        (["train/1.png", "test/1.png"], {"split": ["train", "test"]}),
        (["train/a/1.png", "trees/a/1.png"], {"label": ["train", "trees"]}),
    ],
)
def test_folders_spell_classes(paths: list[str], expected: dict[str, list[str]]) -> None:
    labels = folder_labels(path.encode() for path in paths)
    found = {name: column.tolist() for name, column in labels.columns.items()} if labels else {}
    assert found == expected


def test_a_folder_without_images_says_what_is_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "the folder is empty; expected files such as .jpg" in refusal(empty)
    other = dataset_files.write_folder(
        tmp_path / "other", {"a.txt": b"", "b/c.txt": b"", "d.csv": b""}
    )
    assert "only 2 .txt files, 1 .csv file; expected" in refusal(other)
    holder = tmp_path / "holder"
    holder.mkdir()
    inner = dataset_files.write_zip(holder / "inner.zip", FILES)
    assert f"give {inner} itself" in refusal(holder)
    assert "has no part called test" in refusal(
        str(dataset_files.write_folder(tmp_path / "x", FILES)) + "#test"
    )


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20)))
def test_a_name_table_gives_back_what_it_was_given(given_names: list[str]) -> None:
    table = NameTable.collect(name.encode() for name in given_names)
    assert [table.path(index) for index in range(len(table))] == given_names
    assert [name.decode() for name in table] == given_names
    with pytest.raises(IndexError):
        table.raw(len(given_names))


def test_a_name_table_costs_eight_bytes_a_name() -> None:
    table = NameTable.collect(b"%040x" % n for n in range(10_000))
    assert len(table.tobytes()) == 10_000 * 48
    assert len(pickle.dumps(table)) < 10_000 * 48 + 1000


@pytest.mark.parametrize("name", ["a.jpg", "a/b.JPEG", "a.b/c.tif"])
def test_image_names(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize(
    "name", ["a", "jpg", ".jpg", "a.svg", "a.jpg/b", "a/._b.jpg", ".a/b.jpg", "a.jpg~"]
)
def test_other_names(name: str) -> None:
    assert not is_image_name(name)
