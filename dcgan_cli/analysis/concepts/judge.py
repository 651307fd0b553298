"""A judge of what pictures show: linear classifiers learnt from labelled real pictures.

It has two views, the discriminator's features (as in paper §5.1) and small pixels, and fits each
attribute in both. The view that does better on a part of the pictures kept for that choice is
believed; the other is the second opinion. Accuracy is measured on a third part that nothing was
chosen by, and an attribute that is not better than chance there is refused.

The judge learns from real pictures and is asked about generated ones, which are softer: every second
picture is therefore learnt, and examined, at half its resolution. How often both views agree about
generated pictures shows how far it can be trusted with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.views import Components, Numbers, Progress, View, soften, views
from dcgan_cli.errors import DcganError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import Estimate, Finding
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

Column = NDArray[np.str_] | NDArray[np.float64]

STRENGTHS = (0.1, 1.0, 10.0)
"""Inverse strengths of regularisation that are tried."""

FEWEST = 20
"""Pictures of a class below which it cannot be learnt."""

MOST_CLASSES = 12
"""A column of more classes (names of people, file names) is no attribute."""

_LEARN, _CHOOSE = 0.6, 0.8
"""Up to here of the shuffled pictures is learnt from, then chosen by, then examined on."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judge says of N pictures about one attribute.

    Attributes:
        classes: the words it may be; empty for a number.
        evidence: [N, D]: log-odds of the second class over the first (D 1), a score for each
            class (D > 2 classes), or the number itself (D 1).
        probabilities: [N, classes]; [N, 0] for a number.
        second_evidence, second_probabilities: the same by the other view.
    """

    classes: tuple[str, ...]
    evidence: Numbers
    probabilities: Numbers
    second_evidence: Numbers
    second_probabilities: Numbers

    @classmethod
    def join(cls, parts: Sequence["Verdict"]) -> "Verdict":
        """Verdicts on the same attribute, one after the other."""
        columns = zip(
            *(
                (p.evidence, p.probabilities, p.second_evidence, p.second_probabilities)
                for p in parts
            ),
            strict=True,
        )
        return cls(parts[0].classes, *map(np.concatenate, columns))

    def certainty(self, word: str) -> Numbers:
        """How certain both views are, at least, that each picture is `word`: [N] in [0, 1]."""
        place = self.classes.index(word)
        return np.minimum(self.probabilities[:, place], self.second_probabilities[:, place])

    def is_word(self, word: str, second: bool = False) -> NDArray[np.bool_]:
        """Which pictures the judge takes for `word`: bool [N]."""
        probabilities = self.second_probabilities if second else self.probabilities
        return probabilities.argmax(1) == self.classes.index(word)


Verdicts = Mapping[str, Verdict]


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute as the judge knows it.

    Attributes:
        believed: 0 or 1: which view is believed.
        models: the fitted model of each view.
        held_out: accuracy (words) or R² (numbers) on pictures that took no part.
        chance: what the commonest class, or the mean, would reach there.
    """

    name: str
    classes: tuple[str, ...]
    believed: int
    models: tuple[Any, Any]
    held_out: Estimate
    chance: float

    def verdict(self, seen: tuple[Numbers, Numbers]) -> Verdict:
        """The verdict on pictures of which each view shows [N, K]."""
        first, second = (
            _answer(self.models[view], seen[view]) for view in (self.believed, 1 - self.believed)
        )
        return Verdict(self.classes, *first, *second)


@dataclass(frozen=True, eq=False)
class Judge:
    """Knows `attributes` by name; `refused` says why others of its labels are not among them."""

    attributes: Mapping[str, Attribute]
    refused: Mapping[str, str]
    pictures: int
    _views: tuple[View, View] = field(repr=False)
    _components: tuple[Components, Components] = field(repr=False)

    def look(self, signed: Tensor) -> dict[str, Verdict]:
        """Judge pictures [N, C, S, S] in [−1, 1], N ≥ 1."""
        first, second = (
            reduce(view.raw(signed))
            for view, reduce in zip(self._views, self._components, strict=True)
        )
        return {name: known.verdict((first, second)) for name, known in self.attributes.items()}

    def findings(self) -> list[Finding]:
        """How good the judge is on pictures that took no part, against chance."""
        return [
            Finding(
                f"judge_{known.name}",
                f"judge: {known.name}, {'accuracy' if known.classes else 'R²'} on real pictures "
                f"({self._views[known.believed].name})",
                known.held_out,
                Estimate(known.chance),
                "commonest class" if known.classes else "the mean",
                about=known.name,
            )
            for known in self.attributes.values()
        ]


