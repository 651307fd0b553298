"""`dcgan sample`: draw images from a trained generator."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgan_cli.checkpoint.names import check_points
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import NPY, PNG, WHY_PNG, Output, check_folder, check_outputs
from dcgan_cli.errors import UsageError
from dcgan_cli.files import make_folder

COUNT = 64
OUT = Path("samples.png")


def sample(
    checkpoint: options.Checkpoint = None,
    count: Annotated[
        int | None,
        Option("-n", "--count", help=f"How many. Default: {COUNT}, or all of --latents.", min=1),
    ] = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path, Option("-o", "--out", help="The PNG to write; - writes it to stdout.")
    ] = OUT,
    columns: Annotated[
        int | None, Option(help="Tiles a row. Default: as square as can be.", min=1)
    ] = None,
    numbers: Annotated[bool, Option("--numbers", help="Write its number onto each tile.")] = False,
    split: Annotated[
        Path | None, Option(help="Write one PNG an image into this folder instead.")
    ] = None,
    latents: Annotated[
        str | None,
        Option(help="Draw these points: z.npy, z.npy#0,4, samples.png#3,17 or a concept."),
    ] = None,
    save_latents: options.SaveLatents = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    show: options.Show = False,
    common: options.Common,
) -> None:
    """Draw images from a checkpoint.

    Sample i of a seed is always the same image, however many are drawn. The PNG remembers the z
    of every tile: samples.png#3,17 is a latent argument of every other command.

    [bold]Examples[/bold]

      dcgan sample                                 the newest run, 64 images, samples.png

      dcgan sample faces -n 16 --seed 7 --numbers

      dcgan sample faces --latents samples.png#3,17 -o two.png

      dcgan sample faces -o - | imgcat
    """
    if split is not None and out != OUT:
        raise UsageError(f"-o {out} is for an image grid; --split {split} writes images; give one")
    if split is not None and figure != options.FigureOptions():
        raise UsageError(
            "--layout, --scale and --caption are for the figure; --split writes the images themselves"
        )
    grid = None if split is not None else out
    drawing = figure.into(out)
    outputs = (
        Output("-o", grid, PNG, WHY_PNG, unnamed=out == OUT),
        drawing.captioned,
        Output("--save-latents", save_latents, NPY),
    )
    check_outputs(outputs, (latents,), common.json)
    check_folder("--split", split)
    if latents is not None:
        check_points(latents)

    from dcgan_cli.analysis.sampling import draw_latents, draw_samples
    from dcgan_cli.checkpoint.latent_arguments import to_npy
    from dcgan_cli.cli.models import open_model, read_points
    from dcgan_cli.cli.results import conclude
    from dcgan_cli.data.sample_files import SampleFiles
    from dcgan_cli.render.png import encode_image

    console, machine = common.begin()
    path, model = open_model(console, checkpoint, "drawing with", outputs)
    sampler = sampling.sampler(model, machine)
    if latents is None:
        report = draw_samples(sampler, seed=seed, count=count or COUNT, columns=columns)
    else:
        given = read_points(console, latents, model, path, sampler).latents[:count]
        report = draw_latents(sampler, given, columns=columns)
    image_grid = report.grids[0].shaped(model.aspect)
    facts: dict[str, Any] = {}
    if save_latents is not None:
        assert image_grid.provenance is not None
        console.write_result(save_latents, to_npy(image_grid.provenance.latents))
        facts["latents"] = str(save_latents)
    if split is not None:
        make_folder(split)
        files = SampleFiles(len(image_grid.images))
        names = [split / files.name(number) for number in range(len(image_grid.images))]
        for name, image in zip(names, image_grid.images, strict=True):
            console.write_result(name, encode_image(image, model.aspect))
        facts["files"] = [str(name) for name in names]
    else:
        drawing.write(console, image_grid, numbers)
    shown = image_grid if show else None
    conclude(console, report, common, out=split or out, shown=shown, **facts)
