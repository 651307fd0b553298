"""Walks through Z against closed forms; planted look-up tables are caught, smooth models are not."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.interpolate.interpolation import frames, interpolate, untrained, walk_film
from dcgan_cli.analysis.interpolate.paths import PATHS, LatentPath, Times, lerp, slerp
from dcgan_cli.analysis.interpolate.transitions import (
    LIMIT,
    MEASURED,
    SHARP,
    classify_transition,
    discriminator_features,
    fade_film,
    full_precision,
    measure_transitions,
    pixel_features,
    sharpest,
)
from dcgan_cli.analysis.sampling import Sampler, draw_samples
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.render.png import encode_grid
from dcgan_cli.report import Report

CPU = torch.device("cpu")
CONFIG = ModelConfig(size=16, channels=3, z_dim=8, ngf=4, ndf=4, z_dist="normal", bn_eps=1e-5)


def make_checkpoint(config: ModelConfig = CONFIG, gain: float = 20.0) -> Checkpoint:
    """Untrained networks whose images use the whole range of colors."""
    generator, discriminator = Generator(config), Discriminator(config)
    initialize(generator, torch.Generator().manual_seed(0))
    initialize(discriminator, torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.to_rgb.weight.mul_(gain)
        z = torch.randn(64, config.z_dim, generator=torch.Generator().manual_seed(2))
        for _ in range(50):  # until the running statistics have settled
            generator(z)
    return Checkpoint(config, generator.state_dict(), discriminator.state_dict())


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return make_checkpoint()


@pytest.fixture(scope="module")
def sampler(checkpoint: Checkpoint) -> Sampler:
    return Sampler.of(checkpoint, "running", CPU)


class LookUp(Generator):
    """A generator that has memorized: it shows the remembered image whose z is nearest."""

    def __init__(self, remembered: int, config: ModelConfig = CONFIG) -> None:
        super().__init__(config)
        stream = torch.Generator().manual_seed(remembered)
        self.places = torch.randn(remembered, config.z_dim, generator=stream)
        shape = (remembered, config.channels, config.size, config.size)
        self.images = torch.rand(shape, generator=stream) * 2 - 1

    def forward(self, z: Tensor) -> Tensor:
        return self.images[torch.cdist(z, self.places).argmin(1)]


# Paths


def vectors(size: int) -> st.SearchStrategy[NDArray[np.float32]]:
    number = st.floats(-3, 3, width=32, allow_subnormal=False)
    return st.lists(number, min_size=size, max_size=size).map(
        lambda numbers: np.array(numbers, np.float32)
    )


def angle(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """By Kahan's formula, exact for small angles and those near π."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return 2 * math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))


shares = st.floats(0, 1)
plane = vectors(5).filter(lambda v: float(np.linalg.norm(v)) > 1e-2)


@given(vectors(5), vectors(5), st.sampled_from(PATHS))
def test_ends_of_every_path_are_the_given_bits(
    a: NDArray[np.float32], b: NDArray[np.float32], kind: str
) -> None:
    path = LatentPath.of(np.stack([a, b]), kind)
    assert path.at(np.array([0.0, 1.0])).tobytes() == np.stack([a, b]).tobytes()


