"""Evaluating the results of latent arithmetic by a classifier, beside pixel arithmetic and chance.

Two properties of every result are tested: whether it has the attributes that the terms imply, and
whether it is a single image rather than several overlaid. The second is what the paper says of
pixel arithmetic, "noisy overlap due to misalignment": a smile overlaid on a man would pass the
first test.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.arithmetic.calculation import TILES, Calculation, Term, on_pixels
from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    AttributePredictions,
    Column,
    fit_attribute_classifier,
)
from dcgan_cli.analysis.concepts.words import parse_meaning
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.analysis.verdicts import compare, percent
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import SHARE, Estimate, Finding, Table
from dcgan_cli.runtime import numpy_stream

ENOUGH = 8
"""Of nine results, so many must be right for a seed to count as a success."""

SURE = 0.75
"""Minimum sum of the terms for a class to be expected in the result, of 1."""

OVERLAYS = 1000
"""So many single images, and as many overlays, are trained on at most."""

MIN_SHOWN = 100
"""Fewer real images of a class than this are too few to lay over each other."""

WAYS = ("in Z", "on pixels", "random directions", "base alone")
IN_Z, PIXELS, RANDOM, UNMOVED = range(4)

Test = Callable[[AttributePredictions], NDArray[np.bool_]]
"""Which of the images that were classified pass."""

_WHOLE = ""
"""Under this name, which no column has, stands whether an image is one or an overlay."""


@dataclass(frozen=True, eq=False)
class ArithmeticResult:
    """A verdict, values, a table, and nine words for each tile of the first seed."""

    verdict: str
    findings: Sequence[Finding]
    table: Table
    said: tuple[Sequence[str], Sequence[str]]


def expected(
    sampler: Sampler, classifier: AttributeClassifier, terms: Sequence[Term]
) -> dict[str, str]:
    """The class of each attribute that the terms' words come to.

    Smiling woman − neutral woman + neutral man is a smiling man. A term whose concept does not say
    what it means is asked of the attribute classifier; where its exemplars disagree, as where a
    concept leaves an attribute open, all classes count alike.
    """
    classified = [
        {} if term.meaning else classifier.classify(sampler.normalized(term.exemplars))
        for term in terms
    ]
    found: dict[str, str] = {}
    for name, known in classifier.attributes.items():
        if not known.classes:
            continue
        total = np.zeros(len(known.classes))
        for term, predicted in zip(terms, classified, strict=True):
            share = np.full(len(known.classes), 1 / len(known.classes))
            if term.meaning.get(name) in known.classes:
                share = np.eye(len(share))[known.classes.index(term.meaning[name])]
            elif predicted and (mean := predicted[name].probabilities.mean(0)).max() > 0.9:
                share = mean
            total += term.sign * share
        first, second = np.sort(total)[[-1, -2]]
        if first >= SURE and first - second >= 0.5:
            found[name] = known.classes[int(total.argmax())]
    return found


def parse_target(option: str, text: str, classifier: AttributeClassifier) -> dict[str, str]:
    """`smiling & man` as the class of each attribute. Raises UsageError, naming `option`."""
    target = parse_meaning(option, text, classifier)
    for name in target:
        if not classifier.attributes[name].classes:
            raise UsageError(
                f"{option} {text!r}: {name} is a number; expected words of the attribute classifier"
            )
    return target


def overlay_classifier(
    normalized: Tensor,
    columns: Mapping[str, Column],
    terms: Sequence[Term],
    exemplars: Sequence[int],
    target: Mapping[str, str],
    discriminator: Discriminator,
    seed: int,
) -> AttributeClassifier | None:
    """Tells single images from overlays: an attribute "image". None where it cannot be learned.

    It learns from real images alone: single ones of what the result should be, and the terms'
    arithmetic on pixels of real images of what each term means (`exemplars` of them); where too
    few are labeled so, of any real images.
    """
    stream = numpy_stream(seed, "overlays")
    singles = _showing(columns, target, len(normalized))
    pools = [_showing(columns, term.meaning, len(normalized)) for term in terms]
    if min(len(singles), *map(len, pools)) < MIN_SHOWN:
        singles, *pools = [np.arange(len(normalized))] * (1 + len(terms))
    singles = stream.permutation(singles)[:OVERLAYS]
    total = torch.zeros_like(normalized[: len(singles)])
    for term, pool, averaged in zip(terms, pools, exemplars, strict=True):
        for _ in range(averaged):
            picks = torch.from_numpy(stream.choice(pool, len(singles)))
            total += term.sign / averaged * normalized[picks]
    both = torch.cat([normalized[torch.from_numpy(singles)], total.clamp_(-1, 1)])
    words = np.repeat(["single", "overlay"], len(singles))
    try:
        return fit_attribute_classifier(both, {"image": words}, discriminator, seed=seed)
    except DcganError:
        return None


def _showing(
    columns: Mapping[str, Column], meaning: Mapping[str, str], count: int
) -> NDArray[np.int64]:
    """Which of `count` real images are labeled as `meaning` says."""
    shown = np.ones(count, np.bool_)
    for name, word in meaning.items():
        if name in columns and columns[name].dtype.kind == "U":
            shown &= columns[name] == word
    return np.flatnonzero(shown)


def measure_arithmetic(
    sampler: Sampler,
    classifier: AttributeClassifier,
    overlays: AttributeClassifier | None,
    terms: Sequence[Term],
    calculations: Sequence[Calculation],
    target: Mapping[str, str],
    samples: AttributePredictions,
    progress: ProgressCallback = lambda done, total: None,
) -> ArithmeticResult:
    """Classify the results of all calculations, one a seed.

    `overlays` distinguishes single images from overlays; None skips that test. `target` is the
    class of each attribute that the results should be. The spread of `samples`, predictions on
    plain samples, is the unit of how far attributes move.
    """
    classified: list[Sequence[AttributePredictions]] = []
    for done in calculations:
        ways = (
            sampler.normalized(done.results),
            on_pixels(sampler, terms, done),
            sampler.normalized(done.random_direction),
            sampler.normalized(done.unchanged),
        )
        predictions = [classifier.classify(normalized) for normalized in ways]
        if overlays is not None:
            for predicted, normalized in zip(predictions, ways, strict=True):
                predicted[_WHOLE] = overlays.classify(normalized)["image"]
        classified.append(predictions)
        progress(len(classified), len(calculations))
    name = " ".join(list(target.values())[::-1]) or "what the terms say"
    findings = [
        *_shares(classified, target, name, overlays is not None),
        *_moved(classified, classifier, target, samples),
    ]
    rows: list[list[str | float | None]] = []
    for place, way in enumerate(WAYS):
        predictions = [predicted[place] for predicted in classified]
        hits = np.concatenate([_hits(v, target) for v in predictions])
        row: list[str | float | None] = [way, None, None, None, None]
        if target:
            certain = np.mean([_certain(v, target) for v in predictions])
            row[1:3] = float(hits.mean()), float(certain)
        if overlays:
            single = np.concatenate([_single(v) for v in predictions])
            row[3:] = float(single.mean()), float((hits & single).mean()) if target else None
        rows.append(row)
    columns = ("arithmetic", f"is {name}", "certainty", "is one image", "is both")
    keys = ("arithmetic", "is_expected", "certainty", "is_one_image", "is_both")
    said = _said(classified[0][IN_Z], target), _said(classified[0][PIXELS], target)
    table = Table("What the results are", columns, rows, "results", keys)
    return ArithmeticResult(
        _verdict(findings, target, name, len(classified)), findings, table, said
    )


def _verdict(findings: Sequence[Finding], target: Mapping[str, str], name: str, seeds: int) -> str:
    """Whether the results are what the terms say, and more often than along random directions."""
    if not target:
        return (
            "not measured: the terms share no word that the classifier knows (--expect names one)"
        )
    by_key = {finding.key: finding for finding in findings}
    says = f"{name}: {_beside(by_key['share'], 'along random directions', seeds)}"
    if "clean" in by_key:
        says += f"; and one image, no overlay: {_beside(by_key['clean'], 'on pixels', seeds)}"
    return says if seeds > 1 else f"{says}; one draw of exemplars alone (--seeds 10 says how sure)"


def _beside(found: Finding, against: str, seeds: int) -> str:
    """A share of the results and its control in words: of one seed as counts, which say nothing sure."""
    control = found.control
    assert control is not None
    if seeds == 1:
        own, other = (round(TILES * part.value) for part in (found.value, control))
        return f"{own} of {TILES} results, {other} {against}"
    says = f"{percent(found.value.value)} of the results, {percent(control.value)} {against}"
    differs = {-1: " (fewer)", 0: " (no clear difference)", 1: ""}
    return says + differs[compare(found.value, control)]


def _hits(
    predictions: AttributePredictions, target: Mapping[str, str], second: bool = False
) -> NDArray[np.bool_]:
    """Which images are all that `target` says."""
    hits = np.ones(len(next(iter(predictions.values())).evidence), np.bool_)
    for name, word in target.items():
        hits &= predictions[name].is_word(word, second)
    return hits


def _single(predictions: AttributePredictions) -> NDArray[np.bool_]:
    return predictions[_WHOLE].is_word("single")


def _certain(predictions: AttributePredictions, target: Mapping[str, str]) -> float:
    """The mean probability that an image is all that `target` says."""
    total = np.ones(TILES)
    for name, word in target.items():
        total *= predictions[name].probabilities[:, predictions[name].classes.index(word)]
    return float(total.mean())


def _said(predictions: AttributePredictions, target: Mapping[str, str]) -> list[str]:
    """The classifier's words for each image, in the order in which a person would say them."""
    words: list[list[str]] = [[] for _ in range(TILES)]
    for name in list(target)[::-1]:
        prediction = predictions[name]
        for place, best in enumerate(prediction.probabilities.argmax(1).tolist()):
            words[place].append(prediction.classes[best])
    return [" ".join(said) for said in words]


