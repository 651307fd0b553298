"""Resizing and cropping: how an image becomes a square, and where its boxes lie in that square.

ImageSpec holds the settings; `resize_to_square` applies them. Random crops are in `random_crop.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dcgan_cli.data.image_files import OpenedImage

Fit = Literal["crop", "pad", "stretch"]

FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
"""How a rectangular image is fitted to a square: "crop" takes its centered square, "pad" places the
whole image on a background, "stretch" scales both sides differently."""

Levels = tuple[float, float]
"""The values of an image of more than 8 bits that become black (0) and white (255)."""


MAX_ASPECT = 20
"""The largest width / height, or height / width, in which images are shown."""


@dataclass(frozen=True)
class ImageSpec:
    """The format of prepared images: side in pixels, channels (1 gray, 3 RGB), and how they fit.

    `background`, RGB in 0..255, shows where an image is transparent, and around it if `fit` is
    "pad". `levels` apply to images of more than 8 bits; None: each image has its own. `aspect` is
    the width / height in which stretched images are shown again. Raises ValueError for an invalid
    `fit`, `levels` or `aspect`.

    Example: `ImageSpec(side=64, channels=3)`.
    """

    side: int
    channels: int
    background: tuple[int, int, int] = (255, 255, 255)
    fit: Fit = "crop"
    levels: Levels | None = None
    aspect: float = 1.0

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit {self.fit}: expected one of {', '.join(FITS)}")
        if not 1 / MAX_ASPECT <= self.aspect <= MAX_ASPECT:
            raise ValueError(f"aspect {self.aspect}: expected 1/{MAX_ASPECT} to {MAX_ASPECT}")
        if self.levels is not None:
            black, white = (float(level) for level in self.levels)
            if not (math.isfinite(black) and math.isfinite(white) and black < white):
                raise ValueError(f"levels {black:g} to {white:g}: expected black below white")
            object.__setattr__(self, "levels", (black, white))  # may be a list, from JSON

    @property
    def shape(self) -> tuple[int, int, int]:
        """(side, side, channels), the shape of one image."""
        return self.side, self.side, self.channels

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return self.side * self.side * self.channels


def centered_square(width: int, height: int) -> tuple[int, int, int]:
    """(left, top, side) in pixels of the largest centered square, rounded towards the upper left."""
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side


def frame_box(width: int, height: int, fit: Fit) -> tuple[float, float, float, float]:
    """(left, top, width, height) of the part that fills the square, in pixels of the whole image.

    With "pad" it is a square larger than the image, which lies in its center.
    """
    if fit == "stretch":
        return 0, 0, width, height
    if fit == "pad":
        side = max(width, height)
        return (width - side) / 2, (height - side) / 2, side, side
    left, top, side = centered_square(width, height)
    return left, top, side, side


def crop_corners(
    corners: ArrayLike, width: ArrayLike, height: ArrayLike, fit: Fit = "crop"
) -> NDArray[np.float64]:
    """Transform boxes on the whole image to boxes on the square that `fit` makes of it.

    `corners` [M, 4] holds x0, y0, x1, y1 as fractions of the whole image, which is `width` by
    `height` pixels (one number, or [M] for boxes of several images). Returns float64 [M, 4], in
    fractions of the square, clipped to [0, 1]; a box outside the square is a row of NaN.

    Example: `crop_corners([0.25, 0.5, 0.75, 1.0], width=200, height=100)`.
    """
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    sizes = np.broadcast_to(np.stack(np.broadcast_arrays(width, height), -1), (len(boxes), 2))
    frames = [frame_box(int(wide), int(high), fit) for wide, high in sizes]
    frame = np.array(frames, np.float64).reshape(-1, 4)
    for axis in (0, 1):
        start, length, whole = frame[:, axis], frame[:, 2 + axis], sizes[:, axis]
        ends = boxes[:, axis::2]
        boxes[:, axis::2] = (ends * whole[:, None] - start[:, None]) / length[:, None]
    boxes = np.clip(boxes, 0.0, 1.0)
    outside = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    boxes[outside] = np.nan
    return boxes


def resize_to_square(image: Image.Image, opened: OpenedImage, image_spec: ImageSpec) -> Image.Image:
    """`image`, in mode L or RGB, fitted to a square as `image_spec` says: one bicubic resize."""
    square = (image_spec.side, image_spec.side)
    if image_spec.fit == "pad":
        mode = "RGB" if image_spec.channels == 3 else "L"
        canvas = Image.new("RGB", square, image_spec.background).convert(mode)
        factor = image_spec.side / max(opened.size)
        width, height = (max(1, round(edge * factor)) for edge in opened.size)
        place = ((image_spec.side - width) // 2, (image_spec.side - height) // 2)
        inner = image.resize((width, height), Image.Resampling.BICUBIC)
        canvas.paste(inner.convert(mode), place)
        return canvas
    if image_spec.fit == "stretch":
        return image.resize(square, Image.Resampling.BICUBIC)
    left, top, side = (edge / opened.shrunk for edge in centered_square(*opened.size))
    box = (left, top, left + side, top + side)
    return image.resize(square, Image.Resampling.BICUBIC, box=box)
