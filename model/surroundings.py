"""What the fine networks saw around the heart, and what can be measured in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True, kw_only=True, eq=False)  # without slots, which would leave no room for a cached property
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
        aorta = np.isin(np.arange(len(Anatomy)), _BLOOD[0])[self.anatomy]
        slices, cells = len(aorta), FIELD // _CELL
        count = aorta.reshape(slices, cells, _CELL, cells * _CELL).sum(axis=2, dtype=np.uint8)
        coarse = count.reshape(slices, cells, cells, _CELL).sum(axis=3) >= _CELL**2 / 2
        voxel_mm = np.array(self.scan.spacing_mm) * (1, _CELL, _CELL)
        return Gate.around(coarse, (1.0, float(_CELL), float(_CELL)), voxel_mm)

    @cached_property
    def blood(self) -> tuple[float | None, float | None]:
        """Median and noise (standard deviation) in HU of the blood, from the aorta first, else from the chambers."""
        for classes in _BLOOD:
            inside = np.isin(np.arange(len(Anatomy)), classes)[self.anatomy]
            pixels = np.count_nonzero(inside, axis=(1, 2))
            # only the slices with most blood are looked at closely
            likely = np.sort(np.argsort(pixels, kind="stable")[-_MAX_SLICES:])
            cores = [self._core_values(inside[k], int(k)) for k in likely if pixels[k]]
            values = [core for core in cores if core is not None]
            if values:
                return float(np.median(np.concatenate(values))), float(np.median([v.std() for v in values]))
        return None, None

    def _core_values(self, inside: NDArray[np.bool_], k: int) -> NDArray[np.float32] | None:
        """HU of the native pixels of slice ``k`` that lie in a mask (FIELD, FIELD) but 3 pixels; None if too few."""
        box = ndimage.find_objects(inside.astype(np.uint8))[0]
        core = ndimage.binary_erosion(inside[box], structure=_DISC)
        if np.count_nonzero(core) < _MIN_PIXELS:
            return None
        spans, lines = [], []
        for axis, part in enumerate(box):
            native = np.arange(self.upright.grid.shape[axis + 1])
            pixel = self.scan.pixel_of(axis, native) - self.corner[axis] - part.start
            held = np.flatnonzero((pixel >= 0) & (pixel < part.stop - part.start))
            spans.append(slice(held[0], held[-1] + 1))
            lines.append(pixel[held])
        return np.asarray(self.upright.hu[k][tuple(spans)][core[np.ix_(*lines)]], dtype=np.float32)