def fit_judge(
    signed: Tensor,
    columns: Mapping[str, Column],
    discriminator: Discriminator,
    *,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Judge:
    """Learn every column of labels that can be learnt.

    Args:
        signed: real pictures [N, C, S, S] in [−1, 1].
        columns: labels of each: words ('' unknown) or numbers (NaN unknown), [N].
        discriminator: whose features are the first view.
        seed: of the split into parts to learn from, to choose by and to examine on.
        progress: told how many pictures have been seen.

    Raises:
        DcganError: no column can be learnt better than chance.
    """
    order = numpy_stream(seed, "judge").permutation(len(signed))
    parts = np.empty(len(order), np.int8)
    parts[order] = np.digitize(np.arange(len(order)) / len(order), (_LEARN, _CHOOSE))
    softened = signed.clone()
    softened[order[::2]] = soften(signed[order[::2]])
    both = views(discriminator)
    raw = [view.raw(softened, progress) for view in both]
    reduced = [Components.fit(rows[parts == 0], seed) for rows in raw]
    seen = [reduce(rows) for reduce, rows in zip(reduced, raw, strict=True)]
    attributes: dict[str, Attribute] = {}
    refused: dict[str, str] = {}
    for name, column in columns.items():
        known = _fit(name, np.asarray(column), seen, parts)
        if isinstance(known, str):
            refused[name] = known
        else:
            attributes[name] = known
    if not attributes:
        why = "; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "no labels"
        raise DcganError(f"no judge can be made of these labels: {why}")
    return Judge(attributes, refused, len(signed), both, (reduced[0], reduced[1]))


def _fit(
    name: str, column: NDArray[Any], seen: list[Numbers], parts: NDArray[np.int8]
) -> Attribute | str:
    """The attribute, or why it is refused."""
    words = column.dtype.kind == "U"
    if words:
        found, counts = np.unique(column[column != ""], return_counts=True)
        classes = tuple(found[counts >= FEWEST].tolist())
        if len(found) > MOST_CLASSES:
            return f"{len(found):,} different words, at most {MOST_CLASSES} can be judged"
        if len(classes) < 2:
            return f"needs two classes of {FEWEST} pictures each, found {len(classes)}"
        known = np.isin(column, classes)
    else:
        classes = ()
        known = np.isfinite(column)
        if known.sum() < 2 * FEWEST or column[known].std() == 0:
            return f"needs {2 * FEWEST} numbers that differ, found {known.sum()}"
    learn, choose, examine = (known & (parts == part) for part in range(3))
    held = [set(column[part].tolist()) for part in (learn, choose, examine)] if words else []
    if words and (held[0] != set(classes) or min(map(len, held)) < 2):
        return f"too few pictures ({known.sum()}) to learn from some and be examined on others"
    trials = [_best(view, column, learn, choose) for view in seen]
    believed = int(trials[1][0] > trials[0][0])
    models = trials[0][1], trials[1][1]
    held_out, chance = _examine(models[believed], seen[believed][examine], column[examine])
    if held_out.low is None or held_out.low <= chance:
        figure = "accuracy" if words else "R²"
        least = 0.0 if held_out.low is None else held_out.low
        return (
            f"no better than chance on {counted(held_out.n or 0, 'picture')} kept back ({figure} "
            f"{held_out.value:.2f}, at least {least:.2f}; chance {chance:.2f})"
        )
    return Attribute(name, classes, believed, models, held_out, chance)


def _best(
    view: Numbers, column: NDArray[Any], learn: NDArray[np.bool_], choose: NDArray[np.bool_]
) -> tuple[tuple[float, float], Any]:
    """The best of some strengths, by accuracy (R²), then by likelihood, on the choosing part."""
    trials: list[tuple[tuple[float, float], Any]] = []
    for strength in STRENGTHS:
        model = _model(column.dtype.kind == "U", strength).fit(view[learn], column[learn])
        score = float(model.score(view[choose], column[choose]))
        likelihood = 0.0
        if column.dtype.kind == "U":
            from sklearn.metrics import log_loss

            probabilities = model.predict_proba(view[choose])
            likelihood = -float(log_loss(column[choose], probabilities, labels=model.classes_))
        trials.append(((score, likelihood), model))
    return max(trials, key=lambda trial: trial[0])


def _model(words: bool, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return LogisticRegression(C=strength, max_iter=1000) if words else Ridge(1 / strength)


def _examine(model: Any, view: Numbers, truth: NDArray[Any]) -> tuple[Estimate, float]:
    """Accuracy and the commonest class's share, or R² and 0."""
    said = model.predict(view)
    if truth.dtype.kind == "U":
        commonest = np.unique(truth, return_counts=True)[1].max()
        right = statistics.share(int((said == truth).sum()), len(truth))
        return right, float(commonest / len(truth))
    return statistics.explained(said[:, None], truth[:, None]), 0.0


def _answer(model: Any, view: Numbers) -> tuple[Numbers, Numbers]:
    """Evidence [N, D] and probabilities [N, classes]."""
    if not hasattr(model, "decision_function"):
        return model.predict(view).reshape(-1, 1), np.empty((len(view), 0))
    evidence = model.decision_function(view)
    return evidence.reshape(len(view), -1), model.predict_proba(view)


def correlation(rows: Numbers) -> float:
    """Pearson's, of the two columns of `rows` [N, 2]; 0 where one does not vary."""
    spread = rows.std(0)
    if not spread.all():
        return 0.0
    return float(((rows - rows.mean(0)) / spread).prod(1).mean())


def agreement(verdicts: Verdicts, name: str) -> Estimate:
    """How far both views agree: the share of same words, or the correlation of numbers."""
    verdict = verdicts[name]
    if verdict.classes:
        same = verdict.probabilities.argmax(1) == verdict.second_probabilities.argmax(1)
        return statistics.share(int(same.sum()), len(same), "samples")
    return statistics.correlation(verdict.evidence[:, 0], verdict.second_evidence[:, 0], "samples")
