"""The training images of a checkpoint: which they are, how they were cropped, opening them.

A checkpoint stores a Reference as plain values under `data`:

    location, kind     the absolute location, and what was recognized there
    labels, limit      the label table that was joined, and how many images were kept
    records, images    how many records there were, and how many of them could be read
    content            a digest of their bytes (`content_digest`), which identifies them
    framing            the fields of ImageSpec

Checkpoints of earlier versions have no `content` but a digest of names, sizes and times, under
`fingerprint`; they call the number of images "pictures", and have `side` and `background` beside
it.

Resuming and every analysis open the training images here. They are identified by content, so that a
copied, touched or moved folder is accepted, and other images under the same names are not.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcgan_cli.data.decode import decode, fetch
from dcgan_cli.data.image_set import DecodedImages, PixelArray
from dcgan_cli.data.kinds import tars
from dcgan_cli.data.resize_crop import ImageSpec, crop_corners
from dcgan_cli.data.sources import Record, Source, open_source, split_part
from dcgan_cli.errors import CheckpointError, SourceError, UsageError
from dcgan_cli.wording import counted

MAX_FRAME_RATIO = 4
"""Maximum ratio of the side of a prepared image to the side of its crop; a larger one is invalid."""


@dataclass(frozen=True)
class NetworkView:
    """How a network sees an image: prepared with `image_spec`, then the center `size` pixels.

    Networks trained with random crops (`--crop random`) have seen crops of `size` from larger
    images, never a whole prepared image; the center is what those crops have most in common.
    """

    image_spec: ImageSpec
    size: int

    def decode(self, record: Record) -> tuple[PixelArray, tuple[int, int]]:
        """As data.decode.decode: uint8 [size, size, C] and the original (width, height)."""
        pixels, original = decode(record, self.image_spec)
        return self.middle(pixels), original

    def read(self, source: Source, index: int) -> tuple[PixelArray, tuple[int, int]]:
        """As `decode`, for record `index`. Raises Unreadable."""
        return self.decode(fetch(source, index))

    def of(self, images: DecodedImages) -> DecodedImages:
        """The center crops of `images`, which were prepared with `image_spec`."""
        return images if self.image_spec.side == self.size else CenterCrop(images, self)

    def middle(self, pixels: PixelArray) -> PixelArray:
        """The center crop: uint8 [..., side, side, C] → uint8 [..., size, size, C]."""
        inside = slice(self._margin, self._margin + self.size)
        return pixels[..., inside, inside, :]

    def corners(
        self, corners: ArrayLike, width: ArrayLike, height: ArrayLike
    ) -> NDArray[np.float64]:
        """As crop_corners, in fractions of the center crop: float64 [M, 4], NaN for boxes outside."""
        return self.within(crop_corners(corners, width, height, self.image_spec.fit))

    def within(self, corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes [M, 4] in fractions of the prepared image → of its center crop; NaN outside."""
        boxes = np.clip((corners * self.image_spec.side - self._margin) / self.size, 0.0, 1.0)
        outside = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
        boxes[outside] = np.nan
        return boxes

    @property
    def _margin(self) -> int:
        return (self.image_spec.side - self.size) // 2


class CenterCrop(DecodedImages):
    """The center crops of prepared images."""

    def __init__(self, images: DecodedImages, shown: NetworkView) -> None:
        self.image_spec = replace(shown.image_spec, side=shown.size)
        self.origin = images.origin
        self.original_size = images.original_size
        self.skipped = images.skipped
        self.log = images.log
        self.notes = images.notes
        self._images = images
        self._shown = shown

    def take(self, indices: NDArray[np.int64]) -> PixelArray:
        """As DecodedImages.take."""
        return self._shown.middle(self._images.take(indices))

    def corners(self, corners: ArrayLike, images: NDArray[np.int64]) -> NDArray[np.float64]:
        """As DecodedImages.corners."""
        return self._shown.within(self._images.corners(corners, images))

    def close(self) -> None:
        """As DecodedImages.close."""
        self._images.close()


