"""Features in two dimensions, for display: UMAP (McInnes, Healy, Melville 2018, arXiv 1802.03426).

Neighbors on the map are neighbors in feature space; distances between far groups mean little.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.errors import DcganError
from dcgan_cli.wording import counted

COMPONENTS = 50
"""Number of principal components for UMAP: the rest is mostly noise, and slow."""

UMAP_NEIGHBORS = 15


def embed(features: Tensor, seed: int = 0) -> NDArray[np.float32]:
    """Points [N, 2] for features [N, F]; the same seed gives the same points.

    Raises DcganError where there are too few rows for a map.
    """
    if len(features) < 10:
        raise DcganError(
            f"a map of {counted(len(features), 'image')} shows nothing; give 10 or more"
        )
    # importing it takes seconds, and only a map needs it
    from sklearn.decomposition import PCA
    from umap import UMAP

    rows = features.numpy()
    keep = min(COMPONENTS, *rows.shape)
    solver = "randomized" if keep < min(rows.shape) else "full"
    reduced = PCA(keep, svd_solver=solver, random_state=seed % 2**32).fit_transform(rows)
    neighbors = min(UMAP_NEIGHBORS, len(rows) - 1)
    mapper: Any = UMAP(n_neighbors=neighbors, random_state=seed % 2**32, n_jobs=1)
    return np.asarray(mapper.fit_transform(reduced), np.float32)
