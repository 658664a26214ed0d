"""From a scan to the networks' inputs and back.

Volumes are turned to one orientation first (slices towards the head, rows towards the back, columns towards the left of
the patient), so prone, feet-first and reversed stacks look alike. Only axial stacks are accepted: the vessels' names
depend on left and right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.network import CONTEXT_SLICES
from model.volume import CtVolume, Vector, VolumeGrid

AIR_HU: Final = -1024.0
COARSE_MM: Final = 4.0
FIELD: Final = 192
"""Side of the fine network's square field, in pixels of about 1 mm."""
CONTEXT_MM: Final = 3.0
"""Distance between the slices that the fine network sees together."""
POSITION_MM: Final = 80.0
"""Distance from the heart's centre at which a position channel is 1."""

_CHUNK: Final = 4
_MAX_TILT_COSINE: Final = float(np.cos(np.deg2rad(12.0)))


class OrientationError(ValueError):
    """The stack is not axial, or too oblique to name vessels in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upright:
    """A scan whose slices run to the head, rows to the back and columns to the patient's left.

    Attributes
    ----------
    hu
        A view of the volume's own voxels.
    grid
        Where that view lies.
    order, flipped
        Which native axis each axis comes from, and whether it runs the other way.

    """

    hu: NDArray[Any]
    grid: VolumeGrid
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of(cls, volume: CtVolume) -> Self:
        """Turn a volume upright; raises :class:`OrientationError` unless it is an axial stack within 12 degrees."""
        axes = volume.grid.axes()
        along = np.abs(axes).argmax(axis=1)
        if along[0] != 2 or sorted(along.tolist()) != [0, 1, 2] or np.abs(axes).max(axis=1).min() < _MAX_TILT_COSINE:
            raise OrientationError(f"only axial stacks can be read; the axes run along {axes.round(2).tolist()} (LPS)")
        row = int(np.flatnonzero(along == 1)[0])
        order = (0, row, 3 - row)
        flipped = tuple(bool(axes[native, along[native]] < 0) for native in order)
        shape = volume.grid.shape
        corner = np.zeros(3)
        for native, turned in zip(order, flipped, strict=True):
            corner[native] = shape[native] - 1 if turned else 0
        origin = volume.grid.to_lps(corner).tolist()
        signs = [-1.0 if turned else 1.0 for turned in flipped]
        directions = [_vector(axes[native] * sign) for native, sign in zip(order, signs, strict=True)]
        spacing = [volume.grid.spacing_mm[native] for native in order]
        grid = VolumeGrid(
            shape=(shape[order[0]], shape[order[1]], shape[order[2]]),
            spacing_mm=(spacing[0], spacing[1], spacing[2]),
            origin_lps_mm=(origin[0], origin[1], origin[2]),
            directions=(directions[0], directions[1], directions[2]),
        )
        turns = (flipped[0], flipped[1], flipped[2])
        return cls(hu=_turn(volume.hu.transpose(order), turns), grid=grid, order=order, flipped=turns)

    def native_index(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices (3, n) of this grid as indices (3, n) of the original volume."""
        native = np.empty_like(index)
        for axis, (source, turned) in enumerate(zip(self.order, self.flipped, strict=True)):
            native[source] = self.grid.shape[axis] - 1 - index[axis] if turned else index[axis]
        return native


