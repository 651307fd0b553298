"""A .zip of images, read in place: nothing is ever extracted, so it cannot write anywhere.

The central directory is parsed here rather than by `zipfile`, which keeps a Python object of half a
kilobyte for every member. Format: APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central
directory), 4.3.14-16 (its end) and 4.5.3 (zip64).
"""

import struct
import zlib
from array import array
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.content import content_digest
from dcgan_cli.data.kinds.file_reader import MAX_RECORD, FileReader, fingerprint, unreadable
from dcgan_cli.data.kinds.names import ListedImages, NameTable, encode_name
from dcgan_cli.data.kinds.skipped_files import SkippedFiles
from dcgan_cli.errors import SourceError

_END = struct.Struct("<4s6xHIIH")
_END64 = struct.Struct("<4s28xQQQ")
_LOCATOR64_SIZE = 20
_MEMBER = struct.Struct("<4s4xHH4xIIIHHH8xI")
_LOCAL = struct.Struct("<4s22xHH")
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 99: "AES"}
_FULL = 0xFFFFFFFF


class _DamagedError(Exception):
    """The archive's directory contradicts itself or the length of the file."""


class ZipSource(ListedImages):
    """The images inside one .zip file.

    `members` is int64 [N, 5], in the archive's order: offset, packed size, size, CRC and method.
    """

    def __init__(
        self,
        location: str,
        file: FileReader,
        names: NameTable,
        members: NDArray[np.int64],
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__("zip of images", location, names, notes)
        self._file = file
        self._members = members

    def read(self, index: int) -> bytes:
        """The member's bytes. Raises OSError, or ValueError where they are damaged."""
        offset, packed, size, crc, method = self._members[index].tolist()
        signature, name, extra = _LOCAL.unpack(self._file.read(offset, _LOCAL.size))
        if signature != b"PK\3\4":
            raise ValueError("no zip member begins where the archive says it does")
        if size > MAX_RECORD:
            raise ValueError(f"{size:,} bytes are more than any image needs")
        start = offset + _LOCAL.size + name + extra
        data = self._file.read(start, packed)
        if method == _DEFLATED:
            try:  # never more memory than the image is said to need
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
            except zlib.error as error:
                raise ValueError(f"damaged zip member: {error}") from error
        if len(data) != size or zlib.crc32(data) != crc:
            raise ValueError("the zip member's checksum does not match its bytes")
        return data

    def fingerprint(self) -> str:
        """A digest of the images' names, sizes and checksums, independent of the location."""
        _, _, sizes, crcs, _ = self._members.T
        crc32 = crcs.astype(np.uint32).tobytes()
        return fingerprint([], self._names.tobytes(), sizes.tobytes(), crc32)

    def content(self) -> str:
        """As Source.content; the sizes of all members count."""
        return content_digest(self, self._members[:, 2])


def find(path: Path, head: bytes) -> Path | None:
    """`path` if the file begins like a zip, or has the suffix .zip."""
    named = path.suffix.lower() == ".zip" and path.is_file()
    return path if named or head.startswith((b"PK\3\4", b"PK\5\6")) else None


def open_found(path: Path, location: str, part: str | None) -> ZipSource:
    """The images in the archive at `path`.

    Raises SourceError: damaged, encrypted, packed by a method that is not read, or without images.
    """
    if part is not None:
        raise SourceError(f"{location}: a zip of images has no part called {part}; drop #{part}")
    file = FileReader(path.absolute())
    try:
        return _open(path, location, file)
    except (_DamagedError, struct.error, ValueError) as error:
        raise SourceError(
            f"{path}: a damaged zip ({error}); download or copy it again, or test it with unzip -t"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _open(path: Path, location: str, file: FileReader) -> ZipSource:
    directory, shift = _central_directory(file, path.stat().st_size)
    index = _Index()
    names = NameTable.collect(index.images(directory))
    if index.encrypted:
        raise SourceError(f"{path}: the zip is encrypted; unpack it and give the folder instead")
    if index.unread_methods:
        method = _METHODS.get(index.unread_methods[0], f"number {index.unread_methods[0]}")
        raise SourceError(
            f"{path}: packed by the method {method}, which is not read here; "
            "unpack it and give the folder instead"
        )
    if not len(names):
        raise _no_images(path, index.skipped_files)
    members = np.array(index.rows, np.int64).reshape(-1, 5)
    members[:, 0] += shift
    return ZipSource(location, file, names, members, index.skipped_files.notes())


@dataclass
class _Index:
    """The rows of the image members, one after another, and the other files of the archive."""

    rows: "array[int]" = field(default_factory=lambda: array("q"))
    skipped_files: SkippedFiles = field(default_factory=SkippedFiles)
    unread_methods: list[int] = field(default_factory=list[int])
    encrypted: bool = False

    def images(self, directory: bytes) -> Generator[bytes]:
        """The names of the image members; their rows are appended while iterating."""
        at = 0
        while at < len(directory):
            signature, flags, method, crc, packed, size, name_size, extra_size, comment, offset = (
                _MEMBER.unpack_from(directory, at)
            )
            if signature != b"PK\1\2":
                raise _DamagedError("its table of contents is broken")
            at += _MEMBER.size
            raw = directory[at : at + name_size]
            extra = directory[at + name_size : at + name_size + extra_size]
            at += name_size + extra_size + comment
            name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace").replace("\\", "/")
            if name.endswith("/") or not self.skipped_files.takes(name):
                continue
            self.encrypted |= bool(flags & 1)
            if method not in (_STORED, _DEFLATED) and not self.unread_methods:
                self.unread_methods.append(method)
            size, packed, offset = _wide(extra, size, packed, offset)
            self.rows.extend((offset, packed, size, crc, method))
            yield encode_name(name)


def _wide(extra: bytes, *fields: int) -> list[int]:
    """`fields` with those that did not fit into 32 bits replaced from the zip64 record in `extra`."""
    if _FULL not in fields:
        return list(fields)
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{fields.count(_FULL)}Q", extra, at + 4))
            return [next(values) if field == _FULL else field for field in fields]
        at += 4 + size
    raise _DamagedError("a member's size is missing")


def _central_directory(file: FileReader, total: int) -> tuple[bytes, int]:
    """The central directory, and by how much its offsets are shifted by bytes before the archive."""
    tail_size = min(total, _END.size + 0xFFFF)
    tail = file.read(total - tail_size, tail_size)
    found = tail.rfind(b"PK\5\6")
    if found < 0 or found + _END.size > len(tail):
        raise _DamagedError("its table of contents is missing, so it was cut short")
    _, _, size, offset, _ = _END.unpack_from(tail, found)
    end = total - tail_size + found
    wide_end = end - _LOCATOR64_SIZE - _END64.size
    if wide_end >= 0 and file.read(wide_end + _END64.size, 4) == b"PK\6\7":
        _, _, size, offset = _END64.unpack(file.read(wide_end, _END64.size))
        end = wide_end
    start = end - size
    shift = start - offset
    if start < 0 or shift < 0:
        raise _DamagedError("its beginning is missing")
    return file.read(start, size, most=total), shift


def _no_images(path: Path, skipped_files: SkippedFiles) -> SourceError:
    """The error for an archive without images, according to what it contains instead."""
    kinds = skipped_files.kinds(mends=True)
    if skipped_files.litter.total():
        return SourceError(f"{path}: no images in the zip; {skipped_files.notes()[0]}")
    if not kinds:
        return SourceError(f"{path}: the zip is empty; expected images such as .jpg or .png")
    if ".mdb" in skipped_files.endings:
        mend = "an LSUN database is read unpacked: unzip it and give the folder"
    else:
        mend = "expected images such as .jpg or .png; if it holds a data set, unzip it first"
    return SourceError(f"{path}: no images in the zip, only {', '.join(kinds)}; {mend}")
