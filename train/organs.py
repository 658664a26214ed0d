"""What the localiser learns, derived from a case's anatomy: organs at about 4 mm, with root and diaphragm."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import ORGAN_OF, Anatomy, Organ

ROOT_MM: Final = 35.0
"""Height of the aorta's part that is called root: valve, sinuses and what the pericardium holds above them."""

_RIM_MM: Final = 8.0  # two voxels
_LEAST_MM2: Final = 100.0  # a slice of the ascending aorta smaller than this is a label's stray end
_CLASSES: Final = len(Organ)  # the ascending aorta has this provisional number
_PROVISIONAL: Final = np.array(
    [_CLASSES if anatomy == Anatomy.ASCENDING_AORTA else ORGAN_OF[anatomy] for anatomy in Anatomy], dtype=np.uint8
)

Mask = NDArray[np.bool_]


def organs_of(
    anatomy: NDArray[np.uint8], spacing_mm: tuple[float, float, float], size: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Most frequent organ in each coarse voxel.

    Parameters
    ----------
    anatomy
        :class:`model.labels.Anatomy` (slices towards the head, rows, columns).
    spacing_mm
        Its spacing.
    size
        Coarse voxels along each axis, which together cover the same volume.

    """
    coarse = _most_frequent(_PROVISIONAL[anatomy], size)
    voxel_mm = tuple(n * mm / m for n, mm, m in zip(anatomy.shape, spacing_mm, size, strict=True))
    ascending = coarse == _CLASSES
    root = _root(ascending, voxel_mm)
    coarse[ascending] = Organ.AORTA
    coarse[root] = Organ.ROOT
    coarse[_rim(coarse, voxel_mm)] = Organ.DIAPHRAGM
    return coarse


def _most_frequent(labels: NDArray[np.uint8], size: tuple[int, int, int]) -> NDArray[np.uint8]:
    best = torch.zeros(size)
    coarse = torch.zeros(size, dtype=torch.uint8)
    for label in np.unique(labels).tolist():
        values = torch.from_numpy((labels == label).astype(np.float32))[None, None]
        share = F.interpolate(values, size=size, mode="area")[0, 0]
        coarse = torch.where(share > best, torch.tensor(label, dtype=torch.uint8), coarse)
        best = torch.maximum(best, share)
    return coarse.numpy()


def _root(ascending: Mask, voxel_mm: tuple[float, ...]) -> Mask:
    """The lowest part of the ascending aorta; none where the scan begins inside it, since more may lie below."""
    large = np.flatnonzero(ascending.sum(axis=(1, 2)) * voxel_mm[1] * voxel_mm[2] >= _LEAST_MM2)
    root = np.zeros_like(ascending)
    if large.size and large[0] > 0:
        last = int(large[0] + ROOT_MM / voxel_mm[0])
        root[: last + 1] = ascending[: last + 1]
    return root


def _rim(organs: NDArray[np.uint8], voxel_mm: tuple[float, ...]) -> Mask:
    chest = (organs == Organ.LUNG) | (organs == Organ.HEART)
    if not chest.any():
        return np.zeros_like(chest)
    near = ndimage.distance_transform_edt(~chest, sampling=voxel_mm) <= _RIM_MM + 0.5
    return np.asarray(near & ((organs == Organ.ABDOMEN) | (organs == Organ.STOMACH)))
