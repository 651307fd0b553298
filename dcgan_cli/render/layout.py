"""Where the parts of a figure stand, in pixels: report.Part becomes placed tiles, words and lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from dcgan_cli.report import Axis, Beside, Corners, Part, Stack, Tiles, WordRole, Words

SIZES = {"title": 1.3, "heading": 1.0, "label": 1.0, "sign": 2.0, "note": 0.85}
"""Height of letters, relative to the style's text."""

BOLD: tuple[WordRole, ...] = ("title", "heading", "sign")

LINE = 1.25
"""From line to line, relative to the height of the letters."""

LONGEST = 16
"""Words that stand beside tiles are folded at so many times the height of the letters."""


@dataclass(frozen=True)
class Style:
    """Sizes in pixels: of tiles (width and height), letters, gaps and lines."""

    tile: tuple[int, int]
    text: int
    gap: int

    @property
    def apart(self) -> int:
        """Between parts that stand beside each other."""
        return 5 * self.gap

    @property
    def stroke(self) -> int:
        """Thickness of lines."""
        return max(2, self.text // 8)


@dataclass(frozen=True)
class PlacedTile:
    """Tile `number`, and whether a frame is drawn within its edge."""

    number: int
    framed: bool
    boxes: Sequence[Corners]


@dataclass(frozen=True)
class PlacedWords:
    """Lines of words. `align` is to the left, in the middle or to the right of their place."""

    lines: Sequence[str]
    role: WordRole
    align: str


@dataclass(frozen=True)
class PlacedLine:
    """A horizontal line with a tick at either end."""


@dataclass(frozen=True)
class Placed:
    """Something at x, y with its width and height."""

    what: PlacedTile | PlacedWords | PlacedLine
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Placement:
    """A part of known size and all that is in it, placed from its upper left corner."""

    width: int
    height: int
    items: Sequence[Placed] = ()

    def at(self, x: int, y: int) -> list[Placed]:
        """The items, moved by x, y."""
        return [replace(item, x=item.x + x, y=item.y + y) for item in self.items]


@cache
def font(role: WordRole, text: int) -> ImageFont.FreeTypeFont:
    """The face for `role` where the style's text is `text` pixels high: DejaVu Sans, of matplotlib."""
    name = "DejaVuSans-Bold.ttf" if role in BOLD else "DejaVuSans.ttf"
    found = find_spec("matplotlib")  # without importing it
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), round(text * SIZES[role]))


def place(part: Part, style: Style, width: int | None = None) -> Placement:
    """`part` laid out; words are folded to `width` where it is known."""
    match part:
        case Tiles():
            return _tiles(part, style)
        case Words():
            return _words(part, style, width)
        case Axis():
            return _axis(part, style, width or 0)
        case Beside():
            return _beside(part, style)
        case Stack():
            return _stack(part, style)


def _tiles(part: Tiles, style: Style) -> Placement:
    wide, high = (max(1, round(side * part.scale)) for side in style.tile)
    gap = 0 if part.touching else max(1, round(style.gap * part.scale))
    items: list[Placed] = []
    for row, numbers in enumerate(part.rows):
        for column, number in enumerate(numbers):
            tile = PlacedTile(number, number in part.framed, part.boxes.get(number, ()))
            items.append(Placed(tile, column * (wide + gap), row * (high + gap), wide, high))
    return Placement(*_extent(items), items)


def _words(part: Words, style: Style, width: int | None, align: str = "center") -> Placement:
    face = font(part.role, style.text)
    lines = folded(part.text, face.getlength, width or LONGEST * style.text)
    if not lines:
        return Placement(0, 0)
    wide = max(1, round(max(map(face.getlength, lines))))
    high = round(len(lines) * face.size * LINE)
    return Placement(wide, high, [Placed(PlacedWords(lines, part.role, align), 0, 0, wide, high)])


def _axis(part: Axis, style: Style, width: int) -> Placement:
    ends = [_words(Words(text), style, max(1, width // 3)) for text in (part.left, part.right)]
    middle = _words(Words(part.middle, "note"), style, max(1, width // 3))
    tick = 3 * style.gap
    low = 2 * style.gap + tick
    items = [Placed(PlacedLine(), 0, style.gap, width, tick)]
    items += ends[0].at(0, low)
    items += middle.at((width - middle.width) // 2, low)
    items += ends[1].at(max(0, width - ends[1].width), low)
    return Placement(*_extent(items), items)


def _beside(part: Beside, style: Style) -> Placement:
    placed = [one for one in (place(each, style) for each in part.parts) if one.items]
    height = max((one.height for one in placed), default=0)
    items: list[Placed] = []
    x = 0
    for one in placed:
        free = height - one.height
        items += one.at(x, {"start": 0, "center": free // 2, "end": free}[part.align])
        x += one.width + style.apart
    return Placement(max(0, x - style.apart), height, items)


def _stack(part: Stack, style: Style) -> Placement:
    fixed = [place(each, style) for each in part.parts if not isinstance(each, Words | Axis)]
    known = max((one.width for one in fixed), default=None)
    align = "left" if part.align == "start" else "center"
    placed = [
        _words(each, style, known, align) if isinstance(each, Words) else place(each, style, known)
        for each in part.parts
    ]
    placed = [one for one in placed if one.items]
    width = max((one.width for one in placed), default=0)
    between = 2 * style.apart if part.apart else 2 * style.gap
    items: list[Placed] = []
    y = 0
    for one in placed:
        items += one.at(0 if part.align == "start" else (width - one.width) // 2, y)
        y += one.height + between
    return Placement(width, max(0, y - between), items)


def folded(text: str, length: Callable[[str], float], width: float) -> list[str]:
    """`text` in lines of at most `width` by `length`, broken at spaces, within words if need be."""
    lines: list[str] = []
    for word in text.split():
        if lines and length(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        while length(word) > width and len(word) > 1:
            fits = next((n for n in range(len(word) - 1, 1, -1) if length(word[:n]) <= width), 1)
            lines.append(word[:fits])
            word = word[fits:]
        lines.append(word)
    return lines


def _extent(items: Sequence[Placed]) -> tuple[int, int]:
    return (
        max((item.x + item.width for item in items), default=0),
        max((item.y + item.height for item in items), default=0),
    )
