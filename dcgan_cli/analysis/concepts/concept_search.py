"""Finding concepts: the samples of a generator that most certainly have the given attributes.

The paper's authors selected three exemplars of each concept by eye (§6.3.2); here an attribute
classifier trained on labeled real images classifies many samples, and the most certain ones are
selected. (Selecting for variety, or to balance other attributes, was tried: directions became less
certain, and other attributes changed no less.)
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    AttributePrediction,
    AttributePredictions,
    agreement,
    joined,
)
from dcgan_cli.analysis.concepts.words import HIGH, Names, called, parse_meaning, slug, words
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.analysis.verdicts import percent
from dcgan_cli.checkpoint.concepts import MIN_EXEMPLARS, Concept, is_name
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.latents import Latents
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import SHARE, Estimate, Finding, Report, Table
from dcgan_cli.wording import counted, counted_are

TAIL = 0.1
"""The lowest and highest share of samples that count as low and high."""

CLASSIFIED_TOGETHER = 512
"""Samples in memory at a time."""

FEW = 4
"""Concepts that a note names; the others it counts."""


@dataclass(frozen=True)
class ConceptRequest:
    """A concept to be found: its name, and the class of each attribute that it fixes."""

    name: str
    meaning: Mapping[str, str]


def default_requests(
    classifier: AttributeClassifier, names: Names = MappingProxyType({})
) -> list[ConceptRequest]:
    """A concept for every class, and for every pair of classes of two attributes of words.

    The later attribute's word goes first, as adjectives do: sex and mouth make `smiling_woman`. An
    attribute that is there or not (glasses, no_glasses) makes `man_with_glasses`,
    `man_without_glasses`. A number makes `turn_low` and `turn_high`. What `names` holds is called so.
    """
    requests = [ConceptRequest(word, meaning) for word, meaning in words(classifier, names).items()]
    of_words = [known for known in classifier.attributes.values() if known.classes]
    for first, second in itertools.combinations(of_words, 2):
        for one, other in itertools.product(first.classes, second.classes):
            spoken = called(first.name, one, names) or one
            adjective = called(second.name, other, names)
            name = (
                f"{adjective}_{slug(spoken)}" if adjective else _pair(spoken, other, second.classes)
            )
            requests.append(ConceptRequest(name, {first.name: one, second.name: other}))
    return [request for request in requests if is_name(request.name)]


def parse_request(
    text: str, classifier: AttributeClassifier, names: Names = MappingProxyType({})
) -> ConceptRequest:
    """`smiling_woman=smiling & woman` as a ConceptRequest. Raises UsageError."""
    name, equals, condition = (part.strip() for part in text.partition("="))
    if not equals or not is_name(name):
        raise UsageError(f"--concept {text!r}: expected NAME=WORD & WORD, NAME of a-z, 0-9 and _")
    return ConceptRequest(name, parse_meaning("--concept", condition, classifier, names))


def score_samples(
    sampler: Sampler,
    classifier: AttributeClassifier,
    count: int,
    seed: int,
    progress: ProgressCallback = lambda done, total: None,
) -> tuple[Latents, dict[str, AttributePrediction]]:
    """Samples 0 … `count` − 1 of `seed`, [count, z_dim], and what the classifier says of them."""
    latents = sampler.seeded(seed, count)
    parts: list[dict[str, AttributePrediction]] = []
    for start in range(0, count, CLASSIFIED_TOGETHER):
        some = latents[start : start + CLASSIFIED_TOGETHER]
        parts.append(classifier.classify(sampler.normalized(some)))
        progress(min(start + CLASSIFIED_TOGETHER, count), count)
    return latents, joined(parts)


def find_exemplars(
    latents: Latents,
    predictions: AttributePredictions,
    requests: Sequence[ConceptRequest],
    classifier: AttributeClassifier,
    *,
    exemplars: int,
    made: str,
    ends: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[list[Concept], Report]:
    """Choose exemplars of every request among samples `latents` [N, z_dim].

    `predictions` is what `classifier` says of the samples, `made` the beginning of what each
    concept says of how it was made, `ends` what low and high numbers of an attribute are. A concept
    has fewer `exemplars` where fewer samples are so, none below 3. Raises DcganError where no
    sample fits any request.
    """
    ends = ends or {}
    concepts: list[Concept] = []
    rows: list[Sequence[str | float | int | None]] = []
    missing: list[str] = []
    for request in requests:
        certainty, belongs = _certainty(predictions, request.meaning)
        if belongs.sum() < MIN_EXEMPLARS:
            missing.append(f"{request.name} ({belongs.sum()})")
            continue
        order = np.argsort(-certainty, kind="stable")
        chosen = order[belongs[order]][:exemplars]
        said = " & ".join(f"{key} {value}" for key, value in request.meaning.items())
        numbers = ",".join(map(str, chosen.tolist()))
        meaning = dict(request.meaning)
        end = ", ".join(ends[key][word == HIGH] for key, word in meaning.items() if key in ends)
        text = f"{made}: {said}{f' ({end})' if end else ''}; samples {numbers}"
        concepts.append(Concept(request.name, latents[chosen], text, meaning, end))
        share = float(belongs.mean())
        rows.append((request.name, said, share, len(chosen), float(certainty[chosen].min())))
    notes = [f"not classified: {name} ({reason})" for name, reason in classifier.refused.items()]
    if missing:
        notes.append(
            f"left out, fewer than {MIN_EXEMPLARS} of {counted_are(len(latents), 'sample')} so: "
            f"{', '.join(missing[:FEW])}"
            + (f" and {len(missing) - FEW} more" if len(missing) > FEW else "")
        )
    if not concepts:
        raise DcganError(
            f"none of the concepts is among {counted(len(latents), 'sample')}: {', '.join(missing)}; "
            "try more with --samples, or train further"
        )
    columns = ("name", "meaning", "share of samples", "exemplars", "least certainty")
    tables = (Table("Concepts", columns, rows),)
    trust = [replace(finding, headline=True) for finding in classifier.findings()]
    findings = [*trust, *agreements(predictions, classifier)]
    said = _verdict(len(concepts), classifier)
    return concepts, Report("Concepts learned", {}, findings, tables, notes=notes, verdict=said)


def _verdict(count: int, classifier: AttributeClassifier) -> str:
    """How many concepts there are, and how far those who found them can be trusted."""
    known = classifier.attributes.values()
    words = [one.held_out.value for one in known if one.classes]
    says = f"{counted(count, 'concept')} learned"
    if not words:
        return f"{says}; the classifier explains numbers alone (R² in the table)"
    low, high = percent(min(words)), percent(max(words))
    right = low if low == high else f"{low} to {high}"
    return f"{says}; the classifier is right on {right} of real images held out, by attribute"


def agreements(predictions: AttributePredictions, classifier: AttributeClassifier) -> list[Finding]:
    """Agreement of the classifier's two feature extractors on generated images, against chance."""
    findings: list[Finding] = []
    for name in classifier.attributes:
        label = f"both views of the attribute classifier agree on samples: {name}"
        found, chance, unit = predictions[name], 0.0, ""
        if found.classes:  # by chance: the share of equal words if both were independent
            unit, count = SHARE, len(found.classes)
            views = found.probabilities, found.second_probabilities
            first, second = (np.bincount(v.argmax(1), minlength=count) / len(v) for v in views)
            chance = float((first * second).sum())
        else:
            label += " (correlation)"
        values = agreement(predictions, name), Estimate(chance), "by chance"
        findings.append(
            Finding(f"agreement_{name}", label, *values, unit=unit, about=name, better="up")
        )
    return findings


def _pair(one: str, other: str, classes: tuple[str, ...]) -> str:
    present = other.removeprefix("no_")
    if set(classes) == {present, f"no_{present}"}:
        return f"{slug(one)}_{'with' if other == present else 'without'}_{slug(present)}"
    return f"{slug(other)}_{slug(one)}"


def _certainty(
    predictions: AttributePredictions, meaning: Mapping[str, str]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """How certainly each sample is what `meaning` says, in [0, 1], and whether it counts as such."""
    certainty = np.ones(len(next(iter(predictions.values())).evidence))
    belongs = np.ones(len(certainty), np.bool_)
    for name, word in meaning.items():
        prediction = predictions[name]
        if prediction.classes:
            here, least = prediction.certainty(word), 0.5
        else:
            # its place among all, 0 the lowest and 1 the highest, by the mean of both views
            both = prediction.evidence[:, 0] + prediction.second_evidence[:, 0]
            here, least = both.argsort().argsort() / max(len(both) - 1, 1), 1 - TAIL
            here = here if word == HIGH else 1 - here
        certainty = certainty * here
        belongs &= here >= least
    return certainty, belongs
