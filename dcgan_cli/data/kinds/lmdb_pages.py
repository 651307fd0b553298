"""Reading an LMDB database page by page, so that a damaged one raises an error instead of crashing.

The LMDB library trusts its file: a damaged page ends the process with an assertion or a signal.
Here every page is checked before it is followed, and visited once. Only what data sets need is
read: the records of the main database, by key. Format (LMDB 0.9, mdb.c): pages of one size; two
meta pages, of which the newer is valid; branch pages, leaf pages, and runs of overflow pages for
large values.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcgan_cli.data.kinds.file_reader import FileReader

MAGIC = struct.pack("<I", 0xBEEFC0DE)
MAGIC_AT = 16
"""Offset of the magic number in the first meta page, after the page header."""

_PAGE = struct.Struct("<QHHHH")
"""Number, unused, flags, lower and upper end of the free space (or the length of an overflow run)."""
_RUN = struct.Struct("<QHHI")
_META = struct.Struct("<4sIQQ")
_TREE = struct.Struct("<IHHQQQQQ")
"""A database: page size (in the first), flags, depth, pages of three kinds, entries, root."""
_NODE = struct.Struct("<HHHH")
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 1, 2, 4, 8
_ON_OVERFLOW_PAGES = 1
_KEYS_BACKWARDS, _KEYS_INTEGERS = 2, 8
"""Flags of key orders other than byte by byte."""
_VERSION = 1
_NO_PAGE = (1 << 64) - 1
_MAX_DEPTH = 32
_PAGE_SIZES = (512, 1 << 16)


class LmdbError(ValueError):
    """A database that is inconsistent, or of an unsupported format; one line."""


@dataclass(frozen=True)
class _Meta:
    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


class LmdbFile:
    """The records of the database in one data.mdb, and where their values are.

    It can be pickled, read from many threads, and used after a fork.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, or LmdbError where the database cannot be used."""
        self._file = FileReader(path.absolute())
        self._total = path.stat().st_size
        self.values, self.sizes, self._found = array("q"), array("I"), 0
        """Where each value begins in the file, and its bytes; how many have been found."""
        first = self._meta(0, None)
        second = self._meta(first.page_size, first.page_size)
        self._newest = max(first, second, key=lambda meta: meta.transaction)
        needed = (self._newest.last_page + 1) * self._newest.page_size
        if self._total < needed:
            raise LmdbError(f"cut short, {self._total:,} of {needed:,} bytes are there")

    def keys(self) -> Iterator[bytes]:
        """The keys in order; the position of each value is appended to `values` and `sizes`."""
        meta = self._newest
        if meta.flags & ~(_KEYS_BACKWARDS | _KEYS_INTEGERS):
            raise LmdbError("several values for one key, which is not read")
        if meta.entries * _NODE.size > self._total:
            raise LmdbError(f"{meta.entries:,} records are more than the file has room for")
        # allocated at full length: a growing array takes up to twice the memory
        self.values, self.sizes = array("q", [0]) * meta.entries, array("I", [0]) * meta.entries
        self._found = 0
        visited = bytearray(meta.last_page + 1)
        waiting = [] if meta.root == _NO_PAGE else [(meta.root, 1)]
        before: bytes | None = None
        while waiting:
            number, depth = waiting.pop()
            if not 2 <= number <= meta.last_page or visited[number] or depth > _MAX_DEPTH:
                raise LmdbError(f"page {number:,} is referred to from a wrong place")
            visited[number] = 1
            page, flags, nodes = self._nodes(number)
            if flags & _BRANCH:
                for node in reversed(nodes):
                    low, high, top, _ = _NODE.unpack_from(page, node)
                    waiting.append((low | high << 16 | top << 32, depth + 1))
                continue
            for node in nodes:
                key = self._leaf(number, page, node)
                if before is not None and key <= before and not meta.flags:
                    raise LmdbError(f"page {number:,}: its keys are not in order")
                before = key
                yield key
        if self._found != meta.entries:
            raise LmdbError(f"{self._found:,} records found, {meta.entries:,} expected")

    def value(self, index: int) -> bytes:
        """The value of key `index`. Raises OSError, or ValueError if it cannot be read."""
        at, size = self.values[index], self.sizes[index]
        number, within = divmod(at, self._newest.page_size)
        if within == _RUN.size:  # directly after a page header: an overflow run
            own, _, flags, pages = _RUN.unpack(self._file.read(at - within, _RUN.size))
            too_short = pages * self._newest.page_size < within + size
            if own != number or flags != _OVERFLOW or too_short:
                raise LmdbError(f"page {number:,} is damaged")
        return self._file.read(at, size)

    def _meta(self, at: int, page_size: int | None) -> _Meta:
        """The meta page at byte `at`."""
        size = _PAGE.size + _META.size + 2 * _TREE.size + 16
        try:
            data = self._file.read(at, size)
        except ValueError as error:
            raise LmdbError("cut short, its meta pages are missing") from error
        _, _, flags, _, _ = _PAGE.unpack_from(data)
        magic, version, _, _ = _META.unpack_from(data, _PAGE.size)
        trees = _PAGE.size + _META.size
        found, *_ = _TREE.unpack_from(data, trees)
        _, tree_flags, depth, *_, entries, root = _TREE.unpack_from(data, trees + _TREE.size)
        last, transaction = struct.unpack_from("<QQ", data, trees + 2 * _TREE.size)
        if magic != MAGIC or not flags & _META_PAGE:
            raise LmdbError("a meta page is damaged")
        if version != _VERSION:
            raise LmdbError(f"version {version:,} of LMDB's form, expected {_VERSION}")
        low, high = _PAGE_SIZES
        if not low <= found <= high or found & (found - 1) or found != (page_size or found):
            raise LmdbError(f"pages of {found:,} bytes")
        if last * found > self._total:
            raise LmdbError(f"cut short, {self._total:,} of {(last + 1) * found:,} bytes are there")
        return _Meta(found, tree_flags, depth, entries, root, last, transaction)

    def _nodes(self, number: int) -> tuple[bytes, int, tuple[int, ...]]:
        """A branch or leaf page, its flags, and where in it each of its nodes begins."""
        size = self._newest.page_size
        page = self._file.read(number * size, size)
        own, _, flags, lower, upper = _PAGE.unpack_from(page)
        count = (lower - _PAGE.size) // 2
        bounds = _PAGE.size < lower <= upper <= size and lower % 2 == 0
        if own != number or flags not in (_BRANCH, _LEAF) or not bounds:
            raise LmdbError(f"page {number:,} is damaged")
        nodes = struct.unpack_from(f"<{count}H", page, _PAGE.size)
        if min(nodes) < upper or max(nodes) > size - _NODE.size:
            raise LmdbError(f"page {number:,} is damaged")
        return page, flags, nodes

    def _leaf(self, number: int, page: bytes, node: int) -> bytes:
        """The key of a node in a leaf page; the position of its value is stored."""
        low, high, flags, key_size = _NODE.unpack_from(page, node)
        size = low | high << 16
        start = node + _NODE.size
        end = start + key_size
        if flags & ~_ON_OVERFLOW_PAGES or end + (8 if flags else size) > len(page):
            raise LmdbError(f"page {number:,}: a record of a kind that is not read")
        at = number * self._newest.page_size + end
        if flags:
            (run,) = struct.unpack_from("<Q", page, end)
            at = self._run(run, size)
        if self._found == len(self.values):
            raise LmdbError(f"more than the {len(self.values):,} records that it says it has")
        self.values[self._found], self.sizes[self._found] = at, size
        self._found += 1
        return page[start:end]

    def _run(self, number: int, size: int) -> int:
        """Where a value on overflow pages begins; its header is checked when the value is read."""
        page_size = self._newest.page_size
        pages = -(-(_RUN.size + size) // page_size)
        if not number >= 2 or number + pages - 1 > self._newest.last_page:
            raise LmdbError(f"a value of {size:,} bytes lies outside of the file")
        return number * page_size + _RUN.size
