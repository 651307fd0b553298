"""Directions in latent space: means of exemplars, random directions, and attribute axes."""

import numpy as np

from dcgan_cli.analysis.feature_extractors import FloatArray
from dcgan_cli.analysis.statistics import explained
from dcgan_cli.errors import DcganError
from dcgan_cli.model.latents import Latents
from dcgan_cli.report import Estimate


def draw_exemplars(exemplars: Latents, count: int, stream: np.random.Generator) -> Latents:
    """`count` of `exemplars` [K, z_dim] without replacement, in order; all if there are no more."""
    if len(exemplars) <= count:
        return exemplars
    return exemplars[np.sort(stream.choice(len(exemplars), count, replace=False))]


def mean(latents: Latents) -> FloatArray:
    """The mean of [K, z_dim], in double precision."""
    return latents.mean(0, dtype=np.float64)


def random_like(direction: FloatArray, stream: np.random.Generator) -> FloatArray:
    """A uniformly random direction with the length of `direction` [z_dim]."""
    drawn = stream.standard_normal(len(direction))
    return drawn * (np.linalg.norm(direction) / np.linalg.norm(drawn))


def attribute_axes(latents: Latents, evidence: FloatArray) -> tuple[FloatArray, Estimate]:
    """Directions along which an attribute changes, by linear regression of `evidence` [N, D] on z.

    Returns orthonormal rows [R, z_dim], R ≤ D, and the share of the evidence's variance that the
    regression explains on the quarter of the samples [N, z_dim] that it was not fitted to. Raises
    DcganError where the attribute is the same in all samples.
    """
    design = np.concatenate([latents.astype(np.float64), np.ones((len(latents), 1))], 1)
    part = len(design) * 3 // 4
    weights = np.linalg.lstsq(design[:part], evidence[:part], rcond=None)[0].astype(np.float64)
    if not evidence[:part].var(0).any() or not evidence[part:].var(0).any():
        raise DcganError("an attribute that is the same in all samples has no direction in Z")
    found = explained(design[part:] @ weights, evidence[part:], "samples")
    return orthonormal(weights[:-1].T), found


def orthonormal(rows: FloatArray) -> FloatArray:
    """Orthonormal rows that span the same directions as `rows` [R, z_dim]."""
    _, c_values, axes = np.linalg.svd(rows, full_matrices=False)
    return axes[c_values > 1e-9 * c_values.max()]


def project_out(direction: FloatArray, axes: FloatArray) -> FloatArray:
    """`direction` [z_dim] without its part along the orthonormal rows of `axes` [R, z_dim]."""
    return direction - axes.T @ (axes @ direction)
