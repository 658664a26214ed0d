"""Phantoms of whole chests at the localiser's resolution: real scans reach higher, lower and wider than gated ones."""

from __future__ import annotations

from typing import Final

from model.preprocess import COARSE_MM
from train.anatomy.ranges import AnatomyRanges, HeartRanges
from train.cases import Case, Recipe, make_case
from train.imaging.ranges import ImagingRanges

FIRST_SEED: Final = 5_000_001
"""Whole chests have seeds of their own, apart from every cohort's."""


def whole_chest() -> Recipe:
    """384 mm square and 240 to 340 mm long, voxels of 4 mm; the carina lies up to 110 mm below the first slice.

    Noise is what is left of a scanner's after averaging over such voxels. A case is made in two seconds.
    """
    return Recipe(
        matrix=96,
        pixel_mm=COARSE_MM,
        slices=(60, 85),
        slice_mm=(COARSE_MM,),
        lattice_mm=COARSE_MM,
        anatomy=AnatomyRanges(heart=HeartRanges(carina_below_top_mm=(-10.0, 110.0))),
        imaging=ImagingRanges(noise_sd_hu=(2.0, 12.0)),
    )


def wide_case(number: int) -> Case:
    """One whole chest, always the same."""
    return make_case(FIRST_SEED + number, whole_chest())
