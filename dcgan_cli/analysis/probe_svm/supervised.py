"""A purely supervised CNN with D's architecture: the control that uses labels only (paper §5.2).

The paper trains one on the same 1000 labels, the best of a random search over 64 settings. Here
each setting is trained on the first training subset until the validation error stops improving; the
best setting, with the same number of epochs, is then trained on every training subset of the split.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcgan_cli.analysis.probe_svm.probe_split import Chosen, Codes, RowIndices, TrainingSubset
from dcgan_cli.data.batches import ImageDataset
from dcgan_cli.data.pixels import normalize
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.hooks import evaluating
from dcgan_cli.model.layers import initialize
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.runtime import numpy_stream, torch_stream
from dcgan_cli.wording import counted

TRIALS = 8
"""Settings that are tried where nothing else is said (paper: 64)."""

MAX_SUBSETS = 10
"""Maximum number of training subsets: each needs a training of its own."""

EPOCHS, PATIENCE = 60, 8
"""Default maximum of epochs in a trial, and how many in a row may fail to improve."""

MIN_STEPS = 10
"""Minimum number of updates an epoch: few labels are repeated."""

ANSWERED_TOGETHER = 256


@dataclass(frozen=True)
class Setting:
    """The hyper-parameters that the random search varies."""

    lr: float
    beta1: float
    weight_decay: float
    batch_size: int
    dropout: float

    @classmethod
    def draw(cls, stream: np.random.Generator) -> "Setting":
        """A random setting: rates are log-uniform."""
        return cls(
            lr=10 ** stream.uniform(-4, -2),
            beta1=float(stream.choice([0.5, 0.9])),
            weight_decay=10 ** stream.uniform(-6, -2),
            batch_size=int(stream.choice([32, 64, 128])),
            dropout=float(stream.choice([0.0, 0.25, 0.5])),
        )

    def __str__(self) -> str:
        return (
            f"lr {self.lr:.2g}, β₁ {self.beta1:g}, decay {self.weight_decay:.1g}, "
            f"batch {self.batch_size}, dropout {self.dropout:g}"
        )


class Classifier(nn.Module):
    """The layers of D and one linear unit a class: [N, C, S, S] in [−1, 1] → logits [N, classes].

    `dropout` is the share of the last maps' units that is set to 0 while it trains.
    """

    def __init__(self, config: ModelConfig, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = Discriminator(config).layers
        self.dropout = dropout
        self.head = nn.Linear(config.discriminator_widths[-1] * config.base**2, classes)

    def forward(self, images: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """Logits; with `chance`, units are dropped at random."""
        for layer in self.layers:
            images = layer(images)
        units = images.flatten(1)
        if chance is not None and self.dropout:
            kept = torch.rand(units.shape, generator=chance) >= self.dropout
            units = units * kept.to(units.device) / (1 - self.dropout)
        return self.head(units)


@dataclass(frozen=True, eq=False)
class SupervisedLearner:
    """Learns pixels to classes from nothing but the labeled images of a training subset.

    `order` are the training images `train` in the order of the split, the `pool` first; `asked` are
    those of the test images that are asked about.
    """

    config: ModelConfig
    classes: int
    train: ImageDataset
    order: RowIndices
    pool: int
    test: ImageDataset
    asked: RowIndices
    trials: int = TRIALS
    epochs: int = EPOCHS
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def choose(
        self, subsets: Sequence[TrainingSubset], validation: Codes, progress: ProgressCallback
    ) -> Chosen:
        """The setting and the number of epochs of the least error on the validation images.

        An epoch may take minutes, so `progress` counts batches: of all trials, were none to end
        early, and then of each training subset that is answered.
        """
        tried: dict[str, float] = {}
        best, best_epochs, least = None, 0, math.inf
        for trial in range(self.trials):
            setting = Setting.draw(numpy_stream(self.seed, "supervised setting", trial))

            def told(done: int, total: int, before: int = trial) -> None:
                progress(before * total + done, self.trials * total)

            epochs, error = self._try(setting, subsets[0], validation, told)
            tried[str(setting)] = error
            if best is None or error < least:
                best, best_epochs, least = setting, epochs, error
        assert best is not None
        chosen = best

        def answer(subset: TrainingSubset) -> Codes:
            *_, (_, network) = self._train(chosen, subset, best_epochs, progress)
            return self._answers(network, self.test, self.asked)

        return Chosen(f"{chosen}, {counted(best_epochs, 'epoch')}", tried, answer)

    def _try(
        self,
        setting: Setting,
        subset: TrainingSubset,
        validation: Codes,
        progress: ProgressCallback,
    ) -> tuple[int, float]:
        """How many epochs are best for `setting`, and the validation error after them."""
        best, least = 0, math.inf
        unseen = self.order[self.pool :]
        for epoch, network in self._train(setting, subset, self.epochs, progress):
            error = float((self._answers(network, self.train, unseen) != validation).mean())
            if error < least:
                best, least = epoch, error
            elif epoch - best >= PATIENCE:
                break
        return best, least

    def _train(
        self, setting: Setting, subset: TrainingSubset, epochs: int, progress: ProgressCallback
    ) -> Generator[tuple[int, Classifier]]:
        """The network after each of `epochs` epochs of learning `subset`, counted from 1."""
        network = Classifier(self.config, self.classes, setting.dropout)
        initialize(network, torch_stream(self.seed, "supervised network"))
        nn.init.zeros_(network.head.bias)
        network.to(self.device)
        betas, decay = (setting.beta1, 0.999), setting.weight_decay
        adam = torch.optim.Adam(network.parameters(), setting.lr, betas, weight_decay=decay)
        rows, codes = self.order[subset.rows], torch.from_numpy(subset.codes)
        size = min(setting.batch_size, len(rows))
        passes = math.ceil(MIN_STEPS / (len(rows) // size))
        done, total = 0, epochs * passes * (len(rows) // size)
        for epoch in range(1, epochs + 1):
            stream = numpy_stream(self.seed, "supervised order", epoch)
            chance = torch_stream(self.seed, "dropout", epoch)
            for _ in range(passes):
                order = stream.permutation(len(rows))[: len(rows) // size * size]
                for batch in order.reshape(-1, size):
                    logits = network(self._images(self.train, rows[batch]), chance)
                    labels = codes[torch.from_numpy(batch)].to(self.device)
                    adam.zero_grad()
                    F.cross_entropy(logits, labels).backward()
                    adam.step()
                    done += 1
                    progress(done, total)
            yield epoch, network

    @torch.no_grad()
    def _answers(self, network: Classifier, images: ImageDataset, rows: RowIndices) -> Codes:
        """The likeliest class of each of the images `rows`, int64 [len(rows)]."""
        with evaluating(network):
            starts = range(0, len(rows), ANSWERED_TOGETHER)
            blocks = (rows[start : start + ANSWERED_TOGETHER] for start in starts)
            said = [network(self._images(images, block)).argmax(1).cpu() for block in blocks]
        return torch.cat(said).numpy()

    def _images(self, images: ImageDataset, rows: RowIndices) -> Tensor:
        return normalize(torch.from_numpy(images.take(rows)).to(self.device))
