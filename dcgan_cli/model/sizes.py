"""Which image sizes the networks support: base · 2^k pixels, base 4, 5, 6 or 7.

In binary, such a size has three leading digits, which are the base, followed by k zeros.
"""

from dcgan_cli.errors import UsageError

MIN_SIZE = 8
"""4 · 2¹: each network has at least one convolution."""


def split_size(size: int) -> tuple[int, int]:
    """(base, levels) with size = base · 2^levels and base in 4..7: (4, 4) for 64.

    Raises UsageError, naming the nearest supported sizes, for any other size.
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
    """The largest supported size that is at most `limit`; 8, the smallest of all, below that."""
    if limit < MIN_SIZE:
        return MIN_SIZE
    levels = limit.bit_length() - 3
    return limit >> levels << levels
