"""`dcgan drop-filters`: make the generator forget an object, and measure what that does."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import (
    HTML,
    JSON,
    LINES,
    PNG,
    PT,
    WHY_PNG,
    Output,
    check_outputs,
)  # fmt: skip
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError
from dcgan_cli.files import is_special
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    from dcgan_cli.analysis.drop_filters.filters import Ranking

OUT = Path("forgotten.png")
"""What is written where no -o is typed."""


def drop_filters(
    checkpoint: options.Checkpoint = None,
    find: Annotated[
        str | None,
        Option(
            metavar="KIND",
            help="The object to forget: window. With --boxes it may be left out where they are of "
            "one kind.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None,
        Option(
            "--from",
            metavar="SOURCE",
            help="Real images with boxes, to learn finding the object from: demo:rooms, or "
            "photographs with --labels. Default: those the model was trained on.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None, Option(help="A CSV file of boxes for --from: file, kind, x0, y0, x1, y1.")
    ] = None,
    limit: Annotated[
        int | None, Option(help="Use so many images of --from, evenly spread.", min=1)
    ] = None,
    boxes: Annotated[
        Path | None,
        Option(
            help="Boxes on the samples, drawn by hand: what the page of --annotate saves, COCO, "
            "LabelMe, Pascal VOC or CSV."
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        Option(
            metavar="PAGE.html",
            help="Write a page on which to draw the boxes, and stop. It shows those of --boxes, or "
            "those found with --find and --from, to begin with.",
        ),
    ] = None,
    count: Annotated[
        int, Option("-n", "--count", help="Samples that are looked at.", min=20)
    ] = 150,
    fresh: Annotated[
        int, Option(help="Samples of the next seed on which the outcome is measured.", min=20)
    ] = 200,
    layer: Annotated[
        int | None,
        Option(
            help="The layer whose maps are dropped: 0 is the projection, 1 the first convolution "
            "after it, and so on. Default: 1 (8×8).",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        Option(
            help="Drop the maps of a weight above this, in log-odds per standard deviation of the "
            "map. Default: 0.",
            show_default=False,
        ),
    ] = None,
    maps: Annotated[
        int | None, Option(help="Drop so many maps instead, those of the highest weights.", min=1)
    ] = None,
    keep_only: Annotated[
        bool, Option("--keep-only", help="Keep these maps and drop all others.")
    ] = False,
    save: Annotated[
        Path | None,
        Option(metavar="CHECKPOINT", help="Write a model that has forgotten the object."),
    ] = None,
    save_boxes: Annotated[
        Path | None, Option(metavar="JSON", help="Write the boxes that were trained on.")
    ] = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path, Option("-o", "--out", help="The PNG of the image grid; - writes it to stdout.")
    ] = OUT,
    curve: Annotated[
        Path | None,
        Option(
            help="The dose curve: .png, .pdf or .svg. Default: beside the image grid, forgotten-dose.png; none "
            "with -o -.",
            show_default=False,
        ),
    ] = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    common: options.Common,
) -> None:
    """Make the generator forget an object by dropping feature maps (paper §6.3.1, Fig. 6).

    A logistic regression learns which feature maps of a layer speak for the object, from boxes on
    samples: yours (--annotate, then --boxes), or those of an object detector that is trained on
    real images with boxes (--find, --from). The maps with a weight above zero are dropped from all
    locations of fresh samples. The figure shows samples, the same without these maps, and without
    as many random maps; the values say how often the object, and what else the images have boxes
    of, is found before and after.

    [bold]Examples[/bold]

      dcgan drop-filters rooms --find window --from demo:rooms

      dcgan drop-filters rooms --find window --annotate page.html -n 150

      dcgan drop-filters rooms --boxes boxes.json --save windowless.pt

      dcgan drop-filters bedrooms --find window --from house.zip --labels window_boxes.csv
    """
    if maps is not None and threshold is not None:
        raise UsageError("--maps says how many maps, --threshold which; give one of the two")
    if labels is not None and source is None:
        raise UsageError("--labels holds boxes of real images; name these with --from SOURCE")
    if source is not None and find is None:
        raise UsageError("--from: what shall be found in these images? --find KIND, as in window")
    if find is None and boxes is None and annotate is None:
        raise UsageError(
            "what shall be forgotten? --find KIND --from SOURCE finds it, --annotate PAGE.html "
            "writes a page to draw boxes on, --boxes FILE reads them"
        )

    target = curve or curve_beside(out)
    drawn_only = annotate is not None
    drawing = figure.into(out)
    outputs = (
        Output("--annotate", annotate, HTML),
        Output("-o", None if drawn_only else out, PNG, WHY_PNG, unnamed=out == OUT),
        Output("--curve", None if drawn_only else target, LINES, unnamed=curve is None),
        Output("--save", save, PT),
        Output("--save-boxes", save_boxes, JSON),
        *([] if drawn_only else [drawing.captioned]),
    )
    check_outputs(outputs, (source, labels, boxes), common.json)

    check_source(source)

    from dcgan_cli.data.box_files import read_boxes, write_boxes

    drawn = None if boxes is None else read_boxes(boxes, count)

    from dcgan_cli.analysis.drop_filters import filters
    from dcgan_cli.analysis.drop_filters.drop_experiment import DropExperiment, DropPlan
    from dcgan_cli.analysis.drop_filters.forgetting import forget
    from dcgan_cli.checkpoint.format import save as save_checkpoint
    from dcgan_cli.cli.drop_filters.detector import boxed_source, learn_from_source
    from dcgan_cli.cli.drop_filters.sample_boxes import Samples, write_page
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.render.dose_curve import encode_dose

    console, machine = common.begin()
    _, model = open_model(console, checkpoint, "looking into", outputs)
    sampler = sampling.sampler(model, machine)
    number = filters.choose_layer(sampler.generator, layer)  # before any work is done
    samples = Samples(sampler, seed, count)
    if boxes is not None and drawn is not None:
        samples.check(boxes, drawn)
    kind = samples.kind(find, boxes, drawn)
    detector = None
    if source is not None or (drawn is None and annotate is None):
        real = boxed_source(console, model, source, labels, limit)
        detector = learn_from_source(console, real, model, kind, machine, seed)
    if drawn is None and detector is not None:
        drawn = samples.predict(console, detector, kind)
    if drawn is not None and save_boxes is not None:
        console.write_result(save_boxes, write_boxes(drawn))
    if annotate is not None:
        write_page(console, annotate, samples, kind, drawn, common.json)
        return
    assert drawn is not None  # they were given, or predicted

    ranking = filters.rank_feature_maps(
        filters.activations(sampler, number, samples.latents), drawn.boxes, kind, number, seed
    )
    if detector is None:
        detector = samples.train_detector(console, drawn, model, kind, machine)
    plan = DropPlan(ranking, _chosen(ranking, threshold, maps), keep_only, seed)
    later = Samples(sampler, seed + 1, fresh)
    with console.progress("dropping") as bar:
        setup = DropExperiment.of(sampler, detector, kind, later.latents)
        report = forget(setup, plan, seed=later.seed, progress=bar)
    facts: dict[str, Any] = {"seed": seed, "samples": count}
    drawing.write(console, report.grids[0].shaped(model.aspect))
    if target is not None:
        dose = encode_dose(report.tables[0], kind, plan.chosen, keep_only, **drawing.lines(target))
        console.write_result(target, dose)
        console.note(f"dose curve: {target}")
        facts["curve"] = str(target)
    if save is not None:
        gone, bn = plan.gone(plan.chosen), sampler.bn
        lost = {"object": kind, "layer": number, "maps": gone, "keep_only": keep_only, "bn": bn}
        history = [*model.training.get("forgotten", []), lost]
        without = filters.forgotten(model, number, gone, bn)
        save_checkpoint(save, replace(without, training={**model.training, "forgotten": history}))
        console.note(f"{save}: the same images are drawn from it with --bn running")
        facts["saved"] = str(save)
    conclude(console, report, common, out=out, **facts)


def curve_beside(out: Path) -> Path | None:
    """Where the dose curve goes when no file was named: beside the grid, if that is a file at all."""
    return None if is_special(out) or not out.name else out.with_name(f"{out.stem}-dose.png")


def _chosen(ranking: "Ranking", threshold: float | None, maps: int | None) -> int:
    """How many of the maps in order are dropped. Raises UsageError where it would be none."""
    total = len(ranking.weights)
    if maps is not None:
        if maps > total:
            raise UsageError(f"--maps {maps}: layer {ranking.layer} has {counted(total, 'map')}")
        return maps
    chosen = len(ranking.above(threshold or 0.0))
    if not chosen:
        highest = ranking.weights[ranking.order[0]]
        raise UsageError(
            f"--threshold {threshold or 0.0:g}: no map has a weight above it, the highest is "
            f"{highest:.3g}"
        )
    return chosen
