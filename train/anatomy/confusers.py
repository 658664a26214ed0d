"""Calcium near the heart that must never be scored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Array
from train.anatomy.heart import Heart
from train.anatomy.labels import CONFUSER
from train.anatomy.layers import Balls, balls, joined
from train.anatomy.mediastinum import Mediastinum
from train.anatomy.plaques import wall_sheets
from train.anatomy.ranges import ConfuserRanges

_WINDOW = np.array([26.0, 6.0, 24.0])  # between aortic arch and left pulmonary artery, atlas mm (z, y, x)


def mitral_ring(heart: Heart) -> Tensor:
    """Field that is negative in the mitral valve and its annulus: where left atrium and left ventricle meet."""
    return torch.stack([heart.la.abs() - 3, heart.lv_wall.abs() - 5, heart.muscle() - 1]).amax(dim=0)


def other_calcium(
    rng: np.random.Generator, heart: Heart, parts: Mediastinum, lung: Tensor, odds: ConfuserRanges
) -> Balls:
    """Mitral annulus, papillary muscles, pericardium, nodes, ligament of the duct, bronchi, granulomas."""
    return joined([*_cardiac(rng, heart, odds), *_outside(rng, heart, parts, lung, odds)])


def _cardiac(rng: np.random.Generator, heart: Heart, odds: ConfuserRanges) -> list[Balls]:
    frame, ring = heart.frame, mitral_ring(heart)
    found: list[Balls] = []
    if rng.random() < odds.mitral_annulus:
        found.append(_annulus(rng, heart, ring))
    if rng.random() < odds.curtain:
        curtain = torch.maximum(ring, heart.aorta_wall - 6)
        found.append(wall_sheets(rng, int(rng.integers(1, 4)), frame, curtain, CONFUSER))
    if rng.random() < odds.papillary:
        deep = torch.where(heart.aortic_height < -25, heart.lv + 4, torch.full_like(heart.lv, 99.0))
        found.append(wall_sheets(rng, int(rng.integers(1, 3)), frame, deep, CONFUSER))
    if rng.random() < odds.pericardial:
        spread = rng.uniform(2, 8)
        found.append(wall_sheets(rng, int(rng.integers(1, 6)), frame, heart.pericardium, CONFUSER, spread_mm=spread))
    return found


def _annulus(rng: np.random.Generator, heart: Heart, ring: Tensor) -> Balls:
    """Specks, a C along the free wall beside the LCx, or a lump with a softer core."""
    rim = torch.maximum(ring + 0.5, -10 - heart.muscle())  # the free wall's side
    kind = rng.random()
    if kind < 0.55:
        return wall_sheets(rng, int(rng.integers(1, 7)), heart.frame, rim, CONFUSER, spread_mm=rng.uniform(1.2, 4))
    if kind < 0.9:
        return wall_sheets(rng, int(rng.integers(5, 14)), heart.frame, rim, CONFUSER, spread_mm=rng.uniform(3, 6))
    seats = heart.frame.position(torch.nonzero(rim.abs() < 0.9).cpu().numpy())
    if len(seats) == 0:
        return joined([])
    seat, radius = seats[rng.integers(len(seats))], rng.uniform(4, 9)
    core = balls(seat, radius - 1, rng.uniform(150, 350), CONFUSER)
    return joined([core, _shell(rng, seat, radius, rng.uniform(300, 900))])


def _outside(
    rng: np.random.Generator, heart: Heart, parts: Mediastinum, lung: Tensor, odds: ConfuserRanges
) -> list[Balls]:
    window = heart.pose.to_case(_WINDOW)[0]
    found: list[Balls] = []
    if rng.random() < odds.nodes:
        places = [parts.carina_mm + np.array([-12.0, 3.0, 0.0]), window, *parts.hila]
        found.extend(_node(rng, places[rng.integers(len(places))], heart) for _ in range(rng.integers(1, 5)))
    if rng.random() < odds.ligament:
        path = window + np.arange(-3, 4)[:, None] * np.array([0.9, 0.3, 0.2])
        found.append(balls(path, rng.uniform(0.6, 1.4), rng.uniform(250, 900), CONFUSER))
    if rng.random() < odds.bronchi:
        clear = torch.maximum(parts.airway_wall, 3 - heart.pericardium)
        found.append(wall_sheets(rng, int(rng.integers(3, 12)), heart.frame, clear, CONFUSER, spread_mm=1.5))
    if rng.random() < odds.granuloma:
        depth = -4.0 if rng.random() < 0.7 else -0.5  # the others also at the pleura
        inside = heart.frame.position(torch.nonzero(lung < depth).cpu().numpy())
        found.extend(_granuloma(rng, inside) for _ in range(rng.integers(1, 4) if len(inside) else 0))
    return found


def _node(rng: np.random.Generator, near: Array, heart: Heart) -> Balls:
    """Solid, a shell, or like popcorn; never inside the pericardium."""
    seat = near + rng.standard_normal(3) * np.array([8.0, 5.0, 6.0])
    if heart.frame.sample(torch.minimum(heart.pericardium, heart.vessels()), seat[None])[0] < 4:
        return joined([])
    radius, hu, kind = rng.uniform(0.8, 4.0), rng.uniform(150, 900), rng.random()
    if kind < 0.2:
        return _shell(rng, seat, radius + 2, hu)
    if kind < 0.4:
        return balls(seat + rng.standard_normal((8, 3)) * radius, rng.uniform(0.5, 1.2, 8), hu, CONFUSER)
    return _lump(rng, seat, radius, hu)


def _shell(rng: np.random.Generator, seat: Array, radius_mm: float, hu: float) -> Balls:
    out = rng.standard_normal((int(12 * radius_mm), 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return balls(seat + radius_mm * out, 0.8, hu, CONFUSER)


def _granuloma(rng: np.random.Generator, inside: Array) -> Balls:
    seat = inside[rng.integers(len(inside))]
    return _lump(rng, seat, rng.uniform(0.8, 2.4), rng.uniform(1000, 1700))  # above lung, not above blood


def _lump(rng: np.random.Generator, seat: Array, radius_mm: float, hu: float) -> Balls:
    trail = rng.standard_normal((3, 3)) * radius_mm * 0.5
    return balls(seat + trail, radius_mm * rng.uniform(0.6, 1.0, 3), hu, CONFUSER)
