"""Real images are also seen at half their resolution, as generated ones look: a test for each place."""

from collections.abc import Iterator

import known_filters
import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.drop_filters import location_features
from dcgan_cli.analysis.drop_filters.train_detector import fit_object_detector
from dcgan_cli.analysis.feature_extractors import blur
from dcgan_cli.analysis.nearest_neighbors.nearest import blurred, nearest_neighbors
from dcgan_cli.analysis.nearest_neighbors.neighbor_report import Queries
from dcgan_cli.analysis.nearest_neighbors.training_search import Training
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize
from dcgan_cli.report import Images, Provenance, Report

SIDE = tiny.MODEL.size


class Held:
    """Images that are there already."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> Images:
        return self.images[indices]


def coarse(count: int, seed: int) -> Images:
    """Images that softening changes little: blocks of 4 × 4 pixels, uint8 [count, 16, 16, 1]."""
    level = np.random.default_rng(seed).integers(98, 158, (count, SIDE // 4, SIDE // 4, 1))
    return level.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def checkered(images: Images) -> Images:
    """`images` under a pattern of single pixels, which half the resolution does not show."""
    pattern = np.where(np.indices((SIDE, SIDE)).sum(0) % 2, 90, -90)[:, :, None]
    return (images + pattern).astype(np.uint8)


def verdict(samples: Images, held_out: Images, train: Images) -> Report:
    discriminator = Discriminator(tiny.MODEL)
    initialize(discriminator, torch.Generator().manual_seed(0))
    record = Provenance("0123456789ab", "sample", 0, np.zeros((len(samples), 4), np.float32))
    return nearest_neighbors(
        Queries(samples, [str(n) for n in range(len(samples))], record),
        Training(Held(train), np.arange(len(train)), str),
        held_out,
        discriminator.eval(),
        k=3,
        rows=2,
        seed=0,
    )


def test_held_out_images_are_also_compared_at_half_their_resolution() -> None:
    """Held-out images that are copies but for their sharpness say that such copies are no sign."""
    train = coarse(120, 0)
    samples = blurred(train[:40])
    as_soft = blurred(checkered(train)).astype(np.int16) - blurred(train)
    assert np.abs(as_soft).max() <= 1, "but for rounding"
    assert verdict(samples, coarse(60, 1), train).facts["memorized"], "copies are found at all"
    assert not verdict(samples, checkered(train[60:]), train).facts["memorized"]


def test_every_second_image_is_learned_from_at_half_its_resolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latents = seeded_latents(0, 200, 8, "normal")
    normalized = known_filters.sampler().normalized(latents)
    given = normalized.clone()
    passes: list[Tensor] = []
    extract = location_features.extract_location_features

    def look(
        discriminator: Discriminator, images: Tensor
    ) -> Iterator[location_features.LocationFeatures]:
        passes.append(images.clone())
        return extract(discriminator, images)

    monkeypatch.setattr(location_features, "extract_location_features", look)
    fit_object_detector(normalized, known_filters.boxes(latents), known_filters.discriminator())
    assert torch.equal(normalized, given)
    soft = blur(normalized)
    assert not torch.isclose(soft, normalized).flatten(1).all(1).any()
    assert len(passes) == 2, "one to learn from, one to be evaluated by"
    for seen in passes:
        assert torch.equal(seen[::2], soft[::2])
        assert torch.equal(seen[1::2], normalized[1::2])
