"""The protocol of a probe: splits, draws, choices, marks and values, on answers known beforehand."""

import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis import features as features_module
from dcgan_cli.analysis.features import (
    feature_blocks,
    feature_table,
    features,
    layer_spans,
    reestimate_on,
)
from dcgan_cli.analysis.probe_svm.baselines import CONTROLS, Labeled, ProbeSetup, Settings
from dcgan_cli.analysis.probe_svm.probe import probe, spread
from dcgan_cli.analysis.probe_svm.probe_split import (
    Budget,
    Codes,
    ProbeSplit,
)
from dcgan_cli.analysis.probe_svm.published import CIFAR_ROWS, SVHN_ROWS, beside
from dcgan_cli.analysis.statistics import share, two_way, two_way_difference
from dcgan_cli.data.pixels import normalize
from dcgan_cli.errors import UsageError
from dcgan_cli.model.batch_norm_statistics import reestimate
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import Images, Report

CONFIG = ModelConfig(size=16, channels=1, z_dim=4, ngf=2, ndf=4, kernel=4, bn_eps=1e-5)


class Held:
    """Images in memory, as a prepared set would give them."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> Images:
        return self.images[indices]


def stripes(count: int, seed: int = 0) -> tuple[Held, Codes]:
    """Noisy images of three classes: stripes that lie, that stand, and none."""
    stream = np.random.default_rng(seed)
    codes = stream.permutation(np.arange(count) % 3)
    wave = np.sin(np.arange(16) * np.pi / 2 + stream.uniform(0, 6, (count, 1)))
    shape = np.stack([wave[:, :, None] + 0 * wave[:, None], wave[:, None] + 0 * wave[:, :, None]])
    level = (
        128 + 60 * np.concatenate([shape, np.zeros((1, count, 16, 16))])[codes, np.arange(count)]
    )
    noisy = level + stream.normal(0, 25, level.shape)
    return Held(noisy.clip(0, 255).astype(np.uint8)[..., None]), codes


def discriminator(config: ModelConfig = CONFIG) -> Discriminator:
    network = Discriminator(config)
    initialize(network, torch.Generator().manual_seed(0))
    return network


def quiet(_: str) -> Any:
    return nullcontext(lambda done, total: None)


# -- values ----------------------------------------------------------------------------------


def test_accuracy_of_one_draw_is_wilsons_and_of_all_true_answers_is_not_certain() -> None:
    right = np.arange(40) % 4 != 0
    assert two_way(right[None]) == share(30, 40, "test images")
    for draws in (1, 3):
        sure = two_way(np.ones((draws, 40), bool))
        assert (sure.value, sure.high, sure.n) == (1, 1, 40)
        assert sure.low == pytest.approx(40 / (40 + 1.96**2), abs=1e-4)


def test_a_difference_is_paired() -> None:
    """Two learners of the same accuracy: one misses what the other does, or just other images."""
    right = np.random.default_rng(0).random((4, 200)) < 0.8
    same = two_way_difference(right, right)
    assert same.value == 0
    assert same.low is not None
    assert same.high is not None
    assert -0.05 < same.low < 0 < same.high < 0.05  # the same answers, not the same for certain
    other = two_way_difference(right, np.roll(right, 7, 1))
    assert other.value == pytest.approx(0, abs=1e-9)
    assert other.low is not None
    assert other.low < -0.02


def test_spread_is_196_standard_deviations_over_draws() -> None:
    right = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)  # 0.75 and 0.5
    assert spread(right) == pytest.approx(1.96 * 0.25 / 2**0.5)
    assert spread(right[:1]) is None


def test_intervals_hold_the_truth_where_draws_and_images_both_vary() -> None:
    """Of draws with luck of their own and images with difficulty of their own; 95 % is asked."""
    stream = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        chance = 0.7 + 0.1 * stream.standard_normal((6, 1)) + 0.1 * stream.standard_normal(50)
        found = two_way(stream.random((6, 50)) < chance.clip(0, 1))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    assert held >= 91


# -- published values ------------------------------------------------------------------------

CIFAR_KINDS = ("CIFAR-10, train part", "CIFAR-10, test part")
SVHN_KINDS = ("SVHN, train part", "SVHN, test part")


def shown(kinds: Sequence[str], count: int, budget: Budget) -> tuple[str, str, list[Sequence[Any]]]:
    found = beside(kinds, count, budget, 80.0, 0.5 if budget.few else None, 512)
    rows = [list(row) for table in found.tables for row in table.rows]
    return found.accuracy, found.error, rows


def test_published_tables_stand_beside_the_same_data_alone() -> None:
    full = shown(CIFAR_KINDS, 10_000, Budget())
    assert full[:2] == ("82.8 %", "")
    assert full[2][:-1] == [list(row) for row in CIFAR_ROWS]
    assert full[2][-1] == ["this run: DCGAN + L2-SVM", 80.0, "", 512]
    few = shown(CIFAR_KINDS, 10_000, Budget(per_class=400, draws=10))
    assert few[0] == "73.8 ± 0.4 %"
    assert few[2][-1] == ["this run: DCGAN + L2-SVM", None, "80.0 ± 0.5", 512]
    svhn = shown(SVHN_KINDS, 26_032, Budget(total=1000, draws=100))
    assert svhn[:2] == ("", "22.48 %")
    assert svhn[2] == [*map(list, SVHN_ROWS), ["this run: DCGAN + L2-SVM", 20.0]]


@pytest.mark.parametrize(
    ("kinds", "count", "budget", "mark"),
    [
        (CIFAR_KINDS, 2000, Budget(), "(other test images)"),
        (CIFAR_KINDS, 10_000, Budget(per_class=100), "(another number of labels)"),
        (SVHN_KINDS, 26_032, Budget(), "(another number of labels)"),
        (SVHN_KINDS, 26_032, Budget(total=2000), "(another number of labels)"),
    ],
)
def test_whatever_cannot_be_compared_says_so(
    kinds: Sequence[str], count: int, budget: Budget, mark: str
) -> None:
    figure, error, rows = shown(kinds, count, budget)
    assert mark in figure + error
    assert mark in rows[-1][0]


@pytest.mark.parametrize(
    ("kinds", "budget"),
    [
        (("zip of images",) * 2, Budget()),
        (("zip of images",) * 2, Budget(total=1000)),
        (("CIFAR-100, train part",) * 2, Budget()),
        ((CIFAR_KINDS[0], "folder of images"), Budget()),
        ((CIFAR_KINDS[0], SVHN_KINDS[1]), Budget(per_class=400)),
    ],
)
def test_nothing_published_stands_beside_other_data(kinds: Sequence[str], budget: Budget) -> None:
    assert shown(kinds, 10_000, budget) == ("", "", [])


# -- features ---------------------------------------------------------------------------------


def test_a_table_of_features_is_the_features_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = stripes(20)
    network = discriminator()
    rows = np.array([3, 1, 7, 19, 0, 2, 5])
    whole = features(network, normalize(torch.from_numpy(images.take(rows))))
    assert whole.shape == (7, 16 * (4 + 8))
    monkeypatch.setattr(features_module, "IMAGES_PER_BATCH", 3)
    assert [len(block) for block in feature_blocks(network, images, rows)] == [3, 3, 1]
    table = feature_table(network, images, rows)
    torch.testing.assert_close(table, whole)
    assert table.dtype == torch.float32


def test_layers_and_grid_by_hand() -> None:
    """Each layer's maps after its activation, the largest of each cell of the grid."""
    images, _ = stripes(5)
    network = discriminator().eval()
    normalized = normalize(torch.from_numpy(images.images))
    with torch.no_grad():
        first = network.layers[0](normalized)  # [5, 4, 8, 8]
        second = network.layers[1](first.clone())  # [5, 8, 4, 4]
    pooled = torch.stack(
        [
            first[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3))
            for i in range(4)
            for j in range(4)
        ],
        2,
    ).flatten(1)
    torch.testing.assert_close(features(network, normalized, layers=(0,)), pooled)
    torch.testing.assert_close(features(network, normalized, layers=(1,)), second.flatten(1))
    both = torch.cat([pooled, second.flatten(1)], 1)
    torch.testing.assert_close(features(network, normalized), both)
    assert layer_spans(CONFIG) == [slice(0, 64), slice(64, 192)]
    assert layer_spans(CONFIG, 2, (1,)) == [slice(0, 32)]
    coarse = features(network, normalized, grid=1)
    torch.testing.assert_close(coarse, torch.cat([first.amax((2, 3)), second.amax((2, 3))], 1))


