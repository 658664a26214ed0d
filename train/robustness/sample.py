"""A scan with its true labels, and the patients that every spacing of it is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.volume import CtVolume, VolumeGrid
from train.cases import Case, Recipe

FINE_MM: Final = 0.5
"""Slices a patient is made in: 1.5, 2.5 and 3.0 mm slices, and those shifted by half, are means of them."""
COVER_MM: Final = 144.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A scan, and labels on its grid.

    Attributes
    ----------
    calcium
        uint8 :class:`model.labels.Territory` where calcium shows.
    anatomy
        uint8 :class:`model.labels.Anatomy`.

    """

    volume: CtVolume
    calcium: NDArray[np.uint8]
    anatomy: NDArray[np.uint8]

    def with_hu(self, hu: NDArray[Any]) -> Sample:
        """The same with other voxels, rounded to what a scanner stores."""
        stored = np.clip(np.rint(hu), -3024, 3071).astype(np.int16)
        return replace(self, volume=replace(self.volume, hu=stored))


def fine_recipe(base: Recipe) -> Recipe:
    """A recipe in half-millimetre slices that do not overlap.

    Noise is that much stronger that 3 mm slices have what the recipe draws; thinner slices have more of it, as with
    the same dose.
    """
    gain = float(np.sqrt(3.0 / FINE_MM))
    low, high = base.imaging.noise_sd_hu
    imaging = replace(base.imaging, noise_sd_hu=(low * gain, high * gain), overlapping=0.0)
    count = round(COVER_MM / FINE_MM)
    return replace(
        base, slice_mm=(FINE_MM,), slices=(count, count), shortest_mm=FINE_MM, per_slice=1, imaging=imaging
    )  # fmt: skip


def thick(fine: Case, spacing_mm: float, shift_mm: float = 0.0) -> Sample:
    """Contiguous slices of a box profile, the lowest starting ``shift_mm`` above the lowest fine slice.

    A voxel has the calcium label that most of its fine voxels with calcium have, and the anatomy of its middle.
    """
    step = fine.spacing_mm[0]
    per, first = round(spacing_mm / step), round(shift_mm / step)
    count = (fine.hu.shape[0] - first) // per
    _, rows, columns = fine.hu.shape
    used = slice(first, first + count * per)
    hu = fine.hu[used].reshape(count, per, rows, columns).mean(axis=1, dtype=np.float32)
    grid = VolumeGrid(
        shape=(count, rows, columns),
        spacing_mm=(per * step, fine.spacing_mm[1], fine.spacing_mm[2]),
        origin_lps_mm=(0.0, 0.0, (first + (per - 1) / 2) * step),
    )
    return Sample(
        volume=CtVolume(hu=np.rint(hu).astype(np.int16), grid=grid, slice_thickness_mm=per * step),
        calcium=_most_frequent(fine.calcium[used], per),
        anatomy=np.ascontiguousarray(fine.anatomy[used][per // 2 :: per]),
    )


def _most_frequent(labels: NDArray[np.uint8], per: int) -> NDArray[np.uint8]:
    """The most frequent label but 0 of every ``per`` slices; 0 where there is no other."""
    shape = (labels.shape[0] // per, *labels.shape[1:])
    where = np.nonzero(labels)
    places, member = np.unique(np.ravel_multi_index((where[0] // per, where[1], where[2]), shape), return_inverse=True)
    votes = np.zeros((len(places), 8), dtype=np.int32)
    np.add.at(votes, (member, labels[where]), 1)
    found = np.zeros(int(np.prod(shape)), dtype=np.uint8)
    found[places] = votes.argmax(axis=1)
    return found.reshape(shape)
