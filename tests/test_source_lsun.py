"""LSUN and other LMDB databases: read-only, from many threads, refused at the wrong level."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import making
import pytest
from reading import names, refusal, words

from dcgan_cli.data.sources import open_source

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


def test_lsun_reads_all_training_databases(tmp_path: Path) -> None:
    counts = {"bedroom_train": 5, "bedroom_val": 2, "church_outdoor_train": 3}
    source = open_source(str(making.write_lsun(tmp_path / "lsun", counts)))
    assert source.kind == "LSUN (bedroom, church_outdoor)"
    assert words(source) == ["bedroom"] * 5 + ["church_outdoor"] * 3
    expected = sorted(making.lsun_records(5, 0).items()) + sorted(making.lsun_records(3, 2).items())
    assert [source.read(i) for i in range(8)] == [value for _, value in expected]
    assert source.name(5) == f"church_outdoor/{expected[5][0].decode()}"
    validation = open_source(f"{tmp_path / 'lsun'}#val")
    assert len(validation) == 2


@pytest.mark.parametrize("given_path", ["bedroom_train_lmdb", "bedroom_train_lmdb/data.mdb", "."])
def test_one_database_is_named_in_several_ways(given_path: str, tmp_path: Path) -> None:
    making.write_lsun(tmp_path, {"bedroom_train": 3})
    source = open_source(str(tmp_path / given_path))
    assert len(source) == 3
    assert source.labels is None


def test_keys_that_are_no_text_get_numbers(tmp_path: Path) -> None:
    source = open_source(str(making.write_lmdb(tmp_path / "db", {b"\x00\xff": b"x", b"k": b"y"})))
    assert names(source) == ["record 0", "k"]
    assert source.read(0) == b"x"


def test_one_database_can_be_opened_many_times(tmp_path: Path) -> None:
    location = str(making.write_lmdb(tmp_path / "db", making.lsun_records(3)))
    one, other = open_source(location), open_source(location)
    assert one.read(1) == other.read(1)
    del one
    assert other.read(2)


def test_wrong_levels_of_lsun(tmp_path: Path) -> None:
    lsun = making.write_lsun(tmp_path / "up" / "lsun", {"bedroom_val": 2})
    line = refusal(lsun)
    assert "expected *_train_lmdb there, found only bedroom_val_lmdb" in line
    assert f"give {lsun / 'bedroom_val_lmdb'} itself" in line
    assert f"give {lsun} itself" in refusal(tmp_path / "up")
    assert "no such part" not in refusal(f"{lsun}#test")
    (lsun / "bedroom_train_lmdb").mkdir()
    assert "unzip the database again" in refusal(lsun)
    inner = making.write_lmdb(lsun / "bedroom_train_lmdb" / "inner", making.lsun_records(1))
    assert f"give {inner}" in refusal(lsun)


def test_a_zipped_lsun_is_to_be_unzipped(tmp_path: Path) -> None:
    archive = making.write_zip(
        tmp_path / "bedroom_train_lmdb.zip", {"bedroom_train_lmdb/data.mdb": b"x"}
    )
    assert "unzip bedroom_train_lmdb.zip there first" in refusal(tmp_path)
    assert "an LSUN database is read unpacked: unzip it" in refusal(archive)


def test_damaged_databases(tmp_path: Path) -> None:
    assert "holds no records" in refusal(making.write_lmdb(tmp_path / "zero", {}))
    folder = making.write_lmdb(tmp_path / "cut", {b"%d" % n: b"x" * 5000 for n in range(9)})
    size = (folder / "data.mdb").stat().st_size
    os.truncate(folder / "data.mdb", size - 4096)
    assert f"cut short, {size - 4096:,} of {size:,} bytes" in refusal(folder)
    (folder / "data.mdb").write_bytes(b"nonsense" * 1000)
    assert "expected an LMDB database" in refusal(folder)


def test_many_threads_open_one_database_at_once(tmp_path: Path) -> None:
    location = str(making.write_lmdb(tmp_path / "db", making.lsun_records(3)))
    barrier = threading.Barrier(8)

    def read(_: int) -> object:
        barrier.wait()
        return open_source(location).read(1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(8)))) == 1


def test_a_database_that_is_just_being_closed_is_waited_for(tmp_path: Path) -> None:
    folder = making.write_lmdb(tmp_path / "db", making.lsun_records(3))
    before = lmdb.open(str(folder), readonly=True, lock=False)
    closing = threading.Timer(0.1, before.close)
    closing.start()
    assert len(open_source(str(folder))) == 3
    closing.join()
