"""Scans of every extent seen in prepared volumes: where the box lies, and how the patient in it is bent.

Lengths are in millimetres, (z, y, x) with z to the head, y to the back and x to the left; voxels are 4 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from model.labels import Organ
from model.preprocess import COARSE_MM
from train.cohort import Prepared
from train.organs import organs_of

UNKNOWN: Final = -1
"""Label of what lies outside the scan or the volume it was cut from: nothing is asked there."""
NOTHING_HU: Final = -1000.0

Array = NDArray[np.float64]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """A case as the localiser sees it: int16 HU and uint8 organs of about 4 mm, and the heart's centre in voxels."""

    hu: NDArray[np.int16]
    organs: NDArray[np.uint8]
    centre: Array

    @classmethod
    def of(cls, hu: NDArray[np.int16], organs: NDArray[np.uint8]) -> Self:
        """Find the heart's centre; raises ValueError if there is no heart."""
        heart = np.argwhere(organs == Organ.HEART)
        if not len(heart):
            raise ValueError("the case holds no heart")
        return cls(hu=hu, organs=organs, centre=heart.mean(axis=0))

    @classmethod
    def prepared(cls, case: Prepared) -> Self:
        """From a case that the labeller is trained on."""
        return cls.of(case.coarse_hu, case.organs)

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a stored prepared case, of which only the small part is loaded, or a stored whole chest."""
        with np.load(path, allow_pickle=False) as stored:
            hu = stored["coarse_hu" if "coarse_hu" in stored else "hu"]
            z, y, x = stored["spacing_mm"].tolist()
            return cls.of(hu, organs_of(stored["anatomy"], (z, y, x), hu.shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What boxes and bodies are drawn from; a share is a probability.

    Attributes
    ----------
    gated_mm, wide_mm
        Side of the field of view of a calcium-score scan and of a chest scan.
    off_centre_sd, off_centre_most
        How far the heart lies from the field's middle, as a share of its side.
    above_mm
        From the heart's centre to the first slice, as it is planned; also for scans that begin higher (``high``),
        begin within the heart (``late``), or hold none of it (``none``).
    length_mm, long_mm, short_mm
        Covered from the first slice to the last.
    neck
        Share of the scans reaching as high that end in shoulders and neck.

    """

    gated_mm: Range = (160.0, 260.0)
    wide_mm: Range = (260.0, 350.0)
    wide: float = 0.25
    round: float = 0.35
    off_centre_sd: float = 0.09
    off_centre_most: float = 0.2
    above_mm: Range = (45.0, 95.0)
    high_mm: Range = (95.0, 190.0)
    high: float = 0.15
    late_mm: Range = (-15.0, 45.0)
    late: float = 0.12
    none: float = 0.05
    length_mm: Range = (105.0, 180.0)
    long_mm: Range = (180.0, 330.0)
    long: float = 0.2
    short_mm: Range = (30.0, 105.0)
    short: float = 0.12
    scale_sd: float = 0.15
    scale_most: Range = (0.7, 1.35)
    stretch_sd: float = 0.06
    turn_deg: Range = (-15.0, 15.0)
    tilt_deg: Range = (-8.0, 8.0)
    shear_sd: float = 0.04
    elastic_mm: Range = (0.0, 6.0)
    neck: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
    """A scan's extent: voxels (z, y, x), the heart's place in it, and whether its field is a circle."""

    size: tuple[int, int, int]
    heart: Array
    round: bool


def draw_box(rng: Generator, views: Views, most: tuple[int, int, int]) -> Box:
    """Draw a scan of at most ``most`` voxels."""
    side = rng.uniform(*(views.wide_mm if rng.random() < views.wide else views.gated_mm))
    kind = rng.random()
    length = rng.uniform(*views.length_mm)
    if kind < views.long:
        length = rng.uniform(*views.long_mm)
    elif kind < views.long + views.short:
        length = rng.uniform(*views.short_mm)
    start = rng.random()
    above = rng.uniform(*views.above_mm)
    if start < views.high:
        above = rng.uniform(*views.high_mm)
    elif start < views.high + views.late:
        above = rng.uniform(*views.late_mm)
    elif start < views.high + views.late + views.none:
        above = rng.uniform(-120.0, -60.0) if rng.random() < 0.6 else length + rng.uniform(60.0, 100.0)
    size = np.clip(np.round(np.array([length, side, side]) / COARSE_MM), 4, most).astype(int)
    off = np.clip(rng.normal(0.0, views.off_centre_sd, 2), -views.off_centre_most, views.off_centre_most)
    middle = (size[1:] - 1) / 2 + off * size[1:]
    heart = np.array([size[0] - above / COARSE_MM, *middle])
    z, y, x = size.tolist()
    return Box(size=(z, y, x), heart=heart, round=bool(rng.random() < views.round))


