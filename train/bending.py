"""Where the pixels of a bent field come from in a prepared case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model.network import CONTEXT_SLICES
from model.preprocess import AIR_HU, FIELD, context_slices
from train.cohort import Prepared
from train.config import Augmentation

_KNOTS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bend:
    """A way to look at a slice: turned, scaled, shifted and warped.

    Attributes
    ----------
    matrix
        2 x 2 map from field offsets to case offsets (x, y).
    shift
        Offset (x, y) of the field's middle from the heart's centre, in case pixels.
    warp
        Displacement (FIELD, FIELD, 2) in case pixels (x, y), or None.

    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    warp: NDArray[np.float32] | None

    @classmethod
    def draw(cls, rng: Generator, plan: Augmentation) -> Self:
        """Draw one."""
        angle = np.deg2rad(rng.uniform(-plan.rotation_deg, plan.rotation_deg))
        scale = 1.0 / rng.uniform(*plan.scale)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        stretch = scale * np.exp(rng.normal(0.0, plan.stretch_sd, 2))
        shift = rng.normal(0.0, plan.shift_sd_mm, 2)
        warp = None
        if plan.elastic_mm > 0:
            knots = torch.from_numpy(rng.normal(0.0, plan.elastic_mm, (1, 2, _KNOTS, _KNOTS)).astype(np.float32))
            smooth = F.interpolate(knots, size=(FIELD, FIELD), mode="bicubic", align_corners=True)
            warp = smooth[0].permute(1, 2, 0).numpy()
        return cls(matrix=np.asarray(turn @ np.diag(stretch)), shift=shift, warp=warp)

    def centre(self) -> NDArray[np.float64]:
        """The field's pixel (x, y) that shows the heart's centre; the shift moved it there."""
        return np.asarray((FIELD - 1) / 2 - np.linalg.solve(self.matrix, self.shift))

    def grid(self, case: Prepared) -> Tensor:
        """Sampling grid (1, FIELD, FIELD, 2) for ``torch.nn.functional.grid_sample``."""
        _, rows, columns = case.hu.shape
        line = (np.arange(FIELD) - (FIELD - 1) / 2).astype(np.float32)
        x, y = np.meshgrid(line, line, indexing="xy")
        across = self.matrix[0, 0] * x + self.matrix[0, 1] * y + self.shift[0] + case.centre[2]
        down = self.matrix[1, 0] * x + self.matrix[1, 1] * y + self.shift[1] + case.centre[1]
        if self.warp is not None:
            across, down = across + self.warp[..., 0], down + self.warp[..., 1]
        places = np.stack([(across + 0.5) * 2 / columns - 1, (down + 0.5) * 2 / rows - 1], axis=-1)
        return torch.from_numpy(places.astype(np.float32))[None]


def stack(case: Prepared, middle: int, rng: Generator, plan: Augmentation) -> tuple[NDArray[np.float32], list[int]]:
    """The slices seen together as float HU (2 * CONTEXT_SLICES + 1, rows, columns), and which slice each mostly is.

    Now and then they lie at another distance, a neighbour has moved, or a neighbour is missing and the middle one
    stands in for it. The middle slice is always as it is.
    """
    count, spacing = len(case.hu), float(case.spacing_mm[0])
    seen = context_slices(middle, count, spacing)
    hu = case.hu[seen].astype(np.float32)
    neighbours = [k for k in range(len(seen)) if k != CONTEXT_SLICES]
    if rng.random() < plan.thick_share:
        apart = rng.uniform(*plan.context_mm) / spacing
        for k in neighbours:
            place = float(np.clip(middle + (k - CONTEXT_SLICES) * apart, 0, count - 1))
            low = min(int(place), count - 2)
            share = np.float32(place - low)
            hu[k] = case.hu[low] * (1 - share) + case.hu[low + 1] * share
            seen[k] = round(place)
    if rng.random() < plan.moved_share:
        for k in neighbours:
            hu[k] = _moved(hu[k], np.rint(rng.normal(0.0, plan.moved_sd_mm, 2)).astype(int))
    for k in neighbours:
        if rng.random() < plan.repeated_share:
            hu[k], seen[k] = hu[CONTEXT_SLICES], middle
    return hu, seen


def _moved(image: NDArray[np.float32], by: NDArray[np.int64]) -> NDArray[np.float32]:
    moved = np.roll(image, by, axis=(0, 1))
    for axis, step in enumerate(by.tolist()):
        edge: list[slice] = [slice(None), slice(None)]
        edge[axis] = slice(0, step) if step > 0 else slice(image.shape[axis] + step, None)
        if step:
            moved[tuple(edge)] = AIR_HU
    return moved
