"""The search: exact answers, the same as brute force, ties, blocks, and memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from dcgan_cli.analysis import neighbors
from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Pixels
from dcgan_cli.analysis.nearest_neighbors.training_search import Question, Training, find, hold_out
from dcgan_cli.analysis.neighbors import NeighborTable, Search, nearest
from dcgan_cli.errors import DcganError
from dcgan_cli.report import Images


def brute(
    queries: NDArray[np.float32], rows: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All distances by differences in float64; of equal ones the lower number first."""
    apart = queries[:, None].astype(np.float64) - rows[None]
    distances = np.sqrt((apart**2).sum(-1))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distances, order, 1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32], int, int]:
    """Queries, rows, k and the size of a block; some problems are full of ties, some far from 0."""
    count, width = draw(st.integers(1, 60)), draw(st.integers(1, 40))
    k, block = draw(st.integers(1, count)), draw(st.integers(1, 70))
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 256, 0]))
    shift = draw(st.sampled_from([0, 1000]))

    def numbers(many: int) -> NDArray[np.float32]:
        if levels:
            return (stream.integers(0, levels, (many, width)) + shift).astype(np.float32)
        return (stream.standard_normal((many, width)) + shift).astype(np.float32)

    rows, queries = numbers(count), numbers(draw(st.integers(1, 9)))
    if draw(st.booleans()):
        queries[0] = rows[draw(st.integers(0, count - 1))]
    return queries, rows, k, block


@given(problems())
@settings(max_examples=100, deadline=None)
def test_the_same_as_brute_force_whatever_the_shapes_blocks_and_ties(
    problem: tuple[NDArray[np.float32], NDArray[np.float32], int, int],
) -> None:
    queries, rows, k, block = problem
    found = nearest(torch.from_numpy(queries), torch.from_numpy(rows).split(block), k)
    indices, distances = brute(queries, rows, k)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6, atol=1e-12)
    measured = np.sqrt(((queries[:, None] - rows[found.indices].astype(np.float64)) ** 2).sum(-1))
    np.testing.assert_allclose(found.distances, measured, rtol=1e-6, atol=1e-12)
    whole = np.array_equal(rows, rows.round())
    if whole:  # distances are exact, so that ties are too
        assert np.array_equal(found.indices, indices)


@pytest.mark.parametrize("width", [64, 3072])
def test_the_same_as_scikit_learn(width: int) -> None:
    stream = np.random.default_rng(0)
    basis = stream.standard_normal((20, width))
    rows = (stream.standard_normal((700, 20)) @ basis).astype(np.float32)
    queries = (stream.standard_normal((90, 20)) @ basis).astype(np.float32)
    theirs = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(rows)
    distances, indices = theirs.kneighbors(queries)
    found = nearest(torch.from_numpy(queries), torch.from_numpy(rows).split(128), 7)
    assert np.array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-4)


def test_rows_that_are_the_same_are_exactly_0_apart_far_from_the_origin() -> None:
    stream = np.random.default_rng(0)
    rows = (1e4 + stream.standard_normal((300, 500))).astype(np.float32)
    rows[200:] = rows[:100]
    found = nearest(torch.from_numpy(rows[:50]), torch.from_numpy(rows).split(64), 2)
    assert np.array_equal(found.distances, np.zeros((50, 2)))
    assert np.array_equal(found.indices, np.stack([np.arange(50), 200 + np.arange(50)], 1))


def test_ties_go_to_the_lower_number_in_whatever_block_it_is() -> None:
    rows = torch.zeros(40, 3)
    rows[7] = 1
    for block in (1, 3, 40):
        found = nearest(torch.zeros(2, 3), rows.split(block), 9)
        assert found.indices.tolist() == [[0, 1, 2, 3, 4, 5, 6, 8, 9]] * 2


def test_of_versions_the_nearest_counts() -> None:
    rows = torch.tensor([[0.0, 0], [10, 0], [0, 7]])
    versions = torch.tensor([[[4.0, 0], [10, 1]], [[0, 6], [100, 100]]])
    search = Search([versions], 2)
    search.add(rows)
    assert search.result().indices.tolist() == [[1, 0], [2, 0]]
    assert search.result().distances.tolist() == [[1, 4], [1, 6]]


def test_a_row_left_out_is_no_neighbor_even_where_it_is_the_same() -> None:
    rows = torch.arange(12.0).reshape(6, 2)
    search = Search([rows], 1, left_out=np.array([0, 1, 2, -1, 4, 5]))
    for block in rows.split(4):
        search.add(block)
    assert search.result().indices[:, 0].tolist() == [1, 0, 1, 3, 3, 4]


def test_fewer_rows_than_neighbors_is_one_line() -> None:
    with pytest.raises(DcganError, match="4 nearest neighbors were asked for, and only 3 images"):
        nearest(torch.zeros(1, 2), [torch.zeros(2, 2), torch.zeros(0, 2), torch.zeros(1, 2)], 4)


