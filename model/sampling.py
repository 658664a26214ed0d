"""Which slices are worth labelling.

A network's time goes with the slices it labels. Slices every 9 mm tell where the heart, the aorta and the bones are;
between them only slices matter that hold a bright component which could be calcium of a vessel by its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Anatomy
from model.preprocess import FIELD
from model.spots import Spots

STEP_MM: Final = 9.0

_CELL: Final = 4
_REACH_CELLS: Final = 2  # 8 mm around heart, aorta and pulmonary artery
_BONY: Final = 0.8
_CORE: Final = np.isin(
    np.arange(len(Anatomy)),
    (
        Anatomy.LEFT_VENTRICLE,
        Anatomy.RIGHT_VENTRICLE,
        Anatomy.LEFT_ATRIUM,
        Anatomy.RIGHT_ATRIUM,
        Anatomy.EPICARDIAL,
        Anatomy.ASCENDING_AORTA,
        Anatomy.DESCENDING_AORTA,
        Anatomy.PULMONARY_ARTERY,
    ),
)


def landmarks(slices: Sequence[int], spacing_mm: float) -> list[int]:
    """Every so many of some neighbouring slices, both ends included."""
    step = max(1, int(STEP_MM / spacing_mm + 1e-6))
    chosen = list(slices[::step])
    return chosen if not chosen or chosen[-1] == slices[-1] else [*chosen, slices[-1]]


def spread(anatomy: NDArray[np.uint8], labelled: Sequence[int], slices: Sequence[int]) -> None:
    """Give every one of some slices that was not labelled the anatomy of the nearest that was (the lower of two)."""
    known = np.array(labelled)
    for k in sorted(set(slices) - set(labelled)):
        anatomy[k] = anatomy[known[np.abs(known - k).argmin()]]


def between(
    spots: Spots, near: NDArray[np.bool_], anatomy: NDArray[np.uint8], labelled: Sequence[int], slices: Sequence[int]
) -> list[int]:
    """Those of some slices, none of them labelled yet, that hold a component which could be calcium by its place.

    Parameters
    ----------
    near
        bool (count,): whether a component lies in reach of heart or aorta at all.
    anatomy
        uint8 (slices, FIELD, FIELD), known in the labelled slices.
    labelled
        Ascending; the other slices lie between two of them.

    """
    known, place = np.array(labelled), spots.slice
    asked = near & np.isin(place, slices) & ~np.isin(place, known)
    if not asked.any():
        return []
    mine = np.flatnonzero(asked[spots.component])
    component = spots.component[mine]
    k, row, column = spots.pixel[:, mine]
    after = np.searchsorted(known, k)
    core = _core(anatomy[known])
    close = np.zeros(spots.count, dtype=np.bool_)
    bone = np.ones(mine.size, dtype=np.bool_)
    for side in (after - 1, after):
        close[component[core[side, row // _CELL, column // _CELL]]] = True
        bone &= anatomy[known[side], row, column] == Anatomy.BONE
    size = np.maximum(np.bincount(component, minlength=spots.count), 1)
    bony = np.bincount(component, bone, minlength=spots.count) / size >= _BONY
    return [int(n) for n in np.unique(place[asked & close & ~bony])]


def _core(anatomy: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Heart and great vessels with a margin of 8 mm, in cells of 4 pixels."""
    cells = FIELD // _CELL
    rows = _CORE[anatomy].reshape(len(anatomy), cells, _CELL, FIELD).any(axis=2)
    core = rows.reshape(len(anatomy), cells, cells, _CELL).any(axis=3)
    wide = np.ones((1, 2 * _REACH_CELLS + 1, 2 * _REACH_CELLS + 1), dtype=np.bool_)
    return np.asarray(ndimage.binary_dilation(core, structure=wide))
