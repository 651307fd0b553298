"""The protocol of a probe: splits, draws, the split and the grid of C."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st

from dcgan_cli.analysis.probe_svm.learners import (
    STRONGEST,
    WEAKEST,
    SvmLearner,
    Tables,
    c,
    choose_place,
)
from dcgan_cli.analysis.probe_svm.probe_split import (
    CHOOSING_DRAWS,
    Budget,
    Chosen,
    Codes,
    ProbeSplit,
    TrainingSubset,
    draw_rows,
    evaluate,
    even,
    proportional,
    split_rows,
)
from dcgan_cli.errors import UsageError

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


# -- the split ---------------------------------------------------------------------------------


def split_of(budget: Budget, count: int = 90, **changes: Any) -> ProbeSplit:
    codes = np.arange(count) % 3
    truth = np.arange(30) % 3
    return ProbeSplit.prepare(("a", "b", "c"), codes, truth, budget, **changes)


def test_all_labels_are_chosen_by_a_fifth_and_then_learned_together() -> None:
    probe_split = split_of(Budget())
    assert (probe_split.pool, len(probe_split.codes)) == (72, 90)
    assert sorted(probe_split.order.tolist()) == list(range(90))
    assert np.bincount(probe_split.validation).tolist() == [6, 6, 6]
    assert (probe_split.codes == probe_split.order % 3).all()
    (choosing,), (subset,) = probe_split.choosing, probe_split.subsets
    assert (choosing.rows, subset.rows) == (slice(72), slice(90))
    assert (choosing.codes == probe_split.codes[:72]).all()
    assert (subset.codes == probe_split.codes).all()


@pytest.mark.parametrize("budget", [Budget(per_class=4, draws=3), Budget(total=12, draws=3)])
def test_few_labels_come_from_the_pool_alone_and_are_even(budget: Budget) -> None:
    probe_split = split_of(budget)
    assert (len(probe_split.choosing), len(probe_split.subsets)) == (CHOOSING_DRAWS, 3)
    rows = [subset.rows for subset in (*probe_split.choosing, *probe_split.subsets)]
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)  # type: ignore[union-attr]
    for subset in (*probe_split.choosing, *probe_split.subsets):
        assert isinstance(subset.rows, np.ndarray)
        assert subset.rows.max() < probe_split.pool
        assert np.bincount(subset.codes).tolist() == [4, 4, 4]
        assert (probe_split.codes[subset.rows] == subset.codes).all()


def test_a_seed_is_an_split_and_more_draws_leave_the_first_as_they_were() -> None:
    one, more = (split_of(Budget(total=12, draws=draws), seed=5) for draws in (2, 4))
    assert (one.order == more.order).all()
    for a, b in zip(one.subsets, more.subsets[:2], strict=True):
        assert np.array_equal(a.rows, b.rows)  # type: ignore[arg-type]
    other = split_of(Budget(total=12, draws=2), seed=6)
    assert not np.array_equal(other.order, one.order)


@pytest.mark.parametrize(
    ("budget", "changes", "said"),
    [
        (Budget(per_class=25), {}, "--per-class 25: class a has 24 images"),
        (Budget(total=2), {}, "--labels-total 2: fewer than one for each of 3 classes"),
        (Budget(total=80), {}, "--labels-total 80"),
        (Budget(), {"validation": 90}, "--validation 90: there are only 90"),
    ],
)
def test_more_than_there_are_is_refused(budget: Budget, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        split_of(budget, **changes)


class Parrot:
    """Answers what it was told to, and remembers what it was shown."""

    def __init__(self, answers: Codes) -> None:
        self.answers = answers
        self.shown: list[Any] = []

    def choose(self, subsets: Sequence[TrainingSubset], validation: Codes, progress: Any) -> Chosen:
        self.shown += [*(subset.codes for subset in subsets), validation]
        return Chosen("nothing", {}, self._answer)

    def _answer(self, subset: TrainingSubset) -> Codes:
        self.shown.append(subset.codes)
        return self.answers


def test_a_learner_is_shown_training_classes_and_marked_by_the_truth() -> None:
    probe_split = split_of(Budget(per_class=4, draws=5))
    parrot = Parrot(np.zeros(30, np.int64))
    result = evaluate(parrot, probe_split)
    assert (result.right == (np.arange(30) % 3 == 0)).all()
    assert result.right.shape == (5, 30)
    assert all(len(shown) in (12, 18) for shown in parrot.shown)
    assert len(evaluate(parrot, probe_split, most_draws=2).right) == 2


def planted(probe_split: ProbeSplit, noise: float = 0.0, seed: int = 0) -> Tables:
    """Features that are the class, one for each, and as many of nothing but chance."""
    stream = torch.Generator().manual_seed(seed)

    def table(codes: Codes) -> torch.Tensor:
        known = F.one_hot(torch.from_numpy(codes), 3).float()
        known += noise * torch.randn(known.shape, generator=stream)
        return torch.cat([known, torch.randn(known.shape, generator=stream)], 1)

    return Tables(table(probe_split.codes), probe_split.pool, table(probe_split.truth))


@pytest.mark.parametrize("budget", [Budget(), Budget(per_class=8, draws=4)])
def test_planted_features_are_found_and_noise_is_chance(budget: Budget) -> None:
    probe_split = split_of(budget, count=300)
    tables = planted(probe_split)
    assert evaluate(SvmLearner(tables, 3), probe_split).right.mean() > 0.99
    blind = tables.columns(slice(3, 6))
    assert evaluate(SvmLearner(blind, 3), probe_split).right.mean() < 0.6
    assert blind.train.data_ptr() == tables.train[:, 3:].data_ptr()  # a view


@pytest.mark.parametrize("budget", [Budget(), Budget(per_class=8, draws=4)])
def test_poisoned_test_labels_change_no_choice_and_no_answer(budget: Budget) -> None:
    """Only the marks may depend on the truth about the test images."""
    probe_split = split_of(budget, count=150)
    tables = planted(probe_split, noise=1.0)
    poisoned = replace(probe_split, truth=(probe_split.truth + 1) % 3)
    one, other = (evaluate(SvmLearner(tables, 3), e) for e in (probe_split, poisoned))
    assert (one.setting, one.tried) == (other.setting, other.tried)
    assert np.array_equal(one.answers, other.answers)
    assert not np.array_equal(one.right, other.right)
    # while poisoned validation labels do change what is tried
    codes = probe_split.codes.copy()
    codes[probe_split.pool :] = (codes[probe_split.pool :] + 1) % 3
    assert evaluate(SvmLearner(tables, 3), replace(probe_split, codes=codes)).tried != one.tried


def test_the_choice_of_c_is_that_of_least_mean_validation_error() -> None:
    probe_split = split_of(Budget(per_class=5), count=150)
    tables = planted(probe_split, noise=0.7)
    from dcgan_cli.analysis.probe_svm.svm import fit_path

    result = evaluate(SvmLearner(tables, 3), probe_split)
    errors: dict[str, float] = {}
    for setting in result.tried:
        wrong = 0.0
        for subset in probe_split.choosing:
            (machine,) = fit_path(
                tables.rows(subset), torch.from_numpy(subset.codes), [float(setting[2:])], classes=3
            )
            said = machine.predict(tables.train[probe_split.pool :]).numpy()
            wrong += float((said != probe_split.validation).mean())
        errors[setting] = wrong / len(probe_split.choosing)
    assert result.tried == pytest.approx(errors, abs=0.02)
    assert result.tried[result.setting] == min(result.tried.values())


# -- the grid of C ----------------------------------------------------------------------------


def test_the_series_is_the_authors_grid() -> None:
    assert [c(place) for place in range(-12, -5)] == [
        1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
    ]  # fmt: skip
    assert [c(place) for place in (-1, 0, 1, 2, 3)] == [0.5, 1, 2, 5, 10]


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
