"""One update of both networks, against a plain transcription of the algorithm."""

# pyright: reportPrivateUsage=false

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import augmented_by_hand as by_hand
import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.recipe import Recipe
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.training import step
from dcgan_cli.training.losses import LOSSES
from dcgan_cli.training.recording import UpdateInputs
from dcgan_cli.training.step import METRICS, StepSettings, Updater, gradient_norm

SEED = 7
Batch = Callable[[int], Tensor]


def z(number: int, j: int, attempt: int = 0, model: ModelConfig = tiny.MODEL) -> Tensor:
    """The j-th latents of step `number`, by the address that a resumed run relies on."""
    stream = numpy_stream(SEED, "z", number, j, attempt)
    shape = (tiny.RECIPE.batch_size, model.z_dim)
    if model.z_dist == "normal":
        return torch.from_numpy(stream.standard_normal(shape, np.float32))
    return torch.from_numpy(stream.random(shape, np.float32) * 2 - 1)


def images(number: int) -> Batch:
    """The batches of reals of step `number`: other ones at every address."""

    def batch(j: int) -> Tensor:
        stream = np.random.default_rng((number, j))
        rows = stream.uniform(-1, 1, (tiny.RECIPE.batch_size, 1, 16, 16))
        return torch.from_numpy(rows.astype(np.float32))

    return batch


