"""The members of a tar archive, in bounded memory and time whatever its headers say.

The `tarfile` module reads names and numbers of any length, and any number of extended headers.
Formats: POSIX.1-1988 (ustar) and POSIX.1-2001 (pax, whose records `path` and `size` are used), and
GNU's long names and base-256 numbers (tar/src/tar.h).
"""

from collections.abc import Iterator
from typing import IO, NamedTuple

BLOCK_BYTES = 512

MAX_MEMBER_NAME_BYTES = 1 << 16
"""Maximum bytes of a name; systems allow 4,096."""

MAX_PAX_BYTES = 1 << 20
"""Maximum bytes of a member's pax records."""

MAX_MEMBER_BYTES = 1 << 62
"""Maximum bytes of a member."""

_FILES, _SPARSE = b"0\0" + b"7", b"S"
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX = b"L", b"K", b"xX", b"g"
_DATALESS, _LINKS = b"123456", b"12"
"""Links, devices, folders and pipes: no data follows, whatever size their header says."""


class TarError(ValueError):
    """A header that contradicts itself or the file; one line."""


class Member(NamedTuple):
    """A file in the archive: `size` bytes from `offset`; a link has none."""

    name: str
    offset: int
    size: int
    is_link: bool = False


def members(file: IO[bytes], total: int) -> Iterator[Member]:
    """The regular files and links of the archive in `file`, which has `total` bytes.

    Sparse files are left out. The position of `file` may be changed between two members. Raises
    TarError and OSError.
    """
    at = 0
    name: str | None = None
    records: dict[str, bytes] = {}
    everywhere: dict[str, bytes] = {}
    while (header := _header(file, at, total)) is not None:
        kind = header[156:157]
        size = _number(header[124:136])
        start = at + BLOCK_BYTES
        if kind in _LONG_NAME + _LONG_LINK:
            text = _read(file, start, size, MAX_MEMBER_NAME_BYTES, "a name").rstrip(b"\0")
            name = _text(text) if kind in _LONG_NAME else name
        elif kind in _PAX:
            records |= _pax(_read(file, start, size, MAX_PAX_BYTES, "pax records"))
        elif kind in _GLOBAL_PAX:
            everywhere |= _pax(_read(file, start, size, MAX_PAX_BYTES, "pax records"))
        else:
            pax = everywhere | records
            if (digits := pax.get("size")) is not None:
                if not (digits.isdigit() and len(digits) <= 19):
                    raise TarError(f"pax records have {digits[:20]!r} where a size should be")
                size = int(digits)
            if kind in _DATALESS:
                size = 0
                if kind in _LINKS:
                    path = _text(pax["path"]) if "path" in pax else name or _name(header)
                    yield Member(path, start, 0, is_link=True)
            elif kind in _SPARSE:
                start += BLOCK_BYTES * _sparse_headers(file, header, start)
            elif kind in _FILES and not any(key.startswith("GNU.sparse") for key in pax):
                if start + size > total:
                    raise TarError("unexpected end of data")
                path = _text(pax["path"]) if "path" in pax else name or _name(header)
                if not path.endswith("/"):  # old archives mark folders in this way
                    yield Member(path, start, size)
            name, records = None, {}
        at = start + -(-size // BLOCK_BYTES) * BLOCK_BYTES
    if at == 0:
        raise TarError("no member in it")


def _header(file: IO[bytes], at: int, total: int) -> bytes | None:
    """The header at byte `at`; None at the end of the archive."""
    if at == total and at > 0:
        return None
    if at + BLOCK_BYTES > total:
        raise TarError("unexpected end of data")
    file.seek(at)
    header = file.read(BLOCK_BYTES)
    if len(header) < BLOCK_BYTES:
        raise TarError("unexpected end of data")
    if not any(header):
        return None
    plain = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
    normalized = plain - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
    if _number(header[148:156]) not in (plain, normalized):
        raise TarError(f"the header at byte {at:,} does not match its checksum")
    return header


def _number(field: bytes) -> int:
    """A number in octal digits, or in base 256 where its first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    else:
        text = field.split(b"\0")[0].strip()
        if text.strip(b"01234567"):
            raise TarError(f"a header has {text[:20]!r} where a number should be")
        value = int(text or b"0", 8)
    if value > MAX_MEMBER_BYTES:
        raise TarError(f"a member of {value:,} bytes")
    return value


def _read(file: IO[bytes], start: int, size: int, most: int, what: str) -> bytes:
    if size > most:
        raise TarError(f"{what} of {size:,} bytes")
    file.seek(start)
    data = file.read(size)
    if len(data) < size:
        raise TarError("unexpected end of data")
    return data


def _pax(data: bytes) -> dict[str, bytes]:
    """Records of a length, a blank, `KEYWORD=VALUE` and a line feed; the length counts all of it."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 10)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise TarError("damaged pax records")
        end = at + int(digits)
        keyword, mark, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or not mark or data[end - 1] != ord("\n"):
            raise TarError("damaged pax records")
        records[_text(keyword)] = value
        at = end
    return records


def _sparse_headers(file: IO[bytes], header: bytes, start: int) -> int:
    """The number of extension blocks that list the pieces of a sparse file."""
    count, more = 0, header[482]
    while more:
        more = _read(file, start + BLOCK_BYTES * count, BLOCK_BYTES, BLOCK_BYTES, "a header")[504]
        count += 1
    return count


def _name(header: bytes) -> str:
    """The name in a header; ustar may store its beginning in the prefix field."""
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    posix = header[257:265] == b"ustar\00000"
    return _text(prefix + b"/" + name if posix and prefix else name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
