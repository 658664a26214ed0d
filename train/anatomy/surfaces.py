"""Closed surfaces from OBJ files, and their signed distance on a regular grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

_SAMPLES_PER_MM2 = 25.0
_CLOSING_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A triangle mesh in LPS mm; ``points`` (n, 3) are (z, y, x), ``triangles`` (m, 3) index them."""

    points: Array
    triangles: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A regular grid of points: first point (z, y, x) in mm, one step for all axes, and the number of points."""

    origin_mm: tuple[float, float, float]
    step_mm: float
    shape: tuple[int, int, int]

    def index(self, points: Array) -> Array:
        """Fractional indices (..., 3) of points (..., 3) given as (z, y, x) in mm."""
        return np.asarray((np.asarray(points) - np.asarray(self.origin_mm)) / self.step_mm)

    def nearest(self, points: Array) -> NDArray[np.int64]:
        """Indices of the lattice points nearest to ``points``, kept inside the lattice."""
        rounded = np.rint(self.index(points)).astype(np.int64)
        return np.clip(rounded, 0, np.asarray(self.shape) - 1)

    def position(self, index: NDArray[np.integer] | Array) -> Array:
        """Points (..., 3) in mm of indices (..., 3)."""
        return np.asarray(np.asarray(self.origin_mm) + self.step_mm * np.asarray(index, dtype=np.float64))


def read_obj(path: Path) -> Surface:
    """Read the vertices and triangles of a Wavefront OBJ file of the Toronto Heart Atlas.

    The atlas stores (right to left flipped x, superior, posterior); in LPS that is (x, y, z) = (-X, Z, Y), a rotation
    and not a mirror image.

    Raises
    ------
    ValueError
        If the file has no triangles or a face with other than three corners.

    """
    corners: list[list[float]] = []
    faces: list[list[int]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("v "):
            corners.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("f "):
            faces.append([int(word.split("/")[0]) - 1 for word in line.split()[1:]])
    if not faces or any(len(face) != 3 for face in faces):
        raise ValueError(f"{path.name} is not a triangle mesh")
    raw = np.asarray(corners)
    points = np.stack([raw[:, 1], raw[:, 2], -raw[:, 0]], axis=1)
    return Surface(points=points, triangles=np.asarray(faces, dtype=np.int64))


def scatter(surface: Surface, seed: int) -> Array:
    """Points (n, 3) spread evenly over the surface, dense enough to close a 1 mm shell."""
    rng = np.random.default_rng(seed)
    corners = surface.points[surface.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1) / 2
    chosen = rng.choice(len(areas), size=int(areas.sum() * _SAMPLES_PER_MM2), p=areas / areas.sum())
    weights = rng.random((len(chosen), 2))
    outside = weights.sum(axis=1) > 1
    weights[outside] = 1 - weights[outside]
    a, b, c = (corners[chosen, k] for k in range(3))
    inner = a + weights[:, :1] * (b - a) + weights[:, 1:] * (c - a)
    return np.concatenate([inner, surface.points])


def signed_distance(inside: NDArray[np.bool_], step_mm: float) -> NDArray[np.float32]:
    """Distance in mm to the border of a mask, negative inside."""
    outer = ndimage.distance_transform_edt(~inside)
    inner = ndimage.distance_transform_edt(inside)
    return np.asarray((np.maximum(outer - 0.5, 0) - np.maximum(inner - 0.5, 0)) * step_mm, dtype=np.float32)


def fill(surface: Surface, lattice: Lattice, seed: int = 0) -> NDArray[np.bool_]:
    """Mask of what a surface encloses; small leaks of the mesh are closed first. About half a step too large."""
    shell = np.zeros(lattice.shape, dtype=bool)
    shell[tuple(lattice.nearest(scatter(surface, seed)).T)] = True
    shell = ndimage.binary_closing(shell, iterations=_CLOSING_STEPS)
    return np.asarray(ndimage.binary_fill_holes(shell))
