"""From what a person types as sources with labels to classes by number, with every step said."""

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.probe_svm.baselines import Labeled
from dcgan_cli.analysis.probe_svm.probe_split import RowIndices, split_rows
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.choices import HELD_OUT
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import inspect_source, prepare_shown
from dcgan_cli.cli.request import Request
from dcgan_cli.data.cache import DecodedImages
from dcgan_cli.data.sources import Source, open_source
from dcgan_cli.errors import SourceError, UsageError
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

SPLIT = "split"
"""A column that says which images are test images is heeded under this name."""

TEST_WORDS = ("test", "testing")

MIN_EXAMPLES = 5
"""Training images of a class below which it is left out: to learn, choose and draw from."""


@dataclass(frozen=True, eq=False)
class Task:
    """Images to learn from and to be evaluated on, with their classes by number.

    Attributes:
        classes: the words of the numbers.
        column: which column of the labels they are of.
        train, test: the images.
        sources: where both come from; the same one where a part of it is the test.
        origins: which images of their sources they are.
        held_out: whether the test images are a part of the training source.
        drawn: whether chance said which part.
    """

    classes: tuple[str, ...]
    column: str
    train: Labeled
    test: Labeled
    sources: tuple[Source, Source]
    origins: tuple[RowIndices, RowIndices]
    held_out: bool
    drawn: bool = False

    def split_again(self, share: float, seed: int) -> Self:
        """Another random split of the same images, with the same classes."""
        rows = np.concatenate([self.train.rows, self.test.rows])
        codes = np.concatenate([self.train.codes, self.test.codes])
        origin = np.concatenate(self.origins)
        count = max(1, round(share * len(rows)))
        parts = [np.sort(part) for part in split_rows(codes, count, numpy_stream(seed, "held out"))]
        train, test = (Labeled(self.train.images, rows[part], codes[part]) for part in parts)
        return replace(self, train=train, test=test, origins=(origin[parts[0]], origin[parts[1]]))


@dataclass(frozen=True, eq=False)
class _Side:
    """Prepared images of a source: the word of each ('' unknown), and which are test images."""

    source: Source
    images: DecodedImages
    words: NDArray[np.str_]
    is_test: NDArray[np.bool_] | None


def read_task(
    console: Console,
    model: Checkpoint,
    train: tuple[Source, Request],
    test: Request | None,
    *,
    column: str | None,
    held_out: float | None,
    seed: int,
) -> Task:
    """Read both sources as the network wants them, and find classes and test images.

    Without `test`, the images that a column `split` calls test are the test images; where there
    is no such column, or `held_out` is given, a stratified random part of that share is.

    Raises:
        UsageError: no labels, an unknown column, fewer than two classes, or nothing to test on.
    """
    first, column = _read(console, model, train[1], column, "--train", train[0])
    drawn = False
    known = np.flatnonzero(first.words != "")
    if test is not None:
        second = _test_side(console, model, train[1], test, column, first)
        asked = np.flatnonzero(second.words != "")
        if second.is_test is not None:
            asked = asked[second.is_test[asked]]
        if first.is_test is not None:
            left_out = int(first.is_test[known].sum())
            known = known[~first.is_test[known]]
            console.note(
                f"the column {SPLIT} keeps {counted(left_out, 'image')} of --train from learning"
            )
    elif first.is_test is not None and held_out is None:
        second = first
        known, asked = known[~first.is_test[known]], known[first.is_test[known]]
        console.note(f"the column {SPLIT} says which are the test images ({len(asked):,})")
    else:
        second = first
        codes = np.unique(first.words[known], return_inverse=True)[1]
        count = max(1, round((held_out or HELD_OUT) * len(known)))
        kept, taken = split_rows(codes, count, numpy_stream(seed, "held out"))
        known, asked = known[np.sort(kept)], known[np.sort(taken)]
        drawn = True
        console.note(f"{counted(len(asked), 'image')}, stratified by class, are kept for the test")
    classes = _classes(console, first.words[known], column, train[1])
    learned, evaluated = (
        _labeled(side, rows, classes) for side, rows in ((first, known), (second, asked))
    )
    if not len(evaluated.rows):
        raise UsageError(
            f"{'--test' if test else '--train'} {second.source.location}: none of its test images "
            f"has a class of {column} that is also among the training images"
        )
    if test is not None and len(evaluated.rows) < len(asked):
        console.note(
            f"{len(asked) - len(evaluated.rows):,} test images are of other classes: left out"
        )
    origins = first.images.origin[learned.rows], second.images.origin[evaluated.rows]
    sources = first.source, second.source
    return Task(classes, column, learned, evaluated, sources, origins, second is first, drawn)


