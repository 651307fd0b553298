"""Files of boxes on samples: what an object's places are trained on (paper §6.3.1, 52 windows).

Our own JSON, which the annotation page saves, remembers which samples it is about:

    {"format": "dcgan boxes", "version": 1,
     "samples": {"checkpoint": HASH, "seed": 0, "count": 150, "bn": "reestimated", "average": true},
     "seen": [0, 1, 2, …],
     "boxes": [{"sample": 1, "kind": "window", "corners": [0.25, 0.125, 0.5, 0.375]}, …]}

`seen` are the samples that were annotated at, those without the object too; corners are x0, y0, x1, y1
as fractions of width and height. Other programs' files name samples as `dcgan sample --split` does,
0017.png: COCO, LabelMe and Pascal VOC (a file or a folder of them), and the CSV of --labels
(file, kind, x0, y0, x1, y1). There, every image that is listed counts as annotated at.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dcgan_cli.data.foreign_boxes import (
    AnnotatedImage,
    Corners,
    checked_kind,
    entries,
    number,
    read_coco,
    read_labelme,
    read_voc,
    shown,
)
from dcgan_cli.data.label_files import join_table
from dcgan_cli.data.labels import Boxes
from dcgan_cli.data.sample_files import SampleFiles
from dcgan_cli.data.tables import read_table
from dcgan_cli.errors import SourceError

FORMAT, VERSION = "dcgan boxes", 1

MAX_FILE_BYTES = 16 << 20
"""Bytes that a file, or a folder of files, may have: a hundred thousand boxes of ours."""

Row = tuple[int, str, Corners]
"""A box: its sample, its kind, its corners."""

EXPECTED = "expected boxes as JSON of dcgan, COCO or LabelMe, Pascal VOC as XML, or CSV"


@dataclass(frozen=True, eq=False)
class SampleBoxes:
    """Boxes on the samples of a model, and which samples those are, as far as the file says.

    Attributes:
        boxes: `image` is the number of the sample, `seen` has one entry a sample.
        checkpoint: hash of the model; None, like the rest, in other programs' files.
        seed: of the samples.
        bn: batch-norm statistics they were drawn with.
        average: whether the average of the weights drew them.
    """

    boxes: Boxes
    checkpoint: str | None = None
    seed: int | None = None
    bn: str | None = None
    average: bool | None = None


def read_boxes(path: Path, count: int) -> SampleBoxes:
    """The boxes in the file or folder at `path`, on the samples 0 … `count` − 1.

    What a file is, its content says. A file without any box is an answer too: `image` is empty.

    Raises:
        SourceError: missing, too large, damaged, of no known format, about images that are no
            samples, or with a box that is empty, reversed or outside its image.
    """
    samples = SampleFiles(count)
    if path.is_dir():
        return SampleBoxes(_by_name(_read_folder(path), samples))
    data = _read_bytes(path, MAX_FILE_BYTES)
    if data.startswith(b"<"):
        return SampleBoxes(_by_name([read_voc(path, data)], samples))
    if not data.startswith((b"{", b"[")):
        return SampleBoxes(_read_csv(path, data, samples))
    document = _parse_json(path, data)
    if document.get("format") == FORMAT:
        return _read_own(path, document, samples)
    if "shapes" in document:
        return SampleBoxes(_by_name([read_labelme(path, document)], samples))
    if "annotations" in document:
        return SampleBoxes(_by_name(read_coco(path, document), samples))
    keys = ", ".join(map(shown, list(document)[:6])) or "nothing"
    raise SourceError(f"{path}: JSON that holds {keys}; {EXPECTED}")


def write_boxes(saved: SampleBoxes) -> bytes:
    """Our own JSON, one line a box; `read_boxes` gives every number back as the same bits."""
    boxes = saved.boxes
    seen = boxes.seen.copy()
    seen[boxes.image] = True
    samples = {
        "checkpoint": saved.checkpoint,
        "seed": saved.seed,
        "count": len(seen),
        "bn": saved.bn,
        "average": saved.average,
    }
    head = {"format": FORMAT, "version": VERSION, "samples": samples}
    rows = ",\n  ".join(
        json.dumps({"sample": sample, "kind": kind, "corners": corners}, ensure_ascii=False)
        for sample, kind, corners in zip(
            boxes.image.tolist(), boxes.kind.tolist(), boxes.corners.tolist(), strict=True
        )
    )
    text = (
        f"{json.dumps(head, ensure_ascii=False)[:-1]},\n"
        f' "seen": {np.flatnonzero(seen).tolist()},\n "boxes": [\n  {rows}\n ]}}\n'
    )
    return text.encode()


def _read_own(path: Path, document: Mapping[str, Any], samples: SampleFiles) -> SampleBoxes:
    version = document.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise SourceError(
            f"{path}: version {shown(version)} of dcgan boxes, this dcgan reads up to {VERSION}; "
            "upgrade it"
        )
    listed = document.get("seen")
    if not isinstance(listed, list):
        raise SourceError(f"{path}: seen is {shown(listed)}; expected a list of sample numbers")
    seen = [_index(f"{path}, seen", index, samples) for index in listed]
    rows: list[Row] = []
    for place, entry in enumerate(entries(str(path), document, "boxes")):
        where = f"{path}, box {place}"
        sample = _index(where, entry.get("sample"), samples)
        kind = checked_kind(where, entry.get("kind"))
        rows.append((sample, kind, _corners(where, entry.get("corners"))))
    boxes = _boxes(seen, rows, samples)
    match document.get("samples"):
        case {
            "checkpoint": str() | None as checkpoint,
            "seed": int() | None as seed,
            "bn": str() | None as bn,
            "average": bool() | None as average,
        }:
            return SampleBoxes(boxes, checkpoint, seed, bn, average)
        case other:
            raise SourceError(
                f"{path}: samples is {shown(other)}; expected checkpoint, seed, count, bn and "
                "average, as dcgan drop-filters --annotate wrote them"
            )


def _index(where: str, value: object, samples: SampleFiles) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SourceError(f"{where}: sample is {shown(value)}; expected its number")
    return samples.check(where, value)


def _corners(where: str, value: object) -> Corners:
    if not isinstance(value, list) or len(value) != 4:
        raise SourceError(f"{where}: corners is {shown(value)}; expected [x0, y0, x1, y1]")
    x0, y0, x1, y1 = (number(where, "a corner", corner) for corner in value)
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise SourceError(
            f"{where}: found the corners {x0:g}, {y0:g}, {x1:g}, {y1:g}; expected x0 < x1 and "
            "y0 < y1 as fractions of width and height, from 0 to 1"
        )
    return x0, y0, x1, y1


def _read_folder(path: Path) -> list[AnnotatedImage]:
    """The LabelMe or Pascal VOC files of a folder, by name; other files are passed over."""
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".json", ".xml"))
    if not files:
        raise SourceError(
            f"{path}: a folder without .json or .xml; expected files of LabelMe or Pascal VOC, one "
            "an image"
        )
    annotated: list[AnnotatedImage] = []
    left = MAX_FILE_BYTES
    for file in files:
        data = _read_bytes(file, left)
        left -= len(data)
        if data.startswith(b"<"):
            annotated.append(read_voc(file, data))
            continue
        document = _parse_json(file, data)
        if "shapes" not in document:
            raise SourceError(
                f"{file}: not of LabelMe, which its folder was given for; give {file} itself if "
                "it holds the boxes of all samples"
            )
        annotated.append(read_labelme(file, document))
    return annotated


def _read_csv(path: Path, data: bytes, samples: SampleFiles) -> Boxes:
    """The boxes of a table as --labels reads it, whose files are names of samples."""
    if b"\0" in data:
        raise SourceError(f"{path}: not a file of text; {EXPECTED}")
    try:
        table = read_table(path)
    except SourceError as error:
        # read for --labels everywhere else, which was not typed here
        raise SourceError(str(error).removeprefix("--labels ")) from error
    columns = {"kind", "x0", "y0", "x1", "y1"}
    if missing := sorted(columns - set(table.header)):
        raise SourceError(
            f"{path}: a table without {', '.join(missing)}; expected the columns file, kind, x0, "
            "y0, x1, y1"
        )
    kind = table.header.index("kind")
    rows: list[list[str]] = []
    for row, line in zip(table.rows, table.lines, strict=True):
        where = f"{path}, line {line}"
        rows.append([samples.name(samples.find(where, row[0])), *row[1:]])
        checked_kind(where, row[kind].strip())
    boxes = join_table(replace(table, rows=rows), samples).boxes
    assert boxes is not None  # the table has corners
    return boxes


def _by_name(annotated: Iterable[AnnotatedImage], samples: SampleFiles) -> Boxes:
    """Boxes by the name of their image as boxes by sample."""
    seen: list[int] = []
    rows: list[Row] = []
    for image in annotated:
        sample = samples.find(image.where, image.image)
        seen.append(sample)
        rows += ((sample, kind, corners) for kind, corners in image.boxes)
    return _boxes(seen, rows, samples)


def _boxes(seen: Iterable[int], rows: Sequence[Row], samples: SampleFiles) -> Boxes:
    seen_by_sample = np.zeros(samples.count, np.bool_)
    seen_by_sample[[*seen, *(sample for sample, _, _ in rows)]] = True
    return Boxes(
        np.array([sample for sample, _, _ in rows], np.int64),
        np.array([kind for _, kind, _ in rows], np.str_),
        np.array([corners for _, _, corners in rows], np.float64).reshape(-1, 4),
        seen_by_sample,
    )


def _parse_json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: damaged JSON ({error}); {EXPECTED}") from error
    if not isinstance(document, dict):
        raise SourceError(f"{path}: JSON, but a list; {EXPECTED}")
    return document


def _read_bytes(path: Path, most: int) -> bytes:
    """The content of a file without the blanks before it, which must be some and not too much."""
    try:
        if not path.is_file():
            raise SourceError(f"{path}: no such file; {EXPECTED}")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}; {EXPECTED}") from error
    if len(data) > most:
        raise SourceError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB; no list of boxes is")
    if not (data := data.removeprefix(b"\xef\xbb\xbf").strip()):
        raise SourceError(f"{path}: the file is empty; {EXPECTED}")
    return data