class Transcript:
    """DCGAN training as it would be written on a blackboard.

    Weight decay is written as what it means, ½ λ ‖θ‖² in the objective.
    """

    def __init__(self, updater: Updater, loss: str, d_steps: int, recipe: Recipe) -> None:
        self.generator = deepcopy(updater.generator)
        self.discriminator = deepcopy(updater.discriminator)
        self.loss = loss
        self.d_steps = d_steps
        self.decay = recipe.weight_decay
        self.recipe = recipe
        rates: dict[str, Any] = {
            "betas": (recipe.beta1, recipe.beta2),
            "eps": 1e-8,
            "fused": False,
            "foreach": False,
        }
        lr_g, lr_d = recipe.lr_g or recipe.lr, recipe.lr_d or recipe.lr
        self.g_adam = torch.optim.Adam(self.generator.parameters(), lr=lr_g, **rates)
        self.d_adam = torch.optim.Adam(self.discriminator.parameters(), lr=lr_d, **rates)

    def together(self, number: int, batch: Batch) -> list[float]:
        """D on each of k batches; then G on the images that D saw last."""
        d, fake = list[Tensor](), torch.empty(0)
        for j in range(self.d_steps):
            fake = self.generator(z(number, j))
            d = self.train_discriminator(batch(j), fake.detach(), number, j)
        j = self.d_steps - 1
        return self.metrics(d, self.train_generator(fake, batch(j), number, j))

    def alternate(self, number: int, batch: Batch) -> list[float]:
        """G on images of its own, then D on each of k batches."""
        g = self.train_generator(self.generator(z(number, 0)), batch(0), number, 0)
        d = list[Tensor]()
        for j in range(1, self.d_steps + 1):
            d = self.train_discriminator(batch(j), self.generator(z(number, j)).detach(), number, j)
        return self.metrics(d, g)

    def train_discriminator(self, real: Tensor, fake: Tensor, number: int, j: int) -> list[Tensor]:
        self.discriminator.zero_grad()
        real, fake = self.seen(real, number, j, 0), self.seen(fake, number, j, 1)
        x, g = self.discriminator(real), self.discriminator(fake)
        if self.loss in ("non-saturating", "minimax"):
            loss = -(F.logsigmoid(x).mean() + F.logsigmoid(-g).mean())
            shown = [x.sigmoid().mean(), g.sigmoid().mean()]
        elif self.loss == "lsgan":
            loss = ((x - 1) ** 2).mean() / 2 + (g**2).mean() / 2
            shown = [x.mean(), g.mean()]
        elif self.loss == "relativistic":
            loss = -F.logsigmoid(x - g).mean()
            shown = [x.mean(), g.mean()]
        elif self.loss == "hinge":
            loss = torch.clamp(1 - x, min=0).mean() + torch.clamp(1 + g, min=0).mean()
            shown = [x.mean(), g.mean()]
        else:
            loss = g.mean() - x.mean()
            shown = [x.mean(), g.mean()]
        objective = loss + self.decayed(self.discriminator)
        if self.loss == "wgan-gp":
            alpha = numpy_stream(SEED, "mix", number, j, 0).random((len(real), 1, 1, 1), "float32")
            e = torch.from_numpy(alpha)
            between = ((1 - e) * real + e * fake).requires_grad_(True)
            slopes = torch.autograd.grad(
                self.discriminator(between).sum(), between, create_graph=True
            )[0]
            lengths = slopes.square().sum((1, 2, 3)).sqrt()
            objective = objective + 10 * ((lengths - 1) ** 2).mean()
        if number % 16 == 0:
            for gamma, some in ((self.recipe.r1, real), (self.recipe.r2, fake)):
                if gamma:
                    there = some.clone().requires_grad_(True)
                    total = self.discriminator(there).sum()
                    (slopes,) = torch.autograd.grad(total, there, create_graph=True)
                    squares = (slopes**2).sum((1, 2, 3))
                    objective = objective + 16 * gamma / 2 * squares.mean()
        objective.backward()
        length = norm_of_gradient(self.discriminator, self.decay)
        self.d_adam.step()
        if self.loss == "wgan":
            for parameter in self.discriminator.parameters():
                parameter.data.clamp_(-0.01, 0.01)
        return [loss, *shown, length]

    def train_generator(self, fake: Tensor, real: Tensor, number: int, j: int) -> list[Tensor]:
        self.generator.zero_grad()
        logits = self.discriminator(self.seen(fake, number, j, 2))
        if self.loss == "non-saturating":
            loss = -F.logsigmoid(logits).mean()
        elif self.loss == "minimax":
            loss = F.logsigmoid(-logits).mean()
        elif self.loss == "lsgan":
            loss = ((logits - 1) ** 2).mean() / 2
        elif self.loss == "relativistic":
            loss = -F.logsigmoid(logits - self.discriminator(self.seen(real, number, j, 0))).mean()
        else:
            loss = -logits.mean()
        (loss + self.decayed(self.generator)).backward()
        length = norm_of_gradient(self.generator, self.decay)
        self.g_adam.step()
        shown = logits.sigmoid() if LOSSES[self.loss].probabilities else logits
        return [loss, shown.mean(), length]

    def seen(self, images: Tensor, number: int, j: int, use: int) -> Tensor:
        """What D sees of `images`: augmented image by image, by the draws of that address."""
        names = self.recipe.augmentations
        if not names:
            return images
        stream = numpy_stream(SEED, "augment", number, j, 0)
        draws = stream.random((3, len(images), 7), "float32")[use]
        return torch.stack(
            [by_hand.augmented(image, row, names) for image, row in zip(images, draws, strict=True)]
        )

    def decayed(self, network: nn.Module) -> Tensor:
        squares = [parameter.square().sum() for parameter in network.parameters()]
        return self.decay / 2 * torch.stack(squares).sum()

    @staticmethod
    def metrics(d: list[Tensor], g: list[Tensor]) -> list[float]:
        named: dict[str, Tensor] = dict(
            zip(("d_loss", "d_real", "d_fake", "d_gradient"), d, strict=True)
        )
        named |= dict(zip(("g_loss", "d_fake_after", "g_gradient"), g, strict=True))
        return [named[name].item() for name in METRICS]


def norm_of_gradient(network: nn.Module, decay: float) -> Tensor:
    """Of the loss alone: what weight decay has added is taken off again."""
    slopes = [p.grad - decay * p.detach() for p in network.parameters() if p.grad is not None]
    return torch.cat([slope.flatten() for slope in slopes]).norm()


def make(
    loss: str = "non-saturating", recipe: Recipe = tiny.RECIPE, **changes: Any
) -> tuple[Updater, StepSettings]:
    step = tiny.settings(loss, seed=SEED, **changes)
    return Updater(tiny.PER_IMAGE if loss == "wgan-gp" else tiny.MODEL, recipe, step), step


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("d_steps", [1, 3])
@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("loss", LOSSES)
def test_step_is_the_algorithm(loss: str, updates: Any, d_steps: int, decay: float) -> None:
    recipe = replace(tiny.RECIPE, updates=updates, weight_decay=decay, lr=1e-3)
    updater, _ = make(loss, recipe, d_steps=d_steps)
    plain = Transcript(updater, loss, d_steps, recipe)
    plain_step = plain.together if updates == "together" else plain.alternate
    for number in range(3):
        metrics = updater.step(number, 0, images(number))
        expected = plain_step(number, images(number))
        assert metrics.tolist() == pytest.approx(expected, rel=2e-4, abs=2e-6)
    for ours, theirs in (
        (updater.generator, plain.generator),
        (updater.discriminator, plain.discriminator),
    ):
        state = ours.state_dict()
        for name, value in theirs.state_dict().items():
            # Adam moves every weight by about lr a step: 1e-3, so 5e-6 is half a percent of one.
            torch.testing.assert_close(state[name], value, rtol=1e-5, atol=5e-6, msg=name)


