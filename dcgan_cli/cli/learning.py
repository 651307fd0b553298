"""`dcgan concepts learn`: exemplars found by a judge of labelled real pictures."""

from pathlib import Path
from typing import Annotated

import typer

from dcgan_cli.cli import judging, options
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.judging import train_judge
from dcgan_cli.cli.naming import open_model, write
from dcgan_cli.cli.pictures import Request
from dcgan_cli.cli.results import conclude

SAMPLES, EXEMPLARS = 4096, 32


def learn(
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Labelled real pictures, as in dcgan train: demo:faces, faces.zip.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A CSV file of labels that joins the pictures.")
    ] = None,
    limit: judging.Limit = judging.LIMIT,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Learn this column of the labels alone; repeatable. Default: all."),
    ] = None,
    concept: Annotated[
        list[str] | None,
        typer.Option(
            help='Make this concept: "smiling_woman=smiling & woman"; repeatable. Default: every '
            "class, and every pair of classes of two attributes."
        ),
    ] = None,
    exemplars: Annotated[
        int, typer.Option(help="Exemplars of each concept; the paper has 3.", min=3)
    ] = EXEMPLARS,
    samples: Annotated[
        int, typer.Option(help="How many samples are judged to find them.", min=100)
    ] = SAMPLES,
    seed: options.Seed = 0,
    bn: options.BatchNorm = options.BATCH_NORM,
    no_ema: options.NoAverage = False,
    json: options.Json = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find exemplars with a judge that learns from labelled real pictures.

    The judge is linear, on the discriminator's features or on small pixels, whichever does better;
    its accuracy on pictures that it did not learn from is printed, and labels in which it is no
    better than chance are refused. It looks at many samples; the most certain ones that differ in
    everything else become the exemplars. Concepts of the same name are replaced.

    [bold]Examples[/bold]

      dcgan concepts learn --data demo:faces

      dcgan concepts learn faces --data faces.zip --labels labels.csv --attribute smile

      dcgan concepts learn --data demo:faces --concept "smiling_woman=smiling & woman"
    """
    from dcgan_cli.errors import UsageError

    if data is None:
        raise UsageError("--data SOURCE is missing: labelled pictures such as demo:faces")

    from dcgan_cli.analysis.concepts import learning
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.checkpoint.concepts import own_concepts, written_path
    from dcgan_cli.runtime import choose_device, use_threads

    console = Console(quiet)
    use_threads(threads)
    machine = choose_device(device)
    path, model = open_model(console, checkpoint)
    known = own_concepts(path, model)
    request = Request(data, labels=labels, limit=limit)
    judge = train_judge(console, request, model, machine, "--data", attribute, seed).judge
    wishes = [learning.parse_wish(text, judge) for text in concept or ()]
    drawing = Drawing.of(model, bn, machine, average=not no_ema)
    with console.progress("judging samples") as bar:
        latents, verdicts = learning.score_samples(drawing, judge, samples, seed, bar)
    found, report = learning.learn(
        latents,
        verdicts,
        wishes or learning.default_wishes(judge),
        judge,
        exemplars=exemplars,
        made=f"learnt from {data} (seed {seed}, --bn {bn}{' --no-ema' if no_ema else ''})",
    )
    write(console, path, model, {**known, **{one.name: one for one in found}})
    facts = {
        "checkpoint": model.hash,
        "seed": seed,
        "samples": samples,
        "bn": bn,
        "ema": drawing.average,
        "concepts": [one.name for one in found],
    }
    conclude(console, report, out=written_path(path, model), json=json, **facts)
