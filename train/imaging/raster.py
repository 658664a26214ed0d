"""Paint layers on the fine grid of a scan's sub-slices.

Distances live on a lattice that has the sub-slices' heights but is coarse in plane; they are smooth, so they are
brought to the pixels by linear interpolation, and edges become sharp only there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from train.anatomy.frame import Frame
from train.anatomy.layers import Layer, Region

_CHUNK = 8  # sub-slices painted together: small enough for a processor's cache
_AIR_HU = -1000.0
_EDGE_MM = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelGrid:
    """The grid of a scan: slices of ``per_slice`` sub-slices, rows, columns; spacing (slice, row, column) in mm."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    per_slice: int

    def half_extent_mm(self) -> tuple[float, float, float]:
        """Distance from the centre to the outermost voxel centres along (slice, row, column)."""
        z, y, x = ((n - 1) / 2 * step for n, step in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def fine(self) -> PixelGrid:
        """The grid of the sub-slices."""
        return PixelGrid(
            shape=(self.shape[0] * self.per_slice, self.shape[1], self.shape[2]),
            spacing_mm=(self.spacing_mm[0] / self.per_slice, self.spacing_mm[1], self.spacing_mm[2]),
            per_slice=1,
        )

    def frame(self, lattice_mm: float, device: str) -> Frame:
        """The lattice for this grid: its sub-slices, and rows and columns about ``lattice_mm`` apart."""
        fine = self.fine()
        counts, steps = [fine.shape[0]], [fine.spacing_mm[0]]
        for count, step in zip(self.shape[1:], self.spacing_mm[1:], strict=True):
            extent = (count - 1) * step
            points = max(2, round(extent / lattice_mm) + 1)
            counts.append(points)
            steps.append(extent / (points - 1))
        return Frame(shape=(counts[0], counts[1], counts[2]), spacing_mm=(steps[0], steps[1], steps[2]), device=device)


class Raster:
    """Brings lattice fields to the pixels of one grid."""

    def __init__(self, frame: Frame, grid: PixelGrid) -> None:
        self._grid = grid
        self._frame = frame
        self._rows = _interpolation(grid.shape[1], frame.shape[1], frame.device)
        self._columns = _interpolation(grid.shape[2], frame.shape[2], frame.device)
        self._edge_mm = max(_EDGE_MM, min(grid.spacing_mm[1:]))

    def paint(self, layers: list[Layer]) -> Tensor:
        """HU (sub-slices, rows, columns) of all layers over air."""
        fine = self._grid.fine()
        canvas = torch.full(fine.shape, _AIR_HU, device=self._frame.device)
        for start in range(0, fine.shape[0], _CHUNK):
            part = slice(start, min(start + _CHUNK, fine.shape[0]))
            for layer in layers:
                self._paint_layer(canvas[part], layer, part)
        return canvas

    def label(self, regions: list[Region]) -> Tensor:
        """uint8 (slices, rows, columns): the last region each voxel's centre lies in."""
        labels = torch.zeros(self._grid.shape, dtype=torch.uint8, device=self._frame.device)
        for region in regions:
            distance = self.per_slice(region.distance)
            for start in range(0, self._grid.shape[0], _CHUNK):
                part = slice(start, min(start + _CHUNK, self._grid.shape[0]))
                box = _box(distance[part] < 1.0)
                if box is None:
                    continue
                inside = self.to_pixels(distance[part], box) < 0
                labels[part][:, *self._pixels(box)].masked_fill_(inside, region.label)
        return labels

    def per_slice(self, field: Tensor) -> Tensor:
        """Mean of a lattice field over each slice's sub-slices."""
        full = field.expand(self._frame.shape)
        return full.reshape(self._grid.shape[0], self._grid.per_slice, *full.shape[1:]).mean(dim=1)

    def to_pixels(self, field: Tensor, box: tuple[slice, slice] | None = None) -> Tensor:
        """Interpolate (n, lattice rows, lattice columns) to (n, rows, columns), or to the pixels of a lattice box."""
        if box is None:
            box = (slice(0, self._frame.shape[1]), slice(0, self._frame.shape[2]))
        rows, columns = self._pixels(box)
        across = field[:, box[0], box[1]] @ self._columns[columns, box[1]].T
        return self._rows[rows, box[0]] @ across

    def _paint_layer(self, canvas: Tensor, layer: Layer, part: slice) -> None:
        distance = layer.distance.expand(self._frame.shape)[part]
        if layer.band_mm is not None:
            low, high = layer.band_mm
            touched = (distance < high + 3.0) & (distance > low - 6.0)
        else:
            touched = distance < 1.0
        box = _box(touched)
        if box is None:
            return
        fine = self.to_pixels(distance, box)
        if layer.band_mm is not None:
            low, high = layer.band_mm
            fine = fine.sub_((low + high) / 2).abs_().sub_((high - low) / 2)
        cover = fine.mul_(-1 / self._edge_mm).add_(0.5).clamp_(0, 1)
        cover = cover * self._value(layer.opacity, part, box)
        target = canvas[:, *self._pixels(box)]
        target += cover * (self._value(layer.hu, part, box) - target)

    def _value(self, value: float | Tensor, part: slice, box: tuple[slice, slice]) -> float | Tensor:
        if isinstance(value, Tensor):
            return self.to_pixels(value.expand(self._frame.shape)[part], box)
        return value

    def _pixels(self, box: tuple[slice, slice]) -> tuple[slice, slice]:
        """Pixels whose interpolation needs no lattice point outside the box."""
        ranges = []
        for span, count, lattice in zip(box, self._grid.shape[1:], self._frame.shape[1:], strict=True):
            first = -(-span.start * (count - 1) // (lattice - 1))  # in whole numbers: the last pixel must not be lost
            last = (span.stop - 1) * (count - 1) // (lattice - 1)
            ranges.append(slice(first, min(last, count - 1) + 1))
        return ranges[0], ranges[1]


def _box(mask: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns (at least two of each) that hold all of a mask (n, rows, columns), one lattice point wider."""
    flat = mask.any(dim=0)
    spans = []
    for dim in (1, 0):
        hits = torch.nonzero(flat.any(dim=dim)).flatten()
        if len(hits) == 0:
            return None
        first, last = max(int(hits[0]) - 1, 0), min(int(hits[-1]) + 2, flat.shape[1 - dim])
        spans.append(slice(first, last))
    return spans[0], spans[1]


def _interpolation(count: int, lattice: int, device: str) -> Tensor:
    """(count, lattice) matrix of linear interpolation; both ends coincide."""
    place = torch.arange(count, dtype=torch.float64) * (lattice - 1) / (count - 1)
    left = place.floor().clamp(max=lattice - 2).long()
    weight = (place - left).float()
    matrix = torch.zeros(count, lattice)
    rows = torch.arange(count)
    matrix[rows, left] = 1 - weight
    matrix[rows, left + 1] += weight
    return matrix.to(device)
