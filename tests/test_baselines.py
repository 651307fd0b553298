"""The probe's controls: K-means features, nearest neighbors and the supervised CNN, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_probe import CONFIG, Held, stripes
from test_probe_split import planted, split_of

from dcgan_cli.analysis.probe_svm import kmeans, supervised
from dcgan_cli.analysis.probe_svm.kmeans import KMeans, normalize_patches, standardize, triangle
from dcgan_cli.analysis.probe_svm.learners import NearestNeighborLearner, SvmLearner, Tables, vote
from dcgan_cli.analysis.probe_svm.probe_split import Budget, ProbeSplit, evaluate
from dcgan_cli.analysis.probe_svm.supervised import Classifier, Setting, SupervisedLearner
from dcgan_cli.data.pixels import normalize


def no_progress(done: int, total: int) -> None:
    pass


# -- K-means ----------------------------------------------------------------------------------


def test_patches_lose_their_brightness_and_contrast() -> None:
    patch = torch.tensor([[10.0, 30.0, 10.0, 30.0]])
    # mean 20, variance 100, to which 10 is added
    expected = torch.tensor([[-1.0, 1.0, -1.0, 1.0]]) * 10 / 110**0.5
    torch.testing.assert_close(normalize_patches(patch), expected)
    torch.testing.assert_close(normalize_patches(patch + 50), expected)
    assert not normalize_patches(torch.full((1, 4), 7.0)).any()


def test_the_triangle_by_hand() -> None:
    """Distances 3, 4 and 5 from the origin; their mean is 4."""
    centroids = torch.tensor([[3.0, 0.0], [0.0, 4.0], [3.0, -4.0]])
    found = triangle(torch.zeros(1, 2), centroids)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0, 0.0]]))


def test_lloyd_finds_planted_clusters_and_keeps_what_nothing_is_near_to() -> None:
    generator = torch.Generator().manual_seed(0)
    centers = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-5.0, -5.0]])
    rows = centers.repeat(50, 1) + 0.1 * torch.randn(150, 2, generator=generator)
    start = torch.tensor([[4.0, 1.0], [1.0, 4.0], [-1.0, -2.0], [99.0, 99.0]])
    found = kmeans._lloyd(rows, start, no_progress)
    torch.testing.assert_close(found[:3], centers, atol=0.1, rtol=0)
    assert found[3].tolist() == [99, 99]


def planted_patches(count: int = 60) -> Held:
    """White images of 16×16 with one 6×6 pattern, of two, in the upper left quadrant."""
    stream = np.random.default_rng(0)
    patterns = stream.integers(0, 256, (2, 6, 6))
    images = np.full((count, 16, 16, 1), 255, np.uint8)
    images[:, :6, :6, 0] = patterns[np.arange(count) % 2]
    return Held(images)


def test_planted_patches_are_whitened_clustered_and_found_in_their_quadrant() -> None:
    images = planted_patches()
    found = KMeans.fit(images, np.arange(60), centroids=8, stream=np.random.default_rng(1))
    assert (found.side, tuple(found.centroids.shape)) == (6, (8, 36))
    table = found.table(images, np.arange(4))
    assert tuple(table.shape) == (4, 32)
    assert torch.equal(table[0], table[2])
    assert torch.equal(table[1], table[3])
    # 11×11 places, of which the first half are 6: only the first quadrant sees the pattern
    by_quadrant = (table[0] - table[1]).abs().view(4, 8).sum(1)
    assert by_quadrant[0] > 1
    assert by_quadrant[1:].max() < 1e-3


def test_a_image_is_described_by_the_sums_over_its_quadrants() -> None:
    """Against every patch cut out and measured by itself."""
    images, _ = stripes(3)
    found = KMeans.fit(images, np.arange(3), centroids=5, stream=np.random.default_rng(0))
    normalized = normalize(torch.from_numpy(images.images))
    expected = torch.zeros(3, 2, 2, 5)
    for y in range(11):
        for x in range(11):
            patch = normalize_patches(normalized[:, 0, y : y + 6, x : x + 6].flatten(1) * 127.5)
            near = triangle((patch - found.mean) @ found.whiten, found.centroids)
            expected[:, int(y >= 6), int(x >= 6)] += near
    torch.testing.assert_close(
        found.describe(normalized), expected.flatten(1), atol=1e-3, rtol=1e-4
    )


def test_whitened_patches_have_unit_covariance_where_they_vary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kmeans, "WHITENING", 1e-6)
    stream = np.random.default_rng(0)
    smooth = stream.integers(0, 256, (200, 16, 16)).cumsum(2) / np.arange(1, 17)
    images = Held(smooth.astype(np.uint8)[..., None])
    found = KMeans.fit(images, np.arange(200), centroids=4, stream=np.random.default_rng(0))
    patches = kmeans._sample(images, np.arange(200), np.random.default_rng(5))
    white = (patches - found.mean) @ found.whiten
    variances = torch.linalg.eigvalsh(white.t() @ white / len(white))
    assert variances[0] < 0.1  # the brightness, which is always the same
    torch.testing.assert_close(variances[1:], torch.ones(35), atol=0.25, rtol=0)


def test_small_images_have_smaller_patches_and_color_is_part_of_a_patch() -> None:
    stream = np.random.default_rng(0)
    tiny = Held(stream.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8))
    found = KMeans.fit(tiny, np.arange(30), centroids=6, stream=stream)
    assert (found.side, found.centroids.shape[1]) == (4, 48)


def test_blocks_do_not_change_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = stripes(9)
    found = KMeans.fit(images, np.arange(9), centroids=5, stream=np.random.default_rng(0))
    whole = found.table(images, np.arange(9))
    monkeypatch.setattr(kmeans, "AT_ONCE", 4 * 121 * 5)
    torch.testing.assert_close(found.table(images, np.arange(9)), whole)


def test_kmeans_features_tell_stripes_apart() -> None:
    (train, codes), (test, truth) = stripes(150), stripes(60, seed=1)
    probe_split = ProbeSplit.prepare("abc", codes, truth, Budget())
    found = KMeans.fit(train, probe_split.order, centroids=30, stream=np.random.default_rng(0))
    tables = Tables(
        found.table(train, probe_split.order), probe_split.pool, found.table(test, np.arange(60))
    )
    standardize(tables.train, tables.test)
    assert evaluate(SvmLearner(tables, 3), probe_split).right.mean() > 0.95


def test_standardizing_uses_the_training_images_alone() -> None:
    train, test = torch.tensor([[0.0, 7.0], [2.0, 7.0], [4.0, 7.0]]), torch.tensor([[4.0, 8.0]])
    standardize(train, test)
    assert train[:, 0].tolist() == [-1, 0, 1]
    assert test.tolist() == [[1, 1]]  # a feature that never varied is only centered


# -- nearest neighbors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("near", "answer"),
    [([2], 2), ([0, 1, 1], 1), ([2, 1, 0], 2), ([0, 1, 1, 0], 0), ([0, 2, 1, 1, 2], 2)],
)
def test_the_majority_decides_and_among_equals_the_nearest(near: list[int], answer: int) -> None:
    assert vote(torch.tensor([near]), 3).item() == answer


def test_neighbors_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    probe_split = split_of(Budget(), count=200)
    tables = planted(probe_split, noise=0.8)
    result = evaluate(NearestNeighborLearner(tables, 3), probe_split)
    pool = slice(probe_split.pool)
    for k in (1, 5, 17):
        machine = KNeighborsClassifier(k).fit(tables.train[pool].numpy(), probe_split.codes[pool])
        said = machine.predict(tables.train[probe_split.pool :].numpy())
        # ties are decided otherwise there
        assert result.tried[f"k {k}"] == pytest.approx(
            (said != probe_split.validation).mean(), abs=0.1
        )
    assert result.tried[result.setting] == min(result.tried.values())
    one = KNeighborsClassifier(1).fit(tables.train[pool].numpy(), probe_split.codes[pool])
    wrong = (one.predict(tables.train[probe_split.pool :].numpy()) != probe_split.validation).mean()
    assert result.tried["k 1"] == wrong


def test_no_more_neighbors_are_asked_for_than_there_are_labels() -> None:
    probe_split = split_of(Budget(per_class=2, draws=2), count=60)
    result = evaluate(
        NearestNeighborLearner(planted(probe_split).columns(slice(3)), 3), probe_split
    )
    assert list(result.tried) == ["k 1", "k 3", "k 5"]
    assert result.right.all()


# -- the supervised CNN -----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "PATIENCE", 2)


def supervised_split(budget: Budget) -> tuple[ProbeSplit, SupervisedLearner]:
    (train, codes), (test, truth) = stripes(150), stripes(60, seed=1)
    probe_split = ProbeSplit.prepare("abc", codes, truth, budget)
    learner = SupervisedLearner(
        CONFIG,
        3,
        train,
        probe_split.order,
        probe_split.pool,
        test,
        np.arange(60),
        trials=3,
        epochs=6,
    )
    return probe_split, learner


def test_it_learns_from_its_subset_and_one_seed_is_one_answer() -> None:
    probe_split, learner = supervised_split(Budget(total=60, draws=2))
    result = evaluate(learner, probe_split)
    assert result.right.mean() > 0.8
    assert len(result.tried) == 3
    again = evaluate(learner, probe_split)
    assert np.array_equal(result.answers, again.answers)
    assert result.tried == again.tried
    setting = result.setting.rpartition(", ")[0]
    assert result.tried[setting] == min(result.tried.values())


def test_after_the_choice_the_validation_images_play_no_part() -> None:
    probe_split, learner = supervised_split(Budget(total=30, draws=1))
    chosen = learner.choose(probe_split.choosing, probe_split.validation, no_progress)
    before = chosen.answer(probe_split.subsets[0])
    learner.train.images[probe_split.order[probe_split.pool :]] = 0  # type: ignore[attr-defined]
    assert np.array_equal(chosen.answer(probe_split.subsets[0]), before)


def test_the_epochs_are_those_of_the_least_validation_error() -> None:
    probe_split, learner = supervised_split(Budget(total=30))
    setting = Setting(lr=3e-3, beta1=0.9, weight_decay=1e-6, batch_size=32, dropout=0.25)
    subset, unseen = probe_split.choosing[0], probe_split.order[probe_split.pool :]
    errors = [
        float((learner._answers(network, learner.train, unseen) != probe_split.validation).mean())
        for _, network in learner._train(setting, subset, learner.epochs, no_progress)
    ]
    epochs, error = learner._try(setting, subset, probe_split.validation, no_progress)
    assert error == errors[epochs - 1]
    seen = errors[: epochs + supervised.PATIENCE]
    assert error == min(seen)
    assert epochs == 1 + seen.index(error)


def test_it_tells_of_every_batch() -> None:
    probe_split, learner = supervised_split(Budget(draws=1))
    told: list[tuple[int, int]] = []
    chosen = learner.choose(
        probe_split.choosing, probe_split.validation, lambda *both: told.append(both)
    )
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert 2 / 3 < shares[-1] <= 1, "three trials, each as long as it can be or shorter"
    told.clear()
    chosen.answer(probe_split.subsets[0])
    epochs = int(chosen.setting.split()[-2])
    assert epochs <= learner.epochs == 6
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)]
    assert len(told) % epochs == 0


def test_dropout_is_drawn_from_its_own_generator_and_only_in_training() -> None:
    network = Classifier(CONFIG, 3, 0.5)
    images = torch.zeros(4, 1, 16, 16) + torch.linspace(-1, 1, 16)
    state = torch.get_rng_state()
    one, same, other = (network(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(one, other)
    assert torch.allclose(one, same)
    network.eval()
    assert torch.equal(network(images), network(images))


def test_settings_are_drawn_over_orders_of_magnitude() -> None:
    drawn = [Setting.draw(np.random.default_rng(seed)) for seed in range(200)]
    rates = np.log10([setting.lr for setting in drawn])
    assert rates.min() < -3.8
    assert rates.max() > -2.2
    assert {setting.batch_size for setting in drawn} == {32, 64, 128}
    assert len({replace(setting, lr=0) for setting in drawn}) == 200
