"""Quantum noise: its spectrum, how reading at 1 mm thins it, and where it is stronger."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.imaging.ranges import Grain

_STREAK_WIDTH = 0.12  # spread of the streaks' directions, radians
_DENSITY_MM = 24.0
_CHUNK = 16  # slices transformed together
_INTEGRATED_TO_PER_MM = 3.0


def power(frequency: Tensor, grain: Grain) -> Tensor:
    """Power (not normalised) at frequencies per mm: ``(floor + f/peak) exp(-(f/peak)^order / order)``.

    With order 2, no floor and the peak at 0.20 /mm the power at 0.55 /mm is 10 % of the peak's, as measured on gated
    scans; with order 4, floor 1 and the peak at 0.33 /mm it is that of the QRM phantom scan.
    """
    relative = frequency / grain.peak_per_mm
    return (grain.floor + relative) * torch.exp(-(relative**grain.order) / grain.order)


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float],
    grain: Grain,
    device: str = "cpu",
    *,
    averaged: bool = False,
) -> Tensor:
    """Noise (slices, rows, columns) of unit standard deviation at a scanner's fine pixels.

    ``averaged`` pixels are those that reading makes of finer ones, so they hold less of it, and finer frequencies less
    than coarse ones.
    """
    generator = torch.Generator(device=device).manual_seed(int(rng.integers(2**62)))
    amplitude = _amplitude(shape[1:], spacing_mm, grain, averaged=averaged).to(device)
    parts = []
    for start in range(0, shape[0], _CHUNK):
        count = min(_CHUNK, shape[0] - start)
        white = torch.randn((count, *shape[1:]), generator=generator, device=device)
        parts.append(torch.fft.irfft2(torch.fft.rfft2(white).mul_(amplitude), s=shape[1:]))
    return torch.cat(parts)


def level(image: Tensor, spacing_mm: tuple[float, float], density: float, slope: float) -> Tensor:
    """Relative noise (slices, rows, columns): about 1 amid soft tissue, less in lungs, more in thick parts and behind.

    ``density`` is the difference between water and air all around; ``slope`` the rise from front to back over 250 mm.
    """
    size = [max(2, round(n * mm / _DENSITY_MM)) for n, mm in zip(image.shape[1:], spacing_mm, strict=True)]
    tissue = ((image + 1000.0) / 1000.0).clamp_(0.0, 1.6)
    around = F.interpolate(tissue[:, None], size=size, mode="area")
    around = F.avg_pool2d(F.pad(around, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    height = image.shape[1] * spacing_mm[0] / 250.0
    back = torch.linspace(-height / 2, height / 2, size[0], device=image.device)[:, None]
    rise = (1.0 + density * (around - 0.85)) * (1.0 + slope * back)
    return F.interpolate(rise.clamp_(0.3, 2.5), size=image.shape[1:], mode="bilinear", align_corners=False)[:, 0]


def _amplitude(shape: tuple[int, int], spacing_mm: tuple[float, float], grain: Grain, *, averaged: bool) -> Tensor:
    """What the spectrum of white noise (rows, columns // 2 + 1) is multiplied by."""
    row = torch.fft.fftfreq(shape[0], spacing_mm[0])[:, None]
    column = torch.fft.rfftfreq(shape[1], spacing_mm[1])[None]
    angular = _angular(torch.atan2(row, column), grain)
    line = torch.linspace(0, _INTEGRATED_TO_PER_MM, 3001)
    whole = torch.trapezoid(power(line, grain) * 2 * np.pi * line, line)
    density = power(torch.hypot(row, column), grain) * angular / (whole * spacing_mm[0] * spacing_mm[1])
    if averaged:
        density = density * (torch.sinc(row * spacing_mm[0]) * torch.sinc(column * spacing_mm[1])) ** 4
    return density.sqrt()


def _angular(angle: Tensor, grain: Grain) -> Tensor:
    """Gain by direction, 1 on average: streaks along ``grain.angle`` are waves across it."""
    if grain.across == 0.0:
        return torch.ones_like(angle)
    width = 2 * _STREAK_WIDTH**2
    mean = float(np.sqrt(2 / np.pi)) * _STREAK_WIDTH  # of the peak below over the half turn
    peak = torch.exp(-(torch.cos(angle - grain.angle) ** 2) / width)
    return (1 + grain.across * peak) / (1 + grain.across * mean)
