"""Labels of the images of a source: columns of classes, attributes and numbers, and boxes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.errors import SourceError

Column = NDArray[np.str_] | NDArray[np.float64]
"""One entry an image: words ('' if unknown) or numbers (NaN if unknown)."""


MAX_VOCABULARY_CHARACTERS = 64 << 20
"""Maximum size of the distinct words of a column, each padded to the longest: 256 MiB."""


MAX_COLUMN_CHARACTERS = 1 << 30
"""Maximum size of a column as an array of str, row by row: 4 GiB."""


def vocabulary(words: Sequence[str]) -> NDArray[np.str_]:
    """Distinct `words` as a numpy array of str, whose items all take the space of the longest.

    Raises SourceError if one long word would exhaust memory.
    """
    longest = max(map(len, words), default=0)
    if longest * len(words) > MAX_VOCABULARY_CHARACTERS:
        raise SourceError(
            f"labels: {len(words):,} words of up to {longest:,} characters are more than a column "
            f"of labels holds; shorten or remove {max(words, key=len)[:40]!r}…"
        )
    return np.array(words, np.str_)


class Words:
    """A column of words stored as small integer codes.

    An array of str takes four bytes a character in every row, which is 650 MB for the 40 attributes
    of CelebA; codes take one byte a row.
    """

    def __init__(self, vocabulary: NDArray[np.str_], codes: NDArray[np.integer]) -> None:
        self.vocabulary = vocabulary
        self.codes = codes.astype(np.min_scalar_type(max(len(vocabulary) - 1, 0)), copy=False)

    @classmethod
    def collect(cls, words: Iterable[str]) -> "Words":
        """Encode `words`, one a row, without keeping all of them as Python objects."""
        known: dict[str, int] = {}
        codes = np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32)
        return cls(vocabulary(list(known)), codes)

    def __getitem__(self, rows: NDArray[np.int64]) -> "Words":
        return Words(self.vocabulary, self.codes[rows])

    def array(self) -> NDArray[np.str_]:
        """The column as an array of str [N]. Raises SourceError if that would exhaust memory."""
        characters = self.vocabulary.dtype.itemsize // 4 * len(self.codes)
        if characters > MAX_COLUMN_CHARACTERS:
            raise SourceError(
                f"labels: {len(self.codes):,} rows of words of up to "
                f"{self.vocabulary.dtype.itemsize // 4:,} characters exhaust memory; shorten the words"
            )
        return self.vocabulary[self.codes]


class Columns(Mapping[str, Column]):
    """Columns by name; a column of words is decoded to an array only when it is accessed."""

    def __init__(self, held: Mapping[str, Words | Column]) -> None:
        self._held = dict(held)

    def __getitem__(self, name: str) -> Column:
        column = self._held[name]
        return column.array() if isinstance(column, Words) else column

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def take(self, rows: NDArray[np.int64]) -> "Columns":
        """Only the rows of the images `rows` (int64 [M]), in that order."""
        return Columns({name: column[rows] for name, column in self._held.items()})

    def updated(self, other: Mapping[str, Column]) -> "Columns":
        """These columns and those of `other`, which replace columns of the same name."""
        return Columns({**self._held, **(other._held if isinstance(other, Columns) else other)})


@dataclass(frozen=True)
class Boxes:
    """Boxes on the images of a source, one row a box.

    `corners` is float64 [M, 4]: x0, y0, x1, y1 as fractions of the whole image's width and height,
    in [0, 1]. `seen` is bool [N]: which images were annotated; an annotated image without a box
    does not show the object.
    """

    image: NDArray[np.int64]
    kind: NDArray[np.str_]
    corners: NDArray[np.float64]
    seen: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> "Boxes":
        """The boxes of the images `rows` (int64 [M], no number twice), renumbered to 0..M−1."""
        renumbered = np.full(len(self.seen), -1, np.int64)
        renumbered[rows] = np.arange(len(rows))
        image = renumbered[self.image]
        kept = image >= 0
        return Boxes(image[kept], self.kind[kept], self.corners[kept], self.seen[rows])


@dataclass(frozen=True)
class Labels:
    """Columns of labels, each with one entry an image of the source, and boxes.

    A column of words is an array of str, '' if unknown; a column of numbers is float64, NaN if
    unknown; `ends` says what a low and a high number are, where the source knows it: left and right.
    `listed` is bool [N], which images have a row in the given label file; None if the
    labels came with the images. `notes` say how the rows of that file and the images were matched,
    one sentence each.
    """

    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])
    boxes: Boxes | None = None
    listed: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    ends: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def take(self, rows: NDArray[np.int64]) -> "Labels":
        """Only the labels of the images `rows` (int64 [M], no number twice), in that order."""
        return Labels(
            Columns({}).updated(self.columns).take(rows),
            None if self.boxes is None else self.boxes.take(rows),
            None if self.listed is None else self.listed[rows],
            self.notes,
            self.ends,
        )

    def updated(self, other: "Labels") -> "Labels":
        """These labels and `other`, for the same images; `other` has precedence."""
        return Labels(
            Columns({}).updated(self.columns).updated(other.columns),
            self.boxes if other.boxes is None else other.boxes,
            self.listed if other.listed is None else other.listed,
            (*self.notes, *other.notes),
            {name: ends for name, ends in self.ends.items() if name not in other.columns},
        )
