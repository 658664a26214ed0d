"""Where a chest ends above: shoulders and neck, which phantoms lack. The localiser must not see a heart in them."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from model.labels import Organ

_FAT_HU, _MUSCLE_HU = -95.0, 50.0
_AIR_HU: Final = -950.0
_CHEST: Final = (Organ.LUNG, Organ.AORTA, Organ.ROOT, Organ.PULMONARY_ARTERY)


def necked(hu: Tensor, organs: Tensor, level: float, rng: Generator) -> tuple[Tensor, Tensor]:
    """Close the lungs above a level and put flesh, bone and a windpipe there, as wide as shoulders.

    Parameters
    ----------
    hu, organs
        (z, y, x) at about 4 mm, the scan alone.
    level
        Slice at which the lungs end; their tops are domes around it.

    """
    size = (hu.shape[0], hu.shape[1], hu.shape[2])
    z = torch.arange(size[0], dtype=torch.float32)[:, None, None]
    above = z > level + _waves(rng, (1, 4, 4), (1, *size[1:])) * 3.0
    flesh = torch.where(_waves(rng, (size[0] // 5 + 2, 12, 12), size) > float(rng.uniform(-0.5, 1.2)), _FAT_HU, 0.0)
    flesh = torch.where(flesh < 0, flesh, _MUSCLE_HU + float(rng.normal(0, 8)))
    y, x = (torch.arange(n, dtype=torch.float32) for n in size[1:])
    middle, back = float(size[2] / 2 + rng.normal(0, 3)), float(size[1] / 2 + rng.normal(0, 4))
    width, depth = float(rng.uniform(22, 50)), float(rng.uniform(12, 26))
    shoulders = ((x - middle).abs() / width)[None] ** 3 + ((y - back).abs() / depth)[:, None] ** 3 < 1
    filled = above & (shoulders | torch.isin(organs, torch.tensor(_CHEST)))
    hu, organs = torch.where(filled & (hu < _MUSCLE_HU + 60), flesh, hu), organs.clone()
    organs[above & (organs >= 0) & (organs != Organ.BONE)] = Organ.OTHER
    windpipe = ((x - middle) ** 2)[None] + ((y - back) ** 2)[:, None] < rng.uniform(1.5, 3.0) ** 2
    hu = hu.masked_fill(filled & windpipe, _AIR_HU)
    for _ in range(int(rng.integers(0, 7))):
        place = [rng.uniform(level, size[0]), back + rng.normal(0, 8), middle + rng.normal(0, 14)]
        axes = rng.uniform(1.0, 6.0, 3)
        parts = [((line - p) / a) ** 2 for line, p, a in zip((z[:, 0, 0], y, x), place, axes, strict=True)]
        bone = filled & (parts[0][:, None, None] + parts[1][:, None] + parts[2] < 1)
        hu = hu.masked_fill(bone, float(rng.uniform(200, 700)))
        organs[bone] = Organ.BONE
    return hu, organs


def _waves(rng: Generator, knots: tuple[int, int, int], size: tuple[int, int, int]) -> Tensor:
    """Smooth noise of about unit strength."""
    values = torch.from_numpy(rng.standard_normal((1, 1, *knots)).astype(np.float32))
    return F.interpolate(values, size=size, mode="trilinear", align_corners=True)[0, 0]
