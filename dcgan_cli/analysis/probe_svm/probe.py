"""What the discriminator has learned: a linear classifier on its features (paper §5).

Tables 1 and 2 of the paper give the accuracy of an L2-SVM on the features of a discriminator that
was trained without labels. The controls are evaluated on the same training subsets: only the
difference shows what the training contributed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.features import layer_spans
from dcgan_cli.analysis.probe_svm.baselines import CONTROLS, DCGAN, LABELS, ProbeSetup
from dcgan_cli.analysis.probe_svm.learners import SvmLearner
from dcgan_cli.analysis.probe_svm.probe_split import Budget, Learner, ProbeSplit, Result, evaluate
from dcgan_cli.analysis.probe_svm.published import beside
from dcgan_cli.analysis.probe_svm.supervised import MAX_SUBSETS, SupervisedLearner
from dcgan_cli.analysis.statistics import over_splits, scaled, two_way, two_way_difference
from dcgan_cli.analysis.verdicts import UNCLEAR, compare
from dcgan_cli.progress import Stage
from dcgan_cli.report import Estimate, Finding, Report, Table
from dcgan_cli.wording import counted

Right = NDArray[np.bool_]
"""Which answers are true: bool [R, T]."""

MAX_CLASSES = 20
"""With more classes, a confusion matrix is not readable; `facts` contains it anyway."""

OVERLAP = 0.5
"""Draws of more than this share of the pool overlap considerably."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One baseline's row: its name, its number of features (None: none), its result."""

    label: str
    features: int | None
    result: Result


def probe(
    setup: ProbeSetup,
    budget: Budget,
    controls: Sequence[str],
    *,
    ablate: bool = False,
    kinds: Sequence[str] = (),
    stage: Stage,
) -> Report:
    """Evaluate D's features and `controls` (out of CONTROLS), each after the other, and report.

    `budget` is what the split of `setup` was prepared with. `ablate` also evaluates each layer of D
    alone, and the first ones together. `kinds` is what the images were recognized as, for the
    published values.
    """
    entries: dict[str, Entry] = {}
    for name in (DCGAN, *controls):
        learner = setup.learner(name, stage)
        entries[name] = _evaluated(LABELS[name], learner, setup.probe_split, stage)
        if ablate and name == DCGAN:
            assert isinstance(learner, SvmLearner)
            for key, label, part in _layers(learner, setup):
                entries[key] = _evaluated(label, part, setup.probe_split, stage)
                del part
        del learner  # its features, before the next ones are made
    return _report(entries, setup, budget, kinds)


def _evaluated(label: str, learner: Learner, probe_split: ProbeSplit, stage: Stage) -> Entry:
    most_draws = MAX_SUBSETS if isinstance(learner, SupervisedLearner) else None
    with stage(label) as progress:
        result = evaluate(learner, probe_split, progress, most_draws)
    features = learner.tables.train.shape[1] if isinstance(learner, SvmLearner) else None
    return Entry(label, features, result)


def _layers(whole: SvmLearner, setup: ProbeSetup) -> Iterator[tuple[str, str, SvmLearner]]:
    """The features of each layer alone, and of the first ones together: key, name, learner."""
    settings, config = setup.settings, setup.discriminator.config
    spans = layer_spans(config, settings.grid, settings.layers)
    numbers = [i + 1 for i in settings.layers or range(config.levels)]
    for number, span in zip(numbers, spans, strict=True):
        learner = replace(whole, tables=whole.tables.columns(span))
        yield f"layer_{number}", f"layer {number} alone", learner
    for number, span in list(zip(numbers, spans, strict=True))[1:-1]:
        learner = replace(whole, tables=whole.tables.columns(slice(span.stop)))
        yield f"up_to_layer_{number}", f"layers up to {number}", learner