@given(vectors(5), vectors(5), shares)
def test_linear_is_the_closed_form(
    a: NDArray[np.float32], b: NDArray[np.float32], t: float
) -> None:
    exact = [(1 - t) * float(x) + t * float(y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(lerp(a, b, t), exact, atol=1e-6)


def test_slerp_by_hand() -> None:
    a, b = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    np.testing.assert_allclose(slerp(a, b, 0.5), [math.sqrt(0.5)] * 2, atol=1e-7)
    np.testing.assert_allclose(slerp(a, b, 1 / 3), [math.cos(math.pi / 6), 0.5], atol=1e-7)
    np.testing.assert_allclose(slerp(2 * a, 4 * b, 0.5), [3 * math.sqrt(0.5)] * 2, atol=1e-6)


@given(plane, plane, shares)
def test_slerp_of_equal_norms_is_shoemakes(
    a: NDArray[np.float32], b: NDArray[np.float32], t: float
) -> None:
    a = (a / np.linalg.norm(a)).astype(np.float32)
    b = (b / np.linalg.norm(b)).astype(np.float32)
    omega = angle(a, b)
    if not 1e-2 < omega < math.pi - 1e-2:
        return
    exact = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    np.testing.assert_allclose(slerp(a, b, t), exact, atol=1e-5)


@given(plane, plane, shares)
def test_slerp_turns_at_constant_speed_and_its_norm_is_linear(
    a: NDArray[np.float32], b: NDArray[np.float32], t: float
) -> None:
    point = slerp(a, b, t)
    norm = (1 - t) * np.linalg.norm(a) + t * np.linalg.norm(b)
    assert np.linalg.norm(point) == pytest.approx(norm, rel=1e-5)
    assert angle(a, point) == pytest.approx(t * angle(a, b), abs=2e-5)
    assert angle(point, b) == pytest.approx((1 - t) * angle(a, b), abs=2e-5)


@given(plane, st.floats(0.1, 10), shares)
def test_slerp_of_parallel_points_changes_the_norm_alone(
    a: NDArray[np.float32], factor: float, t: float
) -> None:
    b = (a * np.float32(factor)).astype(np.float32)
    np.testing.assert_allclose(slerp(a, b, t), lerp(a, b, t), rtol=1e-4, atol=1e-5)


@given(plane, shares)
def test_slerp_between_opposite_points_goes_round_and_not_through_the_origin(
    a: NDArray[np.float32], t: float
) -> None:
    point = slerp(a, -a, t)
    assert np.linalg.norm(point) == pytest.approx(float(np.linalg.norm(a)), rel=1e-5)
    assert angle(a, point) == pytest.approx(t * math.pi, abs=1e-4)


def test_slerp_without_a_direction_is_the_line() -> None:
    nothing, b = np.zeros(3, np.float32), np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(slerp(nothing, b, 0.25), b / 4)
    np.testing.assert_array_equal(slerp(b, nothing, 0.25), b * 0.75)
    one, other = np.array([2], np.float32), np.array([-4], np.float32)
    assert slerp(one, other, 0.5) == -1


def test_line_is_short_and_slerp_is_not_half_way_between_random_points() -> None:
    for distribution in ("normal", "uniform"):
        points = seeded_latents(0, 2, 1000, distribution)
        norm = np.linalg.norm(points, axis=1).mean()
        line, turn = (LatentPath.of(points, kind).at(np.array([0.5])) for kind in PATHS)
        assert np.linalg.norm(line) / norm == pytest.approx(math.sqrt(0.5), abs=0.03)
        assert np.linalg.norm(turn) / norm == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("loop", [False, True])
def test_whole_times_are_the_points_and_a_loop_returns(kind: str, loop: bool) -> None:
    points = seeded_latents(0, 4, 8, "normal")
    path = LatentPath.of(points, kind, loop)
    assert path.segments == (4 if loop else 3)
    walked = path.at(np.arange(path.segments + 1.0))
    assert np.array_equal(walked, np.concatenate([points, points[:1]]) if loop else points)
    halves = path.at(np.array([2.5, path.segments - 0.5]))
    between = {"linear": lerp, "slerp": slerp}[kind]
    assert np.array_equal(halves[0], between(points[2], points[3], 0.5))
    last = (points[3], points[0]) if loop else (points[2], points[3])
    assert np.array_equal(halves[1], between(*last, 0.5))


def test_impossible_walks_are_refused() -> None:
    with pytest.raises(UsageError, match="--path cubic: expected one of linear, slerp"):
        LatentPath.of(np.zeros((2, 3), np.float32), "cubic")
    with pytest.raises(UsageError, match="two points"):
        LatentPath.of(np.zeros((1, 3), np.float32), "linear")


# The sharpest transition


def gray(level: NDArray[np.float64]) -> Tensor:
    """Images [N, 1, 2, 2] all of one level in [0, 1]."""
    return torch.from_numpy(level).float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2) * 2 - 1


def test_distances_are_shares_of_black_to_white() -> None:
    rows = pixel_features(gray(np.array([0.0, 1.0, 0.25])))
    np.testing.assert_allclose(torch.cdist(rows, rows)[0], [0, 1, 0.25], atol=1e-6)
    half = torch.ones(2, 1, 2, 2)
    half[1, :, 0] = -1
    assert torch.dist(*pixel_features(half)) == pytest.approx(math.sqrt(0.5))


def test_even_change_is_one() -> None:
    found = sharpest(lambda t: gray(t / 3), [pixel_features], 3)
    np.testing.assert_allclose(found, np.ones((3, 1)), rtol=1e-2)


def test_change_that_speeds_up_is_its_top_speed_over_its_median() -> None:
    # u² has the speed 2u: 2 at most, 1 in the middle
    found = sharpest(lambda t: gray(t**2), [pixel_features], 1)
    assert found[0, 0] == pytest.approx(2, rel=1e-2)


@pytest.mark.parametrize("width", [0.2, 0.05, 0.02])
def test_a_steep_but_smooth_transition_is_as_sharp_as_it_is(width: float) -> None:
    # a steady drift with one logistic transition of the given width on top
    def film(t: Times) -> Tensor:
        return gray(0.3 * t + 0.5 / (1 + np.exp(-(t - 0.47) / (width / 4))))

    speed = 0.3 + 0.5 / width
    grid = np.linspace(0, 1, MEASURED + 1)
    levels = film(grid)[:, 0, 0, 0].double().numpy() / 2
    median = float(np.median(np.diff(levels))) * MEASURED
    assert sharpest(film, [pixel_features], 1)[0, 0] == pytest.approx(speed / median, rel=0.05)


@pytest.mark.parametrize("place", [1e-9, 0.1, 1 / 3, 0.5, 1 - 1e-9])
def test_one_jump_with_nothing_beside_it_is_the_limit(place: float) -> None:
    found = sharpest(lambda t: gray((t > place).astype(float)), [pixel_features], 1)
    assert found[0, 0] == LIMIT


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_stairs_of_any_number_of_steps_are_sharp(stairs: int, seed: int) -> None:
    """Remembered images that follow each other, each unrelated to the one before."""
    stream = np.random.default_rng(seed)
    edges = np.sort(stream.random(stairs))
    images = torch.from_numpy(stream.random((stairs + 1, 1, 8, 8))).float() * 2 - 1
    found = sharpest(lambda t: images[np.searchsorted(edges, t)], [pixel_features], 1)
    assert found[0, 0] > 4 * SHARP


def test_what_stands_still_has_no_transition() -> None:
    found = measure_transitions(lambda t: gray(0 * t), [pixel_features], 2, 5, 0)
    assert np.isnan(found.sharpest).all()
    assert not found.moving.any()
    assert classify_transition(found) == "still"
    assert not found.step.any()
    assert not found.path_length.any()


@given(st.integers(0, 2**32 - 1), st.floats(-9, -2))
@settings(deadline=None, max_examples=50)
def test_rounding_is_never_taken_for_a_jump(seed: int, magnitude: float) -> None:
    """Steady changes that are hardly more than the last bits of a float32."""
    way = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 3, 8, 8))).float()

    def film(t: Times) -> Tensor:
        return 0.9 + torch.from_numpy(t).float().reshape(-1, 1, 1, 1) * way * 10**magnitude

    assert classify_transition(measure_transitions(film, [pixel_features], 1, 5, 0)) != "sharp"


