"""Concepts found by a judge: the samples of a generator that are most certainly what a word says.

The paper's authors picked three exemplars of each concept by eye (§6.3.2); here a judge that knows
the words from labelled real pictures looks at many samples, and the most certain ones are taken. (To
choose among them for variety, or so that other attributes balance, was tried: directions came out
less certain, and other attributes moved no less.)
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.concepts.judge import Judge, Verdict, Verdicts, agreement
from dcgan_cli.analysis.concepts.words import HIGH, parse_meaning, slug, words
from dcgan_cli.analysis.drawing import Drawing
from dcgan_cli.analysis.views import Numbers, Progress
from dcgan_cli.checkpoint.concepts import STEADY, Concept, is_name
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.report import Estimate, Finding, Report, Table
from dcgan_cli.wording import counted, counted_are

TAIL = 0.1
"""The lowest and highest share of samples that count as low and high."""

CHUNK = 512


@dataclass(frozen=True)
class Wish:
    """A concept to be found: its name, and the class of each attribute that it fixes."""

    name: str
    meaning: Mapping[str, str]


def default_wishes(judge: Judge) -> list[Wish]:
    """A concept for every class, and for every pair of classes of two attributes of words.

    The later attribute's word goes first, as adjectives do: sex and mouth make `smiling_woman`. An
    attribute that is there or not (glasses, no_glasses) makes `man_with_glasses`,
    `man_without_glasses`. A number makes `turn_low` and `turn_high`.
    """
    wishes = [Wish(word, meaning) for word, meaning in words(judge).items()]
    of_words = [known for known in judge.attributes.values() if known.classes]
    for first, second in itertools.combinations(of_words, 2):
        for one, other in itertools.product(first.classes, second.classes):
            name = _pair(one, other, second.classes)
            wishes.append(Wish(name, {first.name: one, second.name: other}))
    return [wish for wish in wishes if is_name(wish.name)]


def parse_wish(text: str, judge: Judge) -> Wish:
    """`smiling_woman=smiling & woman` as a Wish. Raises UsageError."""
    name, equals, condition = (part.strip() for part in text.partition("="))
    if not equals or not is_name(name):
        raise UsageError(f"--concept {text!r}: expected NAME=WORD & WORD, NAME of a-z, 0-9 and _")
    return Wish(name, parse_meaning("--concept", condition, judge))


def score_samples(
    drawing: Drawing,
    judge: Judge,
    count: int,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> tuple[Latents, dict[str, Verdict]]:
    """Samples 0 … `count` − 1 of `seed`, [count, z_dim], and what the judge says of them."""
    config = drawing.generator.config
    latents = seeded_latents(seed, count, config.z_dim, config.z_dist)
    parts: list[dict[str, Verdict]] = []
    for start in range(0, count, CHUNK):
        parts.append(judge.look(drawing.signed(latents[start : start + CHUNK])))
        progress(min(start + CHUNK, count), count)
    return latents, {name: Verdict.join([part[name] for part in parts]) for name in parts[0]}


def learn(
    latents: Latents,
    verdicts: Verdicts,
    wishes: Sequence[Wish],
    judge: Judge,
    *,
    exemplars: int,
    made: str,
) -> tuple[list[Concept], Report]:
    """Choose exemplars of every wish among samples that were judged.

    Args:
        latents: samples, [N, z_dim].
        verdicts: what the judge says of them.
        wishes: what is looked for.
        judge: who judged.
        exemplars: how many each concept shall have; fewer where fewer samples are so, none below 3.
        made: the beginning of what each concept says of how it was made.

    Raises:
        DcganError: nothing that was wished for is among the samples.
    """
    concepts: list[Concept] = []
    rows: list[Sequence[str | float | int | None]] = []
    missing: list[str] = []
    for wish in wishes:
        certainty, belongs = _certainty(verdicts, wish.meaning)
        if belongs.sum() < STEADY:
            missing.append(f"{wish.name} ({belongs.sum()})")
            continue
        order = np.argsort(-certainty, kind="stable")
        chosen = order[belongs[order]][:exemplars]
        said = " & ".join(f"{key} {value}" for key, value in wish.meaning.items())
        numbers = ",".join(map(str, chosen.tolist()))
        text = f"{made}: {said}; samples {numbers}"
        concepts.append(Concept(wish.name, latents[chosen], text, dict(wish.meaning)))
        share = float(belongs.mean())
        rows.append((wish.name, said, share, len(chosen), float(certainty[chosen].min())))
    notes = [f"not judged: {name} ({reason})" for name, reason in judge.refused.items()]
    if missing:
        notes.append(
            f"left out, fewer than {STEADY} of {counted_are(len(latents), 'sample')} so: {', '.join(missing)}"
        )
    if not concepts:
        raise DcganError(
            f"none of the concepts is among {counted(len(latents), 'sample')}: {', '.join(missing)}; "
            "try more with --samples, or train further"
        )
    table = Table(
        "Concepts", ("name", "meaning", "share of samples", "exemplars", "least certainty"), rows
    )
    findings = [*judge.findings(), *agreements(verdicts, judge)]
    return concepts, Report("Concepts learnt", {}, findings, (table,), notes=notes)


def agreements(verdicts: Verdicts, judge: Judge) -> list[Finding]:
    """How far the judge's two views agree about generated pictures, against chance."""
    return [
        Finding(
            f"agreement_{name}",
            f"both views of the judge agree on samples: {name}"
            + ("" if known.classes else " (correlation)"),
            agreement(verdicts, name),
            Estimate(_chance(verdicts[name])),
            "by chance",
            about=name,
        )
        for name, known in judge.attributes.items()
    ]


def _chance(verdict: Verdict) -> float:
    """The share of same words if both views were independent of each other."""
    if not verdict.classes:
        return 0.0
    shares = [
        np.bincount(said.argmax(1), minlength=len(verdict.classes)) / len(said)
        for said in (verdict.probabilities, verdict.second_probabilities)
    ]
    return float((shares[0] * shares[1]).sum())


def _pair(one: str, other: str, classes: tuple[str, ...]) -> str:
    present = other.removeprefix("no_")
    if set(classes) == {present, f"no_{present}"}:
        return f"{slug(one)}_{'with' if other == present else 'without'}_{slug(present)}"
    return f"{slug(other)}_{slug(one)}"


def _certainty(verdicts: Verdicts, meaning: Mapping[str, str]) -> tuple[Numbers, NDArray[np.bool_]]:
    """How certainly each sample is what `meaning` says, in [0, 1], and whether it counts as such."""
    certainty = np.ones(len(next(iter(verdicts.values())).evidence))
    belongs = np.ones(len(certainty), np.bool_)
    for name, word in meaning.items():
        verdict = verdicts[name]
        if verdict.classes:
            here, least = verdict.certainty(word), 0.5
        else:
            here, least = _rank(verdict), 1 - TAIL
            here = here if word == HIGH else 1 - here
        certainty = certainty * here
        belongs &= here >= least
    return certainty, belongs


def _rank(verdict: Verdict) -> Numbers:
    """The place of each sample among all, 0 the lowest and 1 the highest, by the mean of views."""
    both = verdict.evidence[:, 0] + verdict.second_evidence[:, 0]
    return both.argsort().argsort() / max(len(both) - 1, 1)
