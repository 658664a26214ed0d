"""How anatomy is handed to the renderer: layers painted in order, and balls of tissue or calcium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from train.anatomy.frame import Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One tissue: painted where ``distance`` (mm, on the lattice) is negative, over what was painted before.

    Attributes
    ----------
    hu
        Hounsfield units, one value or a lattice field.
    band_mm
        (low, high): paint only where the distance lies between these, e.g. (-1.5, 0) for a cortex.
    opacity
        0..1, one value or a lattice field: how much of the old stays visible.

    """

    distance: Tensor
    hu: float | Tensor
    band_mm: tuple[float, float] | None = None
    opacity: float | Tensor = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """Voxels of one label: where ``distance`` is negative, over earlier regions."""

    distance: Tensor
    label: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balls:
    """A union of balls, case mm (z, y, x).

    Attributes
    ----------
    centres
        (n, 3).
    radius_mm
        (n,).
    hu
        (n,): HU of tissue, or HU added to what lies there for calcium and metal.
    label
        uint8 (n,): value in ``Case.calcium``; 0 for tissue.
    motion_mm
        (n, 3): how far the ball travels during the gantry's half turn.

    """

    centres: Array
    radius_mm: Array
    hu: Array
    label: NDArray[np.uint8]
    motion_mm: Array

    def chosen(self, which: NDArray[np.bool_]) -> Balls:
        """Those balls for which ``which`` (n,) holds."""
        return Balls(
            centres=self.centres[which],
            radius_mm=self.radius_mm[which],
            hu=self.hu[which],
            label=self.label[which],
            motion_mm=self.motion_mm[which],
        )


def balls(
    centres: Array, radius_mm: Array | float, hu: Array | float, label: int = 0, motion: Array | None = None
) -> Balls:
    """Balls with shared values spread out over all centres."""
    centres = np.atleast_2d(np.asarray(centres, dtype=np.float64)).reshape(-1, 3)
    count = len(centres)
    return Balls(
        centres=centres,
        radius_mm=np.broadcast_to(np.asarray(radius_mm, dtype=np.float64), (count,)).copy(),
        hu=np.broadcast_to(np.asarray(hu, dtype=np.float64), (count,)).copy(),
        label=np.full(count, label, dtype=np.uint8),
        motion_mm=np.broadcast_to(np.zeros(3) if motion is None else motion, (count, 3)).copy(),
    )


def joined(parts: list[Balls]) -> Balls:
    """All balls of several unions."""
    if not parts:
        return balls(np.empty((0, 3)), 0.0, 0.0)
    return Balls(
        centres=np.concatenate([part.centres for part in parts]),
        radius_mm=np.concatenate([part.radius_mm for part in parts]),
        hu=np.concatenate([part.hu for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        motion_mm=np.concatenate([part.motion_mm for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Everything the scanner sees, and what it is."""

    layers: list[Layer]
    regions: list[Region]
    tissue: Balls
    calcium: Balls
