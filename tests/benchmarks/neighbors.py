"""Queries per second of the exact neighbor search against scikit-learn's brute force.

    python tests/benchmarks/neighbours.py [--pictures 10000] [--queries 1000] [--side 64] [--k 10]

Both find the k nearest among the same float32 rows in memory: synthetic faces with grain, side ×
side × 3 numbers each. The search is shown them in blocks, as it would stream them.
"""

import argparse

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from timing import compare

from dcgan_cli.analysis.nearest_neighbors.distance_metrics import Pixels
from dcgan_cli.analysis.nearest_neighbors.training_search import BLOCK
from dcgan_cli.analysis.neighbors import nearest
from dcgan_cli.data.demo import faces
from dcgan_cli.report import Images

DRAWN = 256


def make_images(count: int, side: int) -> Images:
    """Blends of two synthetic faces with grain: as spread out as images are, unlike random numbers."""
    stream = np.random.default_rng(0)
    drawn = np.stack([faces.draw(i, side) for i in range(DRAWN)]).astype(np.float32)
    result = np.empty((count, side, side, 3), np.uint8)
    for image in result:
        one, other = stream.integers(0, DRAWN, 2)
        share = stream.random(dtype=np.float32)
        blend = share * drawn[one] + (1 - share) * drawn[other]
        image[:] = np.clip(blend + stream.normal(0, 6, blend.shape), 0, 255)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    metric = Pixels(arguments.side, 3)
    rows = metric.rows(make_images(arguments.images + arguments.queries, arguments.side))
    queries, rows = rows[: arguments.queries], rows[arguments.queries :]
    theirs = NearestNeighbors(n_neighbors=arguments.k, algorithm="brute", metric="euclidean")
    theirs.fit(rows.numpy())

    found = nearest(queries, rows.split(BLOCK), arguments.k)
    indices = theirs.kneighbors(queries.numpy(), return_distance=False)
    print(f"same neighbors: {np.mean(found.indices == indices):.4%}")
    ratio = compare(
        lambda: nearest(queries, rows.split(BLOCK), arguments.k),
        lambda: theirs.kneighbors(queries.numpy()),
        arguments.rounds,
    )
    print(ratio.line("nearest neighbors", "queries", arguments.queries))


if __name__ == "__main__":
    main()
