"""What the scanner makes of HU on sub-slices: slice profile, point spread, noise, cupping, streaks, shift."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.imaging.ranges import ImagingRanges, Scanner

_STREAK_THRESHOLD_HU = 1400.0
_OVERSHOOT_MM = 1.3


def draw_scanner(rng: np.random.Generator, ranges: ImagingRanges) -> Scanner:
    """Draw one scan's sharpness, noise and artefacts; noise is drawn evenly in its logarithm."""
    low, high = np.log(ranges.noise_sd_hu)
    return Scanner(
        psf_sigma_mm=rng.uniform(*ranges.psf_sigma_mm),
        edge_gain=rng.uniform(*ranges.edge_gain) if rng.random() < ranges.enhancing else 0.0,
        noise_sd_hu=float(np.exp(rng.uniform(low, high))),
        noise_peak_per_mm=rng.uniform(*ranges.noise_peak_per_mm),
        hu_shift=rng.uniform(*ranges.hu_shift),
        cupping_hu=rng.uniform(*ranges.cupping_hu),
        streak_gain=rng.uniform(*ranges.streak_gain),
    )


def slices(fine: Tensor, per_slice: int) -> Tensor:
    """Box slice profile: the mean of each slice's sub-slices."""
    return fine.reshape(-1, per_slice, *fine.shape[1:]).mean(dim=1)


def blur(image: Tensor, spacing_mm: tuple[float, float], sigma_mm: float) -> Tensor:
    """Gaussian point spread in plane; ``image`` (slices, rows, columns), spacing (row, column)."""
    for axis, step in ((1, spacing_mm[0]), (2, spacing_mm[1])):
        image = _smoothed(image, sigma_mm / step, axis)
    return image


def resolve(image: Tensor, spacing_mm: tuple[float, float], scanner: Scanner) -> Tensor:
    """What the kernel makes of slices: the point spread, and with enhancing kernels an overshoot at edges."""
    sharp = blur(image, spacing_mm, scanner.psf_sigma_mm)
    if scanner.edge_gain == 0:
        return sharp
    return sharp + scanner.edge_gain * (sharp - blur(sharp, spacing_mm, _OVERSHOOT_MM))


def noise(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing_mm: tuple[float, float], peak_per_mm: float
) -> Tensor:
    """Noise of unit standard deviation with the power spectrum f exp(-f²/2 peak²).

    With the peak at 0.20 /mm the power at 0.55 /mm is 10 % of the peak's, as measured on gated scans.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    white = torch.randn(shape, generator=generator)
    row = torch.fft.fftfreq(shape[1], spacing_mm[0])[:, None]
    column = torch.fft.rfftfreq(shape[2], spacing_mm[1])[None]
    frequency = torch.sqrt(row**2 + column**2)
    amplitude = torch.sqrt(frequency * torch.exp(-(frequency**2) / (2 * peak_per_mm**2)))
    power = (torch.cat([amplitude, amplitude[:, 1 : (shape[2] + 1) // 2]], dim=1) ** 2).mean()
    spectrum = torch.fft.rfft2(white) * (amplitude / power.sqrt())
    grain: Tensor = torch.fft.irfft2(spectrum, s=shape[1:])
    return grain


def cupping(shape: tuple[int, int], spacing_mm: tuple[float, float], depth_hu: float, device: str) -> Tensor:
    """Beam hardening's bowl (rows, columns): zero at 130 mm from the centre, ``-depth_hu`` in the middle."""
    axes = [(torch.arange(n, device=device) - (n - 1) / 2) * step for n, step in zip(shape, spacing_mm, strict=True)]
    squared = (axes[0][:, None] ** 2 + axes[1][None] ** 2) / 130.0**2
    return -depth_hu * (1 - squared).clamp(min=-0.5)


def streaks(rng: np.random.Generator, image: Tensor, spacing_mm: tuple[float, float], gain: float) -> Tensor:
    """Dark and bright rays from metal and very dense calcium, to add to ``image`` (slices, rows, columns)."""
    dense = (image - _STREAK_THRESHOLD_HU).clamp(min=0)
    hit = torch.nonzero(dense.flatten(1).amax(dim=1) > 0).flatten()
    total = torch.zeros_like(image)
    if len(hit) == 0:
        return total
    rows, columns = image.shape[1:]
    y = torch.fft.fftfreq(rows, 1 / (rows * spacing_mm[0]), device=image.device)[:, None]
    x = torch.fft.fftfreq(columns, 1 / (columns * spacing_mm[1]), device=image.device)[None]
    radius, angle = torch.sqrt(x**2 + y**2), torch.atan2(y, x)
    rays = sum(
        torch.cos(order * angle + float(rng.uniform(0, 2 * np.pi)))
        for order in rng.choice([2, 4, 6, 10, 16], 3, replace=False)
    )
    kernel = rays * torch.exp(-radius / 35) * (1 - torch.exp(-radius / 2)) / (1 + radius)
    spread = torch.fft.irfft2(torch.fft.rfft2(dense[hit]) * torch.fft.rfft2(kernel), s=image.shape[1:])
    total[hit] = (spread * gain * 0.02).clamp(-250, 250)
    return total


def _smoothed(image: Tensor, sigma: float, axis: int) -> Tensor:
    """Gaussian smoothing along one axis, ``sigma`` in pixels; beyond the border the last pixel goes on.

    Adding shifted copies is several times faster than a convolution with one channel.
    """
    reach = max(1, int(np.ceil(3 * sigma)))
    weights = np.exp(-(np.arange(reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights[0] + 2 * weights[1:].sum()
    count = image.shape[axis]
    first, last = image.narrow(axis, 0, 1), image.narrow(axis, count - 1, 1)
    padded = torch.cat([*[first] * reach, image, *[last] * reach], dim=axis)
    total = image * float(weights[0])
    for shift in range(1, reach + 1):
        total.add_(padded.narrow(axis, reach - shift, count), alpha=float(weights[shift]))
        total.add_(padded.narrow(axis, reach + shift, count), alpha=float(weights[shift]))
    return total
