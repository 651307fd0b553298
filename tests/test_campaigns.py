"""The campaigns at a small number of cases with fixed seeds, and that they would see what is wrong."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaigns.running import READ, Kind, Result, Unclean, run_kind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")

ROOT = Path(__file__).parents[1]


def test_every_kind_ends_clean(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    line = ["--mutants", "10", "--kills", "2", "--seed", "7", "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "tests/campaigns", *line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = {row["kind"]: row for row in json.loads(out.read_text())}
    assert len(results) >= 19
    assert all(row["clean"] == row["cases"] > 0 for row in results.values())
    assert results["kill-train"]["read"] == 2
    assert sum(row["read"] for row in results.values()) > 20
    assert sum(row["refused"] for row in results.values()) > 100
    assert "0 unclean" in done.stdout


def ran(case: object, count: int = 3, seconds: float = 5.0) -> Result:
    kind = Kind("x", "", lambda _: None, lambda stream, base, place: case(stream), seconds)  # type: ignore[operator]
    return run_kind(kind, count, 10)


def die(_: random.Random) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return READ


def hang(_: random.Random) -> str:
    time.sleep(60)
    return READ


def swell(_: random.Random) -> str:
    held = bytearray(b"x") * (1100 << 20)
    return READ if held else ""


def start_a_program(_: random.Random) -> str:
    subprocess.run(["true"], check=False)
    return READ


def fail(_: random.Random) -> str:
    raise ZeroDivisionError("in\ntwo lines")


def classifier(_: random.Random) -> str:
    raise Unclean("a stale state was accepted")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (die, "the process died (SIGKILL)"),
        (swell, "it took 1,1"),
        (start_a_program, "it caused subprocess.Popen"),
        (fail, "ZeroDivisionError: in two lines"),
        (classifier, "a stale state was accepted"),
    ],
)
def test_what_is_not_clean_is_reported_with_its_seed(case: object, said: str) -> None:
    result = ran(case)
    assert sorted(result.unclean) == [10, 11, 12]
    assert all(what.startswith(said) for what in result.unclean.values())
    assert result.to_dict()["clean"] == 0


def test_a_case_that_hangs_is_ended() -> None:
    result = ran(hang, 2, seconds=0.3)
    assert result.unclean == {10: "no end after 0.3 s", 11: "no end after 0.3 s"}


def test_the_cases_after_an_unclean_one_are_run() -> None:
    def case(stream: random.Random) -> str:
        if stream.random() < 0.5:
            os._exit(3)
        return READ

    result = ran(case, 20)
    assert result.outcomes[READ] + len(result.unclean) == 20
    assert 0 < len(result.unclean) < 20
    assert ran(case, 20).unclean == result.unclean
