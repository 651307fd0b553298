"""Damaged and hostile images, archives, databases and data sets: opened, surveyed, and read whole."""

import contextlib
import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import dataset_files
import numpy as np
import test_hostile_images
from PIL import PngImagePlugin

from campaigns.mutating import WIDE, mutate
from campaigns.running import READ, REFUSED, Kind, Unclean
from dcgan_cli.data.decode import Unreadable, decode
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.data.survey import survey
from dcgan_cli.report import RECORD

IMAGE_SPEC = ImageSpec(8, 3)


def nothing(_: Path) -> None:
    """Cases make everything themselves."""


def image(stream: random.Random, base: Path, place: Path) -> str:
    """An image file of every format, decoded."""
    name = stream.choice(sorted(test_hostile_images.VALID))
    try:
        pixels, _ = decode(mutate(test_hostile_images.VALID[name], stream), IMAGE_SPEC)
    except Unreadable as error:
        if "\n" in str(error) or "more memory" in str(error):
            raise Unclean(str(error)) from error
        return REFUSED
    if pixels.shape != IMAGE_SPEC.shape:
        raise Unclean(f"pixels of {pixels.shape}")
    return READ


def read_all(location: str) -> str:
    """Open a source, look at it as `dcgan train` does, and read every record."""
    source = open_source(location)
    with contextlib.suppress(ValueError):
        survey(source, 8)
    refused = 0
    for index in range(min(len(source), 200)):
        try:
            source.read(index)
            source.name(index)
        except (OSError, ValueError) as error:
            refused += 1
            if "\n" in str(error):
                raise Unclean(str(error)) from error
    source.fingerprint()
    return REFUSED if refused else READ


def one_file(
    name: str, damage: Callable[[bytes, random.Random], bytes] = mutate
) -> Callable[[random.Random, Path, Path], str]:
    """Cases that damage one prepared file and open it in a copy of its folder."""

    def case(stream: random.Random, base: Path, place: Path) -> str:
        for file in (base / name).parent.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
        victim = place / Path(name).name
        victim.write_bytes(damage(victim.read_bytes(), stream))
        return read_all(str(place if Path(name).parent != Path() else victim))

    return case


FILES = dataset_files.images("a/1.png", "a/2.png", "b/3.png", "b/4.png")


def archive(stream: random.Random, base: Path, place: Path) -> str:
    """A zip, stored or deflated, anywhere or in its table of contents."""
    path = dataset_files.write_zip(
        place / "x.zip", FILES, stream.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    )
    whole = path.read_bytes()
    first = whole.find(b"PK\1\2") if stream.random() < 0.6 else 0
    path.write_bytes(mutate(whole, stream, first))
    return read_all(str(path))


def tar(stream: random.Random, base: Path, place: Path) -> str:
    """A tar of any form: damaged bytes, or headers that lie and whose checksums are right."""
    form = stream.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    names = (
        {f"{'d' * stream.choice((1, 120))}/{name}ü": data for name, data in FILES.items()}
        if form != tarfile.USTAR_FORMAT
        else FILES
    )
    path = dataset_files.write_tar(
        place / "x.tar", {f"{name}.png": data for name, data in names.items()}, form
    )
    whole = path.read_bytes()
    path.write_bytes(lying_tar(stream) + whole if stream.random() < 0.5 else mutate(whole, stream))
    return read_all(str(path))


def lying_tar(stream: random.Random) -> bytes:
    """Headers as an attacker writes them, before the members of a tar."""
    kind = stream.choice(b"LKxgSX05")
    size = stream.choice((0, 1, 512, 2000, 200_000, *WIDE))
    data = stream.choice(
        (
            b"9" * min(size, 200_000) + b" path=x\n",
            b"%d path=%s\n" % (stream.choice(WIDE), b"x" * 20),
            b"29 size=99999999999999999999\n",
            b"20 size=" + b"9" * 11 + b"\n",
            b"x" * min(size, 3000),
            bytes(512),
        )
    )
    header = bytearray(tar_header(bytes([kind]), size if stream.random() < 0.4 else len(data)))
    padded = data + bytes(-len(data) % 512)
    if stream.random() < 0.3:
        return (bytes(header) + padded) * stream.choice((2, 1500))
    return bytes(header) + padded