@given(st.integers(0, 2**32 - 1), st.sampled_from(PATHS), st.floats(0.1, 3))
@settings(deadline=None, max_examples=30)
def test_random_smooth_networks_are_never_sharp(seed: int, kind: str, gain: float) -> None:
    stream = torch.Generator().manual_seed(seed)
    first = torch.randn(8, 32, generator=stream) * gain / math.sqrt(8)
    second = torch.randn(32, 192, generator=stream) / math.sqrt(32)
    path = LatentPath.of(seeded_latents(seed, 4, 8, "normal"), kind)

    def film(t: Times) -> Tensor:
        hidden = torch.relu(torch.from_numpy(path.at(t)) @ first)
        return torch.tanh(hidden @ second).unflatten(1, (3, 8, 8))

    assert (
        classify_transition(measure_transitions(film, [pixel_features], path.segments, 5, 0))
        == "smooth"
    )


@pytest.mark.parametrize("remembered", [2, 5, 50, 1000, 20_000])
@pytest.mark.parametrize("kind", PATHS)
def test_planted_look_up_is_caught_however_much_it_remembers(
    remembered: int, kind: str, checkpoint: Checkpoint
) -> None:
    memorized = Sampler("planted", LookUp(remembered), "running", False)
    path = LatentPath.of(seeded_latents(0, 6, 8, "normal"), kind)
    extractors = (pixel_features, discriminator_features(checkpoint.build_discriminator()))
    found = measure_transitions(walk_film(memorized, path), extractors, path.segments, 5, 0)
    assert classify_transition(found) == "sharp"
    assert np.array_equal(found.sharp, found.moving), "every segment that changes at all"
    assert remembered < 50 or found.moving.all()
    assert np.nanmin(found.sharpest) > 2 * SHARP


