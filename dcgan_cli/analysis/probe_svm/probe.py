"""What the discriminator learned: a linear classifier on its features, beside controls (paper §5).

Tables 1 and 2 of the paper ask how well an L2-SVM tells classes apart by the features of a
discriminator that never saw a label. The same question is put to controls, which get the same
lessons: only the difference says what the training taught.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.features import layer_spans
from dcgan_cli.analysis.probe_svm.contenders import CONTROLS, DCGAN, LABELS, Bench, Stage
from dcgan_cli.analysis.probe_svm.exam import Budget, Exam, Learner, Result, examine
from dcgan_cli.analysis.probe_svm.learners import SvmLearner
from dcgan_cli.analysis.probe_svm.published import beside
from dcgan_cli.analysis.probe_svm.supervised import DRAWS, SupervisedLearner
from dcgan_cli.analysis.statistics import scaled, two_way, two_way_difference
from dcgan_cli.report import Estimate, Finding, Report, Table
from dcgan_cli.wording import counted

Right = NDArray[np.bool_]
"""Which answers are true: bool [R, T]."""

MOST_CLASSES = 20
"""More classes make no readable table of confusions; `facts` has them all the same."""

OVERLAP = 0.5
"""A draw of a larger share of the pool has much in common with the next."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One contender's row: who it is, how many features it has (None: it has none), how it did."""

    label: str
    features: int | None
    result: Result


def probe(
    bench: Bench,
    budget: Budget,
    controls: Sequence[str],
    *,
    ablate: bool = False,
    kinds: Sequence[str] = (),
    stage: Stage,
) -> Report:
    """Examine D's features and `controls`, each after the other, and report.

    Args:
        bench: makes the learners, for one exam.
        budget: what that exam was prepared with.
        controls: names out of CONTROLS.
        ablate: also each layer of D alone, and all layers but one.
        kinds: what the pictures were recognised as, for the published figures.
        stage: where progress is told.
    """
    entries: dict[str, Entry] = {}
    for name in (DCGAN, *controls):
        learner = bench.learner(name, stage)
        entries[name] = _examined(LABELS[name], learner, bench.exam, stage)
        if ablate and name == DCGAN:
            assert isinstance(learner, SvmLearner)
            for key, label, part in _layers(learner, bench):
                entries[key] = _examined(label, part, bench.exam, stage)
                del part
        del learner  # its features, before the next ones are made
    return _report(entries, bench, budget, kinds)


def _examined(label: str, learner: Learner, exam: Exam, stage: Stage) -> Entry:
    most_draws = DRAWS if isinstance(learner, SupervisedLearner) else None
    with stage(label) as progress:
        result = examine(learner, exam, progress, most_draws)
    features = learner.tables.train.shape[1] if isinstance(learner, SvmLearner) else None
    return Entry(label, features, result)


def _layers(whole: SvmLearner, bench: Bench) -> Iterator[tuple[str, str, SvmLearner]]:
    """The features of each layer alone, and of the first ones together: key, name, learner."""
    settings, config = bench.settings, bench.discriminator.config
    spans = layer_spans(config, settings.grid, settings.layers)
    numbers = [i + 1 for i in settings.layers or range(config.levels)]
    for number, span in zip(numbers, spans, strict=True):
        learner = replace(whole, tables=whole.tables.columns(span))
        yield f"layer_{number}", f"layer {number} alone", learner
    for number, span in list(zip(numbers, spans, strict=True))[1:-1]:
        learner = replace(whole, tables=whole.tables.columns(slice(span.stop)))
        yield f"up_to_layer_{number}", f"layers up to {number}", learner


def _report(
    entries: Mapping[str, Entry], bench: Bench, budget: Budget, kinds: Sequence[str]
) -> Report:
    own, exam, config = entries[DCGAN].result, bench.exam, bench.discriminator.config
    over_draws = spread(own.right)
    found = _percent(two_way(own.right))
    published = beside(
        kinds,
        len(exam.truth),
        budget,
        found.value,
        None if over_draws is None else 100 * over_draws,
        max(config.discriminator_widths),
    )
    control = next((entry for name, entry in entries.items() if name in CONTROLS), None)
    beaten = None if control is None else _percent(two_way(control.result.right))
    who = "" if control is None else control.label
    findings = [
        Finding("accuracy", "accuracy", found, beaten, who, published.accuracy, " %"),
        Finding(
            "error", "error", _error(found), beaten and _error(beaten), who, published.error, " %"
        ),
    ]
    gains = {
        name: _percent(_gain(own.right, entry.result.right))
        for name, entry in entries.items()
        if name in CONTROLS
    }
    for name, gain in gains.items():
        label = f"better than {LABELS[name]} by"
        findings.append(
            Finding(f"over_{name}", label, gain, Estimate(0.0), "no difference", unit=" %")
        )
    tables = [_table(entries), *_confusion(own, exam), *published.tables]
    return Report(
        "Probe", _facts(entries, bench, budget), findings, tables, notes=_notes(gains, exam)
    )


