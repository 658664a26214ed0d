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


def hues_deg(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Hue in degrees of every pixel (..., 3), and which of them are coloured at all."""
    values = rgb.astype(np.float64)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    coloured = values.max(axis=-1) - values.min(axis=-1) >= LEAST_CHROMA
    hue = np.degrees(np.arctan2(np.sqrt(3.0) * (green - blue), 2 * red - green - blue)) % 360
    return hue, coloured


def vessels_by_hue(
    rgb: NDArray[np.uint8], colours: Mapping[str, tuple[int, int, int]]
) -> tuple[NDArray[np.uint8], int]:
    """The number of a colour in ``colours`` (from 1; 0 is none) for every pixel, and how many are of no known colour.

    Parameters
    ----------
    rgb
        uint8 (..., 3).

    """
    hue, coloured = hues_deg(rgb)
    found = np.zeros(hue.shape, np.uint8)
    if not coloured.any():
        return found, 0
    wanted, known = hues_deg(np.asarray(list(colours.values()), np.uint8))
    wanted, numbers = wanted[known], np.flatnonzero(known) + 1
    if not wanted.size:
        return found, int(coloured.sum())
    cluster, centres = _clusters(_on_circle(hue[coloured]), _on_circle(wanted))
    likeness = centres @ _on_circle(wanted).T
    nearest = numbers[likeness.argmax(axis=1)]
    near = likeness.max(axis=1) >= np.cos(np.radians(_FARTHEST_DEG))
    named = np.where(near, nearest, 0).astype(np.uint8)[cluster]
    # a pixel far from the colour its cluster goes by is a mixture at a border, or another colour
    own = _on_circle(wanted)[np.searchsorted(numbers, np.maximum(named, numbers[0]))]
    away = (_on_circle(hue[coloured]) * own).sum(axis=1) < np.cos(np.radians(2 * _FARTHEST_DEG))
    named[away] = 0
    found[coloured] = named
    return found, int((named == 0).sum())


def _on_circle(hue: NDArray[np.float64]) -> NDArray[np.float64]:
    radians = np.radians(hue)
    return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


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
