"""Tables of labels as people have them: which row is about which image, and what is said of it."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_labels import Images

from dcgan_cli.data.csv_tables import LabelTable
from dcgan_cli.data.label_files import join_labels, join_table
from dcgan_cli.data.labels import Labels
from dcgan_cli.errors import SourceError


def join(text: str | bytes, names: Sequence[str], tmp_path: Path) -> Labels:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return join_labels(path, Images(*names))


def column(text: str | bytes, names: Sequence[str], tmp_path: Path, name: str = "who") -> list[str]:
    return join(text, names, tmp_path).columns[name].tolist()


FACES = ["Aaron_0001.jpg", "Zoe_0001.jpg"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id,who\nAaron_0001,A\nZoe_0001,Z\n", FACES),  # no endings
        ("id,who\nAaron_0001.png,A\nZoe_0001.png,Z\n", FACES),  # images were converted
        (",file,who\n0,Aaron_0001.jpg,A\n1,Zoe_0001.jpg,Z\n", FACES),  # pandas' index
        ("Unnamed: 0,file,who\n7,Aaron_0001.jpg,A\n3,Zoe_0001.jpg,Z\n", FACES),
        (",file,who\n0,0.png,A\n1,1.png,Z\n", ["0.png", "1.png"]),
        (",file,who\n0,1.png,A\n1,0.png,Z\n", ["1.png", "0.png"]),
        ("who,age,image\nA,5,Aaron_0001.jpg\nZ,6,Zoe_0001.jpg\n", FACES),  # not first
        ("who,image\nA,Aaron_0001\nZ,Zoe_0001\n", FACES),
        ("file,who\nAARON_0001.JPG,A\nzoe_0001.jpg,Z\n", FACES),
        ("file,who,,\nAaron_0001.jpg,A,,\nZoe_0001.jpg,Z,,\n", FACES),  # trailing commas
        ("file,who\nAaron_0001.jpg,A,,\nZoe_0001.jpg,Z,\n", FACES),
        ("file,who\r\n\r\nAaron_0001.jpg,A\r\n ,\r\nZoe_0001.jpg,Z\r\n,,\r\n", FACES),
        ("\ufefffile;who\nAaron_0001.jpg;A\nZoe_0001.jpg;Z\n", FACES),
        ('"file"\t"who"\n"Aaron_0001.jpg"\t"A"\n"Zoe_0001.jpg"\t"Z"\n', FACES),
        ("file,who\nC:\\data\\set\\Aaron_0001.jpg,A\nC:\\data\\set\\Zoe_0001.jpg,Z\n", FACES),
        ("file,who\n/home/me/Aaron_0001.jpg,A\n./Zoe_0001.jpg,Z\n", FACES),
        ("file,who\nold/Aaron_0001.jpg,A\nold/Zoe_0001.jpg,Z\n", [f"new/{f}" for f in FACES]),
        ("id,who\n1,A\n2,Z\n", ["000001.jpg", "000002.jpg"]),  # CelebA's numbers
        ("id,who\n1.0,A\n2.0,Z\n", ["a/000001.jpg", "a/000002.jpg"]),
        ("file,who\n1,Aaron_0001.jpg,A\n2,Zoe_0001.jpg,Z\n", FACES),  # R's row names
        ("file,who\nAaron_0001.jpg,A\nZoe_0001.jpg,Z\nAaron_0001.jpg,A\n", FACES),  # said twice
    ],
)
def test_rows_find_their_images(text: str, names: list[str], tmp_path: Path) -> None:
    labels = join(text, names, tmp_path)
    assert labels.columns["who"].tolist() == ["A", "Z"]
    assert set(labels.columns) <= {"who", "age"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_match_composed_and_decomposed(form: str, tmp_path: Path) -> None:
    name = unicodedata.normalize(form, "Zoë/café.png")
    other = unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], name)
    assert name != other
    assert column(f"file,who\n{name},A\n", [other], tmp_path) == ["A"]


def test_names_that_only_look_alike_are_shown_by_their_code_points(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"\\u0430\.png") as caught:
        join("file,who\n\u0430.png,A\n", ["b.png"], tmp_path)  # a Cyrillic letter
    assert "'b.png'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("a.jpg,Ann\nb.jpg,Bo\n", ["a.jpg", "b.jpg"], {"label": ["Ann", "Bo"]}),
        ("a.jpg,1,x\nb.jpg,0,y\n", ["a.jpg", "b.jpg"],
         {"column_2": ["column_2", "not_column_2"], "column_3": ["x", "y"]}),
        ("Ann,a\nBo,b\n", ["a.jpg", "b.jpg"], {"label": ["Ann", "Bo"]}),
        ("gone.jpg,Ann\nb.jpg,Bo\n", ["a.jpg", "b.jpg"], {"label": ["", "Bo"]}),
        ("1,Ann\n2,Bo\n", ["001.jpg", "002.jpg"], {"label": ["Ann", "Bo"]}),
    ],
)  # fmt: skip
def test_a_first_row_of_data_does_not_vanish(
    text: str, names: list[str], expected: dict[str, list[str]], tmp_path: Path
) -> None:
    labels = join(text, names, tmp_path)
    assert {name: values.tolist() for name, values in labels.columns.items()} == expected
    assert any("its first row is data" in note for note in labels.notes)


def test_a_header_is_no_row_though_an_image_has_its_name(tmp_path: Path) -> None:
    labels = join("image,who\nimage.png,I\nb.png,B\n", ["image.png", "b.png"], tmp_path)
    assert labels.columns["who"].tolist() == ["I", "B"]


@pytest.mark.parametrize(
    ("text", "names", "said"),
    [
        ("file,who\nx.png,A\n", ["a/x.png", "b/x.png"], "could be 'a/x.png' or 'b/x.png'"),
        ("id,who\nx,A\n", ["x.png", "x.jpg"], "could be 'x.png' or 'x.jpg'"),
        ("file,who\nX.PNG,A\n", ["x.png", "x.PNG"], "could be"),
        ("id,who\n1,A\n", ["a/01.png", "b/001.png"], "could be"),
        ("file,who\nx.png,A\nx.png,B\n", ["x.png"], "line 2 and again on line 3"),
        ("file,who\nx.png,A\n./x.png,B\n", ["x.png"], "as './x.png', with other values"),
        ("file,who,who\nx.png,A,B\n", ["x.png"], "both called who"),
        (",file\n0,x.png\n1,y.png\n", ["x.png", "y.png"], "no column of labels"),
    ],
)
def test_what_is_ambiguous_is_refused(
    text: str, names: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as caught:
        join(text, names, tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_how_rows_matched_and_what_did_not_is_said(tmp_path: Path) -> None:
    names = ["a.jpg", "B.jpg", "c.jpg"]
    rows = "".join(f"{n},gone{n}.jpg\n" for n in range(5))
    labels = join(f"who,file\nA,a.jpg\nB,b.jpg\nC,c\n{rows}", names, tmp_path)
    said = " ".join(labels.notes)
    assert "named by column 2, 'file'" in said
    assert "1 by name, 1 without regard to upper and lower case, 1 by name without ending" in said
    assert "5 of 8 files in it are not among the images: 'gone0.jpg', 'gone1.jpg'" in said
    assert join("file,who\na.jpg,A\n", names, tmp_path).notes == ()


def test_latin1_and_utf16(tmp_path: Path) -> None:
    text = "file,who\ncafé.png,Zoë\n"
    labels = join(text.encode("latin-1"), ["café.png"], tmp_path)
    assert labels.columns["who"].tolist() == ["Zoë"]
    assert "read as Windows-1252" in labels.notes[0]
    assert column(text.encode("utf-16"), ["café.png"], tmp_path) == ["Zoë"]


def test_a_column_without_a_name_that_holds_words_gets_one(tmp_path: Path) -> None:
    labels = join("file,\nx.png,red\ny.png,blue\n", ["x.png", "y.png"], tmp_path)
    assert labels.columns["column_2"].tolist() == ["red", "blue"]


def test_the_place_of_the_source_is_a_part_of_its_names(tmp_path: Path) -> None:
    source = Images("1.png", "2.png")
    source.location = str(tmp_path / "set" / "train")
    rows = [["train/1.png", "a"], ["test/1.png", "b"], ["test/2.png", "c"]]
    labels = join_table(LabelTable(Path("t.csv"), ["file", "who"], rows, range(2, 5)), source)
    assert labels.columns["who"].tolist()[0] == "a"


def test_numbers_of_another_column_name_no_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none of its 2 files"):
        join("file,age,smile\nx.png,1,1\ny.png,2,0\n", ["a/001.jpg", "a/002.jpg"], tmp_path)


NAME = st.text("abcXYZ01é_", min_size=1, max_size=5)
SPELL = st.sampled_from(
    [
        lambda name: name,
        lambda name: f"./{name}",
        lambda name: f"D:\\old\\{name}".replace("/", "\\"),
        lambda name: f"/srv/data/{name}",
        lambda name: name.rpartition(".")[0],
        lambda name: unicodedata.normalize("NFD", name),
    ]
)


@given(
    st.lists(
        NAME, min_size=1, max_size=6, unique_by=lambda s: unicodedata.normalize("NFC", s.casefold())
    ),
    SPELL,
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_spelling_of_all_names_finds_all_images(
    stems: list[str], spell: object, first: bool, random: object
) -> None:
    names = [f"d/{stem}.png" for stem in stems]
    order = list(names)
    random.shuffle(order)  # type: ignore[attr-defined]
    cells = [[spell(name), f"is {name}"] for name in order]  # type: ignore[operator]
    header = ["file", "said"] if first else ["said", "file"]
    rows = cells if first else [row[::-1] for row in cells]
    labels = join_table(LabelTable(Path("t.csv"), header, rows, range(len(rows))), Images(*names))
    assert labels.columns["said"].tolist() == [f"is {name}" for name in names]
