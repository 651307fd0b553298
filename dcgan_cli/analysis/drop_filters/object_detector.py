"""Detecting objects in images: one linear classifier of locations for each object.

At each location of a grid, its features are those of the discriminator there, the colors in and
around the location, and the location itself (`location_features.py`). An object is detected in an
image if the mean of its highest scores is above a threshold. Training is in `train_detector.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.drop_filters.location_features import (
    Grids,
    Linear,
    extract_location_features,
)
from dcgan_cli.analysis.drop_filters.locations import Flags, outlined
from dcgan_cli.data.labels import Boxes
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import SHARE, Estimate, Finding

TOP = 32
"""The mean of the highest 1/TOP of the scores of an image decides whether it contains the object."""


@dataclass(frozen=True)
class DetectableObject:
    """An object: an image has it where the mean of its highest scores is above `present`.

    A location is inside where its score is above `edge`. `where` says how well scores tell inside
    from outside a box (AUC within images), `where_usual` the same of knowing the place alone;
    `whether`, how often it is rightly said that an image has the object, with and without counting
    alike (None where too few are without it); `share`, how many of the real images have it.
    """

    present: float
    edge: float
    where: Estimate
    where_usual: Estimate
    whether: Estimate | None
    share: Estimate


@dataclass(frozen=True, eq=False)
class ObjectDetector:
    """Detects `objects` by name; `refused` gives the reason for objects that could not be learned."""

    objects: Mapping[str, DetectableObject]
    refused: Mapping[str, str]
    images: int
    _discriminator: Discriminator = field(repr=False)
    _linear: Linear = field(repr=False)

    def score(
        self, normalized: Tensor, progress: ProgressCallback = lambda done, total: None
    ) -> Grids:
        """Scores of images [N, C, S, S] in [−1, 1] by `objects`: [N, objects, side, side]."""
        parts: list[Grids] = []
        for location_features in extract_location_features(self._discriminator, normalized):
            parts.append(self._linear(location_features))
            progress(sum(map(len, parts)), len(normalized))
        return np.concatenate(parts)

    def found(self, scores: Grids) -> dict[str, Flags]:
        """Which images have each object, bool [N], by the scores that `score` gave."""
        return {
            name: presence(scores[:, place]) > known.present
            for place, (name, known) in enumerate(self.objects.items())
        }

    def boxes(self, scores: Grids, kind: str) -> Boxes:
        """Boxes of `kind`, one of `objects`, in the images where it is found."""
        place = list(self.objects).index(kind)
        there = self.found(scores)[kind][:, None, None]
        return outlined((scores[:, place] > self.objects[kind].edge) & there, kind, fewest=2)

    def findings(self) -> list[Finding]:
        """The accuracy of the detector on held-out images, against chance."""
        rows: list[Finding] = []
        for name, known in self.objects.items():
            finding = partial(Finding, about=name, better="up")
            label = f"object detector: where the {name} is (AUC within images)"
            values = known.where, known.where_usual, "where it usually is"
            rows.append(finding(f"detector_{name}_where", label, *values))
            if known.whether is not None:
                label = f"object detector: whether there is a {name} (balanced accuracy)"
                values = known.whether, Estimate(0.5), "chance"
                rows.append(finding(f"detector_{name}_whether", label, *values, unit=SHARE))
        return rows


def presence(scores: Grids) -> NDArray[np.float64]:
    """Score that each image contains an object, [N]: mean of the highest scores [N, side, side]."""
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    return np.sort(flat, 1)[:, -max(1, flat.shape[1] // TOP) :].mean(1)