def _shares(
    classified: Sequence[Sequence[AttributePredictions]],
    target: Mapping[str, str],
    name: str,
    overlays: bool,
) -> list[Finding]:
    """Shares of the results that are right, each against what it must beat."""

    def share(way: int, right: Test) -> Estimate:
        return _over_seeds(np.array([right(predicted[way]).mean() for predicted in classified]))

    def often(way: int, right: Test) -> Estimate:
        counts = [right(predicted[way]).sum() >= ENOUGH for predicted in classified]
        return statistics.share(sum(counts), len(classified), "seeds")

    findings: list[Finding] = []

    def add(key: str, label: str, right: Test, against: int) -> None:
        beside = partial(Finding, control_label=WAYS[against], unit=SHARE)
        headline = key in ("share", "single", "clean")
        values = share(IN_Z, right), share(against, right)
        findings.append(beside(key, label, *values, better="up", headline=headline))
        if len(classified) > 1 and key in ("share", "clean"):
            values = often(IN_Z, right), often(against, right)
            label = f"seeds where {ENOUGH} of {TILES} {label}"
            findings.append(beside(f"{key}_seeds", label, *values))

    label = f"results that are {name}"
    if target:
        other = f"{label}, by the classifier's other view"
        add("share", label, lambda v: _hits(v, target), RANDOM)
        add("share_second", other, lambda v: _hits(v, target, True), RANDOM)
        add("share_pixels", label, lambda v: _hits(v, target), PIXELS)
    if overlays:
        add("single", "results that are one image, no overlay", _single, PIXELS)
    if target and overlays:
        add("clean", f"{label} and one image", lambda v: _hits(v, target) & _single(v), PIXELS)
    return findings


