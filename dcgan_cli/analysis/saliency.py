"""Measures of a visualisation: how much of the picture it fills, what it lies on, what it resembles.

A visualisation is read as energy: the squares of its numbers, summed over the channels. All measures
look at the receptive field alone, because a network cannot look beyond it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from dcgan_cli.data.decode import crop_corners
from dcgan_cli.data.labels import Boxes
from dcgan_cli.data.pictures import PictureSet

Numbers = NDArray[np.float64]
Fields = NDArray[np.bool_]


def energy(visualisations: Tensor) -> Numbers:
    """[N, C, S, S] → [N, S, S], 0 or more."""
    return visualisations.double().square().sum(1).cpu().numpy()


def filled(energies: Numbers, fields: Fields) -> Numbers:
    """The share of the receptive field that the energy fills: [N] in (0, 1], NaN without energy.

    The participation ratio (Σe)² / Σe² counts the pixels that would hold the energy if all held the
    same; it is divided by the pixels of the field. 1 is even, near 0 is one pixel.
    """
    total, squares = energies.sum((1, 2)), np.square(energies).sum((1, 2))
    with np.errstate(invalid="ignore"):
        return total**2 / squares / fields.sum((1, 2))


def share_inside(energies: Numbers, masks: Numbers) -> Numbers:
    """The share of the energy that lies inside `masks` [N, S, S] in [0, 1]: [N], NaN without energy."""
    with np.errstate(invalid="ignore"):
        return (energies * masks).sum((1, 2)) / energies.sum((1, 2))


def likeness(some: Numbers, others: Numbers, fields: Fields) -> Numbers:
    """Spearman's rank correlation of two energies over the pixels of each field: [N] in [−1, 1].

    NaN where one of them is the same everywhere.
    """
    found = np.full(len(fields), np.nan)
    for i, field in enumerate(fields):
        ranks = [rankdata(energies[i][field]) for energies in (some, others)]
        first, second = (rank - rank.mean() for rank in ranks)
        norm = np.sqrt((first @ first) * (second @ second))
        if norm > 0:
            found[i] = first @ second / norm
    return found


def on_squares(boxes: Boxes, pictures: PictureSet) -> Boxes:
    """Boxes of a source as they lie on its prepared pictures.

    Renumbered as in `pictures`, corners as fractions of the centred square, those outside it left
    out.
    """
    boxes = boxes.take(pictures.origin)
    width, height = pictures.original_size[boxes.picture].T
    corners = crop_corners(boxes.corners, width, height)
    there = ~np.isnan(corners).any(1)
    return replace(
        boxes, picture=boxes.picture[there], kind=boxes.kind[there], corners=corners[there]
    )


def inside_boxes(boxes: Boxes, numbers: NDArray[np.int64], size: int) -> Numbers:
    """How far each pixel of the pictures `numbers` [N] lies in a box: [N, size, size] in [0, 1]."""
    edges = np.arange(size)
    outside = np.ones((len(numbers), size, size))
    for row, number in enumerate(numbers):
        for x0, y0, x1, y1 in boxes.corners[boxes.picture == number] * size:
            across, down = (
                np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1)
                for low, high in ((x0, x1), (y0, y1))
            )
            outside[row] *= 1 - down[:, None] * across
    return 1 - outside
