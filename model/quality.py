"""What makes a reading doubtful: noise, contrast agent, metal, motion, a heart that is cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from model.heart import HeartFinding
from model.labels import Anatomy
from model.motion import largest_step_mm
from model.surroundings import Surroundings

CONTRAST_HU: Final = 100.0
"""Blood of a scan without contrast agent is 30-60 HU; from here on it holds some."""
NOISY_HU: Final = 30.0
"""Above this standard deviation in blood, noise alone reaches 130 HU often enough to add to a score."""
METAL_HU: Final = 2500.0
METAL_MM3: Final = 10.0
STEP_MM: Final = 3.0
"""Phantoms whose heart lies still measure 0.4 to 2.6 mm; a jump of 4 mm measures 3.1 to 3.6, one of 6 mm 4.0 to 5.0."""

_BLOOD: Final = (
    (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA),
    (Anatomy.LEFT_VENTRICLE, Anatomy.RIGHT_VENTRICLE, Anatomy.LEFT_ATRIUM, Anatomy.RIGHT_ATRIUM),
)
_MAX_SLICES: Final = 12
_MIN_PIXELS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Measures of a scan; None where they could not be taken.

    Attributes
    ----------
    noise_sd_hu
        Standard deviation within the aorta (or the chambers) at native resolution, median over slices.
    blood_pool_hu
        Median HU of the same blood.
    truncated
        Sides on which the heart is cut off.
    metal_mm3
        Volume above 2500 HU in the field around the heart.
    step_mm
        How far the heart jumps between neighbouring slices, against the chest.

    """

    heart_found: bool
    noise_sd_hu: float | None
    blood_pool_hu: float | None
    truncated: tuple[str, ...]
    metal_mm3: float
    step_mm: float = 0.0

    @property
    def contrast(self) -> bool:
        """Whether the blood holds contrast agent."""
        return self.blood_pool_hu is not None and self.blood_pool_hu >= CONTRAST_HU

    @property
    def doubts(self) -> tuple[str, ...]:
        """Every reason to doubt the reading, in words; empty if there is none."""
        found = []
        if not self.heart_found:
            found.append("no heart found")
        if self.contrast:
            found.append(f"contrast agent: blood is {self.blood_pool_hu:.0f} HU")
        if self.noise_sd_hu is not None and self.noise_sd_hu > NOISY_HU:
            found.append(f"noisy: standard deviation of blood is {self.noise_sd_hu:.0f} HU")
        if self.truncated:
            found.append(f"heart cut off: {', '.join(self.truncated)}")
        if self.metal_mm3 > METAL_MM3:
            found.append(f"metal: {self.metal_mm3:.0f} mm3 above {METAL_HU:.0f} HU")
        if self.step_mm > STEP_MM:
            found.append(f"motion: heart displaced by {self.step_mm:.0f} mm between neighbouring slices")
        return tuple(found)


def assess(heart: HeartFinding, around: Surroundings | None) -> Quality:
    """Judge a scan by what the segmenter saw of it."""
    if around is None:
        return Quality(heart_found=False, noise_sd_hu=None, blood_pool_hu=None, truncated=(), metal_mm3=0.0)
    middle, noise = around.blood
    return Quality(
        heart_found=heart.found,
        noise_sd_hu=noise,
        blood_pool_hu=heart.blood_pool_hu if middle is None else middle,
        truncated=heart.truncated,
        metal_mm3=_metal_mm3(around),
        step_mm=largest_step_mm(around),
    )


def _metal_mm3(around: Surroundings) -> float:
    grid = around.upright.grid
    size = around.anatomy.shape[1]
    low = [max(0, int(c * s)) for c, s in zip(around.corner, around.scan.scale, strict=True)]
    high = [int((c + size) * s) for c, s in zip(around.corner, around.scan.scale, strict=True)]
    region = around.upright.hu[:, low[0] : high[0], low[1] : high[1]]
    return float(np.count_nonzero(region >= METAL_HU) * grid.voxel_volume_mm3)
