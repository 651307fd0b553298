"""What is evicted from the cache folder: caches that we made, and nothing beside or behind them."""

import os
from pathlib import Path

import pytest

from dcgan_cli.data.eviction import make_room

OURS = (
    "shard-000.u8",
    "shard-000.json",
    "unreadable.tsv",
    "in-use",
    "building",
    ".shard-001.u8.7.tmp",
)


def cache(home: Path, digit: str) -> Path:
    folder = home / (digit * 32)
    folder.mkdir(parents=True)
    for name in OURS:
        (folder / name).write_bytes(b"x" * 100)
    return folder


def test_a_cache_is_evicted_whole_also_one_whose_eviction_was_killed(tmp_path: Path) -> None:
    cache(tmp_path, "a")
    cache(tmp_path, "b").rename(tmp_path / f".{'b' * 32}.{os.getpid()}.evicted")
    assert make_room(tmp_path / ("c" * 32), 1000, 1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["named otherwise", "holds more", "a link", "holds a link", "folder"]
)
def test_what_is_not_only_a_cache_stays(kind: str, tmp_path: Path) -> None:
    """The user may have chosen a folder of their own as $DCGAN_CACHE."""
    home, mine = tmp_path / "pictures", tmp_path / "mine"
    folder = cache(home, "a")
    mine.mkdir()
    (mine / "in-use").write_bytes(b"mine")
    if kind == "named otherwise":
        folder = folder.rename(home / "holidays")
    elif kind == "holds more":
        (folder / "holiday.jpg").write_bytes(b"mine")
    elif kind == "a link":
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
    elif kind == "holds a link":
        (folder / "shard-001.u8").symlink_to(mine / "in-use")
    else:
        (folder / "shard-001.u8").mkdir()
    before = sorted(p.name for p in folder.iterdir())
    make_room(home / ("c" * 32), 1000, 1000)
    assert sorted(p.name for p in folder.iterdir()) == before
    assert (mine / "in-use").read_bytes() == b"mine"
