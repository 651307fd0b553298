"""One update of both networks: what happens between two minibatches (paper §4)."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig, Recipe
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import draw
from dcgan_cli.model.layers import initialise
from dcgan_cli.runtime import autocast, numpy_stream, torch_stream
from dcgan_cli.training.batch_norm import synchronise
from dcgan_cli.training.distributed import World
from dcgan_cli.training.losses import Loss, gradient_penalty
from dcgan_cli.training.matrix_form import use_matrix_products
from dcgan_cli.training.precision import memory_format

FIGURES: tuple[str, ...] = (
    "d_loss",
    "g_loss",
    "d_real",
    "d_fake",
    "d_fake_after",
    "g_gradient",
    "d_gradient",
)
"""What every step measures, in this order: both losses, mean D(x), mean D(G(z)) in D's update and
in G's, and the norms of both gradients. D(·) is a probability where the loss has one, else D's
raw output."""

Place = tuple[int, int, int]
"""Number of the step, of the minibatch in it, and of rollbacks so far: what is random is addressed so."""


@dataclass(frozen=True)
class StepSettings:
    """How one step is made, beside networks and recipe.

    Where the `world` is of several, `sync_bn` says whether batch norm is over the whole minibatch,
    as in one process, or over each rank's share.
    """

    loss: Loss
    d_steps: int
    ema: float | None
    seed: int
    device: torch.device
    precision: torch.dtype
    world: World = World()  # noqa: RUF009  # has no state
    sync_bn: bool = True


class Updater:
    """Both networks with their optimisers; `step` advances them by one G update and k D updates."""

    def __init__(self, model: ModelConfig, recipe: Recipe, settings: StepSettings) -> None:
        self.recipe = recipe
        self.settings = settings
        self.world = settings.world
        self.share = share_of(recipe, settings)
        # PyTorch's constructors draw weights, thrown away here, from the global generator.
        with torch.random.fork_rng(devices=()):
            self.generator = Generator(model)
            self.discriminator = Discriminator(model)
        initialise(self.generator, torch_stream(settings.seed, "generator weights"))
        initialise(self.discriminator, torch_stream(settings.seed, "discriminator weights"))
        for network in (self.generator, self.discriminator):
            order = memory_format(settings.device, settings.precision)
            network.to(settings.device).to(memory_format=order)
            self.world.copy_first(network)
        self.average: Generator | None = None
        if settings.ema is not None:
            self.average = deepcopy(self.generator).requires_grad_(False)
        if self.world.size > 1 and settings.sync_bn:
            for network in (self.generator, self.discriminator):
                synchronise(network, self.world)
        if settings.precision is torch.bfloat16:
            use_matrix_products(self.generator)
            use_matrix_products(self.discriminator)
        self.g_optimiser = self._adam(self.generator)
        self.d_optimiser = self._adam(self.discriminator)

    def load_optimisers(self, generator: dict[str, Any], discriminator: dict[str, Any]) -> None:
        """Go on with Adam's state of another Updater of the same networks."""
        for optimiser, state in ((self.g_optimiser, generator), (self.d_optimiser, discriminator)):
            optimiser.load_state_dict(state)
            # Fused Adam goes through a weight and its moments in the order of their memory.
            for weight, moments in optimiser.state.items():
                for name, value in moments.items():
                    if value.shape == weight.shape:
                        moments[name] = torch.empty_like(weight).copy_(value)

    @property
    def minibatches(self) -> int:
        """Minibatches one step takes: k, and one more where G has a minibatch of its own."""
        return self.settings.d_steps + self.first_minibatch

    @property
    def first_minibatch(self) -> int:
        """The first of them that D sees: under "alternate", G's own passes by."""
        return int(self.recipe.updates == "alternate")

    def step(self, number: int, attempt: int, batch: Callable[[int], Tensor]) -> Tensor:
        """Make step `number`; `batch(j)` is this rank's share of its j-th minibatch of real pictures.

        `attempt` counts rollbacks: a repeated step draws other latents. Returns FIGURES as a
        float32 vector on the device, not waited for.
        """
        self.generator.train()
        self.discriminator.train()
        if self.recipe.updates == "together":
            figures = self._together(number, attempt, batch)
        else:
            figures = self._alternate(number, attempt, batch)
        if self.average is not None:
            self._follow(self.average, number)
        return self.world.mean(torch.stack([figure.detach().float() for figure in figures]))

    def _together(
        self, number: int, attempt: int, batch: Callable[[int], Tensor]
    ) -> Sequence[Tensor]:
        """D on every minibatch, then G on the pictures D saw last (both torch dialects)."""
        last = self.settings.d_steps - 1
        for j in range(last):
            self._update_on_fresh((number, j, attempt), batch)
        place = (number, last, attempt)
        fake = self._generate(self._latents(place))
        d_figures = self._update_discriminator(batch(last), fake.detach(), place)
        return self._figures(d_figures, self._update_generator(fake))

    def _alternate(
        self, number: int, attempt: int, batch: Callable[[int], Tensor]
    ) -> Sequence[Tensor]:
        """G first, while its minibatch of reals passes by; then D on other ones (authors' code)."""
        g_figures = self._update_generator(self._generate(self._latents((number, 0, attempt))))
        last = self.settings.d_steps
        for j in range(1, last):
            self._update_on_fresh((number, j, attempt), batch)
        return self._figures(self._update_on_fresh((number, last, attempt), batch), g_figures)

    def _update_on_fresh(
        self, place: Place, batch: Callable[[int], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Update D on a minibatch and pictures that G is not trained on."""
        with torch.no_grad():
            fake = self._generate(self._latents(place))
        return self._update_discriminator(batch(place[1]), fake, place)

    def _update_discriminator(
        self, real: Tensor, fake: Tensor, place: Place
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        loss = self.settings.loss
        self.d_optimiser.zero_grad()
        with autocast(self.settings.device, self.settings.precision):
            real_logits = self.discriminator(real).float()
            fake_logits = self.discriminator(fake).float()
        value = loss.discriminator(real_logits, fake_logits)
        objective = value
        if loss.penalty is not None:
            stream = numpy_stream(self.settings.seed, "mix", *place)
            rows = stream.random((self.recipe.batch_size, 1, 1, 1), "float32")
            mix = torch.from_numpy(rows[self.share]).to(real.device)
            penalty = gradient_penalty(self.discriminator, real, fake, mix)
            objective = value + loss.penalty * penalty
        objective.backward()
        self.world.average_gradients(self.discriminator)
        gradient = gradient_norm(self.discriminator)
        self.d_optimiser.step()
        if loss.clip is not None:
            with torch.no_grad():
                for parameter in self.discriminator.parameters():
                    parameter.clamp_(-loss.clip, loss.clip)
        return value, self._opinion(real_logits), self._opinion(fake_logits), gradient

    def _update_generator(self, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.g_optimiser.zero_grad()
        # D's own gradients would be thrown away: without them a step costs 8 % less.
        self.discriminator.requires_grad_(False)
        try:
            with autocast(self.settings.device, self.settings.precision):
                logits = self.discriminator(fake).float()
            value = self.settings.loss.generator(logits)
            value.backward()
        finally:
            self.discriminator.requires_grad_(True)
        self.world.average_gradients(self.generator)
        gradient = gradient_norm(self.generator)
        self.g_optimiser.step()
        return value, self._opinion(logits), gradient

    @staticmethod
    def _figures(
        d_figures: tuple[Tensor, Tensor, Tensor, Tensor], g_figures: tuple[Tensor, Tensor, Tensor]
    ) -> Sequence[Tensor]:
        d_loss, d_real, d_fake, d_gradient = d_figures
        g_loss, d_fake_after, g_gradient = g_figures
        return d_loss, g_loss, d_real, d_fake, d_fake_after, g_gradient, d_gradient

    def _generate(self, z: Tensor) -> Tensor:
        with autocast(self.settings.device, self.settings.precision):
            return self.generator(z).float()

    def _latents(self, place: Place) -> Tensor:
        config = self.generator.config
        stream = numpy_stream(self.settings.seed, "z", *place)
        rows = draw(stream, (self.recipe.batch_size, config.z_dim), config.z_dist)
        return torch.from_numpy(rows[self.share]).to(self.settings.device, non_blocking=True)

    def _opinion(self, logits: Tensor) -> Tensor:
        return (logits.sigmoid() if self.settings.loss.probabilities else logits).mean()

    @torch.no_grad()
    def _follow(self, average: Generator, number: int) -> None:
        """Move the averaged G towards G; batch-norm statistics are averaged like weights.

        In its first steps the memory is as long as the run so far, or the average would be a
        picture of the initial weights for thousands of steps.
        """
        decay = min(self.settings.ema or 0.0, (1 + number) / (10 + number))
        state = self.generator.state_dict()
        for name, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - decay)
            else:
                value.copy_(state[name])

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(
            network.parameters(),
            lr=self.recipe.lr,
            betas=(self.recipe.beta1, self.recipe.beta2),
            eps=1e-8,
            weight_decay=self.recipe.weight_decay,
            fused=self.settings.device.type in ("cpu", "cuda"),
        )


def share_of(recipe: Recipe, settings: StepSettings) -> slice:
    """The rows of a minibatch that this rank works on. Raises UsageError where that cannot be."""
    share = settings.world.share(recipe.batch_size)
    if share.stop - share.start < 2 and not settings.sync_bn:
        raise UsageError(
            f"--batch-size {recipe.batch_size}: --no-sync-bn needs at least 2 pictures in each of "
            f"{settings.world.size} processes; type {2 * settings.world.size}, or --sync-bn"
        )
    return share


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm of all gradients of `network` together."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
