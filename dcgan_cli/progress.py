"""The type of the callback through which long computations report progress."""

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called with the number of finished items and the total."""
