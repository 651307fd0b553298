"""Every kind of source: recognised by content, read in any order from any process, refused in one line."""

import io
import multiprocessing
import os
import pickle
import shutil
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import making
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgan_cli.data.kinds.names import NameTable, folder_labels, is_picture_name
from dcgan_cli.data.sources import Source, open_source
from dcgan_cli.errors import SourceError, UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


def names(source: Source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def words(source: Source, column: str = "label") -> list[str]:
    assert source.labels is not None
    return source.labels.columns[column].tolist()


def refusal(location: str | Path, **options: object) -> str:
    """The one line with which `location` is refused."""
    with pytest.raises(SourceError) as caught:
        open_source(str(location), **options)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    return line


# Every kind, alike


def _make_mnist(root: Path) -> str:
    images = making.pixels(6, 28, 28)
    return str(making.write_idx(root / "mnist", images, np.arange(6, dtype=np.uint8)))


def _make_plain_mnist(root: Path) -> str:
    images = making.pixels(6, 28, 28)
    labels = np.arange(6, dtype=np.uint8)
    return str(making.write_idx(root / "mnist", images, labels, packed=False))


def _make_cifar(root: Path) -> str:
    images = making.pixels(10, 32, 32, 3)
    folder = root / "cifar-10-batches-py"
    return str(making.write_cifar10(folder, images, list(range(10)), "abcdefghij").parent)


def _make_svhn(root: Path) -> str:
    images = making.pixels(6, 32, 32, 3)
    return str(making.write_svhn(root / "svhn" / "train_32x32.mat", images, range(6)).parent)


FILES = making.pictures("a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png", "c/1.png")

KINDS: dict[str, Callable[[Path], str]] = {
    "folder": lambda root: str(making.write_folder(root / "pictures", FILES)),
    "zip": lambda root: str(making.write_zip(root / "pictures.zip", FILES)),
    "tar": lambda root: str(making.write_tar(root / "pictures.tar", FILES)),
    "lsun": lambda root: str(
        making.write_lsun(root / "lsun", {"bedroom_train": 4, "church_train": 3})
    ),
    "lmdb": lambda root: str(making.write_lmdb(root / "db", making.lsun_records(6))),
    "idx": _make_mnist,
    "plain idx": _make_plain_mnist,
    "cifar": _make_cifar,
    "svhn": _make_svhn,
    "celeba": lambda root: str(
        making.write_celeba(root / "celeba", {"Smiling": [1, -1, 1, 1, -1, -1]})
    ),
    "digits": lambda root: "digits",
    "demo": lambda root: "demo:faces:6",
}


@pytest.fixture(params=list(KINDS))
def any_source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return open_source(KINDS[request.param](tmp_path))


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and np.array_equal(a, b)  # type: ignore[arg-type]


def test_a_source_tells_what_it_is(any_source: Source) -> None:
    assert len(any_source) >= 6
    assert any_source.kind
    assert len(set(names(any_source))) == len(any_source)
    assert all(name.isprintable() for name in names(any_source))
    for column in any_source.labels.columns.values() if any_source.labels else ():
        assert len(column) == len(any_source)


def test_records_are_bytes_or_pixels(any_source: Source) -> None:
    record = any_source.read(len(any_source) - 1)
    if isinstance(record, bytes):
        assert record.startswith(b"\x89PNG")
    else:
        assert record.dtype == np.uint8
        assert record.ndim == 2 or (record.ndim == 3 and record.shape[2] == 3)
        assert record.flags.c_contiguous


def test_pickling_keeps_everything(any_source: Source) -> None:
    first = [any_source.read(index) for index in range(6)]
    again: Source = pickle.loads(pickle.dumps(any_source))
    assert names(again) == names(any_source)
    assert again.fingerprint() == any_source.fingerprint()
    assert all(same(record, again.read(index)) for index, record in enumerate(first))


def test_a_pickle_holds_no_pictures(tmp_path: Path) -> None:
    source = open_source(_make_cifar(tmp_path))
    assert len(pickle.dumps(source)) < 5_000  # its pixels are 30,720 bytes


def test_threads_read_the_same(any_source: Source) -> None:
    alone = [any_source.read(index) for index in range(6)]
    order = np.random.default_rng(0).integers(0, 6, 100).tolist()
    with ThreadPoolExecutor(8) as pool:
        for index, record in zip(order, pool.map(any_source.read, order), strict=True):
            assert same(record, alone[index])


@posix
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_reads_the_same(any_source: Source) -> None:
    alone = [any_source.read(index) for index in range(6)]
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = all(same(any_source.read(i), alone[i]) for _ in range(8) for i in range(6))
        finally:
            os._exit(0 if good else 1)
    for _ in range(8):
        assert all(same(any_source.read(i), alone[i]) for i in range(6))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _read_all(source: Source, out: "multiprocessing.SimpleQueue[list[bytes]]") -> None:
    out.put([bytes(source.read(index)) for index in range(len(source))])


@pytest.mark.parametrize("kind", ["lsun", "zip"])
def test_a_spawned_process_reads_the_same(kind: str, tmp_path: Path) -> None:
    source = open_source(KINDS[kind](tmp_path))
    context = multiprocessing.get_context("spawn")
    out = context.SimpleQueue()
    process = context.Process(target=_read_all, args=(source, out))
    process.start()
    assert out.get() == [source.read(index) for index in range(len(source))]
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("digits", "demo")])
def test_reading_leaves_nothing_behind(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = KINDS[kind](tmp_path)
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    before = making.listing(tmp_path)
    source = open_source(location)
    source.read(0)
    source.fingerprint()
    assert making.listing(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "zip", "idx", "cifar", "svhn", "tar", "lmdb"])
