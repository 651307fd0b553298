"""Files of boxes on samples: ours comes back as the same bits, others' say what they said."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_cli.data import box_files
from dcgan_cli.data.box_files import SampleBoxes, read_boxes, write_boxes
from dcgan_cli.data.foreign_boxes import MAX_KIND_LENGTH
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import SourceError

COUNT = 6


def write(path: Path, content: object) -> Path:
    """A file of text, of bytes, or of JSON."""
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, count: int = COUNT) -> str:
    with pytest.raises(SourceError) as caught:
        read_boxes(path, count)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    assert line.startswith(str(path))
    return line


def rows(found: SampleBoxes) -> list[tuple[int, str, tuple[float, ...]]]:
    boxes = found.boxes
    corners = [tuple(row) for row in boxes.corners.tolist()]
    return list(zip(boxes.image.tolist(), boxes.kind.tolist(), corners, strict=True))


# Our own form


def own(**changes: Any) -> dict[str, Any]:
    about = {"checkpoint": "abc", "seed": 3, "count": COUNT, "bn": "batch", "average": False}
    box = {"sample": 1, "kind": "window", "corners": [0.25, 0.125, 0.5, 0.375]}
    return {
        "format": "dcgan boxes",
        "version": 1,
        "samples": about,
        "seen": [0, 1],
        "boxes": [box],
        **changes,
    }


def box(**changes: Any) -> dict[str, Any]:
    return own(boxes=[{**own()["boxes"][0], **changes}])


def test_what_our_own_file_says(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path / "b.json", own()), COUNT)
    assert rows(found) == [(1, "window", (0.25, 0.125, 0.5, 0.375))]
    assert found.boxes.seen.tolist() == [True, True, False, False, False, False]
    assert (found.checkpoint, found.seed, found.bn, found.average) == ("abc", 3, "batch", False)
    assert found.boxes.image.dtype == np.int64
    assert found.boxes.corners.dtype == np.float64


def test_no_box_is_an_answer_too(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path / "b.json", own(boxes=[])), COUNT)
    assert found.boxes.corners.shape == (0, 4)
    assert found.boxes.image.shape == (0,)
    assert found.boxes.seen.sum() == 2


def test_more_samples_than_the_file_knows_are_samples_that_were_not_looked_at(
    tmp_path: Path,
) -> None:
    found = read_boxes(write(tmp_path / "b.json", own()), 10 * COUNT)
    assert found.boxes.seen.sum() == 2
    assert len(found.boxes.seen) == 10 * COUNT


intervals = (
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda pair: pair[0] < pair[1])
)
kinds = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=MAX_KIND_LENGTH)
words = st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@st.composite
def saved(draw: st.DrawFn) -> SampleBoxes:
    count = draw(st.integers(1, 30))
    drawn = draw(
        st.lists(st.tuples(st.integers(0, count - 1), kinds, intervals, intervals), max_size=20)
    )
    seen = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    boxes = Boxes(
        np.array([sample for sample, *_ in drawn], np.int64),
        np.array([kind for _, kind, *_ in drawn], np.str_),
        np.array([(x[0], y[0], x[1], y[1]) for *_, x, y in drawn], np.float64).reshape(-1, 4),
        seen,
    )
    seed = draw(st.none() | st.integers(0, 2**70))
    return SampleBoxes(boxes, draw(words), seed, draw(words), draw(st.none() | st.booleans()))


@given(before=saved())
def test_what_is_written_is_read_as_the_same_bits(
    before: SampleBoxes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "round.json", write_boxes(before))
    after = read_boxes(path, len(before.boxes.seen))
    assert rows(after) == rows(before)
    assert after.boxes.corners.tobytes() == before.boxes.corners.tobytes()
    looked = before.boxes.seen.copy()
    looked[before.boxes.image] = True  # where somebody drew, somebody looked
    assert after.boxes.seen.tolist() == looked.tolist()
    for name in ("checkpoint", "seed", "bn", "average"):
        assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (own(version=2), "version 2 of dcgan boxes, this dcgan reads up to 1; upgrade it"),
        (own(version="1"), "version '1'"),
        (own(seen=None), "seen is missing; expected a list"),
        (own(seen=[0, "1"]), "seen: sample is '1'; expected its number"),
        (own(seen=[True]), "seen: sample is True"),
        (own(seen=[-1]), "no sample -1; there are 6, counted from 0"),
        (own(seen=[COUNT]), "no sample 6; there are 6, counted from 0; give -n 7"),
        (own(seen=[10**4000]), "no sample 1000"),
        (own(boxes={}), "boxes is {}; expected a list"),
        (own(boxes=[[]]), "boxes 0 is []; expected an object"),
        (own(samples=None), "samples is missing; expected checkpoint, seed"),
        (own(samples={"checkpoint": 1}), "expected checkpoint, seed"),
        (box(sample=149), "box 0: no sample 149; there are 6, counted from 0; give -n 150"),
        (box(sample=1.0), "sample is 1.0"),
        (box(kind=""), "the object is called ''"),
        (box(kind="a\nb"), "the object is called 'a\\nb'"),
        (box(kind="\ud800"), "the object is called"),
        (box(kind="w" * 81), "expected a word of up to 80 characters"),
        (box(kind=7), "the object is called 7"),
        (box(corners=[0, 0, 1]), "corners is [0, 0, 1]; expected [x0, y0, x1, y1]"),
        (box(corners=[0, 0, 1, "1"]), "a corner is '1'; expected a number"),
        (box(corners=[0, 0, 1, True]), "a corner is True"),
        (box(corners=[0, 0, 1, 10**400]), "a corner is 1000"),
        (box(corners=[0.5, 0, 0.4, 1]), "found the corners 0.5, 0, 0.4, 1; expected x0 < x1"),
        (box(corners=[0, 0, 0, 1]), "expected x0 < x1"),
        (box(corners=[0, 0, 1, 1.01]), "fractions of width and height, from 0 to 1"),
        (box(corners=[8, 8, 24, 32]), "fractions of width and height, from 0 to 1"),
    ],
)
def test_our_own_form_damaged(document: object, said: str, tmp_path: Path) -> None:
    assert said in refusal(write(tmp_path / "b.json", document))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(word: str, tmp_path: Path) -> None:
    text = json.dumps(box(corners=[0, 0, 1, "END"])).replace('"END"', word)
    assert "a corner is" in refusal(write(tmp_path / "b.json", text))


# COCO


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 11, "file_name": "samples/0003.png", "width": 64, "height": 32},
            {"id": 12, "file_name": "0b1a2c3d-0005.jpg", "width": 64, "height": 32},
        ],
        "categories": [{"id": 7, "name": "window"}, {"id": 8, "name": "door"}],
        "annotations": [
            {"id": 1, "image_id": 11, "category_id": 7, "bbox": [16, 8, 32, 16]},
            {"id": 2, "image_id": 11, "category_id": 8, "bbox": [0, 0, 8.5, 32.4]},
        ],
        **changes,
    }


def annotation(**changes: Any) -> dict[str, Any]:
    return coco(annotations=[{**coco()["annotations"][0], **changes}])


def test_coco(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path / "c.json", coco()), COUNT)
    assert rows(found) == [
        (3, "window", (0.25, 0.25, 0.75, 0.75)),
        (3, "door", (0, 0, 8.5 / 64, 1)),  # what reaches over the edge by rounding is cut off
    ]
    assert np.flatnonzero(found.boxes.seen).tolist() == [3, 5]
    assert found.checkpoint is found.seed is found.bn is found.average is None


def test_coco_images_without_names_are_called_by_their_ids(tmp_path: Path) -> None:
    images = [{"id": 4, "width": 64, "height": 32}, {"id": "2", "width": 64, "height": 32}]
    entry = {"image_id": 4, "category_id": 7, "bbox": [16, 8, 32, 16]}
    found = read_boxes(write(tmp_path / "c.json", coco(images=images, annotations=[entry])), COUNT)
    assert rows(found) == [(4, "window", (0.25, 0.25, 0.75, 0.75))]
    assert np.flatnonzero(found.boxes.seen).tolist() == [2, 4]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (coco(images=None), "images is missing; expected a list"),
        (coco(images=[3]), "images 0 is 3; expected an object"),
        (coco(images=[{"id": 1, "file_name": "0001.png"}]), "image 0: width is missing"),
        (coco(images=[{"id": 1, "width": 0, "height": 9}]), "width is 0; expected pixels"),
        (coco(images=[{"width": 9, "height": 9}]), "image 0: id is missing"),
        (coco(categories=[]), "category_id 7 stands nowhere in the file; it lists none"),
        (coco(categories=[{"id": 7}]), "category 0: the object is called missing"),
        (coco(categories=[{"id": [], "name": "w"}]), "category 0: id is []"),
        (annotation(image_id=99), "image_id 99 stands nowhere in the file; it lists 11, 12"),
        (annotation(image_id=None), "annotation 0: image_id is missing"),
        (annotation(bbox=None), "bbox is missing; expected 4 numbers"),
        (annotation(bbox=[1, 2, 3]), "bbox is [1, 2, 3]; expected 4 numbers"),
        (annotation(bbox=[1, 2, -3, 4]), "found a box from 1, 2 to -2, 6"),
        (annotation(bbox=[1, 2, 0, 4]), "expected its upper left"),
        (annotation(bbox=[1, 2, 300, 4]), "within the image of 64 × 32 pixels"),
        (annotation(bbox=[-2, 2, 30, 4]), "within the image of 64 × 32 pixels"),
        (annotation(bbox=[1e308, 1e308, 1e308, 1e308]), "within the image"),
    ],
)
def test_coco_damaged(document: object, said: str, tmp_path: Path) -> None:
    assert said in refusal(write(tmp_path / "c.json", document))


# LabelMe


def labelme(**changes: Any) -> dict[str, Any]:
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            {"label": "window", "points": [[48, 24], [16, 8]], "shape_type": "rectangle"},
            {"label": "door", "points": [[8, 0], [16, 32], [0, 16]], "shape_type": "polygon"},
        ],
        "imagePath": "..\\samples\\0003.png",
        "imageData": None,
        "imageHeight": 32,
        "imageWidth": 64,
        **changes,
    }


def shape(**changes: Any) -> dict[str, Any]:
    return labelme(shapes=[{**labelme()["shapes"][0], **changes}])


def test_labelme(tmp_path: Path) -> None:
    expected = [(3, "window", (0.25, 0.25, 0.75, 0.75)), (3, "door", (0, 0, 0.25, 1))]
    found = read_boxes(write(tmp_path / "any.json", labelme()), COUNT)
    assert rows(found) == expected
    assert np.flatnonzero(found.boxes.seen).tolist() == [3]
    nameless = labelme(imagePath=None)  # then it is called as its image is
    assert rows(read_boxes(write(tmp_path / "0003.json", nameless), COUNT)) == expected


def test_a_folder_of_labelme(tmp_path: Path) -> None:
    write(tmp_path / "0001.json", labelme(imagePath="0001.png", shapes=[]))
    write(tmp_path / "0003.JSON", labelme())
    write(tmp_path / "0003.png", b"passed over")
    found = read_boxes(tmp_path, COUNT)
    assert [sample for sample, _, _ in rows(found)] == [3, 3]
    assert np.flatnonzero(found.boxes.seen).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (labelme(shapes=None), "shapes is missing; expected a list"),
        (labelme(imageWidth=None), "imageWidth is missing; expected a number"),
        (labelme(imageHeight=-4), "imageHeight is -4; expected pixels, one or more"),
        (labelme(imagePath="bed.png"), "'bed.png' is no sample; expected names as dcgan sample"),
        (labelme(imagePath="00003_.png"), "near: 0003.png"),
        (labelme(imagePath="0006.png"), "no sample 6; there are 6, counted from 0; give -n 7"),
        (shape(label=None), "shape 0: the object is called missing"),
        (shape(shape_type="circle"), "found 'circle'; expected rectangle or polygon"),
        (shape(shape_type=["x"]), "found ['x']"),
        (shape(points=[[1, 2]]), "points is [[1, 2]]; expected two or more [x, y]"),
        (shape(points=[[1, 2], [3]]), "points is [3]; expected 2 numbers"),
        (shape(points=[[1, 2], [3, "4"]]), "points is '4'; expected a number"),
        (shape(points=[[1, 2], [1, 9]]), "found a box from 1, 2 to 1, 9"),
    ],
)
def test_labelme_damaged(document: object, said: str, tmp_path: Path) -> None:
    assert said in refusal(write(tmp_path / "l.json", document))


# Pascal VOC


def voc(filename: str = "0003.png", corners: str = "17 9 48 24", name: str = "window") -> str:
    xmin, ymin, xmax, ymax = corners.split()
    return f"""<?xml version="1.0"?>
