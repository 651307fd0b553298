"""What a busy machine is met with: fewer threads for a run, and threads that do not spin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcgan_cli import cores, runtime
from dcgan_cli.cores import allowed_cores, busy_cores, configure_openmp, free_threads


def stat(folder: Path, running: int) -> Path:
    file = folder / "stat"
    file.write_text(f"cpu  1 2 3\nprocs_running {running}\nprocs_blocked 0\n")
    return file


def test_busy_cores_do_not_count_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "allowed_cores", lambda: 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert [busy_cores(stat(tmp_path, n)) for n in (1, 2, 4, 5, 99)] == [0, 1, 3, 4, 4]
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert busy_cores(stat(tmp_path, 3)) == 0, "there are two cores that are not ours for them"


def test_a_system_that_does_not_say_is_idle(tmp_path: Path) -> None:
    assert busy_cores(tmp_path / "missing") == 0


@given(st.integers(1, 256), st.integers(0, 256))
def test_there_is_always_a_thread(allowed: int, busy: int) -> None:
    assert 1 <= free_threads(allowed, min(busy, allowed)) <= allowed


def test_threads_by_free_cores() -> None:
    assert [free_threads(2, busy) for busy in (0, 1, 2)] == [2, 1, 1]
    assert [free_threads(8, busy) for busy in (0, 3, 8)] == [8, 5, 4]


def test_spinning_is_left_alone_on_an_idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "busy_cores", lambda: 0)
    environment: dict[str, str] = {}
    configure_openmp(environment)
    assert environment == {}


@pytest.mark.parametrize("theirs", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_a_persons_own_setting_wins(theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "busy_cores", lambda: 1)
    environment = {theirs: "7"}
    configure_openmp(environment)
    assert environment == {theirs: "7"}
    environment.clear()
    configure_openmp(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def test_the_command_decides_before_torch_is_imported() -> None:
    code = (
        "import sys, dcgan_cli.cli.app as app\n"
        "def note(): print('torch' in sys.modules, flush=True)\n"
        "app.configure_openmp = note\n"
        "sys.argv = ['dcgan', '--version']\n"
        "app.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "False"


def test_a_run_leaves_others_their_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(runtime, "allowed_cores", lambda: 4)
    monkeypatch.setattr(runtime, "busy_cores", lambda: 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    runtime.use_threads(None, leave_busy_cores=True)
    runtime.use_threads(None)
    runtime.use_threads(None, 2, leave_busy_cores=True)
    runtime.use_threads(3, leave_busy_cores=True)
    assert chosen == [1, 4, 2, 3]
    monkeypatch.undo()
    assert torch.get_num_threads() == before


def test_a_resumed_run_keeps_its_threads(tmp_path: Path) -> None:
    """The last bits of a step belong to a number of threads."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    shape = ["--size", "8", "--ngf", "2", "--ndf", "2", "--limit", "16", "--batch-size", "4"]

    def train(*options: str) -> tuple[int, str]:
        line = [sys.executable, "-m", "dcgan_cli", "train", "demo:faces", "--out", str(tmp_path)]
        done = subprocess.run(
            [*line, *options], env=environment, capture_output=True, text=True, check=True
        )
        config = json.loads((tmp_path / "faces" / "config.json").read_text())
        return config["training"]["threads"], done.stderr

    assert train(*shape, "--steps", "1", "--threads", "1")[0] == 1
    assert train("--resume", "--steps", "2")[0] == 1
    if allowed_cores() > 1:
        assert train("--resume", "--steps", "3", "--threads", "2")[0] == 2
