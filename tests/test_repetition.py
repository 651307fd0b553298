"""What commands share is written once."""

import re
from pathlib import Path

from repetition import LINES, MOST, ROOT, of_commands, repeated


def test_commands_hardly_repeat_each_other() -> None:
    assert len(of_commands()) <= MOST


def test_a_repetition_is_found_whatever_its_whitespace_and_imports(tmp_path: Path) -> None:
    steps = [f"call({number})" for number in range(LINES)]
    (tmp_path / "one.py").write_text("\n".join(steps))
    other = ["import os", "", "def work():", *(f"    {step}\n    import os" for step in steps)]
    (tmp_path / "other.py").write_text("\n".join(other))
    files = [tmp_path / "one.py", tmp_path / "other.py"]
    assert repeated(files) == [((files[0], 1), (files[1], 4))]
    files[0].write_text("\n".join(steps[:-1]))
    assert repeated(files) == []


def test_reports_are_put_together_in_analysis() -> None:
    """Commands show them; only the shared end of a command adds where files were written."""
    made = re.compile(r"\bReport\(|replace\(\s*report\b")
    files = {
        path for path in (ROOT / "dcgan_cli/cli").rglob("*.py") if made.search(path.read_text())
    }
    assert files == {ROOT / "dcgan_cli/cli/results.py"}
