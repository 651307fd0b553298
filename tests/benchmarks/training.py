"""Images per second of a training step against the well-known tutorial's way of writing it.

    python tests/benchmarks/training.py [--preset tutorial] [--batch 128] [--size 64] [--rounds 5]
                                        [--precision bf16] [--device cuda --steps 50]

Same network, same batch, same optimizer. The tutorial runs as it is, in plain eager PyTorch and fp32,
and as a skilled user would change it: channels last, under bfloat16 autocast. Each of the three is a
process of its own; rounds alternate. Run it on an idle machine.
"""

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Callable

import torch
from timing import Ratio, seconds
from torch import nn

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.runtime import choose_device, use_threads
from dcgan_cli.training.losses import choose_loss
from dcgan_cli.training.precision import choose_precision
from dcgan_cli.training.recording import WARM_UP, recording_failed_message
from dcgan_cli.training.step import StepSettings, Updater


class Tutorial:
    """The tutorial trainer, transcribed: two Sequentials, BCELoss on sigmoids, two Adams.

    Kernel and widths are those of `model`; the tutorial's own are 4×4 and 64.
    """

    def __init__(
        self, model: ModelConfig, batch: int, device: torch.device, *, low: bool = False
    ) -> None:
        self.batch, self.z_dim, self.device = batch, model.z_dim, device
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=low)
        kernel, pad = model.kernel, (model.kernel - 1) // 2
        down = {"kernel_size": kernel, "stride": 2, "padding": pad, "bias": False}
        up = {**down, "output_padding": 2 * pad - kernel + 2}
        width, *narrower = model.generator_widths
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(model.z_dim, width, 4, 1, 0, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
        ]
        for following in narrower:
            layers += [
                nn.ConvTranspose2d(width, following, **up),
                nn.BatchNorm2d(following),
                nn.ReLU(True),
            ]
            width = following
        layers += [nn.ConvTranspose2d(width, model.channels, **up), nn.Tanh()]
        self.g = nn.Sequential(*layers).to(device)
        width, *wider = model.discriminator_widths
        layers = [nn.Conv2d(model.channels, width, **down), nn.LeakyReLU(0.2, inplace=True)]
        for following in wider:
            layers += [
                nn.Conv2d(width, following, **down),
                nn.BatchNorm2d(following),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            width = following
        layers += [nn.Conv2d(width, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.d = nn.Sequential(*layers).to(device)
        if low:
            self.g, self.d = (n.to(memory_format=torch.channels_last) for n in (self.g, self.d))
        self.criterion = nn.BCELoss()
        self.g_adam = torch.optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.d_adam = torch.optim.Adam(self.d.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(self, real: torch.Tensor) -> None:
        self.d.zero_grad()
        label = torch.full((self.batch,), 1.0, device=self.device)
        error_real = self._error(real, label)
        error_real.backward()
        with self.autocast:
            fake = self.g(torch.randn(self.batch, self.z_dim, 1, 1, device=self.device))
        label.fill_(0.0)
        error_fake = self._error(fake.detach(), label)
        error_fake.backward()
        self.d_adam.step()
        self.g.zero_grad()
        label.fill_(1.0)
        error_g = self._error(fake, label)
        error_g.backward()
        self.g_adam.step()
        error_g.item()  # the tutorial prints its losses

    def _error(self, images: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        with self.autocast:
            answers = self.d(images)
        return self.criterion(answers.float().view(-1), label)


WAYS = ("ours", "tutorial", "autocast")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1, help="steps a round")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way is not None:
        answer(arguments)
        return
    ways = WAYS if arguments.precision == "bf16" else WAYS[:2]
    times: dict[str, list[float]] = {way: [] for way in ways}
    with contextlib.ExitStack() as processes:
        workers = {way: processes.enter_context(Worker(way)) for way in ways}
        for round_ in range(arguments.rounds + 1):
            for way, worker in workers.items():
                took = worker.round()
                if round_:  # the first warms up
                    times[way].append(took)
    images = arguments.batch * arguments.steps
    name = f"training, {arguments.preset}, {arguments.size} px, batch {arguments.batch}, {arguments.precision}"
    for way in ways[1:]:
        print(Ratio.of(times["ours"], times[way]).line(f"{name} against {way}", "images", images))


class Worker:
    """This script as another process, which makes a round of steps when it is asked."""

    def __init__(self, way: str) -> None:
        command = [sys.executable, *sys.argv, "--way", way]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def round(self) -> float:
        """Seconds of one round, by the worker's clock."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(self.process.wait() or 1)
        return float(line)


def answer(arguments: argparse.Namespace) -> None:
    """A worker: make a round for every line of input, and print its seconds."""
    use_threads(None)
    device = choose_device(arguments.device)
    step = ours(arguments, device) if arguments.way == "ours" else theirs(arguments, device)

    def steps() -> None:
        for _ in range(arguments.steps):
            step()

    for _ in sys.stdin:
        print(seconds(steps), flush=True)


def ours(arguments: argparse.Namespace, device: torch.device) -> Callable[[], object]:
    """A step of `dcgan train`."""
    model, recipe = with_options(
        PRESETS[arguments.preset], {"size": arguments.size, "batch_size": arguments.batch}
    )
    precision = choose_precision(arguments.precision, device)
    loss = choose_loss("non-saturating")
    updater = Updater(model, recipe, StepSettings(loss, 1, None, 0, device, precision))
    real = random_images(arguments, device)
    number = iter(range(10**9))

    def step() -> None:
        updater.step(next(number), 0, lambda _: real).cpu()

    if updater.recorded is not None:
        for _ in range(WARM_UP + 1):  # the step after these is the first to be replayed
            step()
        if updater.recorded.fault is not None:
            sys.exit(recording_failed_message(updater.recorded.fault))
    return step


def theirs(arguments: argparse.Namespace, device: torch.device) -> Callable[[], object]:
    """A step of the tutorial."""
    model, _ = with_options(
        PRESETS[arguments.preset], {"size": arguments.size, "batch_size": arguments.batch}
    )
    low = arguments.way == "autocast"
    tutorial = Tutorial(model, arguments.batch, device, low=low)
    real = random_images(arguments, device)
    if low:
        real = real.to(memory_format=torch.channels_last)
    return lambda: tutorial.step(real)


def random_images(arguments: argparse.Namespace, device: torch.device) -> torch.Tensor:
    side = arguments.size
    return torch.rand(arguments.batch, 3, side, side, device=device) * 2 - 1


if __name__ == "__main__":
    main()