def test_queries_and_measuring_in_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = np.random.default_rng(3)
    rows = torch.from_numpy(stream.integers(0, 9, (200, 6)).astype(np.float32))
    queries = torch.from_numpy(stream.integers(0, 9, (30, 2, 6)).astype(np.float32))
    answers: list[NeighborTable] = []
    for part, gather in ((30, 1 << 18), (7, 7)):
        monkeypatch.setattr(neighbors, "GATHER", gather)
        search = Search(queries.split(part), 5)
        for block in rows.split(64):
            search.add(block)
        answers.append(search.result())
    found, in_pieces = answers
    assert np.array_equal(found.indices, in_pieces.indices)
    assert np.array_equal(found.distances, in_pieces.distances)
    # whole numbers, so that squares are exact; roots are rounded as each library and CPU has it
    squared = (queries[:, :, None] - rows).double().square().sum(-1).amin(1).numpy()
    order = np.argsort(squared, axis=1, kind="stable")[:, :5]
    assert np.array_equal(found.indices, order)
    roots = np.take_along_axis(squared, order, 1) ** 0.5
    np.testing.assert_allclose(found.distances, roots, rtol=1e-14)


class Endless:
    """`count` images of noise that are made when they are taken, and are never all there."""

    def __init__(self, count: int, side: int = 32) -> None:
        self.count, self.most = count, 0
        self.noise = np.random.default_rng(0).integers(0, 256, (side, side, 1), np.uint8)

    def __len__(self) -> int:
        return self.count

    def take(self, indices: NDArray[np.int64]) -> Images:
        self.most = max(self.most, len(indices))
        mixed = (indices * 2654435761 % 2**32 >> 8).astype(np.uint32).reshape(-1, 1, 1, 1)
        return ((mixed * (self.noise | 1)) >> np.uint32(16)).astype(np.uint8)


LARGE = """
import resource, sys
import numpy as np, torch
sys.path.insert(0, {tests!r})
from test_neighbors import Endless
from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Outlines, Pixels
from dcgan_cli.analysis.nearest_neighbors.training_search import Question, Training, find

def run(count):
    images = Endless(count)
    training = Training(images, np.arange(count), str)
    asked = images.take(np.array([5, count - 1]))
    questions = (Question(Pixels(32, 1), asked), Question(Outlines(32), asked[:, :, ::-1].copy()))
    found = find(questions, training, 3, torch.device("cpu"))
    assert images.most <= 1024
    assert all(f.indices[:, 0].tolist() == [5, count - 1] for f in found)
    assert found[0].distances[:, 0].tolist() == [0, 0]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

few = run(2000)
print(run({count}) - few)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux reports it")
def test_a_large_set_is_never_in_memory() -> None:
    count = 20_000
    code = LARGE.format(tests=str(Path(__file__).parent), count=count)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    everything = count * 32 * 32  # bytes as uint8; four times that as float32
    assert int(done.stdout) < everything / 2


def test_numbers_are_those_of_the_images_though_only_some_are_compared() -> None:
    images = Endless(50)
    training = Training(images, np.arange(1, 50, 2), str)
    asked = images.take(np.array([7, 8]))
    (found,) = find(
        [Question(Pixels(32, 1), asked, np.array([9, -1]))], training, 24, torch.device("cpu")
    )
    assert found.indices[0, 0] == 7
    assert 9 not in found.indices[0]
    assert sorted(found.indices[1].tolist()) != sorted(found.indices[0].tolist())
    black_to_white = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])

    class Two(Endless):
        def take(self, indices: NDArray[np.int64]) -> Images:
            return black_to_white[indices]

    (found,) = find(
        [Question(Pixels(4, 3), black_to_white[:1])],
        Training(Two(2), np.arange(2), str),
        2,
        torch.device("cpu"),
    )
    np.testing.assert_allclose(found.distances, [[0, 1]])


@pytest.mark.parametrize(
    ("count", "share", "held"), [(50, None, 12), (100_000, None, 2000), (100, 0.3, 30)]
)
def test_what_is_held_back_is_not_compared_with(count: int, share: float | None, held: int) -> None:
    numbers, kept = hold_out(count, share, 0)
    assert len(kept) == held
    assert sorted([*numbers, *kept]) == list(range(count))
    assert not np.array_equal(kept, hold_out(count, share, 1)[1])
    assert np.array_equal(kept, hold_out(count, share, 0)[1])


@pytest.mark.parametrize(("count", "share"), [(20, None), (100, 0.01), (100, 0.95)])
def test_too_few_to_hold_back_is_one_line(count: int, share: float | None) -> None:
    with pytest.raises(DcganError, match="too few to tell copies from chance; hold out at least 8"):
        hold_out(count, share, 0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    stream = np.random.default_rng(0)
    rows = torch.from_numpy(stream.integers(-128, 128, (3000, 768)).astype(np.float32))
    queries = torch.from_numpy(stream.integers(-128, 128, (100, 3, 768)).astype(np.float32))
    queries[:10, 0] = rows[:10]
    answers: list[bytes] = []
    for device in ("cpu", "cuda"):
        search = Search(queries.split(40), 9, device=torch.device(device))
        for block in rows.split(512):
            search.add(block)
        found = search.result()
        answers.append(found.indices.tobytes() + found.distances.tobytes())
    assert answers[0] == answers[1]
