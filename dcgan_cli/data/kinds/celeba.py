"""CelebA: images and `list_attr_celeba.txt`, whose 40 attributes become columns of words.

An attribute such as Smiling becomes the words "Smiling" (1) and "not_Smiling" (−1), so that
concepts can be named after them. Format: a line with the number of images, a line with the names of
the attributes, then one line an image.
"""

import dataclasses
from pathlib import Path

from dcgan_cli.data.csv_tables import MAX_TABLE_BYTES, LabelTable
from dcgan_cli.data.kinds import folder, zips
from dcgan_cli.data.kinds.folder import FolderSource
from dcgan_cli.data.kinds.zips import ZipSource
from dcgan_cli.data.label_files import join_table
from dcgan_cli.errors import SourceError

_LIST = "list_attr_celeba.txt"
_IMAGES_PREFIX = "img_"
"""Prefix of CelebA's folders and zips of images; the list may lie beside them."""


def find(path: Path, head: bytes) -> tuple[Path, Path] | None:
    """The images at `path`, a folder or a zip, and the list in it or beside it."""
    list_file = _list_file(path)
    is_images = list_file and (path.is_dir() or zips.find(path, head))
    return (path, list_file) if list_file and is_images else None


def open_found(
    found: tuple[Path, Path], location: str, part: str | None
) -> FolderSource | ZipSource:
    """The images with their attributes. Raises SourceError as folders and zips do."""
    path, list_file = found
    opened = (folder if path.is_dir() else zips).open_found(path, location, part)
    opened.kind = "CelebA"
    attributes = dataclasses.replace(join_table(_read_list(list_file), opened), listed=None)
    opened.labels, opened.notes = attributes, (*opened.notes, *attributes.notes)
    return opened


def _list_file(path: Path) -> Path | None:
    places = [path / _LIST, path / "Anno" / _LIST]
    if path.name.startswith(_IMAGES_PREFIX):
        places += [path.parent / _LIST, path.parent.parent / "Anno" / _LIST]
    return next((place for place in places if place.is_file()), None)


def _read_list(path: Path) -> LabelTable:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise SourceError(f"{path}: larger than {MAX_TABLE_BYTES >> 20} MiB; download it again")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not a list of attributes; download it again") from error
    pool: dict[str, str] = {}
    numbered = [
        (number, [pool.setdefault(cell, cell) for cell in line.split()])
        for number, line in enumerate(lines[2:], start=3)
        if line.strip()
    ]
    header = ["file", *lines[1].split()] if numbered else []
    wrong = next((number for number, row in numbered if len(row) != len(header)), None)
    if not numbered or wrong is not None:
        where = f"line {wrong}" if wrong else "its two lines of heading"
        raise SourceError(f"{path}: {where} is not what CelebA's list says; download it again")
    return LabelTable(
        path, header, [row for _, row in numbered], [number for number, _ in numbered]
    )
