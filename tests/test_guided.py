"""Guided backpropagation: rules by hand and against others, maxima, measures, and the whole report."""

import copy
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from dcgan_cli.analysis.guided_backprop import maxima as looking
from dcgan_cli.analysis.guided_backprop import saliency
from dcgan_cli.analysis.guided_backprop.guided import Choice, guided_backprop
from dcgan_cli.analysis.guided_backprop.maxima import (
    MaximaBatch,
    MaximaSearch,
    find_maxima,
    receptive_fields,
    trunk,
    visualize,
)
from dcgan_cli.data.image_set import DecodedImages
from dcgan_cli.data.labels import Boxes
from dcgan_cli.data.pixels import normalize
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.errors import CheckpointError, SourceError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import SLOPE, Discriminator
from dcgan_cli.model.hooks import RULES, Rule, guided
from dcgan_cli.model.layers import initialize
from dcgan_cli.render.json_report import to_json

CONFIG = ModelConfig(size=16, channels=3, ngf=2, ndf=4, kernel=4, projection="channel")
CPU = torch.device("cpu")


class Gallery(DecodedImages):
    """Prepared images in memory; number i is 10 · i in the source."""

    skipped, log = 0, None

    def __init__(self, images: NDArray[np.uint8], sizes: Sequence[int] = (16, 16)) -> None:
        self.images = images
        self.image_spec = ImageSpec(images.shape[1], images.shape[3])
        self.origin = np.arange(len(images), dtype=np.int64) * 10
        self.original_size = np.tile(np.array(sizes, np.uint32), (len(images), 1))
        self.notes = []

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[indices]


def noise(count: int, size: int = 16, channels: int = 3, seed: int = 0) -> Gallery:
    stream = np.random.default_rng(seed)
    return Gallery(stream.integers(0, 256, (count, size, size, channels), np.uint8))


def discriminator(config: ModelConfig = CONFIG, seed: int = 0) -> Discriminator:
    network = Discriminator(config)
    initialize(network, torch.Generator().manual_seed(seed))
    return network


def scene(
    images: DecodedImages, config: ModelConfig = CONFIG, layer: int = 2, rule: Rule = "guided"
) -> MaximaSearch:
    return MaximaSearch(images, config, layer, rule, CPU)


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    """What each image owes for the sum of all outputs."""
    pixels = x.clone().requires_grad_()
    return torch.autograd.grad(network(pixels).sum(), pixels)[0]


# The rules


def by_hand(activation: nn.Module) -> nn.Sequential:
    """At x = (1, 2): hidden inputs (1, −1, 1), and gradients (2, 4, −8) at the hidden outputs."""
    network = nn.Sequential(nn.Linear(2, 3, bias=False), activation, nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]))  # type: ignore[operator]
        network[2].weight.copy_(torch.tensor([[2.0, 4.0, -8.0]]))  # type: ignore[operator]
    return network


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("activation", "rule", "answer"),
    [
        # at the hidden inputs: (2, 4 · ¼, −8), (2, 4 · ¼, 0), (2, 0, 0)
        (lambda inplace: nn.LeakyReLU(0.25, inplace), "gradient", (11.0, -9.0)),
        (lambda inplace: nn.LeakyReLU(0.25, inplace), "leaky", (3.0, -1.0)),
        (lambda inplace: nn.LeakyReLU(0.25, inplace), "guided", (2.0, 0.0)),
        (nn.ReLU, "gradient", (10.0, -8.0)),
        (nn.ReLU, "leaky", (2.0, 0.0)),
        (nn.ReLU, "guided", (2.0, 0.0)),
    ],
)
def test_every_rule_by_hand(
    activation: Callable[[bool], nn.Module], rule: Rule, answer: tuple[float, float], inplace: bool
) -> None:
    network = by_hand(activation(inplace))
    x = torch.tensor([[1.0, 2.0]])
    plain = network(x)
    with guided(network, rule):
        assert torch.equal(network(x), plain)
        assert gradient(network, x).tolist() == [list(answer)]
    with guided(network, "gradient"):
        assert torch.equal(gradient(network, x), gradient(network, x))


