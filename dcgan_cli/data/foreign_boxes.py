"""Box files of other programs, in pixels of named images: COCO, LabelMe, Pascal VOC.

Such a file is untrusted: its numbers are checked one by one, and an XML file with a document type
declaration (which can define entities that expand without end or read files) is refused before it
is parsed.
"""

import math
import reprlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree
from xml.parsers import expat

from dcgan_cli.errors import SourceError

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1."""

MAX_KIND_LENGTH = 80
"""Maximum length of the name of an object, in characters."""

MAX_XML_BYTES = 1 << 20
"""Maximum size of one image's XML: parsed, it takes sixty times as much memory."""

OVERHANG = 1.0
"""Pixels by which a box may exceed its image: tools round, and allow drawing over the edge."""

_UNPRINTED = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, surrogates and line separators."""

_SHAPES = ("rectangle", "polygon")


@dataclass(frozen=True)
class AnnotatedImage:
    """An annotated image: its name, and each box with its kind, in fractions.

    `where` names the place in the file, for errors about the image.
    """

    where: str
    image: str
    boxes: list[tuple[str, Corners]] = field(default_factory=list[tuple[str, Corners]])


def read_coco(path: Path, document: Mapping[str, Any]) -> list[AnnotatedImage]:
    """The images of a COCO file; one without a file name is named by its id. Raises SourceError."""
    kinds: dict[int | str, str] = {}
    for place, category in enumerate(entries(str(path), document, "categories")):
        where = f"{path}, category {place}"
        kinds[_identity(where, category, "id")] = checked_kind(where, category.get("name"))
    annotated: dict[int | str, AnnotatedImage] = {}
    sizes: dict[int | str, tuple[float, float]] = {}
    for place, image in enumerate(entries(str(path), document, "images")):
        where = f"{path}, image {place}"
        identity = _identity(where, image, "id")
        sizes[identity] = _size(where, image, "width", "height")
        annotated[identity] = AnnotatedImage(where, str(image.get("file_name") or identity))
    for place, annotation in enumerate(entries(str(path), document, "annotations")):
        where = f"{path}, annotation {place}"
        image = _known(where, "image_id", annotation, annotated)
        kind = _known(where, "category_id", annotation, kinds)
        x, y, width, height = _numbers(where, "bbox", annotation.get("bbox"), 4)
        box = fractions(where, (x, y, x + width, y + height), sizes[image])
        annotated[image].boxes.append((kinds[kind], box))
    return list(annotated.values())


def read_labelme(path: Path, document: Mapping[str, Any]) -> AnnotatedImage:
    """The image of a LabelMe file; a polygon counts as its bounding box. Raises SourceError."""
    size = _size(str(path), document, "imageWidth", "imageHeight")
    annotated = AnnotatedImage(str(path), str(document.get("imagePath") or path.name))
    for place, shape in enumerate(entries(str(path), document, "shapes")):
        where = f"{path}, shape {place}"
        form = shape.get("shape_type") or "polygon"
        if form not in _SHAPES:
            raise SourceError(f"{where}: found {shown(form)}; expected {' or '.join(_SHAPES)}")
        points = shape.get("points")
        if not isinstance(points, list) or len(points) < 2:
            raise SourceError(f"{where}: points is {shown(points)}; expected two or more [x, y]")
        xs, ys = zip(*(_numbers(where, "points", point, 2) for point in points), strict=True)
        box = fractions(where, (min(xs), min(ys), max(xs), max(ys)), size)
        annotated.boxes.append((checked_kind(where, shape.get("label")), box))
    return annotated


def read_voc(path: Path, data: bytes) -> AnnotatedImage:
    """The image of a Pascal VOC file; pixels count from 1, and the last pixel is included.

    Raises SourceError.
    """
    root = _parse_xml(path, data)
    if root.tag != "annotation":
        raise SourceError(
            f"{path}: XML of <{root.tag[:40]}>; expected Pascal VOC, whose root is <annotation>"
        )
    size = _text_number(path, root, "size/width"), _text_number(path, root, "size/height")
    annotated = AnnotatedImage(str(path), (root.findtext("filename") or "").strip() or path.name)
    for place, entry in enumerate(root.iterfind("object")):
        where = f"{path}, object {place}"
        x0, y0, x1, y1 = (
            _text_number(where, entry, f"bndbox/{name}")
            for name in ("xmin", "ymin", "xmax", "ymax")
        )
        kind = checked_kind(where, (entry.findtext("name") or "").strip())
        annotated.boxes.append((kind, fractions(where, (x0 - 1, y0 - 1, x1, y1), size)))
    return annotated


def fractions(where: str, box: Corners, size: tuple[float, float]) -> Corners:
    """`box` in pixels as fractions of an image of `size` (width, height), clipped at its edges.

    Raises SourceError if it is empty, reversed, or exceeds the image by more than OVERHANG.
    """
    width, height = size
    x0, y0, x1, y1 = box
    inside = min(x0, y0) >= -OVERHANG and x1 <= width + OVERHANG and y1 <= height + OVERHANG
    left, right = max(x0 / width, 0.0), min(x1 / width, 1.0)
    top, bottom = max(y0 / height, 0.0), min(y1 / height, 1.0)
    if not (inside and left < right and top < bottom):
        raise SourceError(
            f"{where}: found a box from {x0:g}, {y0:g} to {x1:g}, {y1:g}; expected its upper left "
            f"and its lower right corner within the image of {width:g} × {height:g} pixels"
        )
    return left, top, right, bottom


def checked_kind(where: str, kind: object) -> str:
    """`kind` if it is a valid name of an object. Raises SourceError."""
    if (
        not isinstance(kind, str)
        or kind != kind.strip()
        or not 0 < len(kind) <= MAX_KIND_LENGTH
        or any(unicodedata.category(character) in _UNPRINTED for character in kind)
    ):
        raise SourceError(
            f"{where}: the object is called {shown(kind)}; expected a word of up to {MAX_KIND_LENGTH} "
            "characters"
        )
    return kind


def number(where: str, name: str, value: object) -> float:
    """`value` if it is a finite number. Raises SourceError."""
    try:
        found = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or isinstance(value, bool):
        raise SourceError(f"{where}: {name} is {shown(value)}; expected a number")
    return found


def entries(where: str, document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of objects under `key`. Raises SourceError."""
    found = document.get(key)
    if not isinstance(found, list):
        raise SourceError(f"{where}: {key} is {shown(found)}; expected a list")
    for place, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise SourceError(f"{where}: {key} {place} is {shown(entry)}; expected an object {{…}}")
    return cast("list[dict[str, Any]]", found)


