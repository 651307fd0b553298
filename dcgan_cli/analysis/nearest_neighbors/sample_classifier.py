"""A nearest-neighbor classifier trained on samples only (the paper's appendix).

The paper trains class-conditional networks on MNIST, generates images of known class, and evaluates
a nearest-neighbor classifier that uses only these on real test images. Our generators are not
conditional. So each sample gets the class of the nearest training image, and the same is done with
real images, to separate the error of such labels from that of the samples.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Pixels
from dcgan_cli.analysis.nearest_neighbors.training_search import BLOCK, Question, Training, find
from dcgan_cli.analysis.neighbors import nearest
from dcgan_cli.analysis.statistics import share
from dcgan_cli.errors import DcganError
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import SHARE, Estimate, Finding, Images, Report, Table
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

Classes = NDArray[np.str_]
"""The class of each image, '' where it is not known."""

PUBLISHED = "2.98 % (of 50,000 conditional samples; real: 3.1 %), unconfirmed"


@dataclass(frozen=True, eq=False)
class SampleClassifierResult:
    """Errors of nearest-neighbor classifiers, and how samples spread over the classes."""

    findings: tuple[Finding, ...]
    table: Table

    def added_to(self, report: Report) -> Report:
        """`report` with these findings after its own."""
        return replace(
            report, findings=(*report.findings, *self.findings), tables=(*report.tables, self.table)
        )


def evaluate(
    samples: Images,
    training: Training,
    classes: Classes,
    test: Images,
    test_classes: Classes,
    *,
    mnist: bool,
    device: torch.device,
    seed: int,
    progress: ProgressCallback = lambda done, total: None,
) -> SampleClassifierResult:
    """Evaluate what a classifier learns from `samples` on `test`, beside real images.

    Args:
        samples: uint8 [n, S, S, C].
        training: the training images.
        classes: [N], of all of `training.images`.
        test: uint8 [m, S, S, C], real images that are not among `training`.
        test_classes: [m].
        mnist: whether the published value is about these images.
        device: where distances are computed.
        seed: of the choice of real images.
        progress: told how many training images have been compared.

    Raises:
        DcganError: nothing is labeled, or nothing of the test.
    """
    known = test_classes != ""
    test, truth = test[known], test_classes[known]
    numbers = training.numbers[classes[training.numbers] != ""]
    labeled = Training(training.images, numbers, training.name)
    if not len(numbers) or not len(test):
        raise DcganError("no labeled images to learn from, or none to evaluate with")
    n = min(len(samples), len(numbers) - 1)
    chosen = np.sort(numpy_stream(seed, "real pictures").permutation(numbers)[:n])
    real = training.images.take(chosen)
    metric = Pixels(*test.shape[2:])
    by_samples, by_real, by_test = (
        classes[found.indices[:, 0]]
        for found in find(
            (Question(metric, samples), Question(metric, real, chosen), Question(metric, test)),
            labeled,
            1,
            device,
            progress,
        )
    )

    def error(images: Images, labels: Classes) -> Estimate:
        blocks = (metric.rows(images[i : i + BLOCK]) for i in range(0, len(images), BLOCK))
        found = nearest(metric.rows(test), blocks, 1, device)
        return _share_wrong(labels[found.indices[:, 0]], truth)

    from_real = error(real, classes[chosen])
    same = f"{n:,} real"
    findings = (
        Finding(
            "nn_error_samples",
            f"1-NN error, from {counted(n, 'sample')}",
            error(samples[:n], by_samples[:n]),
            from_real,
            same,
            PUBLISHED if mnist else "",
            SHARE,
            better="down",
            headline=True,
        ),
        Finding(
            "nn_error_relabelled",
            f"1-NN error, from {n:,} real ones labeled like samples",
            error(real, by_real),
            from_real,
            same,
            unit=SHARE,
            better="down",
            headline=True,
        ),
        Finding(
            "nn_error_all",
            f"1-NN error, from all {len(numbers):,} real",
            _share_wrong(by_test, truth),
            from_real,
            same,
            unit=SHARE,
            better="down",
        ),
    )
    words = np.unique(classes[numbers])
    table = Table(
        "Classes",
        ("class", "share of samples", "share of training images"),
        [
            (
                str(word),
                float(np.mean(by_samples == word)),
                float(np.mean(classes[numbers] == word)),
            )
            for word in words
        ],
    )
    return SampleClassifierResult(findings, table)


def _share_wrong(said: Classes, truth: Classes) -> Estimate:
    return share(int(np.count_nonzero(said != truth)), len(truth), "test images")
