"""What a probe evaluates: the discriminator's features with an L2-SVM, and the controls (paper §5)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dcgan_cli.analysis.features import GRID, feature_table, reestimate_on
from dcgan_cli.analysis.probe_svm.kmeans import KMeans, standardize
from dcgan_cli.analysis.probe_svm.learners import NearestNeighborLearner, SvmLearner, Tables
from dcgan_cli.analysis.probe_svm.probe_split import Codes, Learner, ProbeSplit, RowIndices
from dcgan_cli.analysis.probe_svm.supervised import EPOCHS, TRIALS, SupervisedLearner
from dcgan_cli.choices import CONTROLS as CONTROLS
from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.data.pixels import normalize
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialize
from dcgan_cli.progress import Stage
from dcgan_cli.runtime import numpy_stream, torch_stream

DCGAN = "dcgan"

LABELS = {
    DCGAN: "DCGAN features + L2-SVM",
    "random": "random filters + L2-SVM",
    "pixels": "pixels + L2-SVM",
    "knn": "k nearest in pixels",
    "kmeans": "K-means features + L2-SVM",
    "supervised": "supervised CNN",
}

PIXEL_ROWS = 4096

CENTROIDS = 400
"""Of the K-means features where nothing else is said (the published row has 4800 units)."""


@dataclass(frozen=True, eq=False)
class Labeled:
    """Images with known classes: `rows` of a prepared set, and the class of each."""

    images: ImageDataset
    rows: RowIndices
    codes: Codes


@dataclass(frozen=True)
class Settings:
    """How features are read (`grid` and `layers`, as in `features`), and what the controls may cost.

    `trials` are the settings that the supervised CNN is tried with, for at most `epochs`.
    """

    grid: int = GRID
    layers: tuple[int, ...] | None = None
    centroids: int = CENTROIDS
    trials: int = TRIALS
    epochs: int = EPOCHS
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class ProbeSetup:
    """Creates the learners of one split. D is on the device of the settings and is not changed."""

    discriminator: Discriminator
    train: Labeled
    test: Labeled
    probe_split: ProbeSplit
    settings: Settings

    def learner(self, name: str, stage: Stage) -> Learner:
        """The baseline called `name`, one of LABELS, ready to be evaluated."""
        classes = len(self.probe_split.classes)
        if name == "supervised":
            settings = self.settings
            return SupervisedLearner(
                self.discriminator.config,
                classes,
                self.train.images,
                self._order,
                self.probe_split.pool,
                self.test.images,
                self.test.rows,
                settings.trials,
                settings.epochs,
                settings.seed,
                settings.device,
            )
        if name == "knn":
            return NearestNeighborLearner(self._pixels(), classes, self.settings.device)
        if name == DCGAN:
            tables = self._seen_by(self.discriminator, stage)
        elif name == "random":
            tables = self._random(stage)
        else:
            tables = self._pixels() if name == "pixels" else self._kmeans(stage)
        return SvmLearner(tables, classes, self.settings.device)

    @property
    def _order(self) -> RowIndices:
        """The training images in the order of the split, as rows of their set."""
        return self.train.rows[self.probe_split.order]

    def _random(self, stage: Stage) -> Tables:
        """Features of an untrained D, which has no statistics but those of the images."""
        network = Discriminator(self.discriminator.config)
        initialize(network, torch_stream(self.settings.seed, "random filters"))
        network.to(self.settings.device)
        with stage("batch-norm statistics") as progress:
            reestimate_on(network, self.train.images, self._order, progress)
        return self._seen_by(network, stage)

    def _seen_by(self, network: Discriminator, stage: Stage) -> Tables:
        grid, layers = self.settings.grid, self.settings.layers

        def table(images: ImageDataset, rows: RowIndices) -> Tensor:
            with stage("features") as progress:
                return feature_table(
                    network, images, rows, grid=grid, layers=layers, progress=progress
                )

        return self._tables(table)

    def _pixels(self) -> Tables:
        """Images as they are, in [−1, 1]."""

        def table(images: ImageDataset, rows: RowIndices) -> Tensor:
            blocks = np.array_split(rows, -(-len(rows) // PIXEL_ROWS))
            normalized = (normalize(torch.from_numpy(images.take(block))) for block in blocks)
            return torch.cat([block.flatten(1) for block in normalized])

        return self._tables(table)

    def _kmeans(self, stage: Stage) -> Tables:
        """One-layer K-means features, standardized as their authors do."""
        stream = numpy_stream(self.settings.seed, "k-means")
        with stage("K-means") as progress:
            count, images = self.settings.centroids, self.train.images
            found = KMeans.fit(
                images, self._order, centroids=count, stream=stream, progress=progress
            )

        def table(images: ImageDataset, rows: RowIndices) -> Tensor:
            with stage("K-means features") as progress:
                return found.table(images, rows, progress)

        tables = self._tables(table)
        standardize(tables.train, tables.test)
        return tables

    def _tables(self, table: Callable[[ImageDataset, RowIndices], Tensor]) -> Tables:
        train = table(self.train.images, self._order)
        return Tables(train, self.probe_split.pool, table(self.test.images, self.test.rows))
