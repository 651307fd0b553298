"""Sampling labeled images: stratified splits and draws with exact numbers in every class.

Files are often sorted by class, and a few labels drawn regardless of class may miss a class: so
every split keeps the proportions of the classes, and every draw has the requested number of each
class.
"""

import numpy as np
from numpy.typing import NDArray

RowIndices = NDArray[np.int64]


def split_rows(
    codes: RowIndices, count: int, stream: np.random.Generator
) -> tuple[RowIndices, RowIndices]:
    """All rows of `codes` (int64 [N], classes from 0) in two parts, `count` of them in the second.

    Both are shuffled, and both hold the classes in the shares of the whole, to the nearest image.
    """
    order = stream.permutation(len(codes))
    ranks = _ranks(codes[order])
    taken = ranks < proportional(np.bincount(codes), count)[codes[order]]
    return order[~taken], order[taken]


def draw_rows(codes: RowIndices, wanted: RowIndices, stream: np.random.Generator) -> RowIndices:
    """`wanted[k]` random rows of each class k of `codes` (int64 [N]), shuffled together.

    Raises ValueError where a class has fewer.
    """
    if (np.bincount(codes, minlength=len(wanted)) < wanted).any():
        raise ValueError("a class has fewer images than are drawn of it")
    order = stream.permutation(len(codes))
    return order[_ranks(codes[order]) < wanted[codes[order]]]


def even(total: int, classes: int, stream: np.random.Generator) -> RowIndices:
    """`total` in `classes` parts that differ by one at most; which parts are larger is random."""
    wanted = np.full(classes, total // classes, np.int64)
    wanted[stream.permutation(classes)[: total % classes]] += 1
    return wanted


def proportional(counts: RowIndices, total: int) -> RowIndices:
    """`total` (at most the sum) in the shares of `counts`, by largest remainders.

    No part is larger than its count; equal remainders go to the earlier class.
    """
    parts, remainders = np.divmod(counts * total, counts.sum())
    left = total - int(parts.sum())
    parts[np.argsort(-remainders, kind="stable")[:left]] += 1
    return parts


def _ranks(codes: RowIndices) -> RowIndices:
    """For each entry, how many before it are of the same class."""
    by_class = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ranks = np.empty(len(codes), np.int64)
    ranks[by_class] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