def _report(
    entries: Mapping[str, Entry], setup: ProbeSetup, budget: Budget, kinds: Sequence[str]
) -> Report:
    own, probe_split, config = entries[DCGAN].result, setup.probe_split, setup.discriminator.config
    over_draws, tested = spread(own.right), len(probe_split.truth)
    found = scaled(two_way(own.right), 100)
    widest, over = max(config.discriminator_widths), over_draws and 100 * over_draws
    published = beside(kinds, tested, budget, found.value, over, widest)
    controls = {name: entry for name, entry in entries.items() if name in CONTROLS}
    control, wrong, who = None, None, ""
    for entry in list(controls.values())[:1]:
        control, who = scaled(two_way(entry.result.right), 100), entry.label
        wrong = scaled(control, -1, 100)
    of_error, finding = bool(published.error), partial(Finding, unit=" %", better="up")
    accuracy = found, control, who, published.accuracy
    error = scaled(found, -1, 100), wrong, who, published.error
    findings = [
        finding("accuracy", "accuracy", *accuracy, headline=not of_error),
        finding("error", "error", *error, better="down", headline=of_error),
    ]
    gains: dict[str, Estimate] = {}
    for name, entry in controls.items():
        both = min(len(own.right), len(entry.result.right))  # draws that both had
        gain = two_way_difference(own.right[:both], entry.result.right[:both])
        gains[name] = scaled(gain, 100)
        beside_none = gains[name], Estimate(0.0), "no difference"
        label = f"better than {LABELS[name]} by"
        findings.append(finding(f"over_{name}", label, *beside_none, headline=True))
    tables = [_table(entries), *_confusion(own, probe_split), *published.tables]
    facts, notes = _facts(entries, setup, budget), _notes(gains, probe_split)
    verdict = probe_verdict(findings)
    return Report("Probe", facts, findings, tables, notes=notes, verdict=verdict)


def probe_verdict(findings: Sequence[Finding]) -> str:
    """The accuracy, and which controls the features are better than, by their paired differences."""
    gains = {each.key.removeprefix("over_"): each.value for each in findings if "over_" in each.key}
    says = {1: "better than", 0: UNCLEAR, -1: "worse than"}
    found: dict[int, list[str]] = {clear: [] for clear in says}
    for name, gain in gains.items():
        label = LABELS[name].removesuffix(" + L2-SVM")
        found[compare(gain, Estimate(0.0))].append(f"{label} ({gain.value:+.1f} points)")
    accuracy = next(each.value.value for each in findings if each.key == "accuracy")
    parts = [f"{says[clear]} {', '.join(names)}" for clear, names in found.items() if names]
    return f"accuracy {accuracy:.1f} %" + (f": {'; '.join(parts)}" if parts else "")


def _facts(entries: Mapping[str, Entry], setup: ProbeSetup, budget: Budget) -> dict[str, Any]:
    probe_split, settings = setup.probe_split, setup.settings
    return {
        "seed": settings.seed,
        "classes": list(probe_split.classes),
        "protocol": "few labels" if budget.few else "all labels",
        "per_class": budget.per_class,
        "labels_total": budget.total,
        "labels": len(probe_split.subsets[0].codes),
        "draws": len(probe_split.subsets),
        "training_images": len(probe_split.codes),
        "validation_images": len(probe_split.codes) - probe_split.pool,
        "test_images": len(probe_split.truth),
        "grid": settings.grid,
        "layers": [i + 1 for i in settings.layers or range(setup.discriminator.config.levels)],
        "features": entries[DCGAN].features,
        "choices": {name: _choice(entry.result) for name, entry in entries.items()},
        "confusion": _counts(entries[DCGAN].result, probe_split),
    }


def _choice(result: Result) -> dict[str, Any]:
    tried = [{"setting": setting, "value": error} for setting, error in result.tried.items()]
    return {"chosen": result.setting, "validation_error": tried}


def _table(entries: Mapping[str, Entry]) -> Table:
    rows: list[Sequence[str | float | int | None]] = []
    for name, entry in entries.items():
        right, over = entry.result.right, spread(entry.result.right)
        found = scaled(two_way(right), 100)
        values = found.value, over and 100 * over, found.low, found.high, 100 - found.value
        rounded = (None if value is None else round(value, 2) for value in values)
        chosen = entry.result.setting
        rows.append((name, entry.label, entry.features, chosen, len(right), *rounded))
    columns = ("key", "what", "features", "chosen", "draws", "accuracy %", "± draws", "low", "high")
    keys = (
        "key", "what", "features", "chosen", "draws", "accuracy_percent",
        "standard_deviation_of_draws_percent", "low_percent", "high_percent", "error_percent"
    )  # fmt: skip
    return Table("Baselines", (*columns, "error %"), rows, keys=keys)


