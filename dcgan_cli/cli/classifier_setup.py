"""From labeled images to a classifier, with every step said; shared by `concepts learn` and `arithmetic`."""

import numpy as np
import torch

from dcgan_cli.analysis.arithmetic.reports import ClassifierSetup
from dcgan_cli.analysis.concepts.attribute_classifier import fit_attribute_classifier
from dcgan_cli.analysis.concepts.words import unknown_attribute
from dcgan_cli.checkpoint.format import Checkpoint
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import inspect_source, prepare_shown
from dcgan_cli.cli.request import Request
from dcgan_cli.data.labels import Column
from dcgan_cli.data.pixels import normalize
from dcgan_cli.errors import UsageError
from dcgan_cli.wording import counted


def train_classifier(
    console: Console,
    request: Request,
    model: Checkpoint,
    device: torch.device,
    option: str,
    attributes: list[str] | None = None,
    seed: int = 0,
) -> ClassifierSetup:
    """Read the labeled images of `request` and learn from them.

    `option` names the source in errors; `attributes` keeps these columns alone.

    Raises:
        UsageError: no labels, or no such column.
        DcganError: nothing that can be classified better than chance.
    """
    source, _ = inspect_source(console, request)
    columns = dict(source.labels.columns) if source.labels is not None else {}
    columns = _chosen(columns, attributes, option, request)
    images = prepare_shown(console, source, request, model)
    normalized = normalize(torch.from_numpy(images.take(np.arange(len(images)))))
    rows = {name: column[images.origin] for name, column in columns.items()}
    images.close()
    discriminator = model.build_discriminator().to(device)
    with console.progress("learning to classify") as bar:
        classifier = fit_attribute_classifier(
            normalized, rows, discriminator, seed=seed, progress=bar
        )
    for name, reason in classifier.refused.items():
        console.note(f"not classified: {name}: {reason}")
    for name, known in classifier.attributes.items():
        figure = "accuracy" if known.classes else "R²"
        console.note(
            f"attribute classifier: {name} ({', '.join(known.classes) or 'a number'}): {figure} "
            f"{known.held_out.value:.3f} [{known.held_out.low:.3f}, {known.held_out.high:.3f}] on "
            f"{counted(known.held_out.n or 0, 'image')} held out, chance {known.chance:.3f}"
        )
    findings, ends = classifier.findings(), {} if source.labels is None else source.labels.ends
    return ClassifierSetup(classifier, discriminator, normalized, rows, {}, None, findings, ends)


def _chosen(
    columns: dict[str, Column], attributes: list[str] | None, option: str, request: Request
) -> dict[str, Column]:
    """The columns to learn. Raises UsageError."""
    if not columns:
        raise UsageError(
            f"{option} {request.location}: has no labels to learn from; give a CSV file of them "
            f"with {'--classifier-labels' if option == '--classifier' else '--labels'}, or a source that has "
            "its own, such as demo:faces"
        )
    for name in attributes or ():
        if name not in columns:
            raise unknown_attribute("--attribute", name, columns)
    return {name: columns[name] for name in attributes or columns}
