"""Boxes as locations of a grid and back, and how well scores separate inside from outside."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dcgan_cli.analysis.statistics import from_influence, mean_within
from dcgan_cli.data.labels import Boxes
from dcgan_cli.report import Estimate

Mask = NDArray[np.bool_]
"""Locations of N images: bool [N, side, side], rows from the top, columns from the left."""

Scores = NDArray[np.floating]
"""One number a location: [N, side, side]."""


Flags = NDArray[np.bool_]
"""One truth an image: bool [N]."""


def having(mask: Mask) -> Flags:
    """Which images have anything inside, [N]."""
    return np.asarray(mask.reshape(len(mask), -1).any(1))


def inside(boxes: Boxes, kind: str, side: int) -> Mask:
    """Which locations of a side × side grid lie in a box of `kind`, [N, side, side].

    A location is in a box where its center is; the smallest box has at least the location that its
    own center falls into.
    """
    centers = (np.arange(side) + 0.5) / side
    found = np.zeros((len(boxes.seen), side, side), np.bool_)
    for image, corners in zip(
        boxes.image[boxes.kind == kind], boxes.corners[boxes.kind == kind], strict=True
    ):
        spans: list[Mask] = []
        for low, high in (corners[1::2], corners[::2]):
            span = (centers >= low) & (centers <= high)
            span[min(int((low + high) / 2 * side), side - 1)] = True
            spans.append(span)
        found[image] |= spans[0][:, None] & spans[1][None]
    return found


def outlined(mask: Mask, kind: str, fewest: int = 1) -> Boxes:
    """The boxes around the connected parts of `mask`, parts of fewer locations left out.

    Locations are connected where they share an edge. All images count as seen.
    """
    from scipy.ndimage import find_objects, label

    side = mask.shape[1]
    images: list[int] = []
    corners: list[Sequence[float]] = []
    for number, image in enumerate(mask):
        parts, _ = cast(tuple[NDArray[np.int32], int], label(image))
        for part, (rows, columns) in enumerate(find_objects(parts), 1):
            if (parts[rows, columns] == part).sum() >= fewest:
                images.append(number)
                corners.append((columns.start, rows.start, columns.stop, rows.stop))
    numbers, kinds = np.array(images, np.int64), np.full(len(images), kind)
    edges = np.array(corners, np.float64).reshape(-1, 4) / side
    return Boxes(numbers, kinds, edges, np.ones(len(mask), np.bool_))


def auc(scores: NDArray[np.floating], truth: Mask) -> float:
    """Area under the ROC curve: how often a true one scores above a false one; ties count half.

    `truth` must hold both.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    true = int(truth.sum())
    return float((ranks[truth].sum() - true * (true + 1) / 2) / (true * (truth.size - true)))


def aucs_within(scores: Scores, mask: Mask) -> NDArray[np.float64]:
    """How well `scores` tell inside from outside in the same image: an AUC each, [M].

    Images with nothing inside or nothing outside say nothing and are left out. The images, not
    the locations, are independent: intervals are of these values.
    """
    told = np.flatnonzero(having(mask) & having(~mask))
    return np.array([auc(scores[i].ravel(), mask[i].ravel()) for i in told], np.float64)


def mean_auc(scores: Scores, mask: Mask) -> Estimate:
    """The mean of `aucs_within` with its interval; n counts the images that say something."""
    values = aucs_within(scores, mask)
    return mean_within(values, unit="images") if len(values) else Estimate(np.nan, n=0)


def aucs_in_place(scores: Scores, mask: Mask) -> NDArray[np.float64]:
    """How well `scores` tell inside from outside at the same location of other images, [M].

    One value for each image with anything inside: the mean over its locations inside of the share
    of images with nothing there that score lower; ties count half. Knowing the place is no help:
    chance is 0.5. Locations where all images are inside say nothing.
    """
    flat, truth = scores.reshape(len(scores), -1), mask.reshape(len(mask), -1)
    wins = np.full(truth.shape, np.nan)
    for place in np.flatnonzero(truth.any(0) & ~truth.all(0)):
        own = truth[:, place]
        gap = flat[own, place][:, None] - flat[~own, place]
        wins[own, place] = ((gap > 0) + 0.5 * (gap == 0)).mean(1)
    return np.nanmean(wins[~np.isnan(wins).all(1)], 1)


def auc_in_place(scores: Scores, mask: Mask) -> Estimate:
    """The mean of `aucs_in_place` and its interval; n counts the images with anything inside.

    Every image is compared with the same others, so these values hang together: what each image
    adds to the error, as one that has something inside and as one that has not, is added up before
    it is squared (DeLong's way, 1988).
    """
    flat, truth = scores.reshape(len(scores), -1), mask.reshape(len(mask), -1)
    there = np.flatnonzero(truth.any(0) & ~truth.all(0))
    weights = truth[:, there] / np.maximum(truth[:, there].sum(1, keepdims=True), 1)
    values = aucs_in_place(scores, mask)
    value = float(values.mean())
    influence = np.zeros(len(scores))
    influence[truth[:, there].any(1)] = values - value
    for column, place in enumerate(there):
        own = truth[:, place]
        gap = flat[own, place][:, None] - flat[~own, place]
        wins = (gap > 0) + 0.5 * (gap == 0)
        rest = wins - wins.mean(1, keepdims=True)
        influence[~own] += weights[own, column] @ rest / (~own).sum()
    found = from_influence(value, influence / len(values))
    return replace(found, n=len(values))


def usual_place(mask: Mask, folds: NDArray[np.int64]) -> Scores:
    """The share of the other folds' images in which a location is inside, [N, side, side].

    The control of every score of locations: it knows where the object usually is and no image.
    """
    return np.stack([mask[folds != fold].mean(0) for fold in range(folds.max() + 1)])[folds]


def split(count: int, folds: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each of `count` images, at random and of equal size: int64 [count]."""
    return stream.permutation(np.arange(count) % folds)
