"""The bright components of the field around the heart, as lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from model.components import Voxels, bright_voxels
from model.definition import AGATSTON_SLICE_MM, Definition
from model.heart import Gate
from model.labels import Anatomy
from model.measurement import Components, weights
from model.preprocess import FIELD
from model.surroundings import Surroundings
from model.touching import lesion_of

_BONY: Final = 0.5
BONE_MM2: Final = 100.0
"""A component of at least this area, half of it in bone, is bone; smaller ones lie where aorta and spine touch."""
LARGEST_MM2: Final = 1000.0
"""No calcium of a vessel is larger in one slice: the largest of 1,396 in phantoms has 121 mm2, a vertebra 1,500."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spots:
    """Every 2D component at the threshold that the area rule keeps, in order of slice, row and column.

    Attributes
    ----------
    voxels
        Their voxels, component after component.
    pixel
        int64 (3, n): pixel (slice, row, column) of the field that holds each voxel.
    component
        int64 (n,) number of each voxel's component, from 0, ascending.
    starts
        int64 (count,) first voxel of each component.
    area_mm2, peak_hu
        float64 (count,).
    touching
        int64 (2, m): pairs of components that touch in neighbouring slices.
    middle
        float64 (count, 3): mean pixel of each component, in the field.

    """

    voxels: Voxels
    pixel: NDArray[np.int64]
    component: NDArray[np.int64]
    starts: NDArray[np.int64]
    area_mm2: NDArray[np.float64]
    peak_hu: NDArray[np.float64]
    touching: NDArray[np.int64]
    middle: NDArray[np.float64]

    @classmethod
    def of(cls, around: Surroundings, definition: Definition) -> Self:
        """Find them; the anatomy of ``around`` is not looked at."""
        voxels, pixel = _bright(around, definition)
        grid = around.upright.grid
        parts = Components.of(voxels, grid, definition)
        new = np.cumsum(parts.kept) - 1
        ends = np.unique(np.stack([parts.number[run] for run in parts.runs.between_slices()]), axis=1)
        ends = new[ends[:, parts.kept[ends].all(axis=0)]]
        kept, component = _in_order(parts, new)
        count = int(parts.kept.sum())
        starts = np.searchsorted(component, np.arange(count))
        sizes = np.maximum(np.bincount(component, minlength=count), 1)
        chosen = pixel[:, kept]
        return cls(
            voxels=Voxels(
                label=voxels.label[kept], index=voxels.index[:, kept], hu=voxels.hu[kept], shape=voxels.shape
            ),
            pixel=chosen,
            component=component,
            starts=starts,
            area_mm2=np.asarray(parts.pixels[parts.kept] * grid.pixel_area_mm2, dtype=np.float64),
            peak_hu=parts.peak_hu[parts.kept],
            touching=ends,
            middle=np.stack([np.bincount(component, axis, minlength=count) / sizes for axis in chosen], axis=1),
        )

    @property
    def count(self) -> int:
        """Number of components."""
        return self.area_mm2.size

    @property
    def slice(self) -> NDArray[np.int64]:
        """Slice (count,) of each component."""
        return np.asarray(self.pixel[0, self.starts])

    @property
    def things(self) -> int:
        """How many there are if components that touch in neighbouring slices are counted as one."""
        return np.unique(lesion_of(self.touching, self.count)).size

    def where(self, chosen: NDArray[np.bool_]) -> Spots:
        """Only the components chosen by a bool array (count,), numbered anew."""
        new = np.cumsum(chosen) - 1
        mine = chosen[self.component]
        component = new[self.component[mine]]
        return Spots(
            voxels=self.voxels.where(mine),
            pixel=self.pixel[:, mine],
            component=component,
            starts=np.searchsorted(component, np.arange(int(chosen.sum()))),
            area_mm2=self.area_mm2[chosen],
            peak_hu=self.peak_hu[chosen],
            touching=new[self.touching[:, chosen[self.touching].all(axis=0)]],
            middle=self.middle[chosen],
        )

    def bones(self, anatomy: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether each component is bone by its size (count,), whatever a judge thinks of it.

        Parameters
        ----------
        anatomy
            uint8 (slices, FIELD, FIELD) of :class:`model.labels.Anatomy`.

        """
        inside = np.bincount(self.component, anatomy[tuple(self.pixel)] == Anatomy.BONE, minlength=self.count)
        bony = inside >= _BONY * np.bincount(self.component, minlength=self.count)
        return np.asarray((bony & (self.area_mm2 >= BONE_MM2)) | (self.area_mm2 > LARGEST_MM2))

    def at_heart(self, gate: Gate, corner: tuple[int, int]) -> NDArray[np.bool_]:
        """Whether each component's middle lies in a gate of the millimetre grid (count,)."""
        return gate.holds(self.middle + np.array([0, *corner]))


def _in_order(parts: Components, new: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels of the components that are kept, component after component, and the new number of each one's."""
    run = np.flatnonzero(parts.kept[parts.number])
    run = run[np.argsort(parts.number[run], kind="stable")]
    length = parts.runs.length[run]
    begins = np.cumsum(length) - length
    voxel = np.repeat(parts.runs.first[run] - begins, length) + np.arange(int(length.sum()))
    return voxel, np.repeat(new[parts.number[run]], length)


def points(
    pixels: NDArray[np.int64], peak_hu: NDArray[np.float64], around: Surroundings, definition: Definition
) -> NDArray[np.float64]:
    """Agatston scores of single components by size and peak."""
    grid = around.upright.grid
    slab = grid.slice_spacing_mm / AGATSTON_SLICE_MM
    return np.asarray(pixels * grid.pixel_area_mm2 * weights(peak_hu, definition) * slab)


def _bright(around: Surroundings, definition: Definition) -> tuple[Voxels, NDArray[np.int64]]:
    """Every voxel of the field at the threshold, and its pixel (slice, row, column) in the field."""
    upright, scan = around.upright, around.scan
    spans = []
    for axis in (0, 1):
        native = np.arange(upright.grid.shape[axis + 1])
        pixel = scan.pixel_of(axis, native) - around.corner[axis]
        inside = np.flatnonzero((pixel >= 0) & (pixel < FIELD))
        spans.append((inside[0], inside[-1] + 1, pixel))
    (top, bottom, row_of), (left, right, column_of) = spans
    found = bright_voxels(upright.hu[:, top:bottom, left:right], definition.threshold_hu)
    index = found.index + np.array([[0], [top], [left]])
    voxels = Voxels(label=found.label, index=index, hu=found.hu, shape=upright.grid.shape)
    return voxels, np.stack([index[0], row_of[index[1]], column_of[index[2]]])