def test_a_soft_look_up_is_as_sharp_as_it_is_hard() -> None:
    stream = torch.Generator().manual_seed(1)
    places = torch.randn(50, 8, generator=stream)
    images = torch.rand(50, 1, 8, 8, generator=stream) * 2 - 1
    path = LatentPath.of(seeded_latents(0, 9, 8, "normal"), "linear")

    def ratios(softness: float) -> NDArray[np.float64]:
        def film(times: Times) -> Tensor:
            distances = torch.cdist(torch.from_numpy(path.at(times)), places) ** 2
            return torch.einsum("nk,kcij->ncij", torch.softmax(-distances / softness, 1), images)

        return sharpest(film, [pixel_features], path.segments)

    soft, harder, hard = ratios(2.0), ratios(0.2), ratios(0.01)
    assert soft.max() < SHARP
    assert np.median(harder) > SHARP
    assert hard.min() > 100 * SHARP
    assert (soft < harder).all()
    assert (harder <= hard).all()


def test_smooth_generators_are_not_caught(checkpoint: Checkpoint) -> None:
    extractors = (pixel_features, discriminator_features(checkpoint.build_discriminator()))
    for gain in (1, 20, 200):
        sampler = Sampler.of(make_checkpoint(gain=gain), "running", CPU)
        path = LatentPath.of(seeded_latents(1, 6, 8, "normal"), "linear")
        found = measure_transitions(walk_film(sampler, path), extractors, path.segments, 5, 0)
        assert classify_transition(found) == "smooth"
        assert found.sharpest.max() < SHARP / 3


def test_metrics_do_not_depend_on_the_steps_shown(sampler: Sampler) -> None:
    path = LatentPath.of(seeded_latents(0, 3, 8, "normal"), "linear")
    film = walk_film(sampler, path)
    few, many = (measure_transitions(film, [pixel_features], 2, steps, 0) for steps in (2, 40))
    assert np.array_equal(few.sharpest, many.sharpest)
    assert np.array_equal(few.path_length, many.path_length)
    assert (few.step > 5 * many.step).all()


# Perceptual path length and cross-fades


@pytest.mark.parametrize("speed", [0.5, 3.0])
def test_path_length_of_a_turn_is_its_angular_speed_squared(speed: float) -> None:
    def film(t: Times) -> Tensor:
        turn = torch.from_numpy(speed * t)
        return torch.stack([turn.cos(), turn.sin()], 1).reshape(-1, 2, 1, 1)

    found = measure_transitions(film, [lambda images: images.flatten(1)], 2, 3, 7)
    np.testing.assert_allclose(found.path_length, [speed**2] * 2, rtol=1e-4)
    chord = 2 * math.sin(speed / 4)
    np.testing.assert_allclose(found.step, [[chord]] * 2, rtol=1e-6)


