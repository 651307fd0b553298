"""Zip and tar archives and shards: read in place, whatever their names and damages."""

import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import dataset_files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_checks import FILES, names, refusal, words

from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import SourceError

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX file system")


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
    files = dataset_files.images(
        "x/a/1.png", "__MACOSX/x/a/._1.png", "x/.b.png", "x/b/2.png", "x/n.txt"
    )
    source = open_source(str(dataset_files.write_zip(tmp_path / "x.zip", files)))
    assert source.kind == "zip of images"
    assert names(source) == ["x/a/1.png", "x/b/2.png"]
    assert words(source) == ["a", "b"]


def test_a_zip_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    assert len(open_source(str(dataset_files.write_zip(tmp_path / "data.bin", FILES)))) == 6


def test_names_in_archives_are_only_names(tmp_path: Path) -> None:
    files = {"../../evil.png": b"1", "/etc/evil.png": b"2", "..\\evil.png": b"3"}
    here = tmp_path / "deep" / "er"
    here.mkdir(parents=True)
    for path in (
        dataset_files.write_zip(here / "x.zip", files),
        dataset_files.write_tar(here / "x.tar", files),
    ):
        before = dataset_files.listing(tmp_path)
        source = open_source(str(path))
        assert {source.read(i) for i in range(len(source))} <= set(files.values())
        assert dataset_files.listing(tmp_path) == before


def test_a_cut_zip_is_refused_or_its_members_are(tmp_path: Path) -> None:
    whole = dataset_files.write_zip(tmp_path / "whole.zip", FILES).read_bytes()
    path = tmp_path / "cut.zip"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert "a damaged zip" in refusal(path)


def test_a_bit_flip_in_a_zip_never_gives_other_bytes(tmp_path: Path) -> None:
    whole = dataset_files.write_zip(tmp_path / "x.zip", FILES).read_bytes()
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
    path = dataset_files.write_zip(tmp_path / "bomb.zip", {"a.png": bytes(50_000_000)})
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
    with pytest.raises(ValueError, match="more than any image needs"):
        open_source(str(path)).read(0)


def test_zips_that_cannot_be_read(tmp_path: Path) -> None:
    assert "packed by the method LZMA" in refusal(
        dataset_files.write_zip(tmp_path / "lzma.zip", FILES, zipfile.ZIP_LZMA)
    )
    path = dataset_files.write_zip(tmp_path / "locked.zip", FILES)
    whole = bytearray(path.read_bytes())
    whole[whole.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(whole)
    assert "encrypted" in refusal(path)
    assert "the zip is empty" in refusal(dataset_files.write_zip(tmp_path / "empty.zip", {}))
    assert "only 1 .txt file" in refusal(
        dataset_files.write_zip(tmp_path / "text.zip", {"a.txt": b""})
    )


# Tar


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_any_form(form: int, tmp_path: Path) -> None:
    files = dataset_files.images("./a/1.png", "b/2.png")
    if form != tarfile.USTAR_FORMAT:
        files |= {f"b/{'long' * 60}ü.png": b"long"}
    source = open_source(str(dataset_files.write_tar(tmp_path / "x.tar", files, form)))
    assert source.kind == "tar of images"
    assert names(source) == [name.removeprefix("./") for name in files]
    assert [source.read(i) for i in range(len(source))] == list(files.values())
    assert words(source)[:2] == ["a", "b"]


def test_shards_and_their_classes(tmp_path: Path) -> None:
    for shard in range(3):
        files: dict[str, bytes] = {}
        for n in range(2):
            key = f"{shard}{n}"
            side = {f"{key}.cls": b"%d\n" % n, f"{key}.json": b"{}"}
            image = {f"{key}.png": key.encode()}
            files |= side | image if n else image | side
        dataset_files.write_tar(tmp_path / f"data-{shard + 8:03}.tar", files)
    source = open_source(f"{tmp_path}/data-{{008..010}}.tar")
    assert source.kind == "3 tar shards of images"
    assert [source.read(i) for i in range(6)] == [b"00", b"01", b"10", b"11", b"20", b"21"]
    assert words(source) == ["0", "1"] * 3
    line = refusal(f"{tmp_path}/data-{{008..011}}.tar")
    assert "1 of 4 shards are missing" in line
    assert "data-011.tar" in line
    assert "braces count upwards" in refusal("data-{5..1}.tar")


def test_damaged_and_compressed_tars(tmp_path: Path) -> None:
    path = dataset_files.write_tar(tmp_path / "x.tar", FILES)
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
    assert "no images in the tar" in refusal(
        dataset_files.write_tar(tmp_path / "t.tar", {"a": b""})
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [(b"12", None), (b"-1", "where a size should be"), (b"9" * 20, "where a size should be")],
)
def test_a_pax_record_says_the_size_of_a_member(
    said: bytes, expected: str | None, tmp_path: Path
) -> None:
    data = dataset_files.images("a.png")["a.png"]
    record = b"%d size=%s\n" % (len(said) + len(b"NN size=\n"), said)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    member = tarfile.TarInfo("a.png")
    member.size = len(data)
    blocks = [header.tobuf(tarfile.USTAR_FORMAT), record.ljust(512, b"\0"),
              member.tobuf(tarfile.USTAR_FORMAT), data + bytes(-len(data) % 512), bytes(1024)]  # fmt: skip
    path = tmp_path / "x.tar"
    path.write_bytes(b"".join(blocks))
    if expected is None:
        assert open_source(str(path)).read(0) == data[:12]
    else:
        assert expected in refusal(str(path))
