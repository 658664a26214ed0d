"""Agatston, volume and mass of labelled calcium. What each number means is fixed here and tested by hand.

Agatston (J Am Coll Cardiol 1990;15:827-832), slice by slice and vessel by vessel: voxels of the vessel at or above the
threshold form 2D components; one that is too small is dropped; each counts its area times the weight of its own peak in
that slice; the sum is scaled by slice spacing / 3 mm. Areas come from the row and the column spacing, the slice spacing
from the positions of the slices.

Volume is voxels times voxel volume, mass is volume times mean HU times calibration, both at the Agatston mask unless
the profile sets a threshold of its own for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.candidates import Candidate, candidates
from model.components import Runs, Voxels
from model.definition import (
    AGATSTON_SLICE_MM,
    DEFAULT_PROFILE,
    PROFILES,
    SUPPORTED_KVP,
    Definition,
    UnknownProfileError,
    UnsupportedKvpError,
    definition_for,
)
from model.lesions import AORTIC, CORONARIES, CalciumMask, Lesion, Vessel
from model.measurement import Measured, measure, weights
from model.volume import CtVolume, Vector, VolumeGrid

__all__ = [
    "DEFAULT_PROFILE",
    "PROFILES",
    "REGIONS",
    "SUPPORTED_KVP",
    "Candidate",
    "Definition",
    "RegionScore",
    "Scores",
    "UnknownProfileError",
    "UnsupportedKvpError",
    "candidates",
    "definition_for",
    "keep",
    "lesions",
    "score",
    "weight",
    "weights",
]

REGIONS: Final = ("LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC")
_VESSELS: Final = {vessel.label: vessel for vessel in Vessel}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScore:
    """Scores of one vessel or of several together.

    Attributes
    ----------
    mass_mg
        Hydroxyapatite mass, or None if the scan is uncalibrated.
    area_mm2
        Areas of all 2D components that count for Agatston, summed over the slices.

    """

    agatston: float
    volume_mm3: float
    mass_mg: float | None
    lesions: int
    area_mm2: float

    def __add__(self, other: RegionScore) -> RegionScore:
        known = self.mass_mg is not None and other.mass_mg is not None
        return RegionScore(
            agatston=self.agatston + other.agatston,
            volume_mm3=self.volume_mm3 + other.volume_mm3,
            mass_mg=(self.mass_mg or 0.0) + (other.mass_mg or 0.0) if known else None,
            lesions=self.lesions + other.lesions,
            area_mm2=self.area_mm2 + other.area_mm2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """All scores of one scan.

    Attributes
    ----------
    regions
        One entry for each of :data:`REGIONS`: CAC is LM + LAD + LCX + RCA; AC is AV + TA and never part of CAC.

    """

    regions: Mapping[str, RegionScore]
    slice_spacing_mm: float

    @property
    def lm_lad(self) -> RegionScore:
        """LM and LAD together, as many human reads report them."""
        return self.regions["LM"] + self.regions["LAD"]

    @property
    def density(self) -> float | None:
        """Mean weight of the coronary area, 1 to 4: Agatston per area at 3 mm spacing. None without calcium."""
        cac = self.regions["CAC"]
        if not cac.area_mm2:
            return None
        return cac.agatston / cac.area_mm2 * (AGATSTON_SLICE_MM / self.slice_spacing_mm)

    @property
    def diffusivity(self) -> float | None:
        """1 - share of the worst coronary: 0 when all calcium is in one vessel. None without calcium."""
        total = self.regions["CAC"].agatston
        if not total:
            return None
        return 1.0 - max(self.regions[vessel].agatston for vessel in CORONARIES) / total

    @property
    def vessels(self) -> int:
        """Number of coronaries with calcium, 0 to 4."""
        return sum(self.regions[vessel].agatston > 0 for vessel in CORONARIES)


def weight(peak_hu: float, definition: Definition) -> int:
    """Density weight 1 to 4 of a 2D component by its peak; 0 below the threshold."""
    return int(weights(peak_hu, definition))


def score(volume: CtVolume, mask: CalciumMask, definition: Definition) -> Scores:
    """Score every vessel of a mask, and their totals.

    Raises
    ------
    ValueError
        The mask does not lie on the volume's grid, or holds a label of no vessel.

    """
    measured = measure(volume, mask, definition)
    sums = _Sums.of(measured, volume, measured.voxels.label, len(Vessel) + 1)
    runs = Runs.of(measured.voxels)
    _, first = np.unique(runs.in_volume(), return_index=True)
    pieces = np.bincount(measured.voxels.label[runs.first[first]], minlength=len(Vessel) + 1)
    regions = {str(vessel): sums.region(vessel.label, int(pieces[vessel.label])) for vessel in Vessel}
    regions["CAC"] = _together(regions, CORONARIES)
    regions["AC"] = _together(regions, AORTIC)
    return Scores(regions={name: regions[name] for name in REGIONS}, slice_spacing_mm=volume.grid.slice_spacing_mm)


def lesions(volume: CtVolume, mask: CalciumMask, definition: Definition) -> tuple[Lesion, ...]:
    """Every lesion, in order of vessel and then of position.

    A lesion is a 3D 6-connected piece of one vessel's measured voxels. Agatston components are 8-connected in the
    slice, so one may reach into two lesions: each of its pixels takes the component's weight with it, and the lesions
    of a vessel always sum to the vessel's score. A piece the area rule drops entirely is no lesion. Where a profile
    counts volume from a lower threshold than Agatston's, a lesion can have volume and an Agatston score of 0.
    """
    measured = measure(volume, mask, definition)
    voxels = measured.voxels
    runs = Runs.of(voxels)
    piece = np.repeat(runs.in_volume(), runs.length)
    count = int(piece.max()) + 1 if piece.size else 0
    sums = _Sums.of(measured, volume, piece, count)
    order = np.argsort(piece, kind="stable")
    starts = np.searchsorted(piece[order], np.arange(count))
    sure = _probability(mask, voxels)
    found = []
    for number, members in enumerate(np.split(order, starts[1:]) if count else []):
        region = sums.region(number, 1)
        index = voxels.index[:, members]
        found.append(
            Lesion(
                vessel=_VESSELS[int(voxels.label[members[0]])],
                agatston=region.agatston,
                volume_mm3=region.volume_mm3,
                mass_mg=region.mass_mg,
                peak_hu=float(voxels.hu[members].max()),
                centroid_lps_mm=_lps(volume.grid, index.mean(axis=1)),
                slices=(int(index[0].min()), int(index[0].max())),
                probability=None if sure is None else float(sure[members].mean()),
            )
        )
    return tuple(found)


def keep(volume: CtVolume, mask: CalciumMask, definition: Definition) -> CalciumMask:
    """The mask that is scored: labelled, at or above the threshold, and not dropped by the area rule.

    Where a profile counts volume from a threshold of its own, voxels that count only for volume and mass are kept too.
    Scoring the kept mask gives the same scores and lesions as scoring the mask.
    """
    voxels = measure(volume, mask, definition).voxels
    labels = np.zeros_like(mask.labels)
    labels[tuple(voxels.index)] = voxels.label
    sure = mask.probability
    if sure is not None:
        sure = sure[labels.ravel()[np.flatnonzero(mask.labels > 0)] > 0]
    return CalciumMask(labels=labels, grid=mask.grid, probability=sure)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """Weights, pixels, volume voxels and their HU, summed by group."""

    weight: NDArray[np.float64]
    pixels: NDArray[np.int64]
    counted: NDArray[np.int64]
    hu: NDArray[np.float64]
    volume: CtVolume

    @classmethod
    def of(cls, measured: Measured, volume: CtVolume, group: NDArray[Any], count: int) -> _Sums:
        counted = group[measured.counted]
        return cls(
            weight=_totals(group, measured.weight, count),
            pixels=np.bincount(group[measured.weight > 0], minlength=count),
            counted=np.bincount(counted, minlength=count),
            hu=_totals(counted, measured.voxels.hu[measured.counted], count),
            volume=volume,
        )

    def region(self, group: int, pieces: int) -> RegionScore:
        grid, factor = self.volume.grid, self.volume.mass_factor
        slab = grid.slice_spacing_mm / AGATSTON_SLICE_MM
        # mm³ x HU x mg/cm³ per HU is mg / 1000
        mass = None if factor is None else float(self.hu[group]) * grid.voxel_volume_mm3 * factor / 1000
        return RegionScore(
            agatston=float(self.weight[group]) * grid.pixel_area_mm2 * slab,
            volume_mm3=int(self.counted[group]) * grid.voxel_volume_mm3,
            mass_mg=mass,
            lesions=pieces,
            area_mm2=int(self.pixels[group]) * grid.pixel_area_mm2,
        )


def _totals(group: NDArray[Any], values: NDArray[Any], count: int) -> NDArray[np.float64]:
    return np.bincount(group, values, minlength=count).astype(np.float64, copy=False)


def _together(regions: Mapping[str, RegionScore], vessels: Iterable[Vessel]) -> RegionScore:
    first, *others = (regions[vessel] for vessel in vessels)
    return reduce(add, others, first)


def _probability(mask: CalciumMask, voxels: Voxels) -> NDArray[np.float32] | None:
    """The mask's probability at each listed voxel."""
    if mask.probability is None:
        return None
    place = np.ravel_multi_index(tuple(voxels.index), mask.labels.shape)
    return np.asarray(mask.probability[np.searchsorted(np.flatnonzero(mask.labels > 0), place)])


def _lps(grid: VolumeGrid, index: NDArray[np.float64]) -> Vector:
    x, y, z = grid.to_lps(index).tolist()
    return (x, y, z)
