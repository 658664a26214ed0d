"""Put a patient's calcium on the walls of coronaries, aortic valve and aorta, as balls."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.lesions import Vessel
from train.anatomy.atlas import HeartAtlas
from train.anatomy.burden import Burden, Plaque
from train.anatomy.coronaries import Course
from train.anatomy.frame import Array, Frame, arc_length
from train.anatomy.heart import Heart
from train.anatomy.layers import Balls, balls, joined

_MOTION_SD_MM = {Vessel.LM: 0.6, Vessel.LAD: 0.9, Vessel.LCX: 1.2, Vessel.RCA: 1.8}
_MOVING_SHARE = 0.45
_SINUSES_TOP_MM = 12.5  # below, calcium counts as the valve's


def coronary_calcium(rng: np.random.Generator, burden: Burden, courses: tuple[Course, ...]) -> Balls:
    """Plaques on the coronary walls; each vessel moves its own way while the gantry turns."""
    motion = {vessel: _motion(rng, sd) for vessel, sd in _MOTION_SD_MM.items()}
    parts = []
    for plaque in burden.plaques:
        course, along = _choose_course(rng, plaque, courses)
        parts.append(_on_wall(rng, plaque, course, along, motion[plaque.vessel]))
    return joined(parts)


def valve_calcium(rng: np.random.Generator, count: int, heart: Heart, atlas: HeartAtlas) -> Balls:
    """Nodules on the three aortic leaflets and along their rims."""
    annulus, axis = atlas.landmarks["annulus"], atlas.landmarks["aortic_axis"]
    first = np.cross(axis, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    motion = _motion(rng, 1.5)
    parts = []
    for _ in range(count):
        leaflet = rng.integers(3) * 2 * np.pi / 3 + rng.normal(0.4, 0.5)
        out = rng.uniform(1.0, 11.0)
        seat = annulus + axis * (rng.uniform(0, 9) + 0.25 * out)
        seat = seat + out * (np.cos(leaflet) * first + np.sin(leaflet) * second)
        trail = np.cumsum(rng.standard_normal((1 + rng.poisson(2.5), 3)) * 0.8, axis=0)
        places = heart.pose.to_case(seat + trail)
        radius = np.clip(rng.lognormal(np.log(0.95), 0.4), 0.5, 2.6) * rng.uniform(0.7, 1.1, len(places))
        density = np.clip(rng.lognormal(np.log(600), 0.5), 180, 1500)
        parts.append(balls(places, radius, density, Vessel.AV.label, motion))
    return joined(parts)


def aortic_calcium(rng: np.random.Generator, burden: Burden, heart: Heart, descending_lumen: Tensor) -> Balls:
    """Sheets on the walls of the ascending and the descending aorta."""
    tubular = torch.where(heart.aortic_height > _SINUSES_TOP_MM, heart.aorta, torch.full_like(heart.aorta, 99.0))
    parts = []
    for count, wall in ((burden.ascending, tubular), (burden.descending, descending_lumen)):
        long = int(rng.binomial(count, 0.25))  # sheets that follow the wall for centimetres
        parts.append(wall_sheets(rng, count - long, heart.frame, wall, Vessel.TA.label))
        parts.append(wall_sheets(rng, long, heart.frame, wall, Vessel.TA.label, spread_mm=5.0))
    return joined(parts)


def wall_sheets(
    rng: np.random.Generator, count: int, frame: Frame, surface: Tensor, label: int, *, spread_mm: float = 2.2
) -> Balls:
    """Calcified patches on the zero surface of a field; none if the surface lies outside the lattice.

    Their half widths are exponential with mean ``spread_mm``, at most four times that.
    """
    seats = frame.position(torch.nonzero(surface.abs() < 0.9).cpu().numpy())
    if len(seats) == 0:
        return joined([])
    parts = []
    for _ in range(count):
        seat = seats[rng.integers(len(seats))]
        extent = 0.8 + min(rng.exponential(spread_mm), 4 * spread_mm)
        near = seats[np.linalg.norm(seats - seat, axis=1) < extent]
        near = near[rng.permutation(len(near))[:60]]
        filled = np.concatenate([near + rng.standard_normal(near.shape) * 0.5 for _ in range(2)] + [seat[None]])
        radius = np.clip(rng.lognormal(np.log(0.85), 0.3), 0.5, 2.0) * rng.uniform(0.7, 1.15, len(filled))
        density = np.clip(rng.lognormal(np.log(600), 0.5), 180, 1500) * rng.uniform(0.7, 1.1, len(filled))
        parts.append(balls(filled, radius, density, label))
    return joined(parts)


def _motion(rng: np.random.Generator, sd_mm: float) -> Array:
    if rng.random() > _MOVING_SHARE:
        return np.zeros(3)
    return np.asarray(rng.standard_normal(3) * np.array([0.3, 1.0, 1.0]) * sd_mm)


def _choose_course(rng: np.random.Generator, plaque: Plaque, courses: tuple[Course, ...]) -> tuple[Course, float]:
    """The artery that carries the plaque and how far along it: the trunk, or a branch that starts before it."""
    trunk = next(course for course in courses if course.name == plaque.vessel.value)
    branches = [course for course in courses if course.vessel is plaque.vessel and course.name != trunk.name]
    open_branches = [course for course in branches if course.start_mm < plaque.along_mm]
    if (open_branches and rng.random() < 0.25) or (plaque.along_mm >= trunk.length_mm and open_branches):
        course = open_branches[rng.integers(len(open_branches))]
        return course, (plaque.along_mm - course.start_mm) % max(course.length_mm - 2, 1.0)
    return trunk, plaque.along_mm % max(trunk.length_mm - 1, 1.0)


def _on_wall(rng: np.random.Generator, plaque: Plaque, course: Course, along_mm: float, motion: Array) -> Balls:
    travelled = arc_length(course.points)
    spots = np.arange(along_mm, min(along_mm + plaque.length_mm, travelled[-1]) + 1e-6, 0.7 * plaque.radius_mm + 0.2)
    spots = spots if len(spots) else np.array([along_mm])
    centre = np.stack([np.interp(spots, travelled, course.points[:, k]) for k in range(3)], axis=1)
    radius = np.interp(spots, travelled, course.radius_mm)
    first, second = _across(course.points, travelled, spots)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, len(spots)))
    angles = np.linspace(-1, 1, 1 + 2 * round(2 * plaque.wide)) * plaque.wide * np.pi / 2
    rings = []
    for angle in angles:
        out = np.cos(heading + angle)[:, None] * first + np.sin(heading + angle)[:, None] * second
        rings.append(centre + out * radius[:, None] * 0.8)
    centres = np.concatenate(rings) + rng.standard_normal((len(spots) * len(angles), 3)) * 0.12
    size = plaque.radius_mm * rng.uniform(0.8, 1.15, len(centres))
    density = plaque.hu * rng.uniform(0.75, 1.1, len(centres))
    return balls(centres, size, density, plaque.vessel.label, motion + rng.standard_normal(3) * 0.15)


def _across(points: Array, travelled: Array, spots: Array) -> tuple[Array, Array]:
    """Two unit vectors (n, 3) across the vessel at each spot."""
    tangents = np.gradient(points, axis=0)
    along = np.stack([np.interp(spots, travelled, tangents[:, k]) for k in range(3)], axis=1)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[:, :1]) > 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return first, np.cross(along, first)