<annotation>
  <folder>samples</folder><filename>{filename}</filename>
  <size><width>64</width><height>32</height><depth>3</depth></size>
  <object>
    <name>{name}</name><pose>Unspecified</pose>
    <bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>
    <part><name>pane</name><bndbox><xmin>1</xmin></bndbox></part>
  </object>
</annotation>"""


def test_voc_counts_pixels_from_one_with_the_last_one(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path / "any.xml", voc()), COUNT)
    assert rows(found) == [(3, "window", (0.25, 0.25, 0.75, 0.75))]
    assert np.flatnonzero(found.boxes.seen).tolist() == [3]
    whole = read_boxes(write(tmp_path / "any.xml", voc(corners="1 1 64 32")), COUNT)
    assert rows(whole) == [(3, "window", (0, 0, 1, 1))]
    from_zero = read_boxes(write(tmp_path / "any.xml", voc(corners="0 0 64 32")), COUNT)
    assert rows(from_zero) == [(3, "window", (0, 0, 1, 1))]


def test_a_folder_of_voc(tmp_path: Path) -> None:
    write(tmp_path / "0003.xml", voc(filename=""))  # called as its image is
    write(tmp_path / "a.xml", "\ufeff" + voc("0005.png").split("<object>")[0] + "</annotation>")
    found = read_boxes(tmp_path, COUNT)
    assert [sample for sample, _, _ in rows(found)] == [3]
    assert np.flatnonzero(found.boxes.seen).tolist() == [3, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotation>", "damaged XML (no element found"),
        ("<annotation></x>", "damaged XML (mismatched tag"),
        ("<?xml version='1.0' encoding='no-such'?><annotation/>", "damaged XML"),
        ("<annotation>&what;</annotation>", "damaged XML (undefined entity"),
        ("<html><body/></html>", "XML of <html>; expected Pascal VOC"),
        ("<annotation/>", "<width> is missing; expected a number"),
        (voc(corners="a 9 48 24"), "object 0: <xmin> is 'a'; expected a number"),
        (voc(corners="nan 9 48 24"), "<xmin> is nan"),
        (voc(corners="inf 9 48 24"), "<xmin> is inf"),
        (voc(corners="48 9 17 24"), "found a box from 47, 8 to 17, 24"),
        (voc(corners="17 9 148 24"), "within the image of 64 × 32 pixels"),
        (voc(name=" "), "object 0: the object is called ''"),
        (voc(filename="0009.png"), "no sample 9"),
    ],
)
def test_voc_damaged(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(write(tmp_path / "v.xml", text))


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE annotation [{LAUGHS}]>",
        '<!DOCTYPE annotation [<!ENTITY secret SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE annotation SYSTEM "http://example.org/voc.dtd">',
        "<!DOCTYPE annotation>",
    ],
)
def test_xml_that_declares_anything_is_refused_at_once(doctype: str, tmp_path: Path) -> None:
    text = voc(filename="&l11;&secret;").replace('<?xml version="1.0"?>', doctype)
    began = time.process_time()  # expanded, these entities would take hours
    assert "refused: it declares a document type" in refusal(write(tmp_path / "v.xml", text))
    assert time.process_time() - began < 10


def test_xml_too_large_for_one_image_is_not_parsed(tmp_path: Path) -> None:
    deep = 200_000
    path = write(tmp_path / "v.xml", "<a>" * deep + "</a>" * deep)
    assert "larger than 1 MiB" in refusal(path)


def test_deep_xml_does_no_harm(tmp_path: Path) -> None:
    deep = 100_000
    path = write(
        tmp_path / "v.xml", "<annotation>" + "<a>" * deep + "</a>" * deep + "</annotation>"
    )
    assert "<width> is missing" in refusal(path)


# CSV

TABLE = """file,kind,x0,y0,x1,y1
samples/0003.png,window,0.25,0.25,0.75,0.75
5.jpg,none,,,,
"""


def test_csv(tmp_path: Path) -> None:
    expected = [(3, "window", (0.25, 0.25, 0.75, 0.75))]
    for text in (TABLE, TABLE.replace(",", ";"), "\ufeff" + TABLE.replace("\n", "\r\n")):
        found = read_boxes(write(tmp_path / "b.csv", text), COUNT)
        assert rows(found) == expected
        assert np.flatnonzero(found.boxes.seen).tolist() == [3, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,kind,x0,y0,x1,y1\n", "expected a header, at least one row"),
        ("file,label\n0001.png,window\n", "a table without kind, x0, x1, y0, y1"),
        ("just some words", "expected a header"),
        ("0 0.5 0.5 0.25 0.25\n", "expected a header"),
        (TABLE + "0004.png,window,10,20,30,40\n", "line 4: found the corners 10, 20, 30, 40"),
        (TABLE + "0004.png,window,nan,0,1,1\n", "line 4: found the corners nan, 0, 1, 1"),
        (TABLE + "0004.png,,0,0,1,1\n", "line 4: the object is called ''"),
        (TABLE + f"0004.png,{'w' * 81},0,0,1,1\n", "expected a word of up to 80"),
        (TABLE + "0006.png,window,0,0,1,1\n", "line 4: no sample 6"),
        (TABLE + "0003.png,window,0,0,1\n", "line 4: 5 cells where the header has 6"),
        (TABLE + "house.png,window,0,0,1,1\n", "line 4: 'house.png' is no sample"),
    ],
)
def test_csv_damaged(text: str, said: str, tmp_path: Path) -> None:
    line = refusal(write(tmp_path / "b.csv", text))
    assert said in line
    assert "--labels" not in line


# Files of nothing known


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not a file of text"),
        ("<annotation/>".encode("utf-16"), "not a file of text"),
        (b"file,kind\n\xff\xfe,x\n", "not a CSV file in UTF-8"),
        (b"{", "damaged JSON"),
        (b'{"format": "dcgan boxes", "seen": [1' + b"0" * 5000 + b"]}", "damaged JSON"),
        (b"[" * 100_000, "damaged JSON"),
        (b'{"a":' * 100_000, "damaged JSON"),
        (b"{} {}", "damaged JSON"),
        (b'{"a": "\xff"}', "damaged JSON"),
        (b"[]", "JSON, but a list"),
        (b"{}", "JSON that holds nothing; expected boxes as JSON of dcgan, COCO or LabelMe"),
        (b'{"type": "FeatureCollection"}', "JSON that holds 'type'; expected boxes"),
        (b'{"format": "dcgan concepts", "version": 1}', "JSON that holds 'format', 'version'"),
    ],
)
def test_files_of_nothing_known(content: bytes, said: str, tmp_path: Path) -> None:
    assert said in refusal(write(tmp_path / "x", content))


@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_boxes_or_one_line(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any", content)
    refusal(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("document", [own(), coco(), labelme()])
@settings(max_examples=50)
@given(data=st.data())
def test_any_part_may_be_anything(
    document: Mapping[str, Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = json.loads(json.dumps(document))
    place = changed
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(json_values)
    path = write(tmp_path_factory.getbasetemp() / "changed.json", changed)
    try:
        found = read_boxes(path, COUNT).boxes
    except SourceError as error:
        line = str(error)
    else:
        line = "read"
        assert found.seen.shape == (COUNT,)
        assert found.seen[found.image].all()
        assert np.isfinite(found.corners).all()
        assert (found.corners[:, :2] < found.corners[:, 2:]).all()
        assert ((found.corners >= 0) & (found.corners <= 1)).all()
    assert len(line.splitlines()) == 1


def test_a_billion_boxes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.json"
    with path.open("wb") as file:
        file.write(b'{"format": "dcgan boxes", "boxes": [')
        file.truncate(40 << 30)  # takes no room on the disk
    assert "larger than 16 MiB" in refusal(path)
    monkeypatch.setattr(box_files, "MAX_BOXES_BYTES", 500)
    for n in range(3):
        write(tmp_path / f"000{n}.json", labelme())
    path.unlink()
    with pytest.raises(SourceError, match="larger than"):
        read_boxes(tmp_path, COUNT)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nope.json")
    assert "a folder without .json or .xml" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in refusal(tmp_path / "pipe")
    write(tmp_path / "boxes.json", own())
    with pytest.raises(
        SourceError, match=r"boxes\.json: not of LabelMe.*give .*boxes\.json itself"
    ):
        read_boxes(tmp_path, COUNT)