def _moved(
    classified: Sequence[Sequence[AttributePredictions]],
    classifier: AttributeClassifier,
    target: Mapping[str, str],
    samples: AttributePredictions,
) -> list[Finding]:
    """How far attributes moved that the terms say nothing of: entanglement."""

    def drift(name: str, way: int) -> Estimate:
        spread = samples[name].evidence.std(0) + 1e-12
        pairs = ((each[way][name].evidence, each[UNMOVED][name].evidence) for each in classified)
        moves = [float(np.abs((moved - base) / spread).mean()) for moved, base in pairs]
        return statistics.mean_above(moves, "seeds")

    def changed(name: str, way: int) -> Estimate:
        words = [
            [predicted[at][name].probabilities.argmax(1) for at in (way, UNMOVED)]
            for predicted in classified
        ]
        return _over_seeds(np.array([(moved != base).mean() for moved, base in words]))

    findings: list[Finding] = []
    for name, known in classifier.attributes.items():
        if name in target:
            continue
        beside = partial(Finding, control_label=WAYS[RANDOM], about=name, better="down")
        values = drift(name, IN_Z), drift(name, RANDOM)
        label = f"{name} moved, though nothing was said of it"
        findings.append(beside(f"drift_{name}", label, *values, unit=" sd", headline=True))
        if known.classes:
            values = changed(name, IN_Z), changed(name, RANDOM)
            label = f"{name}: results classified another word than the base"
            findings.append(beside(f"changed_{name}", label, *values, unit=SHARE))
    return findings


def _over_seeds(shares: FloatArray) -> Estimate:
    """The mean of shares, one a seed: the results of one seed are neighbors, not independent."""
    return statistics.mean_within(shares, unit="seeds")