OPTIONS: dict[str, dict[str, Any]] = {
    "two rates": {"lr_g": 2e-3, "lr_d": 5e-4},
    "color": {"augment": "color"},
    "all": {"augment": "color,translation,cutout"},
    "r1": {"r1": 0.5},
    "both penalties": {"r1": 0.5, "r2": 0.2, "augment": "cutout"},
}


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
@pytest.mark.parametrize("updates", ["together", "alternate"])
@pytest.mark.parametrize("option", OPTIONS)
def test_step_with_options_is_the_algorithm(option: str, updates: Any, loss: str) -> None:
    """Steps 15 to 17: penalties are computed in the 16th alone, and weigh sixteen times as much."""
    recipe = replace(tiny.RECIPE, updates=updates, **{"lr": 1e-3, **OPTIONS[option]})
    updater, _ = make(loss, recipe)
    plain = Transcript(updater, loss, 1, recipe)
    plain_step = plain.together if updates == "together" else plain.alternate
    for number in (15, 16, 17):
        metrics = updater.step(number, 0, images(number))
        expected = plain_step(number, images(number))
        assert metrics.tolist() == pytest.approx(expected, rel=2e-4, abs=2e-6)
    for ours, theirs in (
        (updater.generator, plain.generator),
        (updater.discriminator, plain.discriminator),
    ):
        state = ours.state_dict()
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-5, atol=5e-6, msg=name)


def test_weight_decay_changes_the_step() -> None:
    """Shows that the comparison above is sensitive: coupled decay changes the step at once."""
    states = []
    for decay in (0.0, 0.1):
        updater, _ = make(recipe=replace(tiny.RECIPE, weight_decay=decay))
        for number in range(3):
            updater.step(number, 0, images(number))
        states.append(updater.discriminator.head.weight)
    assert not torch.allclose(*states, atol=5e-6)


class Spy:
    """Which networks saw what, in order, and the batches asked for."""

    def __init__(self, updater: Updater) -> None:
        self.latents: list[Tensor] = []
        self.classified: list[Tensor] = []
        self.asked: list[int] = []
        updater.generator.register_forward_pre_hook(lambda _, x: self.latents.append(x[0].clone()))
        updater.discriminator.register_forward_pre_hook(
            lambda _, x: self.classified.append(x[0].detach().clone())
        )

    def batch(self, number: int) -> Batch:
        def batch(j: int) -> Tensor:
            self.asked.append(j)
            return images(number)(j)

        return batch


@pytest.mark.parametrize("d_steps", [1, 3])
def test_together_trains_g_on_the_images_d_saw_last(d_steps: int) -> None:
    updater, _ = make(d_steps=d_steps)
    assert updater.batches_per_step == d_steps
    spy = Spy(updater)
    updater.step(5, 0, spy.batch(5))
    assert spy.asked == list(range(d_steps))
    assert len(spy.latents) == d_steps
    assert all(torch.equal(seen, z(5, j)) for j, seen in enumerate(spy.latents))
    reals, fakes = spy.classified[0:-1:2], spy.classified[1:-1:2]
    assert len(reals) == len(fakes) == d_steps
    assert all(torch.equal(seen, images(5)(j)) for j, seen in enumerate(reals))
    assert torch.equal(spy.classified[-1], fakes[-1])


@pytest.mark.parametrize("d_steps", [1, 3])
def test_alternate_gives_g_latents_of_its_own_and_passes_over_its_batch(d_steps: int) -> None:
    updater, _ = make(recipe=replace(tiny.RECIPE, updates="alternate"), d_steps=d_steps)
    assert updater.batches_per_step == d_steps + 1
    spy = Spy(updater)
    updater.step(5, 0, spy.batch(5))
    assert spy.asked == list(range(1, d_steps + 1))
    assert len(spy.latents) == d_steps + 1
    assert all(torch.equal(seen, z(5, j)) for j, seen in enumerate(spy.latents))
    reals = spy.classified[1::2]
    assert len(reals) == d_steps
    assert all(torch.equal(seen, images(5)(j)) for j, seen in enumerate(reals, 1))
    assert not any(torch.equal(spy.classified[0], seen) for seen in spy.classified[1:])


