"""A scan the tiny bundle can read: a ball of tissue in lung, with beads of calcium at known places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.volume import CtVolume, VolumeGrid

SHAPE, SPACING_MM, ORIGIN_LPS_MM = (30, 128, 128), (3.0, 1.0, 1.0), (-64.0, -60.0, 100.0)
BEAD = (14, 50, 70)
# a bead is 4 x 4 pixels of 1 mm² at 450 HU (weight 4) in two slices at 3 mm
AGATSTON_OF_A_BEAD = 4 * 4 * 1.0 * 4 * 2


def heart_scan(
    *, beads: Sequence[tuple[int, int, int]] = (BEAD,), blood: float = 40, kvp: float | None = 120.0
) -> CtVolume:
    """30 slices of 128 x 128; ``beads`` are (slice, row, column) of their first voxels."""
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)), indexing="ij"
    )
    hu = np.where(np.sqrt(x**2 + y**2 + z**2) < 38, blood, -850).astype(np.int16)
    for k, row, column in beads:
        hu[k : k + 2, row : row + 4, column : column + 4] = 450
    grid = VolumeGrid(shape=SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=ORIGIN_LPS_MM)
    return CtVolume(hu=hu, grid=grid, kvp=kvp, slice_thickness_mm=3.0)
