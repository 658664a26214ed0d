"""Metal and other things put into a body: stents, leads, lines, wires, clips, electrodes, valve prostheses."""

from __future__ import annotations

import numpy as np
import torch

from train.anatomy.atlas import load_atlas
from train.anatomy.coronaries import Course
from train.anatomy.frame import Array, Frame, resample
from train.anatomy.heart import Heart
from train.anatomy.labels import CONFUSER
from train.anatomy.layers import Balls, balls, joined
from train.anatomy.ranges import ConfuserRanges
from train.anatomy.thorax import Chest, Skeleton

# Atlas mm (z, y, x), from above to the tip.
_CAVAL = ([70.0, 5.0, -42.0], [42.0, 10.0, -42.0])
_VENTRICULAR = ([5.0, -2.0, -40.0], None, [-45.0, -35.0, 5.0], [-54.0, -48.0, 32.0])  # None: the tricuspid valve
_ATRIAL = ([10.0, 0.0, -44.0], [-2.0, -14.0, -46.0], [8.0, -24.0, -38.0])
_CORONARY_SINUS = (
    [5.0, 8.0, -38.0],
    [-18.0, 22.0, -16.0],
    [-12.0, 38.0, 12.0],
    [-6.0, 30.0, 36.0],
    [-20.0, 14.0, 48.0],
)


def metal(
    rng: np.random.Generator, heart: Heart, courses: tuple[Course, ...], bodily: tuple[Chest, Skeleton],
    odds: ConfuserRanges,
) -> Balls:  # fmt: skip
    """Whatever was drawn to be there; everything is labelled CONFUSER."""
    chest, skeleton = bodily
    found: list[Balls] = []
    if rng.random() < odds.stent:
        found.extend(_stent(rng, courses[rng.integers(len(courses))]) for _ in range(rng.integers(1, 4)))
    if rng.random() < odds.lead:
        found.extend(_leads(rng, heart))
    if rng.random() < odds.line:
        found.append(_line(rng, heart))
    if rng.random() < odds.sternal_wires:
        found.append(_wires(rng, skeleton, heart.frame))
    if rng.random() < odds.clips:
        found.extend(_clips(rng, heart))
    if rng.random() < odds.electrodes:
        found.append(_electrodes(rng, chest))
    if rng.random() < odds.valve_prosthesis:
        found.append(_prosthesis(rng, heart))
    return joined(found)


