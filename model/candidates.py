"""Every bright spot a scan holds, before anyone says what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.components import bright_voxels
from model.definition import AGATSTON_SLICE_MM, Definition
from model.measurement import Components, weights
from model.volume import CtVolume, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One 2D component at the threshold, whatever it belongs to.

    Attributes
    ----------
    slice
        Index from 0 in order of position.
    position_mm
        Position of that slice along the slice normal.

    """

    slice: int
    position_mm: float
    centroid_lps_mm: Vector
    area_mm2: float
    peak_hu: float
    agatston: float


def candidates(volume: CtVolume, definition: Definition) -> tuple[Candidate, ...]:
    """Every 2D component of the scan that the area rule keeps, in order of slice, row and column."""
    grid = volume.grid
    voxels = bright_voxels(volume.hu, definition.threshold_hu)
    parts = Components.of(voxels, grid, definition)
    runs, kept, peaks = parts.runs, parts.kept, parts.peak_hu[parts.kept]
    z, y, x = (axis[runs.first] for axis in voxels.index)
    centre = np.zeros((kept.size, 3))
    centre[parts.number, 0] = z
    centre[:, 1] = np.bincount(parts.number, y * runs.length) / parts.pixels
    centre[:, 2] = np.bincount(parts.number, (x + (runs.length - 1) / 2) * runs.length) / parts.pixels
    middles = grid.to_lps(centre[kept])
    heights = grid.to_lps(centre[kept] * (1, 0, 0)) @ grid.axes()[0]
    areas = parts.pixels[kept] * grid.pixel_area_mm2
    points = areas * weights(peaks, definition) * (grid.slice_spacing_mm / AGATSTON_SLICE_MM)
    columns = (centre[kept, 0].astype(int), heights, middles, areas, peaks, points)
    return tuple(
        Candidate(slice=n, position_mm=at, centroid_lps_mm=(c[0], c[1], c[2]), area_mm2=a, peak_hu=p, agatston=s)
        for n, at, c, a, p, s in zip(*(column.tolist() for column in columns), strict=True)
    )
