"""Which maps speak for an object, drawing without them, and what is measured of it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import known_filters
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from dcgan_cli.analysis.drop_filters.drop_experiment import (
    RANDOM_DRAWS,
    DropExperiment,
    DropPlan,
    measure_doses,
)
from dcgan_cli.analysis.drop_filters.elastic_net import calibrated, elastic_net
from dcgan_cli.analysis.drop_filters.filters import (
    L1,
    RIDGE,
    Ranking,
    activations,
    choose_layer,
    forgotten,
    layer_module,
    rank_feature_maps,
    without,
)
from dcgan_cli.analysis.drop_filters.forgetting import forget
from dcgan_cli.analysis.drop_filters.locations import aucs_in_place
from dcgan_cli.analysis.drop_filters.object_detector import ObjectDetector
from dcgan_cli.analysis.drop_filters.train_detector import fit_object_detector
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.batch_norm_statistics import MODES, fix_statistics
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.hooks import captured, masked
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.render.dose_curve import encode_dose
from dcgan_cli.render.figure import MEDIA, place_figure
from dcgan_cli.render.layout import PlacedTile, PlacedWords
from dcgan_cli.report import Estimate, Finding

LATENTS = seeded_latents(0, 150, 8, "normal")
FRESH = seeded_latents(1, 60, 8, "normal")
OBJECT = known_filters.OBJECT


# --- taps.masked ---


def test_masked_maps_are_zero_while_the_block_lasts() -> None:
    module = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    ones = torch.ones(2, 3, 2, 2)
    with masked(module, [0, 2]):
        assert module(ones.clone())[0, :, 0, 0].tolist() == [0, 1, 0]
    assert torch.equal(module(ones.clone()), ones)
    with masked(module, []):
        assert torch.equal(module(ones.clone()), ones)
    assert not module._forward_hooks


def test_masks_are_undone_after_an_exception_and_may_be_nested() -> None:
    module = nn.Identity()
    ones = torch.ones(1, 3)
    with pytest.raises(KeyError), masked(module, [0]):
        raise KeyError
    with pytest.raises(IndexError), masked(module, [3]):
        module(ones)
    assert torch.equal(module(ones), ones)
    with masked(module, [0]):
        with masked(module, [1]):
            assert module(ones).tolist() == [[0, 0, 1]]
        assert module(ones).tolist() == [[0, 1, 1]]


def test_gradients_stop_at_masked_maps_alone() -> None:
    module = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    values = torch.ones(1, 2, 3, 3, requires_grad=True)
    with masked(module, [1]):
        module(values * 2).sum().backward()
    assert values.grad is not None
    assert values.grad.mean((0, 2, 3)).tolist() == [2, 0]


# --- the elastic net ---


def blobs(seed: int = 0, count: int = 400) -> tuple[Any, Any]:
    """Two classes; feature 0 tells them, 1 tells the same with noise, 2 and 3 tell nothing."""
    stream = np.random.default_rng(seed)
    truth = stream.random(count) < 0.3
    x = stream.standard_normal((count, 4))
    x[:, 0] += 1.5 * truth
    x[:, 1] = x[:, 0] + 0.3 * stream.standard_normal(count)
    return x / x.std(0), truth


def balanced(truth: Any) -> Any:
    return np.where(truth, 1 / truth.mean(), 1 / (1 - truth.mean()))


def test_without_an_l1_penalty_it_is_ridge_regression() -> None:
    x, truth = blobs()
    found = elastic_net(x, truth, balanced(truth), 0.0, 0.05)
    # scikit-learn's loss counts 400 in all, ours 1
    known = LogisticRegression(C=1 / (0.05 * 400), class_weight="balanced", tol=1e-8)
    weights = known.fit(x, truth).coef_[0]
    np.testing.assert_allclose(found, weights, atol=1e-4)


def test_the_l1_penalty_leaves_nothing_at_one_and_little_below() -> None:
    x, truth = blobs()
    assert not elastic_net(x, truth, balanced(truth), 1.0, 1.0).any()
    some = elastic_net(x, truth, balanced(truth), 0.5, 1.0)
    assert (some[:2] > 0).all()
    assert not some[2:].any()


def test_features_that_say_the_same_get_the_same_weight() -> None:
    x, truth = blobs()
    twice = np.concatenate([x, x[:, :1]], 1)
    weights = elastic_net(twice, truth, balanced(truth), 0.3, 10.0)
    assert weights[0] == pytest.approx(weights[4])
    assert weights[1] == pytest.approx(weights[0], rel=0.2)


@pytest.mark.parametrize("true_weight", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("copies", [1, 3])
def test_a_true_weight_comes_back(true_weight: float, copies: int) -> None:
    """One feature of known log-odds per standard deviation, or the same one several times."""
    stream = np.random.default_rng(0)
    feature, noise = stream.standard_normal((2, 20_000))
    truth = stream.random(20_000) < 1 / (1 + np.exp(-true_weight * feature))
    x = np.stack([feature] * copies + [noise], 1)
    counts = balanced(truth)
    weights = calibrated(x, truth, counts, elastic_net(x, truth, counts, L1, RIDGE))
    assert weights[:copies].sum() == pytest.approx(true_weight, rel=0.06)
    assert np.ptp(weights[:copies]) < 1e-6
    assert weights[-1] == 0


def test_features_that_tell_everything_get_a_finite_weight() -> None:
    truth = np.arange(200) % 2 == 0
    x = np.where(truth, 1.0, -1.0)[:, None]
    (weight,) = calibrated(x, truth, np.ones(200), np.array([0.01]))
    # Platt's targets: the log-odds of 101 / 102
    assert weight == pytest.approx(np.log(101), rel=1e-6)
    assert not calibrated(x, truth, np.ones(200), np.zeros(1)).any()
    assert not calibrated(x, truth, np.ones(200), np.array([-1.0])).any()  # never another sign


def test_rows_count_as_they_are_counted() -> None:
    x, truth = blobs(count=60)
    again = np.concatenate([x, x[truth]]), np.concatenate([truth, truth[truth]])
    one = elastic_net(x, truth, np.where(truth, 2.0, 1.0), 0.1, 1.0)
    other = elastic_net(*again, np.ones(len(again[0])), 0.1, 1.0)
    np.testing.assert_allclose(one, other, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100), st.floats(0.05, 0.9), st.floats(0.01, 20))
def test_no_other_weights_do_better(seed: int, l1: float, ridge: float) -> None:
    x, truth = blobs(seed, 80)
    counts = balanced(truth) / balanced(truth).sum()
    found = elastic_net(x, truth, counts, l1, ridge)
    centered = x - counts @ x
    penalty = l1 * np.abs(((0.5 - truth) * counts) @ centered).max()

    def loss(weights: Any, intercept: float) -> float:
        log_odds = centered @ weights + intercept
        fit = counts @ (np.logaddexp(0, log_odds) - truth * log_odds)
        return float(fit + penalty * np.abs(weights).sum() + ridge / 2 * weights @ weights)

    def best_intercept(weights: Any) -> float:
        low, high = -50.0, 50.0
        for _ in range(80):
            middle = (low + high) / 2
            slope = counts @ (1 / (1 + np.exp(-(centered @ weights + middle))) - truth)
            low, high = (low, middle) if slope > 0 else (middle, high)
        return (low + high) / 2

    own = loss(found, best_intercept(found))
    stream = np.random.default_rng(seed)
    for scale in (1e-1, 1e-2, 1e-3):
        other = found + scale * stream.standard_normal(4)
        assert own <= loss(other, best_intercept(other)) + 1e-9


# --- ranking ---


def test_auc_in_place_by_hand() -> None:
    mask = np.zeros((4, 1, 2), np.bool_)
    mask[0, 0, 0] = mask[1, 0, 0] = mask[1, 0, 1] = True
    scores = np.array([[[5, 9]], [[2, 3]], [[2, 1]], [[1, 7]]], np.float64)
    # place 0: sample 0 above both others, sample 1 above one and level with one; place 1: sample 1
    # above one of three
    assert aucs_in_place(scores, mask).tolist() == [1, pytest.approx((0.75 + 1 / 3) / 2)]
    # where all are inside nothing is said
    mask[:, 0, 0] = True
    assert aucs_in_place(scores, mask).tolist() == [pytest.approx(1 / 3)]


def ranking(layer: int, maps: torch.Tensor | None = None, boxes: Boxes | None = None) -> Ranking:
    seen = activations(known_filters.sampler(), layer, LATENTS) if maps is None else maps
    return rank_feature_maps(seen, boxes or known_filters.boxes(LATENTS), "block", layer, 0)


@pytest.mark.parametrize("layer", [0, 1])
def test_the_planted_map_is_found_and_no_other(layer: int) -> None:
    found = ranking(layer)
    assert found.above(0) == [OBJECT]
    assert found.order[0] == OBJECT
    assert found.auc.value > 0.99
    assert found.auc.n == (LATENTS[:, :4] > 1).any(1).sum()
    # log-odds a standard deviation: not a matter of how bright the map is
    seen = activations(known_filters.sampler(), layer, LATENTS)
    seen[:, OBJECT] *= 1000
    np.testing.assert_allclose(ranking(layer, seen).weights, found.weights, rtol=1e-5)


def test_contrast_is_the_difference_at_the_same_place() -> None:
    """By hand: two places, one map that is 1 inside and 0 outside, one that knows the place alone."""
    maps = torch.zeros(40, 2, 2, 2)
    maps[:20, 0, 0, 0] = 1
    maps[:, 1, 0, :] = 1
    rows = np.arange(20)
    boxes = Boxes(
        rows, np.full(20, "block"), np.tile([0, 0, 0.5, 0.5], (20, 1)), np.ones(40, np.bool_)
    )
    found = ranking(0, maps, boxes)
    spread = maps[:, 0].std(correction=0).item()
    np.testing.assert_allclose(found.contrast, [1 / spread, 0], atol=1e-9)
    assert found.weights[0] > 0
    assert found.weights[1] == 0


def test_samples_that_nobody_looked_at_play_no_part() -> None:
    boxes = known_filters.boxes(LATENTS)
    looked = np.arange(150) < 100
    kept = looked[boxes.image]
    some = Boxes(boxes.image[kept], boxes.kind[kept], boxes.corners[kept], looked)
    maps = activations(known_filters.sampler(), 1, LATENTS)
    part = ranking(1, maps, some)
    alone = ranking(1, maps[:100], known_filters.boxes(LATENTS[:100]))
    assert np.array_equal(part.weights, alone.weights)
    assert part.auc == alone.auc


def test_what_cannot_be_learned_is_one_line() -> None:
    boxes = known_filters.boxes(LATENTS)
    few = boxes.take(np.arange(12))
    with pytest.raises(DcganError, match=r"\d samples? of 12 with a block; at least 10 are needed"):
        ranking(1, activations(known_filters.sampler(), 1, LATENTS[:12]), few)
    shuffled = replace(boxes, image=np.random.default_rng(0).permutation(150)[boxes.image])
    with pytest.raises(DcganError, match="do not tell a block from what else is at its place"):
        ranking(1, boxes=shuffled)


def test_layers_are_counted_from_the_projection() -> None:
    network = known_filters.generator()
    assert layer_module(network, 0) is network.project
    assert layer_module(network, 1) is network.hidden[0]
    assert choose_layer(network, None) == 1
    assert choose_layer(network, 0) == 0
    for wrong in (-1, 2):
        with pytest.raises(UsageError, match=rf"--layer {wrong}: .* 0 \(8×4×4\), 1 \(4×8×8\)"):
            choose_layer(network, wrong)
    shallow = Generator(ModelConfig(size=8, channels=1, z_dim=4, ngf=2, ndf=2))
    assert choose_layer(shallow, None) == 0


@pytest.mark.parametrize("layer", [0, 1])
def test_activations_are_those_after_the_relu(layer: int) -> None:
    maps = activations(known_filters.sampler(), layer, LATENTS[:40])
    assert maps.shape == ((40, 8, 4, 4), (40, 4, 8, 8))[layer]
    assert (maps >= 0).all()
    network = known_filters.generator()
    with torch.no_grad(), captured([network.hidden[0]]) as seen:
        network(torch.from_numpy(LATENTS[:40]))
    if layer == 1:
        torch.testing.assert_close(maps, seen[0])
    for i, (row, column) in enumerate(known_filters.PLACES):
        expected = np.maximum(4 * LATENTS[:40, i] - 4, 0)
        found = maps[:, OBJECT, row * (layer + 1), column * (layer + 1)]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# --- drawing without ---


@pytest.mark.parametrize("layer", [0, 1])
def test_without_the_map_the_object_is_gone_and_the_scene_stays(layer: int) -> None:
    sampler = known_filters.sampler()
    before = sampler.normalized(FRESH)
    after = without(sampler, layer, [OBJECT], FRESH)
    no_object = FRESH.copy()
    no_object[:, :4] = -9
    assert torch.equal(after, sampler.normalized(no_object))
    assert torch.equal(sampler.normalized(FRESH), before)
    assert not torch.equal(after, before)


def planted(g_norm: str, projection: str, layer: int) -> tuple[Checkpoint, list[int]]:
    """Random networks of some kind, and maps to drop from one of their layers."""
    config = replace(
        known_filters.CONFIG, channels=3, z_dist="uniform", g_norm=g_norm, projection=projection
    )
    weights: list[dict[str, torch.Tensor]] = []
    for seed in range(2):
        network = Generator(config)
        initialize(network, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=_generator(seed))
        weights.append(network.state_dict())
    discriminator = Discriminator(config)
    initialize(discriminator, _generator(3))
    return Checkpoint(config, weights[0], discriminator.state_dict(), weights[1]), [0, 3]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("bn", MODES)
@pytest.mark.parametrize(
    ("g_norm", "projection"),
    [("batch", "unit"), ("batch", "channel"), ("layer", "channel"), ("none", "channel")],
)
def test_a_saved_model_draws_the_very_images(
    g_norm: str, projection: str, bn: Any, layer: int, tmp_path: Any
) -> None:
    model, maps = planted(g_norm, projection, layer)
    save(tmp_path / "without.pt", forgotten(model, layer, maps, bn))
    saved = load(tmp_path / "without.pt")
    latents = seeded_latents(2, 40, 8, "uniform")
    cpu = torch.device("cpu")
    for average in (False, True):
        expected = without(Sampler.of(model, bn, cpu, average), layer, maps, latents)
        again = Sampler.of(saved, "running", cpu, average)
        assert torch.equal(again.normalized(latents), expected)
        assert not torch.equal(Sampler.of(model, bn, cpu, average).normalized(latents), expected)
        assert not activations(again, layer, latents)[:, maps].any()
    assert saved.hash != model.hash
    assert torch.equal(saved.discriminator["head.weight"], model.discriminator["head.weight"])


def test_saving_leaves_the_model_alone_and_drops_the_optimizers() -> None:
    model = replace(known_filters.checkpoint(), optimizers={"generator": {"step": 1}})
    before = model.hash
    saved = forgotten(model, 1, [OBJECT], "running")
    assert model.hash == before
    assert saved.optimizers == {}
    assert forgotten(replace(model, average=None), 1, [OBJECT], "running").average is None


def test_statistics_are_those_of_before_dropping() -> None:
    network = known_filters.generator()
    fix_statistics(network, "reestimated")
    sampler = Sampler("", network, "reestimated", True)
    held = {name: values.clone() for name, values in network.state_dict().items()}
    without(sampler, 1, [OBJECT], FRESH)
    assert all(torch.equal(held[name], values) for name, values in network.state_dict().items())


# --- measuring ---


@pytest.fixture(scope="module")
def detector() -> ObjectDetector:
    latents = seeded_latents(99, 250, 8, "normal")
    images = known_filters.sampler().normalized(latents)
    return fit_object_detector(images, known_filters.boxes(latents), known_filters.discriminator())


@pytest.fixture(scope="module")
def setup(detector: ObjectDetector) -> DropExperiment:
    return DropExperiment.of(known_filters.sampler(), detector, "block", FRESH)


def ranked(*weights: float) -> Ranking:
    values = np.array(weights)
    return Ranking(1, values, values, Estimate(0.9, 0.8, 1.0, 50))


def test_order_goes_by_weight_then_by_contrast() -> None:
    found = Ranking(1, np.array([0.0, 2, 0, -1, 1]), np.array([0.1, 0, 0.7, 9, 0]), Estimate(0.9))
    assert found.order == [1, 4, 2, 0, 3]
    assert found.above(0) == [1, 4]
    assert found.above(1) == [1]
    assert found.above(-5) == found.order


def test_doses_drop_prefixes_and_keep_only_drops_the_rest() -> None:
    plan = DropPlan(ranked(*range(20)), 3, False, 0)
    assert plan.counts == [0, 1, 2, 3, 5, 10, 15, 20]
    assert plan.gone(3) == [19, 18, 17]
    assert sorted(plan.gone(20)) == list(range(20))
    keeping = replace(plan, keep_only=True)
    assert set(keeping.gone(3)) == set(range(17))
    for draw in range(3):
        assert plan.gone(5, draw)[:2] == plan.gone(2, draw)
        assert sorted(plan.gone(5, draw) + keeping.gone(5, draw)) == list(range(20))
    assert plan.gone(9, 0) != plan.gone(9, 1)
    assert plan.gone(9, 0) == DropPlan(ranked(*range(20)), 9, False, 0).gone(9, 0)
    assert plan.gone(9, 0) != replace(plan, seed=1).gone(9, 0)


def test_nothing_dropped_changes_nothing(setup: DropExperiment) -> None:
    same = setup.outcome(1, [])
    assert np.array_equal(same.found["block"], setup.found["block"])
    np.testing.assert_allclose(same.scene, 1)
    assert not same.change.any()
    assert len(same.change) == len(set(setup.boxes.image))


def test_the_object_is_lost_and_the_scene_kept(setup: DropExperiment) -> None:
    own = setup.outcome(1, [OBJECT])
    assert setup.found["block"].mean() > 0.3
    assert own.found["block"].mean() < 0.1
    assert own.scene.mean() > 0.95
    assert own.change[:, 0].mean() > 20 * own.change[:, 1].mean()
    scene = setup.outcome(1, [0, 1])
    assert scene.scene.mean() < 0.5
    assert abs(setup.unrelated_similarity().mean()) < 0.3


def test_change_is_in_shares_of_black_to_white(detector: ObjectDetector) -> None:
    setup = DropExperiment.of(known_filters.sampler(), detector, "block", FRESH)
    # the whole image is one box: all of the change is inside, and none is outside to compare
    whole = Boxes(
        np.array([0, 1]),
        np.full(2, "block"),
        np.array([[0, 0, 1, 1], [0, 0, 0.5, 1]], np.float64),
        np.ones(len(FRESH), np.bool_),
    )
    halves = replace(setup, boxes=whole, before=torch.full_like(setup.before, -1.0))
    (inner, outer), *others = halves.outcome(1, []).change
    assert not others
    drawn = known_filters.sampler().normalized(FRESH)[1, 0]
    assert inner == pytest.approx(float((drawn[:, :8] + 1).mean()) / 2, rel=1e-5)
    assert outer == pytest.approx(float((drawn[:, 8:] + 1).mean()) / 2, rel=1e-5)


def test_doses_meet_at_both_ends(setup: DropExperiment) -> None:
    doses = measure_doses(setup, DropPlan(ranked(1, 0.5, 2, -1), 1, False, 0))
    assert [dose.count for dose in doses] == [0, 1, 2, 3, 4]
    assert all(len(dose.random) == RANDOM_DRAWS for dose in doses)
    for dose in (doses[0], doses[-1]):
        assert all(
            np.array_equal(each.found["block"], dose.ranked.found["block"]) for each in dose.random
        )
    assert np.array_equal(doses[0].ranked.found["block"], setup.found["block"])
    assert not doses[-1].ranked.found["block"].any()


def by_key(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.key: finding for finding in findings}


def test_the_report_of_the_planted_object(setup: DropExperiment) -> None:
    plan = DropPlan(ranking(1), 1, False, 0)
    told: list[tuple[int, int]] = []
    report = forget(setup, plan, seed=1, columns=5, progress=lambda *now: told.append(now))
    assert report.facts["chosen"] == [OBJECT]
    assert told
    found = by_key(report.findings)
    fall = found["fall"]
    assert fall.value.value > 0.8
    assert fall.value.low is not None
    assert fall.control is not None
    assert fall.control.value < fall.value.low
    assert fall.control.n == RANDOM_DRAWS
    assert found["found_before"].value.value == setup.found["block"].mean()
    assert found["scene"].value.value > 0.95
    unrelated_similarity = found["scene_unrelated"].control
    assert unrelated_similarity is not None
    assert unrelated_similarity.value < 0.3
    assert found["focus"].value.value > 0.95
    assert "detector_block_where" in found
    dose, maps = report.tables
    assert dose.rows[1][:2] == [1, pytest.approx(found["found_after"].value.value)]
    assert maps.rows[0][0] == OBJECT
    assert report.verdict.startswith("block: found in ")
    assert "after 1 of 4 maps are dropped" in report.verdict
    assert "no clear change" not in report.verdict
    assert encode_dose(dose, "$x$", 1).startswith(b"\x89PNG")


def test_the_grid_has_samples_without_and_random(setup: DropExperiment) -> None:
    plan = DropPlan(ranking(1), 1, False, 0)
    report = forget(setup, plan, seed=1, columns=5)
    grid = report.grids[0]
    assert grid.images.shape == (15, 16, 16, 1)
    assert grid.columns == 5
    assert grid.row_labels[1:] == ("without 1 block maps", "without 1 random maps")
    record = grid.provenance
    assert record is not None
    assert (record.seed, record.checkpoint) == (1, "0123456789ab")
    shown = record.latents[:5]
    assert np.isnan(record.latents[5:]).all()
    # only samples with the object, in order
    numbers = [int(np.flatnonzero((row == FRESH).all(1))[0]) for row in shown]
    assert numbers == np.flatnonzero(setup.found["block"])[:5].tolist()
    sampler = known_filters.sampler()
    rows = [
        sampler.images(shown),
        sampler.images(np.where(np.arange(8) < 4, np.float32(-9), shown)),
    ]
    assert np.array_equal(grid.images[:10], np.concatenate(rows))


def test_the_figure_has_six_columns_with_boxes_where_the_object_was(setup: DropExperiment) -> None:
    grid = forget(setup, DropPlan(ranking(1), 1, False, 0), seed=1).grids[0]
    assert grid.columns == 12
    items = place_figure(grid, MEDIA["slide"])[1].items
    tiles = [item.what for item in items if isinstance(item.what, PlacedTile)]
    assert [tile.number for tile in tiles] == [*range(6), *range(12, 18), *range(24, 30)]
    assert all(tile.boxes for tile in tiles), "all of them had a block"
    assert tiles[0].boxes == tiles[6].boxes == tiles[12].boxes
    words = [" ".join(i.what.lines) for i in items if isinstance(i.what, PlacedWords)]
    assert words[::2] == ["before", "1 block maps dropped", "1 random maps dropped"]
    assert words[1] == f"block found in {100 * setup.found['block'].mean():.0f} %"
    assert words[3].startswith("block found in ")


def test_keeping_only_the_maps_keeps_the_object_alone(setup: DropExperiment) -> None:
    plan = DropPlan(ranking(1), 1, True, 0)
    report = forget(setup, plan, seed=1, columns=4)
    found = by_key(report.findings)
    assert found["scene"].value.value < 0.5
    assert report.grids[0].row_labels[1] == "only 1 block maps"
    assert "with 1 of 4 maps kept alone" in report.verdict
    kept = report.grids[0].images[4:8].reshape(4, -1)
    # gray where no block is
    assert (np.median(kept, 1) == 128).all()
    assert (kept.max(1) > 200).all()


def test_an_object_that_is_nowhere_gives_no_numbers_for_its_place(setup: DropExperiment) -> None:
    none = replace(
        setup,
        found={"block": np.zeros(len(FRESH), np.bool_)},
        boxes=setup.boxes.take(np.flatnonzero(~setup.found["block"])),
    )
    none = replace(none, boxes=replace(none.boxes, seen=np.ones(len(FRESH), np.bool_)))
    found = by_key(forget(none, DropPlan(ranked(0, 0, 1, 0), 1, False, 0), seed=1).findings)
    assert math.isnan(found["fall"].value.value)
    assert "focus" not in found


def test_the_same_seed_gives_the_same_report(setup: DropExperiment) -> None:
    plan = DropPlan(ranking(1), 1, False, 3)
    one, other = (forget(setup, plan, seed=1, columns=2) for _ in range(2))
    assert one.findings == other.findings
    assert one.tables == other.tables
    assert np.array_equal(one.grids[0].images, other.grids[0].images)
