"""Settle coronaries drawn from the atlas on the heart at hand: on the muscle, not in it, and inside the pericardium."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from train.anatomy.coronaries import Course
from train.anatomy.frame import Array, Frame, arc_length, tube
from train.anatomy.heart import Heart

_STEPS = 3
_PROBE_MM = 1.5
_SHEATH_MM = 1.2
_NEAR_MM, _FADE_MM = 18.0, 8.0  # the first part of a course
_NEAR_SIGMA = 4.0  # in points, about a millimetre apart


def settle(courses: tuple[Course, ...], heart: Heart) -> tuple[Course, ...]:
    """Courses with every point brought to its wanted depth over the walls of chambers, aorta and pulmonary trunk.

    Swelling a chamber or an aorta moves its wall a little past the vessels that ran along it in the atlas.
    """
    walls = torch.minimum(heart.muscle(), heart.vessels()).cpu().numpy()
    return tuple(replace(course, points=_floated(course, walls, heart.frame)) for course in courses)


def sheathe(heart: Heart, courses: tuple[Course, ...]) -> Heart:
    """The heart with a pericardium, and so fat, around its coronaries."""
    points = np.concatenate([course.points[::2] for course in courses])
    radii = np.concatenate([course.radius_mm[::2] for course in courses]) + _SHEATH_MM
    around = tube(heart.frame, points, radii, reach_mm=4.0)
    return replace(heart, pericardium=torch.minimum(heart.pericardium, around))


def _floated(course: Course, walls: np.ndarray, frame: Frame) -> Array:
    points = course.points.copy()
    for _ in range(_STEPS):
        missing = np.clip(course.depth_mm - _values(walls, frame, points), -1.5, 3)
        if not missing.any():
            break
        points += missing[:, None] * _outward(walls, frame, points)
    return _smoothed(points)


def _smoothed(points: Array) -> Array:
    """Lightly smoothed, more so near the start, where leaving the aorta or a fork makes kinks; the start stays."""
    lead = min(len(points) - 1, round(4 * _NEAR_SIGMA))
    mirrored = np.concatenate([2 * points[0] - points[lead:0:-1], points])  # keeps the start where it is
    light, strong = (
        ndimage.gaussian_filter1d(mirrored, sigma, axis=0, mode="nearest")[lead:] for sigma in (1.5, _NEAR_SIGMA)
    )
    share = np.clip((_NEAR_MM - arc_length(points)) / _FADE_MM, 0, 1)[:, None]
    return np.asarray(share * strong + (1 - share) * light)


def _outward(walls: np.ndarray, frame: Frame, points: Array) -> Array:
    steps = np.eye(3) * _PROBE_MM
    slope = [_values(walls, frame, points + step) - _values(walls, frame, points - step) for step in steps]
    direction = np.stack(slope, axis=1)
    return np.asarray(direction / (np.linalg.norm(direction, axis=1, keepdims=True) + 1e-6))


def _values(field: np.ndarray, frame: Frame, points: Array) -> Array:
    return np.asarray(ndimage.map_coordinates(field, frame.index(points).T, order=1, mode="nearest"))
