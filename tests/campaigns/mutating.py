"""Ways to damage bytes: a few values, a stretch, an end, a number at its limits."""

import json
import random
import struct
from typing import Any

import torch

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
WIDE = (*EXTREMES, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def mutate(data: bytes, stream: random.Random, first: int = 0, most: int = 4) -> bytes:
    """`data` with one to `most` damages at or after byte `first`."""
    broken = bytearray(data)
    for _ in range(stream.randint(1, most)):
        if len(broken) <= first:
            break
        stream.choice(_WAYS)(broken, stream, stream.randrange(first, len(broken)))
    return bytes(broken)


def _flip(data: bytearray, stream: random.Random, at: int) -> None:
    data[at] ^= 1 << stream.randrange(8)


def _set(data: bytearray, stream: random.Random, at: int) -> None:
    data[at] = stream.choice((0, 1, 127, 128, 255, stream.randrange(256)))


def _number(data: bytearray, stream: random.Random, at: int) -> None:
    form = stream.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = stream.choice(WIDE) & ((1 << 8 * size) - 1)
    data[at : at + size] = struct.pack(form, value)


def _cut(data: bytearray, stream: random.Random, at: int) -> None:
    del data[at:]


def _remove(data: bytearray, stream: random.Random, at: int) -> None:
    del data[at : at + stream.choice((1, 2, 4, 16, 64, 512))]


def _repeat(data: bytearray, stream: random.Random, at: int) -> None:
    piece = data[at : at + stream.choice((1, 4, 16, 64, 512))]
    data[at:at] = piece * stream.choice((1, 2, 50))


def _swap(data: bytearray, stream: random.Random, at: int) -> None:
    other = stream.randrange(len(data))
    size = stream.choice((1, 4, 16))
    data[at : at + size], data[other : other + size] = (
        data[other : other + size],
        data[at : at + size],
    )


def _digits(data: bytearray, stream: random.Random, at: int) -> None:
    data[at:at] = stream.choice(
        (b"9" * 40, b"-1", b"1e999", b"NaN", b"[" * 2000, b'"', b"\xff", b"null")
    )


_WAYS = (_flip, _flip, _flip, _set, _set, _number, _number, _cut, _remove, _repeat, _swap, _digits)


STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 10**18, -(10**18), 10**400, 0.5, -1.5, 1e308, float("nan"), float("inf"), "",
    "\0", "x", "\ud800", "x" * 100_000, [], [1], [None] * 3, {}, {"a": 1}, [[[]]], "../../..", "/dev/null",
)  # fmt: skip
"""Values that stand where others should."""


def spoil(value: Any, stream: random.Random, depth: int = 6) -> None:
    """Change one value somewhere in nested ones."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = stream.choice(keys)
    if isinstance(value[key], dict | list) and depth and stream.random() < 0.8:
        spoil(value[key], stream, depth - 1)
    elif isinstance(value, dict) and stream.random() < 0.15:
        del value[key]
    elif isinstance(value[key], torch.Tensor):
        value[key] = stream.choice(
            (torch.zeros(0), torch.full((3, 3), float("nan")), value[key] * float("nan"), -value[key] - 1,
             value[key].double(), value[key].long(), None, 5)
        )  # fmt: skip
    else:
        value[key] = stream.choice(STRANGE)


def spoiled_json(text: str | bytes, stream: random.Random) -> bytes:
    """A JSON document with one to three values that are of another kind, or missing."""
    document = json.loads(text)
    for _ in range(stream.randint(1, 3)):
        spoil(document, stream)
    return json.dumps(document).encode()
