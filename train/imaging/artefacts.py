"""What else a scanner adds: cupping, shading, streaks, rings, a heart seen twice, nothing outside the circle."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_STREAK_THRESHOLD_HU = 1400.0
_FILLS_HU = (-1024.0, -1024.0, -2000.0, -2048.0)
_RING_WIDTH_MM = 0.7


def cupping(shape: tuple[int, int], spacing_mm: tuple[float, float], depth_hu: float, device: str) -> Tensor:
    """Beam hardening's bowl (rows, columns): zero at 130 mm from the centre, ``-depth_hu`` in the middle."""
    squared = _squared_mm(shape, spacing_mm, (0.0, 0.0), device) / 130.0**2
    return -depth_hu * (1 - squared).clamp(min=-0.5)


def shading(rng: np.random.Generator, shape: tuple[int, int], sd_hu: float, device: str) -> Tensor:
    """Smooth unevenness (rows, columns) of about ``sd_hu``, as scatter and hard bones leave it."""
    knots = torch.tensor(rng.standard_normal((1, 1, 6, 6)) * sd_hu, dtype=torch.float32, device=device)
    return F.interpolate(knots, size=shape, mode="bicubic", align_corners=True)[0, 0]


def rings(
    rng: np.random.Generator, shape: tuple[int, int], spacing_mm: tuple[float, float], peak_hu: float, device: str
) -> Tensor:
    """One to three rings (rows, columns) about a point near the centre, as faulty detector cells leave them."""
    middle = rng.normal(0, 15, 2)
    radius = _squared_mm(shape, spacing_mm, (float(middle[0]), float(middle[1])), device).sqrt()
    total = torch.zeros_like(radius)
    width = max(_RING_WIDTH_MM, spacing_mm[0] / 2)
    for _ in range(int(rng.integers(1, 4))):
        height = peak_hu * float(rng.uniform(0.4, 1.0)) * (1 if rng.random() < 0.5 else -1)
        total += height * torch.exp(-((radius - float(rng.uniform(4, 90))) ** 2) / (2 * width**2))
    return total


def doubled(
    rng: np.random.Generator, image: Tensor, near_heart: Tensor, spacing_mm: tuple[float, float], amount: Share
) -> Tensor:
    """The heart in two places at once, ``image`` and ``near_heart`` (0..1) being (slices, rows, columns).

    ``amount`` is (weight of the second place, distance in mm). The distance and weight change from slab to slab.
    """
    weight, reach_mm = amount
    angle = rng.uniform(0, 2 * np.pi)
    slab = max(2, int(rng.integers(4, 16)))
    moved = torch.empty_like(image)
    share = torch.empty(image.shape[0], device=image.device)
    for start in range(0, image.shape[0], slab):
        part = slice(start, start + slab)
        shift = reach_mm * float(rng.uniform(0.3, 1.0)) * np.array([np.sin(angle), np.cos(angle)])
        steps = [round(float(mm) / step) for mm, step in zip(shift, spacing_mm, strict=True)]
        moved[part] = torch.roll(image[part], (steps[0], steps[1]), dims=(1, 2))
        share[part] = weight * float(rng.uniform(0.2, 1.0))
    return image + (moved - image) * near_heart * share[:, None, None]


Share = tuple[float, float]


def outside_circle(shape: tuple[int, int], spacing_mm: tuple[float, float], device: str) -> Tensor:
    """Pixels (rows, columns) outside the circle that touches the image's sides."""
    radius = min(shape[0] * spacing_mm[0], shape[1] * spacing_mm[1]) / 2
    return _squared_mm(shape, spacing_mm, (0.0, 0.0), device) > radius**2


def draw_fill(rng: np.random.Generator) -> float:
    """What a vendor writes where nothing was reconstructed."""
    return float(rng.choice(_FILLS_HU))


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
    kernel = kernel * (spacing_mm[0] * spacing_mm[1])  # a bolt streaks alike at every pixel size
    spread = torch.fft.irfft2(torch.fft.rfft2(dense[hit]) * torch.fft.rfft2(kernel), s=image.shape[1:])
    total[hit] = (spread * gain * 0.02).clamp(-250, 250)
    return total


def _squared_mm(
    shape: tuple[int, int], spacing_mm: tuple[float, float], middle_mm: tuple[float, float], device: str
) -> Tensor:
    """Squared distance (rows, columns) from a point given from the image's centre."""
    axes = [
        (torch.arange(n, device=device) - (n - 1) / 2) * step - place
        for n, step, place in zip(shape, spacing_mm, middle_mm, strict=True)
    ]
    return axes[0][:, None] ** 2 + axes[1][None] ** 2
