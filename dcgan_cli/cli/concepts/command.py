"""`dcgan concepts`: names for points of one model's Z."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcgan_cli.cli import options
from dcgan_cli.cli.command_decorator import command
from dcgan_cli.cli.concepts.learn import learn
from dcgan_cli.cli.concepts.storage import write
from dcgan_cli.cli.models import open_model
from dcgan_cli.cli.outputs import JSON, PNG, WHY_PNG, Output, check_outputs, refuse_inputs
from dcgan_cli.cli.results import conclude, refuse_two_results, say_done
from dcgan_cli.files import STDOUT, is_stdout

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.concepts import Concept

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

DOING = "concepts of"
"""What is said before the model's file."""

Name = Annotated[str, typer.Argument(help="The concept: small letters, digits and _.")]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint", "-c", help="A .pt file or a run, as in other commands. Default: the newest."
    ),
]
"""Where any number of points stands in the place of the argument."""
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace concepts that have the same name.")
]


concepts.command()(command(learn))


@concepts.command()
@command
def add(
    name: Name,
    points: Annotated[
        list[str], typer.Argument(help="Its exemplars: samples.png#3,17,40 or z.npy#0,4.")
    ],
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
    import numpy as np

    from dcgan_cli.checkpoint.concepts import (
        Concept,
        check_name,
        few_exemplars_warning,
        own_concepts,
    )
    from dcgan_cli.checkpoint.latent_arguments import read_latents

    check_name(name)
    console = streams.console
    path, model = open_model(console, by_option, DOING)
    known = own_concepts(path, model)
    _refuse_taken([name], known, overwrite, path)
    found = [read_latents(point, model, path) for point in points]
    rows = np.concatenate([one.latents for one in found])
    for drawn in sorted({str(one.drawn) for one in found if one.drawn is not None}):
        console.note(f"picked from images drawn with {drawn}: so drawn, they look the same")
    concept = Concept(name, rows, "picked: " + " ".join(points))
    if (warning := few_exemplars_warning(name, len(rows))) is not None:
        console.note(f"warning: {warning}")
    write(console, path, model, {**known, name: concept})
    say_done(
        console,
        "Concept added",
        name,
        streams.json,
        checkpoint=model.hash,
        concepts=[name],
        exemplars=len(rows),
    )


@concepts.command(name="list")
@command
def list_(checkpoint: options.Checkpoint = None, *, streams: options.Streams) -> None:
    """List a model's concepts.

    [bold]Examples[/bold]

      dcgan concepts list

      dcgan concepts list faces --json
    """
    from dcgan_cli.analysis.concepts.concept_list import concept_list, concept_table
    from dcgan_cli.checkpoint.concepts import read_concepts

    console = streams.console
    path, model = open_model(console, checkpoint, DOING)
    known = read_concepts(path, model)
    report = concept_list(path, model.hash, known)
    if not known:
        console.note("make some: dcgan concepts learn --data SOURCE")
    if streams.json:
        conclude(console, report, streams)
        return
    console.note(report.verdict)
    if streams.verbose and known:
        from dcgan_cli.render.terminal import plain_table

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
        typer.Option("-o", "--out", help="The PNG. Default: NAME.png; - writes it to stdout."),
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
    refuse_two_results(out, streams.json)
    target = out or Path(f"{name}.png")
    drawing = figure.into(target)
    outputs = (Output("-o", target, PNG, WHY_PNG, unnamed=out is None), drawing.captioned)
    check_outputs(outputs, (name,))

    from dcgan_cli.analysis.arithmetic.calculation import draw_concept
    from dcgan_cli.cli.tiles import read_points
    from dcgan_cli.runtime import choose_device, use_threads

    console = streams.console
    use_threads(threads)
    path, model = open_model(console, checkpoint, DOING)
    refuse_inputs(outputs, path)
    sampler = sampling.sampler(model, choose_device(device))
    points = read_points(console, name, model, path, sampler)
    grid = draw_concept(sampler, name, points.latents).shaped(model.aspect)
    drawing.write(console, grid)
    if points.concept is not None:
        console.note(f"{name}: {points.concept.made}")
    if not is_stdout(target):
        facts = {
            "checkpoint": model.hash,
            "concept": name,
            "exemplars": len(points.latents),
            "file": str(target),
        }
        say_done(console, "Concept shown", str(target), streams.json, **facts)


@concepts.command()
@command
def remove(name: Name, checkpoint: options.Checkpoint = None, *, streams: options.Streams) -> None:
    """Forget a concept.

    [bold]Examples[/bold]

      dcgan concepts remove surprised
    """
    from dcgan_cli.checkpoint.concepts import read_concepts, unknown
    from dcgan_cli.errors import UsageError

    console = streams.console
    path, model = open_model(console, checkpoint, DOING)
    known = read_concepts(path, model)
    if name not in known:
        raise UsageError(f"{name}: {unknown(known, name, path)}")
    write(console, path, model, {key: known[key] for key in known if key != name})
    say_done(console, "Concept removed", name, streams.json, checkpoint=model.hash, concepts=[name])


@concepts.command()
@command
def export(
    file: Annotated[Path, typer.Argument(help="The JSON to write; - writes it to stdout.")],
    checkpoint: options.Checkpoint = None,
    *,
    streams: options.Streams,
) -> None:
    """Write all concepts of a model to a file, to pass on with its checkpoint.

    [bold]Examples[/bold]

      dcgan concepts export faces.json --checkpoint faces
    """
    refuse_two_results(file, streams.json)
    outputs = (Output("FILE", file, JSON),)
    check_outputs(outputs)

    from dcgan_cli.checkpoint.concepts import concepts_path, read_concepts, to_text, unknown
    from dcgan_cli.errors import UsageError

    console = streams.console
    path, model = open_model(console, checkpoint, DOING)
    known = read_concepts(path, model)
    refuse_inputs(outputs, path, concepts_path(path))
    if not known:
        raise UsageError(unknown(known, "", path))
    console.write_result(file, to_text(model, known).encode())
    if not is_stdout(file):
        facts = {"checkpoint": model.hash, "concepts": sorted(known), "file": str(file)}
        say_done(console, "Concepts exported", str(file), streams.json, **facts)


@concepts.command(name="import")
@command
def import_(
    file: Annotated[Path, typer.Argument(help="A file that concepts export wrote; - reads stdin.")],
    checkpoint: options.Checkpoint = None,
    overwrite: Overwrite = False,
    *,
    streams: options.Streams,
) -> None:
    """Take over the concepts of a file; it must be of the same weights.

    [bold]Examples[/bold]

      dcgan concepts import faces.json --checkpoint faces
    """
    from dcgan_cli.checkpoint.concepts import own_concepts, read_file

    console = streams.console
    path, model = open_model(console, checkpoint, DOING)
    given = Path("/dev/stdin") if file == STDOUT else file  # the same sign, read
    new, known = read_file(given, model), own_concepts(path, model)
    _refuse_taken(list(new), known, overwrite, path)
    write(console, path, model, {**known, **new})
    say_done(
        console,
        "Concepts imported",
        "\n".join(sorted(new)),
        streams.json,
        checkpoint=model.hash,
        concepts=sorted(new),
    )


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
