"""`dcgan concepts`: names for points of one model's Z."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from dcgan_cli.checkpoint.names import check_name, check_points
from dcgan_cli.cli import options
from dcgan_cli.cli.command_decorator import command
from dcgan_cli.cli.concepts.learn import learn
from dcgan_cli.cli.outputs import JSON, PNG, WHY_PNG, Output, check_outputs, refuse_inputs
from dcgan_cli.errors import UsageError
from dcgan_cli.files import STDOUT, is_stdout

concepts = typer.Typer(
    name="concepts",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Name points of a model's Z, by hand or by an attribute classifier trained on labeled images.

Concepts stand in a readable JSON beside the checkpoint and belong to its weights alone. A concept's
name is a latent argument of every command, and a term of dcgan arithmetic.

[bold]Examples[/bold]

  dcgan concepts learn --data demo:faces

  dcgan concepts add surprised samples.png#3,17,40

  dcgan concepts list

  dcgan concepts show smiling_woman -o smiling_woman.png
""",
)

Name = Annotated[str, Argument(help="The concept: small letters, digits and _.")]
ByOption = Annotated[
    str | None,
    Option(
        "--checkpoint", "-c", help="A .pt file or a run, as in other commands. Default: the newest."
    ),
]
"""Where any number of points stands in the place of the argument."""
Overwrite = Annotated[bool, Option("--overwrite", help="Replace concepts that have the same name.")]


concepts.command()(command(learn))


@concepts.command()
@command
def add(
    name: Name,
    points: Annotated[list[str], Argument(help="Its exemplars: samples.png#3,17,40 or z.npy#0,4.")],
    by_option: ByOption = None,
    overwrite: Overwrite = False,
    *,
    streams: options.Streams,
) -> None:
    """Name points: three or more exemplars that you picked by eye.

    [bold]Examples[/bold]

      dcgan concepts add surprised samples.png#3,17,40

      dcgan concepts add surprised one.png#3 other.png#5,6 --checkpoint faces
    """
    check_name(name)
    check_points(*points)

    import numpy as np

    from dcgan_cli.checkpoint.concepts import Concept, few_exemplars_warning
    from dcgan_cli.checkpoint.latent_arguments import read_latents
    from dcgan_cli.cli.concepts.storage import ModelConcepts

    model = ModelConcepts(streams, by_option)
    known = model.own([name], overwrite)
    found = [read_latents(point, model.model, model.path) for point in points]
    rows = np.concatenate([one.latents for one in found])
    for drawn in sorted({str(one.drawn) for one in found if one.drawn is not None}):
        model.console.note(f"picked from images drawn with {drawn}: so drawn, they look the same")
    concept = Concept(name, rows, "picked: " + " ".join(points))
    if (warning := few_exemplars_warning(name, len(rows))) is not None:
        model.console.note(f"warning: {warning}")
    model.write({**known, name: concept})
    model.conclude("Concept added", name, concepts=[name], exemplars=len(rows))


@concepts.command(name="list")
@command
def list_(checkpoint: options.Checkpoint = None, *, streams: options.Streams) -> None:
    """List a model's concepts.

    [bold]Examples[/bold]

      dcgan concepts list

      dcgan concepts list faces --json
    """
    from dcgan_cli.analysis.concepts.concept_list import concept_list, concept_table
    from dcgan_cli.cli.concepts.storage import ModelConcepts
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.render.terminal import plain_table

    model, console = ModelConcepts(streams, checkpoint), streams.console
    known = model.read()
    report = concept_list(model.path, model.model.hash, known)
    if not known:
        console.note("make some: dcgan concepts learn --data SOURCE")
    if streams.json:
        conclude(console, report, streams)
        return
    console.note(report.verdict)
    if streams.verbose and known:
        console.result_table(plain_table(concept_table(known)))
        return
    for name in sorted(known):  # alone on stdout, for scripts
        console.result(name)


