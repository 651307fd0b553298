"""A nearest-neighbor classifier trained on samples only (the paper's appendix).

The paper trains class-conditional networks on MNIST, generates images of known class, and evaluates
a nearest-neighbor classifier that uses only these on real test images. Our generators are not
conditional. So each sample gets the class of the nearest training image, and the same is done with
real images, to separate the error of such labels from that of the samples.
"""

from dataclasses import replace

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


def evaluate(
    report: Report,
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
) -> Report:
    """Add to `report` the errors of a classifier that learns from `samples`, beside real images.

    `samples` are uint8 [n, S, S, C]; `test`, [m, S, S, C], real images that are not among
    `training`; `classes` [N] those of all of `training.images`, and `test_classes` [m]. `mnist` says
    whether the published value is about these images. Raises DcganError where nothing is labeled,
    or nothing of the test.
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
    questions = (Question(metric, samples), Question(metric, real, chosen), Question(metric, test))
    answers = find(questions, labeled, 1, device, progress)
    by_samples, by_real, by_test = (classes[found.indices[:, 0]] for found in answers)

    def wrong(said: Classes) -> Estimate:
        return share(int(np.count_nonzero(said != truth)), len(truth), "test images")

    def error(images: Images, labels: Classes) -> Estimate:
        blocks = (metric.rows(images[i : i + BLOCK]) for i in range(0, len(images), BLOCK))
        found = nearest(metric.rows(test), blocks, 1, device)
        return wrong(labels[found.indices[:, 0]])

    from_real = error(real, classes[chosen])

    def finding(key: str, of: str, wrong: Estimate, published: str = "") -> Finding:
        label, headline = f"1-NN error, from {of}", key != "nn_error_all"
        control = from_real, f"{n:,} real"
        return Finding(
            key, label, wrong, *control, published, SHARE, better="down", headline=headline
        )

    of_samples, of_real = error(samples[:n], by_samples[:n]), error(real, by_real)
    published = PUBLISHED if mnist else ""
    findings = (
        finding("nn_error_samples", counted(n, "sample"), of_samples, published),
        finding("nn_error_relabelled", f"{n:,} real ones labeled like samples", of_real),
        finding("nn_error_all", f"all {len(numbers):,} real", wrong(by_test)),
    )
    groups = by_samples, classes[numbers]
    rows = [
        (str(word), *(float(np.mean(of == word)) for of in groups)) for word in np.unique(groups[1])
    ]
    columns = ("class", "share of samples", "share of training images")
    tables = (*report.tables, Table("Classes", columns, rows))
    return replace(report, findings=(*report.findings, *findings), tables=tables)