def shown(value: object) -> str:
    """A value from an untrusted file on one short line."""
    return "missing" if value is None else reprlib.repr(value)


def _identity(where: str, entry: Mapping[str, Any], key: str) -> int | str:
    found = entry.get(key)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise SourceError(f"{where}: {key} is {shown(found)}; expected a number")
    return found


def _known(
    where: str, key: str, entry: Mapping[str, Any], known: Mapping[int | str, Any]
) -> int | str:
    """The key that `entry` refers to under `key`, which must be in `known`."""
    if (found := _identity(where, entry, key)) not in known:
        raise SourceError(
            f"{where}: {key} {shown(found)} stands nowhere in the file; it lists "
            f"{', '.join(map(shown, list(known)[:8])) or 'none'}{', …' if len(known) > 8 else ''}"
        )
    return found


def _size(where: str, entry: Mapping[str, Any], *names: str) -> tuple[float, float]:
    """The width and height of an image, in pixels."""
    width, height = (_positive(where, name, entry.get(name)) for name in names)
    return width, height


def _positive(where: str | Path, name: str, value: object) -> float:
    if (found := number(str(where), name, value)) < 1:
        raise SourceError(f"{where}: {name} is {found:g}; expected pixels, one or more")
    return found


def _numbers(where: str, name: str, value: object, count: int) -> Sequence[float]:
    if not isinstance(value, list) or len(value) != count:
        raise SourceError(f"{where}: {name} is {shown(value)}; expected {count} numbers")
    return [number(where, name, part) for part in value]


def _text_number(where: str | Path, element: ElementTree.Element, tag: str) -> float:
    text = element.findtext(tag)
    try:
        value = float(text) if text is not None else None
    except ValueError:
        value = text
    check = _positive if tag.startswith("size/") else number
    return check(str(where), f"<{tag.rpartition('/')[2]}>", value)


def _parse_xml(path: Path, data: bytes) -> ElementTree.Element:
    """The root element; a file with a document type declaration is refused."""

    def refuse(*_: object) -> None:
        raise SourceError(
            f"{path}: refused: it declares a document type (DTD), which can hide entities that "
            "grow without end; remove <!DOCTYPE …>"
        )

    if len(data) > MAX_XML_BYTES:
        raise SourceError(f"{path}: larger than {MAX_XML_BYTES >> 20} MiB; no image's boxes are")
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    try:
        guard.Parse(data, True)
        return ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise SourceError(
            f"{path}: damaged XML ({error}); expected Pascal VOC, one file an image"
        ) from error
