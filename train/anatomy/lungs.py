"""Branching vessels of the lungs as balls of blood."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from train.anatomy.frame import Array, Frame
from train.anatomy.layers import Balls, balls

_STEP_MM = 2.0
_ENDS = (250, 480)  # places a lung that vessels are grown to
_CANDIDATES = 4000
_STEM_MM, _STEMS = 9.0, 7
_TWIG_MM = 0.6
_MURRAY = 2.7  # a vessel's radius to this power is the sum of its branches'


def lung_vessels(
    rng: np.random.Generator, frame: Frame, lung: Tensor, hila: tuple[Array, Array], blood_hu: float
) -> Balls:
    """Vessels grown from both lung roots, kept where ``lung`` (signed distance) is negative."""
    places = _candidates(rng, frame, lung)
    middle = (hila[0][2] + hila[1][2]) / 2
    centres, radii = [], []
    for side, hilum in zip((-1.0, 1.0), hila, strict=True):
        own = places[(places[:, 2] - middle) * side > 0][: rng.integers(*_ENDS)]
        points, radius = _tree(rng, hilum, own)
        centres.append(points)
        radii.append(radius)
    points, radius = np.concatenate(centres), np.concatenate(radii)
    inside = np.all(np.abs(points) < frame.half_extent_mm() + 3, axis=1)
    inside[inside] = frame.sample(lung, points[inside]) < 0.5
    return balls(points[inside], radius[inside], blood_hu)


def _candidates(rng: np.random.Generator, frame: Frame, lung: Tensor) -> Array:
    """Random places (n, 3) within the lungs."""
    reach = frame.half_extent_mm()
    places = rng.uniform(-reach, reach, (_CANDIDATES, 3))
    return np.asarray(places[frame.sample(lung, places) < -2.0])


def _tree(rng: np.random.Generator, hilum: Array, ends: Array) -> tuple[Array, Array]:
    """Points (n, 3) and radii (n,): from the near to the far, each end is joined to the nearest vessel there is."""
    points = hilum + rng.standard_normal((_STEMS, 3)) * _STEM_MM
    parent = np.full(_STEMS, -1)
    for end in ends[np.argsort(np.linalg.norm(ends - hilum, axis=1))]:
        apart = np.linalg.norm(points - end, axis=1)
        root = int(np.argmin(apart))
        steps = max(1, round(apart[root] / _STEP_MM))
        share = np.linspace(0, 1, steps + 1)[1:, None]
        bend = rng.standard_normal(3) * 0.12 * apart[root]
        grown = points[root] + share * (end - points[root]) + share * (1 - share) * bend
        first = len(points)
        points = np.concatenate([points, grown])
        parent = np.concatenate([parent, [root], np.arange(first, first + steps - 1)])
    return points, _radii(rng, parent)


def _radii(rng: np.random.Generator, parent: np.ndarray) -> Array:
    """Radii (n,) that grow with what a vessel feeds; parents come before their children."""
    feeds = np.ones(len(parent))
    children = np.bincount(parent[parent >= 0], minlength=len(parent))
    feeds[children > 0] = 0.0
    for node in range(len(parent) - 1, -1, -1):
        if parent[node] >= 0:
            feeds[parent[node]] += feeds[node]
    return np.asarray(_TWIG_MM * rng.uniform(0.9, 1.4) * np.maximum(feeds, 1.0) ** (1 / _MURRAY))
