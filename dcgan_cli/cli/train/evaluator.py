"""What `--evaluate-every` compares samples with, and by which network."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.distances import kid
from dcgan_cli.analysis.evaluate.feature_networks import FeatureNetwork
from dcgan_cli.analysis.image_quality import standardized
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.cli.console import Console
from dcgan_cli.cli.feature_network import choose_network
from dcgan_cli.model.generator import Generator
from dcgan_cli.report import Estimate
from dcgan_cli.training.trainer import SAMPLES_BN, Evaluator, Trainer

EVALUATED = 1000
"""Samples, and at most real images, of an evaluation."""


def kid_evaluator(console: Console, trainer: Trainer) -> Evaluator:
    """What gives the KID of a generator's samples and of training images.

    Always the same images and latent vectors, so that epochs can be compared. The network is chosen
    and looks at the real images when it is first asked.
    """

    @cache
    def real() -> tuple[FeatureNetwork, NDArray[np.float64]]:
        network = choose_network(console, "auto", None, trainer.settings.device)
        return network, network(trainer.real_images(EVALUATED)).astype(np.float64)

    def kid_of(generator: Generator) -> Estimate:
        network, reference = real()
        sampler = Sampler("", generator, SAMPLES_BN, average=False)
        latents = sampler.seeded(trainer.settings.seed, EVALUATED)
        rows = network(sampler.images(latents)).astype(np.float64)
        if network.standardized:
            reference, rows = standardized(reference, rows)
        return kid(rows, reference)

    return kid_of
