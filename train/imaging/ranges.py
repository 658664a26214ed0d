"""Ranges the scanner is drawn from (120 kVp, gated, no contrast); a pair is (low, high) of a uniform draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingRanges:
    """Sharpness, noise and artefacts, at the scanner's own pixels.

    Measured on gated scans: in-plane Gaussian point spread with a standard deviation of 0.57-0.61 mm, noise of 15-25 HU
    in the aorta with a power peak near 0.20 /mm and 10 % of it at 0.55 /mm. Measured on the QRM thorax phantom
    (Aquilion ONE, FC12, MolloiLab/CAC-stanford-data): noise of 21 HU in the middle, 15-16 in the lungs, 22-32 in the
    walls; its power is 0.65 of the top at 0.05 /mm, flat from 0.15 to 0.35, 0.3 at 0.52 and 0.1 at 0.62 /mm;
    neighbouring slices share 5 % of it. The ranges go beyond on purpose. Shares are probabilities.

    """

    psf_sigma_mm: Range = (0.42, 0.9)
    enhancing: float = 0.4  # share of kernels that overshoot at edges
    edge_gain: Range = (0.05, 0.4)
    edge_mm: Range = (0.9, 1.7)
    profile_softness: Range = (0.0, 0.6)  # ramps of the slice profile, in slice thicknesses
    overlapping: float = 0.5  # share of thin spacings whose slices are twice as thick
    noise_sd_hu: Range = (8.0, 38.0)
    noise_peak_per_mm: Range = (0.16, 0.34)
    noise_order: Range = (1.8, 4.0)  # how sharply the power falls beyond the peak
    noise_floor: Range = (0.0, 1.0)  # power at frequency zero, against half of the peak's
    blotchy: float = 0.15  # share of iterative reconstructions, whose noise is coarse
    blotchy_peak_per_mm: Range = (0.06, 0.12)
    noise_density: Range = (0.1, 0.9)  # how much more noise where there is more tissue around
    noise_slope: Range = (-0.25, 0.4)  # more noise towards the back, over 250 mm
    starved: float = 0.3  # share of scans whose noise runs in streaks across the body
    starved_gain: Range = (0.5, 6.0)
    hu_shift: Range = (-10.0, 10.0)
    cupping_hu: Range = (-4.0, 12.0)
    shading_hu: Range = (0.0, 5.0)
    streak_gain: Range = (0.3, 1.2)
    doubled: float = 0.35  # share of scans whose heart moves while a slice is taken
    doubled_weight: Range = (0.15, 0.5)
    doubled_mm: Range = (0.8, 4.0)
    rings: float = 0.05
    ring_hu: Range = (3.0, 12.0)
    circle: float = 0.25  # share of scans with nothing outside the circle in the field of view

    @classmethod
    def unseen(cls) -> Self:
        """For the hold-out: blurrier, noisier, more shifted and more often disturbed than training draws."""
        return cls(
            psf_sigma_mm=(0.4, 1.05),
            edge_gain=(0.05, 0.5),
            profile_softness=(0.0, 0.8),
            noise_sd_hu=(8.0, 45.0),
            noise_peak_per_mm=(0.10, 0.36),
            blotchy=0.25,
            noise_slope=(-0.3, 0.5),
            starved=0.4,
            hu_shift=(-14.0, 14.0),
            cupping_hu=(-6.0, 16.0),
            shading_hu=(0.0, 7.0),
            doubled=0.5,
            rings=0.1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """The noise's power spectrum; see :func:`train.imaging.noise.power`."""

    peak_per_mm: float = 0.2
    order: float = 2.0
    floor: float = 0.0
    across: float = 0.0
    angle: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One scan's drawn values; units as in :class:`ImagingRanges`. What is 0 is absent."""

    psf_sigma_mm: float
    edge_gain: float = 0.0
    edge_mm: float = 1.3
    profile_softness: float = 0.0
    overlapping: bool = False
    noise_sd_hu: float
    noise_density: float = 0.0
    noise_slope: float = 0.0
    grain: Grain = Grain()
    hu_shift: float = 0.0
    cupping_hu: float = 0.0
    shading_hu: float = 0.0
    streak_gain: float = 0.0
    doubled_weight: float = 0.0
    doubled_mm: float = 0.0
    ring_hu: float = 0.0
    circle: bool = False
