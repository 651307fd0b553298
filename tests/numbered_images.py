"""A source for tests: images made from their number, slow, broken or deadly as asked.

A module of its own, and a light one, because worker processes import it.
"""

import contextlib
import io
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PixelArray = NDArray[np.uint8]


@dataclass
class Images:
    """Images made from their number, PNG files and plain arrays, some of them broken."""

    count: int = 1000
    broken: frozenset[int] = frozenset()
    seconds: float = 0.0
    crash_on: frozenset[int] = frozenset()
    crash_once: str = ""
    bug_on: int = -1
    fingerprint_is: str = "pictures"
    reads: list[int] = field(default_factory=list[int])

    kind = "test images"
    location = "here"
    labels = None
    notes = ()

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> bytes | PixelArray:
        self.reads.append(index)
        time.sleep(self.seconds)
        if index == self.bug_on:
            raise RuntimeError("a mistake in the program")
        if index in self.crash_on and multiprocessing.parent_process():
            if self.crash_once:
                with contextlib.suppress(FileExistsError):
                    Path(self.crash_once).touch(exist_ok=False)
                    os.kill(os.getpid(), signal.SIGKILL)
            else:
                os.kill(os.getpid(), signal.SIGSEGV)
        if index in self.broken:
            return b"" if index % 2 else b"no image"
        return png(pixels(index)) if index % 4 == 0 else pixels(index)

    def name(self, index: int) -> str:
        return f"dir/{index}.png"

    def fingerprint(self) -> str:
        return self.fingerprint_is


def pixels(index: int) -> PixelArray:
    """An image that no other number has, of some size from 4x4 to 8x6."""
    height, width = 4 + index % 3, 4 + index % 5
    ramp = np.arange(height * width * 3) * (2 * index + 37) + index // 7
    return (ramp % 251).astype(np.uint8).reshape(height, width, 3)


def png(array: PixelArray) -> bytes:
    """The array as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", compress_level=0)
    return file.getvalue()
