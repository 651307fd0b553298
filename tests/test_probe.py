"""The protocol of a probe: splits, draws, choices, marks and figures, on answers known beforehand."""

import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dcgan_cli.analysis import features as features_module
from dcgan_cli.analysis.features import (
    feature_blocks,
    feature_table,
    features,
    layer_spans,
    reestimate_on,
)
from dcgan_cli.analysis.probe_svm import supervised
from dcgan_cli.analysis.probe_svm.contenders import CONTROLS, Bench, Labelled, Settings
from dcgan_cli.analysis.probe_svm.draws import draw_rows, even, proportional, split_rows
from dcgan_cli.analysis.probe_svm.exam import (
    CHOOSING_DRAWS,
    Budget,
    Chosen,
    Codes,
    Exam,
    Lesson,
    examine,
)
from dcgan_cli.analysis.probe_svm.learners import (
    STRONGEST,
    WEAKEST,
    SvmLearner,
    Tables,
    choose_place,
    strength,
)
from dcgan_cli.analysis.probe_svm.probe import probe
from dcgan_cli.analysis.probe_svm.published import CIFAR_ROWS, SVHN_ROWS, beside
from dcgan_cli.analysis.probe_svm.two_way import accuracy, difference, spread
from dcgan_cli.data.pixels import to_signed
from dcgan_cli.errors import UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialise
from dcgan_cli.model.statistics import reestimate
from dcgan_cli.report import Pictures, Report

CONFIG = ModelConfig(size=16, channels=1, z_dim=4, ngf=2, ndf=4, kernel=4, bn_eps=1e-5)


