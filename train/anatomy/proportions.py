"""How one heart's proportions differ from the atlas: a few habits of the body and of disease, drawn together.

Chambers do not vary on their own. A stiff or overloaded left ventricle enlarges the left atrium; a failing one is wide
and thin-walled; lung disease widens right ventricle, right atrium and pulmonary trunk together; age enlarges left
atrium and aorta; a stout body has a horizontal heart in thick fat, a lean one an upright heart in thin fat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.anatomy.frame import Array
from train.anatomy.ranges import HeartRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportions:
    """Drawn once a heart.

    Attributes
    ----------
    swelling
        Radial growth at the middle of each of LV, RV, LA, RA, AO, PA in the atlas' order; 0 leaves it as it is.
    lv_wall_scale
        Thickness of the left ventricle's wall relative to the atlas.
    turn_deg
        Turn of the heart below its great vessels about the (z, y, x) axes.
    ascending_mm, root_mm
        Diameters of the ascending aorta and of the sinuses.
    unfolding_mm
        How far the ascending aorta bows to the front and to the right.
    root_stretch
        Relative lengthening of the root along the body's axis.
    fat
        0..1, from almost no epicardial fat to thick.

    """

    swelling: tuple[float, ...]
    lv_wall_scale: float
    turn_deg: Array
    ascending_mm: float
    root_mm: float
    unfolding_mm: float
    root_stretch: float
    fat: float


def draw_proportions(rng: np.random.Generator, size: float, ranges: HeartRanges) -> Proportions:
    """Draw the habits and what follows from them; ``size`` is the heart's relative to the atlas."""
    age, stout = rng.random(), rng.random()
    pressure, failure, right = (max(0.0, rng.standard_normal() - 0.2) / 2 for _ in range(3))  # absent in every other
    own = rng.uniform(*ranges.swelling, size=6)
    gain = ranges.remodelling
    atrial = 0.16 * age**2 + 0.12 * pressure + 0.15 * failure
    modes = np.array(
        [0.25 * failure - 0.08 * pressure, 0.25 * right, atrial, 0.3 * right + 0.06 * age, 0.0, 0.2 * right]
    )
    wall = 1 + 0.5 * pressure - 0.2 * failure
    turn = np.clip(rng.standard_normal(3), -2, 2) * np.asarray(ranges.turn_sd_deg) * 0.8
    turn = turn + np.asarray(ranges.turn_sd_deg) * np.array([-0.7, 0.7, 0.0]) * (2 * stout - 1)
    ascending = 34.5 * size**0.4 * np.exp(0.14 * age + 0.06 * pressure + rng.normal(0, 0.09))
    ascending = float(np.clip(ascending, *ranges.ascending_mm))
    return Proportions(
        swelling=tuple(np.clip(own + gain * np.clip(modes, -0.3, 0.45), -0.3, 0.45)),
        lv_wall_scale=float(np.clip(rng.uniform(*ranges.lv_wall_scale) * wall, 0.7, 1.9)),
        turn_deg=np.asarray(ranges.turn_mean_deg) + turn,
        ascending_mm=ascending,
        root_mm=float(np.clip(ascending * rng.uniform(0.95, 1.2), *ranges.ascending_mm)),
        unfolding_mm=rng.uniform(-2, 4) + 6 * age * rng.random(),
        root_stretch=rng.uniform(*ranges.root_stretch),
        fat=float(np.clip(0.6 * stout + 0.25 * age + rng.normal(0.05, 0.18), 0, 1)),
    )
