"""Images per second of a training step against the well-known tutorial's way of writing it.

    python tests/benchmarks/training.py [--preset tutorial] [--batch 128] [--size 64] [--rounds 5]
                                        [--precision bf16] [--device cuda --steps 50]

Same network, same batch, same optimizer; the tutorial in plain eager PyTorch, fp32. Run it on an
idle machine.
"""

import argparse

import torch
from timing import compare
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

    def __init__(self, model: ModelConfig, batch: int, device: torch.device) -> None:
        self.batch, self.z_dim, self.device = batch, model.z_dim, device
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
        self.criterion = nn.BCELoss()
        self.g_adam = torch.optim.Adam(self.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.d_adam = torch.optim.Adam(self.d.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(self, real: torch.Tensor) -> None:
        self.d.zero_grad()
        label = torch.full((self.batch,), 1.0, device=self.device)
        error_real = self.criterion(self.d(real).view(-1), label)
        error_real.backward()
        fake = self.g(torch.randn(self.batch, self.z_dim, 1, 1, device=self.device))
        label.fill_(0.0)
        error_fake = self.criterion(self.d(fake.detach()).view(-1), label)
        error_fake.backward()
        self.d_adam.step()
        self.g.zero_grad()
        label.fill_(1.0)
        error_g = self.criterion(self.d(fake).view(-1), label)
        error_g.backward()
        self.g_adam.step()
        error_g.item()  # the tutorial prints its losses


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1, help="steps a round")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()
    use_threads(None)
    device = choose_device(arguments.device)
    model, recipe = with_options(
        PRESETS[arguments.preset], {"size": arguments.size, "batch_size": arguments.batch}
    )
    precision = choose_precision(arguments.precision, device)
    loss = choose_loss("non-saturating")
    updater = Updater(model, recipe, StepSettings(loss, 1, None, 0, device, precision))
    tutorial = Tutorial(model, arguments.batch, device)
    real = torch.rand(arguments.batch, 3, arguments.size, arguments.size, device=device) * 2 - 1
    number = iter(range(10**9))

    def ours() -> None:
        for _ in range(arguments.steps):
            metrics = updater.step(next(number), 0, lambda _: real)
        metrics.cpu()  # pyright: ignore[reportPossiblyUnbound]

    def theirs() -> None:
        for _ in range(arguments.steps):
            tutorial.step(real)

    if updater.recorded is not None:
        for _ in range(WARM_UP + 1):  # the step after these is the first to be replayed
            updater.step(next(number), 0, lambda _: real)
        if updater.recorded.fault is not None:
            parser.exit(1, f"{recording_failed_message(updater.recorded.fault)}\n")
    ratio = compare(ours, theirs, arguments.rounds)
    name = f"training, {arguments.preset}, {device}, {torch.get_num_threads()} threads, {arguments.precision}"
    print(ratio.line(name, "images", arguments.batch * arguments.steps))


if __name__ == "__main__":
    main()
