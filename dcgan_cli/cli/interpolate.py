"""`dcgan interpolate`: walk through Z from point to point."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcgan_cli.choices import PATHS, one_of
from dcgan_cli.cli import options
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.results import conclude, refuse_two_results

if TYPE_CHECKING:
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.model.latents import Latents
    from dcgan_cli.report import Pictures

POINTS, SHEET_STEPS, FILM_STEPS = 9, 10, 30

HOLD = 1.0
"""Seconds that a film which does not loop rests on its last picture."""


def interpolate(
    checkpoint: options.Checkpoint = None,
    points: Annotated[
        int | None,
        typer.Option(help=f"How many random points to visit. Default: {POINTS}.", min=2),
    ] = None,
    between: Annotated[
        list[str] | None,
        typer.Option(
            help="Visit these points instead; repeat it: samples.png#3, z.npy#0,4, or a concept, "
            "which is visited at its mean. Several points of one argument follow each other.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Pictures from one point to the next, both included. "
            f"Default: {SHEET_STEPS} on a sheet, {FILM_STEPS} in an animation.",
            min=2,
        ),
    ] = None,
    path: Annotated[
        str,
        typer.Option(
            help="linear (the paper's straight line) or slerp (turns at a constant angular speed, "
            "keeps the length of z)."
        ),
    ] = "linear",
    loop: Annotated[
        bool, typer.Option("--loop", help="Return from the last point to the first.")
    ] = False,
    seed: options.Seed = 0,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="What to write, by its ending: .png (a sheet, one row from point to point), .gif, "
            ".webp or .mp4; - writes the sheet to stdout.",
        ),
    ] = Path("walk.png"),
    fps: Annotated[
        float, typer.Option(help="Pictures a second of an animation.", min=1, max=50)
    ] = 20,
    bn: options.BatchNorm = options.BATCH_NORM,
    no_ema: options.NoAverage = False,
    json: options.Json = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Walk through Z between points, and measure how evenly the pictures change (paper Fig. 4).

    A generator that has learned changes its pictures steadily; one that has memorised them stands
    still and jumps. The figures say which, beside controls: an untrained generator on the same
    walk, and cross-fades between the walk's own end pictures and between training pictures. The
    tiles of a sheet are latent arguments: walk.png#14.

    [bold]Examples[/bold]

      dcgan interpolate                                    nine random points, walk.png

      dcgan interpolate faces --loop -o walk.webp

      dcgan interpolate faces --between samples.png#3 --between samples.png#17,40

      dcgan interpolate faces --path slerp --points 17 --json
    """
    from dcgan_cli.errors import UsageError

    refuse_two_results(out, json)
    if between and points is not None:
        raise UsageError("--points draws random points, --between names them; give one of the two")
    one_of("--path", path, PATHS)
    ending = _ending(out)

    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.analysis.interpolate import interpolation
    from dcgan_cli.analysis.interpolate.paths import LatentPath
    from dcgan_cli.checkpoint.concepts import find_knowing
    from dcgan_cli.checkpoint.format import load
    from dcgan_cli.model.latents import seeded_latents
    from dcgan_cli.render.animation import FORMATS, film_frames
    from dcgan_cli.render.png import encode_sheet
    from dcgan_cli.runtime import choose_device, use_threads

    console = Console(quiet)
    use_threads(threads)
    machine = choose_device(device)
    file = find_knowing(checkpoint, between or ())
    console.note(f"walking with {file}")
    model = load(file)
    if between:
        visited = _named_points(between, model, file)
    else:
        visited = seeded_latents(seed, points or POINTS, model.model.z_dim, model.model.z_dist)
    way = LatentPath.of(visited, path, loop)
    with console.progress("measuring") as bar:
        report = interpolation.interpolate(
            Drawing.of(model, bn, machine, average=not no_ema),
            model.build_discriminator().to(machine),
            way,
            steps=steps or (FILM_STEPS if ending in FORMATS else SHEET_STEPS),
            seed=seed,
            drawn_from_seed=not between,
            training=_training_pictures(console, model, way.segments + 1, seed),
            progress=bar,
        )
    sheet = report.sheets[0]
    if ending in FORMATS:
        film = film_frames(interpolation.frames(sheet, loop))
        data = FORMATS[ending](film, 1 / fps, 1 / fps if loop else HOLD)
    else:
        data = encode_sheet(sheet)
    console.write_result(out, data)
    conclude(console, report, out=out, json=json)


def _ending(out: Path) -> str:
    """What is to be written, by the end of its name. Raises UsageError before any work is done."""
    from dcgan_cli.errors import UsageError
    from dcgan_cli.render.animation import FORMATS, require_video

    ending = ".png" if str(out) == "-" else out.suffix.lower()
    known = (".png", *FORMATS)
    if ending not in known:
        raise UsageError(f"-o {out}: cannot write {ending or 'that'}; expected {', '.join(known)}")
    if ending == ".mp4":
        require_video()
    return ending


def _named_points(arguments: list[str], model: "Checkpoint", file: Path) -> "Latents":
    """The points of all `arguments`, one after the other, [P, z_dim]."""
    import numpy as np

    from dcgan_cli.checkpoint.latents import read_latents

    rows: list[Latents] = []
    for argument in arguments:
        named = read_latents(argument, model, file)
        whole = named.concept is not None and "#" not in argument
        rows.append(named.mean if whole else named.latents)
    return np.concatenate(rows)


def _training_pictures(
    console: Console, model: "Checkpoint", count: int, seed: int
) -> "Pictures | None":
    """`count` random pictures of the set the model was trained on; None, and why, without them."""
    import numpy as np

    from dcgan_cli.cli.pictures import remembered
    from dcgan_cli.data.decode import Framing, Unreadable, read_picture
    from dcgan_cli.errors import DcganError
    from dcgan_cli.runtime import numpy_stream

    left_out = "no cross-fade of training pictures as a control:"
    try:
        source, request = remembered(model)
        background = request.colour()
    except DcganError as error:
        console.note(f"{left_out} {error}")
        return None
    framing = Framing(model.model.size, model.model.channels, background)
    found: list[Pictures] = []
    # a few more than needed, for some may be unreadable
    candidates = numpy_stream(seed, "training pictures").permutation(len(source))[: 2 * count + 8]
    for number in candidates.tolist():
        with contextlib.suppress(Unreadable):
            found.append(read_picture(source, number, framing)[0])
        if len(found) == count:
            return np.stack(found)
    console.note(
        f"{left_out} only {len(found)} of {request.location} could be read, {count} are needed"
    )
    return None
