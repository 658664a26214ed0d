"""The fine networks at work: slices in, anatomy and logits at chosen pixels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.labels import Territory
from model.network import CONTEXT_SLICES, UNet, folded
from model.preprocess import AIR_HU, FIELD, context_slices, fine_input, offsets_mm

BATCH: Final = 4
CALCIUM: Final = len(Territory)
"""Column of the calcium head in the logits; the territories come before it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """The square around the heart that the fine networks see.

    Attributes
    ----------
    hu
        float32 (slices, FIELD, FIELD) at about 1 mm.
    corner
        Row and column of its first pixel in the millimetre grid.
    middle
        (slice, row, column) of the heart's centre in that grid.
    spacing_mm
        Between slices.

    """

    hu: Tensor
    corner: tuple[int, int]
    middle: tuple[float, float, float]
    spacing_mm: float

    def heights_mm(self) -> NDArray[np.float64]:
        """Height of every slice above the heart's centre."""
        return np.asarray((np.arange(self.hu.shape[0]) - self.middle[0]) * self.spacing_mm, dtype=np.float64)

    def inputs(self, slices: Sequence[int], threshold_hu: float) -> Tensor:
        """Input of a fine network for some slices."""
        seen = torch.stack([self.hu[context_slices(k, self.hu.shape[0], self.spacing_mm)] for k in slices])
        above = [(k - self.middle[0]) * self.spacing_mm for k in slices]
        centre = torch.tensor([[self.middle[2] - self.corner[1], self.middle[1] - self.corner[0]]])
        where = offsets_mm(
            centre.to(seen.device).expand(len(slices), 2), torch.tensor(above, dtype=torch.float32).to(seen.device)
        )
        return fine_input(seen, where, threshold_hu)


class Labeller:
    """The members of an ensemble on one device. Holds no state between scans."""

    def __init__(self, members: Sequence[UNet], device: torch.device) -> None:
        self._networks = [folded(network).to(device) for network in members]
        self._device = device

    @property
    def members(self) -> int:
        """How many networks there are."""
        return len(self._networks)

    def anatomy_and_logits(
        self, field: Field, slices: Sequence[int], pixel: NDArray[np.int64], threshold_hu: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The first member's word on some slices.

        Parameters
        ----------
        pixel
            int64 (3, n) slice, row and column of the pixels whose logits are wanted, ascending by slice.

        Returns
        -------
        Anatomy uint8 (len(slices), FIELD, FIELD), and logits float32 (n, len(Territory) + 1), of which those of pixels
        in other slices stay NaN.

        """
        anatomy = np.zeros((len(slices), FIELD, FIELD), dtype=np.uint8)
        logits = _unknown(pixel.shape[1])
        done = 0
        for batch, heads in self._run(0, field, slices, threshold_hu):
            # (batch, rows, columns, stem, stem), folded back into the plane as bytes
            best = heads["anatomy"].argmax(-1).to(torch.uint8).permute(0, 1, 3, 2, 4)
            anatomy[done : done + len(batch)] = best.reshape(len(batch), FIELD, FIELD).cpu().numpy()
            done += len(batch)
            _gather(heads, batch, pixel, logits)
        return anatomy, logits

    def logits(
        self, member: int, field: Field, slices: Sequence[int], pixel: NDArray[np.int64], threshold_hu: float
    ) -> NDArray[np.float32]:
        """A member's logits of chosen pixels, as in :meth:`anatomy_and_logits`."""
        logits = _unknown(pixel.shape[1])
        for batch, heads in self._run(member, field, slices, threshold_hu):
            _gather(heads, batch, pixel, logits)
        return logits

    def warm_up(self) -> None:
        """Run every network once on air; without a heart in view a scan never reaches them."""
        air = torch.full((BATCH, 2 * CONTEXT_SLICES + 1, FIELD, FIELD), AIR_HU, device=self._device)
        here = torch.zeros((BATCH, 3, FIELD, FIELD), device=self._device)
        for network in self._networks:
            network(fine_input(air, here, 130.0))

    def _run(
        self, member: int, field: Field, slices: Sequence[int], threshold_hu: float
    ) -> Iterator[tuple[Sequence[int], dict[str, Tensor]]]:
        network = self._networks[member]
        for first in range(0, len(slices), BATCH):
            batch = slices[first : first + BATCH]
            yield batch, network.split(network.by_pixel(field.inputs(batch, threshold_hu)), dim=-1)


def _unknown(count: int) -> NDArray[np.float32]:
    return np.full((count, len(Territory) + 1), np.nan, dtype=np.float32)


def _gather(
    heads: dict[str, Tensor], batch: Sequence[int], pixel: NDArray[np.int64], logits: NDArray[np.float32]
) -> None:
    """Write the logits of a batch's pixels, each the mean of the 3 x 3 pixels around it.

    The stem's pixel shuffle leaves a checkerboard, which the mean takes away.
    """
    ends = np.searchsorted(pixel[0], [[k, k + 1] for k in batch])
    mine = np.concatenate([np.arange(first, last) for first, last in ends])
    if not mine.size:
        return
    device, stem = heads["territory"].device, heads["territory"].shape[3]
    which = torch.from_numpy(np.repeat(np.arange(len(batch)), ends[:, 1] - ends[:, 0])).to(device)
    row, column = (torch.from_numpy(axis[mine]).to(device) for axis in pixel[1:])
    total = torch.zeros((mine.size, len(Territory) + 1), device=device)
    count = torch.zeros((mine.size, 1), device=device)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            y, x = row + down, column + across
            inside = ((y >= 0) & (y < FIELD) & (x >= 0) & (x < FIELD))[:, None]
            y, x = y.clamp(0, FIELD - 1), x.clamp(0, FIELD - 1)
            at = (which, y // stem, x // stem, y % stem, x % stem)
            total += torch.cat([heads["territory"][at], heads["calcium"][at]], dim=1).float() * inside
            count += inside
    logits[mine] = (total / count).cpu().numpy()