def test_fingerprint_is_stable_and_follows_a_change(kind: str, tmp_path: Path) -> None:
    location = KINDS[kind](tmp_path)
    before = open_source(location).fingerprint()
    assert open_source(location).fingerprint() == before
    time.sleep(0.01)
    shutil.rmtree(location) if Path(location).is_dir() else Path(location).unlink()
    if kind == "zip":  # its fingerprint is made of checksums: other bytes, not another time
        making.write_zip(Path(location), {**FILES, "a/1.png": making.png(99)})
    else:
        KINDS[kind](tmp_path)
    assert open_source(location).fingerprint() != before


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "lmdb", "idx"])
def test_fingerprint_does_not_depend_on_the_place(kind: str, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    location = Path(KINDS[kind](tmp_path / "old"))
    before = open_source(str(location)).fingerprint()
    (tmp_path / "old").rename(tmp_path / "new")
    assert open_source(str(tmp_path / "new" / location.name)).fingerprint() == before


# --limit


@given(count=st.integers(1, 40), limit=st.integers(1, 60))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_limit_keeps_evenly_spaced_pictures(
    count: int, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("limit")
    making.write_folder(folder, {f"{n:02}.png": b"%d" % n for n in range(count)})
    source = open_source(str(folder), limit=limit)
    kept = min(limit, count)
    assert len(source) == kept
    expected = [i * count // kept for i in range(kept)]
    assert [int(source.read(i)) for i in range(kept)] == expected  # type: ignore[arg-type]
    assert names(source) == [f"{n:02}.png" for n in expected]


def test_limit_keeps_all_classes_and_changes_the_fingerprint(tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": b"" for label in "abc" for n in range(10)}
    folder = str(making.write_folder(tmp_path / "x", files))
    source = open_source(folder, limit=6)
    assert words(source) == ["a", "a", "b", "b", "c", "c"]
    assert source.fingerprint() != open_source(folder).fingerprint()
    assert source.fingerprint() == open_source(folder, limit=6).fingerprint()
    assert source.fingerprint() != open_source(folder, limit=7).fingerprint()
    with pytest.raises(IndexError):
        source.read(6)


def test_limit_below_one_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--limit 0"):
        open_source("digits", limit=0)


# Folders


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    shown = ["B.JPG", "a.png", "c.tiff", "z.bmp", "b/1.webp", "b/2/deep.GIF", "c/3.png"]
    passed_over = [
        ".hidden.png", "._a.png", "Thumbs.db", ".git/x.png", "__MACOSX/y.png", "notes.txt", "png",
    ]  # fmt: skip
    folder = making.write_folder(tmp_path / "x", making.pictures(*shown, *passed_over))
    source = open_source(str(folder))
    assert source.kind == "folder of pictures"
    assert names(source) == shown
    assert [source.read(i) for i in range(7)] == [(folder / name).read_bytes() for name in shown]


def test_a_picture_by_name_is_listed_whatever_it_holds(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path, {"empty.jpg": b"", "text.png": b"hello"})
    source = open_source(str(folder))
    assert [source.read(0), source.read(1)] == [b"", b"hello"]


def test_a_file_that_vanishes_is_an_os_error(tmp_path: Path) -> None:
    source = open_source(str(making.write_folder(tmp_path, making.pictures("a.png", "b.png"))))
    before = source.fingerprint()
    (tmp_path / "a.png").unlink()
    with pytest.raises(OSError):  # noqa: PT011  # any of them
        source.read(0)
    assert source.fingerprint() != before


def test_a_huge_file_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path, making.pictures("a.png"))
    os.truncate(folder / "a.png", 1 << 40)  # a sparse terabyte
    with pytest.raises(ValueError, match="more than any picture needs"):
        open_source(str(folder)).read(0)


@posix
def test_loops_of_links_end_and_each_folder_is_read_once(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path / "x", making.pictures("b/1.png", "b/c/2.png"))
    (folder / "a").symlink_to(folder / "b")
    (folder / "b" / "up").symlink_to(folder)
    (folder / "b" / "c" / "itself").symlink_to(folder / "b" / "c")
    (folder / "link.png").symlink_to(folder / "b" / "1.png")
    (folder / "broken.png").symlink_to(folder / "nowhere.png")
    assert names(open_source(str(folder))) == ["link.png", "b/1.png", "b/c/2.png"]


@posix
def test_a_pipe_called_png_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path / "x", making.pictures("a.png"))
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


def test_a_folder_without_pictures_says_what_is_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "the folder is empty; expected files such as .jpg" in refusal(empty)
    other = making.write_folder(tmp_path / "other", {"a.txt": b"", "b/c.txt": b"", "d.csv": b""})
    assert "only 2 .txt files, 1 .csv file; expected" in refusal(other)
    holder = tmp_path / "holder"
    holder.mkdir()
    inner = making.write_zip(holder / "inner.zip", FILES)
    assert f"give {inner} itself" in refusal(holder)
    assert "has no part called test" in refusal(
        str(making.write_folder(tmp_path / "x", FILES)) + "#test"
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
def test_picture_names(name: str) -> None:
    assert is_picture_name(name)


@pytest.mark.parametrize(
    "name", ["a", "jpg", ".jpg", "a.ppm", "a.jpg/b", "a/._b.jpg", ".a/b.jpg", "a.jpg~"]
)
def test_other_names(name: str) -> None:
    assert not is_picture_name(name)


# LSUN


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


# Zip


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8),
        st.binary(max_size=300),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=50),
    st.binary(max_size=50),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_a_zip_is_read_as_zipfile_reads_it(
    contents: dict[str, bytes], method: int, before: bytes, comment: bytes, wide: bool
) -> None:
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        if wide:  # zip64 records for everything
            patch.setattr(zipfile, "ZIP64_LIMIT", 0)
            patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.comment = comment.replace(b"PK", b"")
            for name, content in contents.items():
                with archive.open(f"d/{name}.png", "w", force_zip64=wide) as member:
                    member.write(content)
    path = Path(os.environ["DCGAN_CACHE"]) / "x.zip"
    path.write_bytes(b"#!/bin/sh\n" + before + file.getvalue())
    source = open_source(str(path))
    assert names(source) == [f"d/{name}.png" for name in contents]
    assert [source.read(i) for i in range(len(source))] == list(contents.values())


def test_a_zip_spells_classes_and_hides_what_a_mac_adds(tmp_path: Path) -> None:
    files = making.pictures("x/a/1.png", "__MACOSX/x/a/._1.png", "x/.b.png", "x/b/2.png", "x/n.txt")
    source = open_source(str(making.write_zip(tmp_path / "x.zip", files)))
    assert source.kind == "zip of pictures"
    assert names(source) == ["x/a/1.png", "x/b/2.png"]
    assert words(source) == ["a", "b"]


def test_a_zip_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    assert len(open_source(str(making.write_zip(tmp_path / "data.bin", FILES)))) == 6


def test_names_in_archives_are_only_names(tmp_path: Path) -> None:
    files = {"../../evil.png": b"1", "/etc/evil.png": b"2", "..\\evil.png": b"3"}
    here = tmp_path / "deep" / "er"
    here.mkdir(parents=True)
    for path in (making.write_zip(here / "x.zip", files), making.write_tar(here / "x.tar", files)):
        before = making.listing(tmp_path)
        source = open_source(str(path))
        assert len(source) == 0 or [source.read(i) for i in range(len(source))]
        assert making.listing(tmp_path) == before


def test_a_cut_zip_is_refused_or_its_members_are(tmp_path: Path) -> None:
    whole = making.write_zip(tmp_path / "whole.zip", FILES).read_bytes()
    path = tmp_path / "cut.zip"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert "a damaged zip" in refusal(path)


def test_a_bit_flip_in_a_zip_never_gives_other_bytes(tmp_path: Path) -> None:
    whole = making.write_zip(tmp_path / "x.zip", FILES).read_bytes()
    originals = set(FILES.values())
    path = tmp_path / "flipped.zip"
    rng = np.random.default_rng(0)
    refused = read = 0
    for at in rng.integers(0, len(whole), 300).tolist():
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            source = open_source(str(path))
        except SourceError:
            continue
        for index in range(len(source)):
            try:
                assert source.read(index) in originals
                read += 1
            except (ValueError, OSError):
                refused += 1
    assert refused > 100
    assert read > 100


def test_a_zip_member_larger_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    path = making.write_zip(tmp_path / "bomb.zip", {"a.png": bytes(50_000_000)})
    whole = bytearray(path.read_bytes())
    at = whole.rfind(b"PK\1\2") + 24
    whole[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(whole)
    source = open_source(str(path))
    tracemalloc.start()
    with pytest.raises(ValueError, match="checksum"):
        source.read(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    whole[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="more than any picture needs"):
        open_source(str(path)).read(0)


def test_zips_that_cannot_be_read(tmp_path: Path) -> None:
    assert "packed by the method LZMA" in refusal(
        making.write_zip(tmp_path / "lzma.zip", FILES, zipfile.ZIP_LZMA)
    )
    path = making.write_zip(tmp_path / "locked.zip", FILES)
    whole = bytearray(path.read_bytes())
    whole[whole.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(whole)
    assert "encrypted" in refusal(path)
    assert "the zip is empty" in refusal(making.write_zip(tmp_path / "empty.zip", {}))
    assert "only 1 .txt file" in refusal(making.write_zip(tmp_path / "text.zip", {"a.txt": b""}))


# Tar


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_any_form(form: int, tmp_path: Path) -> None:
    files = making.pictures("./a/1.png", "b/2.png")
    if form != tarfile.USTAR_FORMAT:
        files |= {f"b/{'long' * 60}ü.png": b"long"}
    source = open_source(str(making.write_tar(tmp_path / "x.tar", files, form)))
    assert source.kind == "tar of pictures"
    assert names(source) == [name.removeprefix("./") for name in files]
    assert [source.read(i) for i in range(len(source))] == list(files.values())
    assert words(source)[:2] == ["a", "b"]


def test_shards_and_their_classes(tmp_path: Path) -> None:
    for shard in range(3):
        files: dict[str, bytes] = {}
        for n in range(2):
            key = f"{shard}{n}"
            side = {f"{key}.cls": b"%d\n" % n, f"{key}.json": b"{}"}
            picture = {f"{key}.png": key.encode()}
            files |= side | picture if n else picture | side
        making.write_tar(tmp_path / f"data-{shard + 8:03}.tar", files)
    source = open_source(f"{tmp_path}/data-{{008..010}}.tar")
    assert source.kind == "3 tar shards of pictures"
    assert [source.read(i) for i in range(6)] == [b"00", b"01", b"10", b"11", b"20", b"21"]
    assert words(source) == ["0", "1"] * 3
    line = refusal(f"{tmp_path}/data-{{008..011}}.tar")
    assert "1 of 4 shards are missing" in line
    assert "data-011.tar" in line
    assert "braces count upwards" in refusal("data-{5..1}.tar")


def test_damaged_and_compressed_tars(tmp_path: Path) -> None:
    path = making.write_tar(tmp_path / "x.tar", FILES)
    whole = path.read_bytes()
    path.write_bytes(whole[: 512 + 40])
    assert "a damaged tar" in refusal(path)
    path.write_bytes(b"")
    assert "a damaged tar" in refusal(path)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(__file__, "a.png")
    line = refusal(tmp_path / "x.tar.gz")
    assert "compressed tar" in line
    assert "tar -xf x.tar.gz" in line
    assert "no pictures in the tar" in refusal(making.write_tar(tmp_path / "t.tar", {"a": b""}))


# IDX


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
def test_idx_parts(packed: bool, layout: str, tmp_path: Path) -> None:
    train, test = making.pixels(5, 28, 28), making.pixels(3, 28, 28, seed=1)
    folder = tmp_path / layout
    making.write_idx(folder, train, np.array([3, 1, 0, 9, 9], np.uint8), packed=packed)
    making.write_idx(folder, test, np.array([1, 2, 3], np.uint8), "t10k-first3", packed=packed)
    source = open_source(str(tmp_path))
    assert source.kind == "IDX pictures (MNIST's form), train part"
    assert np.array_equal([source.read(i) for i in range(5)], train)
    assert words(source) == ["3", "1", "0", "9", "9"]
    assert source.name(2) == "record 2"
    other = open_source(f"{tmp_path}#test")
    assert np.array_equal([other.read(i) for i in range(3)], test)
    assert words(other) == ["1", "2", "3"]
    assert "no extra pictures among" in refusal(f"{tmp_path}#extra")
    alone = next(folder.glob("t10k*images*"))
    assert len(open_source(str(alone))) == 3


def test_a_file_with_a_hash_in_its_name_is_a_file(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path / "a#test", FILES)
    assert len(open_source(str(folder))) == 6


def test_damaged_idx_files(tmp_path: Path) -> None:
    images, labels = making.pixels(4, 28, 28), np.zeros(4, np.uint8)
    folder = making.write_idx(tmp_path, images, labels, packed=False)
    file = folder / "train-images-idx3-ubyte"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert "cut short for the 4 entries" in refusal(file)
    file.write_bytes(whole[:4] + b"\xff" * 12 + whole[16:])
    assert "cut short for the 4,294,967,295 entries" in refusal(folder)
    file.write_bytes(making.idx(images[:3]))
    assert "4 labels for the 3 pictures" in refusal(folder)
    file.write_bytes(making.idx(images[:0]))
    (folder / "train-labels-idx1-ubyte").unlink()
    assert "holds no pictures" in refusal(file)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    folder = making.write_idx(tmp_path, making.pixels(4, 28, 28), np.zeros(4, np.uint8))
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert "a damaged gzip file" in refusal(folder)


# CIFAR


def test_cifar10(tmp_path: Path) -> None:
    images = making.pixels(10, 32, 32, 3)
    folder = making.write_cifar10(tmp_path, images, [0, 1] * 5, ["cat", "dog"])
    source = open_source(str(folder))
    assert source.kind == "CIFAR-10, train part"
    assert np.array_equal([source.read(i) for i in range(10)], images)
    assert words(source) == ["cat", "dog"] * 5
    assert len(open_source(f"{folder}#test")) == 2
    (folder / "batches.meta").unlink()
    assert words(open_source(str(folder))) == ["0", "1"] * 5
    (folder / "data_batch_3").unlink()
    assert "data_batch_3 missing" in refusal(folder)
    assert "CIFAR has no part val" in refusal(f"{folder}#val")


def test_cifar100(tmp_path: Path) -> None:
    images = making.pixels(7, 32, 32, 3)
    making.write_cifar100(tmp_path / "cifar-100-python", images)
    source = open_source(str(tmp_path))
    assert source.kind == "CIFAR-100, train part"
    assert np.array_equal(source.read(6), images[6])
    assert words(source)[6] == "fine6"
    assert words(source, "coarse_label")[6] == "coarse1"


def test_cifar_pickled_again_by_python_3(tmp_path: Path) -> None:
    folder = making.write_cifar10(tmp_path, making.pixels(10, 32, 32, 3), [0] * 10, ["a"])
    for file in folder.iterdir():
        file.write_bytes(pickle.dumps(pickle.loads(file.read_bytes(), encoding="latin1"), 2))
    assert words(open_source(str(folder))) == ["a"] * 10


class _Runs:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "call", [(os.system, "touch {}"), (os.mkdir, "{}"), (eval, "open('{}', 'w')")]
)
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(
    call: tuple[Callable[..., object], str], protocol: int, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    folder = making.write_cifar10(tmp_path / "c", making.pixels(5, 32, 32, 3), [0] * 5, ["a"])
    hostile = pickle.dumps({"data": _Runs(call[0], call[1].format(trace))}, protocol)
    (folder / "data_batch_2").write_bytes(hostile)
    line = refusal(folder)
    assert "nothing of it was run" in line
    assert not trace.exists()
    pickle.loads(hostile)
    assert trace.exists(), "the pickle of this test must be a working attack"


@pytest.mark.parametrize(
    "batch",
    [
        [],
        {},
        {"data": 3},
        {"data": np.zeros((2, 3072), np.float32)},
        {"data": np.zeros((2, 100), np.uint8)},
        {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 99]},
        {"data": np.zeros((2, 3072), np.uint8), "labels": [0, -1]},
        {"data": np.zeros((2, 3072), np.uint8), "labels": [0, "x"]},
        {"data": np.zeros((2, 3072), np.uint8), "labels": [0]},
    ],
)
def test_a_batch_that_holds_something_else(batch: object, tmp_path: Path) -> None:
    folder = making.write_cifar10(tmp_path, making.pixels(5, 32, 32, 3), [0] * 5, ["a"])
    (folder / "data_batch_1").write_bytes(making.python2_pickle(batch))
    refusal(folder)


# SVHN


def test_svhn(tmp_path: Path) -> None:
    images = making.pixels(4, 32, 32, 3)
    making.write_svhn(tmp_path / "train_32x32.mat", images, [1, 0, 9, 5])
    making.write_svhn(tmp_path / "test_32x32.mat", images[:1], [7])
    source = open_source(str(tmp_path))
    assert source.kind == "SVHN, train part"
    assert np.array_equal([source.read(i) for i in range(4)], images)
    assert words(source) == ["1", "0", "9", "5"]
    assert words(open_source(f"{tmp_path}#test")) == ["7"]
    assert "no extra part there; use #train or #test" in refusal(f"{tmp_path}#extra")
    assert open_source(str(tmp_path / "test_32x32.mat")).kind == "SVHN"


def test_other_matlab_files(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / "x.mat"
    savemat(path, {"Y": np.zeros(3)})
    assert "no X; expected SVHN's X" in refusal(path)
    savemat(path, {"X": np.zeros((32, 32, 3, 2))})
    assert "X of float64 [32, 32, 3, 2]; expected" in refusal(path)
    making.write_svhn(path, making.pixels(2, 32, 32, 3), [1, 2])
    path.write_bytes(path.read_bytes()[:-200])
    assert "a damaged MATLAB file" in refusal(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(200))
    assert "expected a MATLAB 5.0 file" in refusal(path)


# CelebA


@pytest.mark.parametrize("given_path", [".", "img_align_celeba"])
def test_celeba(given_path: str, tmp_path: Path) -> None:
    attributes = {"Smiling": [1, -1, 1], "Eyeglasses": [-1, -1, 1]}
    making.write_celeba(tmp_path, attributes)
    source = open_source(str(tmp_path / given_path))
    assert source.kind == "CelebA"
    assert words(source, "Smiling") == ["Smiling", "not_Smiling", "Smiling"]
    assert words(source, "Eyeglasses") == ["not_Eyeglasses", "not_Eyeglasses", "Eyeglasses"]
    assert source.labels is not None
    assert source.labels.listed is None


def test_celeba_still_zipped(tmp_path: Path) -> None:
    making.write_celeba(tmp_path, {"Smiling": [1, -1, 1]})
    pictures = tmp_path / "img_align_celeba"
    files = {f"img_align_celeba/{p.name}": p.read_bytes() for p in sorted(pictures.iterdir())}
    shutil.rmtree(pictures)
    archive = making.write_zip(tmp_path / "img_align_celeba.zip", files)
    assert words(open_source(str(archive)), "Smiling") == ["Smiling", "not_Smiling", "Smiling"]


def test_a_broken_list_of_celeba(tmp_path: Path) -> None:
    making.write_celeba(tmp_path, {"Smiling": [1, -1], "Young": [1, 1]})
    (tmp_path / "list_attr_celeba.txt").write_text("2\nSmiling Young\n000001.jpg 1 1\n000002.jpg 1")
    assert "line 4 is not what CelebA's list says" in refusal(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text("")
    assert "its two lines of heading" in refusal(tmp_path)


# Words that are no path


def test_digits() -> None:
    source = open_source("digits")
    assert len(source) == 1797
    first = source.read(0)
    assert isinstance(first, np.ndarray)
    assert first.shape == (8, 8)
    assert (first.min(), first.max()) == (0, round(15 * 255 / 16))
    assert words(source)[:10] == [str(n) for n in range(10)]


def test_a_path_called_digits_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    making.write_folder(tmp_path / "digits", making.pictures("a.png"))
    monkeypatch.chdir(tmp_path)
    assert open_source("digits").kind == "folder of pictures"


@pytest.mark.parametrize(
    ("location", "limit", "count"),
    [
        ("demo:faces", None, 20_000),
        ("demo:rooms", 30, 30),
        ("demo:faces", 30_000, 30_000),
        ("demo:faces:50", None, 50),
        ("demo:faces:50", 7, 7),
        ("demo:faces:50", 70, 50),
    ],
)
def test_demo_counts(location: str, limit: int | None, count: int) -> None:
    assert len(open_source(location, limit=limit)) == count


@pytest.mark.parametrize("location", ["demo:", "demo:cats", "demo:faces:x", "demo:faces:-3"])
def test_unknown_demos(location: str) -> None:
    with pytest.raises(UsageError, match=r"demo:faces or demo:rooms"):
        open_source(location)


# What is not understood


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", making.png(), "one picture is not enough; give its folder"),
        ("a.txt", b"hello", "neither pictures nor an archive"),
        ("a.bin", b"", "the file is empty"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        ("a.rar", b"Rar!\x1a\x07", "a RAR archive"),
        ("a.parquet", b"PAR1xxxx", "a Parquet file"),
        ("a.npy", b"\x93NUMPY\x01\x00", "a NumPy array"),
        ("a.gz", b"\x1f\x8b\x08\x00garbage", "a gzip file of something else"),
        ("a.zip", b"hello", "a damaged zip"),
    ],
)
def test_other_files(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    line = refusal(tmp_path / name)
    assert said in line
    assert str(tmp_path / name) in line


def test_nothing_there(tmp_path: Path) -> None:
    line = refusal(tmp_path / "nope")
    assert "no such file or folder" in line
    assert "demo:faces" in line


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read anything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    folder = making.write_folder(tmp_path / "x", making.pictures("a/1.png", "b/1.png"))
    (folder / "a").chmod(0)
    try:
        assert "Permission denied" in refusal(folder)
    finally:
        (folder / "a").chmod(0o700)


# Real pictures


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "count", "columns"),
    [
        ("lfw-faces/lfw-faces.zip", 11_248, ()),
        ("crawl-tiles/crawl-tiles.zip", 4_782, ("label",)),
        ("cifar10-png/cifar10-png.zip", 3_400, ()),
        ("sprites/sprites.zip", 6_000, ()),
        ("mnist/idx", 60_000, ("label",)),
        ("mnist/idx#test", 5_000, ("label",)),
        ("mnist/mnist-png.zip", 11_000, ("split", "label")),
    ],
)
def test_real_sources(path: str, count: int, columns: tuple[str, ...], real_data: Path) -> None:
    source = open_source(str(real_data / path))
    assert len(source) == count
    assert tuple(source.labels.columns if source.labels else ()) == columns


@pytest.mark.data
def test_a_real_zip_is_read_as_zipfile_reads_it(real_data: Path) -> None:
    path = real_data / "crawl-tiles" / "crawl-tiles.zip"
    source = open_source(str(path))
    with zipfile.ZipFile(path) as archive:
        for index in range(0, len(source), 37):
            assert source.read(index) == archive.read(source.name(index))


@pytest.mark.data
def test_real_labels(real_data: Path) -> None:
    faces = real_data / "lfw-faces"
    source = open_source(str(faces / "lfw-faces.zip"), labels=faces / "labels.csv")
    smile, male = words(source, "smile"), words(source, "male")
    both = list(zip(male, smile, strict=True))
    assert both.count(("male", "smile")) == 1_538
    assert both.count(("not_male", "not_smile")) == 1_073
    assert smile.count("") == 2_131
    rooms = real_data / "house-bedrooms"
    source = open_source(str(rooms / "house-bedrooms.zip"), labels=rooms / "window_boxes.csv")
    assert source.labels is not None
    boxes = source.labels.boxes
    assert boxes is not None
    assert (len(boxes.picture), int(boxes.seen.sum())) == (82, 58)
    assert boxes.seen.sum() - len(set(boxes.picture.tolist())) == 7


def test_many_threads_open_one_database_at_once(tmp_path: Path) -> None:
    location = str(making.write_lmdb(tmp_path / "db", making.lsun_records(3)))
    barrier = threading.Barrier(8)

    def read(_: int) -> object:
        barrier.wait()
        return open_source(location).read(1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, range(8)))) == 1
