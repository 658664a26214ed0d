"""What the fine networks saw around the heart, and what can be measured in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.heart import Gate
from model.labels import Anatomy
from model.preprocess import FIELD, Millimetre, Upright

_CELL: Final = 4  # pixels; the aorta's margin needs no finer grid
_BLOOD: Final = (
    (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA),
    (Anatomy.LEFT_VENTRICLE, Anatomy.RIGHT_VENTRICLE, Anatomy.LEFT_ATRIUM, Anatomy.RIGHT_ATRIUM),
)
_MAX_SLICES: Final = 12
_MIN_PIXELS: Final = 60
_EROSION: Final = 3
_DISC: Final = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), _EROSION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What the fine networks saw around the heart.

    Attributes
    ----------
    anatomy
        uint8 :class:`model.labels.Anatomy` (slices, FIELD, FIELD); 0 in slices far from the heart. Slices between two
        that were labelled may hold the anatomy of the nearer one.
    corner
        Row and column of its first pixel in the millimetre grid.

    """

    upright: Upright
    scan: Millimetre
    anatomy: NDArray[np.uint8]
    corner: tuple[int, int]

    def aorta_gate(self) -> Gate:
        """The aorta and its margin, for places of the field."""
        aorta = np.isin(self.anatomy, (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA))
        slices, cells = len(aorta), FIELD // _CELL
        coarse = aorta.reshape(slices, cells, _CELL, cells, _CELL).mean(axis=(2, 4)) >= 0.5
        voxel_mm = np.array(self.scan.spacing_mm) * (1, _CELL, _CELL)
        return Gate.around(coarse, (1.0, float(_CELL), float(_CELL)), voxel_mm)

    def blood(self) -> tuple[float | None, float | None]:
        """Median and noise (standard deviation) in HU of the blood, from the aorta first, else from the chambers."""
        for classes in _BLOOD:
            inside = np.isin(self.anatomy, classes)
            pixels = inside.sum(axis=(1, 2))
            # the slices with most blood, so that the rim is taken off few of them
            likely = np.sort(np.argsort(pixels, kind="stable")[-2 * _MAX_SLICES :])
            cores = {int(k): ndimage.binary_erosion(inside[k], structure=_DISC) for k in likely if pixels[k]}
            sizes = {k: int(core.sum()) for k, core in cores.items()}
            best = sorted(sorted(sizes, key=lambda k: (sizes[k], k))[-_MAX_SLICES:])
            values = [self._native_values(cores[k], k) for k in best if sizes[k] >= _MIN_PIXELS]
            if values:
                return float(np.median(np.concatenate(values))), float(np.median([v.std() for v in values]))
        return None, None

    def _native_values(self, inside: NDArray[np.bool_], k: int) -> NDArray[np.float32]:
        """HU of the native pixels of slice ``k`` that lie in a mask (FIELD, FIELD)."""
        _, rows, columns = self.upright.grid.shape
        row = self.scan.pixel_of(0, np.arange(rows)) - self.corner[0]
        column = self.scan.pixel_of(1, np.arange(columns)) - self.corner[1]
        size = inside.shape[1]
        chosen = inside[np.ix_(np.clip(row, 0, size - 1), np.clip(column, 0, size - 1))]
        chosen &= ((row >= 0) & (row < size))[:, None] & ((column >= 0) & (column < size))[None]
        return np.asarray(self.upright.hu[k][chosen], dtype=np.float32)
