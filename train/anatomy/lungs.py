"""Branching vessels of the lungs as balls of blood."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from train.anatomy.frame import Array, Frame
from train.anatomy.layers import Balls, balls

_STEP_MM = 1.5
_GENERATIONS = (7, 18, 50, 90)  # vessels a lung in each generation


def lung_vessels(
    rng: np.random.Generator, frame: Frame, lung: Tensor, hila: tuple[Array, Array], blood_hu: float
) -> Balls:
    """Vessels grown from both lung roots, kept where ``lung`` (signed distance) is negative."""
    centres, radii = [], []
    for side, hilum in zip((-1.0, 1.0), hila, strict=True):
        points, radius = _tree(rng, hilum, side)
        centres.append(points)
        radii.append(radius)
    points, radius = np.concatenate(centres), np.concatenate(radii)
    inside = np.all(np.abs(points) < frame.half_extent_mm() + 3, axis=1)
    inside[inside] = frame.sample(lung, points[inside]) < 0.5
    return balls(points[inside], radius[inside], blood_hu)


def _tree(rng: np.random.Generator, hilum: Array, side: float) -> tuple[Array, Array]:
    starts = hilum + rng.standard_normal((_GENERATIONS[0], 3)) * 7
    headings = rng.standard_normal((_GENERATIONS[0], 3)) * [0.8, 0.8, 0.3] + [-0.1, 0.1, side]
    radius = rng.uniform(2.5, 4.5, _GENERATIONS[0])
    all_points, all_radii = [], []
    for generation in range(len(_GENERATIONS)):
        points, radii, ends = _grow(rng, starts, headings, radius, steps=26 - 3 * generation)
        all_points.append(points.reshape(-1, 3))
        all_radii.append(radii.reshape(-1))
        if generation + 1 == len(_GENERATIONS):
            break
        count = _GENERATIONS[generation + 1]
        parent = rng.integers(len(starts), size=count)
        at = rng.integers(4, points.shape[1], size=count)
        starts, radius = points[parent, at], radii[parent, at] * rng.uniform(0.55, 0.9, count)
        headings = ends[parent] + rng.standard_normal((count, 3)) * 0.8
    return np.concatenate(all_points), np.concatenate(all_radii)


def _grow(
    rng: np.random.Generator, starts: Array, headings: Array, radius: Array, steps: int
) -> tuple[Array, Array, Array]:
    """Points (vessels, steps, 3), radii (vessels, steps) and last headings of vessels wandering from their starts."""
    points = np.empty((len(starts), steps, 3))
    heading, place = headings.copy(), starts.copy()
    for step in range(steps):
        heading = heading / np.linalg.norm(heading, axis=1, keepdims=True)
        place = place + heading * _STEP_MM
        points[:, step] = place
        heading = heading + rng.standard_normal(heading.shape) * 0.18
    radii = radius[:, None] * np.linspace(1.0, 0.55, steps)
    return points, np.maximum(radii, 0.5), heading
