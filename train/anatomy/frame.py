"""The lattice anatomy is computed on: sub-slices of the scan, coarse in plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A lattice centred on the field of view; axes (z up, y to posterior, x to the patient's left), mm.

    Attributes
    ----------
    shape
        Sub-slices, rows, columns. The sub-slices are those the scan is made from; rows and columns span the field of
        view from the first to the last pixel centre.
    spacing_mm
        Between lattice points along (z, y, x).

    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    device: str = "cpu"

    def axis(self, k: int) -> Tensor:
        """Coordinates (mm) along axis ``k``, shaped to broadcast."""
        count = self.shape[k]
        values = (torch.arange(count, dtype=torch.float32, device=self.device) - (count - 1) / 2) * self.spacing_mm[k]
        return values.reshape([-1 if k == axis else 1 for axis in range(3)])

    def coordinates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Z (n, 1, 1), y (1, m, 1) and x (1, 1, p) in mm."""
        return self.axis(0), self.axis(1), self.axis(2)

    def half_extent_mm(self) -> Array:
        """Distance from the centre to the outermost lattice points along (z, y, x)."""
        return np.asarray((np.asarray(self.shape) - 1) / 2 * np.asarray(self.spacing_mm))

    def index(self, points: Array) -> Array:
        """Fractional lattice indices (..., 3) of points (..., 3) in mm."""
        return np.asarray((points + self.half_extent_mm()) / np.asarray(self.spacing_mm))

    def position(self, index: NDArray[np.integer] | Array) -> Array:
        """Points (..., 3) in mm of lattice indices (..., 3)."""
        return np.asarray(index * np.asarray(self.spacing_mm) - self.half_extent_mm())

    def sample(self, field: Tensor, points: Array) -> Array:
        """Trilinear values (n,) of a lattice field at points (n, 3); the border's value beyond the lattice."""
        values = field.expand(self.shape).cpu().numpy()
        return np.asarray(ndimage.map_coordinates(values, self.index(points).T, order=1, mode="nearest"))


def smooth_noise(rng: np.random.Generator, frame: Frame, cell_mm: float, flat: str = "") -> Tensor:
    """Smooth random field on the lattice, standard deviation about 1, correlated over about ``cell_mm``.

    ``flat`` names the axes (of "zyx") along which the field does not change.
    """
    extent = 2 * frame.half_extent_mm() + np.asarray(frame.spacing_mm)
    cells = [
        1 if name in flat else max(3, int(np.ceil(e / cell_mm)) + 1) for name, e in zip("zyx", extent, strict=True)
    ]
    shape = [1 if name in flat else n for name, n in zip("zyx", frame.shape, strict=True)]
    knots = torch.from_numpy(rng.standard_normal(cells).astype(np.float32)).to(frame.device)[None, None]
    finer = [1 if cell == 1 else 2 * cell for cell in cells]
    field = F.interpolate(knots, size=finer, mode="trilinear", align_corners=True)
    kernel = [1 if cell == 1 else 3 for cell in cells]
    pad = [0 if cell == 1 else 1 for cell in reversed(cells) for _ in range(2)]
    field = F.avg_pool3d(F.pad(field, pad, mode="replicate"), kernel, stride=1)
    field = F.interpolate(field, size=shape, mode="trilinear", align_corners=True)[0, 0]
    gain = 1.55 ** (3 - len(flat))  # what interpolation and averaging take from the standard deviation of the knots
    return field * gain


def smooth_union(frame: Frame, distances: list[Tensor], width_mm: float) -> Tensor:
    """Union of signed distances with rounded inner corners."""
    stacked = torch.stack([distance.expand(frame.shape) for distance in distances])
    return -width_mm * torch.logsumexp(-stacked / width_mm, dim=0)


def tube(frame: Frame, points: Array, radii: Array, reach_mm: float = 8.0) -> Tensor:
    """Signed distance to a tube through ``points`` (n, 3) with ``radii`` (n,); correct up to ``reach_mm`` from it."""
    field = torch.full(frame.shape, 60.0, device=frame.device)
    z, y, x = frame.coordinates()
    for point, radius in zip(points, radii, strict=True):
        low = np.maximum(np.ceil(frame.index(point - radius - reach_mm)), 0).astype(int)
        high = np.minimum(np.floor(frame.index(point + radius + reach_mm)) + 1, frame.shape).astype(int)
        if (low >= high).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        dz, dy, dx = z[box[0]] - point[0], y[:, box[1]] - point[1], x[:, :, box[2]] - point[2]
        distance = torch.sqrt(dz**2 + dy**2 + dx**2) - radius
        field[box] = torch.minimum(field[box], distance)
    return field


def resample(points: Array, step_mm: float) -> Array:
    """Points (n, 3) at even steps along a polyline."""
    travelled = arc_length(points)
    count = max(2, int(np.ceil(travelled[-1] / step_mm)) + 1)
    even = np.linspace(0, travelled[-1], count)
    return np.stack([np.interp(even, travelled, points[:, k]) for k in range(3)], axis=1)


def arc_length(points: Array) -> Array:
    """Distance (n,) travelled along a polyline up to each of its points."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
