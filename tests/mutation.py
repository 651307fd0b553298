"""Which small mistakes in the code would no test see? Mutants of what keeps a person's files and runs.

    pip install -e '.[mutation]'
    python tests/mutation.py                              # 150 mutants of all files, seed 0
    python tests/mutation.py --most 40 checkpoint.find    # of one module

mutmut (configured in pyproject.toml, which says what is mutated and by which tests it is looked
for) makes every mutant, and tries each in a fork of one warm process. Here a sample is drawn with a
fixed seed, so that a run is bounded and can be repeated, and tried on one core. mutmut works in a
folder of its own, mutants/. Prints the survivors and their share; `mutmut show NAME` shows one.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SURVIVED = 0
"""Exit code of tests that saw nothing."""


def results(parts: list[str]) -> dict[str, int | None]:
    """Exit codes of the tests by mutant, None where it was not tried; those of modules `parts`."""
    found: dict[str, int | None] = {}
    for file in sorted((ROOT / "mutants").rglob("*.py.meta")):
        found |= json.loads(file.read_text())["exit_code_by_key"]
    wanted = [f"dcgan_cli.{part}." for part in parts] or ["dcgan_cli."]
    return {name: code for name, code in found.items() if name.startswith(tuple(wanted))}


def mutmut(minutes: float, *names: str) -> None:
    """Make all mutants and try those called `names`, for `minutes` at most."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
    subprocess.run(command, cwd=ROOT, check=False, timeout=60 * minutes)


def main() -> int:
    """Draw, try, tell; returns 0 where mutants were tried at all."""
    parser = argparse.ArgumentParser(description="Try mutants of the code on the tests.")
    parser.add_argument("parts", nargs="*", help="modules below dcgan_cli, such as checkpoint.find")
    parser.add_argument("--most", type=int, default=150, help="mutants to try")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which the run ends")
    options = parser.parse_args()
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    mutmut(options.minutes, "no mutant: only make them")
    names = sorted(results(options.parts))
    drawn = random.Random(options.seed).sample(names, min(options.most, len(names)))
    try:
        mutmut(options.minutes, *drawn)
    except subprocess.TimeoutExpired:
        print(f"ended after {options.minutes:g} minutes", file=sys.stderr)
    codes = {name: code for name, code in results(options.parts).items() if name in set(drawn)}
    tried = {name: code for name, code in codes.items() if code is not None}
    survivors = [name for name, code in tried.items() if code == SURVIVED]
    print(*survivors, sep="\n")
    share = len(survivors) / len(tried) if tried else float("nan")
    print(
        f"{len(survivors)} of {len(tried)} mutants survived ({share:.1%}); "
        f"{len(names)} there are, seed {options.seed}"
    )
    return 0 if tried else 1


if __name__ == "__main__":
    sys.exit(main())