class Held:
    """Pictures in memory, as a prepared set would give them."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return self.pictures[indices]


def stripes(count: int, seed: int = 0) -> tuple[Held, Codes]:
    """Noisy pictures of three classes: stripes that lie, that stand, and none."""
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
    initialise(network, torch.Generator().manual_seed(0))
    return network


def quiet(_: str) -> Any:
    return nullcontext(lambda done, total: None)


# -- splits and draws -------------------------------------------------------------------------


CODES = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(
    lambda codes: np.array([*range(5), *codes], np.int64)
)


@given(CODES, st.floats(0, 1), st.integers(0, 99))
def test_a_split_takes_every_class_in_its_share(codes: Codes, share: float, seed: int) -> None:
    count = int(share * len(codes))
    rest, taken = split_rows(codes, count, np.random.default_rng(seed))
    assert sorted([*rest, *taken]) == list(range(len(codes)))
    assert len(taken) == count
    exact = np.bincount(codes) * count / len(codes)
    assert (np.abs(np.bincount(codes[taken], minlength=5) - exact) < 1).all()


@given(CODES, st.integers(0, 99), st.data())
def test_a_draw_is_exact_in_every_class(codes: Codes, seed: int, data: st.DataObject) -> None:
    counts = np.bincount(codes)
    wanted = np.array([data.draw(st.integers(0, int(count))) for count in counts])
    rows = draw_rows(codes, wanted, np.random.default_rng(seed))
    assert len(set(rows.tolist())) == len(rows)
    assert np.bincount(codes[rows], minlength=5).tolist() == wanted.tolist()


def test_draws_are_shuffled_and_all_rows_come_up() -> None:
    codes = np.repeat(np.arange(3), 10)
    seen: set[int] = set()
    sorted_draws = 0
    for seed in range(50):
        rows = draw_rows(codes, np.full(3, 2), np.random.default_rng(seed))
        seen |= set(rows.tolist())
        sorted_draws += bool((np.diff(codes[rows]) >= 0).all())
    assert seen == set(range(30))
    assert sorted_draws < 15


def test_more_of_a_class_than_there_are_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="fewer"):
        draw_rows(np.array([0, 0, 1]), np.array([1, 2]), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("counts", "total", "parts"),
    [
        ([10, 10, 10], 6, [2, 2, 2]),
        ([5, 3, 2], 5, [3, 1, 1]),  # 2.5, 1.5, 1: equal remainders go to the earlier class
        ([1, 99], 50, [1, 49]),  # 0.5, 49.5: likewise
        ([7, 0, 3], 10, [7, 0, 3]),
        ([4, 4], 0, [0, 0]),
    ],
)
def test_proportional_parts_by_hand(counts: list[int], total: int, parts: list[int]) -> None:
    assert proportional(np.array(counts), total).tolist() == parts


def test_even_parts_differ_by_one_and_chance_says_which() -> None:
    draws = [even(1000, 7, np.random.default_rng(seed)) for seed in range(20)]
    assert all(sorted(parts.tolist()) == [142] + [143] * 6 for parts in draws)
    assert len({int(parts.argmin()) for parts in draws}) > 2


# -- the exam ---------------------------------------------------------------------------------


def exam_of(budget: Budget, count: int = 90, **changes: Any) -> Exam:
    codes = np.arange(count) % 3
    truth = np.arange(30) % 3
    return Exam.prepare(("a", "b", "c"), codes, truth, budget, **changes)


def test_all_labels_are_chosen_by_a_fifth_and_then_learnt_together() -> None:
    exam = exam_of(Budget())
    assert (exam.pool, len(exam.codes)) == (72, 90)
    assert sorted(exam.order.tolist()) == list(range(90))
    assert np.bincount(exam.validation).tolist() == [6, 6, 6]
    assert (exam.codes == exam.order % 3).all()
    (choosing,), (lesson,) = exam.choosing, exam.lessons
    assert (choosing.rows, lesson.rows) == (slice(72), slice(90))
    assert (choosing.codes == exam.codes[:72]).all()
    assert (lesson.codes == exam.codes).all()


@pytest.mark.parametrize("budget", [Budget(per_class=4, draws=3), Budget(total=12, draws=3)])
def test_few_labels_come_from_the_pool_alone_and_are_even(budget: Budget) -> None:
    exam = exam_of(budget)
    assert (len(exam.choosing), len(exam.lessons)) == (CHOOSING_DRAWS, 3)
    rows = [lesson.rows for lesson in (*exam.choosing, *exam.lessons)]
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)  # type: ignore[union-attr]
    for lesson in (*exam.choosing, *exam.lessons):
        assert isinstance(lesson.rows, np.ndarray)
        assert lesson.rows.max() < exam.pool
        assert np.bincount(lesson.codes).tolist() == [4, 4, 4]
        assert (exam.codes[lesson.rows] == lesson.codes).all()


def test_a_seed_is_an_exam_and_more_draws_leave_the_first_as_they_were() -> None:
    one, more = (exam_of(Budget(total=12, draws=draws), seed=5) for draws in (2, 4))
    assert (one.order == more.order).all()
    for a, b in zip(one.lessons, more.lessons[:2], strict=True):
        assert np.array_equal(a.rows, b.rows)  # type: ignore[arg-type]
    other = exam_of(Budget(total=12, draws=2), seed=6)
    assert not np.array_equal(other.order, one.order)


@pytest.mark.parametrize(
    ("budget", "changes", "said"),
    [
        (Budget(per_class=25), {}, "--per-class 25: class a has 24 pictures"),
        (Budget(total=2), {}, "--labels-total 2: fewer than one for each of 3 classes"),
        (Budget(total=80), {}, "--labels-total 80"),
        (Budget(), {"validation": 90}, "--validation 90: there are only 90"),
    ],
)
def test_more_than_there_are_is_refused(budget: Budget, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        exam_of(budget, **changes)


class Parrot:
    """Answers what it was told to, and remembers what it was shown."""

    def __init__(self, answers: Codes) -> None:
        self.answers = answers
        self.shown: list[Any] = []

    def choose(self, lessons: Sequence[Lesson], validation: Codes, progress: Any) -> Chosen:
        self.shown += [*(lesson.codes for lesson in lessons), validation]
        return Chosen("nothing", {}, self._answer)

    def _answer(self, lesson: Lesson) -> Codes:
        self.shown.append(lesson.codes)
        return self.answers


def test_a_learner_is_shown_training_classes_and_marked_by_the_truth() -> None:
    exam = exam_of(Budget(per_class=4, draws=5))
    parrot = Parrot(np.zeros(30, np.int64))
    result = examine(parrot, exam)
    assert (result.right == (np.arange(30) % 3 == 0)).all()
    assert result.right.shape == (5, 30)
    assert all(len(shown) in (12, 18) for shown in parrot.shown)
    assert len(examine(parrot, exam, most_draws=2).right) == 2


def planted(exam: Exam, noise: float = 0.0, seed: int = 0) -> Tables:
    """Features that are the class, one for each, and as many of nothing but chance."""
    stream = torch.Generator().manual_seed(seed)

    def table(codes: Codes) -> torch.Tensor:
        known = F.one_hot(torch.from_numpy(codes), 3).float()
        known += noise * torch.randn(known.shape, generator=stream)
        return torch.cat([known, torch.randn(known.shape, generator=stream)], 1)

    return Tables(table(exam.codes), exam.pool, table(exam.truth))


@pytest.mark.parametrize("budget", [Budget(), Budget(per_class=8, draws=4)])
def test_planted_features_are_found_and_noise_is_chance(budget: Budget) -> None:
    exam = exam_of(budget, count=300)
    tables = planted(exam)
    assert examine(SvmLearner(tables, 3), exam).right.mean() > 0.99
    blind = tables.columns(slice(3, 6))
    assert examine(SvmLearner(blind, 3), exam).right.mean() < 0.6
    assert blind.train.data_ptr() == tables.train[:, 3:].data_ptr()  # a view


@pytest.mark.parametrize("budget", [Budget(), Budget(per_class=8, draws=4)])
def test_poisoned_test_labels_change_no_choice_and_no_answer(budget: Budget) -> None:
    """Only the marks may depend on the truth about the test pictures."""
    exam = exam_of(budget, count=150)
    tables = planted(exam, noise=1.0)
    poisoned = replace(exam, truth=(exam.truth + 1) % 3)
    one, other = (examine(SvmLearner(tables, 3), e) for e in (exam, poisoned))
    assert (one.setting, one.tried) == (other.setting, other.tried)
    assert np.array_equal(one.answers, other.answers)
    assert not np.array_equal(one.right, other.right)
    # while poisoned validation labels do change what is tried
    codes = exam.codes.copy()
    codes[exam.pool :] = (codes[exam.pool :] + 1) % 3
    assert examine(SvmLearner(tables, 3), replace(exam, codes=codes)).tried != one.tried


def test_the_choice_of_c_is_that_of_least_mean_validation_error() -> None:
    exam = exam_of(Budget(per_class=5), count=150)
    tables = planted(exam, noise=0.7)
    from dcgan_cli.analysis.probe_svm.svm import fit_svm

    result = examine(SvmLearner(tables, 3), exam)
    errors: dict[str, float] = {}
    for setting in result.tried:
        wrong = 0.0
        for lesson in exam.choosing:
            machine = fit_svm(
                tables.rows(lesson), torch.from_numpy(lesson.codes), float(setting[2:]), classes=3
            )
            said = machine.predict(tables.train[exam.pool :]).numpy()
            wrong += float((said != exam.validation).mean())
        errors[setting] = wrong / len(exam.choosing)
    assert result.tried == pytest.approx(errors, abs=0.02)
    assert result.tried[result.setting] == min(result.tried.values())


# -- the grid of C ----------------------------------------------------------------------------


def test_the_series_is_the_authors_grid() -> None:
    assert [strength(place) for place in range(-12, -5)] == [
        1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
    ]  # fmt: skip
    assert [strength(place) for place in (-1, 0, 1, 2, 3)] == [0.5, 1, 2, 5, 10]


@given(st.integers(WEAKEST, STRONGEST))
def test_the_grid_widens_until_the_best_is_inside(best: int) -> None:
    asked: list[int] = []

    def errors(places: Sequence[int]) -> list[float]:
        asked.extend(places)
        return [abs(place - best) / 100 for place in places]

    found, tried = choose_place(errors)
    assert found == best
    assert len(asked) == len(set(asked)) == len(tried)
    assert min(tried) < best or best == WEAKEST
    assert max(tried) > best or best == STRONGEST
    assert min(tried) >= WEAKEST
    assert max(tried) <= STRONGEST


def test_equal_errors_do_not_widen_the_grid_and_the_simplest_is_chosen() -> None:
    found, tried = choose_place(lambda places: [0.0] * len(places))
    assert found == -12
    assert sorted(tried) == list(range(-12, -5))


# -- figures ----------------------------------------------------------------------------------


def test_accuracy_of_one_draw_is_wilsons_and_of_all_true_answers_is_certain() -> None:
    from dcgan_cli.analysis.intervals import proportion

    right = np.arange(40) % 4 != 0
    assert accuracy(right[None]) == proportion(30, 40)
    sure = accuracy(np.ones((3, 40), bool))
    assert (sure.value, sure.low, sure.high, sure.n) == (1, 1, 1, 40)


def test_a_difference_is_paired() -> None:
    """Two learners of the same accuracy: one misses what the other does, or just other pictures."""
    right = np.random.default_rng(0).random((4, 200)) < 0.8
    same = difference(right, right)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert difference(right, right[:2]).value == 0  # over the draws that both had
    other = difference(right, np.roll(right, 7, 1))
    assert other.value == pytest.approx(0, abs=1e-9)
    assert other.low is not None
    assert other.low < -0.02


def test_spread_is_196_standard_deviations_over_draws() -> None:
    right = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)  # 0.75 and 0.5
    assert spread(right) == pytest.approx(1.96 * 0.25 / 2**0.5)
    assert spread(right[:1]) is None


def test_intervals_hold_the_truth_where_draws_and_pictures_both_vary() -> None:
    """Of draws with luck of their own and pictures with difficulty of their own; 95 % is asked."""
    stream = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        chance = 0.7 + 0.1 * stream.standard_normal((6, 1)) + 0.1 * stream.standard_normal(50)
        found = accuracy(stream.random((6, 50)) < chance.clip(0, 1))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    assert held >= 88


# -- published figures ------------------------------------------------------------------------

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
        (("zip of pictures",) * 2, 5000, Budget(), "(CIFAR-10: another data set)"),
        (("zip of pictures",) * 2, 5000, Budget(total=1000), "(SVHN: another data set)"),
        (("CIFAR-100, train part",) * 2, 10_000, Budget(), "(CIFAR-10: another data set)"),
        ((CIFAR_KINDS[0], "folder of pictures"), 10_000, Budget(), "another data set"),
        (CIFAR_KINDS, 2000, Budget(), "(other test pictures)"),
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
    if "another data set" in mark:
        assert rows == []
    else:
        assert mark in rows[-1][0]


# -- features ---------------------------------------------------------------------------------


def test_a_table_of_features_is_the_features_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, _ = stripes(20)
    network = discriminator()
    rows = np.array([3, 1, 7, 19, 0, 2, 5])
    whole = features(network, to_signed(torch.from_numpy(pictures.take(rows))))
    assert whole.shape == (7, 16 * (4 + 8))
    monkeypatch.setattr(features_module, "CHUNK", 3)
    assert [len(block) for block in feature_blocks(network, pictures, rows)] == [3, 3, 1]
    table = feature_table(network, pictures, rows)
    torch.testing.assert_close(table, whole)
    assert table.dtype == torch.float32


def test_layers_and_grid_by_hand() -> None:
    """Each layer's maps after its activation, the largest of each cell of the grid."""
    pictures, _ = stripes(5)
    network = discriminator().eval()
    signed = to_signed(torch.from_numpy(pictures.pictures))
    with torch.no_grad():
        first = network.layers[0](signed)  # [5, 4, 8, 8]
        second = network.layers[1](first.clone())  # [5, 8, 4, 4]
    pooled = torch.stack(
        [
            first[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3))
            for i in range(4)
            for j in range(4)
        ],
        2,
    ).flatten(1)
    torch.testing.assert_close(features(network, signed, layers=(0,)), pooled)
    torch.testing.assert_close(features(network, signed, layers=(1,)), second.flatten(1))
    both = torch.cat([pooled, second.flatten(1)], 1)
    torch.testing.assert_close(features(network, signed), both)
    assert layer_spans(CONFIG) == [slice(0, 64), slice(64, 192)]
    assert layer_spans(CONFIG, 2, (1,)) == [slice(0, 32)]
    coarse = features(network, signed, grid=1)
    torch.testing.assert_close(coarse, torch.cat([first.amax((2, 3)), second.amax((2, 3))], 1))


