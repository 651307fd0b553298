"""The command: see the package."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # the tests import each other by their bare names

from campaigns import checkpoints, data_files, killing, small_files
from campaigns.running import Kind, Result, run_kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in (checkpoints, data_files, small_files, killing)
    for kind in module.KINDS
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 where a case was unclean."""
    parser = argparse.ArgumentParser("python tests/campaigns", description=__doc__)
    parser.add_argument("--kind", default="all", help=f"all, or of {', '.join(KINDS)}; with commas")
    parser.add_argument(
        "--mutants",
        type=int,
        default=100,
        help="damaged files of each kind; fewer of kinds that train",
    )
    parser.add_argument("--kills", type=int, default=10, help="kills of each kind but kill-rank")
    parser.add_argument("--rank-kills", type=int, default=0, help="killed ranks: 20 s each")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first case; the next has the next"
    )
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    given = parser.parse_args(arguments)
    names = list(KINDS) if given.kind == "all" else given.kind.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        parser.error(f"no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    results: list[Result] = []
    print(f"{'kind':<12} {'cases':>6} {'clean':>6} {'read':>6} {'refused':>8} {'seconds':>8}")
    for name in names:
        kind = KINDS[name]
        count = -(-given.mutants // kind.share)
        if kind.kills:
            count = given.rank_kills if name == "kill-rank" else given.kills
        if not count:
            continue
        result = run_kind(kind, count, given.seed)
        results.append(result)
        row = result.to_dict()
        print(
            f"{name:<12} {row['cases']:>6} {row['clean']:>6} {row['read']:>6} {row['refused']:>8} "
            f"{row['duration_s']:>8}",
            flush=True,
        )
        for seed, what in result.unclean.items():
            print(f"  unclean: --kind {name} --seed {seed} --mutants 1 --kills 1: {what}")
    unclean = sum(len(result.unclean) for result in results)
    cases = sum(result.cases for result in results)
    print(f"{cases:,} cases, {unclean:,} unclean")
    if given.json:
        given.json.write_text(json.dumps([result.to_dict() for result in results], indent=1) + "\n")
    return 1 if unclean else 0


if __name__ == "__main__":
    sys.exit(main())