def test_feature_distances_do_not_depend_on_the_length_of_the_features(
    checkpoint: Checkpoint,
) -> None:
    discriminator = checkpoint.build_discriminator()
    rows = discriminator_features(discriminator)(torch.rand(3, 3, 16, 16) * 2 - 1)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))


def test_cross_fade_is_a_mean_of_pixels() -> None:
    ends = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    film = fade_film(ends)
    assert torch.equal(film(np.array([0.0, 1.0, 2.0])), ends)
    torch.testing.assert_close(film(np.array([1.25]))[0], 0.75 * ends[1] + 0.25 * ends[2])
    np.testing.assert_allclose(sharpest(film, [pixel_features], 2), np.ones((2, 1)), rtol=1e-2)


def test_precision_is_put_back_after_an_exception() -> None:
    before = torch.backends.cudnn.allow_tf32
    during: list[bool] = []

    def fail() -> None:
        with full_precision():
            during.append(torch.backends.cudnn.allow_tf32)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert during == [False]
    assert torch.backends.cudnn.allow_tf32 == before


# The report


def report_of(
    sampler: Sampler, checkpoint: Checkpoint, loop: bool = False, kind: str = "linear"
) -> Report:
    path = LatentPath.of(seeded_latents(4, 4, 8, "normal"), kind, loop)
    training = np.random.default_rng(0).integers(0, 256, (path.segments + 1, 16, 16, 3), np.uint8)
    return interpolate(
        sampler, checkpoint.build_discriminator(), path, steps=6, seed=4, training=training
    )


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("loop", [False, True])
def test_points_on_the_grid_and_in_the_film_are_the_samples_bit_for_bit(
    kind: str, loop: bool, sampler: Sampler, checkpoint: Checkpoint
) -> None:
    (grid,) = report_of(sampler, checkpoint, loop, kind).grids
    samples = draw_samples(sampler, seed=4, count=4).grids[0].images
    assert grid.columns == 6
    rows = grid.images.reshape(-1, 6, 16, 16, 3)
    following = np.roll(samples, -1, 0)
    assert np.array_equal(rows[:, 0], samples[: len(rows)])
    assert np.array_equal(rows[:, -1], following[: len(rows)])
    film = frames(grid, loop)
    assert len(film) == (20 if loop else 16)
    assert np.array_equal(film[::5], samples)
    assert np.array_equal(film[-1], rows[-1, -2] if loop else samples[-1])
    assert not any(np.array_equal(a, b) for a, b in pairwise(film))