Weights = list[NDArray[np.float64]]


def reference(weights: Weights, x: NDArray[np.float64], rule: str) -> NDArray[np.float64]:
    """The rules once more in plain numpy, for a perceptron with LeakyReLU after all but the last."""
    inputs: Weights = []
    for weight in weights[:-1]:
        inputs.append(weight @ x)
        x = np.where(inputs[-1] > 0, inputs[-1], SLOPE * inputs[-1])
    g = weights[-1].sum(0)
    for weight, before in zip(weights[-2::-1], inputs[::-1], strict=True):
        positive = g if rule == "gradient" else np.maximum(g, 0)
        below = 0 if rule == "guided" else SLOPE
        g = weight.T @ np.where(before > 0, positive, below * positive)
    return g


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(RULES),
)
def test_rules_of_deep_perceptrons(widths: list[int], seed: int, rule: Rule) -> None:
    stream = np.random.default_rng(seed)
    weights = [stream.standard_normal((b, a)) for a, b in itertools.pairwise(widths)]
    layers: list[nn.Module] = []
    for weight in weights:
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
        layers += [linear, nn.LeakyReLU(SLOPE, inplace=True)]
    network = nn.Sequential(*layers[:-1])
    x = stream.standard_normal(widths[0])
    with guided(network, rule):
        found = gradient(network, torch.from_numpy(x)[None])[0].numpy()
    np.testing.assert_allclose(found, reference(weights, x, rule), atol=1e-10)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:captum")
def test_guided_is_captums_on_a_relu_network() -> None:
    from captum import attr

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 6 * 6, 5),
    ).eval()
    x = torch.randn(4, 3, 16, 16)
    expected = attr.GuidedBackprop(network).attribute(x.clone(), target=2)
    with guided(network):
        pixels = x.clone().requires_grad_()
        found = torch.autograd.grad(network(pixels)[:, 2].sum(), pixels)[0]
    assert torch.equal(found, expected)
    assert not torch.equal(found, torch.zeros_like(found))
    in_place = copy.deepcopy(network)
    for module in in_place.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    with guided(in_place):
        pixels = x.clone().requires_grad_()
        found = torch.autograd.grad(in_place(pixels)[:, 2].sum(), pixels)[0]
    assert torch.equal(found, expected)


def test_an_output_that_is_overwritten_later_keeps_its_gate() -> None:
    class Negate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(-1)

    network = nn.Sequential(by_hand(nn.LeakyReLU(0.25))[:2], Negate())
    with guided(network):
        found = gradient(network, torch.tensor([[1.0, 2.0]]))
    assert found.tolist() == [[0.0, 0.0]]  # every gradient that arrives is −1
    network = nn.Sequential(by_hand(nn.LeakyReLU(0.25))[:2], Negate(), Negate())
    with guided(network):
        found = gradient(network, torch.tensor([[1.0, 2.0]]))
    assert found.tolist() == [[0.0, 1.0]]  # open for (1, 0) and (−1, 1), shut for (1, −1)


def settings_of(network: nn.Module) -> list[tuple[Any, ...]]:
    return [
        (
            module.training,
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            len(module._backward_hooks),
            getattr(module, "inplace", None),
        )
        for module in network.modules()
    ]


