"""CT volumes in Hounsfield units on a patient-space grid (LPS, mm)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, float, float]

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeGrid:
    """Where the voxels of a volume lie in the patient.

    Axis order is always (slice, row, column). LPS: x grows to the patient's left, y to posterior, z to superior
    (DICOM PS3.3 C.7.6.2.1.1).

    Attributes
    ----------
    shape
        Number of slices, rows and columns.
    spacing_mm
        Distance between neighbouring voxel centres along (slice, row, column) index.
    origin_lps_mm
        Centre of voxel ``[0, 0, 0]``.
    directions
        Unit vectors in LPS along which the slice, row and column index grow.

    """

    shape: tuple[int, int, int]
    spacing_mm: Vector
    origin_lps_mm: Vector
    directions: tuple[Vector, Vector, Vector] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a volume needs at least one voxel along each of three axes, not {self.shape}")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing must be positive and finite, not {self.spacing_mm} mm")
        if not np.isfinite(self.origin_lps_mm).all():
            raise ValueError(f"origin must be finite, not {self.origin_lps_mm} mm")
        axes = self.axes()
        if not np.allclose(axes @ axes.T, np.eye(3), atol=_UNIT_TOLERANCE):
            raise ValueError("directions must be three perpendicular unit vectors")

    def axes(self) -> NDArray[np.float64]:
        """(3, 3) array whose rows are the LPS unit vectors of the slice, row and column index."""
        return np.asarray(self.directions, dtype=np.float64)

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between neighbouring slices, from their positions."""
        return self.spacing_mm[0]

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel within a slice; pixels need not be square."""
        return self.spacing_mm[1] * self.spacing_mm[2]

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel at the slice spacing."""
        return self.pixel_area_mm2 * self.slice_spacing_mm

    def to_lps(self, index: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Patient positions (..., 3) in mm of voxel indices (..., 3) given as (slice, row, column)."""
        steps = np.asarray(index, dtype=np.float64) * np.asarray(self.spacing_mm)
        return np.asarray(steps @ self.axes() + np.asarray(self.origin_lps_mm))

    def to_index(self, position_lps_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Fractional voxel indices (..., 3) as (slice, row, column) of patient positions (..., 3) in mm."""
        offset = np.asarray(position_lps_mm, dtype=np.float64) - np.asarray(self.origin_lps_mm)
        return np.asarray(offset @ self.axes().T / np.asarray(self.spacing_mm))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtVolume:
    """A CT scan in Hounsfield units.

    Attributes
    ----------
    hu
        (slices, rows, columns); int16 where every slice has an integer rescale, else float32. Padding is air (-1024).
        Slices are in order of position along the slice normal.
    grid
        Where the voxels lie.
    kvp
        Tube voltage in kV, or None if the source does not say.
    slice_thickness_mm
        Nominal collimated thickness; never used for scoring, which goes by the grid's spacing.
    mass_factor
        Calcium mass calibration, mg/cm³ per HU (equal to mg/mL per HU), or None for 'uncalibrated'.

    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    grid: VolumeGrid
    kvp: float | None = 120.0
    slice_thickness_mm: float | None = None
    mass_factor: float | None = None

    def __post_init__(self) -> None:
        if self.hu.shape != self.grid.shape:
            raise ValueError(f"{self.hu.shape} voxels do not fill a grid of {self.grid.shape}")
        if self.hu.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
            raise ValueError(f"Hounsfield units are int16 or float32, not {self.hu.dtype}")