@pytest.mark.parametrize("layers", [(2,), (-1,), (1, 0), (0, 0), ()])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected some of 1 to 2"):
        layer_spans(CONFIG, 4, layers)


def test_statistics_are_those_of_batches_of_128_that_count_alike() -> None:
    pictures, _ = stripes(150)
    rows = np.random.default_rng(0).permutation(150)
    one, other = discriminator(), discriminator()
    reestimate_on(one, pictures, rows)
    parts = [to_signed(torch.from_numpy(pictures.take(part))) for part in (rows[:128], rows[128:])]
    reestimate(other, parts)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    fresh = discriminator().layers[1][1].running_mean  # type: ignore[index]
    assert not torch.equal(one.layers[1][1].running_mean, fresh)  # type: ignore[index]


# -- the whole --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "EPOCHS", 3)


def bench_of(budget: Budget, **settings: Any) -> Bench:
    (train, codes), (test, truth) = stripes(180), stripes(60, seed=1)
    exam = Exam.prepare(("lying", "standing", "none"), codes, truth, budget)
    labelled = Labelled(train, np.arange(180), codes), Labelled(test, np.arange(60), truth)
    network = discriminator()
    reestimate_on(network, train, exam.order)
    return Bench(network, *labelled, exam, Settings(centroids=12, trials=2, **settings))