def draw_bend(rng: Generator, views: Views) -> Array:
    """(3, 3) map from offsets in the scan to offsets in the volume, both (z, y, x): size, rotation, shear."""
    scale = np.clip(np.exp(rng.normal(0.0, views.scale_sd)), *views.scale_most)
    scales = scale * np.exp(rng.normal(0.0, views.stretch_sd, 3))
    angles = [rng.uniform(*views.turn_deg), rng.uniform(*views.tilt_deg), rng.uniform(*views.tilt_deg)]
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()[::-1, ::-1]  # scipy's axes are (x, y, z)
    shear = np.eye(3) + rng.normal(0.0, views.shear_sd, (3, 3)) * (1 - np.eye(3))
    return np.asarray(turn @ shear @ np.diag(1 / scales))


def within(box: Box, bend: Array, volume: Volume) -> Box:
    """The box without the slices that lie above or below everything the volume shows: scans have no empty slices."""
    low = box.heart[0] - volume.centre[0] / bend[0, 0]
    high = box.heart[0] + (len(volume.hu) - 1 - volume.centre[0]) / bend[0, 0]
    first = int(np.clip(np.ceil(low), 0, box.size[0] - 4))
    last = int(np.clip(np.floor(high), first + 3, box.size[0] - 1))
    size = (last - first + 1, box.size[1], box.size[2])
    return Box(size=size, heart=box.heart - np.array([first, 0, 0]), round=box.round)


def see(rng: Generator, volume: Volume, box: Box, bend: Array, elastic_voxels: float) -> tuple[Tensor, Tensor]:
    """HU (float32) and organs (int64) of every voxel of the box."""
    axes = [torch.arange(n, dtype=torch.float32) - float(h) for n, h in zip(box.size, box.heart, strict=True)]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    place = offset @ torch.from_numpy(bend.T.astype(np.float32)) + torch.from_numpy(volume.centre.astype(np.float32))
    knots = rng.standard_normal((1, 3, 4, 5, 5)).astype(np.float32) * elastic_voxels
    waves = F.interpolate(torch.from_numpy(knots), size=box.size, mode="trilinear", align_corners=True)
    place = place + waves[0].movedim(0, -1)
    count = torch.tensor(volume.hu.shape, dtype=torch.float32)
    grid = ((place + 0.5) * 2 / count - 1).flip(-1)[None]
    image = torch.from_numpy(volume.hu.astype(np.float32))[None, None]
    labels = torch.from_numpy(volume.organs.astype(np.float32))[None, None]
    hu = F.grid_sample(image - NOTHING_HU, grid, align_corners=False)[0, 0] + NOTHING_HU
    organs = F.grid_sample(labels + 1.0, grid, mode="nearest", align_corners=False)[0, 0].long() - 1
    return hu, organs


def framed(hu: Tensor, organs: Tensor, box: Box, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """What a box of ``box.size`` shows of its content, as the first corner of volumes of shape ``shape``."""
    z, y, x = box.size
    hu, organs = hu[:z, :y, :x], organs[:z, :y, :x]
    if box.round:
        beyond = _beyond_circle(box)
        hu, organs = hu.masked_fill(beyond, NOTHING_HU), organs.masked_fill(beyond, Organ.OTHER)
    pad = [extra for n, m in zip(reversed(shape), reversed(box.size), strict=True) for extra in (0, n - m)]
    return F.pad(hu, pad, value=NOTHING_HU), F.pad(organs, pad, value=UNKNOWN)


def _beyond_circle(box: Box) -> Tensor:
    y, x = (torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in box.size[1:])
    return (y[:, None] ** 2 + x[None] ** 2 > (min(box.size[1:]) / 2) ** 2)[None].expand(box.size)
