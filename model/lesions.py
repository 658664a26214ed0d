"""Where calcium is and what it belongs to: vessels, masks, lesions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.volume import Vector, VolumeGrid


class Vessel(StrEnum):
    """The territories that are scored. The value is the key used in ``reading.json``."""

    LM = "LM"
    LAD = "LAD"
    LCX = "LCX"
    RCA = "RCA"
    AV = "AV"
    TA = "TA"

    @property
    def label(self) -> int:
        """Voxel value of this vessel in a :class:`CalciumMask` (1..6; 0 is background)."""
        return _LABELS[self]


CORONARIES: Final = (Vessel.LM, Vessel.LAD, Vessel.LCX, Vessel.RCA)
AORTIC: Final = (Vessel.AV, Vessel.TA)
_LABELS: Final = {vessel: number for number, vessel in enumerate(Vessel, start=1)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalciumMask:
    """Which voxels are calcium of which vessel.

    Attributes
    ----------
    labels
        uint8 (slices, rows, columns): 0, or :attr:`Vessel.label`.
    grid
        The grid of the volume that was read.
    probability
        float32, one value per labelled voxel in the order of ``np.flatnonzero(labels)``: how sure the segmenter is
        that the voxel is calcium of that vessel. None if the mask was not made by a segmenter.

    """

    labels: NDArray[np.uint8]
    grid: VolumeGrid
    probability: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.labels.shape != self.grid.shape:
            raise ValueError(f"a mask of {self.labels.shape} does not fill a grid of {self.grid.shape}")
        if self.labels.dtype != np.uint8:
            raise ValueError(f"labels are uint8, not {self.labels.dtype}")
        if self.probability is not None and self.probability.shape != (int(np.count_nonzero(self.labels)),):
            raise ValueError("probability needs one value per labelled voxel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One 3D 6-connected piece of calcium of one vessel.

    Attributes
    ----------
    slices
        First and last slice index (from 0, in order of position), both included.
    probability
        Mean over the lesion's voxels, or None if the mask carries none.

    """

    vessel: Vessel
    agatston: float
    volume_mm3: float
    mass_mg: float | None
    peak_hu: float
    centroid_lps_mm: Vector
    slices: tuple[int, int]
    probability: float | None
