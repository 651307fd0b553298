"""From labeled images to a classifier, with every step said; shared by `concepts learn` and `arithmetic`."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.image_source import Request, inspect_source, prepare_shown
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

    from dcgan_cli.analysis.concepts.attribute_classifier import (
        AttributeClassifier,
        AttributePrediction,
    )
    from dcgan_cli.analysis.feature_extractors import FloatArray
    from dcgan_cli.analysis.sampling import Sampler
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.labels import Column
    from dcgan_cli.errors import UsageError
    from dcgan_cli.model.discriminator import Discriminator
    from dcgan_cli.report import Finding

LIMIT = 4000
"""Labeled images that a classifier learns from and is evaluated on, where nothing else is said."""

Limit = Annotated[int, typer.Option(help="Learn to classify from so many images at most.", min=100)]
"""The option that says otherwise."""


@dataclass(frozen=True, eq=False)
class ClassifierSetup:
    """An attribute classifier, and what it takes to measure with it.

    Attributes:
        classifier: who knows the labels' words.
        discriminator: with whose features it sees.
        normalized: the real images that it trained on, [N, C, S, S] in [−1, 1].
        columns: their labels.
        samples: its predictions on plain samples of the generator; empty before `with_samples`.
        without: directions of Z that shall play no part, orthonormal rows [R, z_dim].
        findings: how far it can be trusted.
    """

    classifier: "AttributeClassifier"
    discriminator: "Discriminator"
    normalized: "torch.Tensor"
    columns: "Mapping[str, Column]"
    samples: "Mapping[str, AttributePrediction]"
    without: "FloatArray | None"
    findings: "Sequence[Finding]"

    def with_samples(
        self,
        console: Console,
        sampler: "Sampler",
        count: int,
        seed: int,
        orthogonal_to: list[str],
    ) -> "ClassifierSetup":
        """The bench after a look at plain samples, and the directions of `orthogonal_to`.

        Raises UsageError where the attribute classifier knows no such attribute.
        """
        import numpy as np

        from dcgan_cli.analysis.arithmetic.directions import attribute_axes, orthonormal
        from dcgan_cli.analysis.concepts.concept_search import agreements, score_samples
        from dcgan_cli.report import Estimate, Finding

        for name in orthogonal_to:
            if name not in self.classifier.attributes:
                raise _unknown("--orthogonal-to", name, self.classifier.attributes)
        with console.progress("classifying samples") as bar:
            latents, samples = score_samples(sampler, self.classifier, count, seed, bar)
        findings = [*self.classifier.findings(), *agreements(samples, self.classifier)]
        axes: list[FloatArray] = []
        for name in orthogonal_to:
            rows, explained = attribute_axes(latents, samples[name].evidence)
            axes.append(rows)
            what = f"{name} explained by a direction of Z (R² on samples held out)"
            findings.append(
                Finding(f"linear_{name}", what, explained, Estimate(0.0), "the mean", about=name)
            )
        without = orthonormal(np.concatenate(axes)) if axes else None
        return replace(self, samples=samples, without=without, findings=findings)


def train_classifier(
    console: Console,
    request: Request,
    model: "Checkpoint",
    device: "torch.device",
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
    import numpy as np
    import torch

    from dcgan_cli.analysis.concepts.attribute_classifier import fit_attribute_classifier
    from dcgan_cli.data.pixels import normalize

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
    return ClassifierSetup(
        classifier, discriminator, normalized, rows, {}, None, classifier.findings()
    )


def _chosen(
    columns: "dict[str, Column]", attributes: list[str] | None, option: str, request: Request
) -> "dict[str, Column]":
    """The columns to learn. Raises UsageError."""
    from dcgan_cli.errors import UsageError

    if not columns:
        raise UsageError(
            f"{option} {request.location}: has no labels to learn from; give a CSV file of them "
            f"with {'--classifier-labels' if option == '--classifier' else '--labels'}, or a source that has "
            "its own, such as demo:faces"
        )
    for name in attributes or ():
        if name not in columns:
            raise _unknown("--attribute", name, columns)
    return {name: columns[name] for name in attributes or columns}


def _unknown(option: str, name: str, known: "Iterable[str]") -> "UsageError":
    """There is no attribute `name`; what comes near."""
    import difflib

    from dcgan_cli.errors import UsageError

    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=3) or listed
    return UsageError(
        f"{option} {name}: no such attribute is classified; there are {', '.join(near)}"
    )
