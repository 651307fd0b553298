"""Matching the rows of a table to images by name, with several rules, the strictest first.

1. The same path, or one path is the end of the other (the location of the source counts as part of
the paths of its images). Backslashes, a leading ./, and composed or decomposed accents make no
difference.

2. The same, ignoring case.

3. The same without the suffixes of images: `Aaron_0001` is `Aaron_0001.jpg`.

4. If nothing was matched so far: numbers, `1` is `000001.jpg`.

5. If nothing was matched so far: only the last parts of the paths, `old/place/x.jpg` is
`new/x.jpg`.

With each rule, a row that matches two images is an error. The images are named by the column whose
cells match the most images, wherever it is.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.data.csv_tables import FILE_WORDS, LabelTable
from dcgan_cli.data.kinds.names import ANY_IMAGE_SUFFIX, suffix
from dcgan_cli.errors import SourceError
from dcgan_cli.wording import counted

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class NamedImages(Protocol):
    """Named images: all that matching needs of a source."""

    @property
    def location(self) -> str:
        """The location as typed."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The relative path of image `index`, with slashes."""
        ...


@dataclass(frozen=True)
class Match:
    """The image of each row of `table`, int64 [R], −1 if there is none; and notes about it."""

    table: LabelTable
    image: NDArray[np.int64]
    notes: tuple[str, ...]


def match_rows(table: LabelTable, source: NamedImages) -> Match:
    """Match rows to images; finds the column that names them, and whether there is a header.

    Raises SourceError if no row matches an image, or one row matches two.
    """
    known = _Names(source)
    place = _file_column(table, known)
    table = _with_first_row(replace(table, file_column=place), known)
    files = [_plain(row[place]) for row in table.rows]
    distinct = list(dict.fromkeys(files))
    found = _find(distinct, known)
    if not found:
        raise SourceError(
            f"{table.path}: none of its {counted(len(distinct), 'file')} is in {source.location}; the "
            f"table says {_shown(files[0])}, the images are called {_shown(known.names[0])}"
        )
    image = np.array([found[file][0] if file in found else -1 for file in files], np.int64)
    return Match(table, image, (*table.notes, *_notes(table, files, found)))


_Images = defaultdict[str, list[int]]
"""Image numbers by name."""


class _Names:
    """The normalized names of the images of a source, and their ends, by matching rule."""

    def __init__(self, source: NamedImages) -> None:
        self.names = [_plain(source.name(index)) for index in range(len(source))]
        place = f"{_plain(str(Path(source.location).absolute()))}/"
        self.above = [place, *(end for end in _ends(place) if end)]
        self._spelled: dict[str, tuple[_Images, _Images]] = {}

    def spelled(self, rule: "_MatchRule") -> "tuple[_Images, _Images]":
        """Images by their whole name, and by its end from each of its folders on."""
        if rule.words not in self._spelled:
            whole, ends = _Images(list), _Images(list)
            for image, name in enumerate(self.names):
                own = rule.spell(name)
                if own:
                    whole[own].append(image)
                for end in _ends(own):
                    ends[end].append(image)
            self._spelled[rule.words] = whole, ends
        return self._spelled[rule.words]


@dataclass(frozen=True)
class _MatchRule:
    """A rule for comparing names: how they are normalized, and whether it is a last resort."""

    words: str
    spell: Callable[[str], str]
    last_resort: bool = False


_Found = dict[str, tuple[int, _MatchRule]]
"""By the normalized name in the table: the image, and the rule that matched it."""


def _find(files: Sequence[str], known: _Names, last_resorts: bool = True) -> _Found:
    """The images of `files` (normalized names, each once). Raises SourceError if ambiguous."""
    found: _Found = {}
    for rule in _MATCH_RULES:
        left = [file for file in files if file not in found]
        if not left or (rule.last_resort and (found or not last_resorts)):
            break
        whole, ends = known.spelled(rule)
        above = [rule.spell(folder) for folder in known.above]
        taken = {image for image, _ in found.values()}
        later: list[tuple[str, str]] = []
        for file in left:
            key = rule.spell(file)
            names = [key, *(key[len(at) :] for at in above if at and key.startswith(at))]
            exact = next((whole[name] for name in names if name in whole), None)
            if exact is None:
                later.append((file, key))
            elif image := [number for number in exact if number not in taken]:
                _take(file, image, rule, found, known)
        taken = {image for image, _ in found.values()}
        times = Counter(end for file in files for end in _ends(rule.spell(file)))
        for file, key in sorted(later, key=lambda pair: -len(pair[1])):
            images = ends.get(key)
            if images is None:  # the source may be a sub-folder of the paths in the table
                shorter = (end for end in _ends(key) if end in whole and times[end] == 1)
                images = whole.get(next(shorter, ""), [])
            if image := [number for number in images if number not in taken]:
                _take(file, image, rule, found, known)
                taken.add(image[0])
    return found


def _take(file: str, images: Sequence[int], rule: _MatchRule, found: _Found, known: _Names) -> None:
    """Record that `file` is the only one of `images`. Raises SourceError if there are several."""
    if len(images) > 1:
        raise SourceError(
            f"{_shown(file)} in the table could be {_shown(known.names[images[0]])} or "
            f"{_shown(known.names[images[1]])}; write it with its folder and ending"
        )
    found[file] = images[0], rule


