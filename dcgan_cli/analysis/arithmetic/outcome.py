"""What the results of arithmetic are, by a judge, beside what pixels and chance would give.

Two things are asked of every result: whether it is what the terms say (the words), and whether it is
one picture at all and not several laid over each other. The second is what the paper says of
arithmetic on pixels, "noisy overlap due to misalignment": a smile laid over a man is a smile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis import statistics
from dcgan_cli.analysis.arithmetic.calculation import TILES, Calculation, Term, on_pixels
from dcgan_cli.analysis.concepts.judge import Column, Judge, Verdicts, fit_judge
from dcgan_cli.analysis.concepts.words import parse_meaning
from dcgan_cli.analysis.drawing import Drawing
from dcgan_cli.analysis.views import Numbers, Progress
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.report import Estimate, Finding, Table
from dcgan_cli.runtime import numpy_stream

ENOUGH = 8
"""Of nine results: so many make a seed count as a success."""

SURE = 0.75
"""What the words of the terms must come to, of 1, for a class to be expected of the result."""

OVERLAYS = 1000
"""So many single pictures, and as many overlays, are learnt from at most."""

FEWEST_SHOWN = 100
"""Fewer real pictures of a class than this are too few to lay over each other."""

WAYS = ("in Z", "on pixels", "random directions", "base alone")
IN_Z, PIXELS, RANDOM, UNMOVED = range(4)

_WHOLE = ""
"""Under this name, which no column has, stands whether a picture is one or an overlay."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Figures, a table, one line for people, and nine words for each tile of the first seed."""

    summary: str
    findings: Sequence[Finding]
    table: Table
    said: tuple[Sequence[str], Sequence[str]]


def expected(drawing: Drawing, judge: Judge, terms: Sequence[Term]) -> dict[str, str]:
    """The class of each attribute that the terms' words come to.

    Smiling woman − neutral woman + neutral man is a smiling man. A term whose concept does not say what it means is asked of the judge; where its exemplars
    disagree, as where a concept leaves an attribute open, all classes count alike.
    """
    looks = [None if term.meaning else judge.look(drawing.signed(term.exemplars)) for term in terms]
    found: dict[str, str] = {}
    for name, known in judge.attributes.items():
        if not known.classes:
            continue
        total = np.zeros(len(known.classes))
        for term, look in zip(terms, looks, strict=True):
            share = np.full(len(known.classes), 1 / len(known.classes))
            if look is None and term.meaning.get(name) in known.classes:
                share = np.eye(len(share))[known.classes.index(term.meaning[name])]
            elif look is not None and (mean := look[name].probabilities.mean(0)).max() > 0.9:
                share = mean
            total += term.sign * share
        first, second = np.sort(total)[[-1, -2]]
        if first >= SURE and first - second >= 0.5:
            found[name] = known.classes[int(total.argmax())]
    return found


def parse_target(option: str, text: str, judge: Judge) -> dict[str, str]:
    """`smiling & man` as the class of each attribute. Raises UsageError, naming `option`."""
    target = parse_meaning(option, text, judge)
    for name in target:
        if not judge.attributes[name].classes:
            raise UsageError(f"{option} {text!r}: {name} is a number; expected words of the judge")
    return target


def overlay_judge(
    signed: Tensor,
    columns: Mapping[str, Column],
    terms: Sequence[Term],
    exemplars: Sequence[int],
    target: Mapping[str, str],
    discriminator: Discriminator,
    seed: int,
) -> Judge | None:
    """Tells single pictures from overlays: an attribute "picture". None where it cannot be learnt.

    It learns from real pictures alone: single ones of what the result should be, and the terms'
    arithmetic on pixels of real pictures of what each term means (`exemplars` of them); where too
    few are labelled so, of any real pictures.
    """
    stream = numpy_stream(seed, "overlays")
    singles = _showing(columns, target, len(signed))
    pools = [_showing(columns, term.meaning, len(signed)) for term in terms]
    if min(len(singles), *map(len, pools)) < FEWEST_SHOWN:
        singles, *pools = [np.arange(len(signed))] * (1 + len(terms))
    singles = stream.permutation(singles)[:OVERLAYS]
    total = torch.zeros_like(signed[: len(singles)])
    for term, pool, averaged in zip(terms, pools, exemplars, strict=True):
        for _ in range(averaged):
            picks = torch.from_numpy(stream.choice(pool, len(singles)))
            total += term.sign / averaged * signed[picks]
    both = torch.cat([signed[torch.from_numpy(singles)], total.clamp_(-1, 1)])
    words = np.repeat(["single", "overlay"], len(singles))
    try:
        return fit_judge(both, {"picture": words}, discriminator, seed=seed)
    except DcganError:
        return None


