"""Find the coronary arteries' courses in the grooves between the chambers.

The atlas has no coronaries. Each course is the cheapest path on the outside of the heart that stays between the two
chambers whose groove it runs in: left and right ventricle for the LAD and PDA, left atrium and ventricle for the LCx,
right atrium and ventricle for the RCA.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.graph import route_through_array

from train.anatomy.surfaces import Array, Lattice

Field = NDArray[np.float32]

_FAT_MM = 2.0  # a coronary runs about this far off the muscle
_SMOOTHING_MM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OuterWalls:
    """Signed distances (mm) to the outside of each wall, on one lattice."""

    lattice: Lattice
    lv: Field
    rv: Field
    la: Field
    ra: Field
    aorta: Field
    pulmonary: Field
    pericardium: Field

    def nearest_wall(self) -> Field:
        """Distance to the nearest wall of any chamber or great vessel."""
        walls = (self.lv, self.rv, self.la, self.ra, self.aorta, self.pulmonary)
        return np.asarray(np.minimum.reduce(walls))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongAxis:
    """The left ventricle's own frame: points and unit vectors as (z, y, x)."""

    base: Array
    apex: Array
    along: Array
    anterior: Array
    free_wall: Array
    centre_offset: Array

    @property
    def length_mm(self) -> float:
        """Base (mitral valve) to apex."""
        return float(np.linalg.norm(self.apex - self.base))

    def point(self, fraction: float, anterior_mm: float, free_wall_mm: float) -> Array:
        """A point at a fraction of the way to the apex, off the axis by the given distances."""
        centre = self.base + self.centre_offset + self.along * self.length_mm * fraction
        return np.asarray(centre + self.anterior * anterior_mm + self.free_wall * free_wall_mm)


def long_axis(lv: Field, rv: Field, la: Field, lattice: Lattice) -> LongAxis:
    """Frame of the left ventricle from its cavity, the right ventricle's and the mitral contact."""
    mitral = lattice.position(np.argwhere((la < 3) & (lv < 3)).mean(axis=0))
    cavity = lattice.position(np.argwhere(lv < 0))
    apex = cavity[np.argmax(np.linalg.norm(cavity - mitral, axis=1))]
    along = _unit(apex - mitral)
    septal = lattice.position(np.argwhere(rv < 0).mean(axis=0)) - cavity.mean(axis=0)
    septal = _unit(septal - along * (septal @ along))
    anterior = _unit(np.cross(along, septal))
    if anterior[0] < 0:  # the anterior groove is the upper one
        anterior = -anterior
    offset = cavity.mean(axis=0) - mitral
    return LongAxis(
        base=mitral,
        apex=apex,
        along=along,
        anterior=anterior,
        free_wall=-septal,
        centre_offset=offset - along * (offset @ along),
    )


class GrooveFinder:
    """Routes paths over the outside of one heart."""

    def __init__(self, walls: OuterWalls) -> None:
        self._walls = walls
        self._lattice = walls.lattice
        self._surface = walls.nearest_wall()
        self._free = _surface_cost(walls, self._surface)

    def groove_cost(self, first: Field, second: Field) -> Field:
        """Cost of leaving the groove between two walls."""
        off_first = 0.3 * np.clip(np.abs(first - _FAT_MM), 0, 25) ** 1.3
        off_second = 0.3 * np.clip(np.abs(second - _FAT_MM), 0, 25) ** 1.3
        return np.asarray(self._free + off_first + off_second)

    def wall_cost(self, wall: Field) -> Field:
        """Cost of leaving one wall."""
        return np.asarray(self._free + 0.3 * np.clip(np.abs(wall - _FAT_MM), 0, 20) ** 1.3)

    def route(self, waypoints: list[Array], cost: Field | None = None) -> Array:
        """Smooth path (n, 3) through the waypoints, about one point a millimetre."""
        field = self._free if cost is None else cost
        legs: list[Array] = []
        for start, end in pairwise(waypoints):
            ends = (tuple(self._lattice.nearest(start)), tuple(self._lattice.nearest(end)))
            steps, _ = route_through_array(field, *ends, fully_connected=True, geometric=True)  # type: ignore[no-untyped-call]  # untyped
            leg = self._lattice.position(np.asarray(steps))
            legs.append(leg if not legs else leg[1:])
        path = np.concatenate(legs)
        smooth = ndimage.gaussian_filter1d(path, _SMOOTHING_MM, axis=0, mode="nearest")
        smooth[0], smooth[-1] = path[0], path[-1]
        return np.asarray(smooth)

    def snap(self, point: Array, radius_mm: float) -> Array:
        """The cheapest place on the heart's outside within a radius of a point."""
        grid = np.indices(self._lattice.shape).reshape(3, -1).T
        distance = np.linalg.norm(self._lattice.position(grid) - point, axis=1).reshape(self._lattice.shape)
        cost = np.where(distance < radius_mm, self._free, 1e9) + 0.2 * distance
        return self._lattice.position(np.asarray(np.unravel_index(np.argmin(cost), cost.shape)))

    def meeting_point(self, walls: list[Field], toward: Array, pull: float) -> Array:
        """Where several walls meet on the outside, most in the direction ``toward`` (z, y, x)."""
        cost = sum((np.abs(wall - _FAT_MM - 1) for wall in walls), np.zeros_like(self._surface))
        cost = cost + np.where(self._surface < 0.5, 30, 0) + np.where(self._walls.pericardium < -9, 20, 0)
        axes = np.indices(self._lattice.shape)
        away = sum(axes[k] * toward[k] for k in range(3)) * self._lattice.step_mm
        best = np.unravel_index(np.argmin(cost - pull * away), cost.shape)
        return self._lattice.position(np.asarray(best))

    def groove_point(self, axis: LongAxis, fraction: float, *, anterior: bool) -> Array:
        """Middle of the interventricular groove at a fraction of the way to the apex."""
        walls = self._walls
        groove = (np.abs(walls.lv - _FAT_MM) < 2) & (np.abs(walls.rv - _FAT_MM) < 2) & (walls.pericardium > -9)
        points = self._lattice.position(np.argwhere(groove))
        relative = points - axis.base
        depth = relative @ axis.along
        side = (relative - depth[:, None] * axis.along - axis.centre_offset) @ axis.anterior
        chosen = (np.abs(depth - fraction * axis.length_mm) < 3) & ((side > 5) if anterior else (side < -5))
        if not chosen.any():
            raise ValueError("no interventricular groove at this depth")
        return np.asarray(np.median(points[chosen], axis=0))


def _surface_cost(walls: OuterWalls, surface: Field) -> Field:
    buried = np.where(surface < 1, 60 * np.clip(1 - surface, 0, 6), 0)
    cost = 1 + buried + 0.25 * np.clip(surface - _FAT_MM, 0, 20) ** 2
    between_trunks = (walls.aorta + walls.pulmonary < 14) & (walls.aorta < 12) & (walls.pulmonary < 12)
    cost = cost + np.where(between_trunks, 40, 0)
    return np.asarray(cost + np.where(walls.pericardium < -14, 4 * (-walls.pericardium - 14), 0), dtype=np.float32)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))
