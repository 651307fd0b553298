"""The attribute classifier: linear classifiers of attributes, trained on labeled real images.

It uses two feature extractors, the discriminator's features (as in paper §5.1) and small pixels,
and fits each attribute with both. The extractor with the higher accuracy on a selection part of the
images is trusted; the other gives a second opinion. Accuracy is measured on a third part that no
choice depended on, and an attribute that is not better than chance there is refused.

The classifier is trained on real images but applied to generated ones, which are softer: every
second image is therefore used for training and evaluation at half its resolution. How often both
extractors agree on generated images shows how reliable it is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.feature_extractors import (
    FeatureExtractor,
    FloatArray,
    PrincipalComponents,
    blur,
    feature_extractors,
)
from dcgan_cli.errors import DcganError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import SHARE, Estimate, Finding
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

Column = NDArray[np.str_] | NDArray[np.float64]

C_VALUES = (0.1, 1.0, 10.0)
"""Inverse strengths of regularization that are tried."""

MIN_EXAMPLES = 20
"""Minimum number of images of a class."""

MAX_CLASSES = 12
"""A column with more classes (names of people, file names) is not an attribute."""

_TRAIN, _CHOOSE = 0.6, 0.8
"""Boundaries of the parts of the shuffled images: training, selection, evaluation."""


@dataclass(frozen=True, eq=False)
class AttributePrediction:
    """What both views say of N images about an attribute: one of `classes`, or a number where empty.

    `evidence` [N, D] is the log-odds of the second class over the first (D 1), a score for each
    class (D > 2 classes), or the number itself (D 1); `probabilities` are [N, classes], or [N, 0].
    """

    classes: tuple[str, ...]
    evidence: FloatArray
    probabilities: FloatArray
    second_evidence: FloatArray
    second_probabilities: FloatArray

    def certainty(self, word: str) -> FloatArray:
        """The lower of the probabilities, by both extractors, that each image is `word`: [N]."""
        place = self.classes.index(word)
        return np.minimum(self.probabilities[:, place], self.second_probabilities[:, place])

    def is_word(self, word: str, second: bool = False) -> NDArray[np.bool_]:
        """Which images are predicted to be `word`: bool [N]."""
        probabilities = self.second_probabilities if second else self.probabilities
        return probabilities.argmax(1) == self.classes.index(word)


AttributePredictions = Mapping[str, AttributePrediction]


def joined(parts: Sequence[AttributePredictions]) -> dict[str, AttributePrediction]:
    """Predictions on the same attributes, one part of the images after the other."""

    def join(name: str) -> AttributePrediction:
        classes, *columns = zip(*(vars(part[name]).values() for part in parts), strict=True)
        return AttributePrediction(classes[0], *map(np.concatenate, columns))

    return {name: join(name) for name in parts[0]}


@dataclass(frozen=True, eq=False)
class Attribute:
    """One attribute as the attribute classifier knows it, by the fitted `models` of both views.

    View `trusted`, 0 or 1, has the accuracy (words) or R² (numbers) `held_out` on images that took
    no part, where the commonest class, or the mean, would reach `chance`.
    """

    name: str
    classes: tuple[str, ...]
    trusted: int
    models: tuple[Any, Any]
    held_out: Estimate
    chance: float

    def predict(self, seen: tuple[FloatArray, FloatArray]) -> AttributePrediction:
        """The prediction for images whose features are `seen`, [N, K] for each extractor."""
        views = self.trusted, 1 - self.trusted
        first, second = (_answer(self.models[view], seen[view]) for view in views)
        return AttributePrediction(self.classes, *first, *second)


@dataclass(frozen=True, eq=False)
class AttributeClassifier:
    """Predicts `attributes` by name; `refused` gives the reason for labels that were not learned."""

    attributes: Mapping[str, Attribute]
    refused: Mapping[str, str]
    images: int
    _extractors: tuple[FeatureExtractor, FeatureExtractor] = field(repr=False)
    _components: tuple[PrincipalComponents, PrincipalComponents] = field(repr=False)

    def classify(self, normalized: Tensor) -> dict[str, AttributePrediction]:
        """Classify images [N, C, S, S] in [−1, 1], N ≥ 1, by every attribute."""
        both = zip(self._extractors, self._components, strict=True)
        first, second = (reduce(view.raw(normalized)) for view, reduce in both)
        return {name: known.predict((first, second)) for name, known in self.attributes.items()}

    def findings(self) -> list[Finding]:
        """The accuracy of the attribute classifier on held-out images, against chance."""
        findings: list[Finding] = []
        for name, known in self.attributes.items():
            metric, unit, control = "R²", "", "the mean"
            if known.classes:
                metric, unit, control = "accuracy", SHARE, "commonest class"
            view = self._extractors[known.trusted].name
            label = f"attribute classifier: {name}, {metric} on real images ({view})"
            values = known.held_out, Estimate(known.chance), control
            found = Finding(
                f"classifier_{name}", label, *values, unit=unit, about=name, better="up"
            )
            findings.append(found)
        return findings


def fit_attribute_classifier(
    normalized: Tensor,
    columns: Mapping[str, Column],
    discriminator: Discriminator,
    *,
    seed: int = 0,
    progress: ProgressCallback = lambda done, total: None,
) -> AttributeClassifier:
    """Learn every column of labels of real images `normalized` [N, C, S, S] that can be learned.

    The images lie in [−1, 1]. `columns` are words ('' unknown) or numbers (NaN unknown), [N]; the
    features of the `discriminator` are the first view. Raises DcganError where no column can be
    learned better than chance.
    """
    order = numpy_stream(seed, "judge").permutation(len(normalized))
    parts = np.empty(len(order), np.int8)
    parts[order] = np.digitize(np.arange(len(order)) / len(order), (_TRAIN, _CHOOSE))
    blurred = normalized.clone()
    blurred[order[::2]] = blur(normalized[order[::2]])
    both = feature_extractors(discriminator)
    raw = [view.raw(blurred, progress) for view in both]
    reduced = [PrincipalComponents.fit(rows[parts == 0], seed) for rows in raw]
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
        raise DcganError(f"no attribute classifier can be made of these labels: {why}")
    return AttributeClassifier(attributes, refused, len(normalized), both, (reduced[0], reduced[1]))


def _fit(
    name: str, column: NDArray[Any], seen: list[FloatArray], parts: NDArray[np.int8]
) -> Attribute | str:
    """The attribute, or why it is refused."""
    words = column.dtype.kind == "U"
    if words:
        found, counts = np.unique(column[column != ""], return_counts=True)
        classes = tuple(found[counts >= MIN_EXAMPLES].tolist())
        if len(found) > MAX_CLASSES:
            return f"{len(found):,} different words, at most {MAX_CLASSES} can be classified"
        if len(classes) < 2:
            return f"needs two classes of {MIN_EXAMPLES} images each, found {len(classes)}"
        known = np.isin(column, classes)
    else:
        classes = ()
        known = np.isfinite(column)
        if known.sum() < 2 * MIN_EXAMPLES or column[known].std() == 0:
            return f"needs {2 * MIN_EXAMPLES} numbers that differ, found {known.sum()}"
    learn, choose, evaluate = (known & (parts == part) for part in range(3))
    held = [set(column[part].tolist()) for part in (learn, choose, evaluate)] if words else []
    if words and (held[0] != set(classes) or min(map(len, held)) < 2):
        return f"too few images ({known.sum()}) to learn from some and be evaluated on others"
    trials = [_best(view, column, learn, choose) for view in seen]
    trusted = int(trials[1][0] > trials[0][0])
    models = trials[0][1], trials[1][1]
    held_out, chance = _evaluate(models[trusted], seen[trusted][evaluate], column[evaluate])
    if held_out.low is None or held_out.low <= chance:
        figure = "accuracy" if words else "R²"
        least = 0.0 if held_out.low is None else held_out.low
        return (
            f"no better than chance on {counted(held_out.n or 0, 'image')} held out ({figure} "
            f"{held_out.value:.2f}, at least {least:.2f}; chance {chance:.2f})"
        )
    return Attribute(name, classes, trusted, models, held_out, chance)


def _best(
    view: FloatArray, column: NDArray[Any], learn: NDArray[np.bool_], choose: NDArray[np.bool_]
) -> tuple[tuple[float, float], Any]:
    """The best of some strengths, by accuracy (R²), then by likelihood, on the choosing part."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.metrics import log_loss

    words = column.dtype.kind == "U"
    trials: list[tuple[tuple[float, float], Any]] = []
    for c in C_VALUES:
        model: Any = LogisticRegression(C=c, max_iter=1000) if words else Ridge(1 / c)
        model.fit(view[learn], column[learn])
        score = float(model.score(view[choose], column[choose]))
        likelihood = 0.0
        if words:
            probabilities = model.predict_proba(view[choose])
            likelihood = -float(log_loss(column[choose], probabilities, labels=model.classes_))
        trials.append(((score, likelihood), model))
    return max(trials, key=lambda trial: trial[0])