def _showing(
    columns: Mapping[str, Column], meaning: Mapping[str, str], count: int
) -> NDArray[np.int64]:
    """Which of `count` real pictures are labelled as `meaning` says."""
    shown = np.ones(count, np.bool_)
    for name, word in meaning.items():
        if name in columns and columns[name].dtype.kind == "U":
            shown &= columns[name] == word
    return np.flatnonzero(shown)


def measure(
    drawing: Drawing,
    judge: Judge,
    overlays: Judge | None,
    terms: Sequence[Term],
    calculations: Sequence[Calculation],
    target: Mapping[str, str],
    samples: Verdicts,
    progress: Progress = lambda done, total: None,
) -> Outcome:
    """Judge all calculations, one a seed.

    Args:
        drawing: the generator.
        judge: who knows the words.
        overlays: who tells single pictures from overlays; None leaves that out.
        terms: of the arithmetic.
        calculations: on different draws of exemplars and noise.
        target: the class of each attribute that the results should be.
        samples: verdicts on plain samples, whose spread is the unit of how far attributes move.
        progress: told how many calculations have been judged.
    """
    looks: list[list[Verdicts]] = []
    for done in calculations:
        ways = (
            drawing.signed(done.results),
            on_pixels(drawing, terms, done),
            drawing.signed(done.astray),
            drawing.signed(done.unmoved),
        )
        looks.append([_look(judge, overlays, signed) for signed in ways])
        progress(len(looks), len(calculations))
    name = " ".join(list(target.values())[::-1]) or "what the terms say"
    findings = [
        *_shares(looks, target, name, overlays is not None),
        *_moved(looks, judge, target, samples),
    ]
    rows: list[list[str | float | int | None]] = []
    for place, way in enumerate(WAYS):
        verdicts = [look[place] for look in looks]
        hits = np.concatenate([_hits(v, target) for v in verdicts])
        single = np.concatenate([_single(v) for v in verdicts]) if overlays else None
        rows.append(
            [
                way,
                float(hits.mean()) if target else None,
                float(np.mean([_certain(v, target) for v in verdicts])) if target else None,
                None if single is None else float(single.mean()),
                None if single is None or not target else float((hits & single).mean()),
            ]
        )
    columns = ("arithmetic", f"is {name}", "certainty", "is one picture", "is both")
    keys = ("arithmetic", "is_expected", "certainty", "is_one_picture", "is_both")
    first = _hits(looks[0][IN_Z], target)
    summary = f"{name} {int(first.sum())}/{TILES}" if target else "the terms share no known word"
    said = _said(looks[0][IN_Z], target), _said(looks[0][PIXELS], target)
    return Outcome(
        summary, findings, Table("What the results are", columns, rows, "results", keys), said
    )


def _look(judge: Judge, overlays: Judge | None, signed: Tensor) -> Verdicts:
    seen = judge.look(signed)
    return seen if overlays is None else seen | {_WHOLE: overlays.look(signed)["picture"]}


def _hits(verdicts: Verdicts, target: Mapping[str, str], second: bool = False) -> NDArray[np.bool_]:
    """Which pictures are all that `target` says."""
    hits = np.ones(len(next(iter(verdicts.values())).evidence), np.bool_)
    for name, word in target.items():
        hits &= verdicts[name].is_word(word, second)
    return hits


def _single(verdicts: Verdicts) -> NDArray[np.bool_]:
    return verdicts[_WHOLE].is_word("single")