@pytest.mark.parametrize("z_dist", ["uniform", "normal"])
def test_latents_are_drawn_from_the_configured_distribution(z_dist: Any) -> None:
    model = replace(tiny.MODEL, z_dist=z_dist)
    updater = Updater(model, tiny.RECIPE, tiny.settings(seed=SEED))
    spy = Spy(updater)
    updater.step(2, 0, images(2))
    assert torch.equal(spy.latents[0], z(2, 0, model=model))


@pytest.mark.parametrize("updates", ["together", "alternate"])
def test_every_step_and_every_attempt_draws_other_latents(updates: Any) -> None:
    recipe = replace(tiny.RECIPE, updates=updates)
    updater, _ = make(recipe=recipe, d_steps=2)
    spy = Spy(updater)
    for number, attempt in ((0, 0), (1, 0), (0, 1), (0, 2)):
        updater.step(number, attempt, images(number))
    distinct = {seen.numpy().tobytes() for seen in spy.latents}
    assert len(distinct) == len(spy.latents) == 4 * updater.batches_per_step


def test_every_attempt_takes_the_gradient_penalty_elsewhere() -> None:
    updater, _ = make("wgan-gp")
    places = [next(updater._draw_inputs(0, attempt, images(0))).alpha for attempt in (0, 1)]
    assert places[0] is not None
    assert places[1] is not None
    assert not torch.equal(places[0], places[1])


@pytest.mark.parametrize("loss", LOSSES)
def test_d_gets_no_gradient_in_gs_step(loss: str) -> None:
    updater, _ = make(loss)
    updater.step(0, 0, images(0))
    before = [p.grad.clone() for p in updater.discriminator.parameters() if p.grad is not None]
    weights = [p.detach().clone() for p in updater.discriminator.parameters()]
    updater._update_generator(UpdateInputs(z(1, 0), images(1)(0)), updater._generate(z(1, 0)))
    after = [p.grad for p in updater.discriminator.parameters() if p.grad is not None]
    assert len(before) == len(after)
    assert all(map(torch.equal, before, after))
    assert all(map(torch.equal, weights, updater.discriminator.parameters()))
    assert all(p.requires_grad for p in updater.discriminator.parameters())


def test_d_can_be_trained_after_gs_step_failed() -> None:
    updater, _ = make()

    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    hook = updater.discriminator.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        updater._update_generator(UpdateInputs(z(0, 0)), updater._generate(z(0, 0)))
    hook.remove()
    assert all(p.requires_grad for p in updater.discriminator.parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_g_gets_no_gradient_in_ds_step(loss: str) -> None:
    updater, _ = make(loss)
    fake = updater._generate(z(0, 0)).detach()
    updater._update_discriminator(next(updater._draw_inputs(0, 0, images(0))), fake)
    assert all(p.grad is None for p in updater.generator.parameters())


@pytest.mark.parametrize("updates", ["together", "alternate"])
def test_wgan_clips_every_weight_of_d(updates: Any) -> None:
    recipe = replace(tiny.RECIPE, updates=updates)
    updater, _ = make("wgan", recipe, d_steps=2)
    seen: list[float] = []
    updater.discriminator.register_forward_pre_hook(
        lambda *_: seen.append(
            max(p.abs().max().item() for p in updater.discriminator.parameters())
        )
    )
    updater.step(0, 0, images(0))
    limit = pytest.approx(0.01)
    assert seen[0] > 0.5  # as initialized: scales of batch norm near 1
    # Pairs of passes, real and generated, share weights; from the second on they are clipped.
    assert seen[3:] == [limit] * len(seen[3:])
    assert all(p.abs().max() <= 0.01 for p in updater.discriminator.parameters())
    assert any(p.abs().max() > 0.5 for p in updater.generator.parameters())


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.9, 1.0])
def test_average_is_exact(decay: float) -> None:
    updater, _ = make(ema=decay)
    assert updater.average is not None
    weight = updater.average.to_rgb.weight
    expected = updater.generator.to_rgb.weight.detach().double().clone()
    mean = updater.generator.project.norm.running_mean
    assert isinstance(mean, Tensor)
    expected_mean = mean.double().clone()
    for number in range(3):
        updater.step(number, 0, images(number))
        now = min(decay, (0.1, 2 / 11, 3 / 12)[number])
        expected = now * expected + (1 - now) * updater.generator.to_rgb.weight.detach().double()
        expected_mean = now * expected_mean + (1 - now) * mean.double()
    torch.testing.assert_close(weight.double(), expected, rtol=1e-6, atol=1e-7)
    averaged = updater.average.project.norm
    torch.testing.assert_close(averaged.running_mean.double(), expected_mean, rtol=1e-5, atol=1e-7)
    assert averaged.num_batches_tracked == 3
    assert not any(p.requires_grad for p in updater.average.parameters())


