"""The L2-SVM of features that are larger than memory: blocks, passes and peaks."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_svm import METHODS, force, planted
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dcgan_cli.analysis.probe_svm import squared_hinge, svm
from dcgan_cli.analysis.probe_svm.squared_hinge import DesignMatrix
from dcgan_cli.analysis.probe_svm.svm import fit_path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squared_hinge, "_BLOCK", {"cpu": 1000})
    monkeypatch.setattr(squared_hinge, "_MIN_ROWS", 7)


def mapped(path: Path, features: Tensor) -> Tensor:
    np.save(path, features.numpy())
    return torch.from_numpy(np.load(path, mmap_mode="r+"))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("method", METHODS)
def test_a_mapped_file_gives_the_same_bits(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force(monkeypatch, method)
    features, labels = planted(300, 90, 3)
    inside = fit_path(features, labels, [0.01])[0]
    streamed = fit_path(mapped(tmp_path / "features.npy", features), labels, [0.01])[0]
    assert torch.equal(inside.weights, streamed.weights)
    assert torch.equal(inside.bias, streamed.bias)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_change_nothing_but_rounding(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch, method)
    features, labels = planted(300, 90, 3)
    whole = fit_path(features, labels, [0.01], tolerance=1e-9)[0]
    monkeypatch.setattr(squared_hinge, "_BLOCK", {"cpu": 1000})
    monkeypatch.setattr(squared_hinge, "_MIN_ROWS", 7)
    blocks = fit_path(features, labels, [0.01], tolerance=1e-9)[0]
    assert blocks.objective.numpy() == pytest.approx(whole.objective.numpy(), rel=1e-7)
    assert torch.allclose(whole.scores(features), blocks.scores(features), atol=1e-3)


@pytest.mark.usefixtures("small_blocks")
def test_every_row_is_read_once_and_few_at_a_time() -> None:
    rows = DesignMatrix(torch.arange(100.0)[:, None] * torch.ones(50), torch.device("cpu"))
    blocks = list(rows.blocks())
    assert max(len(block) for _, block in blocks) == 20
    assert torch.equal(torch.cat([block for _, block in blocks]), rows.features)
    for place, block in blocks:
        assert torch.equal(rows.features[place], block)


class Peak(TorchDispatchMode):
    """The most bytes of tensors made while it lasts that were alive at once, on every device."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known = dict[int, weakref.ref[torch.UntypedStorage]]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor):
                self.meet(leaf.untyped_storage(), 0)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.meet(leaf.untyped_storage(), leaf.untyped_storage().nbytes())
        return result

    def meet(self, storage: torch.UntypedStorage, size: int) -> None:
        key = id(storage)
        if key in self.known and self.known[key]() is storage:
            return

        def gone(_: object) -> None:
            self.now -= size
            del self.known[key]

        self.known[key] = weakref.ref(storage, gone)
        self.now += size
        self.most = max(self.most, self.now)


def peak_of(features: Tensor, labels: Tensor, c_values: list[float]) -> int:
    with Peak() as peak:
        fit_path(features, labels, c_values, classes=10)
    return peak.most


def most_bytes(count: int, width: int, problems: int) -> int:
    """A bound of what passes take beside the features: nothing grows with count × width."""
    block = squared_hinge._MIN_ROWS * width
    return 8 * (problems * 10 * (count + width) + 3 * block + 3 * squared_hinge._RANK * width)


def test_a_peak_is_counted() -> None:
    given = torch.ones(1000)
    with Peak() as peak:
        kept = given + 1
        del kept
        both = [given.view(10, 100) * 2, given.double()]
    assert len(both) == 2
    assert peak.most == 12_000


@pytest.mark.parametrize(("count", "width"), [(300, 300), (1200, 300), (300, 1200)])
def test_passes_take_little_memory_beside_the_features(
    monkeypatch: pytest.MonkeyPatch, count: int, width: int
) -> None:
    force(monkeypatch, "passes")
    # Blocks of the fewest rows, as they are of 28,672 features.
    assert squared_hinge._BLOCK["cpu"] < squared_hinge._MIN_ROWS * 28_672
    monkeypatch.setattr(squared_hinge, "_BLOCK", {"cpu": 1})
    # One step with directions of float32, the others with those of float64.
    monkeypatch.setattr(squared_hinge, "_LEAST", 2)
    features, labels = planted(count, width, 10)
    assert peak_of(features, labels, [1e-5, 1e-4]) <= most_bytes(count, width, 20)


def test_all_of_cifar_fits_in_10_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 images, the paper's 28,672 features, 10 classes, 7 values of C at once.

    What is measured of few rows and columns is carried on: by rows, by columns, and by both.
    """
    force(monkeypatch, "passes")
    monkeypatch.setattr(squared_hinge, "_BLOCK", {"cpu": 1})
    few, many = 300, 1200
    c_values = [1e-5, 1e-4]
    least, tall, wide, large = (
        peak_of(*planted(count, width, 10), c_values)
        for count, width in ((few, few), (many, few), (few, many), (many, many))
    )
    more = many - few
    row, column = (tall - least) / more, (wide - least) / more
    both = max(0.0, (large - tall - wide + least) / more**2)
    beside = 50_000 * row + 28_672 * column + 50_000 * 28_672 * both
    assert 4 * 50_000 * 28_672 + 7 / len(c_values) * beside < 10e9


def test_products_take_five_tables_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch, "products")
    features, labels = planted(600, 200, 10)
    most = peak_of(features, labels, [1e-4, 0.01])
    assert most <= 5.5 * 8 * 600**2
    of_the_most = most * (svm._MAX_GRAM_ROWS / 600) ** 2
    assert of_the_most + 4 * svm._MAX_GRAM_ROWS * 28_672 < 6e9
