"""Connected components of sparse voxels, by runs along the image row.

A scan of 12 million voxels holds a few thousand that are calcium. So nothing here walks the volume: voxels are a list,
neighbours along the row form a run, and runs of neighbouring rows or slices that touch are joined in one sparse graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voxels:
    """A list of voxels, sorted by label and then by slice, row and column.

    Attributes
    ----------
    label
        uint8 (n,). Voxels of different labels are never neighbours.
    index
        int64 (3, n): slice, row and column in the whole volume.
    hu
        (n,) in the volume's own type.
    shape
        Slices, rows and columns of the whole volume.

    """

    label: NDArray[np.uint8]
    index: Index
    hu: NDArray[Any]
    shape: tuple[int, int, int]

    def where(self, chosen: NDArray[np.bool_]) -> Voxels:
        """Only the voxels chosen by a bool array (n,)."""
        return Voxels(label=self.label[chosen], index=self.index[:, chosen], hu=self.hu[chosen], shape=self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Unbroken stretches of voxels of one label in one image row.

    Attributes
    ----------
    first
        Where each run begins in the list of voxels (m,).
    length
        Voxels in each run (m,).
    key
        Place of the run's first voxel in a volume with one empty row, column and slice at the end of each axis, so that
        a step never lands on the far side (m,), ascending.
    steps
        What one row and one slice add to the key.

    """

    first: Index
    length: Index
    key: Index
    steps: tuple[int, int]

    @classmethod
    def of(cls, voxels: Voxels) -> Runs:
        """Join neighbours along the row."""
        slices, rows, columns = (n + 1 for n in voxels.shape)
        z, y, x = voxels.index
        key = ((voxels.label.astype(np.int64) * slices + z) * rows + y) * columns + x
        opens = np.ones(key.size, dtype=np.bool_)
        np.not_equal(np.diff(key), 1, out=opens[1:])
        first = np.flatnonzero(opens)
        length = np.diff(first, append=key.size)
        return cls(first=first, length=length, key=key[first], steps=(columns, rows * columns))

    def in_slice(self, connectivity: int) -> Index:
        """Number of the 2D component (4- or 8-connected) of each run, counted from 0 in order of appearance."""
        return _number(self.key.size, [self._touching(self.steps[0], reach=1 if connectivity == 8 else 0)])

    def in_volume(self) -> Index:
        """Number of the 3D 6-connected component of each run, counted from 0 in order of appearance."""
        return _number(self.key.size, [self._touching(step, reach=0) for step in self.steps])

    def between_slices(self) -> tuple[Index, Index]:
        """Pairs of runs that touch in neighbouring slices, corners along the row included."""
        return self._touching(self.steps[1], reach=1)

    def peak(self, values: NDArray[Any]) -> NDArray[Any]:
        """Highest of the voxels' values (n,) in each run (m,)."""
        return np.asarray(np.maximum.reduceat(values, self.first)) if self.first.size else values[:0]

    def _touching(self, step: int, *, reach: int) -> tuple[Index, Index]:
        """Pairs of runs that overlap when the first is moved by one step and widened by ``reach`` on both sides."""
        last = self.key + self.length - 1
        low = np.searchsorted(last, self.key + (step - reach), side="left")
        high = np.searchsorted(self.key, last + (step + reach), side="right")
        count = high - low
        mine = np.repeat(np.arange(count.size), count)
        nth = np.arange(mine.size) - np.repeat(np.cumsum(count) - count, count)
        return mine, low[mine] + nth


def _number(nodes: int, pairs: list[tuple[Index, Index]]) -> Index:
    """Component of each node of an undirected graph, numbered in order of appearance."""
    if not nodes:
        return np.zeros(0, dtype=np.int64)
    ends = np.concatenate([np.stack(pair) for pair in pairs], axis=1)
    graph = coo_array((np.ones(ends.shape[1], dtype=np.bool_), (ends[0], ends[1])), shape=(nodes, nodes))
    _, found = connected_components(graph, directed=False)
    # scipy does not promise an order of its numbers; reports need one
    _, seen, inverse = np.unique(found, return_index=True, return_inverse=True)
    rank = np.empty(seen.size, dtype=np.int64)
    rank[np.argsort(seen)] = np.arange(seen.size)
    return np.asarray(rank[inverse])


def labelled_voxels(labels: NDArray[np.uint8], hu: NDArray[Any], floor_hu: float) -> Voxels:
    """Every labelled voxel of at least ``floor_hu``; only the box around the labels is looked at."""
    flat = labels.max(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    if not rows.size:
        return _gather(labels, hu, np.zeros((3, 0), dtype=np.int64))
    corner = np.array([[0], [rows[0]], [columns[0]]])
    box = labels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    index = _places(box != 0) + corner
    found = _gather(labels, hu, index)
    found = found.where(found.hu >= floor_hu)
    order = np.argsort(found.label, kind="stable")
    return Voxels(label=found.label[order], index=found.index[:, order], hu=found.hu[order], shape=found.shape)


def bright_voxels(hu: NDArray[Any], floor_hu: float) -> Voxels:
    """Every voxel of at least ``floor_hu``, all under label 0."""
    # an integer limit keeps int16 volumes from being compared as float64
    limit = int(np.ceil(floor_hu)) if hu.dtype.kind == "i" else floor_hu
    index = _places(hu >= limit)
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    return Voxels(label=np.zeros(index.shape[1], dtype=np.uint8), index=index, hu=hu[tuple(index)], shape=shape)


def _places(chosen: NDArray[np.bool_]) -> Index:
    return np.stack(np.unravel_index(np.flatnonzero(chosen), chosen.shape)).astype(np.int64, copy=False)


def _gather(labels: NDArray[np.uint8], hu: NDArray[Any], index: Index) -> Voxels:
    at = tuple(index)
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    return Voxels(label=labels[at], index=index, hu=hu[at], shape=shape)
