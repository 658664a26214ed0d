"""Phantoms of whole chests at the localiser's resolution: real scans reach higher, lower and wider than gated ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from model.preprocess import COARSE_MM
from train.anatomy.ranges import AnatomyRanges, HeartRanges
from train.cases import Case, Recipe, make_case
from train.imaging.ranges import ImagingRanges

WIDE: Final = "wide"
"""Folder of a run that holds whole chests."""
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


def store(case: Case, path: Path) -> None:
    """Write what the localiser learns from, whole or not at all."""
    partial = path.with_suffix(".part.npz")
    np.savez(partial, hu=case.hu, anatomy=case.anatomy, spacing_mm=np.array(case.spacing_mm))
    partial.replace(path)


def wide_path(folder: Path, number: int) -> Path:
    """Where a whole chest is kept."""
    return folder / f"wide-{number:05d}.npz"


def wide_paths(folder: Path) -> Iterator[Path]:
    """Stored whole chests, in order."""
    return iter(sorted(folder.glob("wide-?????.npz")))
