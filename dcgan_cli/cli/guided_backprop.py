"""`dcgan guided-backprop`: draw what the discriminator's features look at."""

from pathlib import Path
from typing import Annotated

from typer import Option

from dcgan_cli.analysis.guided_backprop.defaults import DRAWS, FEATURES, MEASURED, TOP
from dcgan_cli.choices import RULES, one_of
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import PNG, Output, check_outputs
from dcgan_cli.cli.request import check_source

OUT = Path("guided-backprop.png")
"""What is written where no -o is typed."""

LIMIT = 4000
"""Images among which maximal responses are looked for, where nothing else is said."""


def guided_backprop(
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        str | None,
        Option(
            help="Look at these images, as in dcgan train. Default: those it was trained on.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        Option(
            help="A CSV file of boxes (file,kind,x0,y0,x1,y1, in fractions) around known objects."
        ),
    ] = None,
    limit: Annotated[
        int, Option(help="Look at so many images at most, evenly spread.", min=1)
    ] = LIMIT,
    layer: Annotated[
        int | None,
        Option(
            help="Which convolution of D, from 1. Default: the last.", min=1, show_default=False
        ),
    ] = None,
    features: Annotated[
        int, Option(help="Maps to draw, the first of the layer (paper: 6).", min=1)
    ] = FEATURES,
    top: Annotated[int, Option(help="Images of each map (paper: 5).", min=1)] = TOP,
    measured: Annotated[
        int,
        Option(
            help="Maps to measure, the first of the layer; at least --features, at most all.", min=1
        ),
    ] = MEASURED,
    draws: Annotated[
        int, Option(help="Random discriminators to measure beside it.", min=2)
    ] = DRAWS,
    rule: Annotated[
        str,
        Option(
            help="How gradients pass LeakyReLU: guided (where its input was positive, and positive "
            "ones only: read as ReLU), leaky (positive ones only, with its slope below zero), "
            "gradient (as they are)."
        ),
    ] = RULES[0],
    seed: options.Seed = 0,
    out: Annotated[Path, Option("-o", "--out", help="The PNG to write; - is stdout.")] = OUT,
    *,
    figure: options.FigureOptions,
    common: options.Common,
) -> None:
    """Draw what the discriminator's features look at, beside random filters (paper Fig. 5).

    For each of the first maps of its last convolution layer: the images to which it responds most,
    and what the largest response owes to every pixel, left for random filters, right for the
    trained ones. Guided backpropagation is defined for ReLU, this network has LeakyReLU: --rule
    says how it is read. Each visualization is scaled by itself, gray is zero. Batch norm uses
    statistics that are re-estimated on the images. The values: the share of the receptive field
    that is filled, how the rules agree, how much lies on known objects (where boxes are known:
    demo:rooms, or --labels), and what is left of it all when layers are randomized from the top
    down.

    [bold]Examples[/bold]

      dcgan guided-backprop                                the newest run, its own images

      dcgan guided-backprop rooms --features 12 --layer 3

      dcgan guided-backprop faces --data photos/ --labels boxes.csv --rule leaky

      dcgan guided-backprop rooms --json --quiet
    """
    one_of("--rule", rule, RULES)
    drawing = figure.into(out)
    outputs = (Output("-o", out, PNG, unnamed=out == OUT), drawing.captioned)
    check_outputs(outputs, (data, labels), common.json)

    check_source(data)

    from dcgan_cli.analysis.guided_backprop import guided
    from dcgan_cli.cli.image_source import inspect_source, prepare_shown, training_images
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.results import conclude

    console, machine = common.begin()
    doing = "looking with the discriminator of"
    _, model = open_model(console, checkpoint, doing, outputs)
    choice = guided.Choice.of(model.model, layer, rule, features, top, measured, draws, seed)
    source, request = training_images(
        console, model, "--data", location=data, labels=labels, limit=limit
    )
    source, seen = inspect_source(console, request, source)
    if seen.channels != model.model.channels:
        colors = "gray" if model.model.channels == 1 else "in color"
        console.note(f"the model is {colors}, and so it sees them")
    images = prepare_shown(console, source, request, model)
    with console.progress("looking") as bar:
        report = guided.guided_backprop(
            model.build_discriminator(),
            images,
            choice,
            checkpoint=model.hash,
            boxes=None if source.labels is None else source.labels.boxes,
            name=source.name,
            device=machine,
            progress=bar,
        )
    images.close()
    drawing.write(console, report.grids[0].shaped(model.aspect))
    conclude(console, report, common, out=out, data=source.location)
