"""A survey of some images of a source, before training: color, sizes, range of values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcgan_cli.data.decode import Unreadable, ValueRange, decode, fetch, value_range
from dcgan_cli.data.kinds.names import printable
from dcgan_cli.data.resize_crop import ImageSpec, Levels
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

# Large enough to tell color from gray, and large JPEGs are shrunk while decoding, which is fast.
_SURVEY_SPEC = ImageSpec(side=128, channels=3)

_BITS = (8, 10, 12, 14, 16)
"""Bits that cameras, scanners and medical devices use of the 16 that a file stores."""

_MIN_SCALE_USED = 0.25
"""A usual full scale is assumed if the brightest value reaches this share of it."""


@dataclass(frozen=True)
class Survey:
    """Properties of `looked` of `count` records.

    `channels` is 1 if every image is gray (R = G = B in each pixel of the centered square), else 3.
    `short_side` is the median of the shorter sides in pixels, `aspect` that of width / height;
    `width_cut` and `height_cut` are the mean shares, 0 to 1, that the centered square leaves out.
    `levels` are the values that become black and white if there are images of more than 8 bits a
    channel, and `levels_note` gives the reason. `examples` are some of the unreadable ones, as
    "name (reason)".
    """

    count: int
    looked: int
    readable: int
    channels: int
    short_side: int
    examples: tuple[str, ...]
    aspect: float = 1.0
    width_cut: float = 0.0
    height_cut: float = 0.0
    levels: Levels | None = None
    levels_note: str = ""


def survey(source: Source, most: int = 256) -> Survey:
    """Survey up to `most` records, evenly spaced.

    Example: `survey(open_source("photos/")).channels`.

    Raises:
        SourceError: the source is empty, none of the records could be read, or integer and
            floating-point images with different ranges are mixed.
    """
    count = len(source)
    if count == 0:
        raise SourceError(f"{source.location}: this {source.kind} holds no images")
    numbers = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
    sizes: list[tuple[int, int]] = []
    ranges: list[ValueRange] = []
    unreadable: list[str] = []
    gray = True
    for number in numbers.tolist():
        try:
            record = fetch(source, number)
            spec = _SURVEY_SPEC
            if found := value_range(record):
                spec = replace(_SURVEY_SPEC, levels=(found.low, max(found.high, found.low + 1)))
            pixels, size = decode(record, spec)
        except Unreadable as error:
            unreadable.append(f"{printable(source.name(number))} ({error})")
            continue
        if found:
            ranges.append(found)
        sizes.append(size)
        gray = gray and bool((pixels == pixels[..., :1]).all())
    if not sizes:
        raise SourceError(
            f"{source.location}: none of {counted(len(unreadable), 'image')} could be read: "
            f"{', '.join(unreadable[:3])}"
        )
    width, height = np.array(sizes).T
    short = np.minimum(width, height)
    levels, note = _common_levels(source.location, ranges)
    return Survey(
        count=count,
        looked=len(numbers),
        readable=len(sizes),
        channels=1 if gray else 3,
        short_side=int(np.median(short)),
        examples=tuple(unreadable[:3]),
        aspect=float(np.median(width / height)),
        width_cut=float(1 - (short / width).mean()),
        height_cut=float(1 - (short / height).mean()),
        levels=levels,
        levels_note=note,
    )


def _common_levels(location: str, ranges: Sequence[ValueRange]) -> tuple[Levels | None, str]:
    """The range from which all images of more than 8 bits are scaled, and a note about it."""
    found = {
        floating: _levels(min(r.low for r in alike), max(r.high for r in alike), floating)
        for floating in (False, True)
        if (alike := [r for r in ranges if r.floating == floating])
    }
    if not found:
        return None, ""
    levels = next(iter(found.values()))
    if len(set(found.values())) > 1:
        raise SourceError(
            f"{location}: 16-bit integers from {found[False][0]:g} to {found[False][1]:g} beside "
            f"floating point from {found[True][0]:g} to {found[True][1]:g}; save them in one form, "
            "or give both ends with --levels BLACK,WHITE"
        )
    black, white = levels
    bits = next((bits for bits in _BITS if levels == (0, 2**bits - 1)), None)
    if False in found and bits == 16:
        return levels, ""
    if False in found and bits:
        return levels, (
            f"16-bit files whose values use {bits} bits: scaled by {white:g} "
            "(--levels 0,65535 keeps them as they are)"
        )
    form = "floating point" if True in found else "wide"
    return levels, (
        f"{form} values: {black:g} becomes black and {white:g} white (--levels says otherwise)"
    )


def _levels(low: float, high: float, floating: bool) -> Levels:
    """The usual full scale that contains values from `low` to `high`, else their own range."""
    scales = [float(2**bits - 1) for bits in _BITS]
    if floating:
        scales = [1.0, 255.0, 65535.0]
    if low >= 0:
        scale = next((full for full in scales if high <= full), None)
        if scale is not None and high >= _MIN_SCALE_USED * scale:
            return 0.0, scale
    elif low >= -1 and high <= 1 and floating:
        return -1.0, 1.0
    black = min(low, 0.0)
    return black, high if high > black else black + 1
