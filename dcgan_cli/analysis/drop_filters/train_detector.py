"""Training an object detector on images with boxes: logistic regressions of locations.

All values are measured on held-out images: the images are split into folds, and each is scored by a
classifier trained on the other folds. The thresholds are chosen on these scores too. New images are
scored by the mean of the classifiers of all folds.

The training images are real, but the detector is applied to generated images, which are softer:
every second image is therefore used for training and evaluation at half its resolution.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.drop_filters import location_features, locations
from dcgan_cli.analysis.drop_filters.object_detector import (
    DetectableObject,
    ObjectDetector,
    presence,
)
from dcgan_cli.analysis.feature_extractors import blur
from dcgan_cli.analysis.statistics import balanced, share
from dcgan_cli.data.labels import Boxes
from dcgan_cli.errors import DcganError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.runtime import numpy_stream
from dcgan_cli.wording import counted

DETECTOR_FOLDS = 3

MIN_EXAMPLES = 10
"""Minimum number of images with an object, and of images without it."""

ENOUGH = 30
"""Minimum number of images without the object for a verdict on whether its presence is detected:
with fewer, even a good detector's interval would include chance, so that only the values are
reported."""

LOCATIONS_PER_IMAGE = 32
"""Locations of each image that are used for training: half of them anywhere, half inside boxes."""

C_VALUE = 0.01
"""Inverse strength of the regularization, on features of unit spread."""

PASS = 0.95
"""Share of real images in which an object that nearly every image has shall be detected."""


def fit_object_detector(
    normalized: Tensor,
    boxes: Boxes,
    discriminator: Discriminator,
    *,
    seed: int = 0,
    progress: ProgressCallback = lambda done, total: None,
) -> ObjectDetector:
    """Learn to find the objects of `boxes` in images `normalized` [N, C, S, S] in [−1, 1].

    S is the discriminator's size; images that were not looked at are left out. `progress` is told
    how many images have been seen, of both passes over them. Raises DcganError where none of the
    objects can be found better than chance.
    """
    looked = np.flatnonzero(boxes.seen)
    blurred = normalized[torch.from_numpy(looked)].clone()
    blurred[::2] = blur(blurred[::2])
    truth, refused = _masks(boxes.take(looked), location_features.grid_side(discriminator))
    if not truth:
        raise _nothing(refused)
    stream = numpy_stream(seed, "finder")
    folds = locations.split(len(looked), DETECTOR_FOLDS, stream)
    rows = _rows(list(truth.values()), stream)

    def pieces(first: int) -> Iterator[tuple[slice, location_features.LocationFeatures]]:
        done = 0
        for seen in location_features.extract_location_features(discriminator, blurred):
            yield slice(done, done + len(seen)), seen
            done += len(seen)
            progress(first + done, 2 * len(looked))

    taken: list[Tensor] = []
    for piece, seen in pieces(0):
        features = seen.features().flatten(2)
        picked = torch.from_numpy(rows[piece])[:, None].expand(-1, features.shape[1], -1)
        taken.append(features.gather(2, picked))
    fitted = _fit(torch.cat(taken).transpose(1, 2), rows, truth, folds)
    held_out = np.empty((len(looked), len(truth), *fitted[0].place.shape[1:]), np.float32)
    for piece, seen in pieces(len(looked)):
        for fold, linear in enumerate(fitted):
            own = folds[piece] == fold
            held_out[piece][own] = linear(seen)[own]

    objects: dict[str, DetectableObject] = {}
    for place, (kind, mask) in enumerate(truth.items()):
        known = _evaluate(held_out[:, place], mask, folds)
        if isinstance(known, str):
            refused[kind] = known
        else:
            objects[kind] = known
    if not objects:
        raise _nothing(refused)
    kept = torch.tensor([place for place, kind in enumerate(truth) if kind in objects])
    stacks = ([one.weights for one in fitted], [one.place for one in fitted])
    mean = location_features.Linear(*(torch.stack(stack).mean(0)[kept] for stack in stacks))
    return ObjectDetector(objects, refused, len(looked), discriminator, mean)


def _masks(boxes: Boxes, side: int) -> tuple[dict[str, locations.Mask], dict[str, str]]:
    """The locations inside each kind of box, and why some kinds cannot be learned."""
    masks: dict[str, locations.Mask] = {}
    refused: dict[str, str] = {}
    for kind in np.unique(boxes.kind).tolist():
        mask = locations.inside(boxes, kind, side)
        there = int(locations.having(mask).sum())
        if there < MIN_EXAMPLES:
            refused[kind] = f"{counted(there, 'image')} with it, at least {MIN_EXAMPLES} are needed"
        elif (locations.having(mask) & locations.having(~mask)).sum() < MIN_EXAMPLES:
            refused[kind] = "it fills whole images"
        else:
            masks[kind] = mask
    return masks, refused


def _nothing(refused: Mapping[str, str]) -> DcganError:
    why = "; ".join(f"{kind}: {reason}" for kind, reason in refused.items()) or "no boxes"
    return DcganError(f"nothing can be found by these boxes: {why}")


def _rows(masks: Sequence[locations.Mask], stream: np.random.Generator) -> NDArray[np.int64]:
    """The locations of each image to learn from, [N, LOCATIONS_PER_IMAGE]."""
    flat = np.stack([mask.reshape(len(mask), -1) for mask in masks]).astype(np.float64)
    sizes = flat.sum(2, keepdims=True)
    within = (flat / np.maximum(sizes, 1)).sum(0) / np.maximum((sizes > 0).sum(0), 1)
    weights = 0.5 / flat.shape[2] + 0.5 * within
    # the largest of log-weight plus Gumbel noise are a weighted draw without replacement
    keys = np.log(weights) + stream.gumbel(size=weights.shape)
    return np.argsort(-keys, 1)[:, :LOCATIONS_PER_IMAGE]


def _fit(
    taken: Tensor,
    rows: NDArray[np.int64],
    truth: Mapping[str, locations.Mask],
    folds: NDArray[np.int64],
) -> list[location_features.Linear]:
    """One classifier a fold, trained on the other folds, of what was seen, [N, LOCATIONS_PER_IMAGE, F]."""
    from sklearn.linear_model import LogisticRegression

    mean = taken.mean((0, 1))
    spread = taken.std((0, 1))
    spread = torch.where(spread > 0, spread, 1.0)
    place = location_features.places(next(iter(truth.values())).shape[1])
    table = torch.cat([(taken - mean) / spread, place.flatten(0, 1)[torch.from_numpy(rows)]], 2)
    count = taken.shape[2]
    fitted: list[location_features.Linear] = []
    for fold in range(DETECTOR_FOLDS):
        others = folds != fold
        x = table[torch.from_numpy(others)].flatten(0, 1).numpy()
        linear: list[tuple[Tensor, Tensor]] = []
        for mask in truth.values():
            flat = np.take_along_axis(mask.reshape(len(mask), -1), rows, 1)[others].ravel()
            model = LogisticRegression(C=C_VALUE, class_weight="balanced", max_iter=200)
            model.fit(x, flat)
            intercept = np.asarray(model.intercept_)
            weights = torch.from_numpy(model.coef_[0].astype(np.float32))
            own = weights[:count] / spread
            rest = float(intercept[0]) - float(own @ mean)
            linear.append((own, place @ weights[count:] + rest))
        fitted.append(location_features.Linear(*map(torch.stack, zip(*linear, strict=True))))
    return fitted


def _evaluate(
    scores: location_features.Grids, mask: locations.Mask, folds: NDArray[np.int64]
) -> DetectableObject | str:
    """What is known of an object by its held-out scores [N, side, side]; or why it is refused."""
    where = locations.mean_auc(scores, mask)
    usual = locations.mean_auc(locations.usual_place(mask, folds), mask)
    if where.low is None or where.low <= usual.value:
        return (
            f"AUC {where.value:.2f} on {counted(where.n or 0, 'image')} held out, no better than by its usual "
            f"place ({usual.value:.2f})"
        )
    there = locations.having(mask)
    found = presence(scores)
    whether = None
    if (~there).sum() >= MIN_EXAMPLES:
        said = np.empty_like(there)
        for fold in range(DETECTOR_FOLDS):
            own = folds == fold
            said[own] = found[own] > _threshold(found[~own], there[~own])
        right = said == there
        with_it, without = ((int(right[part].sum()), int(part.sum())) for part in (there, ~there))
        whether = balanced(with_it, without)
        if (~there).sum() >= ENOUGH and (whether.low is None or whether.low <= 0.5):
            return f"whether it is there is said no better than by chance ({whether.value:.2f})"
    present, edge = _threshold(found, there), _edge(scores[there], mask[there])
    known = share(int(there.sum()), len(there))
    return DetectableObject(present, edge, where, usual, whether, known)


def _threshold(found: NDArray[np.float64], there: locations.Flags) -> float:
    """The threshold of presence: the most accurate one, or the one that PASS of the images reach."""
    if (~there).sum() < MIN_EXAMPLES or not there.any():
        return float(np.quantile(found, 1 - PASS))
    order = np.argsort(found)
    passed = np.cumsum(there[order]) / there.sum()
    cleared = np.cumsum(~there[order]) / (~there).sum()
    best = int(np.argmax((cleared - passed)[:-1]))
    return float((found[order[best]] + found[order[best + 1]]) / 2)


def _edge(scores: location_features.Grids, mask: locations.Mask) -> float:
    """The threshold by which locations above it overlap the boxes best (F1)."""
    candidates = np.quantile(scores, np.linspace(0.5, 0.995, 60))

    def overlap(threshold: float) -> float:
        said = scores > threshold
        return 2 * float((said & mask).sum()) / float(said.sum() + mask.sum())

    return float(max(candidates, key=overlap))
