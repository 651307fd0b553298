"""How values and their intervals are shown: shares with few digits, and bad news once."""

import io

import pytest
from rich.console import Console

from dcgan_cli.analysis.probe_svm.baselines import LABELS
from dcgan_cli.analysis.probe_svm.probe import _notes
from dcgan_cli.analysis.statistics import chain_share
from dcgan_cli.render.terminal import findings_table
from dcgan_cli.report import SHARE, Estimate, Finding, Report


def shown(found: Finding) -> str:
    out = io.StringIO()
    Console(file=out).print(findings_table(Report("r", findings=[found])))
    return out.getvalue()


@pytest.mark.parametrize(("unit", "percent"), [(SHARE, 0.01), (" %", 1.0)])
def test_shares_are_shown_to_a_hundredth_of_a_percent(unit: str, percent: float) -> None:
    value = Estimate(66.66666 * percent, 0.008091 * percent, 100 * percent, 4)
    assert "66.67 % [0.01, 100] n=4" in shown(Finding("key", "label", value, unit=unit))


@pytest.mark.parametrize("value", [0.00123456, 0.0, 1234.56])
def test_other_values_keep_four_digits(value: float) -> None:
    assert f"{value:.4g} sd" in shown(Finding("key", "label", Estimate(value), unit=" sd"))


def test_an_interval_of_half_as_many_says_so() -> None:
    assert "count as half as many" in chain_share(3, 8).kind


def test_a_control_that_is_not_beaten_is_told_once_with_advice() -> None:
    class Split:
        subsets = (type("Subset", (), {"codes": [0]}),)
        pool = 8

    gains = {"random": Estimate(0.1, -1.0, 1.2), "pixels": Estimate(5.0, 4.0, 6.0)}
    (note,) = _notes(gains, Split())  # type: ignore[arg-type]
    assert note.startswith(f"against {LABELS['random']}: train longer")
    assert "better" not in note