def _ends(path: str) -> Iterator[str]:
    """The end of `path` from each of its folders on: for a/b/c.png, b/c.png and c.png."""
    at = path.find("/")
    while at >= 0:
        yield path[at + 1 :]
        at = path.find("/", at + 1)


def _plain(file: str) -> str:
    """A path as it is compared: forward slashes, no leading ./, accents composed."""
    path = file.strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def _caseless(path: str) -> str:
    return unicodedata.normalize("NFKC", path.casefold())


def _without_ending(path: str) -> str:
    ending = suffix(path)
    return _caseless(path[: -len(ending)] if ending in ANY_IMAGE_SUFFIX else path)


def _last_part(path: str) -> str:
    return _without_ending(path).rpartition("/")[2]


def _as_number(path: str) -> str:
    """The last part of a path as a number without leading zeros; '' if it is not a number."""
    word = _last_part(path)
    # pandas writes a column of integers with gaps as floats
    word = word.removesuffix(".0")
    return (word.lstrip("0") or "0") if word.isascii() and word.isdecimal() else ""


_MATCH_RULES = (
    _MatchRule("by name", str),
    _MatchRule("without regard to upper and lower case", _caseless),
    _MatchRule("by name without ending", _without_ending),
    _MatchRule("by number", _as_number, last_resort=True),
    _MatchRule("by the last part of the path alone", _last_part, last_resort=True),
)


def _file_column(table: LabelTable, known: _Names) -> int:
    """The index of the column whose cells match most images; the strictest rule breaks a tie.

    Raises SourceError if a cell matches two images and no column names them unambiguously.
    """
    best, chosen = (0, 0), table.file_column
    ambiguous: SourceError | None = None
    places = range(len(table.header))
    for place in sorted(places, key=lambda at: (table.header[at].casefold() not in FILE_WORDS, at)):
        files = list(dict.fromkeys(_plain(row[place]) for row in table.rows))
        if len(files) < best[0]:
            continue  # a file matches one image: this column cannot match more
        likely = place == table.file_column or table.header[place].casefold() in FILE_WORDS
        try:
            # any number could be the number of an image, so a column of ages or classes is not tried by number
            found = _find(files, known, last_resorts=likely)
        except SourceError as error:
            if likely:
                ambiguous = ambiguous or error
            continue
        if not found:
            continue
        strictest = min(_MATCH_RULES.index(rule) for _, rule in found.values())
        if (len(found), -strictest) > best:
            best, chosen = (len(found), -strictest), place
        if strictest == 0 and 2 * len(found) >= min(len(files), len(known.names)):
            break
    if ambiguous and (best[0] == 0 or best[1] < 0):
        raise SourceError(f"{table.path}: {ambiguous}")
    return chosen


def _with_first_row(table: LabelTable, known: _Names) -> LabelTable:
    """`table`; if its header is a row of data, with that row restored and a generated header."""
    first = table.header[table.file_column]
    if first.casefold() in FILE_WORDS or not _is_data(first, table, known):
        return table
    columns = [place for place in range(len(table.header)) if place != table.file_column]
    header = ["file"] * len(table.header)
    for place in columns:
        header[place] = "label" if len(columns) == 1 else f"column_{place + 1}"
    called = ", ".join(header[place] for place in columns)
    note = (
        f"{table.path}: its first row is data, so there is no header; columns are called {called}"
    )
    return replace(
        table,
        header=header,
        rows=[table.header, *table.rows],
        lines=[1, *table.lines],
        notes=(*table.notes, note),
    )


def _is_data(first: str, table: LabelTable, known: _Names) -> bool:
    """Whether the first cell of the column that names the images is a name itself."""
    if not first:
        return False
    if suffix(first) in ANY_IMAGE_SUFFIX or _find([_plain(first)], known):
        return True
    return _NUMBER.fullmatch(first) is not None and not all(
        name.isdecimal() for name in table.header
    )


def _notes(table: LabelTable, files: Sequence[str], found: _Found) -> Iterator[str]:
    """How rows were matched, if not by the first rule, and how many were not matched."""
    if table.file_column:
        name = table.header[table.file_column]
        yield f"{table.path}: the images are named by column {table.file_column + 1}, {name!r}"
    counts = Counter(rule.words for _, rule in found.values())
    if set(counts) - {_MATCH_RULES[0].words}:
        ways = [
            f"{counts[rule.words]:,} {rule.words}" for rule in _MATCH_RULES if counts[rule.words]
        ]
        yield f"{table.path}: images matched {', '.join(ways)}"
    missing = list(dict.fromkeys(file for file in files if file not in found))
    if missing:
        examples = ", ".join(_shown(file) for file in missing[:3])
        yield (
            f"{table.path}: {len(missing):,} of {len(found) + len(missing):,} files in it "
            f"are not among the images: {examples}{', ...' if len(missing) > 3 else ''}"
        )


def _shown(name: str) -> str:
    """A name in quotes; with its code points if it may look like another one."""
    return repr(name) if name.isascii() else f"{name!r} ({name!a})"
