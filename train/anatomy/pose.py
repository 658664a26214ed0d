"""Where one patient's heart lies and how its shape differs from the atlas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from train.anatomy.atlas import STRUCTURES, HeartAtlas
from train.anatomy.frame import Array, Frame, smooth_noise
from train.anatomy.ranges import HeartRanges

_INVERSION_STEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose:
    """Map between a case (mm from the centre of the field of view) and the atlas, both (z, y, x).

    Attributes
    ----------
    centre_mm
        Where the atlas origin lies in the case, before the warp.
    matrix
        Case offset to atlas: scale and rotation, (3, 3).
    displacement
        (3, ...) on the case's lattice, atlas mm, added after the matrix.
    scale
        Mean size relative to the atlas.

    """

    frame: Frame
    centre_mm: Array
    matrix: Array
    displacement: Tensor
    scale: float

    def atlas_coordinates(self) -> Tensor:
        """Atlas position (3, z, y, x) of every lattice point."""
        return _affine(self.frame, self.centre_mm, self.matrix) + self.displacement

    def to_case(self, points: Array) -> Array:
        """Case positions (n, 3) of atlas points (n, 3), by fixed-point inversion of the warp."""
        inverse = np.linalg.inv(self.matrix)
        wanted = np.atleast_2d(np.asarray(points, dtype=np.float64))
        placed = wanted @ inverse.T + self.centre_mm
        fields = self.displacement.cpu()
        for _ in range(_INVERSION_STEPS):
            moved = np.stack([self.frame.sample(fields[k], placed) for k in range(3)], axis=1)
            placed = (wanted - moved) @ inverse.T + self.centre_mm
        return np.asarray(placed)


def draw_pose(rng: np.random.Generator, frame: Frame, atlas: HeartAtlas, ranges: HeartRanges) -> Pose:
    """Draw position, size, rotation, chamber proportions and a smooth warp."""
    size = rng.uniform(*ranges.scale)
    scales = size * rng.uniform(*ranges.axis_scale, size=3)
    angles = np.clip(rng.standard_normal(3), -2, 2) * np.asarray(ranges.rotation_sd_deg)
    rotation = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    matrix = np.diag(1 / scales) @ rotation.T
    top = frame.half_extent_mm()[0]  # the scan starts about the carina
    centre = np.array([top - rng.uniform(*ranges.carina_below_top_mm) - ranges.carina_mm * scales[0], 0.0, 0.0])
    centre[1:] = np.asarray(ranges.in_plane_offset_mm) + rng.standard_normal(2) * np.asarray(ranges.in_plane_sd_mm)
    coordinates = _affine(frame, centre, matrix)
    warp = rng.uniform(*ranges.warp_mm) * _vector_noise(rng, frame, ranges.warp_cell_mm)
    warp = warp + rng.uniform(*ranges.fine_warp_mm) * _vector_noise(rng, frame, ranges.fine_warp_cell_mm)
    if rng.random() < ranges.slabs:
        warp = warp + _slab_steps(rng, frame, ranges.slab_step_sd_mm)
    swelling = _chamber_swelling(rng, coordinates + warp, atlas, ranges)
    return Pose(
        frame=frame, centre_mm=centre, matrix=matrix, displacement=warp + swelling, scale=float(np.mean(scales))
    )


def _affine(frame: Frame, centre: Array, matrix: Array) -> Tensor:
    offsets = [axis - float(centre[k]) for k, axis in enumerate(frame.coordinates())]
    rows = [
        sum((float(matrix[i, k]) * offsets[k] for k in range(3)), torch.zeros((), device=frame.device))
        for i in range(3)
    ]
    return torch.stack([row.expand(frame.shape) for row in rows])


def _vector_noise(rng: np.random.Generator, frame: Frame, cell_mm: float) -> Tensor:
    return torch.stack([smooth_noise(rng, frame, cell_mm) for _ in range(3)])


def _slab_steps(rng: np.random.Generator, frame: Frame, sd_mm: float) -> Tensor:
    """Each slab of 12 to 40 mm shows the heart in another beat, a little elsewhere; the chest stays in place."""
    thickness = rng.uniform(12, 40)
    height = np.arange(frame.shape[0]) * frame.spacing_mm[0]
    slab = ((height + rng.uniform(0, thickness)) // thickness).astype(int)
    steps = rng.standard_normal((slab.max() + 1, 3)) * sd_mm * np.array([0.3, 1.0, 1.0])
    shifts = torch.tensor(steps[slab].T, dtype=torch.float32, device=frame.device)
    return shifts[:, :, None, None]


def _chamber_swelling(rng: np.random.Generator, coordinates: Tensor, atlas: HeartAtlas, ranges: HeartRanges) -> Tensor:
    """Radial displacements about each chamber: some larger, some smaller than in the atlas, vessels moving along."""
    total = torch.zeros_like(coordinates)
    for number, name in enumerate(STRUCTURES):
        inside = np.argwhere(atlas.fields[number] < 0)
        middle = atlas.lattice.position(inside).mean(axis=0)
        width = 0.8 * (len(inside) * atlas.lattice.step_mm**3) ** (1 / 3)
        amount = rng.uniform(*ranges.swelling) * (0.5 if name in {"AO", "PA"} else 1.0)
        offset = coordinates - torch.tensor(middle, dtype=torch.float32, device=coordinates.device)[:, None, None, None]
        weight = torch.exp(-(offset**2).sum(dim=0) / (2 * width**2))
        total -= amount * weight * offset
    return total
