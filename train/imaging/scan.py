"""What the scanner makes of HU on sub-slices: slice profile and point spread; and the draw of a scanner."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.imaging.ranges import Grain, ImagingRanges, Scanner

_THIN_MM = 2.0  # below this spacing slices may overlap


def draw_scanner(rng: np.random.Generator, ranges: ImagingRanges) -> Scanner:
    """Draw one scan's sharpness, noise and artefacts; noise is drawn evenly in its logarithm."""
    low, high = np.log(ranges.noise_sd_hu)
    moving = rng.random() < ranges.doubled
    return Scanner(
        psf_sigma_mm=rng.uniform(*ranges.psf_sigma_mm),
        edge_gain=rng.uniform(*ranges.edge_gain) if rng.random() < ranges.enhancing else 0.0,
        edge_mm=rng.uniform(*ranges.edge_mm),
        profile_softness=rng.uniform(*ranges.profile_softness),
        overlapping=bool(rng.random() < ranges.overlapping),
        noise_sd_hu=float(np.exp(rng.uniform(low, high))),
        noise_density=rng.uniform(*ranges.noise_density),
        noise_slope=rng.uniform(*ranges.noise_slope),
        grain=_draw_grain(rng, ranges),
        hu_shift=rng.uniform(*ranges.hu_shift),
        cupping_hu=rng.uniform(*ranges.cupping_hu),
        shading_hu=rng.uniform(*ranges.shading_hu),
        streak_gain=rng.uniform(*ranges.streak_gain),
        doubled_weight=rng.uniform(*ranges.doubled_weight) if moving else 0.0,
        doubled_mm=rng.uniform(*ranges.doubled_mm),
        ring_hu=rng.uniform(*ranges.ring_hu) if rng.random() < ranges.rings else 0.0,
        circle=bool(rng.random() < ranges.circle),
    )


def profile(scanner: Scanner, step_mm: float, sub_step_mm: float) -> list[float]:
    """Weights of the sub-slices about a slice's middle: a box with ramps, as thick as the spacing or twice that."""
    thickness = step_mm * (2.0 if overlaps(scanner, step_mm) else 1.0)
    ramp = max(scanner.profile_softness * thickness, 1e-6)
    own = round(step_mm / sub_step_mm)
    reach = max(own, own + 2 * int(np.ceil(((thickness + ramp - step_mm) / 2) / sub_step_mm - 1e-3)))
    middles = (np.arange(reach) - (reach - 1) / 2) * sub_step_mm
    points = middles[:, None] + (np.arange(20) - 9.5) / 20 * sub_step_mm
    weights = np.clip((thickness / 2 - np.abs(points)) / ramp + 0.5, 0, 1).mean(axis=1)
    return [float(weight) for weight in weights / weights.sum()]


def overlaps(scanner: Scanner, step_mm: float) -> bool:
    """Whether slices at this spacing are twice as thick as it."""
    return scanner.overlapping and step_mm < _THIN_MM


def slices(fine: Tensor, per_slice: int, weights: list[float]) -> Tensor:
    """Weighted mean of the sub-slices about each slice's middle; beyond the ends the last one goes on."""
    extra = (len(weights) - per_slice) // 2
    count = fine.shape[0] // per_slice
    total = torch.zeros((count, *fine.shape[1:]), device=fine.device)
    for place, weight in enumerate(weights):
        first = place - extra
        inside = [min(max(first + k * per_slice, 0), fine.shape[0] - 1) for k in range(count)]
        regular = first >= 0 and first + (count - 1) * per_slice < fine.shape[0]
        total.add_(fine[first::per_slice][:count] if regular else fine[inside], alpha=weight)
    return total


def blur(image: Tensor, spacing_mm: tuple[float, float], sigma_mm: float) -> Tensor:
    """Gaussian point spread in plane; ``image`` (slices, rows, columns), spacing (row, column)."""
    for axis, step in ((1, spacing_mm[0]), (2, spacing_mm[1])):
        image = _smoothed(image, sigma_mm / step, axis)
    return image


def resolve(image: Tensor, spacing_mm: tuple[float, float], scanner: Scanner, *, averaged: bool = False) -> Tensor:
    """What the kernel makes of slices: the point spread, and with enhancing kernels an overshoot at edges.

    ``averaged`` pixels are those that reading makes of finer ones. The triangle two pixels wide that it weights with
    has a variance of a sixth of a pixel squared; rendering at the larger pixels has brought a quarter of it already
    (what is left was set so that specks peak at 1 mm pixels as when made at a scanner's own and averaged).
    """
    spread = scanner.psf_sigma_mm**2 + (spacing_mm[0] * spacing_mm[1] / 8.0 if averaged else 0.0)
    sharp = blur(image, spacing_mm, float(np.sqrt(spread)))
    if scanner.edge_gain == 0:
        return sharp
    return sharp + scanner.edge_gain * (sharp - blur(sharp, spacing_mm, scanner.edge_mm))


def _draw_grain(rng: np.random.Generator, ranges: ImagingRanges) -> Grain:
    coarse = rng.random() < ranges.blotchy
    return Grain(
        peak_per_mm=rng.uniform(*(ranges.blotchy_peak_per_mm if coarse else ranges.noise_peak_per_mm)),
        order=rng.uniform(*ranges.noise_order),
        floor=rng.uniform(*ranges.noise_floor),
        across=rng.uniform(*ranges.starved_gain) if rng.random() < ranges.starved else 0.0,
        angle=rng.normal(0.0, 0.15),
    )


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
