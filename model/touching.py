"""Components that touch in neighbouring slices are one lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def lesion_of(touching: NDArray[np.int64], components: int) -> NDArray[np.int64]:
    """Number of each component's lesion (components,), from 0; ``touching`` (2, m) holds pairs of components."""
    ends = (np.ones(touching.shape[1], dtype=np.bool_), (touching[0], touching[1]))
    _, lesion = connected_components(coo_array(ends, shape=(components, components)), directed=False)
    return np.asarray(lesion, dtype=np.int64)
