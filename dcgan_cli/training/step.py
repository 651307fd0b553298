"""One training step: the updates of D and G on one or more batches (paper §4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator, freeze_layers
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import draw
from dcgan_cli.model.layers import initialize, tensors_of
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.runtime import numpy_stream, send, torch_stream
from dcgan_cli.training.augment import DRAWS, augment
from dcgan_cli.training.distributed import ProcessGroup
from dcgan_cli.training.ema import update_ema
from dcgan_cli.training.losses import Loss
from dcgan_cli.training.matmul_conv import use_matrix_products
from dcgan_cli.training.precision import autocast, memory_format
from dcgan_cli.training.recording import CudaRecorder, RecordedUpdate, UpdateInputs
from dcgan_cli.training.regularizers import clip_weights, gradient_penalty, squared_gradient
from dcgan_cli.training.sync_batch_norm import synchronize
from dcgan_cli.wording import counted

LAZY_STEPS = 16
"""Penalties of D's gradient are computed in every so-manieth step, and weigh so many times as much
(Karras et al. 2020, §4.1): as each of them takes as long as the rest of a step, or longer."""

METRICS: tuple[str, ...] = (
    "d_loss",
    "g_loss",
    "d_real",
    "d_fake",
    "d_fake_after",
    "g_gradient",
    "d_gradient",
)
"""The metrics of every step, in order: both losses, mean D(x), mean D(G(z)) in D's update and in
G's, and the norms of both gradients. D(·) is a probability if the loss has one, else D's raw
output."""


OF_REAL, OF_FAKE, OF_GENERATOR = range(3)
"""Which of an update's random numbers an image is augmented with: real, generated in D's update, and
generated in G's."""


@dataclass(frozen=True)
class StepSettings:
    """The settings of a step besides networks and recipe.

    In a `process_group` of several processes, `sync_bn` decides whether batch norm uses the whole
    batch, as in one process, or each rank's share.
    """

    loss: Loss
    d_steps: int
    ema: float | None
    seed: int
    device: torch.device
    precision: torch.dtype
    process_group: ProcessGroup = ProcessGroup()  # noqa: RUF009  # has no state
    sync_bn: bool = True


