"""Who is examined: the discriminator's features with an L2-SVM, and the controls (paper §5)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dcgan_cli.analysis.features import GRID, Progress, feature_table, reestimate_on
from dcgan_cli.analysis.probe_svm.draws import Rows
from dcgan_cli.analysis.probe_svm.exam import Codes, Exam, Learner
from dcgan_cli.analysis.probe_svm.kmeans import KMeans, standardise
from dcgan_cli.analysis.probe_svm.learners import NeighbourLearner, SvmLearner, Tables
from dcgan_cli.analysis.probe_svm.supervised import EPOCHS, TRIALS, SupervisedLearner
from dcgan_cli.choices import CONTROLS as CONTROLS
from dcgan_cli.data.batches import Gathers
from dcgan_cli.data.pixels import to_signed
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialise
from dcgan_cli.runtime import numpy_stream, torch_stream

DCGAN = "dcgan"

LABELS = {
    DCGAN: "DCGAN features + L2-SVM",
    "random": "random filters + L2-SVM",
    "pixels": "pixels + L2-SVM",
    "knn": "pixels, k nearest",
    "kmeans": "K-means features + L2-SVM",
    "supervised": "supervised CNN",
}

QUICK = ("random", "pixels", "knn")
"""Controls that take little time, and are examined where nothing else is said."""

PIXEL_ROWS = 4096

CENTROIDS = 400
"""Of the K-means features where nothing else is said (the published row has 4800 units)."""

Stage = Callable[[str], AbstractContextManager[Progress]]
"""From what is being done to a place where progress is told."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures with known classes: `rows` of a prepared set, and the class of each."""

    pictures: Gathers
    rows: Rows
    codes: Codes


@dataclass(frozen=True)
class Settings:
    """How features are read, and how much the controls may cost.

    Attributes:
        grid, layers: as in `features`.
        centroids: of the K-means features.
        trials, epochs: settings that the supervised CNN is tried with, and how long at most.
    """

    grid: int = GRID
    layers: tuple[int, ...] | None = None
    centroids: int = CENTROIDS
    trials: int = TRIALS
    epochs: int = EPOCHS
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class Bench:
    """Makes learners for one exam. D is on the device of the settings; its statistics are kept."""

    discriminator: Discriminator
    train: Labelled
    test: Labelled
    exam: Exam
    settings: Settings

    def learner(self, name: str, stage: Stage) -> Learner:
        """The contender called `name`, one of LABELS, ready to be examined."""
        if name == "supervised":
            return SupervisedLearner(
                config=self.discriminator.config,
                classes=len(self.exam.classes),
                train=self.train.pictures,
                order=self._order,
                pool=self.exam.pool,
                test=self.test.pictures,
                asked=self.test.rows,
                trials=self.settings.trials,
                epochs=self.settings.epochs,
                seed=self.settings.seed,
                device=self.settings.device,
            )
        if name == "knn":
            return NeighbourLearner(self._pixels(), len(self.exam.classes), self.settings.device)
        tables = {
            DCGAN: self._dcgan,
            "random": self._random,
            "pixels": lambda _: self._pixels(),
            "kmeans": self._kmeans,
        }[name](stage)
        return SvmLearner(tables, len(self.exam.classes), self.settings.device)

    @property
    def _order(self) -> Rows:
        """The training pictures in the order of the exam, as rows of their set."""
        return self.train.rows[self.exam.order]

    def _dcgan(self, stage: Stage) -> Tables:
        return self._seen_by(self.discriminator, stage)

    def _random(self, stage: Stage) -> Tables:
        """Features of an untrained D, which has no statistics but those of the pictures."""
        network = Discriminator(self.discriminator.config)
        initialise(network, torch_stream(self.settings.seed, "random filters"))
        network.to(self.settings.device)
        with stage("batch-norm statistics") as progress:
            reestimate_on(network, self.train.pictures, self._order, progress)
        return self._seen_by(network, stage)

    def _seen_by(self, network: Discriminator, stage: Stage) -> Tables:
        grid, layers = self.settings.grid, self.settings.layers

        def table(pictures: Gathers, rows: Rows) -> Tensor:
            with stage("features") as progress:
                return feature_table(
                    network, pictures, rows, grid=grid, layers=layers, progress=progress
                )

        return self._tables(table)

    def _pixels(self) -> Tables:
        """Pictures as they are, in [−1, 1]."""

        def table(pictures: Gathers, rows: Rows) -> Tensor:
            blocks = np.array_split(rows, -(-len(rows) // PIXEL_ROWS))
            signed = (to_signed(torch.from_numpy(pictures.take(block))) for block in blocks)
            return torch.cat([block.flatten(1) for block in signed])

        return self._tables(table)

    def _kmeans(self, stage: Stage) -> Tables:
        """One-layer K-means features, standardised as their authors do."""
        stream = numpy_stream(self.settings.seed, "k-means")
        with stage("K-means") as progress:
            found = KMeans.fit(
                self.train.pictures,
                self._order,
                centroids=self.settings.centroids,
                stream=stream,
                progress=progress,
            )

        def table(pictures: Gathers, rows: Rows) -> Tensor:
            with stage("K-means features") as progress:
                return found.table(pictures, rows, progress)

        tables = self._tables(table)
        standardise(tables.train, tables.test)
        return tables

    def _tables(self, table: Callable[[Gathers, Rows], Tensor]) -> Tables:
        return Tables(
            table(self.train.pictures, self._order),
            self.exam.pool,
            table(self.test.pictures, self.test.rows),
        )
