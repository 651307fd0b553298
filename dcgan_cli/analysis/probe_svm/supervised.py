"""A purely supervised CNN of D's architecture: what the labels alone can teach (paper §5.2).

The paper trains one on the same 1000 labels, the best of a random search over 64 settings. Here each
setting learns the first lesson until the validation pictures say that it gets no better; the best
setting, with as many epochs as it took, then learns every lesson of the exam by itself.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcgan_cli.analysis.features import Progress
from dcgan_cli.analysis.probe_svm.draws import Rows
from dcgan_cli.analysis.probe_svm.exam import Chosen, Codes, Lesson
from dcgan_cli.data.batches import Gathers
from dcgan_cli.data.pixels import to_signed
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.layers import initialise
from dcgan_cli.model.taps import evaluating
from dcgan_cli.runtime import numpy_stream, torch_stream
from dcgan_cli.wording import counted

TRIALS = 8
"""Settings that are tried where nothing else is said (paper: 64)."""

DRAWS = 10
"""Lessons of the exam that it learns at most: each is a training of its own."""

EPOCHS, PATIENCE = 60, 8
"""Epochs of a trial at most, where nothing else is said, and how many in a row may be no better than
the best."""

LEAST_STEPS = 10
"""Updates an epoch at least: few labels are gone through several times."""

CHUNK = 256


@dataclass(frozen=True)
class Setting:
    """What the random search varies."""

    lr: float
    beta1: float
    weight_decay: float
    batch_size: int
    dropout: float

    @classmethod
    def draw(cls, stream: np.random.Generator) -> "Setting":
        """One setting: rates evenly over orders of magnitude."""
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
        self.decide = nn.Linear(config.discriminator_widths[-1] * config.base**2, classes)

    def forward(self, pictures: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """Logits; units are dropped by `chance`, and none without it."""
        maps = pictures
        for layer in self.layers:
            maps = layer(maps)
        units = maps.flatten(1)
        if chance is not None and self.dropout:
            kept = torch.rand(units.shape, generator=chance) >= self.dropout
            units = units * kept.to(units.device) / (1 - self.dropout)
        return self.decide(units)


@dataclass(frozen=True, eq=False)
class SupervisedLearner:
    """Learns pixels to classes from nothing but the labelled pictures of a lesson.

    Attributes:
        config: D's.
        classes: how many.
        train, order: the training pictures, and which of them they are in the order of the exam.
        pool: how many of `order` are the pool.
        test, asked: the test pictures, and which of them are asked about.
        trials: settings that are tried.
        epochs: of a trial at most.
    """

    config: ModelConfig
    classes: int
    train: Gathers
    order: Rows
    pool: int
    test: Gathers
    asked: Rows
    trials: int = TRIALS
    epochs: int = EPOCHS
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def choose(self, lessons: Sequence[Lesson], validation: Codes, progress: Progress) -> Chosen:
        """The setting and the number of epochs of the least error on the validation pictures.

        An epoch may take minutes, so `progress` counts minibatches: of all trials, were none to end
        early, and then of each lesson that is answered.
        """
        tried: dict[str, float] = {}
        best, best_epochs, least = None, 0, math.inf
        for trial in range(self.trials):
            setting = Setting.draw(numpy_stream(self.seed, "supervised setting", trial))
            told = partial(self._of_trial, progress, trial)
            epochs, error = self._try(setting, lessons[0], validation, told)
            tried[str(setting)] = error
            if best is None or error < least:
                best, best_epochs, least = setting, epochs, error
        assert best is not None
        chosen = best

        def answer(lesson: Lesson) -> Codes:
            *_, (_, network) = self._learn(chosen, lesson, best_epochs, progress)
            return self._answers(network, self.test, self.asked)

        return Chosen(f"{chosen}, {counted(best_epochs, 'epoch')}", tried, answer)

    def _of_trial(self, progress: Progress, trial: int, done: int, total: int) -> None:
        progress(trial * total + done, self.trials * total)

    def _try(
        self, setting: Setting, lesson: Lesson, validation: Codes, progress: Progress
    ) -> tuple[int, float]:
        """How many epochs are best for `setting`, and the validation error after them."""
        best, least = 0, math.inf
        unseen = self.order[self.pool :]
        for epoch, network in self._learn(setting, lesson, self.epochs, progress):
            error = float((self._answers(network, self.train, unseen) != validation).mean())
            if error < least:
                best, least = epoch, error
            elif epoch - best >= PATIENCE:
                break
        return best, least

    def _learn(
        self, setting: Setting, lesson: Lesson, epochs: int, progress: Progress
    ) -> Generator[tuple[int, Classifier]]:
        """The network after each of `epochs` epochs of learning `lesson`, counted from 1."""
        network = Classifier(self.config, self.classes, setting.dropout)
        initialise(network, torch_stream(self.seed, "supervised network"))
        nn.init.zeros_(network.decide.bias)
        network.to(self.device)
        adam = torch.optim.Adam(
            network.parameters(),
            setting.lr,
            betas=(setting.beta1, 0.999),
            weight_decay=setting.weight_decay,
        )
        rows, codes = self.order[lesson.rows], torch.from_numpy(lesson.codes)
        size = min(setting.batch_size, len(rows))
        passes = math.ceil(LEAST_STEPS / (len(rows) // size))
        done, total = 0, epochs * passes * (len(rows) // size)
        for epoch in range(1, epochs + 1):
            stream = numpy_stream(self.seed, "supervised order", epoch)
            chance = torch_stream(self.seed, "dropout", epoch)
            for _ in range(passes):
                order = stream.permutation(len(rows))[: len(rows) // size * size]
                for batch in order.reshape(-1, size):
                    logits = network(self._pictures(self.train, rows[batch]), chance)
                    labels = codes[torch.from_numpy(batch)].to(self.device)
                    adam.zero_grad()
                    F.cross_entropy(logits, labels).backward()
                    adam.step()
                    done += 1
                    progress(done, total)
            yield epoch, network

    @torch.no_grad()
    def _answers(self, network: Classifier, pictures: Gathers, rows: Rows) -> Codes:
        """The likeliest class of each of the pictures `rows`, int64 [len(rows)]."""
        with evaluating(network):
            blocks = (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
            said = [network(self._pictures(pictures, block)).argmax(1).cpu() for block in blocks]
        return torch.cat(said).numpy()

    def _pictures(self, pictures: Gathers, rows: Rows) -> Tensor:
        return to_signed(torch.from_numpy(pictures.take(rows)).to(self.device))
