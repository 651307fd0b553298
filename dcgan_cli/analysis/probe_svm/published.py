"""Published results beside ours: Tables 1 and 2 of the paper.

A published value stands only beside a value on the same data set; other test images and another
number of labels are marked as such.
"""

from collections.abc import Sequence
from typing import NamedTuple

from dcgan_cli.analysis.probe_svm.probe_split import Budget
from dcgan_cli.report import Table

CIFAR, SVHN = "CIFAR-10", "SVHN"

FEW, FEW_TOTAL = 400, 1000
"""Labels a class in Table 1, and in all in Table 2."""

TEST_IMAGES = {CIFAR: 10_000, SVHN: 26_032}

CIFAR_ROWS = (
    ("1-layer K-means", 80.6, "63.7 ± 0.7", 4800),
    ("3-layer K-means, learned RF", 82.0, "70.7 ± 0.7", 3200),
    ("view-invariant K-means", 81.9, "72.6 ± 0.7", 6400),
    ("exemplar CNN", 84.3, "77.4 ± 0.2", 1024),
    ("DCGAN (of ImageNet-1k) + L2-SVM", 82.8, "73.8 ± 0.4", 512),
)
"""Table 1: accuracy in % with all labels and with 400 a class, and the most units of a layer."""

SVHN_ROWS = (
    ("KNN", 77.93),
    ("TSVM", 66.55),
    ("M1 + KNN", 65.63),
    ("M1 + TSVM", 54.33),
    ("M1 + M2", 36.02),
    ("SWWAE without dropout", 27.83),
    ("SWWAE with dropout", 23.56),
    ("DCGAN + L2-SVM", 22.48),
    ("supervised CNN, same architecture (validation)", 28.87),
)
"""Table 2: test error in % with 1000 labels."""


class Published(NamedTuple):
    """Published values that may stand beside a run: for its accuracy, its error, and whole tables."""

    accuracy: str
    error: str
    tables: tuple[Table, ...]


def beside(
    kinds: Sequence[str],
    test_images: int,
    budget: Budget,
    accuracy: float,
    spread: float | None,
    units: int,
) -> Published:
    """The published values for a run whose images were recognized as `kinds` (`Source.kind`).

    `accuracy` is our own, in %, `spread` its ± over draws, in %, and `units` the most feature maps
    of a layer of our D.
    """
    names = {kind.split(",")[0] for kind in kinds}
    data = next((name for name in (CIFAR, SVHN) if names == {name}), None)
    if data is None:
        return Published("", "", ())
    own = f"{accuracy:.1f}" + (f" ± {spread:.1f}" if spread is not None else "")
    if data == SVHN:
        mark = _mark(SVHN, test_images, budget.total == FEW_TOTAL)
        rows = [*SVHN_ROWS, (f"this run: DCGAN + L2-SVM{mark}", 100 - accuracy)]
        table = Table("Table 2 of the paper: SVHN, 1000 labels", ("method", "error %"), rows)
        return Published("", f"22.48 %{mark}", (table,))
    same = not budget.few or budget.per_class == FEW
    mark = _mark(CIFAR, test_images, same)
    figure = "73.8 ± 0.4 %" if budget.few else "82.8 %"
    name = f"this run: DCGAN + L2-SVM{mark}"
    full, few = (None, own) if budget.few else (accuracy, "")
    columns = ("method", "accuracy %", "400 per class", "max units")
    rows = [*CIFAR_ROWS, (name, full, few, units)]
    return Published(figure + mark, "", (Table("Table 1 of the paper: CIFAR-10", columns, rows),))


def _mark(published: str, test_images: int, same_labels: bool) -> str:
    """The reason why a published value is not comparable with ours; '' if it is."""
    if test_images != TEST_IMAGES[published]:
        return " (other test images)"
    return "" if same_labels else " (another number of labels)"
