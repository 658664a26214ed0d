"""Where one patient's heart lies and how its shape differs from the atlas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from train.anatomy.atlas import STRUCTURES, HeartAtlas
from train.anatomy.frame import Array, Frame, smooth_noise
from train.anatomy.proportions import Proportions, draw_proportions
from train.anatomy.ranges import HeartRanges

_INVERSION_STEPS = 14
_PIVOT = (8.0, 5.0, -5.0)  # between aortic root and left atrium, which hold the heart
_HELD_ABOVE_MM, _HELD_OVER_MM = 30.0, 9.0
# Middle of root and ascending aorta: atlas height, and there y and x; their radii.
_AORTA_Z = (0.0, 13.0, 22.0, 28.0, 40.0, 52.0)
_AORTA_Y = (-6.0, -6.0, -12.0, -15.0, -11.0, -7.0)
_AORTA_X = (-5.0, -7.0, -14.0, -20.0, -23.0, -25.0)
_ROOT_MM, _ASCENDING_MM = 18.7, 16.5
_AORTIC_REACH_MM = 22.0


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
    proportions
        What chambers, walls, aorta and fat were drawn as.

    """

    frame: Frame
    centre_mm: Array
    matrix: Array
    displacement: Tensor
    scale: float
    proportions: Proportions

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
    scales = size * rng.uniform(*ranges.axis_scale, size=3) * np.array([1.0, ranges.depth, 1.0])
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
    mean = float(np.mean(scales))
    proportions = draw_proportions(rng, mean, ranges)
    turned = coordinates + warp
    turned = turned + _turn(turned, proportions.turn_deg)
    total = turned - coordinates + _chamber_swelling(turned, atlas, proportions)
    total = total + _aortic_change(turned, proportions, mean)
    return Pose(
        frame=frame, centre_mm=centre, matrix=matrix, displacement=total, scale=mean, proportions=proportions
    )  # fmt: skip


def _turn(coordinates: Tensor, angles_deg: Array) -> Tensor:
    """Displacement that turns the heart about its base, leaving vessels and airways above where they are."""
    turn = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix().T - np.eye(3)
    weight = torch.sigmoid((_HELD_ABOVE_MM - coordinates[0]) / _HELD_OVER_MM)
    offset = [coordinates[k] - _PIVOT[k] for k in range(3)]
    rows = [sum((float(turn[i, k]) * offset[k] for k in range(3)), torch.zeros_like(weight)) for i in range(3)]
    far: Tensor = (200.0 / torch.stack(offset).norm(dim=0).clamp(min=1.0)).clamp(max=1.0)
    return torch.stack(rows) * (weight * far)


def _aortic_change(coordinates: Tensor, proportions: Proportions, scale: float) -> Tensor:
    """Widen root and ascending aorta to their drawn diameters, bow the ascending part, stretch the root."""
    z = coordinates[0]
    y, x = coordinates[1] - _along(z, _AORTA_Y), coordinates[2] - _along(z, _AORTA_X)
    weight = torch.exp(-(y**2 + x**2) / (2 * _AORTIC_REACH_MM**2)) * torch.sigmoid((z + 6) / 4)
    upper = torch.sigmoid((z - 22) / 4)
    amount = _widening(_ROOT_MM, proportions.root_mm / scale) * (1 - upper)
    amount = (amount + _widening(_ASCENDING_MM, proportions.ascending_mm / scale) * upper) * weight
    bow = proportions.unfolding_mm * weight * torch.exp(-((z - 32) ** 2) / (2 * 14.0**2))
    stretch = proportions.root_stretch * weight * (z - 8) * torch.exp(-((z - 8) ** 2) / (2 * 12.0**2))
    return torch.stack([-stretch, 0.7 * bow - amount * y, 0.7 * bow - amount * x])


def _widening(radius_mm: float, diameter_mm: float) -> float:
    """Radial amount that brings a tube of this radius to a diameter, both in atlas mm."""
    wanted = diameter_mm / 2
    return float(np.clip((1 - radius_mm / wanted) * np.exp(wanted**2 / (2 * _AORTIC_REACH_MM**2)), -0.5, 0.65))


def _along(z: Tensor, values: tuple[float, ...]) -> Tensor:
    """Piecewise linear in the atlas height, constant beyond both ends."""
    total = torch.full_like(z, float(values[0]))
    for k in range(len(values) - 1):
        low, high = _AORTA_Z[k], _AORTA_Z[k + 1]
        total = total + (z.clamp(low, high) - low) * ((values[k + 1] - values[k]) / (high - low))
    return total


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


def _chamber_swelling(coordinates: Tensor, atlas: HeartAtlas, proportions: Proportions) -> Tensor:
    """Radial displacements about each chamber: some larger, some smaller than in the atlas, vessels moving along."""
    total = torch.zeros_like(coordinates)
    for number, name in enumerate(STRUCTURES):
        if name == "AO":
            continue
        inside = np.argwhere(atlas.fields[number] < 0)
        middle = atlas.lattice.position(inside).mean(axis=0)
        width = 0.8 * (len(inside) * atlas.lattice.step_mm**3) ** (1 / 3)
        amount = proportions.swelling[number] * (0.6 if name == "PA" else 1.0)
        offset = coordinates - torch.tensor(middle, dtype=torch.float32, device=coordinates.device)[:, None, None, None]
        weight = torch.exp(-(offset**2).sum(dim=0) / (2 * width**2))
        total -= amount * weight * offset
    return total
