"""The fine networks at work: slices in, anatomy and logits at chosen pixels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model.labels import Territory
from model.network import UNet, folded
from model.preprocess import AIR_HU, FIELD, POSITION_MM, context_slices, tissue

BATCH: Final = 4


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

    def cells(self, stem: int, threshold_hu: float) -> Cells:
        """What a fine network with such a stem sees of all slices."""
        line = torch.arange(FIELD, device=self.hu.device, dtype=torch.float32)
        down, across = (line - (self.middle[axis] - self.corner[axis - 1]) for axis in (1, 2))
        plane = torch.stack([across.expand(FIELD, FIELD), down[:, None].expand(FIELD, FIELD)]) / POSITION_MM
        candidate = (self.hu >= threshold_hu).to(self.hu.dtype)
        return Cells(
            tissue=F.pixel_unshuffle(tissue(self.hu)[:, None], stem),
            candidate=F.pixel_unshuffle(candidate[:, None], stem),
            plane=F.pixel_unshuffle(plane, stem),
            heights=self.heights_mm() / POSITION_MM,
            spacing_mm=self.spacing_mm,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A field folded into channels once, as its slices are seen more than once.

    Attributes
    ----------
    tissue, candidate
        (slices, stem * stem, FIELD / stem, FIELD / stem).
    plane
        (2 * stem * stem, ...) position of every pixel in the slice.
    heights
        (slices,) position of every slice.

    """

    tissue: Tensor
    candidate: Tensor
    plane: Tensor
    heights: NDArray[np.float64]
    spacing_mm: float

    def of(self, slices: Sequence[int]) -> Tensor:
        """The input of some slices, folded: see :func:`model.preprocess.fine_input` and ``UNet.by_pixel``."""
        count, folded_in = self.tissue.shape[:2]
        seen = torch.tensor([context_slices(k, count, self.spacing_mm) for k in slices], device=self.tissue.device)
        context = self.tissue[seen].flatten(1, 2)
        height = torch.tensor(self.heights[list(slices)], dtype=torch.float32, device=self.tissue.device)
        size = self.plane.shape[1:]
        parts = [
            context,
            self.candidate[list(slices)],
            self.plane.expand(len(slices), *self.plane.shape),
            height[:, None, None, None].expand(len(slices), folded_in, *size),
        ]
        return torch.cat([part.contiguous(memory_format=torch.channels_last) for part in parts], dim=1)


class Labeller:
    """The members of an ensemble on one device. Holds no state between scans."""

    def __init__(self, members: Sequence[UNet], device: torch.device) -> None:
        self._networks = [folded(network).to(device) for network in members]
        self._device = device

    @property
    def members(self) -> int:
        """How many networks there are."""
        return len(self._networks)

    def cells(self, field: Field, threshold_hu: float) -> Cells:
        """What the networks see of a field."""
        return field.cells(self._networks[0].config.stem, threshold_hu)

    def anatomy_and_logits(
        self, cells: Cells, slices: Sequence[int], pixel: NDArray[np.int64]
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
        for batch, found in self._run(0, cells, slices):
            best = self._split(found)["anatomy"].argmax(-1).to(torch.uint8)
            # (batch, rows, columns, stem, stem) folded back into the plane, as bytes
            plane = best.permute(0, 1, 3, 2, 4).reshape(len(batch), FIELD, FIELD)
            anatomy[done : done + len(batch)] = plane.cpu().numpy()
            done += len(batch)
            self._gather(found, batch, pixel, logits)
        return anatomy, logits

    def logits(self, member: int, cells: Cells, slices: Sequence[int], pixel: NDArray[np.int64]) -> NDArray[np.float32]:
        """A member's logits of chosen pixels, as in :meth:`anatomy_and_logits`."""
        logits = _unknown(pixel.shape[1])
        for batch, found in self._run(member, cells, slices):
            self._gather(found, batch, pixel, logits)
        return logits

    def warm_up(self) -> None:
        """Run every network once on air; without a heart in view a scan never reaches them."""
        air = torch.full((BATCH, FIELD, FIELD), AIR_HU, device=self._device)
        cells = self.cells(Field(hu=air, corner=(0, 0), middle=(0.0, 0.0, 0.0), spacing_mm=3.0), 130.0)
        for member in range(self.members):
            list(self._run(member, cells, range(BATCH)))

    def _run(self, member: int, cells: Cells, slices: Sequence[int]) -> Iterator[tuple[Sequence[int], Tensor]]:
        network = self._networks[member]
        for first in range(0, len(slices), BATCH):
            batch = slices[first : first + BATCH]
            yield batch, network.by_pixel(cells.of(batch))

    def _split(self, logits: Tensor) -> dict[str, Tensor]:
        return self._networks[0].split(logits, dim=-1)

    def _gather(
        self, found: Tensor, batch: Sequence[int], pixel: NDArray[np.int64], logits: NDArray[np.float32]
    ) -> None:
        """Write the logits of a batch's pixels, each the mean of the 3 x 3 pixels around it.

        The stem computes neighbouring pixels by different weights, which leaves a checkerboard; the mean takes it away.
        """
        ends = np.searchsorted(pixel[0], [[k, k + 1] for k in batch])
        mine = np.concatenate([np.arange(first, last) for first, last in ends])
        if not mine.size:
            return
        _, _, columns, stem, _, classes = found.shape
        line = torch.arange(FIELD, device=found.device)
        # where a pixel's logits begin, by its row and by its column
        by_row = line // stem * columns * stem**2 + line % stem * stem
        by_column = line // stem * stem**2 + line % stem
        which = torch.from_numpy(np.repeat(np.arange(len(batch)), ends[:, 1] - ends[:, 0])).to(found.device)
        row, column = (torch.from_numpy(axis[mine]).to(found.device) for axis in pixel[1:])
        flat = found.reshape(-1, classes)
        total = torch.zeros((mine.size, classes), device=found.device)
        near = torch.arange(-1, 2, device=found.device)
        for rows in by_row[(row[:, None] + near).clamp(0, FIELD - 1)].t():
            for across in by_column[(column[:, None] + near).clamp(0, FIELD - 1)].t():
                total += flat.index_select(0, which * FIELD**2 + rows + across)
        heads = self._split(total / 9)
        logits[mine] = torch.cat([heads["territory"], heads["calcium"]], dim=1).cpu().numpy()


def _unknown(count: int) -> NDArray[np.float32]:
    return np.full((count, len(Territory) + 1), np.nan, dtype=np.float32)
