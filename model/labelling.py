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

from model.heads import CellHead, PixelHead
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
            tissue=_folded(tissue(self.hu)[:, None], stem),
            candidate=_folded(candidate[:, None], stem),
            plane=_folded(plane[None], stem)[0],
            heights=self.heights_mm() / POSITION_MM,
            spacing_mm=self.spacing_mm,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """A field folded into channels once, as its slices are seen more than once.

    Attributes
    ----------
    tissue, candidate
        (slices, FIELD / stem, FIELD / stem, stem * stem): channels last, as convolutions want them.
    plane
        (FIELD / stem, FIELD / stem, 2 * stem * stem) position of every pixel in the slice.
    heights
        (slices,) position of every slice.

    """

    tissue: Tensor
    candidate: Tensor
    plane: Tensor
    heights: NDArray[np.float64]
    spacing_mm: float

    def of(self, slices: Sequence[int]) -> Tensor:
        """The input of some slices, folded: see :func:`model.preprocess.fine_input` and ``UNet.features``."""
        count, rows, columns, folded_in = self.tissue.shape
        seen = torch.tensor([context_slices(k, count, self.spacing_mm) for k in slices], device=self.tissue.device)
        height = torch.tensor(self.heights[list(slices)], dtype=torch.float32, device=self.tissue.device)
        parts = [
            *(self.tissue[beside] for beside in seen.t()),
            self.candidate[list(slices)],
            self.plane.expand(len(slices), *self.plane.shape),
            height[:, None, None, None].expand(len(slices), rows, columns, folded_in),
        ]
        return torch.cat(parts, dim=-1).permute(0, 3, 1, 2)


def _folded(images: Tensor, stem: int) -> Tensor:
    """Space to depth (batch, channels, rows, columns), channels last: see ``pixel_unshuffle``."""
    return F.pixel_unshuffle(images, stem).permute(0, 2, 3, 1).contiguous()


class Labeller:
    """The members of an ensemble on one device. Holds no state between scans."""

    def __init__(self, members: Sequence[UNet], device: torch.device) -> None:
        self._networks = [folded(network).to(device) for network in members]
        self._anatomy = CellHead.of(self._networks[0], "anatomy")
        self._words = [PixelHead.of(network, ("territory", "calcium")) for network in self._networks]
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
        Anatomy uint8 (len(slices), FIELD, FIELD), as fine as the network's cells, and logits float32
        (n, len(Territory) + 1), each the mean of the 3 x 3 pixels around, of which those of pixels in other slices stay
        NaN.

        """
        anatomy = np.zeros((len(slices), FIELD, FIELD), dtype=np.uint8)
        logits = _unknown(pixel.shape[1])
        stem = self._networks[0].config.stem
        done = 0
        for batch, features in self._run(0, cells, slices):
            best = self._anatomy.likeliest(features)
            whole = best.repeat_interleave(stem, 1).repeat_interleave(stem, 2)
            anatomy[done : done + len(batch)] = whole.cpu().numpy()
            done += len(batch)
            self._gather(0, features, batch, pixel, logits)
        return anatomy, logits

    def logits(self, member: int, cells: Cells, slices: Sequence[int], pixel: NDArray[np.int64]) -> NDArray[np.float32]:
        """A member's logits of chosen pixels, as in :meth:`anatomy_and_logits`."""
        logits = _unknown(pixel.shape[1])
        for batch, features in self._run(member, cells, slices):
            self._gather(member, features, batch, pixel, logits)
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
            yield batch, network.features(cells.of(batch))

    def _gather(
        self,
        member: int,
        features: Tensor,
        batch: Sequence[int],
        pixel: NDArray[np.int64],
        logits: NDArray[np.float32],
    ) -> None:
        """Write the logits of a batch's pixels."""
        ends = np.searchsorted(pixel[0], [[k, k + 1] for k in batch])
        mine = np.concatenate([np.arange(first, last) for first, last in ends])
        if not mine.size:
            return
        which = torch.from_numpy(np.repeat(np.arange(len(batch)), ends[:, 1] - ends[:, 0])).to(features.device)
        row, column = (torch.from_numpy(axis[mine]).to(features.device) for axis in pixel[1:])
        logits[mine] = self._words[member].at(features, which, row, column).cpu().numpy()


def _unknown(count: int) -> NDArray[np.float32]:
    return np.full((count, len(Territory) + 1), np.nan, dtype=np.float32)