def tar_header(kind: bytes, size: int, name: bytes = b"x.png") -> bytes:
    """A header whose checksum is right, whatever it says."""
    octal = (
        b"%011o\0" % size if size < 8**11 else b"\x80" + (size & (1 << 88) - 1).to_bytes(11, "big")
    )
    header = name.ljust(100, b"\0") + b"0000644\0" * 3 + octal + b"%011o\0" % 0 + b" " * 8 + kind
    header = (header + bytes(100) + b"ustar\x0000").ljust(512, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def prepare_lmdb(base: Path) -> None:
    records = {key + b"x" * (number % 60): value * (1 + number % 5 * 9)
               for number, (key, value) in enumerate(dataset_files.lsun_records(400).items())}  # fmt: skip
    dataset_files.write_lmdb(base / "db", records)


def lmdb(stream: random.Random, base: Path, place: Path) -> str:
    """A page of an LMDB: its header, its pointers, or anywhere in it."""
    data = bytearray((base / "db" / "data.mdb").read_bytes())
    start = (
        stream.randrange(len(data) // 4096) * 4096
        if stream.random() < 0.8
        else stream.choice((0, 4096))
    )
    width = stream.choice((16, 64, 160, 4096))
    page = mutate(bytes(data[start : start + width]), stream)[:width].ljust(width, b"\0")
    data[start : start + width] = page
    if stream.random() < 0.1:
        del data[stream.randrange(len(data)) :]
    (place / "data.mdb").write_bytes(data)
    return read_all(str(place))


def prepare_cifar(base: Path) -> None:
    dataset_files.write_cifar10(
        base / "c", dataset_files.pixels(10, 32, 32, 3), [0, 1] * 5, ["cat", "dog"]
    )
    for number in range(2, 6):  # one batch is damaged, the others stay small
        (base / "c" / f"data_batch_{number}").write_bytes(
            (base / "c" / "data_batch_1").read_bytes()
        )


def cifar(stream: random.Random, base: Path, place: Path) -> str:
    """A pickle of CIFAR's form: damaged, or made to harm."""
    from campaigns.checkpoints import bomb

    for file in (base / "c").iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    victim = place / stream.choice(("data_batch_1", "batches.meta"))
    marker = place / "it-ran"
    data = bomb(stream, marker) if stream.random() < 0.4 else mutate(victim.read_bytes(), stream)
    victim.write_bytes(data)
    try:
        return read_all(str(place))
    finally:
        if marker.exists():
            raise Unclean("code in the file was run")


def prepare_idx(base: Path) -> None:
    dataset_files.write_idx(
        base / "i", dataset_files.pixels(6, 9, 9), np.arange(6, dtype=np.uint8), packed=False
    )


def idx(stream: random.Random, base: Path, place: Path) -> str:
    """IDX files, plain and gzipped, their headers above all."""
    packed = stream.random() < 0.5
    for file in (base / "i").iterdir():
        data = file.read_bytes()
        if stream.random() < 0.6:
            data = mutate(data[:16], stream) + data[16:]
        data = gzip.compress(data) if packed else data
        if stream.random() < 0.4:
            data = mutate(data, stream)
        (place / f"{file.name}{'.gz' * packed}").write_bytes(data)
    return read_all(str(place))


def prepare_mat(base: Path) -> None:
    from scipy.io import savemat

    dataset_files.write_svhn(
        base / "m" / "train_32x32.mat", dataset_files.pixels(3, 32, 32, 3), [1, 2, 0]
    )
    content = {
        "X": dataset_files.pixels(3, 32, 32, 3).transpose(1, 2, 3, 0),
        "y": np.array([[1], [2], [3]], np.uint8),
    }
    savemat(base / "plain.mat", content, do_compression=False)


def mat(stream: random.Random, base: Path, place: Path) -> str:
    """SVHN's MATLAB files, compressed and not, their heads above all."""
    source = base / stream.choice(("m/train_32x32.mat", "plain.mat"))
    data = source.read_bytes()
    head = stream.random() < 0.6
    broken = mutate(data[128:300], stream) + data[300:] if head else mutate(data[128:], stream)
    (place / "train_32x32.mat").write_bytes(data[:128] + broken)
    return read_all(str(place))


def prepare_celeba(base: Path) -> None:
    dataset_files.write_celeba(base / "c", {"Smiling": [1, -1, 1], "Male": [-1, -1, 1]})


def tables(stream: random.Random, base: Path, place: Path) -> str:
    """CelebA's list of attributes, and tables of labels and boxes for --labels."""
    folder = base / "c"
    if stream.random() < 0.4:
        dataset_files.write_folder(
            place / "img_align_celeba",
            {f.name: f.read_bytes() for f in (folder / "img_align_celeba").iterdir()},
        )
        text = (folder / "list_attr_celeba.txt").read_bytes()
        (place / "list_attr_celeba.txt").write_bytes(mutate(text, stream))
        return read_all(str(place))
    header, rows = stream.choice(_TABLES)
    text = "\n".join([header, *rows, ""]).encode()
    if stream.random() < 0.2:
        text += (
            b"x" * 120_000
            + b",b,0,0,1,1\n"
            + b"".join(b"%d.jpg,w%d,0,0,1,1\n" % (n, n) for n in range(3000))
        )
    (place / "t.csv").write_bytes(mutate(text, stream))
    source = open_source(str(folder / "img_align_celeba"), labels=place / "t.csv")
    labels = source.labels
    assert labels is not None
    for name in labels.columns:
        labels.columns[name]
    return READ


_TABLES = (
    ("file,label,score", ["000001.jpg,a,1.5", "000002.jpg,b,nan", "000003.jpg,,-1"]),
    (
        "file,kind,x0,y0,x1,y1",
        ["000001.jpg,w,0,0,1,1", "000002.jpg,w,0.1,0.1,0.5,0.5", "000003.jpg,,,,,"],
    ),
    ("file;smile;text", ["000001.jpg;1;ä", '000002.jpg;0;"a;b"']),
)


def png_texts(stream: random.Random) -> bytes:
    """An image whose text chunks unpack to far more than they are."""
    info = PngImagePlugin.PngInfo()
    for number in range(stream.randrange(1, 80)):
        info.add_text(
            f"{RECORD}.{number}",
            "0" * stream.choice((10, 900_000, 20_000_000 // (number + 1))),
            zip=True,
        )
    file = io.BytesIO()
    test_hostile_images.Image.new("L", (8, 8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def npy_header(stream: random.Random, shape: tuple[int, ...]) -> bytes:
    """A header of a .npy file that says what it likes."""
    said = stream.choice(
        (
            str(shape),
            str(stream.choice(WIDE)),
            f"({stream.choice(WIDE)}, 2)",
            "(-1, 2)",
            "(" * 300,
            "()",
            "(1e9, 2)",
            "(True, 2)",
        )
    )
    descr = stream.choice(
        (
            "'<f4'",
            "'<f8'",
            "'|O'",
            "'<c8'",
            "'<U9'",
            "[('a', '<f4')]",
            "'<f4",
            "'>f4'",
            "'|V0'",
            "'<M8[s]'",
        )
    )
    text = f"{{'descr': {descr}, 'fortran_order': {stream.choice(('False', 'True', '0', 'x'))}, 'shape': {said}, }}".encode()
    version = stream.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    form = "<H" if version[0] == 1 else "<I"
    length = (
        len(text)
        if stream.random() < 0.8
        else stream.choice(WIDE) & (0xFFFF if form == "<H" else 0xFFFFFFFF)
    )
    return b"\x93NUMPY" + version + struct.pack(form, length) + text


KINDS = (
    Kind("image", "images of every format, decoded", nothing, image),
    Kind("archive", "zip archives", nothing, archive),
    Kind("tar", "tar archives, and headers that lie", nothing, tar),
    Kind("lmdb", "pages of an LSUN database", prepare_lmdb, lmdb),
    Kind("cifar", "CIFAR's pickles, and pickles made to harm", prepare_cifar, cifar),
    Kind("idx", "IDX files, plain and gzipped", prepare_idx, idx),
    Kind("mat", "SVHN's MATLAB files", prepare_mat, mat),
    Kind("tables", "CelebA's list and tables of labels and boxes", prepare_celeba, tables),
)
