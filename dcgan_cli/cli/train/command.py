"""`dcgan train`: learn to draw from a person's own images."""

from typing import Annotated

import typer
from typer import Argument

from dcgan_cli.cli import options
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.train import options as groups


def train(
    context: typer.Context,
    source: Annotated[
        str | None,
        Argument(
            help="A folder, .zip, .tar, LSUN database, MNIST, CIFAR, SVHN or CelebA files, "
            "digits, demo:faces or demo:rooms. With --resume: what the run was trained on.",
            show_default=False,
        ),
    ] = None,
    *,
    run: groups.RunOptions,
    images: groups.ImageOptions,
    networks: groups.NetworkOptions,
    learning: groups.LearningOptions,
    machine: groups.MachineOptions,
    streams: options.Streams,
) -> None:
    """Train a DCGAN on the images of SOURCE.

    Writes checkpoints/RUN/: last.pt, epoch checkpoints, sample grids and their animation,
    metrics.jsonl, curves.png. Ctrl-C saves and leaves; --resume goes on.

    [bold]Examples[/bold]

      dcgan train demo:faces --minutes 5

      dcgan train photos/ --run cats --size 64 --epochs 50

      dcgan train lsun/ --preset paper --epochs 5

      dcgan train --run cats --resume --epochs 100

      dcgan train photos/ --precision bf16 --profile

      torchrun --nproc-per-node 8 -m -- dcgan_cli train lsun/ --batch-size 1024
    """
    from dcgan_cli.cli.places import run_path
    from dcgan_cli.cli.train.checks import check_line

    request = images.request(source or "")
    overrides = groups.hyperparameters(images, networks, learning)
    path = run_path(run.out, run.run, request.location)
    opened = check_line(request, path, run, networks, learning, overrides)

    sources = {name: context.get_parameter_source(name) for name in context.params}
    named = {name for name, source in sources.items() if source and "DEFAULT" not in source.name}
    typed = {name: context.params[name] for name in named}

    from dcgan_cli.cli.train.session import Session
    from dcgan_cli.training.distributed import join

    process_group = join()
    session = Session(
        console=Console(streams.quiet or not process_group.is_main),
        process_group=process_group,
        request=request,
        run=run,
        networks=networks,
        learning=learning,
        machine=machine,
        streams=streams,
        overrides=overrides,
        typed=typed,
        source=opened,
    )
    if run.profile:
        session.profile()
    else:
        raise typer.Exit(session.train())
