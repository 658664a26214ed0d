"""Rasterise unions of balls: many small ones at once, with partial volume."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Array
from train.anatomy.layers import Balls
from train.imaging.raster import PixelGrid

_STRENGTH_STEPS = 8  # a key holds strength in eighths, and the label in its last three bits
_MAX_ELEMENTS = 4_000_000
_MOTION_PHASES = 5


def deposit(balls: Balls, grid: PixelGrid, strength: Array, device: str, phase: float = 0.0) -> Tensor:
    """Keys (int32, grid shape) of the strongest ball in each voxel; see :func:`strengths` and :func:`labels`.

    ``strength`` (n,) is multiplied by the share of the voxel that the ball fills. ``phase`` (-0.5..0.5) is the point in
    time within the scan of a slice at which moving balls are shown.
    """
    keys = torch.zeros(int(np.prod(grid.shape)), dtype=torch.int32, device=device)
    centres = balls.centres + phase * balls.motion_mm
    offsets = _sub_voxels(grid, device)
    for chosen, reach in _by_size(balls.radius_mm, grid):
        patch = _patch(reach, device)
        for part in np.array_split(chosen, max(1, -(-len(chosen) * len(patch) * len(offsets) // _MAX_ELEMENTS))):
            place, index, inside = _voxels(centres[part], patch, grid, device)
            radius = torch.tensor(balls.radius_mm[part], dtype=torch.float32, device=device)[:, None]
            filled = torch.zeros(place.shape[:2], device=device)
            for offset in offsets:
                distance = (place + offset).square().sum(dim=-1).sqrt()
                filled += ((radius - distance) / _softness(grid) + 0.5).clamp(0, 1)
            filled /= len(offsets)
            power = torch.tensor(strength[part], dtype=torch.float32, device=device)[:, None]
            label = torch.tensor(balls.label[part].astype(np.int32), device=device)[:, None]
            key = (filled * power * _STRENGTH_STEPS).int() * 8 + label
            keys.scatter_reduce_(0, index[inside], key[inside], reduce="amax")
    return keys.reshape(grid.shape)


def deposit_moving(balls: Balls, grid: PixelGrid, strength: Array, device: str) -> tuple[Tensor, Tensor]:
    """Strength averaged over the time a slice takes, and the keys' maximum over that time."""
    moves = np.any(balls.motion_mm != 0, axis=1)
    top = deposit(balls.chosen(~moves), grid, strength[~moves], device)
    still = strengths(top)
    if not moves.any():
        return still, top
    moving, power = balls.chosen(moves), strength[moves]
    total = torch.zeros(grid.shape, dtype=torch.int32, device=device)
    for phase in np.linspace(-0.5, 0.5, _MOTION_PHASES):
        keys = deposit(moving, grid, power, device, float(phase))
        total += keys >> 3
        top = torch.maximum(top, keys, out=top)
    return torch.maximum(still, total.float().div_(_STRENGTH_STEPS * _MOTION_PHASES), out=still), top


def nearest(points: Array, label: Array, reach_mm: float, grid: PixelGrid, device: str) -> Tensor:
    """Keys whose strength falls from 1000 at a point to 0 at ``reach_mm``: whose point is nearest, as a map."""
    keys = torch.zeros(int(np.prod(grid.shape)), dtype=torch.int32, device=device)
    z, y, x = (int(np.ceil(reach_mm / step)) for step in grid.spacing_mm)
    patch = _patch((z, y, x), device)
    for part in np.array_split(np.arange(len(points)), max(1, -(-len(points) * len(patch) // _MAX_ELEMENTS))):
        place, index, inside = _voxels(points[part], patch, grid, device)
        closeness = (1 - place.square().sum(dim=-1).sqrt() / reach_mm).clamp(min=0)
        value = torch.tensor(label[part].astype(np.int32), device=device)[:, None]
        key = (closeness * 1000 * _STRENGTH_STEPS).int() * 8 + value
        keep = inside & (closeness > 0)
        keys.scatter_reduce_(0, index[keep], key[keep], reduce="amax")
    return keys.reshape(grid.shape)


def strengths(keys: Tensor) -> Tensor:
    """Strength of each key."""
    return (keys >> 3).float() / _STRENGTH_STEPS


def labels(keys: Tensor) -> Tensor:
    """Label (uint8) of each key; 0 where nothing was deposited."""
    return (keys & 7).to(torch.uint8)


def _softness(grid: PixelGrid) -> float:
    return max(0.3, 0.5 * min(grid.spacing_mm))


def _sub_voxels(grid: PixelGrid, device: str) -> Tensor:
    counts = [2 if step > 0.6 else 1 for step in grid.spacing_mm]
    axes = [((np.arange(n) + 0.5) / n - 0.5) * step for n, step in zip(counts, grid.spacing_mm, strict=True)]
    return torch.tensor(np.array(list(itertools.product(*axes))), dtype=torch.float32, device=device)


def _by_size(radius_mm: Array, grid: PixelGrid) -> Iterator[tuple[np.ndarray, tuple[int, int, int]]]:
    """Indices of balls of like size, with the voxels they reach along (slice, row, column)."""
    size = np.ceil(radius_mm * 2).astype(int)  # half millimetres
    for value in np.unique(size):
        z, y, x = (int(np.ceil((value / 2 + 0.4) / step + 0.5)) for step in grid.spacing_mm)
        yield np.flatnonzero(size == value), (z, y, x)


def _patch(reach: tuple[int, int, int], device: str) -> Tensor:
    axes = [torch.arange(-n, n + 1, device=device) for n in reach]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)


def _voxels(centres: Array, patch: Tensor, grid: PixelGrid, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets (n, p, 3) from ball centres to voxel centres, flat voxel indices (n, p), and which lie in the grid."""
    step = np.asarray(grid.spacing_mm)
    index = (centres + np.asarray(grid.half_extent_mm())) / step
    middle = np.rint(index)
    rest = torch.tensor((middle - index) * step, dtype=torch.float32, device=device)
    voxel = torch.tensor(middle.astype(np.int64), device=device)[:, None, :] + patch
    place = rest[:, None, :] + patch * torch.tensor(step, dtype=torch.float32, device=device)
    limits = torch.tensor(grid.shape, device=device)
    inside = ((voxel >= 0) & (voxel < limits)).all(dim=-1)
    flat = (voxel[..., 0] * grid.shape[1] + voxel[..., 1]) * grid.shape[2] + voxel[..., 2]
    return place, flat, inside
