"""The types of the callbacks through which long computations report progress."""

from collections.abc import Callable
from contextlib import AbstractContextManager

ProgressCallback = Callable[[int, int], None]
"""Called with the number of finished items and the total."""

Stage = Callable[[str], AbstractContextManager[ProgressCallback]]
"""Called with the name of a stage; the context lasts as long as the stage."""
