"""A case as a scan in patient space, and the scores a perfect reader would give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from model import scoring
from model.definition import definition_for
from model.lesions import CalciumMask, Lesion, Vessel
from model.scoring import Scores
from model.volume import CtVolume, Vector, VolumeGrid

_TABLE_MM: Final = -180.0
"""Height of the lowest slice: a table position like any other, and not zero, so that nothing may rest on it."""


class Located(Protocol):
    """What a case must offer: HU and calcium on one grid of slices towards the head, rows to the back, columns left."""

    @property
    def hu(self) -> NDArray[np.int16]:
        """(slices, rows, columns)."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(slice, row, column)."""

    @property
    def calcium(self) -> NDArray[np.uint8]:
        """:class:`model.labels.Territory` of each voxel that holds calcium."""

    @property
    def heart_centre_mm(self) -> tuple[float, float, float]:
        """(z, y, x), as index times spacing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueScan:
    """A scan, and what is in it.

    Attributes
    ----------
    mask
        The voxels that count: calcium of a scored vessel, at or above the threshold, not dropped by the area rule.

    """

    volume: CtVolume
    mask: CalciumMask
    scores: Scores
    lesions: tuple[Lesion, ...]
    heart_centre_lps_mm: Vector

    @classmethod
    def of(cls, case: Located) -> Self:
        """Put a case on a table, its middle in the gantry's axis, and score it by its labels."""
        z, y, x = case.hu.shape
        steps = case.spacing_mm
        grid = VolumeGrid(
            shape=(z, y, x),
            spacing_mm=steps,
            origin_lps_mm=(-round((x - 1) / 2 * steps[2], 3), -round((y - 1) / 2 * steps[1], 3), _TABLE_MM),
        )
        volume = CtVolume(hu=case.hu, grid=grid, kvp=120.0, slice_thickness_mm=steps[0])
        mask = scored(volume, case.calcium)
        definition = definition_for()
        centre = np.asarray(case.heart_centre_mm)[::-1] + np.asarray(grid.origin_lps_mm)
        return cls(
            volume=volume,
            mask=mask,
            scores=scoring.score(volume, mask, definition),
            lesions=scoring.lesions(volume, mask, definition),
            heart_centre_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        )


def scored(volume: CtVolume, calcium: NDArray[np.uint8]) -> CalciumMask:
    """The voxels of true calcium (labels as in :class:`TrueScan`'s case) that a perfect reader would score."""
    definition = definition_for()
    labels = np.where((calcium <= len(Vessel)) & (volume.hu >= definition.threshold_hu), calcium, 0)
    return scoring.keep(volume, CalciumMask(labels=labels.astype(np.uint8), grid=volume.grid), definition)