@concepts.command()
@command
def show(
    name: Name,
    checkpoint: options.Checkpoint = None,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="The PNG. Default: NAME.png; - writes it to stdout."),
    ] = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    device: options.Device = "auto",
    threads: options.Threads = None,
    streams: options.Streams,
) -> None:
    """Draw a concept: its exemplars, and last the point that is their mean.

    [bold]Examples[/bold]

      dcgan concepts show smiling_woman

      dcgan concepts show smiling_woman -o - | imgcat
    """
    target = out or Path(f"{name}.png")
    drawing = figure.into(target)
    outputs = (Output("-o", target, PNG, WHY_PNG, unnamed=out is None), drawing.captioned)
    check_outputs(outputs, (name,), streams.json)

    from dcgan_cli.analysis.arithmetic.calculation import draw_concept
    from dcgan_cli.cli.concepts.storage import ModelConcepts
    from dcgan_cli.cli.models import read_points
    from dcgan_cli.runtime import choose_device, use_threads

    use_threads(threads)
    model, console = ModelConcepts(streams, checkpoint, outputs), streams.console
    sampler = sampling.sampler(model.model, choose_device(device))
    points = read_points(console, name, model.model, model.path, sampler)
    grid = draw_concept(sampler, name, points.latents).shaped(model.model.aspect)
    drawing.write(console, grid)
    if points.concept is not None:
        console.note(f"{name}: {points.concept.made}")
    if not is_stdout(target):
        facts = {"concept": name, "exemplars": len(points.latents), "file": str(target)}
        model.conclude("Concept shown", str(target), **facts)


@concepts.command()
@command
def remove(name: Name, checkpoint: options.Checkpoint = None, *, streams: options.Streams) -> None:
    """Forget a concept.

    [bold]Examples[/bold]

      dcgan concepts remove surprised
    """
    from dcgan_cli.checkpoint.concepts import unknown
    from dcgan_cli.cli.concepts.storage import ModelConcepts

    model = ModelConcepts(streams, checkpoint)
    known = model.read()
    if name not in known:
        raise UsageError(f"{name}: {unknown(known, name, model.path)}")
    model.write({key: known[key] for key in known if key != name})
    model.conclude("Concept removed", name, concepts=[name])


@concepts.command()
@command
def export(
    file: Annotated[Path, Argument(help="The JSON to write; - writes it to stdout.")],
    checkpoint: options.Checkpoint = None,
    *,
    streams: options.Streams,
) -> None:
    """Write all concepts of a model to a file, to pass on with its checkpoint.

    [bold]Examples[/bold]

      dcgan concepts export faces.json --checkpoint faces
    """
    outputs = (Output("FILE", file, JSON),)
    check_outputs(outputs, (), streams.json)

    from dcgan_cli.checkpoint.concepts import concepts_path, to_text, unknown
    from dcgan_cli.cli.concepts.storage import ModelConcepts

    model = ModelConcepts(streams, checkpoint, outputs)
    known = model.read()
    refuse_inputs(outputs, concepts_path(model.path))
    if not known:
        raise UsageError(unknown(known, "", model.path))
    model.console.write_result(file, to_text(model.model, known).encode())
    if not is_stdout(file):
        model.conclude("Concepts exported", str(file), concepts=sorted(known), file=str(file))


@concepts.command(name="import")
@command
def import_(
    file: Annotated[Path, Argument(help="A file that concepts export wrote; - reads stdin.")],
    checkpoint: options.Checkpoint = None,
    overwrite: Overwrite = False,
    *,
    streams: options.Streams,
) -> None:
    """Take over the concepts of a file; it must be of the same weights.

    [bold]Examples[/bold]

      dcgan concepts import faces.json --checkpoint faces
    """
    from dcgan_cli.checkpoint.concepts import read_file
    from dcgan_cli.cli.concepts.storage import ModelConcepts

    model = ModelConcepts(streams, checkpoint)
    new = read_file(Path("/dev/stdin") if file == STDOUT else file, model.model)
    model.write({**model.own(list(new), overwrite), **new})
    model.conclude("Concepts imported", "\n".join(sorted(new)), concepts=sorted(new))
