"""Tables in any width, any encoding: every value stands there whole."""

import io
from typing import Any

import pytest
from rich.console import Console

from dcgan_cli.render.terminal import findings_table, plain_table
from dcgan_cli.report import Estimate, Finding, Report, Table

FINDINGS = Report(
    "Probe",
    findings=[
        Finding(
            "accuracy",
            "accuracy of a linear classifier on all convolution layers",
            Estimate(80.62345, 79.12345, 81.98765, 12345),
            Estimate(19.54321, 18.43219, 20.67891, 12345),
            "random filters of the same shape",
            "82.8 % (CIFAR-10: another data set)",
            " %",
        ),
        Finding("fall", "fall", Estimate(-0.123456, n=3), None, "", "73.8 ± 0.4 %"),
    ],
)
WIDE = Table(
    "Baselines with a title that is longer than any terminal that somebody would open",
    ("who", "accuracy %", "± draws", "settings", "longest heading of all headings"),
    [
        ("D's features, all layers", 80.62, 1234567, "C=0.001, pooled to 4×4", 19.0),
        ("random filters", None, 3, "C=0.01", -0.00001234),
    ],
)
MANY = Table("Many", [f"class {i}" for i in range(30)], [[1000 + i for i in range(30)]])
VALUES = {
    "findings": (
        FINDINGS,
        [
            "80.62 % [79.12, 81.99]",
            "19.54 % [18.43, 20.68]",
            "n=12345",
            "n=3",
            "82.8 %",
            "-0.1235",
            "73.8 ± 0.4 %",
        ],
    ),
    "wide": (
        WIDE,
        ["D's features, all layers", "80.62", "1,234,567", "C=0.001, pooled to 4×4", "-1.234e-05"],
    ),
    "many": (MANY, [f"1,0{i:02d}" for i in range(30)]),
}


class Terminal(io.TextIOWrapper):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(what: Any, width: int, encoding: str, kind: type[io.TextIOWrapper]) -> str:
    file = kind(io.BytesIO(), encoding=encoding, errors="dcgan.readable", newline="")
    console = Console(file=file, width=width, color_system=None)
    table = plain_table(what) if isinstance(what, Table) else findings_table(what)
    console.print(table, crop=False)
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize("width", [1, 12, 40, 60, 80, 200])
@pytest.mark.parametrize("kind", [Terminal, io.TextIOWrapper])
def test_every_value_stands_whole_on_one_line(
    name: str, encoding: str, width: int, kind: type[io.TextIOWrapper]
) -> None:
    what, values = VALUES[name]
    text = shown(what, width, encoding, kind)
    for value in values:
        plain = value if encoding != "ascii" else value.replace("±", "+/-").replace("×", "x")
        assert any(plain in line for line in text.split("\n")), (plain, text)
    assert "…" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_a_terminal_where_values_allow(width: int) -> None:
    for what in (FINDINGS, WIDE):
        lines = shown(what, width, "utf-8", Terminal).split("\n")
        assert max(map(len, lines)) <= width


def test_a_pipe_has_no_width() -> None:
    rows = shown(MANY, 80, "utf-8", io.TextIOWrapper).split("\n")
    assert any("1,000" in row and "1,029" in row for row in rows)


def test_headings_keep_all_their_words_on_a_narrow_terminal() -> None:
    text = " ".join(shown(WIDE, 40, "utf-8", Terminal).split())
    for heading in WIDE.columns[1:]:
        assert all(word in text for word in heading.split())


def test_columns_are_straight_where_characters_are_spelled_out() -> None:
    table = Table("t", ("±", "b"), [("×" * 5, 1), ("x", 2)])
    lines = shown(table, 80, "ascii", io.TextIOWrapper).rstrip("\n").split("\n")[1:]
    assert len({len(line) for line in lines if line}) == 1