def _certain(verdicts: Verdicts, target: Mapping[str, str]) -> float:
    """The mean probability that a picture is all that `target` says."""
    total = np.ones(TILES)
    for name, word in target.items():
        total *= verdicts[name].probabilities[:, verdicts[name].classes.index(word)]
    return float(total.mean())


def _said(verdicts: Verdicts, target: Mapping[str, str]) -> list[str]:
    """The judge's words for each picture, in the order in which a person would say them."""
    words: list[list[str]] = [[] for _ in range(TILES)]
    for name in list(target)[::-1]:
        verdict = verdicts[name]
        for place, best in enumerate(verdict.probabilities.argmax(1).tolist()):
            words[place].append(verdict.classes[best])
    return [" ".join(said) for said in words]


def _shares(
    looks: Sequence[Sequence[Verdicts]], target: Mapping[str, str], name: str, overlays: bool
) -> list[Finding]:
    """Shares of the results that are right, each against what it must beat."""

    def share(way: int, right: Callable[[Verdicts], NDArray[np.bool_]]) -> Estimate:
        return _over_seeds(np.array([right(look[way]).mean() for look in looks]))

    def often(way: int, right: Callable[[Verdicts], NDArray[np.bool_]]) -> Estimate:
        counts = [right(look[way]).sum() >= ENOUGH for look in looks]
        return statistics.share(sum(counts), len(looks), "seeds")

    findings: list[Finding] = []

    def add(
        key: str, label: str, right: Callable[[Verdicts], NDArray[np.bool_]], against: int
    ) -> None:
        values = share(IN_Z, right), share(against, right)
        findings.append(Finding(key, label, *values, WAYS[against]))
        if len(looks) > 1 and key in ("share", "clean"):
            values = often(IN_Z, right), often(against, right)
            label = f"seeds where {ENOUGH} of {TILES} are"
            findings.append(Finding(f"{key}_seeds", label, *values, WAYS[against]))

    if target:
        add("share", f"results that are {name}", lambda v: _hits(v, target), RANDOM)
        add("share_second", "… by the judge's other view", lambda v: _hits(v, target, True), RANDOM)
        add("share_pixels", "… beside pixels", lambda v: _hits(v, target), PIXELS)
    if overlays:
        add("single", "results that are one picture, no overlay", _single, PIXELS)
    if target and overlays:
        add("clean", "results that are both", lambda v: _hits(v, target) & _single(v), PIXELS)
    return findings


def _moved(
    looks: Sequence[Sequence[Verdicts]], judge: Judge, target: Mapping[str, str], samples: Verdicts
) -> list[Finding]:
    """How far attributes moved that the terms say nothing of: entanglement."""

    def drift(name: str, way: int) -> Estimate:
        spread = samples[name].evidence.std(0) + 1e-12
        moves = [
            float(np.abs((look[way][name].evidence - look[UNMOVED][name].evidence) / spread).mean())
            for look in looks
        ]
        return statistics.mean_above(moves, "seeds")

    def changed(name: str, way: int) -> Estimate:
        words = [
            [look[at][name].probabilities.argmax(1) for at in (way, UNMOVED)] for look in looks
        ]
        return _over_seeds(np.array([(moved != base).mean() for moved, base in words]))

    findings: list[Finding] = []
    for name, known in judge.attributes.items():
        if name in target:
            continue
        values = drift(name, IN_Z), drift(name, RANDOM)
        label = f"{name} moved, though nothing was said of it"
        findings.append(
            Finding(f"drift_{name}", label, *values, WAYS[RANDOM], unit=" sd", about=name)
        )
        if known.classes:
            values = changed(name, IN_Z), changed(name, RANDOM)
            label = f"{name}: share of results judged another word than the base"
            findings.append(Finding(f"changed_{name}", label, *values, WAYS[RANDOM], about=name))
    return findings


def _over_seeds(shares: Numbers) -> Estimate:
    """The mean of shares, one a seed: the results of one seed are neighbors of one point.

    They are not independent, so that one seed says nothing of the next: no interval.
    """
    return statistics.mean_within(shares, unit="seeds")
