"""Dense things near the heart that must never be scored: other calcium, and metal."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.anatomy.atlas import load_atlas
from train.anatomy.coronaries import Course
from train.anatomy.frame import Array, Frame, resample
from train.anatomy.heart import Heart
from train.anatomy.labels import CONFUSER
from train.anatomy.layers import Balls, balls, joined
from train.anatomy.mediastinum import Mediastinum
from train.anatomy.plaques import wall_sheets
from train.anatomy.ranges import ConfuserRanges
from train.anatomy.thorax import Skeleton


def mitral_ring(heart: Heart) -> Tensor:
    """Field that is negative in the mitral valve and its annulus: where left atrium and left ventricle meet."""
    return torch.stack([heart.la.abs() - 3, heart.lv_wall.abs() - 5, heart.muscle() - 1]).amax(dim=0)


def other_calcium(
    rng: np.random.Generator, heart: Heart, parts: Mediastinum, lung: Tensor, odds: ConfuserRanges
) -> Balls:
    """Mitral annulus, papillary muscles, pericardium, nodes, lung granulomas."""
    frame = heart.frame
    found: list[Balls] = []
    if rng.random() < odds.mitral_annulus:
        rim = torch.maximum(mitral_ring(heart) + 0.5, -10 - heart.muscle())  # the free wall's side, beside the LCx
        found.append(wall_sheets(rng, int(rng.integers(1, 6)), frame, rim, CONFUSER, spread_mm=rng.uniform(1.5, 5)))
    if rng.random() < odds.papillary:
        deep = torch.where(heart.aortic_height < -25, heart.lv + 4, torch.full_like(heart.lv, 99.0))
        found.append(wall_sheets(rng, int(rng.integers(1, 3)), frame, deep, CONFUSER))
    if rng.random() < odds.pericardial:
        found.append(wall_sheets(rng, int(rng.integers(1, 5)), frame, heart.pericardium, CONFUSER))
    if rng.random() < odds.nodes:
        places = [parts.carina_mm + np.array([-12.0, 3.0, 0.0]), *parts.hila]
        found.extend(_node(rng, places[rng.integers(len(places))]) for _ in range(rng.integers(1, 4)))
    if rng.random() < odds.granuloma:
        inside = frame.position(torch.nonzero(lung < -4).cpu().numpy())
        found.extend(_granuloma(rng, inside) for _ in range(rng.integers(1, 4) if len(inside) else 0))
    return joined(found)


def metal(
    rng: np.random.Generator,
    heart: Heart,
    courses: tuple[Course, ...],
    skeleton: Skeleton,
    odds: ConfuserRanges,
) -> Balls:
    """Stents, pacing leads, sternal wires, surgical clips, valve prostheses."""
    found: list[Balls] = []
    if rng.random() < odds.stent:
        course = courses[rng.integers(len(courses))]
        found.append(_stent(rng, course))
    if rng.random() < odds.lead:
        found.append(_lead(rng, heart))
    if rng.random() < odds.sternal_wires:
        found.append(_wires(rng, skeleton, heart.frame))
    if rng.random() < odds.clips:
        for _ in range(rng.integers(1, 7)):
            seat = np.array(
                [rng.uniform(-40, 50), heart.low_mm[1] - rng.uniform(-8, 6), heart.centre_mm[2] + rng.uniform(-25, 30)]
            )
            found.append(
                balls(seat + np.linspace(-2, 2, 5)[:, None] * _direction(rng), 0.6, rng.uniform(1500, 4000), CONFUSER)
            )
    if rng.random() < odds.valve_prosthesis:
        found.append(_ring(rng, heart))
    return joined(found)


def _node(rng: np.random.Generator, near: Array) -> Balls:
    seat = near + rng.standard_normal(3) * np.array([8.0, 5.0, 6.0])
    return _lump(rng, seat, rng.uniform(0.8, 4.0), rng.uniform(150, 900))


def _granuloma(rng: np.random.Generator, inside: Array) -> Balls:
    seat = inside[rng.integers(len(inside))]
    return _lump(rng, seat, rng.uniform(0.8, 2.4), rng.uniform(1000, 1700))  # above lung, not above blood


def _lump(rng: np.random.Generator, seat: Array, radius_mm: float, hu: float) -> Balls:
    trail = rng.standard_normal((3, 3)) * radius_mm * 0.5
    return balls(seat + trail, radius_mm * rng.uniform(0.6, 1.0, 3), hu, CONFUSER)


def _stent(rng: np.random.Generator, course: Course) -> Balls:
    start = rng.integers(0, max(1, len(course.points) // 2))
    piece = course.points[start : start + rng.integers(8, 28)]
    centres = resample(piece, 0.5) if len(piece) > 1 else piece
    phase = np.arange(len(centres)) * 1.1
    around = np.stack([np.zeros_like(phase), np.cos(phase), np.sin(phase)], axis=1) * 1.4
    return balls(centres + around, 0.5, rng.uniform(900, 2500), CONFUSER)


def _lead(rng: np.random.Generator, heart: Heart) -> Balls:
    """From the superior vena cava through the tricuspid valve to the right ventricle's apex."""
    knots = np.array([[70.0, 5.0, -42.0], [42.0, 10.0, -42.0], [5.0, -2.0, -40.0], load_atlas().landmarks["tricuspid"],
                      [-45.0, -35.0, 5.0], [-54.0, -48.0, 32.0]])  # fmt: skip
    knots = knots + rng.standard_normal(knots.shape) * 3
    path = resample(heart.pose.to_case(resample(knots, 3.0)), 0.8)
    return balls(path, rng.uniform(0.6, 1.1), rng.uniform(1500, 4500), CONFUSER)


def _wires(rng: np.random.Generator, skeleton: Skeleton, frame: Frame) -> Balls:
    turn = np.linspace(0, 2 * np.pi, 90)
    top = frame.half_extent_mm()[0]
    loops = []
    for height in np.arange(-top * 0.3, top, rng.uniform(16, 28)):
        y = skeleton.sternum_front_mm + 7 - 8 * np.cos(turn)
        x = skeleton.sternum_x_mm + 14 * np.sin(turn)
        loops.append(np.stack([height + 1.5 * np.sin(turn), y, x], axis=1))
    return balls(np.concatenate(loops), rng.uniform(0.45, 0.7), rng.uniform(2000, 4500), CONFUSER)


def _ring(rng: np.random.Generator, heart: Heart) -> Balls:
    atlas = load_atlas()
    if rng.random() < 0.5:
        centre, axis = atlas.landmarks["annulus"], atlas.landmarks["aortic_axis"]
    else:
        centre = atlas.landmarks["mitral"]
        axis = atlas.landmarks["apex"] - centre
        axis = axis / np.linalg.norm(axis)
    first = np.cross(axis, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    turn = np.linspace(0, 2 * np.pi, 100)[:, None]
    ring = centre + rng.uniform(10, 14) * (np.cos(turn) * first + np.sin(turn) * second)
    return balls(heart.pose.to_case(ring), rng.uniform(0.6, 1.2), rng.uniform(1500, 4000), CONFUSER)


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))
