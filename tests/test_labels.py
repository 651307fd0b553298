"""Labels: columns held small, tables joined to images by their paths, boxes checked."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import dataset_files
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgan_cli.data.csv_tables import LabelTable
from dcgan_cli.data.label_files import join_labels, join_table
from dcgan_cli.data.labels import Boxes, Columns, Labels, Words
from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import SourceError


class Images:
    """Names alone, which is all that joining looks at."""

    location = "images"

    def __init__(self, *names: str) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]


def join(text: str, names: Sequence[str], tmp_path: Path) -> Labels:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return join_labels(path, Images(*names))


def refusal(text: str, names: Sequence[str], tmp_path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        join(text, names, tmp_path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Columns


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=5)))
def test_words_come_back_as_they_went(given_words: list[str]) -> None:
    column = Words.collect(given_words)
    assert column.array().tolist() == given_words
    assert pickle.loads(pickle.dumps(column)).array().tolist() == given_words


@pytest.mark.parametrize(("distinct", "size"), [(2, 1), (256, 1), (257, 2), (70_000, 4)])
def test_words_take_as_few_bytes_as_there_are_words(distinct: int, size: int) -> None:
    column = Words.collect(str(n) for n in range(distinct))
    assert column.codes.itemsize == size
    assert column.array()[-1] == str(distinct - 1)


def test_columns_are_a_mapping_of_arrays() -> None:
    columns = Columns({"a": Words.collect(["x", "y", "x"]), "b": np.array([1.0, 2.0, np.nan])})
    assert list(columns) == ["a", "b"]
    assert columns["a"].dtype.kind == "U"
    assert columns["b"].dtype == np.float64
    fewer = columns.take(np.array([2, 0]))
    assert fewer["a"].tolist() == ["x", "x"]
    assert np.array_equal(fewer["b"], [np.nan, 1.0], equal_nan=True)
    both = columns.updated({"b": np.array(["p", "q", "r"]), "c": np.zeros(3)})
    assert list(both) == ["a", "b", "c"]
    assert both["b"].tolist() == ["p", "q", "r"]


def test_taking_images_takes_their_boxes_along() -> None:
    boxes = Boxes(
        image=np.array([0, 2, 2, 3]),
        kind=np.array(["a", "b", "c", "d"]),
        corners=np.arange(16.0).reshape(4, 4) / 16,
        seen=np.array([True, False, True, True]),
    )
    labels = Labels({"n": np.arange(4.0)}, boxes, np.array([True, True, False, False]))
    fewer = labels.take(np.array([0, 2]))
    assert fewer.columns["n"].tolist() == [0.0, 2.0]
    assert fewer.listed is not None
    assert fewer.listed.tolist() == [True, False]
    assert fewer.boxes is not None
    assert fewer.boxes.image.tolist() == [0, 1, 1]
    assert fewer.boxes.kind.tolist() == ["a", "b", "c"]
    assert fewer.boxes.corners.tolist() == boxes.corners[:3].tolist()
    assert fewer.boxes.seen.tolist() == [True, True]


# What cells mean


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("smile", ["1", "0", "", "1"], ["smile", "not_smile", "", "smile"]),
        ("smile", ["1.0", "0.0", "nan", "1.0"], ["smile", "not_smile", "", "smile"]),
        ("Smiling", ["1", "-1", "-1", ""], ["Smiling", "not_Smiling", "not_Smiling", ""]),
        ("male", ["True", "false", "", "TRUE"], ["male", "not_male", "", "male"]),
        ("only", ["1", "1", "", "1"], ["only", "only", "", "only"]),
        ("label", ["3", "0", "9", "1"], ["3", "0", "9", "1"]),
        ("label", ["1", "0", "1", ""], ["1", "0", "1", ""]),
        ("fine_label", ["99", "0", "7", "1"], ["99", "0", "7", "1"]),
        ("Class", ["3", "0", "9", "1"], ["3", "0", "9", "1"]),
        ("person", [" Ann ", "Bo", "", "7"], ["Ann", "Bo", "", "7"]),
        ("empty", ["", "", "", ""], ["", "", "", ""]),
        ("far", ["inf", "1", "2", "3"], ["inf", "1", "2", "3"]),
    ],
)
def test_columns_of_words(name: str, cells: list[str], expected: list[str], tmp_path: Path) -> None:
    rows = "".join(f"{n}.png,{cell}\n" for n, cell in enumerate(cells))
    labels = join(f"file,{name}\n{rows}", [f"{n}.png" for n in range(4)], tmp_path)
    assert labels.columns[name].tolist() == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2", "3", ""], [1, 2, 3, np.nan]),
        (["0.5", "-1e3", "nan", "0"], [0.5, -1000, np.nan, 0]),
        (["0", "1", "-1", "0"], [0, 1, -1, 0]),
        (["0", "0.5", "0", "0.5"], [0, 0.5, 0, 0.5]),
    ],
)
def test_columns_of_numbers(cells: list[str], expected: list[float], tmp_path: Path) -> None:
    rows = "".join(f"{n}.png,{cell}\n" for n, cell in enumerate(cells))
    labels = join(f"file,turn\n{rows}", [f"{n}.png" for n in range(4)], tmp_path)
    assert labels.columns["turn"].dtype == np.float64
    assert np.array_equal(labels.columns["turn"], expected, equal_nan=True)


def test_unlisted_images_are_unknown(tmp_path: Path) -> None:
    labels = join("file,who,n\nb.png,Bo,2.5\nz.png,Zoe,1\n", ["a.png", "b.png"], tmp_path)
    assert labels.columns["who"].tolist() == ["", "Bo"]
    assert np.array_equal(labels.columns["n"], [np.nan, 2.5], equal_nan=True)
    assert labels.listed is not None
    assert labels.listed.tolist() == [False, True]


# Which image a row is about


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["a/x.png"], ["a/x.png", "b/x.png"], [0, None]),  # the same path
        (["x.png"], ["a/x.png", "y.png"], [0, None]),  # a bare name
        (["p/q/x.png"], ["q/x.png"], [0]),  # the source was opened further down
        (["q/x.png"], ["p/q/x.png", "p/x.png"], [0, None]),
        (["a/x.png", "b/x.png"], ["x.png", "y.png", "b/x.png"], [None, None, 1]),
        (["x.png"], ["x.png", "a/x.png"], [0, None]),
        (["x.png"], ["a/x.png", "x.png"], [None, 0]),
        (["x.png", "a/x.png"], ["a/x.png", "y.png"], [1, None]),  # the same path goes first
        (["a/x.png", "y.png"], ["b/x.png", "y.png"], [None, 1]),  # another folder
        ([".\\a\\x.png", "./y.png"], ["a/x.png", "y.png"], [0, 1]),
    ],
)
def test_rows_find_their_images(
    files: list[str], names: list[str], expected: list[int | None]
) -> None:
    rows = [[file, f"row{number}"] for number, file in enumerate(files)]
    table = LabelTable(Path("t.csv"), ["file", "row"], rows, range(2, 2 + len(rows)))
    found = join_table(table, Images(*names)).columns["row"].tolist()
    assert found == ["" if number is None else f"row{number}" for number in expected]


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).flatmap(
        lambda folders: st.permutations([f"{f}/{n}.png" for f in set(folders) for n in range(4)])
    ),
    st.integers(0, 2),
)
def test_the_order_and_the_depth_of_rows_do_not_matter(names: list[str], deeper: int) -> None:
    rows = [["up/" * deeper + name, name] for name in sorted(names)]
    table = LabelTable(Path("t.csv"), ["file", "said"], rows, range(len(rows)))
    assert join_table(table, Images(*names)).columns["said"].tolist() == names


def test_rows_that_match_nothing_are_refused_with_both_sides(tmp_path: Path) -> None:
    line = refusal("file,a\nx/1.jpg,2\nx/2.jpg,3\n", ["n1.png", "n2.png"], tmp_path)
    assert "none of its 2 files is in images" in line
    assert "'x/1.jpg'" in line
    assert "'n1.png'" in line


# Files


def test_semicolons_tabs_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    names = ["a,b.png"]
    assert join("\ufefffile;who\na,b.png;Bo\n", names, tmp_path).columns["who"].tolist() == ["Bo"]
    assert join("file\twho\na,b.png\tBo\n", names, tmp_path).columns["who"].tolist() == ["Bo"]
    text = 'file,who\r\n"a,b.png","Bo, jr"\r\n\r\n'
    assert join(text, names, tmp_path).columns["who"].tolist() == ["Bo, jr"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a header, at least one row"),
        ("file,a\n", "expected a header, at least one row"),
        ("file\na.png\n", "at least two columns"),
        ("file,a\na.png,1,2\n", "line 2: 3 cells where the header has 2"),
        ("file,a\na.png,1\n\nb.png\n", "line 4: 1 cells where the header has 2"),
        ('file,a\na.png,"1\n', "not a CSV file"),
        ("file,a\na.png,1\nb.png,1\na.png,2\n", "'a.png' stands on line 2 and again on line 4"),
    ],
)
def test_tables_that_make_no_sense(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(text, ["a.png"], tmp_path)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(SourceError, match="not a CSV file in UTF-8"):
        join_labels(tmp_path / "x.csv", Images("a"))
    with pytest.raises(SourceError, match=r"--labels .*nope\.csv: No such file"):
        join_labels(tmp_path / "nope.csv", Images("a"))


# Boxes

BOXES = """file,kind,x0,y0,x1,y1
a.png,window,0.1,0.2,0.3,0.4
a.png,door,0,0,1,1
b.png,none,,,,
gone.png,window,0.1,0.2,0.3,0.4
"""


def test_boxes_and_images_that_were_looked_at(tmp_path: Path) -> None:
    labels = join(BOXES, ["c.png", "b.png", "a.png"], tmp_path)
    assert not labels.columns
    boxes = labels.boxes
    assert boxes is not None
    assert boxes.image.tolist() == [2, 2]
    assert boxes.kind.tolist() == ["window", "door"]
    assert boxes.corners.tolist() == [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]]
    assert boxes.seen.tolist() == [False, True, True]


def test_no_box_at_all_is_an_answer(tmp_path: Path) -> None:
    boxes = join("file,kind,x0,y0,x1,y1\na.png,none,,,,\n", ["a.png"], tmp_path).boxes
    assert boxes is not None
    assert boxes.corners.shape == (0, 4)
    assert boxes.seen.tolist() == [True]


@pytest.mark.parametrize(
    "corners", ["10,20,300,400", "0.5,0,0.4,1", "0,0.5,1,0.5", "-0.1,0,1,1", "0,0,1,", "a,b,c,d",
                "nan,0,1,1"],
)  # fmt: skip
def test_corners_must_be_fractions(corners: str, tmp_path: Path) -> None:
    line = refusal(f"file,kind,x0,y0,x1,y1\na.png,w,{corners}\n", ["a.png"], tmp_path)
    assert "line 2" in line
    assert "fractions of width and height" in line


def test_boxes_need_a_kind(tmp_path: Path) -> None:
    assert "need a column kind" in refusal("f,x0,y0,x1,y1\na,0,0,1,1\n", ["a"], tmp_path)


# With a source


def test_labels_join_those_of_the_source(tmp_path: Path) -> None:
    files = dataset_files.images("a/1.png", "a/2.png", "b/1.png", "b/2.png")
    folder = str(dataset_files.write_folder(tmp_path / "x", files))
    table = tmp_path / "t.csv"
    table.write_text("file,smile\na/1.png,1\nb/1.png,0\nb/2.png,1\n")
    source = open_source(folder, labels=table)
    assert source.labels is not None
    assert source.labels.columns["label"].tolist() == ["a", "a", "b", "b"]
    assert source.labels.columns["smile"].tolist() == ["smile", "", "not_smile", "smile"]
    assert source.fingerprint() == open_source(folder).fingerprint()
    fewer = open_source(folder, labels=table, limit=2)
    assert fewer.labels is not None
    assert fewer.labels.columns["smile"].tolist() == ["smile", "not_smile"]
    assert fewer.labels.listed is not None
    assert fewer.labels.listed.tolist() == [True, True]
    table.write_text("file,label\na/1.png,x\n")
    replaced = open_source(folder, labels=table)
    assert replaced.labels is not None
    assert replaced.labels.columns["label"].tolist() == ["x", "", "", ""]


def test_labels_join_records_without_names(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("record,mine\nrecord 3,yes\n")
    source = open_source("digits", labels=table, limit=1797)
    assert source.labels is not None
    assert source.labels.columns["mine"][3] == "yes"