def _evaluate(model: Any, view: FloatArray, truth: NDArray[Any]) -> tuple[Estimate, float]:
    """Accuracy and the commonest class's share, or R² and 0."""
    said = model.predict(view)
    if truth.dtype.kind == "U":
        commonest = np.unique(truth, return_counts=True)[1].max()
        right = statistics.share(int((said == truth).sum()), len(truth))
        return right, float(commonest / len(truth))
    return statistics.explained(said[:, None], truth[:, None]), 0.0


def _answer(model: Any, view: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Evidence [N, D] and probabilities [N, classes]."""
    if not hasattr(model, "decision_function"):
        return model.predict(view).reshape(-1, 1), np.empty((len(view), 0))
    evidence = model.decision_function(view)
    return evidence.reshape(len(view), -1), model.predict_proba(view)


def agreement(predictions: AttributePredictions, name: str) -> Estimate:
    """How far both extractors agree: share of equal words, or correlation of numbers."""
    prediction = predictions[name]
    if prediction.classes:
        same = prediction.probabilities.argmax(1) == prediction.second_probabilities.argmax(1)
        return statistics.share(int(same.sum()), len(same), "samples")
    return statistics.correlation(
        prediction.evidence[:, 0], prediction.second_evidence[:, 0], "samples"
    )
