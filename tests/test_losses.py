"""The losses: values and gradients by hand, and what sets the games apart."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dcgan_cli.errors import UsageError
from dcgan_cli.training.losses import LOSSES, choose_loss
from dcgan_cli.training.regularizers import gradient_penalty

REAL = [2.0, -0.5]
FAKE = [0.5, -3.0]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log1p_exp(x: float) -> float:
    return math.log(1 + math.exp(x))


CROSS_ENTROPY = (log1p_exp(-2) + log1p_exp(0.5)) / 2 + (log1p_exp(0.5) + log1p_exp(-3)) / 2
CROSS_ENTROPY_SLOPES = (
    [-sigmoid(-2.0) / 2, -sigmoid(0.5) / 2],
    [sigmoid(0.5) / 2, sigmoid(-3.0) / 2],
)

DISCRIMINATOR = {
    "non-saturating": (CROSS_ENTROPY, *CROSS_ENTROPY_SLOPES),
    "minimax": (CROSS_ENTROPY, *CROSS_ENTROPY_SLOPES),
    # ½ (1² + 1.5²)/2 + ½ (0.5² + 3²)/2
    "lsgan": (0.8125 + 2.3125, [0.5, -0.75], [0.25, -1.5]),
    # max(0, 1 − 2) and max(0, 1 + 0.5); max(0, 1 + 0.5) and max(0, 1 − 3)
    "hinge": (0.75 + 0.75, [0.0, -0.5], [0.5, 0.0]),
    # differences of pairs: 2 − 0.5 and −0.5 + 3
    "relativistic": (
        (log1p_exp(-1.5) + log1p_exp(-2.5)) / 2,
        [-sigmoid(-1.5) / 2, -sigmoid(-2.5) / 2],
        [sigmoid(-1.5) / 2, sigmoid(-2.5) / 2],
    ),
    "wgan": (-1.25 - 0.75, [-0.5, -0.5], [0.5, 0.5]),
    "wgan-gp": (-1.25 - 0.75, [-0.5, -0.5], [0.5, 0.5]),
}

GENERATOR = {
    "non-saturating": (
        (log1p_exp(-0.5) + log1p_exp(3)) / 2,
        [-sigmoid(-0.5) / 2, -sigmoid(3.0) / 2],
    ),
    "minimax": (-(log1p_exp(0.5) + log1p_exp(-3)) / 2, [-sigmoid(0.5) / 2, -sigmoid(-3.0) / 2]),
    # ½ (0.5² + 4²)/2
    "lsgan": (4.0625, [-0.25, -2.0]),
    "hinge": (1.25, [-0.5, -0.5]),
    # given differences from real images
    "relativistic": (
        (log1p_exp(-0.5) + log1p_exp(3)) / 2,
        [-sigmoid(-0.5) / 2, -sigmoid(3.0) / 2],
    ),
    "wgan": (1.25, [-0.5, -0.5]),
    "wgan-gp": (1.25, [-0.5, -0.5]),
}


def logits(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_every_loss_has_its_answers_here() -> None:
    assert set(DISCRIMINATOR) == set(GENERATOR) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_discriminator_loss_by_hand(name: str) -> None:
    value, real_slope, fake_slope = DISCRIMINATOR[name]
    real, fake = logits(REAL), logits(FAKE)
    loss = LOSSES[name].discriminator(real, fake)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-12)
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.tolist() == pytest.approx(real_slope, rel=1e-12)
    assert fake.grad.tolist() == pytest.approx(fake_slope, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_generator_loss_by_hand(name: str) -> None:
    value, slope = GENERATOR[name]
    fake = logits(FAKE)
    loss = LOSSES[name].generator(fake)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-12)
    assert fake.grad is not None
    assert fake.grad.tolist() == pytest.approx(slope, rel=1e-12)


LOGITS = st.lists(st.floats(-30, 30), min_size=1, max_size=6)


@given(LOGITS, LOGITS)
@settings(deadline=None)
def test_cross_entropies_are_those_of_torch(real: list[float], fake: list[float]) -> None:
    x, g = logits(real), logits(fake)
    ones, zeros = torch.ones_like, torch.zeros_like
    bce = F.binary_cross_entropy_with_logits
    expected = bce(x, ones(x)) + bce(g, zeros(g))
    for name in ("non-saturating", "minimax"):
        torch.testing.assert_close(LOSSES[name].discriminator(x, g), expected)
    torch.testing.assert_close(LOSSES["non-saturating"].generator(g), bce(g, ones(g)))
    torch.testing.assert_close(LOSSES["minimax"].generator(g), -bce(g, zeros(g)))


def generator_slope(name: str, logit: float) -> float:
    fake = logits([logit])
    LOSSES[name].generator(fake).backward()
    assert fake.grad is not None
    return fake.grad.item()


def test_minimax_saturates_where_d_is_sure_and_the_others_do_not() -> None:
    """Goodfellow et al. 2014, §3: with D(G(z)) = e⁻²⁰, log(1 − D) is flat and log D is not."""
    assert -1e-8 < generator_slope("minimax", -20.0) < 0
    for name in set(LOSSES) - {"minimax"}:
        assert generator_slope(name, -20.0) <= -1 + 1e-8


@given(st.sampled_from(sorted(LOSSES)), st.floats(-60, 60))
@settings(deadline=None)
def test_g_is_always_drawn_towards_what_d_calls_real(name: str, logit: float) -> None:
    """Where D calls a sample fake, every game moves it up; only lsgan ever moves one down."""
    slope = generator_slope(name, logit)
    assert slope < 0 or (name == "lsgan" and logit >= 1)


@pytest.mark.parametrize("name", LOSSES)
def test_logits_without_measure_stay_finite(name: str) -> None:
    """softplus, not log(sigmoid): certainty of D is no overflow (float32, as in training)."""
    sure = torch.tensor([1e4, -1e4], requires_grad=True)
    total = LOSSES[name].discriminator(sure, -sure) + LOSSES[name].generator(sure)
    total.backward()
    assert total.isfinite()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


def test_unknown_loss_names_them_all() -> None:
    with pytest.raises(
        UsageError, match="non-saturating, minimax, lsgan, hinge, relativistic, wgan, wgan-gp"
    ):
        choose_loss("dcgan")
    assert choose_loss("hinge") is LOSSES["hinge"]


def test_what_the_papers_set() -> None:
    assert {name for name, loss in LOSSES.items() if loss.probabilities} == {
        "non-saturating",
        "minimax",
    }
    assert {name for name, loss in LOSSES.items() if loss.relativistic} == {"relativistic"}
    assert (LOSSES["wgan"].clip, LOSSES["wgan"].d_steps) == (0.01, 5)
    assert (LOSSES["wgan-gp"].penalty, LOSSES["wgan-gp"].d_steps) == (10.0, 5)
    assert all(loss.clip is None for name, loss in LOSSES.items() if name != "wgan")
    assert all(loss.penalty is None for name, loss in LOSSES.items() if name != "wgan-gp")


class Linear(nn.Module):
    """D(x) = w · x + b: its slope is w everywhere."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float64))
        self.shift = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights + self.shift