@pytest.mark.parametrize("layers", [(2,), (-1,), (1, 0), (0, 0), ()])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected some of 1 to 2"):
        layer_spans(CONFIG, 4, layers)


def test_statistics_are_those_of_batches_of_128_that_count_alike() -> None:
    images, _ = stripes(150)
    rows = np.random.default_rng(0).permutation(150)
    one, other = discriminator(), discriminator()
    reestimate_on(one, images, rows)
    parts = [normalize(torch.from_numpy(images.take(part))) for part in (rows[:128], rows[128:])]
    reestimate(other, parts)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    fresh = discriminator().layers[1][1].running_mean  # type: ignore[index]
    assert not torch.equal(one.layers[1][1].running_mean, fresh)  # type: ignore[index]


# -- the whole --------------------------------------------------------------------------------


def bench_of(budget: Budget, **settings: Any) -> ProbeSetup:
    (train, codes), (test, truth) = stripes(180), stripes(60, seed=1)
    probe_split = ProbeSplit.prepare(("lying", "standing", "none"), codes, truth, budget)
    labeled = Labeled(train, np.arange(180), codes), Labeled(test, np.arange(60), truth)
    network = discriminator()
    reestimate_on(network, train, probe_split.order)
    return ProbeSetup(
        network, *labeled, probe_split, Settings(centroids=12, trials=2, epochs=3, **settings)
    )


