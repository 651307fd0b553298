"""Exact k nearest neighbours of a few rows among any number of others, seen once and in blocks.

Distances of a whole block come from one matrix product, ‖q‖² + ‖x‖² − 2 q·x. That cancels where rows
are alike, so it only rules out: whatever could still be among the k nearest, given how far such a
product can be off, is measured again by differences in float64. Nothing is kept of a block but the
neighbours found in it, so a million pictures need no more memory than a thousand.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.errors import DcganError

PRODUCT = 1 << 24
"""Numbers of one matrix product: 64 MB, whatever the sizes of queries and blocks."""

GATHER = 1 << 18
"""Numbers measured by differences at a time."""

SAFETY = 8.0
"""How many standard deviations of the rounding of a float32 scalar product are allowed for: with
independent roundings its error exceeds λ √D u ‖q‖ ‖x‖ with probability below 2 exp(−λ² / 2) (Higham
and Mary 2019, doi 10.1137/18M1226312)."""

UNIT = 2.0**-24
"""u, the unit roundoff of float32."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of each query, nearest first; of equal distances the lower number goes first.

    `indices` is int64 [Q, k]: numbers of rows, in the order in which they were shown, from 0.
    `distances` is float64 [Q, k], Euclidean: exactly 0 for rows that are the same.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]

    def __getitem__(self, queries: slice | NDArray[np.int64]) -> "Neighbours":
        return Neighbours(self.indices[queries], self.distances[queries])


class Search:
    """The k nearest rows of each query among the blocks that `add` is shown."""

    def __init__(
        self,
        queries: Tensor,
        k: int,
        *,
        left_out: NDArray[np.int64] | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Begin a search.

        Args:
            queries: float32 [Q, D], or [Q, V, D]: V versions of each query, of which the nearest
                one counts.
            k: how many neighbours, at least 1.
            left_out: int64 [Q], the number of a row that is no neighbour of the query (a picture
                is not its own neighbour); −1 for none.
            device: where the products are computed. The CPU measures what is left.
        """
        versions = queries if queries.dim() == 3 else queries[:, None]
        count, self._versions, width = versions.shape
        self._device = device or torch.device("cpu")
        flat = versions.reshape(-1, width).cpu()
        squares = _squares(flat)
        self._left = torch.cat([-2 * flat, squares, torch.ones_like(squares)], 1)
        self._left_there = self._left.to(self._device)
        self._longest = squares.view(count, -1).amax(1).double().sqrt().numpy()
        self._left_out = np.full(count, -1) if left_out is None else left_out
        self._seen = 0
        self._indices = np.full((count, k), np.iinfo(np.int64).max)
        self._squared = np.full((count, k), np.inf)

    def add(self, rows: Tensor) -> None:
        """Look through the next block, float32 [B, D]."""
        rows = rows.cpu()
        squares = _squares(rows)
        right = torch.cat([rows, torch.ones_like(squares), squares], 1).to(self._device)
        reach = self._longest + float(squares.max().sqrt()) if len(rows) else self._longest
        slack = 2 * SAFETY * UNIT * rows.shape[1] ** 0.5 * reach**2
        step = max(1, PRODUCT // max(1, self._versions * len(rows)))
        for first in range(0, len(self._squared) if len(rows) else 0, step):
            self._look(slice(first, first + step), rows, right, slack[first : first + step])
        self._seen += len(rows)

    def result(self) -> Neighbours:
        """What was found. Raises DcganError where fewer than k rows were shown."""
        if not np.isfinite(self._squared).all():
            raise DcganError(
                f"{self._squared.shape[1]} nearest neighbours were asked for, and only {self._seen} "
                "pictures are there to be compared with"
            )
        return Neighbours(self._indices, np.sqrt(self._squared))

    def _look(
        self, queries: slice, rows: Tensor, right: Tensor, slack: NDArray[np.float64]
    ) -> None:
        """Measure the rows of a block that may be among the nearest of some queries."""
        count, k = self._squared[queries].shape
        v = self._versions
        product = self._left_there[queries.start * v : (queries.start + count) * v] @ right.T
        product = product.view(count, v, len(rows))
        nearest = product.amin(1) if v > 1 else product[:, 0]
        own = self._left_out[queries] - self._seen
        here = np.flatnonzero((own >= 0) & (own < len(rows)))
        nearest[torch.from_numpy(here), torch.from_numpy(own[here])] = torch.inf
        bound = self._squared[queries, -1]
        if np.isinf(bound).any():
            at_least = min(k, len(rows))
            found = nearest.topk(at_least, largest=False).values[:, -1].cpu().double().numpy()
            bound = np.minimum(bound, found + slack)
        limit = torch.from_numpy(bound + slack).float().to(self._device)
        query, row = _places((nearest <= limit[:, None]) & nearest.isfinite())
        version = product[query, :, row].argmin(1).cpu().numpy() if v > 1 else 0
        query = query.cpu().numpy() + queries.start
        row = row.cpu().numpy()
        squared = self._measure(query * v + version, rows, row)
        self._keep(query, row + self._seen, squared)

    def _measure(
        self, version: NDArray[np.int64], rows: Tensor, row: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Squared distances of versions of queries to rows of a block, by differences in float64."""
        left, right = self._left.numpy()[:, :-2], rows.numpy()
        result = np.empty(len(row))
        step = max(1, GATHER // right.shape[1])
        for first in range(0, len(row), step):
            part = slice(first, first + step)
            apart = left[version[part]] * np.float32(-0.5)  # exact
            apart -= right[row[part]]
            wide = apart.astype(np.float64)
            result[part] = np.einsum("ij,ij->i", wide, wide)
        return result

    def _keep(
        self, query: NDArray[np.int64], index: NDArray[np.int64], squared: NDArray[np.float64]
    ) -> None:
        """Merge candidates into the k nearest of their queries."""
        k = self._squared.shape[1]
        touched = np.unique(query)
        query = np.concatenate([query, touched.repeat(k)])
        index = np.concatenate([index, self._indices[touched].ravel()])
        squared = np.concatenate([squared, self._squared[touched].ravel()])
        order = np.lexsort((index, squared, query))
        best = order[np.searchsorted(query[order], touched)[:, None] + np.arange(k)]
        self._indices[touched], self._squared[touched] = index[best], squared[best]


def nearest(
    queries: Tensor, blocks: Iterable[Tensor], k: int, device: torch.device | None = None
) -> Neighbours:
    """The `k` nearest rows of `blocks` (float32 [B, D] each) for each of `queries` [Q, D]."""
    search = Search(queries, k, device=device)
    for block in blocks:
        search.add(block)
    return search.result()


def _squares(rows: Tensor) -> Tensor:
    """Squared lengths, float32 [N, 1]."""
    return rows.square().sum(1, keepdim=True)


def _places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every True."""
    if mask.device.type != "cpu":
        row, column = mask.nonzero(as_tuple=True)
        return row, column
    # NumPy skips runs of False many times faster
    flat = torch.from_numpy(np.flatnonzero(mask.numpy()))
    return flat // mask.shape[1], flat % mask.shape[1]
