"""LSUN and other LMDB databases: read-only, from many threads, refused at the wrong level."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dataset_files
import lmdb
import numpy as np
import pytest
from source_checks import names, refusal, words

from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import SourceError

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


def test_lsun_reads_all_training_databases(tmp_path: Path) -> None:
    counts = {"bedroom_train": 5, "bedroom_val": 2, "church_outdoor_train": 3}
    source = open_source(str(dataset_files.write_lsun(tmp_path / "lsun", counts)))
    assert source.kind == "LSUN (bedroom, church_outdoor)"
    assert words(source) == ["bedroom"] * 5 + ["church_outdoor"] * 3
    expected = sorted(dataset_files.lsun_records(5, 0).items()) + sorted(
        dataset_files.lsun_records(3, 2).items()
    )
    assert [source.read(i) for i in range(8)] == [value for _, value in expected]
    assert source.name(5) == f"church_outdoor/{expected[5][0].decode()}"
    validation = open_source(f"{tmp_path / 'lsun'}#val")
    assert len(validation) == 2


@pytest.mark.parametrize("given_path", ["bedroom_train_lmdb", "bedroom_train_lmdb/data.mdb", "."])
def test_one_database_is_named_in_several_ways(given_path: str, tmp_path: Path) -> None:
    dataset_files.write_lsun(tmp_path, {"bedroom_train": 3})
    source = open_source(str(tmp_path / given_path))
    assert len(source) == 3
    assert source.labels is None


def test_keys_that_are_no_text_get_numbers(tmp_path: Path) -> None:
    source = open_source(
        str(dataset_files.write_lmdb(tmp_path / "db", {b"\x00\xff": b"x", b"k": b"y"}))
    )
    assert names(source) == ["record 0", "k"]
    assert source.read(0) == b"x"


def test_one_database_can_be_opened_many_times(tmp_path: Path) -> None:
    location = str(dataset_files.write_lmdb(tmp_path / "db", dataset_files.lsun_records(3)))
    one, other = open_source(location), open_source(location)
    assert one.read(1) == other.read(1)
    del one
    assert other.read(2)


def test_wrong_levels_of_lsun(tmp_path: Path) -> None:
    lsun = dataset_files.write_lsun(tmp_path / "up" / "lsun", {"bedroom_val": 2})
    line = refusal(lsun)
    assert "expected *_train_lmdb there, found only bedroom_val_lmdb" in line
    assert f"give {lsun / 'bedroom_val_lmdb'} itself" in line
    assert f"give {lsun} itself" in refusal(tmp_path / "up")
    assert "no such part" not in refusal(f"{lsun}#test")
    (lsun / "bedroom_train_lmdb").mkdir()
    assert "unzip the database again" in refusal(lsun)
    inner = dataset_files.write_lmdb(
        lsun / "bedroom_train_lmdb" / "inner", dataset_files.lsun_records(1)
    )
    assert f"give {inner}" in refusal(lsun)


def test_a_zipped_lsun_is_to_be_unzipped(tmp_path: Path) -> None:
    archive = dataset_files.write_zip(
        tmp_path / "bedroom_train_lmdb.zip", {"bedroom_train_lmdb/data.mdb": b"x"}
    )
    assert "unzip bedroom_train_lmdb.zip there first" in refusal(tmp_path)
    assert "an LSUN database is read unpacked: unzip it" in refusal(archive)


def test_damaged_databases(tmp_path: Path) -> None:
    assert "holds no records" in refusal(dataset_files.write_lmdb(tmp_path / "zero", {}))
    folder = dataset_files.write_lmdb(tmp_path / "cut", {b"%d" % n: b"x" * 5000 for n in range(9)})
    size = (folder / "data.mdb").stat().st_size
    os.truncate(folder / "data.mdb", size - 4096)
    assert f"cut short, {size - 4096:,} of {size:,} bytes" in refusal(folder)
    (folder / "data.mdb").write_bytes(b"nonsense" * 1000)
    assert "expected an LMDB database" in refusal(folder)


def test_many_threads_open_one_database_at_once(tmp_path: Path) -> None:
    location = str(dataset_files.write_lmdb(tmp_path / "db", dataset_files.lsun_records(3)))
    barrier = threading.Barrier(8)

    def read(_: int) -> object:
        barrier.wait()
        return open_source(location).read(1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(8)))) == 1


@pytest.mark.parametrize("sizes", [(10, 200), (0, 1), (1500, 2500), (3000, 9000)])
def test_every_record_is_what_the_library_reads(sizes: tuple[int, int], tmp_path: Path) -> None:
    """Small values in leaves, large ones on overflow pages, keys of all lengths, several levels."""
    stream = np.random.default_rng(sizes)
    records = {
        stream.bytes(int(stream.integers(1, 200))): stream.bytes(int(stream.integers(*sizes)))
        for _ in range(700)
    }
    folder = dataset_files.write_lmdb(tmp_path / "db", records)
    with lmdb.open(str(folder), map_size=1 << 26) as environment:
        for number, key in enumerate(sorted(records)):  # a second commit: free pages, another root
            if number % 3 == 0:
                with environment.begin(write=True) as to:
                    to.delete(key)
        with environment.begin() as transaction:
            expected = list(transaction.cursor())
    source = open_source(str(folder))
    assert [source.read(i) for i in range(len(source))] == [value for _, value in expected]
    again = pickle.loads(pickle.dumps(source))
    assert again.read(17) == expected[17][1]


def test_a_database_of_several_values_a_key_is_refused(tmp_path: Path) -> None:
    file = dataset_files.write_lmdb(tmp_path / "db", {b"k": b"1"}) / "data.mdb"
    data = bytearray(file.read_bytes())
    for meta in (0, 4096):
        data[meta + 92] |= 4  # MDB_DUPSORT, in the flags of the main database
    file.write_bytes(data)
    assert "several values for one key" in refusal(tmp_path / "db")


def test_a_damaged_page_is_one_line_and_the_process_lives(tmp_path: Path) -> None:
    """Among these are pages on which the library ends the process."""
    records = {b"%04d" % n: b"%04d" % n * (20 if n % 9 else 2000) for n in range(300)}
    folder = dataset_files.write_lmdb(tmp_path / "db", records)
    whole = (folder / "data.mdb").read_bytes()
    stream = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        broken = bytearray(whole)
        page = int(stream.integers(0, len(whole) // 4096)) * 4096
        for place in page + stream.integers(0, 64, 3):
            broken[place] = stream.integers(256)
        (folder / "data.mdb").write_bytes(broken)
        try:
            source = open_source(str(folder))
        except SourceError as error:
            refused += "\n" not in str(error)
            continue
        for index in range(len(source)):
            try:
                source.read(index)
            except (OSError, ValueError):
                refused += 1
    assert refused > 50
