"""The interpolated volume score: calcium volume with HU taken as linear between neighbouring slices.

The volume score of `model.scoring` gives every voxel the whole slice spacing. Software that first interpolates the scan
to cubes (Callister et al., Radiology 1998;208:807-814) reports another number. This is its limit for ever finer cubes,
found in closed form instead of by resampling; it is an extra, and never what `Scores` calls volume.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from model.definition import Definition
from model.lesions import AORTIC, CORONARIES, CalciumMask, Vessel
from model.measurement import measure
from model.scoring import REGIONS
from model.volume import CtVolume

NAME: Final = "volume, interpolated between slices"


def interpolated_volumes(volume: CtVolume, mask: CalciumMask, definition: Definition) -> dict[str, float]:
    """Interpolated volume in mm³ of each of ``REGIONS``.

    Towards a neighbouring slice that is at or above the threshold at the same pixel, a voxel reaches half way. Towards
    one below it, it reaches to where the line between the two values crosses the threshold. At the end of the scan it
    reaches half a slice. The threshold is that of the profile for volume.

    Raises
    ------
    ValueError
        The mask does not lie on the volume's grid, or holds a label of no vessel.

    """
    measured = measure(volume, mask, definition)
    voxels = measured.voxels.where(measured.counted)
    threshold = definition.volume_threshold_hu(volume.mass_factor)
    z, y, x = voxels.index
    own = voxels.hu.astype(np.float64)
    reach = np.zeros(own.shape)
    for step in (-1, 1):
        inside = (z + step >= 0) & (z + step < voxels.shape[0])
        next_hu = np.where(inside, volume.hu[np.clip(z + step, 0, voxels.shape[0] - 1), y, x], own)
        below = next_hu < threshold
        reach += np.where(below, (own - threshold) / np.where(below, own - next_hu, 1.0), 0.5)
    sums = np.bincount(voxels.label, reach, minlength=len(Vessel) + 1) * volume.grid.voxel_volume_mm3
    found = {str(vessel): float(sums[vessel.label]) for vessel in Vessel}
    found["CAC"] = sum(found[vessel] for vessel in CORONARIES)
    found["AC"] = sum(found[vessel] for vessel in AORTIC)
    return {name: found[name] for name in REGIONS}
