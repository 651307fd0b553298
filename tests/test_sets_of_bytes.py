"""EMNIST's IDX files, and the .bin files of CIFAR-10, CIFAR-100 and STL-10."""

import pickle
from pathlib import Path

import dataset_files
import numpy as np
import pytest
from numpy.typing import NDArray
from source_checks import refusal, words

from dcgan_cli.data.sources import open_source

WORDS = ["airplane", "automobile", "bird"]


def emnist(folder: Path, split: str, images: NDArray[np.uint8], codes: list[int]) -> Path:
    """Both parts of one split as published: every image with its rows as columns."""
    sideways = np.ascontiguousarray(images.transpose(0, 2, 1))
    for part in ("train", "test"):
        dataset_files.write_idx(
            folder, sideways, np.array(codes, np.uint8), f"emnist-{split}-{part}"
        )
    return folder


def test_emnist_is_turned_upright_and_its_labels_are_characters(tmp_path: Path) -> None:
    images = dataset_files.pixels(3, 4, 4)
    folder = emnist(tmp_path, "letters", images, [1, 2, 26])
    mapping = "".join(f"{code} {64 + code} {96 + code}\n" for code in range(1, 27))
    (folder / "emnist-letters-mapping.txt").write_text(mapping)
    for location in (folder, f"{folder}#test", folder / "emnist-letters-test-images-idx3-ubyte.gz"):
        source = open_source(str(location))
        for index in range(3):
            np.testing.assert_array_equal(source.read(index), images[index])
        again = pickle.loads(pickle.dumps(source))
        np.testing.assert_array_equal(again.read(1), images[1])
        assert words(source) == ["A", "B", "Z"]
        assert "turned upright" in source.notes[0]


def test_other_idx_files_are_left_as_they_are(tmp_path: Path) -> None:
    images = dataset_files.pixels(2, 4, 4)
    source = open_source(str(dataset_files.write_idx(tmp_path, images, np.zeros(2, np.uint8))))
    np.testing.assert_array_equal(source.read(1), images[1])
    assert source.notes == ()


def test_splits_of_emnist_are_parts(tmp_path: Path) -> None:
    for number, split in enumerate(("balanced", "byclass", "digits")):
        emnist(tmp_path / "gzip", split, dataset_files.pixels(2, 4, 4, seed=number), [0, 1])
    line = refusal(tmp_path)
    assert "several train images" in line
    assert "#balanced-test" in line
    for part in ("digits-train", "digits-test"):
        source = open_source(f"{tmp_path}#{part}")
        np.testing.assert_array_equal(source.read(0), dataset_files.pixels(2, 4, 4, seed=2)[0])
        assert words(source) == ["0", "1"]
    assert "use #" in refusal(f"{tmp_path}#mnist-train")
    emnist(tmp_path / "one", "balanced", dataset_files.pixels(2, 4, 4), [0, 1])
    (tmp_path / "one" / "emnist-balanced-mapping.txt").write_text("0 48\nnonsense\n")
    assert "expected lines of a code" in refusal(tmp_path / "one")


def rows(images: NDArray[np.uint8], *labels: list[int], by_column: bool = False) -> bytes:
    """Rows of label bytes and planes of color; NHWC in."""
    planes = images.transpose(0, 3, 2, 1) if by_column else images.transpose(0, 3, 1, 2)
    before = np.array(labels, np.uint8).T.reshape(len(images), -1)
    return np.concatenate([before, planes.reshape(len(images), -1)], 1).tobytes()


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-bin"])
def test_cifar10_bin(inner: str, tmp_path: Path) -> None:
    images = dataset_files.pixels(10, 32, 32, 3)
    codes = [n % 3 for n in range(10)]
    folder = tmp_path / inner
    for batch in range(5):
        part = slice(2 * batch, 2 * batch + 2)
        dataset_files.write_folder(
            folder, {f"data_batch_{batch + 1}.bin": rows(images[part], codes[part])}
        )
    (folder / "test_batch.bin").write_bytes(rows(images[:1], codes[:1]))
    (folder / "batches.meta.txt").write_text("\n".join(WORDS) + "\n\n")
    source = open_source(str(tmp_path))
    assert source.kind == "CIFAR-10, train part"
    assert len(source) == 10
    np.testing.assert_array_equal(source.read(7), images[7])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(9), images[9])
    assert words(source) == [WORDS[code] for code in codes]
    assert len(open_source(f"{tmp_path}#test")) == 1
    assert "give its folder" in refusal(folder / "test_batch.bin")
    assert "no part val" in refusal(f"{tmp_path}#val")
    (folder / "data_batch_2.bin").unlink()
    assert "data_batch_2.bin missing" in refusal(tmp_path)
    (folder / "data_batch_2.bin").write_bytes(b"x" * 3074)
    assert "no whole number of CIFAR-10's rows" in refusal(tmp_path)


def test_cifar100_bin(tmp_path: Path) -> None:
    images = dataset_files.pixels(2, 32, 32, 3)
    dataset_files.write_folder(
        tmp_path,
        {
            "train.bin": rows(images, [1, 0], [2, 1]),
            "test.bin": rows(images[:1], [0], [0]),
            "fine_label_names.txt": b"apple\nbear\ncup\n",
            "coarse_label_names.txt": b"food\nthing\n",
        },
    )
    source = open_source(str(tmp_path))
    assert source.kind == "CIFAR-100, train part"
    np.testing.assert_array_equal(source.read(1), images[1])
    assert words(source) == ["cup", "bear"]
    assert words(source, "coarse_label") == ["thing", "food"]
    (tmp_path / "fine_label_names.txt").write_text("apple\n")
    assert "do not fit" in refusal(tmp_path)


def test_stl10_bin(tmp_path: Path) -> None:
    images = dataset_files.pixels(2, 96, 96, 3)
    dataset_files.write_folder(
        tmp_path / "stl10_binary",
        {
            "train_X.bin": rows(images, by_column=True),
            "train_y.bin": bytes([3, 1]),
            "unlabeled_X.bin": rows(images[:1], by_column=True),
            "class_names.txt": "\n".join(WORDS).encode(),
        },
    )
    source = open_source(str(tmp_path))
    assert source.kind == "STL-10, train part"
    np.testing.assert_array_equal(source.read(1), images[1])
    assert words(source) == ["bird", "airplane"]
    assert open_source(f"{tmp_path}#unlabeled").labels is None