def _facts(entries: Mapping[str, Entry], bench: Bench, budget: Budget) -> dict[str, Any]:
    exam, settings = bench.exam, bench.settings
    return {
        "seed": settings.seed,
        "classes": list(exam.classes),
        "protocol": "few labels" if budget.few else "all labels",
        "per_class": budget.per_class,
        "labels_total": budget.total,
        "labels": len(exam.lessons[0].codes),
        "draws": len(exam.lessons),
        "training_pictures": len(exam.codes),
        "validation_pictures": len(exam.codes) - exam.pool,
        "test_pictures": len(exam.truth),
        "grid": settings.grid,
        "layers": [i + 1 for i in settings.layers or range(bench.discriminator.config.levels)],
        "features": entries[DCGAN].features,
        "choices": {
            name: {
                "chosen": entry.result.setting,
                "validation_error": [
                    {"setting": setting, "value": error}
                    for setting, error in entry.result.tried.items()
                ],
            }
            for name, entry in entries.items()
        },
        "confusion": _counts(entries[DCGAN].result, exam),
    }


def _table(entries: Mapping[str, Entry]) -> Table:
    rows: list[Sequence[str | float | int | None]] = []
    for name, entry in entries.items():
        share, over = _percent(two_way(entry.result.right)), spread(entry.result.right)
        rows.append(
            (
                name,
                entry.label,
                entry.features,
                entry.result.setting,
                len(entry.result.right),
                round(share.value, 2),
                None if over is None else round(100 * over, 2),
                None if share.low is None else round(share.low, 2),
                None if share.high is None else round(share.high, 2),
                round(100 - share.value, 2),
            )
        )
    columns = ("key", "what", "features", "chosen", "draws", "accuracy %", "± draws", "low", "high")
    keys = (
        "key", "what", "features", "chosen", "draws", "accuracy_percent",
        "standard_deviation_of_draws_percent", "low_percent", "high_percent", "error_percent",
    )  # fmt: skip
    return Table("Contenders", (*columns, "error %"), rows, keys=keys)


def _confusion(result: Result, exam: Exam) -> list[Table]:
    """What the pictures of each class were taken for, in % of the class."""
    if len(exam.classes) > MOST_CLASSES:
        return []
    counts = np.array(_counts(result, exam))
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    rows = [
        (name, *(round(share, 1) for share in row), int((exam.truth == k).sum()))
        for k, (name, row) in enumerate(zip(exam.classes, shares.tolist(), strict=True))
    ]
    columns = ("is", *exam.classes, "pictures")
    keys = ("class", *("" for _ in exam.classes), "pictures")
    return [Table("Confusion, % of each class", columns, rows, "confusion_percent", keys)]


def _counts(result: Result, exam: Exam) -> list[list[int]]:
    """How often pictures of each class (row) were taken for each class (column), over all draws."""
    k = len(exam.classes)
    cells = np.bincount((exam.truth * k + result.answers).ravel(), minlength=k * k)
    return cells.reshape(k, k).tolist()


def _notes(gains: Mapping[str, Estimate], exam: Exam) -> tuple[str, ...]:
    draws, labels = len(exam.lessons), len(exam.lessons[0].codes)
    if draws > 1:
        reading = (
            f"intervals of 95 %: other draws of {counted(labels, 'label')} and other test images "
            "(two-way analysis of variance); ± draws: 1.96 standard deviations over draws, as the "
            "paper prints it: where single draws lie, not how sure their mean is"
        )
    else:
        reading = (
            "intervals of 95 %: other test images (Wilson; differences: paired, Bonett and Price)"
        )
    notes = [reading]
    if draws > 1 and labels > OVERLAP * exam.pool:
        notes.append(
            f"the draws overlap: {labels:,} of {counted(exam.pool, 'picture')} each, so they differ less "
            "than draws of new pictures would"
        )
    for name, gain in gains.items():
        if gain.low is not None and gain.high is not None and gain.low <= 0:
            verdict = "worse than" if gain.high < 0 else "not surely better than"
            notes.append(f"DCGAN features are {verdict} {LABELS[name]}: {_why(name)}")
    return tuple(notes)


def _why(name: str) -> str:
    """What to try where a control is not beaten."""
    return {
        "random": "train longer, or with more feature maps (--ndf)",
        "supervised": "the labels alone teach as much; try fewer labels",
    }.get(name, "train longer, at a larger --size, or try other --layers")


def spread(right: Right) -> float | None:
    """1.96 standard deviations of the accuracy over draws, as the paper prints; None with one."""
    if len(right) < 2:
        return None
    return 1.96 * float(right.mean(1).std(ddof=1))


def _gain(right: Right, other: Right) -> Estimate:
    """Accuracy of the first less that of the other, over the draws that both had."""
    both = min(len(right), len(other))
    return two_way_difference(right[:both], other[:both])


def _percent(estimate: Estimate) -> Estimate:
    return scaled(estimate, 100)


def _error(found: Estimate) -> Estimate:
    return scaled(found, -1, 100)
