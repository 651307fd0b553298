"""Which picture sizes the networks can have: base · 2^k pixels, base 4, 5, 6 or 7."""

from dcgan_cli.errors import UsageError

BASES = (4, 5, 6, 7)
"""Sides of the first feature map; a picture is base · 2^k pixels wide."""


def split_size(size: int) -> tuple[int, int]:
    """(base, levels) with size = base · 2^levels; the smallest base in 4..7, so 64 is 4 · 2⁴.

    Raises UsageError, naming the nearest allowed sizes, where there is none.
    """
    base, levels = size, 0
    while base > BASES[-1] and base % 2 == 0:
        base, levels = base // 2, levels + 1
    if base in BASES and levels >= 1:
        return base, levels
    below, above = largest_size(size), largest_size(size)
    while above < size or above == below:
        above = _next_size(above)
    near = f"{below} or {above}" if below < size else str(below)
    raise UsageError(
        f"--size {size}: pictures are 4, 5, 6 or 7 times a power of two; nearest: {near}"
    )


def largest_size(limit: int) -> int:
    """The largest allowed size that is at most `limit`; the smallest of all (8) below that."""
    best, size = 8, 8
    while size <= limit:
        best, size = size, _next_size(size)
    return best


def _next_size(size: int) -> int:
    """The allowed size after an allowed one: 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on."""
    base, levels = split_size(size)
    return (base + 1) * 2**levels if base < BASES[-1] else BASES[0] * 2 ** (levels + 1)
