"""Seconds until `dcgan --help` has answered and `dcgan sample` has written a file.

Against a bare interpreter and against `import torch`, alternating.

python tests/benchmarks/startup.py [--rounds 10]
"""

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

from timing import seconds

SAMPLE = "dcgan sample demo-faces -n 64"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    dcgan = str(Path(sysconfig.get_path("scripts")) / "dcgan")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "dcgan --help": [dcgan, "--help"],
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        SAMPLE: [dcgan, "sample", "demo-faces", "-n", "64", "-o", os.devnull],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            times[name].append(
                seconds(lambda c=command: subprocess.run(c, check=True, capture_output=True))
            )
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.3f} s")
    allowed = 1.5 * medians["python -c 'import torch'"] + 0.5
    print(f"{SAMPLE}: {medians[SAMPLE] / allowed:.2f} of 1.5 x import torch + 0.5 s")


if __name__ == "__main__":
    main()
