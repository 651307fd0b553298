"""`probe-svm --splits`: several random splits, and an interval that says what varies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Run, command, untrained, untrained_on_digits
from test_cli_interpolate import CONFIG, fails
from test_cli_probe import write_bands

from dcgan_cli.analysis.statistics import over_splits
from dcgan_cli.checkpoint.format import save

QUICK = ("--limit", "300", "--controls", "pixels", "--threads", "1")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "180")
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    save(tmp_path / "model.pt", untrained_on_digits(CONFIG))
    return command("probe-svm", capfdbinary)


def answer(result: tuple[int, bytes, str]) -> dict[str, Any]:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_three_splits_give_a_mean_a_spread_and_an_interval_that_says_what_varies(run: Run) -> None:
    cli_runner = ("model.pt", *QUICK, "--splits", "3", "--json")
    first = run(*cli_runner)
    found = answer(first)
    accuracies = found["split_accuracies_percent"]
    assert (found["splits"], len(accuracies), len(set(accuracies)) > 1) == (3, 3, True)
    own = found["findings"]["accuracy"]
    assert own["value"] == pytest.approx(np.mean(accuracies))
    assert found["split_sd_percent"] == pytest.approx(np.std(accuracies, ddof=1))
    expected = over_splits(accuracies, 240, 60, 0, 100)
    assert (own["low"], own["high"], own["n"]) == (expected.low, expected.high, 3)
    assert "corrected resampled t" in own["interval_kind"]
    assert own["low"] <= min(accuracies)
    assert own["high"] >= max(accuracies)
    error = found["findings"]["error"]
    assert error["value"] == pytest.approx(100 - own["value"])
    assert (error["low"], error["high"]) == pytest.approx((100 - own["high"], 100 - own["low"]))
    assert own["control"]["n"] == 3
    gain = found["findings"]["over_pixels"]
    assert gain["value"] == pytest.approx(own["value"] - own["control"]["value"])
    assert gain["control"]["value"] == 0
    assert [row["accuracy_percent"] for row in found["tables"]["splits"]] == accuracies
    for number in (1, 2, 3):
        assert f"split {number} of 3: accuracy" in first[2]
    assert run(*cli_runner)[1] == first[1]  # the same seed, the same bytes
    alone = answer(run("model.pt", *QUICK, "--json"))
    assert alone["findings"]["accuracy"]["value"] == accuracies[0]


def test_one_random_split_says_that_others_would_differ(run: Run) -> None:
    code, _, err = run("model.pt", *QUICK)
    assert code == 0, err
    assert "the 60 test images are one random split; --splits 10 says how far" in err
    assert "--splits 10" in err


def test_splits_need_something_to_split(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "color.pt", untrained(CONFIG))
    write_bands(tmp_path / "bands", split=True)
    line = ("color.pt", "--train", "bands", "--labels", "labels.csv", "--label-column", "band")
    fails(run(*line, "--splits", "3"), 2, "--splits 3: the column split says which")
    fails(run("model.pt", "--test", "bands", "--splits", "3"), 2, "--splits 3: splits --train")
