"""Every kind of source: recognized by content, read in any order from any process, refused in one line."""

import multiprocessing
import os
import pickle
import shutil
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dataset_files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_checks import FILES, names, refusal, words

from dcgan_cli.data.sources import Source, open_source
from dcgan_cli.errors import UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


# Every kind, alike


def _make_mnist(root: Path) -> str:
    images = dataset_files.pixels(6, 28, 28)
    return str(dataset_files.write_idx(root / "mnist", images, np.arange(6, dtype=np.uint8)))


def _make_plain_mnist(root: Path) -> str:
    images = dataset_files.pixels(6, 28, 28)
    labels = np.arange(6, dtype=np.uint8)
    return str(dataset_files.write_idx(root / "mnist", images, labels, packed=False))


def _make_cifar(root: Path) -> str:
    images = dataset_files.pixels(10, 32, 32, 3)
    folder = root / "cifar-10-batches-py"
    return str(dataset_files.write_cifar10(folder, images, list(range(10)), "abcdefghij").parent)


def _make_svhn(root: Path) -> str:
    images = dataset_files.pixels(6, 32, 32, 3)
    return str(dataset_files.write_svhn(root / "svhn" / "train_32x32.mat", images, range(6)).parent)


KINDS: dict[str, Callable[[Path], str]] = {
    "folder": lambda root: str(dataset_files.write_folder(root / "pictures", FILES)),
    "zip": lambda root: str(dataset_files.write_zip(root / "images.zip", FILES)),
    "tar": lambda root: str(dataset_files.write_tar(root / "images.tar", FILES)),
    "lsun": lambda root: str(
        dataset_files.write_lsun(root / "lsun", {"bedroom_train": 4, "church_train": 3})
    ),
    "lmdb": lambda root: str(dataset_files.write_lmdb(root / "db", dataset_files.lsun_records(6))),
    "idx": _make_mnist,
    "plain idx": _make_plain_mnist,
    "cifar": _make_cifar,
    "svhn": _make_svhn,
    "celeba": lambda root: str(
        dataset_files.write_celeba(root / "celeba", {"Smiling": [1, -1, 1, 1, -1, -1]})
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


def test_a_pickle_holds_no_images(tmp_path: Path) -> None:
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
    before = dataset_files.listing(tmp_path)
    source = open_source(location)
    source.read(0)
    source.fingerprint()
    assert dataset_files.listing(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "zip", "idx", "cifar", "svhn", "tar", "lmdb"])
def test_fingerprint_is_stable_and_follows_a_change(kind: str, tmp_path: Path) -> None:
    location = KINDS[kind](tmp_path)
    before = open_source(location).fingerprint()
    assert open_source(location).fingerprint() == before
    time.sleep(0.01)
    shutil.rmtree(location) if Path(location).is_dir() else Path(location).unlink()
    if kind == "zip":  # its fingerprint is made of checksums: other bytes, not another time
        dataset_files.write_zip(Path(location), {**FILES, "a/1.png": dataset_files.png(99)})
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
def test_limit_keeps_evenly_spaced_images(
    count: int, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("limit")
    dataset_files.write_folder(folder, {f"{n:02}.png": b"%d" % n for n in range(count)})
    source = open_source(str(folder), limit=limit)
    kept = min(limit, count)
    assert len(source) == kept
    expected = [i * count // kept for i in range(kept)]
    assert [int(source.read(i)) for i in range(kept)] == expected  # type: ignore[arg-type]
    assert names(source) == [f"{n:02}.png" for n in expected]


def test_limit_keeps_all_classes_and_changes_the_fingerprint(tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": b"" for label in "abc" for n in range(10)}
    folder = str(dataset_files.write_folder(tmp_path / "x", files))
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
    dataset_files.write_folder(tmp_path / "digits", dataset_files.images("a.png"))
    monkeypatch.chdir(tmp_path)
    assert open_source("digits").kind == "folder of images"


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
        ("a.png", dataset_files.png(), "one image is not enough; give its folder"),
        ("a.txt", b"hello", "neither images nor an archive"),
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
    folder = dataset_files.write_folder(tmp_path / "x", dataset_files.images("a/1.png", "b/1.png"))
    (folder / "a").chmod(0)
    try:
        assert "Permission denied" in refusal(folder)
    finally:
        (folder / "a").chmod(0o700)


# Real images


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
    assert (len(boxes.image), int(boxes.seen.sum())) == (82, 58)
    assert boxes.seen.sum() - len(set(boxes.image.tolist())) == 7