def _stent(rng: np.random.Generator, course: Course) -> Balls:
    """Struts on the wall around a lumen that stays open, but for some in-stent haze."""
    start = rng.integers(0, max(1, len(course.points) // 2))
    piece = course.points[start : start + rng.integers(8, 28)]
    centres = resample(piece, 0.35) if len(piece) > 1 else piece
    phase = np.arange(len(centres)) * rng.uniform(0.8, 1.4)
    around = np.stack([0.3 * np.sin(2 * phase), np.cos(phase), np.sin(phase)], axis=1) * rng.uniform(1.2, 1.8)
    return balls(centres + around, rng.uniform(0.3, 0.55), rng.uniform(700, 2500), CONFUSER)


def _leads(rng: np.random.Generator, heart: Heart) -> list[Balls]:
    """One to three: to the right ventricle's apex, the right atrium's appendage, a vein of the left ventricle."""
    ends = [_VENTRICULAR, _ATRIAL, _CORONARY_SINUS][: rng.integers(1, 4)]
    found = []
    for end in ends:
        tricuspid = load_atlas().landmarks["tricuspid"]
        knots = np.array([*_CAVAL, *(tricuspid if knot is None else knot for knot in end)], dtype=np.float64)
        knots = knots + rng.standard_normal(knots.shape) * 3
        path = resample(heart.pose.to_case(resample(knots, 3.0)), 0.8)
        radius, dense = rng.uniform(0.5, 1.1), rng.uniform(900, 4500)
        found.append(balls(path, radius, dense, CONFUSER, _beat(rng)))
        if rng.random() < 0.7:  # tip and ring, or a shock coil
            coil = rng.integers(5, 50)
            found.append(balls(path[-coil:], radius + 0.5, dense + 1000, CONFUSER, _beat(rng)))
    return found


def _line(rng: np.random.Generator, heart: Heart) -> Balls:
    """A catheter's last centimetres in the superior vena cava, its tip at times denser."""
    knots = np.array([*_CAVAL, [rng.uniform(0, 40), 2.0, -42.0]]) + rng.standard_normal((3, 3)) * 2
    path = resample(heart.pose.to_case(knots), 0.8)
    dense = np.full(len(path), rng.uniform(150, 900))
    dense[-4:] *= rng.uniform(1.0, 2.0)
    return balls(path, rng.uniform(0.6, 1.4), dense, CONFUSER)


def _wires(rng: np.random.Generator, skeleton: Skeleton, frame: Frame) -> Balls:
    turn = np.linspace(0, 2 * np.pi, 90)
    top = frame.half_extent_mm()[0]
    loops = []
    for height in np.arange(-top * 0.3, top, rng.uniform(16, 28)):
        y = skeleton.sternum_front_mm + 7 - 8 * np.cos(turn)
        x = skeleton.sternum_x_mm + 14 * np.sin(turn)
        loops.append(np.stack([height + 1.5 * np.sin(turn), y, x], axis=1))
    return balls(np.concatenate(loops), rng.uniform(0.45, 0.7), rng.uniform(2000, 4500), CONFUSER)


def _clips(rng: np.random.Generator, heart: Heart) -> list[Balls]:
    """Along the course of a bypass: from the front wall's left side down over the heart."""
    top = np.array([55.0, heart.low_mm[1] - rng.uniform(0, 8), heart.centre_mm[2] + rng.uniform(-5, 15)])
    low = np.array([heart.centre_mm[0] - 10, heart.low_mm[1] + rng.uniform(0, 10), heart.centre_mm[2] + 20.0])
    found = []
    for share in rng.random(rng.integers(2, 12)):
        seat = top + share * (low - top) + rng.standard_normal(3) * 4
        piece = np.linspace(-2, 2, 5)[:, None] * _direction(rng)
        found.append(balls(seat + piece, rng.uniform(0.4, 0.7), rng.uniform(1500, 4000), CONFUSER))
    return found


def _electrodes(rng: np.random.Generator, chest: Chest) -> Balls:
    """Buttons on the skin and their cables."""
    seats = chest.frame.position(torch.nonzero((chest.skin - 1).abs() < 1.3).cpu().numpy())
    seats = seats[seats[:, 1] < chest.centre_y_mm]
    if len(seats) == 0:
        return joined([])
    found = []
    for _ in range(rng.integers(1, 4)):
        seat = seats[rng.integers(len(seats))]
        found.append(
            balls(seat + rng.standard_normal((12, 3)) * [2.5, 0.5, 2.5], 1.0, rng.uniform(1200, 3500), CONFUSER)
        )
        cable = seat + np.arange(0, 60, 0.8)[:, None] * np.array([1.0, -0.05, rng.uniform(-0.4, 0.4)])
        found.append(balls(cable - [0.0, 2.0, 0.0], 0.6, rng.uniform(1200, 2500), CONFUSER))
    return joined(found)


def _prosthesis(rng: np.random.Generator, heart: Heart) -> Balls:
    """A ring in the aortic or mitral annulus, at times with leaflets' struts, or a cage in the aortic root."""
    atlas, kind = load_atlas(), rng.random()
    centre, axis = atlas.landmarks["annulus"], atlas.landmarks["aortic_axis"]
    if kind < 0.35:
        centre = atlas.landmarks["mitral"]
        axis = atlas.landmarks["apex"] - centre
        axis = axis / np.linalg.norm(axis)
    first = np.cross(axis, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    across = first, np.cross(axis, first)
    radius = rng.uniform(10, 14)
    heights = np.arange(-4, rng.uniform(10, 40), 1.5) if kind > 0.7 else np.zeros(1)
    turns = [np.arange(0, 2 * np.pi, 0.08 if len(heights) == 1 else 0.42) + 0.21 * (k % 2) for k in range(len(heights))]
    ring = [
        centre + height * axis + radius * (np.cos(turn)[:, None] * across[0] + np.sin(turn)[:, None] * across[1])
        for height, turn in zip(heights, turns, strict=True)
    ]
    if kind < 0.2:  # two discs standing open
        span = np.linspace(-radius, radius, 24)[:, None]
        ring += [centre + span * across[0] + side * across[1] + rng.uniform(-3, 3) * axis for side in (-2.0, 2.0)]
    points = heart.pose.to_case(np.concatenate(ring))
    return balls(points, rng.uniform(0.5, 1.2), rng.uniform(1200, 4000), CONFUSER, _beat(rng))


def _beat(rng: np.random.Generator) -> Array:
    return np.asarray(rng.standard_normal(3) * [0.3, 1.0, 1.0] * (rng.random() < 0.4))


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))
