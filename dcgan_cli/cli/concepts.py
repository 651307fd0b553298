"""`dcgan concepts`: names for points of one model's Z."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcgan_cli.cli import options
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.judging import LIMIT

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.concepts import Concept
    from dcgan_cli.checkpoint.format import Checkpoint

SAMPLES, EXEMPLARS = 4096, 16

concepts = typer.Typer(
    name="concepts",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Name points of a model's Z, by hand or by a judge that learnt from labelled pictures.

Concepts stand in a readable JSON beside the checkpoint and belong to its weights alone. A concept's
name is a latent argument of every command, and a term of dcgan arithmetic.

[bold]Examples[/bold]

  dcgan concepts learn --data demo:faces

  dcgan concepts add surprised samples.png#3,17,40

  dcgan concepts list

  dcgan concepts show smiling_woman -o smiling_woman.png
""",
)

Name = Annotated[str, typer.Argument(help="The concept: small letters, digits and _.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--checkpoint", "-c", help="A .pt file or a run, as in other commands. Default: the newest."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace concepts that have the same name.")
]


@concepts.command()
def add(
    name: Name,
    points: Annotated[
        list[str], typer.Argument(help="Its exemplars: samples.png#3,17,40 or z.npy#0,4.")
    ],
    checkpoint: Model = None,
    overwrite: Overwrite = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Name points: three or more exemplars that you picked by eye.

    [bold]Examples[/bold]

      dcgan concepts add surprised samples.png#3,17,40

      dcgan concepts add surprised one.png#3 other.png#5,6 --checkpoint faces
    """
    import numpy as np

    from dcgan_cli.checkpoint.concepts import Concept, check_name, own_concepts, unsteady
    from dcgan_cli.checkpoint.latents import read_latents

    check_name(name)
    console = Console(quiet)
    path, model = _open(console, checkpoint)
    known = own_concepts(path, model)
    _refuse_taken([name], known, overwrite, path)
    rows = np.concatenate([read_latents(point, model, path).latents for point in points])
    concept = Concept(name, rows, "picked: " + " ".join(points))
    if (warning := unsteady(name, len(rows))) is not None:
        console.note(f"warning: {warning}")
    _write(console, path, model, {**known, name: concept})
    console.result(name)


@concepts.command(name="list")
def list_(
    checkpoint: options.Checkpoint = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """List a model's concepts.

    [bold]Examples[/bold]

      dcgan concepts list

      dcgan concepts list faces --json
    """
    from dcgan_cli.checkpoint.concepts import read_concepts
    from dcgan_cli.render.document import to_json
    from dcgan_cli.render.terminal import plain_table
    from dcgan_cli.report import Report, Table

    console = Console(quiet)
    path, model = _open(console, checkpoint)
    known = read_concepts(path, model)
    if json:
        entries = {
            name: {
                "exemplars": len(concept.exemplars),
                "meaning": dict(concept.meaning),
                "made": concept.made,
            }
            for name, concept in sorted(known.items())
        }
        facts = {"checkpoint": model.hash, "concepts": entries}
        console.result(to_json(Report("Concepts", facts)))
        return
    if not known:
        console.note(f"{path} has no concepts yet; make some: dcgan concepts learn --data SOURCE")
        return
    rows = [(name, len(c.exemplars), c.made) for name, c in sorted(known.items())]
    console.result_table(plain_table(Table("Concepts", ("name", "exemplars", "made"), rows)))


@concepts.command()
def show(
    name: Name,
    checkpoint: Model = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The PNG. Default: NAME.png; - writes it to stdout."),
    ] = None,
    bn: options.BatchNorm = options.BATCH_NORM,
    no_ema: options.NoAverage = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Draw a concept: its exemplars, and last the point that is their mean.

    [bold]Examples[/bold]

      dcgan concepts show smiling_woman

      dcgan concepts show smiling_woman -o - | imgcat
    """
    from dcgan_cli.analysis.arithmetic import draw_concept
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.checkpoint.latents import read_latents
    from dcgan_cli.render.png import encode_sheet
    from dcgan_cli.runtime import choose_device, use_threads

    console = Console(quiet)
    use_threads(threads)
    path, model = _open(console, checkpoint)
    points = read_latents(name, model, path)
    drawing = Drawing.of(model, bn, choose_device(device), average=not no_ema)
    target = out or Path(f"{name}.png")
    console.write_result(target, encode_sheet(draw_concept(drawing, name, points.latents)))
    if points.concept is not None:
        console.note(f"{name}: {points.concept.made}")
    if str(target) != "-":
        console.result(str(target))


@concepts.command()
def remove(
    name: Name,
    checkpoint: Model = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Forget a concept.

    [bold]Examples[/bold]

      dcgan concepts remove surprised
    """
    from dcgan_cli.checkpoint.concepts import read_concepts, unknown
    from dcgan_cli.errors import UsageError

    console = Console(quiet)
    path, model = _open(console, checkpoint)
    known = read_concepts(path, model)
    if name not in known:
        raise UsageError(f"{name}: {unknown(known, name, path)}")
    _write(console, path, model, {key: known[key] for key in known if key != name})
    console.result(name)


@concepts.command()
def export(
    file: Annotated[Path, typer.Argument(help="The JSON to write; - writes it to stdout.")],
    checkpoint: Model = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write all concepts of a model to a file, to pass on with its checkpoint.

    [bold]Examples[/bold]

      dcgan concepts export faces.json --checkpoint faces
    """
    from dcgan_cli.checkpoint.concepts import read_concepts, to_text, unknown
    from dcgan_cli.errors import UsageError

    console = Console(quiet)
    path, model = _open(console, checkpoint)
    known = read_concepts(path, model)
    if not known:
        raise UsageError(unknown(known, "", path))
    console.write_result(file, to_text(model, known).encode())
    if str(file) != "-":
        console.result(str(file))


@concepts.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A file that concepts export wrote.")],
    checkpoint: Model = None,
    overwrite: Overwrite = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Take over the concepts of a file; it must be of the same weights.

    [bold]Examples[/bold]

      dcgan concepts import faces.json --checkpoint faces
    """
    from dcgan_cli.checkpoint.concepts import own_concepts, read_file

    console = Console(quiet)
    path, model = _open(console, checkpoint)
    new, known = read_file(file, model), own_concepts(path, model)
    _refuse_taken(list(new), known, overwrite, path)
    _write(console, path, model, {**known, **new})
    for name in sorted(new):
        console.result(name)


@concepts.command()
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
    limit: Annotated[
        int, typer.Option(help="Learn to judge from so many pictures at most.", min=100)
    ] = LIMIT,
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

    from dataclasses import replace

    from dcgan_cli.analysis import learning
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.checkpoint.concepts import concepts_path, own_concepts
    from dcgan_cli.cli.judging import train_judge
    from dcgan_cli.cli.pictures import Request
    from dcgan_cli.render.document import to_json
    from dcgan_cli.render.terminal import findings_table, plain_table
    from dcgan_cli.runtime import choose_device, use_threads

    console = Console(quiet)
    use_threads(threads)
    machine = choose_device(device)
    path, model = _open(console, checkpoint)
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
    _write(console, path, model, {**known, **{one.name: one for one in found}})
    facts = {
        "checkpoint": model.hash,
        "seed": seed,
        "samples": samples,
        "concepts": [one.name for one in found],
        "file": str(concepts_path(path)),
    }
    for note in report.notes:
        console.note(note)
    if json:
        console.result(to_json(replace(report, facts=facts)))
        return
    console.result_table(findings_table(report))
    for table in report.tables:
        console.result_table(plain_table(table))
    console.result(str(concepts_path(path)))


def _open(console: Console, checkpoint: str | None) -> "tuple[Path, Checkpoint]":
    from dcgan_cli.checkpoint.find import find_checkpoint
    from dcgan_cli.checkpoint.format import load

    path = find_checkpoint(checkpoint)
    console.note(f"concepts of {path}")
    return path, load(path)


def _refuse_taken(
    names: list[str], known: "dict[str, Concept]", overwrite: bool, path: Path
) -> None:
    from dcgan_cli.errors import UsageError

    taken = sorted(known.keys() & set(names))
    if taken and not overwrite:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UsageError(
            f"{taken[0]}{more}: {path} has a concept of that name; --overwrite replaces it"
        )


def _write(
    console: Console, path: Path, model: "Checkpoint", concepts: "dict[str, Concept]"
) -> None:
    from dcgan_cli.checkpoint.concepts import write_concepts

    aside = write_concepts(path, model, concepts)
    if aside is not None:
        console.note(f"the concepts of its earlier weights are set aside in {aside}")