@dataclass(frozen=True)
class Reference:
    """What a checkpoint stores about its training images; None: not known.

    Attributes:
        shown: how the network saw them.
        location: where they were, absolute.
        kind: what was recognized there.
        labels: the label table that was joined.
        limit: how many were kept, evenly spaced; None: all.
        records: how many records there were, readable or not.
        images: how many of them could be read.
        content: their identity, as Source.content.
        fingerprint: the same by times, as Source.fingerprint, in checkpoints of earlier versions.
    """

    shown: NetworkView
    location: str | None = None
    kind: str | None = None
    labels: Path | None = None
    limit: int | None = None
    records: int | None = None
    images: int | None = None
    content: str | None = None
    fingerprint: str | None = None

    @classmethod
    def of(
        cls,
        source: Source,
        images: DecodedImages,
        size: int,
        *,
        labels: Path | None = None,
        limit: int | None = None,
    ) -> Self:
        """The reference to `images`, prepared from `source`, for networks of `size` pixels."""
        return cls(
            NetworkView(images.image_spec, size),
            absolute(source.location),
            source.kind,
            None if labels is None else labels.resolve(),
            limit,
            len(source),
            len(images),
            source.content(),
        )

    @classmethod
    def read(cls, data: Mapping[str, Any], size: int, channels: int) -> Self:
        """Read what `to_dict`, or an earlier version, wrote, for networks of `size` and `channels`.

        Raises:
            CheckpointError: the values are invalid.
            UsageError: the background is not a color.
        """
        image_spec = data.get("framing")
        if image_spec is None:
            image_spec = {"side": data.get("side", size), "channels": channels}
            image_spec["background"] = color(str(data.get("background", "white")))
        labels = _optional(data, "labels", str)
        return cls(
            NetworkView(_read_image_spec(image_spec, size, channels), size),
            _optional(data, "location", str),
            _optional(data, "kind", str),
            None if labels is None else Path(labels),
            _optional(data, "limit", int),
            _optional(data, "records", int),
            _optional(data, "images" if "images" in data else "pictures", int),
            _optional(data, "content", str),
            _optional(data, "fingerprint", str),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the inverse of `read`."""
        return {
            "location": self.location,
            "kind": self.kind,
            "labels": None if self.labels is None else str(self.labels),
            "limit": self.limit,
            "records": self.records,
            "images": self.images,
            "content": self.content,
            "framing": asdict(self.shown.image_spec),
        }

    def open(self, mend: str, location: str | None = None) -> Source:
        """Open the images, at `location` if it is given, without the label table.

        `mend` is the option that the user can type to name another location, as `--data SOURCE`.
        Raises SourceError if they cannot be found, or if other images are there.
        """
        place = location or self.location
        if place is None:
            raise SourceError(
                f"the checkpoint does not say where its training images are; name them: {mend}"
            )
        try:
            source = open_source(place, limit=self.limit)
        except SourceError as error:
            if location is not None:
                raise
            found = str(error) if _is_there(place) else f"{place}: no such file or folder"
            raise SourceError(
                f"{found}; the training images were there: name the place where they are now, {mend}"
            ) from error
        if self.is_same(source) is False:
            raise SourceError(
                f"{place}: {self.difference(source)}; restore them, or name the place where they "
                f"are: {mend}"
            )
        return source

    def is_same(self, source: Source) -> bool | None:
        """Whether these are the images of `source`, opened with the same limit; None: unknown."""
        if self.content is not None:
            return self.content == source.content()
        if self.fingerprint is not None and self.fingerprint == source.fingerprint():
            return True
        # some records may have been unreadable, so only a smaller number shows other images
        fewer = self.images is not None and len(source) < self.images
        return False if fewer else None

    def difference(self, source: Source) -> str:
        """How the images of `source` differ from these, in words."""
        count = self.images if self.records is None else self.records
        if count is not None and count != len(source):
            return f"{counted(len(source), 'image')}, the model was trained on {count:,}"
        return "not the images that the model was trained on (as many, but their content differs)"

    def doubt(self) -> str:
        """The note for the user if `is_same` is unknown."""
        count = "" if self.images is None else f" (there were {self.images:,})"
        return (
            f"taken as the training images{count}: the checkpoint is of an earlier version, which "
            "did not keep their content to compare"
        )

    def is_location(self, location: str) -> bool:
        """Whether `location` is the place where the images were."""
        return self.location is not None and self.location in (location, absolute(location))

    def is_of(self, source: Source) -> bool:
        """Whether the model was certainly trained on the images of `source`."""
        return self.is_location(source.location) or self.is_same(source) is True

    def labels_at(self, location: str) -> Path | None:
        """The label table that was joined; it may have moved with the images to `location`."""
        if self.labels is None or self.labels.exists() or self.location is None:
            return self.labels if self.labels is not None and self.labels.exists() else None
        old = Path(self.location.partition("#")[0])
        new = Path(location.partition("#")[0])
        for before, now in ((old, new), (old.parent, new.parent)):
            if self.labels.is_relative_to(before):
                moved = now / self.labels.relative_to(before)
                return moved if moved.exists() else None
        return None


def color(text: str) -> tuple[int, int, int]:
    """A background color as RGB in 0..255. Raises UsageError if `text` is not a color."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        hint = "expected a color such as white or #20a0ff"
        raise UsageError(f"--background {text}: {hint}") from error
    return red, green, blue


def absolute(location: str) -> str:
    """`location` as an absolute path; names such as `demo:faces` are unchanged."""
    path, part = split_part(location)
    if path.exists():
        return str(path.resolve()) if part is None else f"{path.resolve()}#{part}"
    return str(Path(location).absolute()) if tars.is_pattern(location) else location


def _is_there(location: str) -> bool:
    """Whether there is a file at `location`, or it is a name rather than a path."""
    word = location == "digits" or location.startswith("demo:") or tars.is_pattern(location)
    return word or split_part(location)[0].exists()


def _read_image_spec(fields: Any, size: int, channels: int) -> ImageSpec:
    """An ImageSpec from stored `fields`. Raises CheckpointError."""
    try:
        red, green, blue = (int(value) for value in fields["background"])
        values: dict[str, Any] = {**fields, "background": (red, green, blue)}
        image_spec = ImageSpec(**values)
        whole = type(values["side"]) is int and image_spec.channels == channels
        if whole and size <= image_spec.side <= MAX_FRAME_RATIO * size:
            return image_spec
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"the checkpoint's data: no framing of images: {error}") from error
    raise CheckpointError(
        f"the checkpoint's data: images of {image_spec.side} pixels and {image_spec.channels} channels, "
        f"its networks are of {size} and {channels}"
    )


def _optional(data: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    """The value of `key`; None where there is none. Raises CheckpointError for another type."""
    value = data.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise CheckpointError(
            f"the checkpoint's data: {key} is {value!r}"[:120] + f", expected {kind.__name__}"
        )
    return value
