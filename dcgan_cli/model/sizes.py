"""Which image sizes the networks can have: base · 2^k pixels, base 4, 5, 6 or 7.

Those are the whole numbers of which only the three leading binary digits may differ from zero: the
base is those three digits, k the number of zeros behind them.
"""

from dcgan_cli.errors import UsageError

SMALLEST = 8
"""4 · 2¹: networks have at least one convolution."""


def split_size(size: int) -> tuple[int, int]:
    """(base, levels) with size = base · 2^levels and base in 4..7, so 64 is 4 · 2⁴.

    Raises UsageError, naming the nearest allowed sizes, where there is none.
    """
    below = largest_size(size)
    levels = below.bit_length() - 3
    base = below >> levels
    if size != below:
        near = f"{below} or {(base + 1) << levels}" if size > below else str(below)
        raise UsageError(
            f"--size {size}: images are 4, 5, 6 or 7 times a power of two; nearest: {near}"
        )
    return base, levels


def largest_size(limit: int) -> int:
    """The largest allowed size that is at most `limit`; the smallest of all (8) below that."""
    if limit < SMALLEST:
        return SMALLEST
    levels = limit.bit_length() - 3
    return limit >> levels << levels
