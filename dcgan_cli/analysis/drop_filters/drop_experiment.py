"""Samples before and after feature maps are dropped: detected objects, and changed pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.drop_filters.filters import Ranking, without
from dcgan_cli.analysis.drop_filters.locations import having, inside
from dcgan_cli.analysis.drop_filters.object_detector import ObjectDetector
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.data.labels import Boxes
from dcgan_cli.model.latents import Latents
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.runtime import numpy_stream

RANDOM_DRAWS = 8
"""Number of draws of random maps over which the control is averaged."""

DOSES = (0.03, 0.06, 0.12, 0.25, 0.5, 0.75, 1.0)
"""Shares of all maps that are dropped in the dose curve, besides none and the chosen maps."""

SCENE = 16
"""Side of the blurred images by which scenes are compared."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DropResult:
    """Which samples of an experiment show each object with some maps dropped, bool [N].

    `scene` [N] is how like each is to itself before, outside the boxes: a correlation. `change`
    [M, 2] is how far the pixels of the M samples that had a box moved inside and outside of it, as
    a share of black to white.
    """

    found: Mapping[str, NDArray[np.bool_]]
    scene: FloatArray
    change: FloatArray


@dataclass(frozen=True, eq=False)
class DropExperiment:
    """Samples of `latents` [N, z_dim] with all maps there, `before` [N, C, S, S] in [−1, 1].

    `kind`, one of the object detector's objects, is to be forgotten; `boxes` say where it is in
    them, and `found`, bool [N], which of them show each object.
    """

    sampler: Sampler
    detector: ObjectDetector
    kind: str
    latents: Latents
    before: Tensor
    found: Mapping[str, NDArray[np.bool_]]
    boxes: Boxes

    @classmethod
    def of(
        cls, sampler: Sampler, detector: ObjectDetector, kind: str, latents: Latents
    ) -> "DropExperiment":
        """Draw `latents` [N, z_dim] and look at them."""
        before = sampler.normalized(latents)
        scores = detector.score(before)
        boxes = detector.boxes(scores, kind)
        return cls(sampler, detector, kind, latents, before, detector.found(scores), boxes)

    def outcome(self, layer: int, gone: Sequence[int]) -> DropResult:
        """The same latent vectors, generated without the maps `gone` of `layer`."""
        after = without(self.sampler, layer, gone, self.latents)
        found = self.detector.found(self.detector.score(after))
        mask = inside(self.boxes, self.kind, self.before.shape[-1])
        moved = ((after - self.before).abs().mean(1) / 2).double().numpy()
        told = having(mask) & having(~mask)
        rows = [
            (image[box].mean(), image[~box].mean())
            for image, box in zip(moved[told], mask[told], strict=True)
        ]
        return DropResult(found, self.likeness(after), np.array(rows, np.float64).reshape(-1, 2))

    def unrelated_similarity(self) -> FloatArray:
        """The similarity of each sample to the next one: `likeness` of unrelated scenes, [N]."""
        return self.likeness(self.before.roll(1, 0))

    def likeness(self, after: Tensor) -> FloatArray:
        """How like images [N, C, S, S] are to those before, outside the boxes: correlations [N].

        Both are blurred to SCENE × SCENE and taken as differences from the mean sample, so that
        two different samples are about 0.
        """
        outside = torch.from_numpy(~inside(self.boxes, self.kind, SCENE))[:, None]
        one, other = (F.adaptive_avg_pool2d(images, SCENE) for images in (self.before, after))
        mean = one.mean(0)
        first, second = (((soft - mean) * outside).flatten(1).double() for soft in (one, other))
        return F.cosine_similarity(first, second).numpy()


@dataclass(frozen=True, eq=False)
class DropPlan:
    """Which maps go at each dose: those that speak most for the object, or as many random ones.

    With `keep_only` the maps of a dose stay and all others go. Random draws are prefixes of one
    permutation a draw, so that a draw's doses contain each other as the ranking's do.
    """

    ranking: Ranking
    chosen: int
    keep_only: bool
    seed: int

    @property
    def counts(self) -> list[int]:
        """The doses: numbers of maps, ascending, none and the chosen number among them."""
        total = len(self.ranking.weights)
        return sorted({0, self.chosen, *(round(share * total) for share in DOSES)})

    def gone(self, count: int, draw: int | None = None) -> list[int]:
        """The maps that go at a dose of `count`: by the ranking, or by a random draw."""
        order = self.ranking.order
        if draw is not None:
            stream = numpy_stream(self.seed, "random maps", draw)
            order = stream.permutation(len(order)).tolist()
        return order[count:] if self.keep_only else order[:count]


@dataclass(frozen=True, eq=False)
class Dose:
    """What `count` maps do: those of the ranking, and each draw of random ones."""

    count: int
    ranked: DropResult
    random: Sequence[DropResult]


def measure_doses(
    setup: DropExperiment, plan: DropPlan, progress: ProgressCallback = lambda done, total: None
) -> list[Dose]:
    """The outcomes of all doses of `plan`, ascending."""
    counts = plan.counts
    doses: list[Dose] = []
    for count in counts:
        progress(len(doses), len(counts))
        ranked = setup.outcome(plan.ranking.layer, plan.gone(count))
        if 0 < count < len(plan.ranking.weights):
            drawn = (plan.gone(count, draw) for draw in range(RANDOM_DRAWS))
            random = [setup.outcome(plan.ranking.layer, gone) for gone in drawn]
        else:  # there is nothing to choose
            random = [ranked] * RANDOM_DRAWS
        doses.append(Dose(count, ranked, random))
    return doses
