"""What scanners do to a field: sharpness, gain, noise, narrow fields of view, contrast agent."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from model.labels import Anatomy
from model.preprocess import AIR_HU, FIELD
from train.config import Augmentation

_BLOOD: Final = (*range(Anatomy.LEFT_VENTRICLE, Anatomy.DESCENDING_AORTA + 1),)
_SOFT_HU: Final = 150.0
_KNOTS: Final = 6
_BRIGHTEST: Final = 1.0
"""Expected largest of the four or five native pixels in a millimetre, in SDs of their noise."""


def agent(anatomy: Tensor, rng: Generator) -> Tensor:
    """HU that contrast agent in the blood adds."""
    blood = torch.isin(anatomy, torch.tensor(_BLOOD)).float()
    return F.avg_pool2d(blood[None], 5, stride=1, padding=2) * float(rng.uniform(60, 350))


def scanner(hu: Tensor, rng: Generator, plan: Augmentation) -> Tensor:
    """Another scanner's sharpness, soft tissue, gain and offset."""
    blurred = F.avg_pool2d(F.pad(hu[None], [1] * 4, mode="replicate"), 3, stride=1)[0]
    hu = hu + (hu - blurred) * float(rng.uniform(*plan.sharpness))
    soft = ((hu + _SOFT_HU) / (2 * _SOFT_HU)).clamp(0.0, 1.0)
    hu = hu + (soft.pow(float(rng.uniform(*plan.gamma))) - soft) * (2 * _SOFT_HU)
    return hu * float(1 + rng.normal(0.0, plan.gain_sd)) + float(rng.normal(0.0, plan.offset_sd_hu))


def grain(bank: Tensor, count: int, rng: Generator, plan: Augmentation) -> Tensor:
    """Noise (count, FIELD, FIELD): a piece of a bank's sheet, stronger here than there."""
    low, high = plan.noise_hu
    sd = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    sheet = bank[int(rng.integers(len(bank)))]
    first = int(rng.integers(sheet.shape[0] - count + 1))
    row, column = (int(rng.integers(sheet.shape[1] - FIELD + 1)) for _ in range(2))
    piece = sheet[first : first + count, row : row + FIELD, column : column + FIELD]
    if plan.noise_shape_sd == 0:
        return piece * sd
    knots = np.exp(rng.normal(0.0, plan.noise_shape_sd, (1, 1, _KNOTS, _KNOTS))).astype(np.float32)
    level = F.interpolate(torch.from_numpy(knots), size=(FIELD, FIELD), mode="bilinear", align_corners=True)
    return piece * level[0] * sd


def brightest(hu: Tensor, rng: Generator, plan: Augmentation) -> Tensor:
    """What the brightest native pixel of each 1 mm pixel (FIELD, FIELD) might be: averaging hid some of its noise."""
    sd = float(rng.uniform(*plan.native_noise_hu))
    drawn = torch.from_numpy(rng.standard_normal(hu.shape, dtype=np.float32))
    return hu + (drawn * 0.7 + _BRIGHTEST) * sd


def narrow(hu: Tensor, labels: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """A smaller field of view: air outside it."""
    half = rng.uniform(74, 98)
    middle = rng.normal((FIELD - 1) / 2, 5.0, 2)
    low = np.clip(middle - half, 0, FIELD).astype(int)
    high = np.clip(middle + half, 0, FIELD).astype(int)
    inside = torch.zeros(FIELD, FIELD, dtype=torch.bool)
    inside[low[0] : high[0], low[1] : high[1]] = True
    return torch.where(inside, hu, torch.tensor(AIR_HU)), labels * inside


def noise_bank(rng: Generator, sheets: int = 16, slices: int = 8, size: int = 256) -> Tensor:
    """Band-limited noise of unit SD (sheets, slices, size, size); CT noise peaks near 0.2 cycles/mm.

    Spectra differ from sheet to sheet in edge and rise; some are stretched along one direction, and some neighbours
    share noise, as overlapping slices do.
    """
    across = np.fft.fftfreq(size)[:, None]
    along = np.fft.rfftfreq(size)[None]
    made = np.empty((sheets, slices, size, size), dtype=np.float32)
    for number in range(sheets):
        edge, rise = rng.uniform(0.2, 0.55), rng.uniform(0.04, 0.2)
        stretch = np.exp(rng.normal(0.0, 0.25))
        frequency = np.hypot(across * stretch, along / stretch)
        power = np.exp(-((frequency / edge) ** 2)) * frequency / (frequency + rise)
        white = rng.standard_normal((slices, size, size), dtype=np.float32)
        shared = rng.uniform(0.0, 0.6) if rng.random() < 0.4 else 0.0
        white[1:] += shared * white[:-1]
        noise = np.fft.irfft2(np.fft.rfft2(white) * power, s=(size, size))
        made[number] = noise / noise.std(axis=(1, 2), keepdims=True)
    return torch.from_numpy(made)