class Updater:
    """Both networks with their optimizers; `step` makes one update of G and k updates of D.

    On a GPU, in a single process, steps are recorded once and replayed.

    Example: `metrics = Updater(model, recipe, settings).step(0, 0, lambda j: images)`.
    """

    def __init__(self, model: ModelConfig, recipe: Recipe, settings: StepSettings) -> None:
        self.recipe = recipe
        self.settings = settings
        self.process_group = settings.process_group
        self.share = batch_slice(recipe, settings)
        # PyTorch's constructors draw weights, which are replaced, from the global generator.
        with torch.random.fork_rng(devices=()):
            self.generator = Generator(model)
            self.discriminator = Discriminator(model)
        initialize(self.generator, torch_stream(settings.seed, "generator weights"))
        initialize(self.discriminator, torch_stream(settings.seed, "discriminator weights"))
        for network in (self.generator, self.discriminator):
            order = memory_format(settings.device, settings.precision)
            network.to(settings.device).to(memory_format=order)
            self.process_group.broadcast_tensors(network)
        self.average: Generator | None = None
        if settings.ema is not None:
            self.average = deepcopy(self.generator).requires_grad_(False)
        if self.process_group.size > 1 and settings.sync_bn:
            for network in (self.generator, self.discriminator):
                synchronize(network, self.process_group)
        if settings.precision is torch.bfloat16:
            use_matrix_products(self.generator)
            use_matrix_products(self.discriminator)
        freeze_layers(self.discriminator, recipe.freeze_d)
        self._trained_of_d = [w for w in self.discriminator.parameters() if w.requires_grad]
        self.g_optimizer = self._optimizer(self.generator.parameters(), self.learning_rates[0])
        self.d_optimizer = self._optimizer(self._trained_of_d, self.learning_rates[1])
        self.recorded: RecordedUpdate | None = None
        if settings.device.type == "cuda" and self.process_group.size == 1:
            recorder = CudaRecorder(settings.device)
            self.recorded = RecordedUpdate(self.update, self._state, recorder)

    @property
    def learning_rates(self) -> tuple[float, float]:
        """Of G and of D."""
        recipe = self.recipe
        return recipe.lr_g or recipe.lr, recipe.lr_d or recipe.lr

    def load_networks(self, checkpoint: Checkpoint) -> None:
        """Go on from the weights in `checkpoint`, whose networks must be of the same shapes."""
        self.generator.load_state_dict(checkpoint.generator)
        self.discriminator.load_state_dict(checkpoint.discriminator)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.average or checkpoint.generator)

    def load_optimizers(self, generator: dict[str, Any], discriminator: dict[str, Any]) -> None:
        """Load optimizer states of another Updater with the same recipe, on any device."""
        for optimizer, state in ((self.g_optimizer, generator), (self.d_optimizer, discriminator)):
            groups = [{**group, **self._optimizer_flags()} for group in state["param_groups"]]
            optimizer.load_state_dict({**state, "param_groups": groups})
            # A fused optimizer needs a weight and its moments in the same memory format.
            for weight, moments in optimizer.state.items():
                for name, value in moments.items():
                    if value.shape == weight.shape:
                        moments[name] = torch.empty_like(weight).copy_(value)
        self.discard_recording()

    def discard_recording(self) -> None:
        """Call this after setting a learning rate: a recording contains the old one."""
        if self.recorded is not None:
            self.recorded.reset()

    @property
    def batches_per_step(self) -> int:
        """Batches that one step takes: k, and one more if G has a batch of its own."""
        return self.settings.d_steps + self.first_batch_index

    @property
    def first_batch_index(self) -> int:
        """Index of the first batch that D uses: with "alternate", the first batch is for G only."""
        return int(self.recipe.updates == "alternate")

    @property
    def first_image_index(self) -> int:
        """Index of the first batch whose real images are used: a relativistic loss compares G with them."""
        return 0 if self.settings.loss.relativistic else self.first_batch_index

    def step(self, number: int, attempt: int, batch: Callable[[int], Tensor]) -> Tensor:
        """Make step `number`; `batch(j)` is this rank's share of its j-th batch of real images.

        `attempt` counts rollbacks: a repeated step uses other latent vectors. Returns METRICS as a
        float32 vector on the device, without waiting for it.
        """
        given = self._draw_inputs(number, attempt, batch)
        metrics = self.update(given) if self.recorded is None else self.recorded(list(given))
        if self.average is not None:
            update_ema(self.average, self.generator, self.settings.ema or 0.0, number)
        return metrics

    def _draw_inputs(
        self, number: int, attempt: int, batch: Callable[[int], Tensor]
    ) -> Iterator[UpdateInputs]:
        """The inputs of the updates of a step, in order; everything random is drawn here.

        With "alternate" the first update is G's, for which most losses need no real images.
        """
        config, device = self.generator.config, self.settings.device
        shape = (self.recipe.batch_size, config.z_dim)
        lazy = bool(self.recipe.r1 or self.recipe.r2) and number % LAZY_STEPS == 0
        lazy_weight = send(np.array([LAZY_STEPS], np.float32), device)[0] if lazy else None
        for j in range(self.batches_per_step):
            position = (number, j, attempt)
            z = draw(numpy_stream(self.settings.seed, "z", *position), shape, config.z_dist)
            real = alpha = draws = None
            if j >= self.first_image_index:
                real = batch(j)
            if j >= self.first_batch_index and self.settings.loss.penalty is not None:
                stream = numpy_stream(self.settings.seed, "mix", *position)
                rows = stream.random((self.recipe.batch_size, 1, 1, 1), "float32")
                alpha = send(rows[self.share], device)
            if self.recipe.augmentations:
                stream = numpy_stream(self.settings.seed, "augment", *position)
                rows = stream.random((3, self.recipe.batch_size, DRAWS), "float32")
                draws = send(np.ascontiguousarray(rows[:, self.share]), device)
            yield UpdateInputs(send(z[self.share], device), real, alpha, draws, lazy_weight)

    def update(self, given: Iterable[UpdateInputs]) -> Tensor:
        """Make a step from its inputs; returns METRICS as `step` does.

        Nothing in it reads a value back from the device or depends on the step number, other than
        through `given` and the state of the networks: recording requires that.
        """
        self.generator.train()
        self.discriminator.train()
        together = self.recipe.updates == "together"
        metrics = (self._step_together if together else self._step_alternate)(iter(given))
        return self.process_group.mean(torch.stack([metric.detach().float() for metric in metrics]))

    def _step_together(self, given: Iterator[UpdateInputs]) -> Sequence[Tensor]:
        """D on every batch, then G on the images that D saw last (both torch implementations)."""
        for _ in range(self.settings.d_steps - 1):
            self._update_discriminator_on_new_fakes(next(given))
        last = next(given)
        fake = self._generate(last.z)
        d_metrics = self._update_discriminator(last, fake.detach())
        return self._metrics(d_metrics, self._update_generator(last, fake))

    def _step_alternate(self, given: Iterator[UpdateInputs]) -> Sequence[Tensor]:
        """G first, on a batch of its own; then D on other batches (authors' code)."""
        first = next(given)
        g_metrics = self._update_generator(first, self._generate(first.z))
        for _ in range(self.settings.d_steps - 1):
            self._update_discriminator_on_new_fakes(next(given))
        return self._metrics(self._update_discriminator_on_new_fakes(next(given)), g_metrics)

    def _update_discriminator_on_new_fakes(
        self, given: UpdateInputs
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Update D on a batch and on images that G is not trained on."""
        with torch.no_grad():
            fake = self._generate(given.z)
        return self._update_discriminator(given, fake)

    def _update_discriminator(
        self, given: UpdateInputs, fake: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        loss = self.settings.loss
        real, fake = self._real_as_seen(given), self._as_seen(fake, given, OF_FAKE)
        self.d_optimizer.zero_grad()
        real_logits, fake_logits = self._logits(real), self._logits(fake)
        value = loss.discriminator(real_logits, fake_logits)
        objective = value
        if loss.penalty is not None:
            assert given.alpha is not None
            penalty = gradient_penalty(self.discriminator, real, fake, given.alpha)
            objective = value + loss.penalty * penalty
        if given.lazy_weight is not None:
            for gamma, images in ((self.recipe.r1, real), (self.recipe.r2, fake)):
                if gamma:
                    penalty = squared_gradient(self.discriminator, images)
                    objective = objective + gamma / 2 * given.lazy_weight * penalty
        objective.backward()
        self.process_group.average_gradients(self.discriminator)
        gradient = gradient_norm(self.discriminator)
        self.d_optimizer.step()
        if loss.clip is not None:
            clip_weights(self.discriminator, loss.clip)
        return (
            value,
            self._mean_probability(real_logits),
            self._mean_probability(fake_logits),
            gradient,
        )

    def _update_generator(self, given: UpdateInputs, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.g_optimizer.zero_grad()
        # D's own gradients are not needed here: a step without them takes 8 % less time.
        self._require_gradients_of_d(False)
        try:
            seen = self._as_seen(fake, given, OF_GENERATOR)
            compared = logits = self._logits(seen)
            if self.settings.loss.relativistic:
                compared = logits - self._logits(self._real_as_seen(given))
            value = self.settings.loss.generator(compared)
            value.backward()
        finally:
            self._require_gradients_of_d(True)
        self.process_group.average_gradients(self.generator)
        gradient = gradient_norm(self.generator)
        self.g_optimizer.step()
        return value, self._mean_probability(logits), gradient

    @staticmethod
    def _metrics(
        d_metrics: tuple[Tensor, Tensor, Tensor, Tensor], g_metrics: tuple[Tensor, Tensor, Tensor]
    ) -> Sequence[Tensor]:
        d_loss, d_real, d_fake, d_gradient = d_metrics
        g_loss, d_fake_after, g_gradient = g_metrics
        return d_loss, g_loss, d_real, d_fake, d_fake_after, g_gradient, d_gradient

    def _require_gradients_of_d(self, wanted: bool) -> None:
        for weight in self._trained_of_d:
            weight.requires_grad_(wanted)

    def _logits(self, images: Tensor) -> Tensor:
        with autocast(self.settings.device, self.settings.precision):
            return self.discriminator(images).float()

    def _real_as_seen(self, given: UpdateInputs) -> Tensor:
        assert given.real is not None
        return self._as_seen(given.real, given, OF_REAL)

    def _as_seen(self, images: Tensor, given: UpdateInputs, use: int) -> Tensor:
        """`images` as D sees them."""
        if given.augment is None:
            return images
        return augment(images, given.augment[use], self.recipe.augmentations)

    def _generate(self, z: Tensor) -> Tensor:
        with autocast(self.settings.device, self.settings.precision):
            return self.generator(z).float()

    def _mean_probability(self, logits: Tensor) -> Tensor:
        return (logits.sigmoid() if self.settings.loss.probabilities else logits).mean()

    def _optimizer(self, weights: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        recipe = self.recipe
        common: dict[str, Any] = {"lr": lr, "eps": 1e-8, "weight_decay": recipe.weight_decay}
        common |= self._optimizer_flags()
        if recipe.optimizer == "rmsprop":
            return torch.optim.RMSprop(weights, alpha=0.99, **common)
        return torch.optim.Adam(weights, betas=(recipe.beta1, recipe.beta2), **common)

    def _optimizer_flags(self) -> dict[str, bool]:
        """Implementation flags of the optimizer on this device: fast, and capturable for graphs."""
        kind = self.settings.device.type
        on_gpu = kind == "cuda"
        if self.recipe.optimizer == "rmsprop":  # has no fused implementation
            return {"foreach": on_gpu, "capturable": on_gpu}
        return {"fused": kind in ("cpu", "cuda"), "capturable": on_gpu}

    def _state(self) -> Iterator[Tensor]:
        """Every tensor that an update changes."""
        for network in (self.generator, self.discriminator):
            yield from tensors_of(network)
        for optimizer in (self.g_optimizer, self.d_optimizer):
            for moments in optimizer.state.values():
                yield from moments.values()


def batch_slice(recipe: Recipe, settings: StepSettings) -> slice:
    """The rows of a batch that this rank works on. Raises UsageError if it cannot be divided."""
    share = settings.process_group.share(recipe.batch_size)
    if share.stop - share.start < 2 and not settings.sync_bn:
        raise UsageError(
            f"--batch-size {recipe.batch_size}: --no-sync-bn needs at least 2 images in each of "
            f"{counted(settings.process_group.size, 'process')}; type {2 * settings.process_group.size}, or --sync-bn"
        )
    return share


def gradient_norm(network: nn.Module) -> Tensor:
    """L2 norm of all gradients of `network` together."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
