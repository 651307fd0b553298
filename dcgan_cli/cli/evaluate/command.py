"""`dcgan evaluate`: how good and how varied samples are, in numbers that can be compared."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import PNG, Output, check_outputs
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError

COUNT = 2000
"""Samples, and at most real images of each group, where nothing else is said."""

NETWORKS = ("auto", "efficientnet", "random", "discriminator")


def evaluate(
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        str | None,
        Option(
            help="Real images to compare with. Default: those that the checkpoint was trained on.",
            metavar="SOURCE",
        ),
    ] = None,
    images: Annotated[
        str | None,
        Option(
            help="Evaluate these images in place of samples; with --data, no checkpoint is needed.",
            metavar="SOURCE",
        ),
    ] = None,
    count: Annotated[
        int,
        Option("-n", "--count", help="How many samples, and at most real images.", min=16),
    ] = COUNT,
    features: Annotated[
        str,
        Option(
            help="The network that images are compared by: efficientnet (extra `evaluate`), random "
            "(seeded weights), discriminator (the checkpoint's own), or the .pth file of FID's "
            "Inception. Default: that file where PyTorch's cache has it, else efficientnet, else "
            "random.",
        ),
    ] = "auto",
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, Option("-o", "--out", help="Also write a PNG of all groups of images.")
    ] = None,
    *,
    sampling: options.Sampling,
    figure: options.FigureOptions,
    common: options.Common,
) -> None:
    """Say how far samples are from real images, and how varied: KID, Fréchet distance, precision.

    One half of the real images is the reference. Everything else is compared with it: the samples,
    and as controls the other half, as it is, blurred and as coarse JPEG, and images of an untrained
    generator. Values of different feature networks or numbers of images cannot be compared.

    [bold]Examples[/bold]

      dcgan evaluate                                the newest run, by EfficientNet-Lite0

      dcgan evaluate faces -n 10000 --json

      dcgan evaluate faces -o evaluation.png

      dcgan evaluate --images samples/ --data photos/
    """
    weights = None if features in NETWORKS else Path(features)
    if weights is not None and not weights.is_file():
        raise UsageError(
            f"--features {features}: no such file; expected one of {', '.join(NETWORKS)}, or the "
            ".pth of FID's Inception"
        )
    without_model = images is not None and data is not None and checkpoint is None
    if without_model and features == "discriminator":
        raise UsageError("--features discriminator: of which checkpoint? Name one")
    drawing = figure.into(out or Path("evaluation.png"))
    outputs = (Output("-o", out, PNG), drawing.captioned)
    check_outputs(outputs, (data, images, weights), common.json)
    check_source(data)
    check_source(images)

    from dcgan_cli.analysis.evaluate import evaluation
    from dcgan_cli.analysis.sampling import untrained
    from dcgan_cli.cli.evaluate import real_images
    from dcgan_cli.cli.evaluate.kept_features import kept_features
    from dcgan_cli.cli.feature_network import choose_network
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.results import conclude

    console, machine = common.begin()
    facts: dict[str, Any] = {"seed": seed}
    model = sampler = None
    if without_model:
        assert images is not None
        assert data is not None
        side = min(real_images.usual_side(console, place) for place in (images, data))
        real = real_images.of_folder(console, data, side, count, seed)
    else:
        _, model = open_model(console, checkpoint, "evaluating", outputs)
        side = model.model.size
        real = real_images.of_training(console, model, data, count, seed)
        sampler = sampling.sampler(model, machine)
        facts |= {"checkpoint": model.hash, "bn": sampling.bn, "ema": sampler.average}
    if images is not None:
        samples = real_images.all_of(console, images, model, side, count, seed)
    else:
        assert sampler is not None
        samples = sampler.images(sampler.seeded(seed, count))
    noise = None
    if sampler is not None:
        fewer = min(len(real.others), evaluation.MOST_OF_A_CONTROL)
        noise = untrained(sampler, seed).images(sampler.seeded(seed, fewer))
    groups = evaluation.Groups(real.reference, real.others, real.others_are, samples, noise)
    network = choose_network(console, weights or features, model, machine)
    with console.progress("looking") as bar:
        report = evaluation.evaluate(
            groups,
            network,
            features_of=lambda name, some: kept_features(
                (network.key, name, *real.identity) if name in evaluation.REAL else None,
                lambda: network(some, bar),
                len(some),
            ),
        )
    if out is not None:
        drawing.write(console, report.grids[0].shaped(1.0 if model is None else model.aspect))
    facts |= {"data": real.location, "images": images}
    conclude(console, report, common, out=out, **facts)
