"""Exact k nearest neighbors of a few rows among any number of others, read once and in blocks.

The distances of a whole block come from one matrix product, ‖q‖² + ‖x‖² − 2 q·x. It loses precision
for similar rows, so it is only used to exclude rows: every row that could still be among the k
nearest, given the rounding error of the product, is computed again from differences in float64. Of
a block only the neighbors are kept, so a million images need no more memory than a thousand.

Example: `table = nearest(queries, blocks, k=5)`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.errors import DcganError
from dcgan_cli.matmul import matmul_nt

PART = 256
"""Queries that are compared with a block at a time: a product of 256 × 50 versions × 1024 rows
takes 52 MB."""

GATHER = 1 << 18
"""Distances that are computed from differences at a time."""

SAFETY = 8.0
"""Number of standard deviations of rounding errors that are allowed for: with independent roundings
the error of a float32 scalar product exceeds λ √D u ‖q‖ ‖x‖ with probability below 2 exp(−λ² / 2)
(Higham and Mary 2019, doi 10.1137/18M1226312)."""

UNIT = 2.0**-24
"""u, the unit roundoff of float32."""


@dataclass(frozen=True, eq=False)
class NeighborTable:
    """The nearest rows of each query, nearest first; for equal distances, the lower number first.

    `indices` is int64 [Q, k]: numbers of rows, in the order in which they were added, from 0.
    `distances` is float64 [Q, k], Euclidean: exactly 0 for identical rows.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]

    def __getitem__(self, queries: slice | NDArray[np.int64]) -> "NeighborTable":
        return NeighborTable(self.indices[queries], self.distances[queries])


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the queries: which, and what a block's rows are multiplied with.

    A row of `left` is −2 q, ‖q‖², 1; its product with x, 1, ‖x‖² is the squared distance.
    """

    queries: slice
    versions: int
    left: Tensor
    left_there: Tensor
    longest: NDArray[np.float64]


class Search:
    """The k nearest rows of each query among the blocks passed to `add`."""

    def __init__(
        self,
        queries: Iterable[Tensor],
        k: int,
        *,
        left_out: NDArray[np.int64] | None = None,
        device: torch.device | None = None,
    ) -> None:
        """Begin a search for `k` neighbors, at least 1, with products computed on `device`.

        `queries` come in parts of about PART, float32 [q, D] each, or [q, V, D]: V versions of each
        query, of which the nearest one counts (of several that are as near within rounding, one of
        them). `left_out`, int64 [Q], is the number of a row that is no neighbor of the query (an
        image is not its own neighbor); −1 for none.
        """
        self._device = device or torch.device("cpu")
        self._parts: list[_Part] = []
        count = 0
        for part in queries:
            self._parts.append(self._part(count, part))
            count += len(part)
        self._left_out = np.full(count, -1) if left_out is None else left_out
        self._seen = 0
        self._indices = np.full((count, k), np.iinfo(np.int64).max)
        self._squared = np.full((count, k), np.inf)

    def add(self, rows: Tensor) -> None:
        """Search the next block, float32 [B, D]."""
        if not len(rows):
            return
        rows = rows.cpu()
        squares = _squares(rows)
        right = torch.cat([rows, torch.ones_like(squares), squares], 1).to(self._device)
        farthest = float(squares.max().sqrt())
        rounding = 2 * SAFETY * UNIT * rows.shape[1] ** 0.5
        for part in self._parts:
            self._look(part, rows, right, rounding * (part.longest + farthest) ** 2)
        self._seen += len(rows)

    def result(self) -> NeighborTable:
        """The neighbors. Raises DcganError if fewer than k rows were added."""
        if not np.isfinite(self._squared).all():
            raise DcganError(
                f"{self._squared.shape[1]} nearest neighbors were asked for, and only {self._seen} "
                "images are there to be compared with"
            )
        return NeighborTable(self._indices, np.sqrt(self._squared))

    def _part(self, first: int, queries: Tensor) -> _Part:
        versions = 1 if queries.dim() == 2 else queries.shape[1]
        flat = queries.reshape(-1, queries.shape[-1]).cpu()
        squares = _squares(flat)
        left = torch.cat([-2 * flat, squares, torch.ones_like(squares)], 1)
        longest = squares.view(-1, versions).amax(1).double().sqrt().numpy()
        place = slice(first, first + len(queries))
        return _Part(place, versions, left, left.to(self._device), longest)

    def _look(self, part: _Part, rows: Tensor, right: Tensor, slack: NDArray[np.float64]) -> None:
        """Measure the rows of a block that may be among the nearest of the queries of `part`."""
        k = self._squared.shape[1]
        product = matmul_nt(part.left_there, right).view(len(slack), part.versions, len(rows))
        nearest = product.amin(1) if part.versions > 1 else product[:, 0]
        own = self._left_out[part.queries] - self._seen
        here = np.flatnonzero((own >= 0) & (own < len(rows)))
        nearest[torch.from_numpy(here), torch.from_numpy(own[here])] = torch.inf
        bound = self._squared[part.queries, -1]
        if np.isinf(bound).any():
            at_least = min(k, len(rows))
            found = nearest.topk(at_least, largest=False).values[:, -1].cpu().double().numpy()
            bound = np.minimum(bound, found + slack)
        limit = torch.from_numpy(bound + slack).float().to(self._device)
        query, row = _places((nearest <= limit[:, None]) & nearest.isfinite())
        version = product[query, :, row].argmin(1)
        left = (query * part.versions + version).cpu().numpy()
        squared = _measure(part.left, left, rows, row.cpu().numpy())
        self._keep(
            query.cpu().numpy() + part.queries.start, row.cpu().numpy() + self._seen, squared
        )

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
) -> NeighborTable:
    """The `k` nearest rows of `blocks` (float32 [B, D] each) for each of `queries` [Q, D]."""
    search = Search(queries.split(PART), k, device=device)
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


def _measure(
    left: Tensor, of_left: NDArray[np.int64], rows: Tensor, of_rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distances of versions of queries (rows of a part's `left`) to rows, by differences."""
    minus_twice, others = left.numpy()[:, :-2], rows.numpy()
    result = np.empty(len(of_rows))
    step = max(1, GATHER // rows.shape[1])
    for first in range(0, len(result), step):
        piece = slice(first, first + step)
        apart = minus_twice[of_left[piece]] * np.float32(-0.5)  # exact
        apart -= others[of_rows[piece]]
        wide = apart.astype(np.float64)
        result[piece] = np.einsum("ij,ij->i", wide, wide)
    return result