def report_of(budget: Budget, controls: Sequence[str] = CONTROLS, **options: Any) -> Report:
    return probe(bench_of(budget), budget, controls, stage=quiet, **options)


def test_the_report_has_every_contender_and_paired_differences() -> None:
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
    assert confusion.columns == ("is", "lying", "standing", "none", "pictures")
    assert sum(confusion.rows[0][1:4]) == pytest.approx(100, abs=0.2)  # type: ignore[arg-type]
    assert "CIFAR-10: another data set" in report.findings[0].published


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

    monkeypatch.setattr("dcgan_cli.analysis.probe_svm.contenders.feature_table", counted)
    report_of(Budget(per_class=4, draws=1), ("random", "pixels"), ablate=True)
    assert alive == [0, 1, 0, 1]  # training and test pictures of D, then of random filters


def test_the_same_seed_gives_the_same_report() -> None:
    budget = Budget(total=24, draws=2)
    one, other = (report_of(budget, ("random", "kmeans", "supervised")) for _ in range(2))
    assert one == other


def test_all_labels_are_one_fit_with_wilsons_interval() -> None:
    report = report_of(Budget(), ("random", "pixels"))
    (row, *_), facts = report.tables[0].rows, report.facts
    assert row[4] == 1
    assert row[6] is None
    assert (facts["labels"], facts["validation_pictures"], facts["draws"]) == (180, 36, 1)
    assert "Wilson" in report.notes[0]


def test_overlapping_draws_and_controls_that_are_not_beaten_are_said() -> None:
    report = report_of(Budget(per_class=40, draws=2), ("knn",))
    assert any("overlap" in note for note in report.notes)
    bench = bench_of(Budget())
    # a network whose features say nothing
    for layer in bench.discriminator.layers:
        layer[0].weight.data.zero_()  # type: ignore[index]
    said = probe(bench, Budget(), ("pixels",), stage=quiet).notes
    assert any("DCGAN features are" in note and "pixels" in note for note in said)