def _turn(values: NDArray[Any], flipped: tuple[bool, bool, bool]) -> NDArray[Any]:
    return values[tuple(slice(None, None, -1 if turned else 1) for turned in flipped)]


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Millimetre:
    """A scan resampled in the slice to pixels of about 1 mm; slices stay as they are.

    Attributes
    ----------
    hu
        float32 (slices, rows, columns) on the device of the networks.
    spacing_mm
        (slice, row, column); rows and columns within half a pixel of 1 mm.
    scale
        Native pixels per pixel, along rows and columns.

    """

    hu: Tensor
    spacing_mm: Vector
    scale: tuple[float, float]

    @classmethod
    def of(cls, upright: Upright, device: torch.device) -> Self:
        """Resample with antialiasing."""
        _, rows, columns = upright.grid.shape
        spacing = upright.grid.spacing_mm
        size = (max(1, round(rows * spacing[1])), max(1, round(columns * spacing[2])))
        hu = torch.empty((upright.grid.shape[0], *size), device=device)
        # few slices at a time, which stay in the cache as floats
        for first in range(0, hu.shape[0], _CHUNK):
            # a copy in any case: torch wants neither reversed nor read-only arrays
            native = torch.from_numpy(np.array(upright.hu[first : first + _CHUNK], dtype=np.float32)).to(device)
            small = F.interpolate(native[:, None], size=size, mode="bilinear", antialias=True, align_corners=False)
            hu[first : first + _CHUNK] = small[:, 0]
        scale = (rows / size[0], columns / size[1])
        return cls(hu=hu, spacing_mm=(spacing[0], spacing[1] * scale[0], spacing[2] * scale[1]), scale=scale)

    def to_native(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fractional (slice, row, column) of the upright grid for fractional places (..., 3) in this one."""
        factor = np.array([1.0, *self.scale])
        return np.asarray((place + 0.5) * factor - 0.5)

    def pixel_of(self, axis: int, native: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pixel of this grid that holds each native row (axis 0) or column (axis 1)."""
        return np.asarray(((native + 0.5) / self.scale[axis]).astype(np.int64))


def coarse_input(hu: Tensor, spacing_mm: Vector, multiple: int) -> tuple[Tensor, tuple[float, float, float]]:
    """Whole scan at about 4 mm, padded with air at the far ends to a multiple the network accepts.

    Parameters
    ----------
    hu
        float (slices, rows, columns).
    spacing_mm
        Its spacing.
    multiple
        Sizes are rounded up to multiples of this.

    Returns
    -------
    Input (1, 1, slices, rows, columns) in units of 500 HU, and how many voxels of ``hu`` one voxel of it spans along
    each axis (voxel i of the input is centred at ``(i + 0.5) * span - 0.5``).

    """
    whole = hu[None, None]
    size = [max(1, round(n * mm / COARSE_MM)) for n, mm in zip(hu.shape, spacing_mm, strict=True)]
    span = (hu.shape[0] / size[0], hu.shape[1] / size[1], hu.shape[2] / size[2])
    small = F.interpolate(whole, size=tuple(size), mode="area")
    pad = [extra for n in reversed(size) for extra in (0, -n % multiple)]
    padded = F.pad(small.clamp(-1000.0, 1000.0), pad, value=-1000.0)
    return padded / 500.0, span


def fine_input(slices: Tensor, offset_mm: Tensor, threshold_hu: float) -> Tensor:
    """Input of the fine network for a batch of slices.

    Parameters
    ----------
    slices
        HU (batch, 2 * CONTEXT_SLICES + 1, rows, columns) at about 1 mm, the slice to label in the middle.
    offset_mm
        (batch, 3, rows, columns) position (x, y, z) from the heart's centre.
    threshold_hu
        From where on a voxel is a candidate.

    Returns
    -------
    (batch, FINE_CHANNELS, rows, columns), channels last.

    """
    middle = slices[:, CONTEXT_SLICES : CONTEXT_SLICES + 1]
    candidate = (middle >= threshold_hu).to(slices.dtype)
    joined = torch.cat([tissue(slices), candidate, offset_mm.to(slices.dtype) / POSITION_MM], dim=1)
    return joined.contiguous(memory_format=torch.channels_last)


def tissue(hu: Tensor) -> Tensor:
    """HU as the fine network sees it."""
    return (hu.clamp(-400.0, 900.0) + 50.0) / 250.0


def offsets_mm(centre: Tensor, heights_mm: Tensor, size: int = FIELD, pixel_mm: float = 1.0) -> Tensor:
    """Position (batch, 3, size, size) of every pixel from a centre.

    Parameters
    ----------
    centre
        (batch, 2) column and row of the heart's centre in the field.
    heights_mm
        (batch,) height of each slice above the heart's centre.

    """
    line = torch.arange(size, device=centre.device, dtype=torch.float32)
    batch = centre.shape[0]
    across = (line[None] - centre[:, :1]) * pixel_mm
    down = (line[None] - centre[:, 1:]) * pixel_mm
    return torch.stack(
        [
            across[:, None, :].expand(batch, size, size),
            down[:, :, None].expand(batch, size, size),
            heights_mm[:, None, None].expand(batch, size, size),
        ],
        dim=1,
    )


def context_slices(middle: int, count: int, spacing_mm: float) -> list[int]:
    """Indices of the slices the fine network sees for one slice: every 3 mm or nearest to it, the end ones repeated."""
    steps = range(-CONTEXT_SLICES, CONTEXT_SLICES + 1)
    return [min(max(middle + round(step * CONTEXT_MM / spacing_mm), 0), count - 1) for step in steps]


def crop(hu: Tensor, corner: tuple[int, int], size: int = FIELD) -> Tensor:
    """Square field (slices, size, size) whose first pixel is at ``corner`` (row, column); air outside the scan."""
    _, rows, columns = hu.shape
    top, left = corner
    inside = hu[:, max(0, top) : max(0, min(rows, top + size)), max(0, left) : max(0, min(columns, left + size))]
    before = (max(0, -left), max(0, -top))
    after = (size - before[0] - inside.shape[2], size - before[1] - inside.shape[1])
    return F.pad(inside, [before[0], after[0], before[1], after[1]], value=AIR_HU)
