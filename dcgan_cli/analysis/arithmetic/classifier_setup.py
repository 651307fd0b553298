"""An attribute classifier with all that it takes to say what the results of arithmetic are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from torch import Tensor

from dcgan_cli.analysis.arithmetic.directions import attribute_axes, orthonormal
from dcgan_cli.analysis.concepts.attribute_classifier import (
    AttributeClassifier,
    AttributePrediction,
)
from dcgan_cli.analysis.concepts.concept_search import agreements, score_samples
from dcgan_cli.analysis.concepts.words import unknown_attribute
from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.data.labels import Column
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import Stage
from dcgan_cli.report import Estimate, Finding


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

    classifier: AttributeClassifier
    discriminator: Discriminator
    normalized: Tensor
    columns: Mapping[str, Column]
    samples: Mapping[str, AttributePrediction]
    without: FloatArray | None
    findings: Sequence[Finding]

    def with_samples(
        self, stage: Stage, sampler: Sampler, count: int, seed: int, orthogonal_to: list[str]
    ) -> Self:
        """The setup after a look at plain samples, and the directions of `orthogonal_to`.

        Raises UsageError where the attribute classifier knows no such attribute.
        """
        for name in orthogonal_to:
            if name not in self.classifier.attributes:
                raise unknown_attribute("--orthogonal-to", name, self.classifier.attributes)
        with stage("classifying samples") as bar:
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
