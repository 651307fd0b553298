"""Images per second of a training step beside 0, 1 and 2 busy programs, as shares of the idle speed.

    python tests/benchmarks/busy.py [--preset small] [--batch 64] [--size 64] [--precision fp32]
                                    [--rounds 5] [--seconds 4] [--others 0 1 2]

Every figure is of a process of its own, begun as `dcgan train` begins: what OpenMP's threads do
while they wait is decided before PyTorch is imported. "plain" is a process that leaves OpenMP and
the threads as PyTorch has them. Rounds alternate. Run it on an otherwise idle machine.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

STEP = """
import sys, time
preset, batch, size, precision, seconds, begun = sys.argv[1:]
if begun == "dcgan":
    from dcgan_cli.cores import configure_openmp
    configure_openmp()
import torch
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.runtime import choose_device, use_threads
from dcgan_cli.training.precision import choose_precision
from dcgan_cli.training.losses import choose_loss
from dcgan_cli.training.step import StepSettings, Updater
if begun == "dcgan":
    use_threads(None, leave_busy_cores=True)
device = choose_device("cpu")
model, recipe = with_options(PRESETS[preset], {"size": int(size), "batch_size": int(batch)})
settings = StepSettings(
    choose_loss("non-saturating"), 1, None, 0, device, choose_precision(precision, device)
)
updater = Updater(model, recipe, settings)
real = torch.rand(int(batch), 3, int(size), int(size)) * 2 - 1
for number in range(2):
    updater.step(number, 0, lambda _: real)
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < float(seconds):
    updater.step(2 + steps, 0, lambda _: real)
    steps += 1
print(steps * int(batch) / (time.perf_counter() - start), torch.get_num_threads())
"""


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` programs that compute without end."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
        time.sleep(0.5)  # the next process looks at how busy the cores are


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="small")
    parser.add_argument("--batch", default="64")
    parser.add_argument("--size", default="64")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", default="4")
    parser.add_argument("--others", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    what = [arguments.preset, arguments.batch, arguments.size, arguments.precision]
    speeds: dict[tuple[str, int], list[float]] = {}
    threads: dict[tuple[str, int], str] = {}
    for _ in range(arguments.rounds):
        for others in arguments.others:
            for begun in ("dcgan", "plain"):
                with busy(others):
                    line = subprocess.run(
                        [sys.executable, "-c", STEP, *what, arguments.seconds, begun],
                        check=True,
                        capture_output=True,
                        text=True,
                    ).stdout.split()
                speeds.setdefault((begun, others), []).append(float(line[0]))
                threads[begun, others] = line[1]
    idle = statistics.median(speeds["plain", 0])
    print(f"{' '.join(what)}: images/s, median of {arguments.rounds} rounds (quartiles)")
    for (begun, others), values in sorted(speeds.items(), key=lambda item: item[0][::-1]):
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        print(
            f"  beside {others} busy, {begun}, threads {threads[begun, others]}: {median:.0f} "
            f"({low:.0f} to {high:.0f}), {median / idle:.2f} of the idle plain speed"
        )


if __name__ == "__main__":
    main()
