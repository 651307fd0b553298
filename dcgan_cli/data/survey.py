"""A look at some pictures of a source, before anything is decided: grey or colour, and how large."""

from dataclasses import dataclass

import numpy as np

from dcgan_cli.data.decode import Framing, Unreadable, read_picture
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

# Enough to tell colour from grey; large JPEGs are shrunk while decoding, so the look stays short.
_LOOK = Framing(side=128, channels=3)


@dataclass(frozen=True)
class Survey:
    """What a look at `looked` of `count` records found.

    `channels` is 1 where every picture was grey (R = G = B in each pixel of the centred square),
    else 3. `short_side` is the median of the shorter sides in pixels. `examples` are some of the
    unreadable ones, as "name (reason)".
    """

    count: int
    looked: int
    readable: int
    channels: int
    short_side: int
    examples: tuple[str, ...]


def survey(source: Source, most: int = 256) -> Survey:
    """Look at up to `most` records, evenly spaced.

    Raises:
        SourceError: the source is empty, or nothing that was looked at could be read.
    """
    count = len(source)
    if count == 0:
        raise SourceError(f"{source.location}: this {source.kind} holds no pictures")
    numbers = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
    sides: list[int] = []
    unreadable: list[str] = []
    grey = True
    for number in numbers.tolist():
        try:
            pixels, size = read_picture(source, number, _LOOK)
        except Unreadable as error:
            unreadable.append(f"{printable(source.name(number))} ({error})")
            continue
        sides.append(min(size))
        grey = grey and bool((pixels == pixels[..., :1]).all())
    if not sides:
        raise SourceError(
            f"{source.location}: none of {counted(len(unreadable), 'picture')} could be read: "
            f"{', '.join(unreadable[:3])}"
        )
    return Survey(
        count=count,
        looked=len(numbers),
        readable=len(sides),
        channels=1 if grey else 3,
        short_side=int(np.median(sides)),
        examples=tuple(unreadable[:3]),
    )


def printable(name: str) -> str:
    """`name` on one line: a file may be called anything, a terminal must not obey it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