def _read(
    console: Console,
    model: Checkpoint,
    request: Request,
    column: str | None,
    option: str,
    source: Source | None = None,
) -> tuple[_Side, str]:
    """Look, choose the column, decode; `source` where `request` has been opened already."""
    source, seen = inspect_source(console, request, source)
    columns: Mapping[str, Any] = {} if source.labels is None else source.labels.columns
    chosen = choose_column(columns, column, f"{option} {request.location}")
    if seen.channels != model.model.channels:
        console.note(
            f"{request.location}: {_colors(seen.channels)} images are read as "
            f"{_colors(model.model.channels)}, as the network was trained"
        )
    images = prepare_shown(console, source, request, model)
    words = np.asarray(columns[chosen])[images.origin]
    is_test = None
    if SPLIT in columns and chosen != SPLIT:
        parts = np.char.lower(np.asarray(columns[SPLIT]).astype(np.str_))[images.origin]
        is_test = np.isin(parts, TEST_WORDS)
        if is_test.all() or not is_test.any():
            is_test = None
    return _Side(source, images, words, is_test), chosen


def _test_side(
    console: Console, model: Checkpoint, train: Request, test: Request, column: str, first: _Side
) -> _Side:
    """The test source; of data sets that have parts, the test part is meant."""
    if test.location == train.location and test.labels is None:
        test = replace(test, labels=train.labels)
    if "#" not in test.location:
        with contextlib.suppress(SourceError):
            open_source(f"{test.location}#test")
            test = replace(test, location=f"{test.location}#test")
    second, _ = _read(console, model, test, column, "--test")
    same = test.location == train.location or (first.source.content() == second.source.content())
    if same and (second.is_test is None or first.is_test is None):
        raise UsageError(
            f"--test {test.location}: the same images as --train; leave --test out, and a part "
            "of them is held out"
        )
    return second


def choose_column(columns: Mapping[str, Any], asked: str | None, where: str) -> str:
    """The column of classes that is meant: `asked`, "label", or the only one there is.

    `where` begins the errors: the option and the source. Raises UsageError.
    """
    names = [
        name for name in columns if name != SPLIT and np.asarray(columns[name]).dtype.kind == "U"
    ]
    if asked is not None and asked in columns:
        if asked not in names and asked != SPLIT:
            raise UsageError(
                f"{where}: {asked} holds numbers; a classifier needs classes"
                + (f": {', '.join(names)}" if names else "")
            )
        return asked
    if asked is not None:
        near = difflib.get_close_matches(asked, names, n=3) or names
        raise UsageError(
            f"{where}: no column of labels called {asked}; there are: {', '.join(near) or 'none'}"
        )
    if not names:
        raise UsageError(
            f"{where}: has no labels; give a CSV file of them with --labels, or a source that has "
            "its own, such as a folder with a sub-folder for each class"
        )
    if "label" in names or len(names) == 1:
        return "label" if "label" in names else names[0]
    raise UsageError(f"{where}: choose one with --label-column: {', '.join(names)}")


def _classes(
    console: Console, words: NDArray[np.str_], column: str, train: Request
) -> tuple[str, ...]:
    """The classes that can be learned, numbers by size and words by alphabet."""
    found, counts = np.unique(words, return_counts=True)
    enough = found[counts >= MIN_EXAMPLES].tolist()
    if len(enough) < 2:
        raise UsageError(
            f"--train {train.location}: {column} has {len(enough)} class"
            f"{'' if len(enough) == 1 else 'es'} of {MIN_EXAMPLES} or more training images "
            f"({', '.join(found.tolist()[:5])}); telling apart needs two"
        )
    if len(enough) < len(found):
        console.note(
            f"{len(found) - len(enough):,} of {counted(len(found), 'class')} have fewer than {MIN_EXAMPLES} "
            "training images: left out"
        )
    return tuple(
        sorted(enough, key=lambda word: (0, int(word), "") if word.isdecimal() else (1, 0, word))
    )


def _labeled(side: _Side, rows: RowIndices, classes: tuple[str, ...]) -> Labeled:
    """The images `rows` that are of one of `classes`, with its number."""
    number = {word: code for code, word in enumerate(classes)}
    codes = np.array([number.get(word, -1) for word in side.words[rows].tolist()], np.int64)
    return Labeled(side.images, rows[codes >= 0], codes[codes >= 0])


def _colors(channels: int) -> str:
    return "gray" if channels == 1 else "color"