def test_average_begins_as_the_generator_and_trains_nothing() -> None:
    plain, _ = make()
    averaging, _ = make(ema=0.9)
    assert averaging.average is not None
    for name, value in averaging.average.state_dict().items():
        assert torch.equal(value, averaging.generator.state_dict()[name])
    for number in range(2):
        plain.step(number, 0, images(number))
        averaging.step(number, 0, images(number))
    for name, value in plain.generator.state_dict().items():
        assert torch.equal(value, averaging.generator.state_dict()[name])


def test_weights_are_those_of_the_seed() -> None:
    first, again, other = (
        Updater(tiny.MODEL, tiny.RECIPE, tiny.settings(seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.generator.to_rgb.weight, again.generator.to_rgb.weight)
    assert not torch.equal(first.generator.to_rgb.weight, other.generator.to_rgb.weight)
    assert not torch.equal(first.discriminator.head.weight, other.discriminator.head.weight)


@pytest.mark.parametrize("loss", LOSSES)
def test_bf16_keeps_weights_in_fp32_and_losses_near(loss: str) -> None:
    exact, _ = make(loss)
    rough, _ = make(loss, precision=torch.bfloat16)
    kinds: set[torch.dtype] = set()
    first = next(m for m in rough.discriminator.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda _m, _x, y: kinds.add(y.dtype))
    for number in range(4):
        one = exact.step(number, 0, images(number))
        other = rough.step(number, 0, images(number))
        assert other.dtype == torch.float32
        torch.testing.assert_close(other[:5], one[:5], rtol=0.05, atol=0.02)
    assert torch.bfloat16 in kinds
    for network in (rough.generator, rough.discriminator):
        for value in network.state_dict().values():
            assert value.dtype in (torch.float32, torch.int64)
    for optimizer in (rough.g_optimizer, rough.d_optimizer):
        for state in optimizer.state.values():
            assert {value.dtype for value in state.values()} == {torch.float32}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_in_memory_changes_rounding_alone(
    loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = make(loss)
    assert ours.discriminator.layers[1][0].weight.stride()[1] == 1, "channels last"
    monkeypatch.setattr(step, "memory_format", lambda *_: torch.contiguous_format)
    plain, _ = make(loss)
    for number in range(3):
        found = ours.step(number, 0, images(number))
        torch.testing.assert_close(found, plain.step(number, 0, images(number)))


def test_moments_are_taken_up_in_the_order_of_their_weights() -> None:
    """As they come from a file: contiguous. A step by them is that of an Updater that went on."""
    going, _ = make("non-saturating")
    going.step(0, 0, images(0))
    other, _ = make("non-saturating")
    other.generator.load_state_dict(going.generator.state_dict())
    other.discriminator.load_state_dict(going.discriminator.state_dict())
    states = [deepcopy(o.state_dict()) for o in (going.g_optimizer, going.d_optimizer)]
    for state in states:
        for moments in state["state"].values():
            moments.update({name: value.contiguous() for name, value in moments.items()})
    other.load_optimizers(*states)
    assert torch.equal(going.step(1, 0, images(1)), other.step(1, 0, images(1)))
    for one, two in zip(going.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(one, two)


def test_gradient_norm_is_over_all_weights() -> None:
    network = nn.Linear(2, 1)
    network.weight.grad = torch.tensor([[2.0, 3.0]])
    network.bias.grad = torch.tensor([6.0])
    assert gradient_norm(network).item() == pytest.approx(7)


def test_metrics_are_not_attached_to_the_graph() -> None:
    updater, _ = make()
    metrics = updater.step(0, 0, images(0))
    assert metrics.shape == (len(METRICS),)
    assert not metrics.requires_grad