def _confusion(result: Result, probe_split: ProbeSplit) -> list[Table]:
    """The predicted classes of the images of each class, in % of the class."""
    if len(probe_split.classes) > MAX_CLASSES:
        return []
    counts = np.array(_counts(result, probe_split))
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    rows = [
        (name, *(round(share, 1) for share in row), int((probe_split.truth == k).sum()))
        for k, (name, row) in enumerate(zip(probe_split.classes, shares.tolist(), strict=True))
    ]
    columns = ("is", *probe_split.classes, "images")
    keys = ("class", *("" for _ in probe_split.classes), "images")
    return [Table("Confusion, % of each class", columns, rows, "confusion_percent", keys)]


def _counts(result: Result, probe_split: ProbeSplit) -> list[list[int]]:
    """How often images of each class (row) were taken for each class (column), over all draws."""
    k = len(probe_split.classes)
    cells = np.bincount((probe_split.truth * k + result.answers).ravel(), minlength=k * k)
    return cells.reshape(k, k).tolist()


def _notes(gains: Mapping[str, Estimate], probe_split: ProbeSplit) -> tuple[str, ...]:
    draws, labels = len(probe_split.subsets), len(probe_split.subsets[0].codes)
    notes: list[str] = []
    if draws > 1 and labels > OVERLAP * probe_split.pool:
        notes.append(
            f"the draws overlap ({labels:,} of {counted(probe_split.pool, 'image')} each), so they differ "
            "less than draws of new images would"
        )
    advice = {
        "random": "train longer, or with more feature maps (--ndf)",
        "supervised": "the labels alone teach as much; try fewer labels",
    }
    other = "train longer, at a larger --size, or try other --layers"
    # the verdict says that they are not beaten
    unbeaten = (name for name, gain in gains.items() if compare(gain, Estimate(0.0)) < 1)
    notes += (f"against {LABELS[name]}: {advice.get(name, other)}" for name in unbeaten)
    return tuple(notes)


def spread(right: Right) -> float | None:
    """1.96 standard deviations of the accuracy over draws, as the paper prints; None with one."""
    if len(right) < 2:
        return None
    return 1.96 * float(right.mean(1).std(ddof=1))


def over(reports: Iterable[Report]) -> Report:
    """One report of the `reports` of a probe, one a split, two or more.

    Every value is the mean over splits, with an interval that says what another set of as many
    images would give (`over_splits`); controls in the same way. The tables are those of
    the first split, after one of all splits; `facts` are the first split's.
    """
    each = list(reports)
    first, count = each[0], len(each)
    train, test = first.facts["training_images"], first.facts["test_images"]
    findings = [
        _joined([report.findings[place] for report in each], train, test)
        for place in range(len(first.findings))
    ]
    values = np.array([report.findings[0].value.value for report in each])
    spread = float(values.std(ddof=1))
    told = [
        f"over {count} random splits of {train:,} + {test:,} images: accuracy {values.min():.1f} to "
        f"{values.max():.1f} %, standard deviation {spread:.1f}"
    ]
    facts = {
        **first.facts,
        "splits": count,
        "split_accuracies_percent": values.tolist(),
        "split_sd_percent": spread,
    }
    keys = [f"{finding.key}_percent" for finding in findings]
    rows = [[n, *(one.value.value for one in report.findings)] for n, report in enumerate(each)]
    tables, verdict = (
        [Table("Splits", ("split", *keys), rows), *first.tables],
        probe_verdict(findings),
    )
    return replace(
        first, facts=facts, findings=findings, tables=tables, notes=told, verdict=verdict
    )


def _joined(findings: Sequence[Finding], train: int, test: int) -> Finding:
    """One finding of all splits; a null value that is the same in all stays one."""
    first = findings[0]
    # accuracies and errors lie between 0 and 100 %, differences reach below
    low = -100.0 if first.key.startswith("over_") else 0.0

    def joined(values: Sequence[Estimate]) -> Estimate:
        return over_splits([each.value for each in values], train, test, low, 100.0)

    controls = [each.control for each in findings if each.control is not None]
    control = first.control
    if control is not None and control.n is not None:
        control = joined(controls)
    return replace(first, value=joined([each.value for each in findings]), control=control)
