"""Which labelled voxels count for a score, and with what weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.components import Runs, Voxels, labelled_voxels
from model.definition import Definition
from model.lesions import CalciumMask, Vessel
from model.volume import CtVolume, VolumeGrid

# spacings are decimals a scanner has rounded: nine pixels of 0.333333 mm square are 1 mm²
_AREA_TOLERANCE: Final = 1e-5
_SAME_PLACE_MM: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """2D components of a list of voxels.

    Attributes
    ----------
    number
        Component of each run, from 0 in order of slice, row and column.
    pixels, peak_hu, kept
        Per component: its size, its highest value, and whether the area rule keeps it.

    """

    runs: Runs
    number: NDArray[np.int64]
    pixels: NDArray[np.int64]
    peak_hu: NDArray[np.float64]
    kept: NDArray[np.bool_]

    @classmethod
    def of(cls, voxels: Voxels, grid: VolumeGrid, definition: Definition) -> Components:
        """Join voxels within each slice, and judge each component by the area rule."""
        runs = Runs.of(voxels)
        number = runs.in_slice(definition.connectivity)
        count = int(number.max()) + 1 if number.size else 0
        pixels = np.bincount(number, runs.length, minlength=count).astype(np.int64)
        peak = np.full(count, -np.inf)
        np.maximum.at(peak, number, runs.peak(voxels.hu))
        large = pixels * grid.pixel_area_mm2 >= definition.minimum_area_mm2 * (1 - _AREA_TOLERANCE)
        kept = large & (pixels >= definition.minimum_pixels)
        return cls(runs=runs, number=number, pixels=pixels, peak_hu=peak, kept=kept)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """The labelled voxels that count for anything.

    Attributes
    ----------
    weight
        Agatston weight of each voxel's own 2D component; 0 for a voxel outside the Agatston mask.
    counted
        Whether the voxel adds to volume and mass.

    """

    voxels: Voxels
    weight: NDArray[np.int64]
    counted: NDArray[np.bool_]


def weights(peak_hu: ArrayLike, definition: Definition) -> NDArray[np.int64]:
    """Density weights 1 to 4 of the peaks of 2D components, 0 below the threshold; same shape as ``peak_hu``."""
    limits = np.array([definition.threshold_hu, *definition.weight_limits_hu])
    return np.asarray(np.searchsorted(limits, np.asarray(peak_hu), side="right"), dtype=np.int64)


def measure(volume: CtVolume, mask: CalciumMask, definition: Definition) -> Measured:
    """Every voxel of the mask that counts for Agatston or for volume and mass.

    Raises
    ------
    ValueError
        The mask does not lie on the volume's grid, or holds a label of no vessel.

    """
    _require_same_grid(volume.grid, mask.grid)
    volume_hu = definition.volume_threshold_hu(volume.mass_factor)
    voxels = labelled_voxels(mask.labels, volume.hu, min(definition.threshold_hu, volume_hu))
    if voxels.label.size and voxels.label[-1] > len(Vessel):
        raise ValueError(f"label {voxels.label[-1]} is no vessel's")
    weight = _voxel_weights(voxels, definition.threshold_hu, volume.grid, definition)
    counted = weight > 0
    if volume_hu != definition.threshold_hu:
        counted = _voxel_weights(voxels, volume_hu, volume.grid, definition) >= 0
    used = (weight >= 0) | counted
    return Measured(voxels=voxels.where(used), weight=np.maximum(weight[used], 0), counted=counted[used])


def _voxel_weights(voxels: Voxels, threshold_hu: float, grid: VolumeGrid, definition: Definition) -> NDArray[np.int64]:
    """Weight of the 2D component that each voxel is part of at a threshold; -1 for a voxel that is in none."""
    above = voxels.hu >= threshold_hu
    parts = Components.of(voxels.where(above), grid, definition)
    each = np.where(parts.kept, weights(parts.peak_hu, definition), -1)
    found = np.full(above.shape, -1, dtype=np.int64)
    found[above] = np.repeat(each[parts.number], parts.runs.length)
    return found


def _require_same_grid(ours: VolumeGrid, theirs: VolumeGrid) -> None:
    if ours is theirs:
        return
    corners = np.array([(0, 0, 0), ours.shape, (0, 0, ours.shape[2]), (0, ours.shape[1], 0)])
    if ours.shape != theirs.shape or not np.allclose(
        ours.to_lps(corners), theirs.to_lps(corners), rtol=0, atol=_SAME_PLACE_MM
    ):
        raise ValueError("the mask does not lie on the grid of the volume")
