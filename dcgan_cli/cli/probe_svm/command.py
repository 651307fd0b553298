"""`dcgan probe-svm`: what the discriminator learned, as the accuracy of a linear classifier."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgan_cli.choices import CONTROLS as KNOWN
from dcgan_cli.choices import HELD_OUT, one_of
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import CSV, LINES, NPY, Output, check_outputs, rows_file
from dcgan_cli.cli.request import Request, check_source
from dcgan_cli.errors import UsageError

DRAWS = 10

STATISTICS = ("reestimated", "running")


@dataclass(frozen=True)
class ImageOptions:
    """Which images are learned from, and by which the result is evaluated."""

    panel = "Images"
    train: Annotated[
        str | None,
        Option(
            help="Labeled images to learn from, as in dcgan train. Default: those the model "
            "was trained on.",
            show_default=False,
        ),
    ] = None
    test: Annotated[
        str | None,
        Option(
            help="Labeled images to be evaluated on; of MNIST, CIFAR and SVHN the test part. "
            "Default: what a column called split says, or a part of --train.",
            show_default=False,
        ),
    ] = None
    held_out: Annotated[
        float | None,
        Option(
            help="Keep this share of --train, stratified, for the test, whatever a column split "
            f"says. Default: {HELD_OUT:g}, without --test and such a column.",
            min=0.01,
            max=0.9,
        ),
    ] = None
    labels: Annotated[Path | None, Option(help="CSV: file, then labels, for --train.")] = None
    test_labels: Annotated[Path | None, Option(help="The same for --test.")] = None
    label_column: Annotated[
        str | None,
        Option(help="Which labels to tell apart. Default: label, or the only column there is."),
    ] = None
    limit: Annotated[int | None, Option(help="Use so many of --train, evenly spread.", min=1)] = (
        None
    )


@dataclass(frozen=True)
class ProtocolOptions:
    """How many labels there are, and how often all is repeated."""

    panel = "Protocol"
    per_class: Annotated[
        int | None,
        Option(help="Learn from so many labels of each class (paper: 400). Default: all.", min=1),
    ] = None
    labels_total: Annotated[
        int | None,
        Option(
            help="Learn from so many labels in all, even over the classes (paper: 1000).", min=2
        ),
    ] = None
    draws: Annotated[
        int | None, Option(help=f"Draws of few labels (paper: 100). Default: {DRAWS}.", min=1)
    ] = None
    splits: Annotated[
        int,
        Option(
            help="Repeat on so many random stratified splits into training and test images, and "
            "say how far the accuracy hangs on the split.",
            min=1,
        ),
    ] = 1
    validation: Annotated[
        int | None,
        Option(
            help="Training images that choices are made by. Default: a fifth, at most 10,000.",
            min=1,
        ),
    ] = None


@dataclass(frozen=True)
class FeatureOptions:
    """What of the discriminator is looked at."""

    panel = "Features"
    grid: Annotated[int, Option(help="Feature maps are max-pooled to this side.", min=1)] = 4
    layers: Annotated[
        str | None, Option(help="Layers of D that are looked at: 1,3. Default: all.")
    ] = None
    bn: Annotated[
        str,
        Option(
            "--bn",
            help="D's batch-norm statistics: reestimated (averaged over the training images, as "
            "the authors do) or running (moving averages of training).",
        ),
    ] = STATISTICS[0]
    ablate: Annotated[bool, Option("--ablate", help="Also each layer by itself.")] = False


@dataclass(frozen=True)
class ControlOptions:
    """What the features are compared with."""

    panel = "Controls"
    controls: Annotated[
        str,
        Option(
            help="Out of random, pixels, knn, kmeans, supervised; or all, or none. The last two "
            "take longer."
        ),
    ] = "random,pixels,knn"
    centroids: Annotated[int, Option(help="Of the K-means features (of each, 4).", min=2)] = 400
    trials: Annotated[
        int, Option(help="Settings that the supervised CNN is tried with (paper: 64).", min=1)
    ] = 8
    epochs: Annotated[int, Option(help="Epochs that each of them is trained at most.", min=1)] = 60


def probe_svm(
    checkpoint: options.Checkpoint = None,
    *,
    images: ImageOptions,
    protocol: ProtocolOptions,
    features: FeatureOptions,
    controls: ControlOptions,
    map_: Annotated[
        Path | None,
        Option(
            "--map",
            help="Draw the features in the plane (UMAP): .png, .pdf or .svg; - is a PNG on stdout.",
        ),
    ] = None,
    save_features: Annotated[
        Path | None,
        Option(help="Write them as float32 [N, F] .npy, and a .csv saying whose they are."),
    ] = None,
    seed: options.Seed = 0,
    common: options.Common,
) -> None:
    """Tell classes apart by the discriminator's features (paper §5, Tables 1 and 2).

    Every convolution layer after its activation, max-pooled to 4×4, is one long vector; a linear
    L2-SVM, one class against the rest, learns on it. Its C is chosen by images kept for that, from
    the authors' grid, which widens by itself. The controls get the same labels: random filters say
    what training taught, pixels what the network is for. Differences are paired, with intervals.

    [bold]Examples[/bold]

      dcgan probe-svm digits --labels-total 300

      dcgan probe-svm mnist --train mnist/ --test mnist/ --labels-total 1000 --draws 100

      dcgan probe-svm cifar --train cifar-10-batches-py/ --test cifar-10-batches-py/ --ablate

      dcgan probe-svm digits --splits 10

      dcgan probe-svm faces --train faces/ --labels faces.csv --label-column smile --map map.png
    """
    train, test, held_out = images.train, images.test, images.held_out
    per_class, labels_total, splits = protocol.per_class, protocol.labels_total, protocol.splits
    budget_given = per_class is not None or labels_total is not None
    if per_class is not None and labels_total is not None:
        raise UsageError("--per-class and --labels-total: give one of the two")
    if test is not None and held_out is not None:
        raise UsageError("--test and --held-out: give one of the two")
    if protocol.draws is not None and not budget_given:
        raise UsageError("--draws: needs --per-class or --labels-total")
    if images.test_labels is not None and test is None:
        raise UsageError("--test-labels: needs --test")
    if splits > 1 and test is not None:
        raise UsageError(f"--splits {splits}: splits --train; it does not go with --test")
    one_of("--bn", features.bn, STATISTICS)
    chosen = _controls(controls.controls)
    layers = _layers(features.layers)
    rows = None if save_features is None else rows_file(save_features)
    outputs = (
        Output("--save-features", save_features, NPY),
        Output("--save-features", rows, CSV),
        Output("--map", map_, LINES),
    )
    check_outputs(outputs, (train, test, images.labels, images.test_labels), common.json)
    check_source(train)
    check_source(test)

    from dcgan_cli.analysis.features import layer_spans, reestimate_on
    from dcgan_cli.analysis.probe_svm.baselines import ProbeSetup, Settings
    from dcgan_cli.analysis.probe_svm.probe import over, probe
    from dcgan_cli.analysis.probe_svm.probe_split import Budget, ProbeSplit
    from dcgan_cli.cli.image_source import training_images
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.probe_svm.feature_export import draw_map, write_features
    from dcgan_cli.cli.probe_svm.labeled_images import SPLIT, Task, read_task
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.report import Report

    console, machine = common.begin()
    _, model = open_model(console, checkpoint, "looking with the discriminator of", outputs)
    layer_spans(model.model, features.grid, layers)  # refuses what D does not have
    settings = Settings(
        features.grid, layers, controls.centroids, controls.trials, controls.epochs, seed, machine
    )
    learned = training_images(
        console, model, "--train", location=train, labels=images.labels, limit=images.limit
    )
    asked = None if test is None else Request(test, labels=images.test_labels)
    column = images.label_column
    task = read_task(console, model, learned, asked, column=column, held_out=held_out, seed=seed)
    if splits > 1 and not task.drawn:
        raise UsageError(
            f"--splits {splits}: the column {SPLIT} says which are the test images; add --held-out "
            f"{HELD_OUT:g} to draw them at random"
        )
    budget = Budget(per_class, labels_total, (protocol.draws or DRAWS) if budget_given else 1)

    def prepared(task: Task, number: int) -> ProbeSetup:
        """What is evaluated on split `number`, D's statistics fitted to its training images."""
        probe_split = ProbeSplit.prepare(
            task.classes, task.train.codes, task.test.codes, budget,
            validation=protocol.validation, seed=seed + number
        )  # fmt: skip
        discriminator = model.build_discriminator().to(machine)
        if features.bn == "reestimated":
            with console.progress("batch-norm statistics") as bar:
                order = task.train.rows[probe_split.order]
                reestimate_on(discriminator, task.train.images, order, bar)
        return ProbeSetup(discriminator, task.train, task.test, probe_split, settings)

    setup = prepared(task, 0)
    if save_features is not None:
        write_features(console, save_features, setup.discriminator, task, settings)
        console.note(f"features in {save_features}, whose they are in {rows}")
    if map_ is not None:
        console.write_result(map_, draw_map(console, setup.discriminator, task, settings, map_))
    kinds = [source.kind for source in task.sources]

    def evaluated(number: int) -> Report:
        here = setup
        if number:
            here = prepared(task.split_again(held_out or HELD_OUT, seed + number), number)
        found = probe(
            here, budget, chosen, ablate=features.ablate, kinds=kinds, stage=console.progress
        )
        if splits > 1:
            value = found.findings[0].value.value
            console.note(f"split {number + 1} of {splits}: accuracy {value:.2f} %")
        return found

    report = over(map(evaluated, range(splits))) if splits > 1 else evaluated(0)
    if splits == 1 and task.drawn:
        console.note(
            f"the {len(task.test.rows):,} test images are one random split; --splits 10 says how far other "
            "splits differ"
        )
    seen = model.reference.is_of(task.sources[1])
    if seen:
        console.note(
            "the network was trained on these test images too, without labels; train it on the "
            "training part alone for a stricter value"
        )
    facts: dict[str, Any] = {
        "checkpoint": model.hash,
        "train": task.sources[0].location,
        "test": None if task.held_out else task.sources[1].location,
        "label_column": task.column,
        "bn": features.bn,
        "test_seen_unlabelled": seen,
        "features_file": None if save_features is None else str(save_features),
    }
    conclude(console, report, common, out=map_, **facts)


def _controls(typed: str) -> tuple[str, ...]:
    """The controls by name, in the order in which they are evaluated. Raises UsageError."""
    if typed in ("all", "none"):
        return KNOWN if typed == "all" else ()
    names = {name.strip() for name in typed.split(",")}
    if unknown := sorted(names - set(KNOWN)):
        raise UsageError(
            f"--controls {','.join(unknown)}: expected {', '.join(KNOWN)}, all or none"
        )
    return tuple(name for name in KNOWN if name in names)


def _layers(typed: str | None) -> tuple[int, ...] | None:
    """The layers numbered from 0, ascending. Raises UsageError for what is no list of numbers."""
    if typed is None:
        return None
    numbers = [part.strip() for part in typed.split(",")]
    if not all(part.isdecimal() for part in numbers):
        raise UsageError(f"--layers {typed}: expected numbers such as 1,3")
    return tuple(sorted({int(part) - 1 for part in numbers}))