def report_of(budget: Budget, controls: Sequence[str] = CONTROLS, **options: Any) -> Report:
    return probe(bench_of(budget), budget, controls, stage=quiet, **options)


def test_the_report_has_every_baseline_and_paired_differences() -> None:
    report = report_of(Budget(per_class=8, draws=3), ablate=True)
    keys = [finding.key for finding in report.findings]
    assert keys == ["accuracy", "error", *(f"over_{name}" for name in CONTROLS)]
    table, confusion = report.tables
    names = [row[0] for row in table.rows]
    assert names == ["dcgan", "layer_1", "layer_2", *CONTROLS]
    by_name = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert by_name["dcgan"]["features"] == 192
    assert by_name["layer_1"]["features"] == 64
    assert by_name["pixels"]["features"] == 256
    assert by_name["kmeans"]["features"] == 48
    own = report.findings[0].value
    for finding in report.findings[2:]:
        control = by_name[finding.key.removeprefix("over_")]
        gain = own.value - float(control["accuracy %"])  # type: ignore[arg-type]
        assert finding.value.value == pytest.approx(gain, abs=0.006)
        assert finding.value.low is not None
    assert report.findings[1].value.value == pytest.approx(100 - own.value)
    assert by_name["dcgan"]["accuracy %"] > 60  # type: ignore[operator]
    counts = np.array(report.facts["confusion"])
    assert counts.sum() == 3 * 60
    assert 100 * np.trace(counts) / 180 == pytest.approx(own.value)
    assert confusion.columns == ("is", "lying", "standing", "none", "images")
    assert sum(confusion.rows[0][1:4]) == pytest.approx(100, abs=0.2)  # type: ignore[arg-type]
    assert report.findings[0].published == ""


def test_one_table_of_features_is_gone_before_the_next_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """50,000 × 28,672 numbers are 5.7 GB: there is room for them once."""
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def counted(*arguments: Any, **options: Any) -> torch.Tensor:
        alive.append(sum(ref() is not None for ref in made))
        table = feature_table(*arguments, **options)
        made.append(weakref.ref(table))
        return table

    monkeypatch.setattr("dcgan_cli.analysis.probe_svm.baselines.feature_table", counted)
    report_of(Budget(per_class=4, draws=1), ("random", "pixels"), ablate=True)
    assert alive == [0, 1, 0, 1]  # training and test images of D, then of random filters


def test_the_same_seed_gives_the_same_report() -> None:
    budget = Budget(total=24, draws=2)
    one, other = (report_of(budget, ("random", "kmeans", "supervised")) for _ in range(2))
    assert one == other


def test_all_labels_are_one_fit_with_wilsons_interval() -> None:
    report = report_of(Budget(), ("random", "pixels"))
    (row, *_), facts = report.tables[0].rows, report.facts
    assert row[4] == 1
    assert row[6] is None
    assert (facts["labels"], facts["validation_images"], facts["draws"]) == (180, 36, 1)
    assert "Wilson" in report.findings[0].value.kind


def test_overlapping_draws_and_controls_that_are_not_beaten_are_said() -> None:
    report = report_of(Budget(per_class=40, draws=2), ("knn",))
    assert any("overlap" in note for note in report.notes)
    setup = bench_of(Budget())
    # a network whose features say nothing
    for layer in setup.discriminator.layers:
        layer[0].weight.data.zero_()  # type: ignore[index]
    report = probe(setup, Budget(), ("pixels",), stage=quiet)
    assert any(note.startswith("against pixels + L2-SVM: train longer") for note in report.notes)
    assert "better than" not in report.verdict
