"""Verdicts: one plain line first, of the report's own values, that never claims more than they do."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dcgan_cli.analysis.arithmetic.evaluation import _verdict as arithmetic_verdict
from dcgan_cli.analysis.arithmetic.turn import turn_verdict
from dcgan_cli.analysis.drop_filters.drop_experiment import DropPlan
from dcgan_cli.analysis.drop_filters.filters import Ranking
from dcgan_cli.analysis.drop_filters.forgetting import forgetting_verdict
from dcgan_cli.analysis.guided_backprop.guided import guided_verdict
from dcgan_cli.analysis.interpolate.interpolation import _verdict as walk_verdict
from dcgan_cli.analysis.interpolate.transitions import Measures
from dcgan_cli.analysis.nearest_neighbors.memorization import MemorizationTest
from dcgan_cli.analysis.nearest_neighbors.neighbor_report import notes, verdict
from dcgan_cli.analysis.probe_svm.probe import probe_verdict
from dcgan_cli.analysis.verdicts import compare, percent
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.options import Streams
from dcgan_cli.cli.results import conclude
from dcgan_cli.report import SHARE, TIMES, Estimate, Finding, Report, Table

UNCLEAR = "no clear difference"


@pytest.mark.parametrize(
    ("value", "control", "clear"),
    [
        (Estimate(0.5, 0.4, 0.6), Estimate(0.2, 0.1, 0.3), 1),
        (Estimate(0.1, 0.0, 0.2), Estimate(0.5, 0.3, 0.7), -1),
        (Estimate(0.5, 0.4, 0.6), Estimate(0.3, 0.2, 0.45), 0),
        (Estimate(0.5, 0.4, 0.6), Estimate(0.4, 0.3, 0.4), 0),  # ends that touch
        (Estimate(0.7, 0.6, 0.8), Estimate(0.5), 1),  # chance is a known number
        (Estimate(0.5, 0.4, 0.6), Estimate(0.5), 0),
        (Estimate(0.9), Estimate(0.5, 0.3, 0.7), 1),
        (Estimate(0.9), Estimate(0.1), 0),  # one draw each says nothing
        (Estimate(math.nan), Estimate(0.1, 0.0, 0.2), 0),
        (Estimate(math.nan, math.nan, math.nan), Estimate(0.1, 0.0, 0.2), 0),
    ],
)
def test_a_difference_is_clear_where_intervals_do_not_meet(
    value: Estimate, control: Estimate, clear: int
) -> None:
    assert compare(value, control) == clear


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.52, "52 %"), (0.0004, "0.04 %"), (0.9996, "99.96 %")],
)
def test_shares_in_words_are_not_rounded_to_none_or_all(share: float, text: str) -> None:
    assert percent(share) == text


# What each analysis says


def plan(keep_only: bool = False) -> DropPlan:
    zeros = np.zeros(256)
    return DropPlan(Ranking(1, zeros, zeros, Estimate(0.9)), 61, keep_only, 0)


def forgetting(after: Estimate, random: Estimate, fall: Estimate) -> dict[str, Finding]:
    before = Estimate(0.52, 0.45, 0.59)
    return {
        "found_before": Finding("found_before", "", before),
        "found_after": Finding("found_after", "", after, random),
        "fall": Finding("fall", "", fall),
    }


def test_forgetting() -> None:
    clear = forgetting(
        Estimate(0.09, 0.06, 0.14), Estimate(0.53, 0.45, 0.6), Estimate(0.8, 0.7, 0.9)
    )
    assert forgetting_verdict("window", plan(), clear) == (
        "window: found in 52 % of the samples before, 9 % after 61 of 256 maps are dropped; "
        "53 % when as many random maps are dropped"
    )
    kept = forgetting_verdict("window", plan(True), clear)
    assert "9 % with 61 of 256 maps kept alone; 53 % with as many random maps kept alone" in kept
    like_random = forgetting(
        Estimate(0.3, 0.25, 0.36), Estimate(0.4, 0.2, 0.6), Estimate(0.4, 0.3, 0.5)
    )
    said = forgetting_verdict("window", plan(), like_random)
    assert UNCLEAR in said
    assert "no clear change" not in said
    nothing = forgetting(
        Estimate(0.5, 0.43, 0.57), Estimate(0.2, 0.1, 0.3), Estimate(0.04, -0.1, 0.2)
    )
    said = forgetting_verdict("window", plan(), nothing)
    assert "more often than with random maps" in said
    assert said.endswith("no clear change")


def walk(sharpest: list[float]) -> Measures:
    both = np.array(sharpest)[:, None].repeat(2, 1)
    return Measures(np.ones_like(both), both, np.ones(len(both)))


@pytest.mark.parametrize(
    ("own", "untrained", "said"),
    [
        ([2.0, 2.1, 2.0, 1.9, 2.1, 2.0], [1.1, 1.2, 1.1, 1.1, 1.2, 1.1], "(less steady than"),
        ([1.1, 3.0, 1.1, 1.0, 5.0, 1.1], [1.2, 3.0, 1.1, 1.0, 4.0, 1.1], f"({UNCLEAR} from"),
        ([1.1, 1.2, 1.1, 1.1, 1.2, 1.1], [2.0, 2.1, 2.0, 1.9, 2.1, 2.0], "(steadier than"),
        ([300.0, 2.0, 400.0], [1.1, 1.2, 1.1], "jumps in 2 of 3 segments (rows 0, 2, counted"),
        ([math.nan] * 3, [1.1, 1.2, 1.1], "no change: "),
    ],
)
def test_walks(own: list[float], untrained: list[float], said: str) -> None:
    films = {"generator": walk(own), "untrained": walk(untrained), "cross-fade": walk([1.0] * 3)}
    text = walk_verdict(films, None)
    assert said in text
    assert text.startswith(f"no jump in {len(own)} segments: ") == (max(own) < 16)


@pytest.mark.parametrize(
    ("share", "control", "seeds", "said"),
    [
        (Estimate(0.89), Estimate(0.22), 1, "8 of 9 results, 2 along random directions; "),
        (Estimate(0.81, 0.7, 0.9), Estimate(0.2, 0.1, 0.3), 9, "81 % of the results, 20 % along"),
        (Estimate(0.31, 0.1, 0.5), Estimate(0.2, 0.1, 0.3), 9, f"directions ({UNCLEAR})"),
        (Estimate(0.01, 0.0, 0.05), Estimate(0.2, 0.1, 0.3), 9, "directions (fewer)"),
    ],
)
def test_arithmetic(share: Estimate, control: Estimate, seeds: int, said: str) -> None:
    found = [Finding("share", "", share, control)]
    text = arithmetic_verdict(found, {"sex": "man"}, "smiling man", seeds)
    assert text.startswith("smiling man: ")
    assert said in text
    assert ("how sure" in text) == (seeds == 1)
    assert (UNCLEAR in text) == (UNCLEAR in said)
    clean = Finding("clean", "", Estimate(0.9, 0.8, 1.0), Estimate(0.1, 0.0, 0.2))
    text = arithmetic_verdict([*found, clean], {"sex": "man"}, "smiling man", 9)
    assert text.endswith("; and one image, no overlay: 90 % of the results, 10 % on pixels")
    assert arithmetic_verdict([], {}, "what the terms say", 1).startswith("not measured: ")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (Estimate(0.9, 0.8, 0.95), "turn turns: "),
        (Estimate(0.1, -0.2, 0.3), f"turn: {UNCLEAR} from random directions: "),
        (Estimate(-0.9, -0.95, -0.8), "turn does not turn: "),
    ],
)
def test_turns(own: Estimate, said: str) -> None:
    found = Finding("rank_correlation", "", own, Estimate(0.0, -0.1, 0.1))
    assert turn_verdict("turn", found).startswith(said)


def test_probes() -> None:
    findings = [
        Finding("accuracy", "", Estimate(92.14, 90, 94)),
        Finding("error", "", Estimate(7.86, 6, 10)),
        Finding("over_random", "", Estimate(3.2, 1.0, 5.4)),
        Finding("over_pixels", "", Estimate(0.3, -1.0, 2.0)),
        Finding("over_knn", "", Estimate(-2.5, -4.0, -1.0)),
    ]
    assert probe_verdict(findings) == (
        "accuracy 92.1 %: better than random filters (+3.2 points); no clear difference from pixels "
        "(+0.3 points); worse than k nearest in pixels (-2.5 points)"
    )
    assert probe_verdict(findings[:2]) == "accuracy 92.1 %"


def closeness(copies: int) -> Mapping[str, MemorizationTest]:
    stream = np.random.default_rng(0)
    samples = stream.uniform(0.5, 1, 500)
    samples[:copies] = 0.01
    test = MemorizationTest(samples, stream.uniform(0.5, 1, 500))
    return {"outlines": test, "features": test}


def test_memorization() -> None:
    found = verdict(closeness(100), 500, 500)
    assert found.startswith("memorized (p = ")
    assert "of 500 are closer to a training image than" in found
    none = verdict(closeness(0), 500, 500)
    assert none.startswith("not memorized: no copies found among 500 images, beside 500 held-out")
    assert "would not be found" in none
    test = MemorizationTest(np.full(5, 0.9), np.array([0.8, 0.7]))
    few = verdict({"outlines": test, "features": test}, 5, 2)
    assert few.startswith("no verdict: ")
    assert "set aside" in verdict(closeness(0), 500, 500, trained_on=True)
    assert "trained on" in notes(closeness(0), True)[0]
    assert notes(closeness(0), False) == ()


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (Estimate(0.6, 0.2, 1.0), "look at objects more than"),
        (Estimate(0.1, -0.2, 0.4), UNCLEAR),
        (Estimate(-0.5, -0.8, -0.2), "look at objects less than"),
    ],
)
def test_guided_backpropagation(gain: Estimate, said: str) -> None:
    filled = Finding("concentration", "", Estimate(0.1, 0.05, 0.2), Estimate(0.4, 0.3, 0.5))
    overlap = Finding("overlap", "", Estimate(1.8, 1.5, 2.1), Estimate(1.2, 0.9, 1.5))
    places = Finding("overlap_same_places", "", gain, Estimate(0.0))
    whole = {each.key: each for each in (filled, overlap, places)}
    assert said in guided_verdict(whole)
    assert "trained filters look at less of their field" in guided_verdict(
        {"concentration": filled}
    )


# How it is printed


def findings(count: int, marked: int) -> list[Finding]:
    control = Estimate(0.5)
    return [
        Finding(
            f"key_{i}", f"label {i}.", Estimate(0.25, 0.2, 0.3, 9, "95 % Wilson, n=9"), control,
            "chance", unit=SHARE, better="up", headline=i < marked,
        )
        for i in range(count)
    ]  # fmt: skip


REPORT = Report(
    "Probe",
    findings=findings(9, 8),
    tables=[Table("Baselines", ("who",), [("random filters",)])],
    notes=["a note"],
    verdict="better than chance",
)


def test_the_verdict_is_the_first_line_and_six_rows_follow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    conclude(Console(), REPORT, Streams(), out=Path("a.png"))
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert (lines[0], lines[-1]) == ("better than chance", "a.png")
    assert [i for i in range(9) if f"label {i}." in out] == [0, 1, 2, 3, 4, 5]
    assert "label 0. ↑" in out
    assert "25 % [20, 30] n=9" in out
    assert "50 % chance" in out
    assert "Baselines" not in out
    assert "a note" in err
    assert "more values: --verbose; all of them: --json" in err


def test_verbose_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    conclude(Console(), REPORT, Streams(verbose=True))
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "better than chance"
    assert all(f"label {i}." in out for i in range(9))
    assert "random filters" in out
    assert "more values" not in err


def test_json_holds_everything_with_and_without_verbose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    for verbose in (False, True):
        conclude(Console(), REPORT, Streams(json=True, verbose=verbose))
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert '"verdict": "better than chance"' in said[0]
    assert '"key_8"' in said[0]
    assert '"baselines"' in said[0]


def test_an_image_on_stdout_has_it_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    conclude(Console(), REPORT, Streams(), out=Path("-"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "better than chance" in err
    assert "label 0." in err


def test_a_report_without_findings_shows_the_head_of_its_first_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables = [Table("Work", ("n",), [(f"row {i}.",) for i in range(8)]), Table("More", ("n",), [])]
    conclude(Console(), Report("Profile", tables=tables, verdict="v"), Streams())
    out, err = capsys.readouterr()
    assert [i for i in range(8) if f"row {i}." in out] == [0, 1, 2, 3, 4, 5]
    assert "More" not in out
    assert "more values: --verbose" in err


@pytest.mark.parametrize(
    ("unit", "text"), [("", "0.25"), (SHARE, "25 %"), (TIMES, "0.25×"), (" sd", "0.25 sd")]
)
def test_values_have_their_unit(unit: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("k", "label", Estimate(0.25), unit=unit, headline=True)
    conclude(Console(), Report("R", findings=[finding]), Streams())
    cells = next(line for line in capsys.readouterr().out.splitlines() if "label" in line)
    assert cells.split("│")[2].strip() == text