def test_nothing_is_left_behind_also_after_exceptions() -> None:
    network = discriminator().train()
    network.layers[1].eval()
    before, weights = settings_of(network), copy.deepcopy(network.state_dict())
    x = torch.rand(2, 3, 16, 16)
    plain = gradient(copy.deepcopy(network).eval(), x)
    with guided(network), torch.no_grad():
        network.eval()
        network(x)  # nothing to be guided
        network.train()
        network.layers[1].eval()
    with pytest.raises(KeyboardInterrupt), guided(network):
        raise KeyboardInterrupt
    view = MaximaBatch(
        x, np.arange(2), np.zeros(2, np.int64), np.full((2, 2), 9), np.ones((2, 16, 16)) > 0
    )
    with pytest.raises(IndexError):  # row 9 of a map of 4
        visualize(trunk(network, 2), view, "guided")
    assert settings_of(network) == before
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(gradient(copy.deepcopy(network).eval(), x), plain)


def test_an_unknown_rule_is_refused_before_the_block_begins() -> None:
    with pytest.raises(ValueError, match="'deconv': expected one of guided, leaky, gradient"):
        guided(nn.ReLU(), "deconv").__enter__()  # type: ignore[arg-type]


# Responses carried back


@pytest.mark.parametrize("rule", RULES)
def test_visualizations_of_a_discriminator_by_hand(rule: Rule) -> None:
    network = discriminator().eval()
    norm = network.layers[1][1]  # type: ignore[index]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.uniform_(-0.1, 0.1)
    norm.running_var.uniform_(0.01, 0.1)
    images = noise(3)
    maps, places = np.array([5, 0, 2]), np.array([[0, 3], [1, 1], [3, 2]])
    view = scene(images).view(np.arange(3), maps, places)
    found = visualize(trunk(network, 2), view, rule)

    first, second = network.layers[0][0].weight, network.layers[1][0].weight  # type: ignore[index]
    hidden = torch.conv2d(view.normalized, first, stride=2, padding=1)
    one = torch.zeros(3, 8, 4, 4)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    for i, (number, (row, column)) in enumerate(zip(maps, places, strict=True)):
        one[i, number, row, column] = scale[number]
    g = nn.grad.conv2d_input(hidden.shape, second, one, stride=2, padding=1)
    if rule != "gradient":
        g = g.clamp(min=0)
    g = torch.where(hidden > 0, g, g * (0 if rule == "guided" else SLOPE))
    expected = nn.grad.conv2d_input(view.normalized.shape, first, g, stride=2, padding=1)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_receptive_fields_are_where_gradients_are(kernel: int, layer: int) -> None:
    config = replace(CONFIG, size=32, kernel=kernel, ndf=2)
    network, side = discriminator(config).eval(), 32 // 2**layer
    places = np.array([[0, 0], [side - 1, side - 1], [side // 2, side // 2], [0, side - 1]])
    view = scene(noise(4, 32), config, layer).view(np.arange(4), np.zeros(4, np.int64), places)
    seen = visualize(trunk(network, layer), view, "gradient").abs().sum(1).numpy()
    assert np.array_equal(seen > 0, view.fields)
    assert np.array_equal(view.fields, receptive_fields(config, layer, places))


def test_maxima_are_those_of_all_responses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(23)
    network = scene(images).network(discriminator())
    with torch.no_grad():
        maps = network.eval()(normalize(torch.from_numpy(images.images))).numpy()
    one = find_maxima(scene(images), [network], 8, 4)[0]
    for number in range(8):
        best = maps[:, number].max((1, 2))
        order = np.argsort(-best, kind="stable")[:4]
        assert one.image[number].tolist() == order.tolist()
        np.testing.assert_allclose(one.response[number], best[order], rtol=1e-5)
        for image, place in zip(order, one.place[number], strict=True):
            assert maps[image, number].argmax() == place[0] * 4 + place[1]
    monkeypatch.setattr(looking, "IMAGES_PER_BATCH", 5)
    steps: list[int] = []
    counted = replace(scene(images), step=lambda: steps.append(1))
    pieces = find_maxima(counted, [network, network], 8, 4)
    assert len(steps) == math.ceil(23 / 5)
    for found in pieces:
        assert np.array_equal(found.image, one.image)
        assert np.array_equal(found.place, one.place)


def test_of_equal_responses_the_earlier_image_comes_first() -> None:
    images = noise(3)
    images.images = images.images[[0, 0, 1, 1, 1, 2]]
    images.origin = np.arange(6)
    found = find_maxima(scene(images), [trunk(discriminator().eval(), 2)], 8, 6)[0]
    for row in found.image.tolist():
        assert sorted(row) == list(range(6))  # no image twice
        assert [i for i in row if i in (2, 3, 4)] == [2, 3, 4]
        assert [i for i in row if i in (0, 1)] == [0, 1]


def test_a_network_gone_wrong_is_refused() -> None:
    network = discriminator()
    with torch.no_grad():
        network.layers[0][0].weight[0, 0, 0, 0] = math.nan  # type: ignore[index]
    with pytest.raises(CheckpointError, match="not finite"):
        guided_backprop(network, noise(8), Choice.of(CONFIG, top=2))


# Measures


def test_what_layer_norm_lets_through_is_no_energy() -> None:
    config = replace(CONFIG, d_norm="layer")
    stage = scene(noise(4), config)
    network = stage.network(discriminator(config))
    view = stage.view(np.arange(4), np.arange(4), np.zeros((4, 2), np.int64))
    beyond = ~view.fields
    assert visualize(network, view, "guided").abs().sum(1).numpy()[beyond].max() > 0
    found = saliency.energy(network, view, "guided")
    assert found[beyond].max() == 0
    assert found.max() > 0


def test_filled_counts_the_pixels_that_hold_the_energy() -> None:
    fields = np.zeros((4, 4, 4), np.bool_)
    fields[:, :2] = True
    energies = np.zeros((4, 4, 4))
    energies[0][fields[0]] = 3.0
    energies[1, 0, 0] = 5.0
    energies[2, 0, :2] = 1.0
    found = saliency.filled(energies, fields)
    assert found[:3].tolist() == [1.0, 1 / 8, 2 / 8]
    assert np.isnan(found[3])


def test_shares_and_lift_are_ratios_of_means() -> None:
    energies = np.zeros((2, 2, 2))
    energies[0] = [[3, 1], [0, 0]]
    masks = np.array([[[1, 0.5], [1, 1]]] * 2)
    found = saliency.share_inside(energies, masks)
    assert found[0] == 3.5 / 4
    assert np.isnan(found[1])
    inside, area = np.array([[0.9, 0.1], [np.nan, 0.0]]), np.array([[0.4, 0.1], [0.5, 0.0]])
    assert saliency.lift(inside, area) == pytest.approx(1.0 / 0.5)
    assert math.isnan(saliency.lift(inside * 0, area * 0))
    assert saliency.finite_mean(np.array([1.0, np.nan, 3.0])) == 2.0
    assert math.isnan(saliency.finite_mean(np.array([np.nan])))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_likeness_is_spearmans(seed: int) -> None:
    stream = np.random.default_rng(seed)
    some, others = stream.integers(0, 4, (2, 3, 5, 5)).astype(np.float64)
    fields = stream.random((3, 5, 5)) < 0.8
    found = saliency.likeness(some, others, fields)
    for i in range(3):
        expected = spearmanr(some[i][fields[i]], others[i][fields[i]]).statistic
        assert found[i] == pytest.approx(expected, abs=1e-12)


def test_likeness_of_the_same_the_reverse_and_nothing() -> None:
    ramp = np.arange(16.0).reshape(1, 4, 4)
    everywhere = np.ones((1, 4, 4), np.bool_)
    assert saliency.likeness(ramp, ramp**3, everywhere)[0] == pytest.approx(1.0)
    assert saliency.likeness(ramp, -ramp, everywhere)[0] == pytest.approx(-1.0)
    assert np.isnan(saliency.likeness(ramp, ramp * 0, everywhere)[0])


def boxes(rows: list[tuple[int, str, float, float, float, float]], seen: list[bool]) -> Boxes:
    return Boxes(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.str_),
        np.array([row[2:] for row in rows], np.float64).reshape(-1, 4),
        np.array(seen),
    )


def test_pixels_lie_in_boxes_by_the_share_that_is_covered() -> None:
    known = boxes(
        [(0, "a", 0.125, 0.0, 0.75, 0.5), (0, "b", 0.25, 0.0, 0.5, 0.25)], [True, True, False]
    )
    found = saliency.inside_boxes(known, np.array([1, 0, 2]), 4)
    assert not found[0].any()
    assert found[1].tolist() == [[0.5, 1, 1, 0], [0.5, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert np.isnan(found[2]).all()


def test_boxes_of_a_source_lie_on_the_centered_squares() -> None:
    images = noise(3)
    images.original_size[:] = (200, 100)  # the square is columns 50 to 150
    rows = [
        (0, "left", 0.0, 0.0, 0.2, 1.0),  # cut off
        (10, "bed", 0.25, 0.5, 0.5, 1.0),
        (20, "cat", 0.5, 0.0, 1.0, 0.5),
        (7, "bed", 0.0, 0.0, 1.0, 1.0),  # of no prepared image
    ]
    found = saliency.boxes_by_kind(boxes(rows, [True] * 21), images)
    assert list(found) == [saliency.ANY, "bed", "cat"]
    assert found[saliency.ANY].image.tolist() == [1, 2]
    assert found["bed"].corners.tolist() == [[0.0, 0.5, 0.5, 1.0]]
    assert found["cat"].corners.tolist() == [[0.5, 0.0, 1.0, 0.5]]
    assert saliency.boxes_by_kind(boxes(rows[:1], [True] * 21), images) == {}
    assert saliency.boxes_by_kind(None, images) == {}


def test_one_more_network_falls_into_students_interval() -> None:
    found = saliency.prediction_interval([1.0, 2.0, 3.0])
    half = 4.302652729911275 * math.sqrt(4 / 3)  # the 97.5 % quantile of t with 2 degrees
    assert (found.value, found.n) == (2.0, 3)
    assert found.low == pytest.approx(2 - half)
    assert found.high == pytest.approx(2 + half)


def test_one_more_covers_what_it_says() -> None:
    stream = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        *known, new = stream.standard_normal(9)
        found = saliency.prediction_interval(known)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= new <= found.high
    assert 0.93 < hits / 1000 < 0.97


# The whole


def red_things(count: int = 60) -> tuple[Gallery, Boxes]:
    """Gray noise with a red square somewhere, and its box; and a discriminator is told below."""
    stream = np.random.default_rng(1)
    images = np.repeat(stream.integers(140, 256, (count, 16, 16, 1), np.uint8), 3, 3)
    rows: list[tuple[int, str, float, float, float, float]] = []
    for i, (x, y) in enumerate(stream.integers(0, 14, (count, 2)).tolist()):
        images[i, y : y + 3, x : x + 3] = (255, 0, 0)
        rows.append((10 * i, "thing", x / 16, y / 16, (x + 3) / 16, (y + 3) / 16))
    return Gallery(images), boxes(rows, [True] * (10 * count))


WIDE = replace(CONFIG, ndf=16)
"""Many first filters: the fewer there are, the more one random network differs from the next."""


def red_seeker() -> Discriminator:
    """Its first layer is open where it is red, its second sums that."""
    network = discriminator(WIDE)
    colors = torch.tensor([1.0, -0.6, -0.6])[None, :, None, None]
    with torch.no_grad():
        network.layers[0][0].weight.copy_(colors.expand(16, 3, 4, 4))  # type: ignore[index]
        network.layers[1][0].weight.abs_()  # type: ignore[index]
    return network


def findings(report: Any) -> dict[str, Any]:
    return {finding.key: finding for finding in report.findings}


def test_what_looks_at_objects_is_told_from_random_filters() -> None:
    images, known = red_things()
    choice = Choice.of(WIDE, features=2, top=3, measured=8)
    report = guided_backprop(red_seeker(), images, choice, boxes=known)
    found = findings(report)
    overlap, gain = found["overlap"], found["overlap_same_places"]
    assert gain.value.low > 0
    assert overlap.value.low > overlap.control.value > overlap.control.low > 0
    assert (overlap.value.n, overlap.control.n, gain.value.n) == (8, 8, 8)
    table = next(table for table in report.tables if "Energy" in table.title)
    assert [row[0] for row in table.rows] == [saliency.ANY, "thing"]
    assert table.rows[0][1:] == table.rows[1][1:]  # there is one kind
    # the same boxes on other images are no better than chance
    other = replace(known, image=np.roll(known.image, 17))
    wrong = findings(guided_backprop(red_seeker(), images, choice, boxes=other))
    assert wrong["overlap"].value.value < overlap.value.value / 1.5
    # the plain gradient passes closed units too
    plain = replace(choice, rule="gradient")
    loose = findings(guided_backprop(red_seeker(), images, plain, boxes=known))
    assert loose["overlap"].value.value < overlap.value.value


def test_random_filters_are_not_told_from_random_filters() -> None:
    images, known = red_things()
    choice = Choice.of(WIDE, top=3, measured=8)
    report = guided_backprop(discriminator(WIDE, seed=3), images, choice, boxes=known)
    for key in ("concentration", "overlap", "agreement_guided_leaky"):
        finding = findings(report)[key]
        assert finding.control.low <= finding.value.value <= finding.control.high
    gain = findings(report)["overlap_same_places"].value
    assert gain.low <= 0 <= gain.high


def test_replacing_layers_by_the_same_layers_changes_nothing() -> None:
    images, network = noise(30), discriminator()
    stage = scene(images)
    trained = stage.network(network)
    (found,) = find_maxima(stage, [trained], 8, 2)
    same = saliency.cascade(stage, found, network, trained, copy.deepcopy(network))
    assert list(same) == [saliency.UNTOUCHED, "2", "2, 1"]
    for name in ("2", "2, 1"):
        assert same[name] == pytest.approx(np.ones((8, 2)))
    assert (same[saliency.UNTOUCHED] < 0.999).all()
    # and when all are replaced, what is seen is what the other network sees
    other = discriminator(seed=9)
    random = stage.network(other)
    changed = saliency.cascade(stage, found, network, trained, other)["2, 1"]
    view = next(stage.views(found))
    ours, theirs = (saliency.energy(one, view, "guided") for one in (trained, random))
    expected = saliency.likeness(ours, theirs, view.fields).reshape(8, 2)
    np.testing.assert_allclose(changed, expected, rtol=1e-6)


def test_the_grid_and_what_it_says() -> None:
    images, steps = noise(40), list[tuple[int, int]]()
    network = discriminator()
    before = copy.deepcopy(network.state_dict())
    choice = Choice.of(CONFIG, features=3, top=4, draws=2)
    report = guided_backprop(
        network, images, choice, checkpoint="abc", name=lambda i: f"image {i}",
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert steps == [(i + 1, len(steps)) for i in range(len(steps))]
    (grid,) = report.grids
    assert grid.images.shape == (3 * 2 * 9, 16, 16, 3)
    assert (grid.columns, len(grid.captions), len(grid.row_labels)) == (9, 54, 6)
    assert grid.row_labels[:2] == ["map 0 guided", ""]
    assert (grid.images.reshape(6, 9, -1)[:, 4] == 255).all()
    assert grid.provenance is not None
    assert grid.provenance.command.startswith("guided-backprop --layer 2 --rule guided")
    assert np.isnan(grid.provenance.latents).all()
    listed = report.facts["maxima"]
    assert len(listed) == 2 * 3 * 4
    entry = listed[12]  # the trained one's largest response
    assert (entry["network"], entry["map"], entry["rank"]) == ("trained", 0, 0)
    assert entry["name"] == f"image {entry['image']}"
    assert grid.captions[5] == f"trained {entry['response']:.1f}"
    assert grid.captions[9 + 5] == f"#{entry['image']}"
    # the image as it is inside the receptive field, paler outside; the visualization gray there
    field = receptive_fields(CONFIG, 2, np.array([[entry["row"], entry["column"]]]))[0]
    shown, original = grid.images[9 + 5], images.images[entry["image"] // 10]
    assert np.array_equal(shown[field], original[field])
    assert (shown[~field].astype(int) >= original[~field]).all()
    assert (grid.images[5][~field] == 128).all()
    assert grid.images[5][field].min() == 0 or grid.images[5][field].max() == 255
    assert "overlap" not in findings(report)
    assert any("no boxes" in note for note in report.notes)


@pytest.mark.parametrize("rule", RULES)
def test_the_caption_names_the_rule(rule: Rule) -> None:
    choice = Choice.of(CONFIG, rule=rule, features=1, top=1, measured=1, draws=2)
    caption = guided_backprop(discriminator(), noise(6), choice).facts["caption"]
    said = {"guided": "read as ReLU", "leaky": "own slope", "gradient": "the plain gradient"}
    assert said[rule] in caption
    assert "convolution layer 2" in caption


@pytest.mark.parametrize(
    ("config", "layer"),
    [(CONFIG, 1), (replace(CONFIG, d_norm="layer"), 2), (replace(CONFIG, d_norm="none"), 2)],
)
def test_first_layers_and_other_normalizations(config: ModelConfig, layer: int) -> None:
    choice = Choice.of(config, layer=layer, features=2, top=2, measured=4, draws=2)
    report = guided_backprop(discriminator(config), noise(20), choice)
    found = findings(report)
    assert 0 < found["concentration"].value.value <= 1
    rules = [finding.value.value for key, finding in found.items() if "agreement" in key]
    if layer == 1:  # no unit before it: all rules are the plain gradient
        assert rules == pytest.approx([1.0, 1.0, 1.0])
        assert found["cascade_top"].value.value == found["cascade_all"].value.value


def test_the_same_seed_is_the_same_to_the_bit() -> None:
    images, known = red_things(30)
    choice = Choice.of(CONFIG, features=2, top=2, draws=2)
    one, two = (guided_backprop(discriminator(), images, choice, boxes=known) for _ in range(2))
    assert to_json(one) == to_json(two)
    assert np.array_equal(one.grids[0].images, two.grids[0].images)
    other = guided_backprop(discriminator(), images, replace(choice, seed=1), boxes=known)
    assert json.loads(to_json(other))["findings"] != json.loads(to_json(one))["findings"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"layer": 3}, "--layer 3: this discriminator has 2 convolution layers; expected 1 to 2"),
        ({"layer": 0}, "--layer 0"),
        ({"features": 9}, "--features 9: layer 2 has 8 maps; expected 1 to 8"),
        ({"features": 5, "layer": 1}, "--features 5: layer 1 has 4 maps"),
        ({"rule": "deconv"}, "--rule deconv: expected one of guided, leaky, gradient"),
        ({"draws": 1}, "--draws 1: expected 2 or more"),
    ],
)
def test_what_cannot_be_meant_is_said(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Choice.of(CONFIG, **wrong)


def test_as_many_maps_are_measured_as_are_drawn_and_there() -> None:
    assert Choice.of(CONFIG, features=6, measured=2).measured == 6
    assert Choice.of(CONFIG, features=6, measured=500).measured == 8


def test_too_few_images_are_said() -> None:
    with pytest.raises(SourceError, match="3 images are fewer than --top 5"):
        guided_backprop(discriminator(), noise(3), Choice.of(CONFIG))
