"""`dcgan train`: learn to draw from a person's own images."""

from pathlib import Path
from typing import Annotated, Any

import typer

from dcgan_cli.cli import options
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import Request

IMAGES, NETWORKS, LEARNING, RUN = "Images", "Networks", "Learning", "Run"


def train(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(
            help="A folder, .zip, .tar, LSUN database, MNIST, CIFAR, SVHN or CelebA files, "
            "digits, demo:faces or demo:rooms. With --resume: what the run was trained on.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Name of the run. Default: from SOURCE.", rich_help_panel=RUN),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all runs.", rich_help_panel=RUN)] = Path(
        "checkpoints"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run, bit for bit.", rich_help_panel=RUN)
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Begin anew, deleting the run.", rich_help_panel=RUN),
    ] = False,
    epochs: Annotated[
        float | None,
        typer.Option(help="Passes over the images. Default: 25.", min=0, rich_help_panel=RUN),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Or so many steps in all.", min=0, rich_help_panel=RUN)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Or so long from now.", min=0, rich_help_panel=RUN)
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Newest epoch checkpoints to keep beside epochs 1 and 5: a number or 'all'. "
            "Default: 2, or what the run was told before.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    save_minutes: Annotated[
        float,
        typer.Option(help="Write last.pt at least so often.", min=0.01, rich_help_panel=RUN),
    ] = 10.0,
    on_unhealthy: Annotated[
        str,
        typer.Option(
            help="When training goes wrong: warn, stop, or rollback (to last.pt, half the lr).",
            rich_help_panel=RUN,
        ),
    ] = "warn",
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Make a few steps, say where their time goes, and write nothing.",
            rich_help_panel=RUN,
        ),
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write TensorBoard files too.", rich_help_panel=RUN),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV: file, then labels or boxes.", rich_help_panel=IMAGES),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Use so many, evenly spread.", min=1, rich_help_panel=IMAGES),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels, 4 to 7 times a power of two. Default: up to 64.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="1 or 3. Default: as the images are.", rich_help_panel=IMAGES),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(help="center, or random (from 1.5 × size).", rich_help_panel=IMAGES),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Mirror half of them.", rich_help_panel=IMAGES),
    ] = None,
    background: Annotated[
        str,
        typer.Option(
            help="Color behind transparent images, and around those of --fit pad.",
            rich_help_panel=IMAGES,
        ),
    ] = "white",
    fit: Annotated[
        str,
        typer.Option(
            help="How an image that is no square becomes one: crop (its middle), pad (whole, on "
            "--background) or stretch (samples are drawn in the images' usual shape again).",
            rich_help_panel=IMAGES,
        ),
    ] = "crop",
    levels: Annotated[
        str | None,
        typer.Option(
            help="Values of black and white in images of more than 8 bits, such as 0,4095. "
            "Default: from the images as a whole.",
            rich_help_panel=IMAGES,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Decoding processes. Default: one a core.", rich_help_panel=IMAGES),
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Decode at every visit.", rich_help_panel=IMAGES),
    ] = False,
    cache_limit: Annotated[
        float, typer.Option(help="Most GiB of decoded images kept.", rich_help_panel=IMAGES)
    ] = 20.0,
    max_unreadable: Annotated[
        float,
        typer.Option(
            help="Refuse when a larger share cannot be read.",
            min=0,
            max=1,
            rich_help_panel=IMAGES,
        ),
    ] = 0.05,
    preset: Annotated[
        str | None,
        typer.Option(
            help="paper, torch, tutorial or small. Default: paper on a GPU, small on a CPU.",
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    z_dim: Annotated[
        int | None, typer.Option(help="Length of z (100).", rich_help_panel=NETWORKS)
    ] = None,
    z_dist: Annotated[
        str | None, typer.Option(help="uniform or normal.", rich_help_panel=NETWORKS)
    ] = None,
    ngf: Annotated[
        int | None, typer.Option(help="Width of the generator.", rich_help_panel=NETWORKS)
    ] = None,
    ndf: Annotated[
        int | None, typer.Option(help="Width of the discriminator.", rich_help_panel=NETWORKS)
    ] = None,
    kernel: Annotated[
        int | None, typer.Option(help="Side of the kernels: 3, 4, 5.", rich_help_panel=NETWORKS)
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(help="First batch norm, per unit or channel.", rich_help_panel=NETWORKS),
    ] = None,
    bn_eps: Annotated[
        float | None, typer.Option(help="ε of batch norm.", rich_help_panel=NETWORKS)
    ] = None,
    g_norm: Annotated[
        str | None, typer.Option(help="batch, layer or none.", rich_help_panel=NETWORKS)
    ] = None,
    d_norm: Annotated[
        str | None,
        typer.Option(
            help="batch, layer or none. Default: batch; layer for wgan-gp.",
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="non-saturating, minimax, lsgan, hinge, wgan, wgan-gp. Default: the first.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    d_steps: Annotated[
        int | None,
        typer.Option(help="D updates per G update.", min=1, rich_help_panel=LEARNING),
    ] = None,
    updates: Annotated[
        str | None,
        typer.Option(
            help="together (D and G on each batch) or alternate.", rich_help_panel=LEARNING
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Images a batch; under torchrun, shared out among all processes.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    sync_bn: Annotated[
        bool | None,
        typer.Option(
            "--sync-bn/--no-sync-bn",
            help="Under torchrun: batch norm over the whole batch, so that any number of "
            "processes make the same run (default), or over each process's share, which saves "
            "their talking.",
            show_default=False,
            rich_help_panel=LEARNING,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            help="adam or rmsprop. Default: adam; rmsprop for --loss wgan.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate. Default: 2e-4; 5e-5 for wgan, 1e-4 for wgan-gp.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    beta1: Annotated[
        float | None, typer.Option(help="Adam's β₁ (0.5; wgan-gp 0).", rich_help_panel=LEARNING)
    ] = None,
    beta2: Annotated[
        float | None, typer.Option(help="Adam's β₂ (0.999; wgan-gp 0.9).", rich_help_panel=LEARNING)
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="L2 on all weights.", rich_help_panel=LEARNING)
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Also keep an EMA of G with this decay, e.g. 0.999.",
            min=0,
            max=1,
            rich_help_panel=LEARNING,
        ),
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
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
    overrides = {
        "size": size,
        "channels": channels,
        "crop": crop,
        "flip": flip,
        "z_dim": z_dim,
        "z_dist": z_dist,
        "ngf": ngf,
        "ndf": ndf,
        "kernel": kernel,
        "projection": projection,
        "bn_eps": bn_eps,
        "g_norm": g_norm,
        "d_norm": d_norm,
        "updates": updates,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "lr": lr,
        "beta1": beta1,
        "beta2": beta2,
        "weight_decay": weight_decay,
    }
    request = Request(
        source or "",
        labels,
        limit,
        background,
        fit,
        levels,
        workers=workers,
        use_cache=not no_cache,
        cache_gib=cache_limit,
        max_unreadable=max_unreadable,
    )
    from dcgan_cli.cli.places import run_path
    from dcgan_cli.cli.train.checks import check_line

    given = {name: value for name, value in overrides.items() if value is not None}
    check_line(
        request,
        run_path(out, run, request.location),
        resume=resume,
        overwrite=overwrite,
        profile=profile,
        tensorboard=tensorboard,
        preset=preset,
        overrides=given,
        loss=loss,
        keep=keep,
        policy=on_unhealthy,
    )

    from dcgan_cli.cli.train.session import Session
    from dcgan_cli.training.distributed import join

    process_group = join()
    session = Session(
        console=Console(quiet or not process_group.is_main),
        process_group=process_group,
        request=request,
        run=run,
        out=out,
        resume=resume,
        overwrite=overwrite,
        preset=preset,
        typed=_typed(context),
        overrides=given,
        loss=loss,
        d_steps=d_steps,
        ema=ema,
        sync_bn=sync_bn,
        seed=seed,
        device=device,
        precision=precision,
        threads=threads,
        epochs=epochs,
        steps=steps,
        minutes=minutes,
        keep=keep,
        save_minutes=save_minutes,
        policy=on_unhealthy,
        tensorboard=tensorboard,
        profile=profile,
        json=json,
        verbose=verbose,
    )
    if profile:
        session.time_steps()
    else:
        raise typer.Exit(session.train())


def _typed(context: typer.Context) -> dict[str, Any]:
    """The options that stand on the command line, by name: also those typed as their default."""
    return {
        name: value
        for name, value in context.params.items()
        if (source := context.get_parameter_source(name)) is not None
        and "DEFAULT" not in source.name
    }
