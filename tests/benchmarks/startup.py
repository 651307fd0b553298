"""Seconds until `dcgan --help` has answered, against a bare interpreter and against `import torch`.

python tests/benchmarks/startup.py [--rounds 10]
"""

import argparse
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

from timing import seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    dcgan = str(Path(sysconfig.get_path("scripts")) / "dcgan")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "dcgan --help": [dcgan, "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            times[name].append(
                seconds(lambda c=command: subprocess.run(c, check=True, capture_output=True))
            )
    for name, values in times.items():
        print(f"{name}: {statistics.median(values):.3f} s")


if __name__ == "__main__":
    main()
