"""The callbacks by which long work says how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

ProgressCallback = Callable[[int, int], None]
"""Called with how many items are done and how many there are."""

Stage = Callable[[str], AbstractContextManager[ProgressCallback]]
"""Called with what is done next; the context lasts as long as that does."""