def test_tiles_of_the_grid_can_be_drawn_again(
    sampler: Sampler, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    (grid,) = report_of(sampler, checkpoint, kind="slerp").grids
    (tmp_path / "walk.png").write_bytes(encode_grid(grid))
    latents = read_latents(f"{tmp_path}/walk.png#3,10", checkpoint).latents
    assert np.array_equal(sampler.images(latents), grid.images[[3, 10]])
    assert grid.provenance is not None
    assert grid.provenance.seed == 4
    assert grid.provenance.command == "interpolate --path slerp --steps 6 --bn running"


def test_report_has_every_figure_with_its_control(sampler: Sampler, checkpoint: Checkpoint) -> None:
    report = report_of(sampler, checkpoint, loop=True)
    assert report.facts == {
        "checkpoint": checkpoint.hash, "seed": 4, "points": 4, "segments": 4, "steps": 6,
        "path": "linear", "loop": True, "size": 16, "channels": 3, "bn": "running",
        "ema": False, "diversity": pytest.approx(0.618, abs=0.01), "transition": "smooth",
        "sharp_rows": [], "sharp_from": 16.0,
    }  # fmt: skip
    keys = ["step_pixels", "step_features", "path_length"]
    keys += ["sharpest_pixels", "sharpest_features", "sharp_segments"]
    assert [finding.key for finding in report.findings] == keys
    for finding in report.findings:
        for estimate in (finding.value, finding.control):
            assert estimate is not None
            assert estimate.n == 4
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low <= estimate.value <= estimate.high
    (table,) = report.tables
    assert table.columns == (
        "metric",
        "generator",
        "untrained",
        "cross-fade",
        "training cross-fade",
    )
    assert [row[0] for row in table.rows] == keys
    assert [row[1] for row in table.rows] == [found.value.value for found in report.findings]
    assert report.verdict.startswith("no jump in 4 segments: ")
    assert report.notes == ()
    again = report_of(sampler, checkpoint, loop=True)
    assert again.findings == report.findings
    assert again.tables == report.tables


def test_report_of_a_planted_look_up_says_so(checkpoint: Checkpoint) -> None:
    report = report_of(Sampler("planted", LookUp(300), "running", False), checkpoint)
    assert report.facts["transition"] == "sharp"
    assert report.facts["sharp_rows"] == [0, 1, 2]
    share = report.findings[-1]
    assert share.value.value == 1
    assert share.control is not None
    assert share.control.value == 0
    assert report.verdict.startswith(
        "jumps in 3 of 3 segments (rows 0, 1, 2, counted from 0), in 0"
    )
    for _, own, *controls in report.tables[0].rows[3:5]:
        assert isinstance(own, float)
        assert own > 2 * SHARP
        assert all(isinstance(value, float) and value < SHARP / 3 for value in controls)


def test_report_of_a_collapsed_generator(checkpoint: Checkpoint) -> None:
    report = report_of(Sampler("planted", LookUp(1), "running", False), checkpoint)
    assert report.facts["transition"] == "still"
    values = {finding.key: finding.value for finding in report.findings}
    assert values["step_pixels"].value == 0
    assert math.isnan(values["sharpest_pixels"].value)
    assert (values["sharp_segments"].n, values["sharpest_pixels"].n) == (0, 0)
    assert report.verdict.startswith("no change: ")
    assert "collapsed" in report.verdict


def test_segments_that_stand_still_are_left_out_and_said(checkpoint: Checkpoint) -> None:
    sampler = Sampler.of(checkpoint, "running", CPU)
    points = seeded_latents(0, 2, 8, "normal")
    path = LatentPath.of(points[[0, 0, 1]], "linear")
    report = interpolate(sampler, checkpoint.build_discriminator(), path, steps=3, seed=0)
    assert report.facts["transition"] == "smooth"
    assert report.notes[-1].startswith("1 of 2 segments stand still")
    assert {finding.key: finding.value.n for finding in report.findings}["sharpest_pixels"] == 1
    assert report.tables[0].columns[-1] == "cross-fade"


def test_untrained_control_depends_on_the_seed_alone(sampler: Sampler) -> None:
    z = seeded_latents(0, 2, 8, "normal")
    one, same, other = (untrained(sampler, seed).images(z) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_progress_is_told(sampler: Sampler, checkpoint: Checkpoint) -> None:
    told: list[tuple[int, int]] = []
    path = LatentPath.of(seeded_latents(0, 2, 8, "normal"), "linear")
    interpolate(
        sampler, checkpoint.build_discriminator(), path, steps=2, seed=0,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("gain", [0.02, 20.0])
def test_a_walk_through_gray_is_not_praised(gain: float) -> None:
    """Of a generator whose images hardly differ the verdict says so first."""
    checkpoint = make_checkpoint(gain=gain)
    drawer = Sampler.of(checkpoint, "batch", torch.device("cpu"))
    stream = np.random.default_rng(0)
    path = LatentPath(stream.standard_normal((5, CONFIG.z_dim)).astype(np.float32))
    shape = (5, CONFIG.size, CONFIG.size, CONFIG.channels)
    levels = np.array([0, 255, 0, 255, 128])[:, None, None, None]
    training = np.broadcast_to(levels, shape).astype(np.uint8)
    report = interpolate(
        drawer, checkpoint.build_discriminator(), path, steps=6, seed=4, training=training
    )
    alike = gain < 1
    assert report.verdict.startswith("the points look alike (they differ 0.") == alike
    assert ("says little; train longer" in report.verdict) == alike
    assert (report.facts["diversity"] < 0.25) == alike
