"""`dcgan nearest-neighbors`: the training images nearest to samples, and whether these are copies."""

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from dcgan_cli.checkpoint.names import check_points
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import LINES, PNG, WHY_PNG, Output, check_outputs
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError

OUT = Path("nearest.png")
"""What is written where no -o is typed."""

COUNT = 2000
"""Samples classified where nothing else is said: one copy in a hundred is found among so many."""

ROWS = 8

OTHER_MNIST = re.compile("fashion|kmnist|emnist|qmnist")
"""Sets in MNIST's form that are not MNIST."""


def nearest_neighbors(
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        str | None,
        Option(
            help="The training images. Default: those that the checkpoint was trained on.",
            metavar="SOURCE",
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        Option(
            help="Real images that samples are classified by: a SOURCE of the same kind that was not "
            "trained on, or the share of the training images to set aside from the comparison: the "
            "network was trained on these too, and copies of them go unseen. Default: a quarter, "
            "at most 2000.",
            metavar="SOURCE|SHARE",
        ),
    ] = None,
    count: Annotated[
        int | None, Option("-n", "--count", help=f"How many samples. Default: {COUNT}.", min=1)
    ] = None,
    of: Annotated[
        list[str] | None,
        Option(
            help="Ask about these instead; repeat it: samples.png#3, z.npy, a concept, photo.jpg."
        ),
    ] = None,
    k: Annotated[int, Option("-k", help="Neighbors shown of each.", min=1)] = 5,
    rows: Annotated[
        int | None,
        Option(
            help=f"Images shown, and closest ones below. Default: {ROWS}, or all of --of.", min=1
        ),
    ] = None,
    limit: Annotated[
        int | None,
        Option(
            help="Compare with so many training images at most; copies of others go unseen.", min=1
        ),
    ] = None,
    classify: Annotated[
        str | None,
        Option(
            help="Also test a nearest-neighbor classifier of this column of the labels that learns "
            "from samples alone (the paper's appendix).",
            metavar="COLUMN",
        ),
    ] = None,
    labels: Annotated[
        Path | None, Option(help="A CSV file of labels that joins the training images.")
    ] = None,
    held_out_labels: Annotated[
        Path | None, Option(help="The same for the images of --held-out SOURCE.")
    ] = None,
    strict: Annotated[
        bool, Option("--strict", help="Exit with 1 where memorization is found.")
    ] = False,
    seed: options.Seed = 0,
    out: Annotated[
        Path, Option("-o", "--out", help="The PNG to write; - writes it to stdout.")
    ] = OUT,
    map_file: Annotated[
        Path | None,
        Option("--map", help="A UMAP of samples among training images: .png, .pdf or .svg."),
    ] = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    show: options.Show = False,
    common: options.Common,
) -> None:
    """Find the training images nearest to samples, and say whether the model memorized.

    The image grid shows samples with their neighbors in pixels and in D's features, and below them
    those that are closest to one training image. The verdict compares samples with real images,
    held out or set aside (--held-out): copies are found up to a mirror, a small shift, brightness
    and contrast.

    [bold]Examples[/bold]

      dcgan nearest-neighbors                          2000 samples, nearest.png

      dcgan nearest-neighbors faces --strict --json

      dcgan nearest-neighbors faces --of samples.png#3 --of photo.jpg

      dcgan nearest-neighbors mnist --data mnist/ --held-out mnist/#test --classify label
    """
    if of and count is not None:
        raise UsageError("-n draws samples, --of names images; give one of the two")
    if held_out_labels is not None and held_out is None:
        raise UsageError("--held-out-labels: of which images? Name them with --held-out SOURCE")
    if of and classify is not None:
        raise UsageError("--classify learns from samples; it does not go with --of")
    drawing = figure.into(out)
    outputs = (
        Output("-o", out, PNG, WHY_PNG, unnamed=out == OUT),
        drawing.captioned,
        Output("--map", map_file, LINES),
    )
    check_outputs(outputs, [data, held_out, labels, *(of or ())], common.json)

    check_points(*(of or ()))
    check_source(data)

    from dcgan_cli.analysis.embedding import embed
    from dcgan_cli.analysis.nearest_neighbors import nearest as experiment
    from dcgan_cli.analysis.nearest_neighbors.sample_classifier import evaluate
    from dcgan_cli.cli.image_source import training_images
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.nearest_neighbors.comparison import compare_with
    from dcgan_cli.cli.nearest_neighbors.queries import given, samples
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.render.scatter import encode_scatter

    console, machine = common.begin()
    path, model = open_model(console, checkpoint, "drawing with", outputs)
    sampler = sampling.sampler(model, machine)
    discriminator = model.build_discriminator().to(machine)
    source, request = training_images(console, model, "--data", location=data, labels=labels)
    with ExitStack() as stack:
        queries = given(console, of, model, path, sampler) if of else None
        compared = compare_with(
            console,
            stack,
            model,
            source,
            request,
            held_out=held_out,
            held_out_labels=held_out_labels,
            limit=limit,
            column=classify,
            seed=seed,
        )
        queries = queries or samples(console, sampler, count or COUNT, seed)
        with console.progress("comparing") as bar:
            report = experiment.nearest_neighbors(
                queries,
                compared.training,
                compared.held_out_images,
                discriminator,
                k=k,
                rows=rows or (len(queries) if of else ROWS),
                seed=seed,
                trained_on=compared.trained_on,
                progress=bar,
            )
        if classify is not None:
            place = request.location.lower()
            with console.progress("classifying") as bar:
                report = evaluate(
                    report,
                    queries.images,
                    compared.training,
                    compared.classes,
                    compared.held_out_images,
                    compared.held_out_classes,
                    mnist="mnist" in place and not OTHER_MNIST.search(place),
                    device=machine,
                    seed=seed,
                    progress=bar,
                )
        points = None
        if map_file is not None:
            points = experiment.map_rows(queries, compared.training, discriminator, seed)
    grid = report.grids[0].shaped(model.aspect)
    drawing.write(console, grid)
    facts = {
        "data": request.location,
        "held_out_from": held_out or request.location,
        "bn": sampling.bn,
        "ema": sampler.average,
    }
    if map_file is not None and points is not None:
        features, groups = points
        names, title = experiment.MAP_GROUPS, experiment.MAP_TITLE
        lines = drawing.lines(map_file)
        umap = encode_scatter(embed(features, seed), groups, names, title, **lines)
        console.write_result(map_file, umap)
        facts["map"] = str(map_file)
    conclude(console, report, common, out=out, shown=grid if show else None, **facts)
    if strict and report.facts["memorized"]:
        raise typer.Exit(1)
