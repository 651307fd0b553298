"""Sparse logistic regression: of features that say the same, few get a weight, the others get none.

The weights minimise the mean log-loss, both classes counting alike, plus an L1 penalty (Tibshirani
1996); the intercept is not penalised. The penalty is given as a share of the smallest one that leaves
no weight at all, so the same numbers do for any data. Solved by FISTA (Beck and Teboulle 2009).
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

STEPS = 500


def sparse_weights(rows: Numbers, truth: NDArray[np.bool_], penalty: float) -> Numbers:
    """Weights [C] that tell `truth` [M], which holds both, by `rows` [M, C]; `penalty` in (0, 1]."""
    share = truth.mean()
    counts = np.where(truth, 0.5 / share, 0.5 / (1 - share)) / len(truth)
    # subtracting the means moves the intercept alone and makes the problem better conditioned
    x = np.concatenate([rows - rows.mean(0), np.ones((len(rows), 1))], 1)
    weighted = x * counts[:, None]
    steepness = np.linalg.eigvalsh(weighted.T @ x)[-1] / 4
    shrink = np.full(x.shape[1], penalty * np.abs((0.5 - truth) @ weighted[:, :-1]).max())
    shrink[-1] = 0
    best = ahead = np.zeros(x.shape[1])
    momentum = 1.0
    for _ in range(STEPS):
        downhill = ahead - (_probability(x @ ahead) - truth) @ weighted / steepness
        new = np.sign(downhill) * np.maximum(np.abs(downhill) - shrink / steepness, 0)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / faster * (new - best)
        best, momentum = new, faster
    return best[:-1]


def _probability(log_odds: Numbers) -> Numbers:
    return 0.5 * (1 + np.tanh(0.5 * log_odds))
