"""A series that was read, ready to be looked at: its voxels and what is marked in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from model.volume import VolumeGrid

NODE: Final = "node"
HUMAN: Final = "human"
"""Whose marks a layer of a scan holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """A decoded series.

    Attributes
    ----------
    hu
        int16 Hounsfield units (slices, rows, columns), read-only.
    marks
        By :data:`NODE` and, where the human marked voxels, :data:`HUMAN`: uint8 labels of ``model.lesions.Vessel`` on
        the grid; a human's may also be of ``node.dicom.scored_mask.WHOLE_LABELS``, which tell no vessels apart.
    remarks
        What could not be shown, in words for the person who looks.
    version
        Changes whenever a voxel or a mark does: what a browser keeps is kept under it.

    """

    hu: NDArray[np.int16]
    marks: Mapping[str, NDArray[np.uint8]]
    grid: VolumeGrid
    version: str
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.hu.nbytes + sum(layer.nbytes for layer in self.marks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanKey:
    """Which scan: a generation of a series, and the human read whose marks go with it."""

    series_uid: str
    generation: int
    read_id: int | None = None


class Scans(Protocol):
    """Where decoded series come from. May be asked by any number of threads."""

    def get(self, key: ScanKey, /) -> Scan:
        """The scan.

        Raises
        ------
        Permanent
            It is gone or damaged, or was never read; the message is for the person who wanted to see it.
        Retryable
            It cannot be had just now.

        """
