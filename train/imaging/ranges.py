"""Ranges the scanner is drawn from (120 kVp, gated, no contrast); a pair is (low, high) of a uniform draw."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingRanges:
    """Sharpness, noise and artefacts.

    Measured on gated scans: in-plane Gaussian point spread with a standard deviation of 0.57-0.61 mm, noise of 15-25 HU
    in the aorta with a power peak near 0.20 /mm and 10 % of it at 0.55 /mm. The ranges go beyond on purpose.
    """

    psf_sigma_mm: Range = (0.45, 0.85)
    enhancing: float = 0.4  # share of kernels that overshoot at edges
    edge_gain: Range = (0.05, 0.35)
    noise_sd_hu: Range = (9.0, 36.0)
    noise_peak_per_mm: Range = (0.14, 0.28)
    hu_shift: Range = (-10.0, 10.0)
    cupping_hu: Range = (-4.0, 12.0)
    streak_gain: Range = (0.3, 1.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One scan's drawn values; units as in :class:`ImagingRanges`."""

    psf_sigma_mm: float
    edge_gain: float
    noise_sd_hu: float
    noise_peak_per_mm: float
    hu_shift: float
    cupping_hu: float
    streak_gain: float
