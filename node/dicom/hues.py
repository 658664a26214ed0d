"""Which pixels of an annotated picture are marked, and with which vessel's colour: clusters of hue.

A half-transparent colour over a grey image keeps its hue and loses saturation, so hue alone is clustered: K-means on
the circle, begun at the colours of the site's map. A cluster is the vessel whose colour is nearest to where it settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_CHROMA: Final = 40  # of 255; grey pictures compressed with loss stay below
_FARTHEST_DEG: Final = 14.0  # half of the least distance between the colours of our own map
_ROUNDS: Final = 25
_SETTLED: Final = 1e-4


def vessels_by_hue(
    rgb: NDArray[np.uint8], colours: Mapping[str, tuple[int, int, int]]
) -> tuple[NDArray[np.uint8], int]:
    """The number of a colour in ``colours`` (from 1; 0 is none) for every pixel, and how many are of no known colour.

    Parameters
    ----------
    rgb
        uint8 (..., 3).

    """
    coloured = _coloured(rgb)
    found = np.zeros(coloured.shape, np.uint8)
    palette = np.asarray(list(colours.values()), np.uint8)
    known = _coloured(palette)
    if not coloured.any() or not known.any():
        return found, int(coloured.sum())
    wanted, numbers = _on_circle(palette[known]), np.flatnonzero(known) + 1
    points = _on_circle(rgb[coloured])
    cluster, centres = _clusters(points, wanted)
    likeness = centres @ wanted.T
    nearest, near = likeness.argmax(axis=1), likeness.max(axis=1) >= np.cos(np.radians(_FARTHEST_DEG))
    named = np.where(near, numbers[nearest], 0).astype(np.uint8)[cluster]
    # a pixel far from the colour its cluster goes by is a mixture at a border, or another colour
    away = (points * wanted[nearest[cluster]]).sum(axis=1) < np.cos(np.radians(2 * _FARTHEST_DEG))
    named[away] = 0
    found[coloured] = named
    return found, int((named == 0).sum())


def _coloured(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels (..., 3) are no grey."""
    return np.asarray(rgb.max(axis=-1) - rgb.min(axis=-1) >= LEAST_CHROMA)


def _on_circle(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Unit vectors (n, 2) in the direction of the hue of coloured pixels (n, 3)."""
    red, green, blue = rgb.astype(np.float64).T
    hue = np.stack([2 * red - green - blue, np.sqrt(3.0) * (green - blue)], axis=-1)
    return np.asarray(hue / np.linalg.norm(hue, axis=-1, keepdims=True))


def _clusters(points: NDArray[np.float64], start: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """K-means of unit vectors (n, 2) from given centres (k, 2): the cluster of each point, and the centres."""
    centres = start.copy()
    cluster = np.zeros(len(points), np.intp)
    for _ in range(_ROUNDS):
        cluster = (points @ centres.T).argmax(axis=1)
        moved = centres.copy()
        for number in range(len(centres)):
            mean = points[cluster == number].sum(axis=0)
            length = float(np.linalg.norm(mean))
            if length > 0:
                moved[number] = mean / length
        settled = bool(np.abs(moved - centres).max() < _SETTLED)
        centres = moved
        if settled:
            break
    return (points @ centres.T).argmax(axis=1), centres
