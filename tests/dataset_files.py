"""Small data sets in the forms in which the real ones are published, for tests to read."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import lmdb
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels(count: int, *shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """`count` images of noise, uint8 [count, *shape]."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def png(number: int = 0, size: int = 4) -> bytes:
    """An encoded image that differs from number to number."""
    file = io.BytesIO()
    Image.fromarray(pixels(1, size, size, 3, seed=number)[0]).save(file, "PNG")
    return file.getvalue()


def images(*names: str) -> dict[str, bytes]:
    """An encoded image for each name."""
    return {name: png(number) for number, name in enumerate(names)}


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """Files by relative path, under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> Path:
    """A plain tar archive."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_lmdb(folder: Path, records: Mapping[bytes, bytes]) -> Path:
    """An LMDB environment, without the lock file that its writer leaves."""
    size = 1 << 20 | 4 * sum(len(key) + len(value) + 4096 for key, value in records.items())
    with lmdb.open(str(folder), map_size=size) as environment, environment.begin(write=True) as to:
        for key, value in records.items():
            to.put(key, value)
    (folder / "lock.mdb").unlink()
    return folder


def lsun_records(count: int, seed: int = 0) -> dict[bytes, bytes]:
    """Images under keys of 40 hexadecimal digits, as LSUN has them (there they are WebP)."""
    keys = np.random.default_rng(seed).bytes(20 * count)
    return {keys[20 * n : 20 * n + 20].hex().encode(): png(1000 * seed + n) for n in range(count)}


def write_lsun(root: Path, counts: Mapping[str, int]) -> Path:
    """The folder lsun/ with a database for each name, such as `bedroom_train`."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(counts.items()):
        write_lmdb(root / f"{name}_lmdb", lsun_records(count, seed))
    return root


def idx(values: NDArray[np.uint8]) -> bytes:
    """Bytes in IDX form."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], part: str = "train",
    packed: bool = True,
) -> Path:  # fmt: skip
    """One part of MNIST in its published files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        content = gzip.compress(idx(values)) if packed else idx(values)
        (folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}").write_bytes(content)
    return folder


class _Python2Pickler(pickle._Pickler):
    """Writes what Python 2's cPickle wrote: bytes and text alike as byte strings, numpy's old names."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_byte_string(self, value: str | bytes) -> None:
        raw = value if isinstance(value, bytes) else value.encode()
        short = len(raw) < 256
        head = pickle.SHORT_BINSTRING if short else pickle.BINSTRING
        self.write(head + struct.pack("<B" if short else "<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_byte_string


def python2_pickle(content: object) -> bytes:
    """`content` as Python 2 pickled it, protocol 2."""
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump(content)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def write_cifar10(
    folder: Path, images: NDArray[np.uint8], labels: Sequence[int], words: Sequence[str]
) -> Path:
    """CIFAR-10's five train batches and its test batch, which repeats the first; NHWC in."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    each = len(images) // 5
    for number in range(6):
        part = slice(number * each, (number + 1) * each) if number < 5 else slice(0, each)
        batch = {
            "batch_label": f"training batch {number + 1} of 5",
            "labels": [int(label) for label in labels[part]],
            "data": rows[part],
            "filenames": [f"x_{n:06}.png" for n in range(each)],
        }
        name = f"data_batch_{number + 1}" if number < 5 else "test_batch"
        (folder / name).write_bytes(python2_pickle(batch))
    meta = {"num_cases_per_batch": each, "label_names": list(words), "num_vis": 3072}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))
    return folder


def write_cifar100(folder: Path, images: NDArray[np.uint8]) -> Path:
    """CIFAR-100's train, test and meta; image n is fine class n and coarse class n // 5."""
    folder.mkdir(parents=True, exist_ok=True)
    fine = list(range(len(images)))
    batch = {
        "fine_labels": fine,
        "coarse_labels": [n // 5 for n in fine],
        "data": images.transpose(0, 3, 1, 2).reshape(len(images), -1),
    }
    meta = {
        "fine_label_names": [f"fine{n}" for n in range(100)],
        "coarse_label_names": [f"coarse{n}" for n in range(20)],
    }
    for name, content in (("train", batch), ("test", batch), ("meta", meta)):
        (folder / name).write_bytes(python2_pickle(content))
    return folder


def write_svhn(path: Path, images: NDArray[np.uint8], digits: Sequence[int]) -> Path:
    """SVHN's cropped digits: images last, and 10 where the digit is 0."""
    from scipy.io import savemat

    content: dict[str, Any] = {
        "X": images.transpose(1, 2, 3, 0),
        "y": np.array([[digit or 10] for digit in digits], np.uint8),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content, do_compression=True)
    return path


def write_celeba(root: Path, attributes: Mapping[str, Sequence[int]]) -> Path:
    """CelebA: img_align_celeba/000001.jpg ... and the list beside that folder."""
    count = len(next(iter(attributes.values())))
    names = [f"{n + 1:06}.jpg" for n in range(count)]
    write_folder(root / "img_align_celeba", images(*names))
    rows = [
        f"{name} " + " ".join(f"{values[n]:2}" for values in attributes.values())
        for n, name in enumerate(names)
    ]
    text = "\n".join([str(count), " ".join(attributes) + " ", *rows, ""])
    (root / "list_attr_celeba.txt").write_text(text)
    return root


def listing(folder: Path) -> list[str]:
    """Everything under `folder`, to see that reading leaves nothing behind."""
    return sorted(os.path.relpath(path, folder) for path in folder.rglob("*"))
