"""stdout and stderr as they come: other encodings, closed, full, or read by somebody who leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dcgan_cli.cli.app import COMMANDS
from dcgan_cli.render.readable import readable

posix = pytest.mark.skipif(os.name != "posix", reason="needs /dev/full and a POSIX shell")

HELP = [["--help"], *([name, "--help"] for name, _ in COMMANDS)]
LIST = ["concepts", "list", "demo-faces"]


def dcgan(
    *arguments: str, shell: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command as a process of its own; `shell` is what stands behind it: `>&-`, `| head -1`."""
    line = [sys.executable, "-m", "dcgan_cli", *arguments]
    environment = {**os.environ, **environment}
    if shell:
        line = ["bash", "-o", "pipefail", "-c", f'"$@" {shell}', "bash", *line]
    return subprocess.run(
        line, capture_output=True, env=environment, cwd=cwd, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [*((line, "cp1252") for line in HELP), (["train", "--help"], "ascii")],
    ids=str,
)
def test_help_is_whole_in_any_encoding(arguments: Sequence[str], encoding: str) -> None:
    done = dcgan(*arguments, PYTHONIOENCODING=encoding)
    whole = dcgan(*arguments, PYTHONIOENCODING="utf-8")
    assert (done.returncode, done.stderr) == (0, b"")

    def words(text: str) -> list[str]:  # without the frames, whose characters differ
        return "".join(c if c.isalnum() or c in "-<>" else " " for c in text).split()

    theirs = readable(whole.stdout.decode(), encoding)
    longer = [word for word in words(theirs) if set(word) != {"-"}]
    shorter = [word for word in words(done.stdout.decode(encoding)) if set(word) != {"-"}]
    assert sorted(longer) == sorted(shorter)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_results_notes_and_errors_survive_any_encoding(encoding: str, tmp_path: Path) -> None:
    out = tmp_path / "中±é.png"
    done = dcgan("sample", "demo-rooms", "-n", "1", "-o", str(out), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert out.exists()
    assert "\\u4e2d" in done.stdout.decode(encoding)
    done = dcgan("sample", "gibt’s→nicht", PYTHONIOENCODING=encoding)
    assert done.returncode == 1
    assert b"->nicht" in done.stderr
    assert b"internal" not in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "C"},
    ],
)
def test_tables_survive_any_encoding(environment: dict[str, str]) -> None:
    done = dcgan(*LIST, **environment)
    assert done.returncode == 0, done.stderr
    assert b"smiling_woman" in done.stdout
    assert json.loads(dcgan(*LIST, "--json", **environment).stdout)["concepts"]


@posix
@pytest.mark.parametrize("arguments", [*HELP, LIST, [*LIST, "--json"]], ids=" ".join)
def test_a_reader_may_leave(arguments: Sequence[str]) -> None:
    done = dcgan(*arguments, shell="| head -1")
    assert done.returncode == 0, done.stderr
    assert b"rror" not in done.stderr


@posix
@pytest.mark.parametrize(
    "arguments", [["train", "--help"], ["--version"], [*LIST, "--json"]], ids=" ".join
)
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_a_stdout_that_takes_nothing_is_told_in_a_line(
    arguments: Sequence[str], where: str
) -> None:
    done = dcgan(*arguments, shell=where)
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("dcgan: cannot write to stdout: ")
    assert b"internal" not in done.stderr
    assert b"Exception" not in done.stderr


@posix
@pytest.mark.parametrize("where", ["2>/dev/full", "2>&- <&-"])
def test_a_command_needs_no_stderr(where: str, tmp_path: Path) -> None:
    done = dcgan("sample", "demo-rooms", "-n", "1", shell=where, cwd=tmp_path)
    assert (done.returncode, done.stdout.decode()) == (0, "samples.png\n")
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


@posix
def test_a_image_on_a_full_device_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = dcgan("sample", "demo-rooms", "-q", "-o", "-", shell=">/dev/full", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "dcgan: cannot write to stdout: No space left on device; what was to be said there is lost"
    ]


def test_names_that_are_no_text_are_written_as_they_are() -> None:
    script = (
        "from dcgan_cli.cli.streams import secure_streams; secure_streams(); "
        r"print('a\udcffb'); print('±')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.stdout.splitlines() == [b"a\xffb", "±".encode()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("± × − … → │", "+/- x - ... -> |"),
        ("┏━┓", "+-+"),
        ("é", "e"),
        ("e\u0301", "e"),
        ("中", "\\u4e2d"),
        ("β₁", "beta1"),
    ],
)
def test_readable_ascii(text: str, expected: str) -> None:
    assert readable(text, "ascii") == expected
