"""Settle coronaries drawn from the atlas on the heart at hand: on the muscle, not in it, and inside the pericardium."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from train.anatomy.coronaries import Course
from train.anatomy.frame import Array, Frame, tube
from train.anatomy.heart import Heart

_STEPS = 3
_PROBE_MM = 1.5
_SHEATH_MM = 1.2


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
    smooth = ndimage.gaussian_filter1d(points, 1.5, axis=0, mode="nearest")
    smooth[0] = points[0]
    return np.asarray(smooth)


def _outward(walls: np.ndarray, frame: Frame, points: Array) -> Array:
    steps = np.eye(3) * _PROBE_MM
    slope = [_values(walls, frame, points + step) - _values(walls, frame, points - step) for step in steps]
    direction = np.stack(slope, axis=1)
    return np.asarray(direction / (np.linalg.norm(direction, axis=1, keepdims=True) + 1e-6))


def _values(field: np.ndarray, frame: Frame, points: Array) -> Array:
    return np.asarray(ndimage.map_coordinates(field, frame.index(points).T, order=1, mode="nearest"))