class Square(nn.Module):
    """D(x) = ½ a ‖x‖²: its slope is a x, so the penalty tells where it was taken."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return 0.5 * self.a * images.flatten(1).square().sum(1)


def images(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 1, 2, 2)


def test_penalty_of_a_linear_discriminator() -> None:
    """‖w‖ = 13 gives (13 − 1)², and its gradient 2 (‖w‖ − 1) w / ‖w‖."""
    network = Linear([3.0, 4.0, 0.0, 12.0])
    real, fake = images([[1, 2, 3, 4], [0, 0, 0, 0]]), images([[9, 9, 9, 9], [1, -1, 1, -1]])
    alpha = torch.tensor([0.25, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1)
    penalty = gradient_penalty(network, real, fake, alpha)
    penalty.backward()
    assert penalty.item() == pytest.approx(144)
    assert network.weights.grad is not None
    expected = [24 / 13 * w for w in (3.0, 4.0, 0.0, 12.0)]
    assert network.weights.grad.tolist() == pytest.approx(expected)
    assert network.shift.grad is None or network.shift.grad == 0


def test_penalty_is_taken_between_real_and_fake_image_by_image() -> None:
    network = Square(2.0)
    real, fake = images([[1, 0, 0, 0], [0, 0, 3, 4]]), images([[5, 0, 0, 0], [0, 0, 0, 0]])
    alpha = torch.tensor([0.75, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1)
    # x̂ is [4, 0, 0, 0] and half of [0, 0, 3, 4]: slopes of norm 2 · 4 and 2 · 2.5.
    penalty = gradient_penalty(network, real, fake, alpha)
    assert penalty.item() == pytest.approx(((8 - 1) ** 2 + (5 - 1) ** 2) / 2)
    penalty.backward()
    assert network.a.grad is not None
    assert network.a.grad.item() == pytest.approx((2 * 7 * 4 + 2 * 4 * 2.5) / 2)


def test_penalty_differentiates_a_network_as_finite_differences_do() -> None:
    stream = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0)
    ).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.7, generator=stream)
    real, fake = (torch.randn(5, 1, 2, 2, dtype=torch.float64, generator=stream) for _ in "rf")
    alpha = torch.rand(5, 1, 1, 1, dtype=torch.float64, generator=stream)

    gradient_penalty(network, real, fake, alpha).backward()
    step = 1e-6
    compared = 0
    for parameter in network.parameters():
        if parameter.grad is None:  # the last shift: the slope does not know it
            continue
        weights, slopes = parameter.data.reshape(-1), parameter.grad.reshape(-1)
        for place in range(len(weights)):
            weights[place] += step
            above = gradient_penalty(network, real, fake, alpha).item()
            weights[place] -= 2 * step
            below = gradient_penalty(network, real, fake, alpha).item()
            weights[place] += step
            assert slopes[place].item() == pytest.approx((above - below) / (2 * step), abs=1e-6)
            compared += 1
    assert compared == 3 * 9 + 3 + 12


def test_penalty_leaves_its_inputs_alone() -> None:
    real, fake = images([[1, 2, 3, 4]]), images([[0, 1, 0, 1]])
    kept = real.clone(), fake.clone()
    alpha = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    gradient_penalty(Linear([1.0, 0.0, 0.0, 0.0]), real, fake, alpha).backward()
    assert torch.equal(real, kept[0])
    assert torch.equal(fake, kept[1])
    assert not real.requires_grad
    assert not fake.requires_grad
    assert real.grad is None
