"""Elastic-net logistic regression (Zou and Hastie 2005): equal weights for redundant features.

The weights minimize the weighted log-loss plus an L1 penalty, which sets the weights of
uninformative features to zero, and a ridge penalty, which gives redundant features equal weights. A
regression without penalty would select one of them, or give one a negative weight that another one
compensates. The intercept is not penalized. Solved by FISTA (Beck and Teboulle 2009).

Both penalties shrink: with a ridge of 10, a true weight of 1 becomes 0.02. `calibrated` rescales
all weights together.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STEPS = 200


def elastic_net(
    rows: FloatArray, truth: NDArray[np.bool_], counts: FloatArray, l1: float, ridge: float
) -> FloatArray:
    """Weights [C] that tell `truth` [M] by features `rows` [M, C] of about unit spread.

    `counts` [M] is how much each row counts, 0 or more; both truths must count alike. `l1` is the
    L1 penalty as a share of the smallest one that leaves no weight at all, in [0, 1], `ridge` the
    ridge penalty against a log-loss of total count 1.
    """
    counts = counts / counts.sum()
    # subtracting the means moves the intercept alone and makes the problem better conditioned
    x = np.concatenate([rows - counts @ rows, np.ones((len(rows), 1))], 1)
    weighted = x * counts[:, None]
    steepness = np.linalg.eigvalsh(weighted.T @ x)[-1] / 4 + ridge
    sparse = np.full(x.shape[1], l1 * np.abs((0.5 - truth) @ weighted[:, :-1]).max())
    smooth = np.full(x.shape[1], ridge)
    sparse[-1] = smooth[-1] = 0
    weights = ahead = np.zeros(x.shape[1])
    momentum = 1.0
    for _ in range(STEPS):
        slope = (0.5 + 0.5 * np.tanh(0.5 * (x @ ahead)) - truth) @ weighted + smooth * ahead
        downhill = ahead - slope / steepness
        new = np.sign(downhill) * np.maximum(np.abs(downhill) - sparse / steepness, 0)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / faster * (new - weights)
        weights, momentum = new, faster
    return weights[:-1]


def calibrated(
    rows: FloatArray, truth: NDArray[np.bool_], counts: FloatArray, weights: FloatArray
) -> FloatArray:
    """`weights` [C] times the one factor, 0 or more, with which they tell `truth` [M] best.

    The factor is fitted without a penalty, so that the log-odds that all weights together give are
    those of the data. What each weight is beside the others stays as the penalties left it. The
    truth is blurred as Platt does (1999): features that tell everything get a finite factor. Each
    of the `rows` [M, C] counts as much as `counts` [M] says.
    """
    said = rows @ weights
    apart = said - np.average(said, weights=counts)
    spread = float(np.sqrt(np.average(apart**2, weights=counts)))
    if spread == 0:
        return np.zeros_like(weights)
    true = int(truth.sum())
    wanted = np.where(truth, (true + 1) / (true + 2), 1 / (len(truth) - true + 2))
    design = np.stack([said / spread, np.ones(len(said))], 1)
    share = counts / counts.sum()
    found = np.zeros(2)
    for _ in range(STEPS):
        odds = 0.5 + 0.5 * np.tanh(0.5 * (design @ found))
        slope = (share * (odds - wanted)) @ design
        curve = (design * (share * odds * (1 - odds))[:, None]).T @ design
        # steps of at most 1: far from the optimum, Newton's step overshoots
        step = np.linalg.solve(curve + 1e-12 * np.eye(2), slope)
        found -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return weights * (max(0.0, float(found[0])) / spread)
