"""Which small mistakes in the code would no test see? Mutants of what keeps a person's files and runs.

    pip install -e '.[mutation]'
    python tests/mutation.py                            # 20 mutants of each module, seed 0
    python tests/mutation.py --most 40 checkpoint.find  # of one module
    python tests/mutation.py files.x_storage_error      # of one function, or one mutant by its name
    python tests/mutation.py --again                    # the survivors of the last run, by new
    tests

mutmut (configured in pyproject.toml, which says what is mutated and by which tests it is looked
for) makes every mutant, and tries each in a fork of one warm process by the tests that call the
mutated function, fast ones first. A sample is drawn with a fixed seed, so that a run is bounded and
can be repeated, and tried on one core. Prints how each survivor differs from the code, and a table
of the modules. Each survivor is either the same program in other words, or a test that is missing.

What mutmut does not see: it leaves out constants, properties and functions with a decorator, such
as context managers; and what a module computes when it is imported is computed before the mutant is
there, so that functions called then have to be called by a test, too.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREFIX = "dcgan_cli."
SURVIVED = (0, 5, 33, 255)
"""Exit codes where nothing was seen: the tests passed, none calls the function, or pytest does not
find them by their ids, as where an id holds backslashes."""

Codes = dict[str, int | None]
"""Exit codes of the tests by mutant, None where it was not tried."""


def results() -> dict[str, Codes]:
    """What became of all mutants, by module."""
    found: dict[str, Codes] = {}
    for file in sorted((ROOT / "mutants").rglob("*.py.meta")):
        if codes := json.loads(file.read_text())["exit_code_by_key"]:
            found[next(iter(codes)).removeprefix(PREFIX).rpartition(".")[0]] = codes
    return found


def mutmut(*words: str, minutes: float | None = None, hidden: bool = False) -> None:
    """Run mutmut, for `minutes` at most."""
    timeout = None if minutes is None else 60 * minutes
    command = [sys.executable, "-m", "mutmut", *words]
    errors = subprocess.DEVNULL if hidden else None
    subprocess.run(command, cwd=ROOT, check=False, timeout=timeout, stderr=errors)


def survivors() -> list[str]:
    """The mutants that no test saw in the run that mutants/ holds."""
    return [name for codes in results().values() for name in codes if codes[name] in SURVIVED]


def draw(parts: list[str], most: int, seed: int) -> list[str]:
    """At most `most` mutants of each module whose names begin with one of `parts`.

    A larger draw holds the smaller one of the same seed, and that of one module is the same alone.
    """
    drawn: list[str] = []
    for codes in results().values():
        names = sorted(name for name in codes if name.removeprefix(PREFIX).startswith(tuple(parts)))
        random.Random(seed).shuffle(names)
        drawn += names[:most]
    return drawn


def main() -> int:
    """Draw, try, tell; returns 0 where mutants were tried at all."""
    parser = argparse.ArgumentParser(description="Try mutants of the code on the tests.")
    parser.add_argument("parts", nargs="*", default=[""], help="modules, as in checkpoint.find")
    parser.add_argument("--most", type=int, default=20, help="mutants to try of each module")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which the run ends")
    parser.add_argument("--again", action="store_true", help="try the survivors of the last run")
    options = parser.parse_args()
    if options.again:
        drawn = survivors()
    else:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
        mutmut("run", "no mutant: only make them", hidden=True)  # ends with an error: there is none
        drawn = draw(options.parts, options.most, options.seed)
    if not drawn:
        print("no mutants to try", file=sys.stderr)
        return 1
    try:
        mutmut("run", "--max-children", "1", *drawn, minutes=options.minutes)
    except subprocess.TimeoutExpired:
        print(f"ended after {options.minutes:g} minutes", file=sys.stderr)
    return 0 if tell(set(drawn)) else 1


def tell(drawn: set[str]) -> bool:
    """Print survivors and a table; returns whether any mutant was tried."""
    lines = ["| Module | Mutants | Tried | Survived |", "|---|--:|--:|--:|"]
    total: Counter[str] = Counter()
    for name in sorted(drawn & set(survivors())):
        mutmut("show", name)
    for module, codes in results().items():
        tried = [codes[name] for name in drawn & codes.keys() if codes[name] is not None]
        row = {
            "mutants": len(codes),
            "tried": len(tried),
            "survived": sum(code in SURVIVED for code in tried),
        }
        if tried:
            total.update(row)
            lines.append(f"| {module} | {' | '.join(map(str, row.values()))} |")
    lines.append(f"| all | {' | '.join(map(str, total.values()))} |")
    print(*lines, sep="\n")
    return bool(total)


if __name__ == "__main__":
    sys.exit(main())
