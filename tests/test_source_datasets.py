"""IDX, CIFAR, SVHN and CelebA in the forms in which they are distributed."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import dataset_files
import numpy as np
import pytest
from source_checks import FILES, refusal, words

from dcgan_cli.data.sources import open_source

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
def test_idx_parts(packed: bool, layout: str, tmp_path: Path) -> None:
    train, test = dataset_files.pixels(5, 28, 28), dataset_files.pixels(3, 28, 28, seed=1)
    folder = tmp_path / layout
    dataset_files.write_idx(folder, train, np.array([3, 1, 0, 9, 9], np.uint8), packed=packed)
    dataset_files.write_idx(
        folder, test, np.array([1, 2, 3], np.uint8), "t10k-first3", packed=packed
    )
    source = open_source(str(tmp_path))
    assert source.kind == "IDX images (MNIST's form), train part"
    assert np.array_equal([source.read(i) for i in range(5)], train)
    assert words(source) == ["3", "1", "0", "9", "9"]
    assert source.name(2) == "record 2"
    other = open_source(f"{tmp_path}#test")
    assert np.array_equal([other.read(i) for i in range(3)], test)
    assert words(other) == ["1", "2", "3"]
    assert "no extra images among" in refusal(f"{tmp_path}#extra")
    alone = next(folder.glob("t10k*images*"))
    assert len(open_source(str(alone))) == 3


def test_a_file_with_a_hash_in_its_name_is_a_file(tmp_path: Path) -> None:
    folder = dataset_files.write_folder(tmp_path / "a#test", FILES)
    assert len(open_source(str(folder))) == 6


def test_damaged_idx_files(tmp_path: Path) -> None:
    images, labels = dataset_files.pixels(4, 28, 28), np.zeros(4, np.uint8)
    folder = dataset_files.write_idx(tmp_path, images, labels, packed=False)
    file = folder / "train-images-idx3-ubyte"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert "cut short for the 4 entries" in refusal(file)
    file.write_bytes(whole[:4] + b"\xff" * 12 + whole[16:])
    assert "cut short for the 4,294,967,295 entries" in refusal(folder)
    file.write_bytes(dataset_files.idx(images[:3]))
    assert "4 labels for the 3 images" in refusal(folder)
    file.write_bytes(dataset_files.idx(images[:0]))
    (folder / "train-labels-idx1-ubyte").unlink()
    assert "holds no images" in refusal(file)


def test_a_cut_gzip_is_refused(tmp_path: Path) -> None:
    folder = dataset_files.write_idx(
        tmp_path, dataset_files.pixels(4, 28, 28), np.zeros(4, np.uint8)
    )
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert "a damaged gzip file" in refusal(folder)


# CIFAR


def test_cifar10(tmp_path: Path) -> None:
    images = dataset_files.pixels(10, 32, 32, 3)
    folder = dataset_files.write_cifar10(tmp_path, images, [0, 1] * 5, ["cat", "dog"])
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
    images = dataset_files.pixels(7, 32, 32, 3)
    dataset_files.write_cifar100(tmp_path / "cifar-100-python", images)
    source = open_source(str(tmp_path))
    assert source.kind == "CIFAR-100, train part"
    assert np.array_equal(source.read(6), images[6])
    assert words(source)[6] == "fine6"
    assert words(source, "coarse_label")[6] == "coarse1"


def test_cifar_pickled_again_by_python_3(tmp_path: Path) -> None:
    folder = dataset_files.write_cifar10(
        tmp_path, dataset_files.pixels(10, 32, 32, 3), [0] * 10, ["a"]
    )
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
    folder = dataset_files.write_cifar10(
        tmp_path / "c", dataset_files.pixels(5, 32, 32, 3), [0] * 5, ["a"]
    )
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
    folder = dataset_files.write_cifar10(
        tmp_path, dataset_files.pixels(5, 32, 32, 3), [0] * 5, ["a"]
    )
    (folder / "data_batch_1").write_bytes(dataset_files.python2_pickle(batch))
    refusal(folder)


# SVHN


def test_svhn(tmp_path: Path) -> None:
    images = dataset_files.pixels(4, 32, 32, 3)
    dataset_files.write_svhn(tmp_path / "train_32x32.mat", images, [1, 0, 9, 5])
    dataset_files.write_svhn(tmp_path / "test_32x32.mat", images[:1], [7])
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
    dataset_files.write_svhn(path, dataset_files.pixels(2, 32, 32, 3), [1, 2])
    path.write_bytes(path.read_bytes()[:-200])
    assert "a damaged MATLAB file" in refusal(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + bytes(200))
    assert "expected a MATLAB 5.0 file" in refusal(path)


# CelebA


@pytest.mark.parametrize("given_path", [".", "img_align_celeba"])
def test_celeba(given_path: str, tmp_path: Path) -> None:
    attributes = {"Smiling": [1, -1, 1], "Eyeglasses": [-1, -1, 1]}
    dataset_files.write_celeba(tmp_path, attributes)
    source = open_source(str(tmp_path / given_path))
    assert source.kind == "CelebA"
    assert words(source, "Smiling") == ["Smiling", "not_Smiling", "Smiling"]
    assert words(source, "Eyeglasses") == ["not_Eyeglasses", "not_Eyeglasses", "Eyeglasses"]
    assert source.labels is not None
    assert source.labels.listed is None


def test_celeba_still_zipped(tmp_path: Path) -> None:
    dataset_files.write_celeba(tmp_path, {"Smiling": [1, -1, 1]})
    images = tmp_path / "img_align_celeba"
    files = {f"img_align_celeba/{p.name}": p.read_bytes() for p in sorted(images.iterdir())}
    shutil.rmtree(images)
    archive = dataset_files.write_zip(tmp_path / "img_align_celeba.zip", files)
    assert words(open_source(str(archive)), "Smiling") == ["Smiling", "not_Smiling", "Smiling"]


def test_a_broken_list_of_celeba(tmp_path: Path) -> None:
    dataset_files.write_celeba(tmp_path, {"Smiling": [1, -1], "Young": [1, 1]})
    (tmp_path / "list_attr_celeba.txt").write_text("2\nSmiling Young\n000001.jpg 1 1\n000002.jpg 1")
    assert "line 4 is not what CelebA's list says" in refusal(tmp_path)
    (tmp_path / "list_attr_celeba.txt").write_text("")
    assert "its two lines of heading" in refusal(tmp_path)
