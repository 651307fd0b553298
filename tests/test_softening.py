"""Real images are also seen at half their resolution, as generated ones look: a test for each place."""

from collections.abc import Iterator

import forgetful
import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.drop_filters import learning_to_find, sight
from dcgan_cli.analysis.drop_filters.learning_to_find import fit_finder
from dcgan_cli.analysis.nearest_neighbors.nearest import nearest_neighbors, softened
from dcgan_cli.analysis.nearest_neighbors.neighbour_report import Asked
from dcgan_cli.analysis.nearest_neighbors.reference import Training
from dcgan_cli.analysis.views import soften
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialise
from dcgan_cli.report import Pictures, Provenance, Report

SIDE = tiny.MODEL.size


class Held:
    """Images that are there already."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: NDArray[np.int64]) -> Pictures:
        return self.pictures[indices]


def coarse(count: int, seed: int) -> Pictures:
    """Images that softening changes little: blocks of 4 × 4 pixels, uint8 [count, 16, 16, 1]."""
    level = np.random.default_rng(seed).integers(98, 158, (count, SIDE // 4, SIDE // 4, 1))
    return level.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def checkered(pictures: Pictures) -> Pictures:
    """`pictures` under a pattern of single pixels, which half the resolution does not show."""
    pattern = np.where(np.indices((SIDE, SIDE)).sum(0) % 2, 90, -90)[:, :, None]
    return (pictures + pattern).astype(np.uint8)


def verdict(samples: Pictures, honest: Pictures, train: Pictures) -> Report:
    discriminator = Discriminator(tiny.MODEL)
    initialise(discriminator, torch.Generator().manual_seed(0))
    record = Provenance("0123456789ab", "sample", 0, np.zeros((len(samples), 4), np.float32))
    return nearest_neighbors(
        Asked(samples, [str(n) for n in range(len(samples))], record),
        Training(Held(train), np.arange(len(train)), str),
        honest,
        discriminator.eval(),
        k=3,
        rows=2,
        seed=0,
    )


def test_held_out_images_are_also_compared_at_half_their_resolution() -> None:
    """Held-out images that are copies but for their sharpness say that such copies are no sign."""
    train = coarse(120, 0)
    samples = softened(train[:40])
    as_soft = softened(checkered(train)).astype(np.int16) - softened(train)
    assert np.abs(as_soft).max() <= 1, "but for rounding"
    assert verdict(samples, coarse(60, 1), train).facts["memorised"], "copies are found at all"
    assert not verdict(samples, checkered(train[60:]), train).facts["memorised"]


def test_every_second_image_is_learned_from_at_half_its_resolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latents = seeded_latents(0, 200, 8, "normal")
    signed = forgetful.drawing().signed(latents)
    given = signed.clone()
    passes: list[Tensor] = []

    def look(discriminator: Discriminator, images: Tensor) -> Iterator[sight.Sight]:
        passes.append(images.clone())
        return sight.look(discriminator, images)

    monkeypatch.setattr(learning_to_find, "look", look)
    fit_finder(signed, forgetful.boxes(latents), forgetful.discriminator())
    assert torch.equal(signed, given)
    soft = soften(signed)
    assert not torch.isclose(soft, signed).flatten(1).all(1).any()
    assert len(passes) == 2, "one to learn from, one to be examined by"
    for seen in passes:
        assert torch.equal(seen[::2], soft[::2])
        assert torch.equal(seen[1::2], signed[1::2])
