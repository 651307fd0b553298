"""`dcgan interpolate`: walk through Z from point to point."""

from pathlib import Path
from typing import Annotated

from typer import Option

from dcgan_cli.checkpoint.names import check_points
from dcgan_cli.choices import PATHS, one_of
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import Output, check_outputs, refuse_inputs
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError
from dcgan_cli.files import is_special

OUT = Path("walk.png")
"""What is written where no -o is typed."""

POINTS, GRID_STEPS, FILM_STEPS = 9, 10, 30

HOLD = 1.0
"""Seconds that a film which does not loop rests on its last image."""


def interpolate(
    checkpoint: options.Checkpoint = None,
    points: Annotated[
        int | None, Option(help=f"How many random points to visit. Default: {POINTS}.", min=2)
    ] = None,
    between: Annotated[
        list[str] | None,
        Option(
            help="Visit these points instead; repeat it: samples.png#3, z.npy#0,4, or a concept, "
            "which is visited at its mean. Several points of one argument follow each other."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        Option(
            help="Images from one point to the next, both included. "
            f"Default: {GRID_STEPS} on an image grid, {FILM_STEPS} in an animation.",
            min=2,
        ),
    ] = None,
    path: Annotated[
        str,
        Option(
            help="linear (the paper's straight line) or slerp (turns at a constant angular speed, "
            "keeps the length of z)."
        ),
    ] = "linear",
    loop: Annotated[
        bool, Option("--loop", help="Return from the last point to the first.")
    ] = False,
    data: Annotated[
        str | None,
        Option(
            help="Training images for the control. Default: those that the checkpoint was trained "
            "on.",
            metavar="SOURCE",
        ),
    ] = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path,
        Option(
            "-o",
            "--out",
            help="What to write, by its ending: .png (an image grid, one row from point to point), .gif, "
            ".webp or .mp4; - writes the image grid to stdout.",
        ),
    ] = OUT,
    fps: Annotated[float, Option(help="Images a second of an animation.", min=1, max=50)] = 20,
    measure: Annotated[
        bool | None,
        Option(
            "--measure/--no-measure",
            help="Measure how evenly the images change. Default: on an image grid, not in an animation.",
            show_default=False,
        ),
    ] = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    common: options.Common,
) -> None:
    """Walk through Z between points, as an image grid or a film (paper Fig. 4).

    A generator that has learned changes its images steadily; one that has memorized them stands
    still and jumps. For an image grid this is measured, beside controls: an untrained generator on
    the same walk, and cross-fades between the walk's own end images and between training images.
    A film is drawn alone; --measure measures it too. The tiles of an image grid are latent
    arguments: walk.png#14.

    [bold]Examples[/bold]

      dcgan interpolate                                    nine random points, walk.png

      dcgan interpolate faces --loop -o walk.webp

      dcgan interpolate faces --between samples.png#3 --between samples.png#17,40

      dcgan interpolate faces --path slerp --points 17 --json
    """
    from dcgan_cli.render.animation import FORMATS as FILMS
    from dcgan_cli.render.animation import require_video

    if between and points is not None:
        raise UsageError("--points draws random points, --between names them; give one of the two")
    one_of("--path", path, PATHS)
    ending = ".png" if is_special(out) and not out.suffix else out.suffix.lower()
    if ending in FILMS and figure.layout != "slide":
        raise UsageError(f"--layout {figure.layout}: composes an image grid; -o {out} is a film")
    drawing = figure.into(out)
    outputs = (Output("-o", out, (".png", *FILMS), unnamed=out == OUT), drawing.captioned)
    check_outputs(outputs, (), common.json)
    check_points(*(between or ()))
    check_source(data)
    if ending == ".mp4":
        require_video()
    measure = ending not in FILMS if measure is None else measure
    if data is not None and not measure:
        raise UsageError(f"--data {data}: a control of what is measured; add --measure")

    import numpy as np

    from dcgan_cli.analysis.interpolate import interpolation
    from dcgan_cli.analysis.interpolate.paths import LatentPath
    from dcgan_cli.cli.image_source import training_sample
    from dcgan_cli.cli.models import open_model, read_points
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.render.animation import film_frames, film_scale

    console, machine = common.begin()
    file, model = open_model(console, checkpoint, "walking with", outputs, knowing=between or ())
    sampler = sampling.sampler(model, machine)
    visited = sampler.seeded(seed, points or POINTS)
    if between:
        named = [read_points(console, name, model, file, sampler) for name in between]
        visited = np.concatenate(
            [one.mean if one.concept and "#" not in one.name else one.latents for one in named]
        )
    refuse_inputs(outputs, *(between or ()))
    walk = LatentPath.of(visited, path, loop)
    steps = steps or (FILM_STEPS if ending in FILMS else GRID_STEPS)
    if measure:
        training = training_sample(console, model, data, walk.segments + 1, seed)
        with console.progress("measuring") as bar:
            report = interpolation.interpolate(
                sampler,
                model.build_discriminator().to(machine),
                walk,
                steps=steps,
                seed=seed,
                drawn_from_seed=not between,
                training=training,
                progress=bar,
            )
    else:
        report = interpolation.draw_walk(
            sampler, walk, steps=steps, seed=seed, drawn_from_seed=not between
        )
    grid = report.grids[0].shaped(model.aspect)
    if ending in FILMS:
        film = film_frames(interpolation.frames(grid, loop), model.aspect)
        hold = 1 / fps if loop else HOLD
        encoded = FILMS[ending](film, 1 / fps, hold, figure.scale or film_scale(film))
        console.write_result(out, encoded)
        drawing.write_caption(console, grid)
    else:
        drawing.write(console, grid)
    conclude(console, report, common, out=out)
