"""What lies beside the readable images is counted and said, in folders, zips and tars alike."""

import os
from collections.abc import Callable
from pathlib import Path

import dataset_files
import pytest
from source_checks import names, refusal

from dcgan_cli.data.kinds import names as naming
from dcgan_cli.data.kinds import skipped_files
from dcgan_cli.data.kinds.names import IMAGE_SUFFIXES, is_image_name, litter
from dcgan_cli.data.sources import open_source

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")

Write = Callable[[Path, dict[str, bytes]], Path]

FORMS: dict[str, Write] = {
    "folder": lambda root, files: dataset_files.write_folder(root / "x", files),
    "zip": lambda root, files: dataset_files.write_zip(_made(root) / "x.zip", files),
    "tar": lambda root, files: dataset_files.write_tar(_made(root) / "x.tar", files),
}


def _made(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    return root


@pytest.fixture(params=FORMS)
def write(request: pytest.FixtureRequest) -> Write:
    return FORMS[request.param]


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the `heic` extra is not installed."""
    others = IMAGE_SUFFIXES - {".heic", ".heif", ".hif"}
    monkeypatch.setattr(naming, "IMAGE_SUFFIXES", others)
    monkeypatch.setattr(skipped_files, "IMAGE_SUFFIXES", others)


def test_other_endings_are_said_with_their_mend(
    write: Write, tmp_path: Path, without_heic: None
) -> None:
    files = dataset_files.images(*(f"{n}.jpg" for n in range(3)))
    files |= dict.fromkeys([f"I{n}.HEIC" for n in range(60)] + ["a.CR2", "film.mp4", "b.svg"], b"x")
    files |= dict.fromkeys(["nothing", "labels.csv", "Thumbs.db", "desktop.ini"], b"x")
    source = open_source(str(write(tmp_path, files)))
    assert names(source) == ["0.jpg", "1.jpg", "2.jpg"]
    (note,) = source.notes
    assert "60 .heic files (pip install 'dcgan[heic]' reads them, or convert them" in note
    for said in ("1 .cr2 file (camera raw", "1 .mp4 file (film", "1 .svg file (convert",
                 "1 file without an ending", "1 .csv file"):  # fmt: skip
        assert said in note
    assert ".db" not in note
    assert ".ini" not in note
    assert open_source(str(write(tmp_path, files)), limit=2).notes == source.notes


def test_nothing_beside_is_nothing_said(write: Write, tmp_path: Path) -> None:
    files = dataset_files.images("a.png", "b.PGM", "c.JFIF", "d.ppm")
    source = open_source(str(write(tmp_path, files)))
    assert names(source) == list(files)
    assert source.notes == ()


def test_many_endings_are_added_up_and_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    files = dataset_files.images("a.png") | {f"{n}.e{n}": b"" for n in range(20)}
    files["x.\x1b[2J"] = b""
    files[".\x1b[2J/x.png"] = b""
    (note,) = open_source(str(dataset_files.write_zip(tmp_path / "x.zip", files))).notes
    assert "files of other endings" in note
    assert note.isprintable()


LITTER = [
    "@eaDir/a.png/SYNOPHOTO_THUMB_SM.jpg",
    "sub/@eaDir/b.png/SYNOPHOTO_THUMB_M.jpg",
    ".thumbnails/a.png",
    ".picasaoriginals/a.jpg",
    ".ipynb_checkpoints/a-checkpoint.png",
    ".Trash-1000/files/x.png",
    ".git/x.png",
    "__MACOSX/a/._a.png",
    "._a.png",
    "#recycle/old.png",
    "$RECYCLE.BIN/$R1.jpg",
    "lost+found/1.png",
    "Thumbs/a.png",
    "Catalog Previews.lrdata/0/x.jpg",
    "SYNOPHOTO_FILM_M.jpg",
]


def test_litter_is_counted_and_makes_no_classes(write: Write, tmp_path: Path) -> None:
    files = dataset_files.images("a.png", "sub/b.png", *LITTER)
    source = open_source(str(write(tmp_path, files)))
    assert names(source) == ["a.png", "sub/b.png"]
    assert source.labels is not None
    assert set(source.labels.columns["label"]) == {"", "sub"}
    (note,) = source.notes
    assert "2 images in @eaDir" in note
    flat = open_source(str(write(tmp_path / "flat", dataset_files.images("a.png", LITTER[0]))))
    assert flat.labels is None


@pytest.mark.parametrize("path", LITTER)
def test_litter_is_told_by_name(path: str) -> None:
    assert litter(path) is not None
    assert not is_image_name(path)


@pytest.mark.parametrize(
    "path", ["thumbs_up/1.png", "a@b.png", "x#1.png", "recycling/1.png", "found/1.png", "x..png"]
)
def test_names_that_are_alike_are_no_litter(path: str) -> None:
    assert is_image_name(path)


def test_nothing_but_other_things_is_refused_with_the_mend(
    write: Write, tmp_path: Path, without_heic: None
) -> None:
    assert "dcgan[heic]" in refusal(write(tmp_path, {"a.heic": b"", "b.heic": b""}))
    assert "@eaDir" in refusal(write(tmp_path / "2", {"@eaDir/a.jpg": b""}))


# Links


@posix
def test_a_link_upward_pulls_nothing_in(tmp_path: Path) -> None:
    dataset_files.write_folder(tmp_path, dataset_files.images("outside.png", "x/a.png", "y/b.png"))
    (tmp_path / "x" / "up").symlink_to("..")
    (tmp_path / "x" / "root").symlink_to("/")
    (tmp_path / "x" / "itself").symlink_to(tmp_path / "x")
    source = open_source(str(tmp_path / "x"))
    assert names(source) == ["a.png"]
    assert "3 links to a folder that contains the link itself" in source.notes[0]


@posix
def test_a_link_that_was_placed_is_followed_but_not_what_leads_up_from_there(
    tmp_path: Path,
) -> None:
    dataset_files.write_folder(
        tmp_path, dataset_files.images("x/a.png", "data/secret.png", "data/set/b.png", "one.png")
    )
    (tmp_path / "x" / "set").symlink_to(tmp_path / "data" / "set")
    (tmp_path / "data" / "set" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "x" / "c.png").symlink_to(tmp_path / "one.png")
    source = open_source(str(tmp_path / "x"))
    assert names(source) == ["a.png", "c.png", "set/b.png"]
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "x")
    assert names(open_source(str(linked))) == names(source)


@posix
def test_broken_links_are_images_that_cannot_be_read(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path / "x", dataset_files.images("a.png"))
    (folder / "b.png").symlink_to("../annex/b")
    (folder / "loop.png").symlink_to("loop.png")
    source = open_source(str(folder))
    assert names(source) == ["a.png", "b.png", "loop.png"]
    with pytest.raises(ValueError, match=r"a broken link to \.\./annex/b"):
        source.read(1)
    with pytest.raises((ValueError, OSError)):
        source.read(2)
