"""How much calcium a patient has, in which vessels, as which plaques.

No geometry, so it is cheap enough to draw by the thousand.

Categories follow the documented cohort (CAC 0 / 1-99 / 100-399 / >= 400 in 11 / 11 / 24 / 53 %; LAD 75 %, LCx 57 %,
RCA 56 %, aorta 85 %) or a screening population with little calcium.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from model.lesions import CORONARIES, Vessel
from train.anatomy.ranges import Cohort

_CATEGORY_SHARE: Final = {
    Cohort.HIGH: (0.11, 0.11, 0.24, 0.54),
    Cohort.LOW: (0.45, 0.33, 0.14, 0.08),
    Cohort.NONE: (1.0, 0.0, 0.0, 0.0),
}
_CATEGORY_SCORE: Final = ((0.0, 0.0), (3.0, 100.0), (100.0, 400.0), (400.0, 2600.0))
# How likely a vessel is calcified by category; LM is rarely so alone.
_VESSEL_SHARE: Final = {
    Vessel.LM: (0.0, 0.08, 0.25, 0.42),
    Vessel.LAD: (0.0, 0.62, 0.84, 0.93),
    Vessel.LCX: (0.0, 0.22, 0.50, 0.78),
    Vessel.RCA: (0.0, 0.26, 0.50, 0.76),
}
_WEIGHT: Final = {Vessel.LM: 0.35, Vessel.LAD: 1.3, Vessel.LCX: 0.7, Vessel.RCA: 1.0}
_SPREAD_MM: Final = {Vessel.LM: 6.0, Vessel.LAD: 26.0, Vessel.LCX: 28.0, Vessel.RCA: 42.0}
_AORTA_SHARE: Final = {Cohort.HIGH: 0.85, Cohort.LOW: 0.45, Cohort.NONE: 0.0}
_VALVE_SHARE: Final = {Cohort.HIGH: 0.42, Cohort.LOW: 0.15, Cohort.NONE: 0.0}
_MAX_PLAQUES: Final = 28
_SPECKS: Final = 0.35  # share of plaques


@dataclass(frozen=True, slots=True, kw_only=True)
class Plaque:
    """One coronary plaque.

    Attributes
    ----------
    along_mm
        Distance of its start from the vessel's ostium.
    length_mm
        Along the vessel.
    radius_mm
        Half thickness.
    wide
        0..1: how far round the wall it reaches (0 a spot, 1 a sheet around half the wall).
    hu
        HU added to soft tissue.

    """

    vessel: Vessel
    along_mm: float
    length_mm: float
    radius_mm: float
    wide: float
    hu: float

    def agatston(self) -> float:
        """Rough Agatston score this plaque will have at 3 mm and a medium kernel.

        The score follows the plaque's mass, less what blurring and thick slices push under the threshold. Fitted to 300
        simulated plaques: right within a factor of 1.5.
        """
        volume = np.pi * self.radius_mm**2 * self.length_mm * (1 + 1.2 * self.wide) + 4.2 * self.radius_mm**3
        kept_in_plane = 1 - np.exp(-(self.radius_mm**2) / (2 * 0.67**2))
        kept_in_slice = np.clip((2 * self.radius_mm + 0.4 * self.length_mm) / 3, 0.25, 1)
        peak = 40 + self.hu * kept_in_plane * kept_in_slice
        return float(2.1e-3 * volume * self.hu * np.clip((peak - 100) / 150, 0, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """A patient's calcium: coronary plaques, and how many on the aortic valve and the aortic walls."""

    target_score: float
    plaques: tuple[Plaque, ...]
    valve: int
    ascending: int
    descending: int


def draw_burden(rng: np.random.Generator, cohort: Cohort) -> Burden:
    """Draw a patient's calcium from a cohort."""
    if cohort is Cohort.MIXED:
        cohort = Cohort.HIGH if rng.random() < 0.5 else Cohort.LOW
    category = int(rng.choice(4, p=_CATEGORY_SHARE[cohort]))
    low, high = _CATEGORY_SCORE[category]
    target = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if category else 0.0
    plaques = _coronary(rng, category, target) if category else ()
    severity = (0.5, 0.8, 1.1, 1.6)[category]
    aorta = rng.random() < _AORTA_SHARE[cohort]
    return Burden(
        target_score=target,
        plaques=plaques,
        valve=1 + rng.poisson(3 * severity * rng.uniform(0.3, 2)) if rng.random() < _VALVE_SHARE[cohort] else 0,
        ascending=rng.poisson(1.2 * severity) if aorta else 0,
        descending=1 + rng.poisson(2.2 * severity) if aorta else 0,
    )


def _coronary(rng: np.random.Generator, category: int, target: float) -> tuple[Plaque, ...]:
    vessels = [vessel for vessel in CORONARIES if rng.random() < _VESSEL_SHARE[vessel][category]]
    if not vessels:
        vessels = [Vessel.LAD]
    shares = np.array([_WEIGHT[vessel] for vessel in vessels]) * rng.gamma(1.5, size=len(vessels))
    plaques: list[Plaque] = []
    for vessel, share in zip(vessels, shares / shares.sum(), strict=True):
        plaques.extend(_fill(rng, vessel, float(target * share)))
    return tuple(plaques)


def _fill(rng: np.random.Generator, vessel: Vessel, target: float) -> list[Plaque]:
    """Plaques of one vessel until their rough scores reach the target; the last one is trimmed to fit."""
    size = float(np.clip(0.75 + 0.12 * np.log1p(target), 0.8, 1.6))
    plaques: list[Plaque] = []
    left = target
    while left > 0 and len(plaques) < _MAX_PLAQUES:
        plaque = Plaque(
            vessel=vessel,
            along_mm=float(rng.exponential(_SPREAD_MM[vessel])),
            length_mm=float(min(rng.exponential(2.0 + 3.0 * size), 28.0)),
            radius_mm=float(np.clip(rng.lognormal(np.log(0.7 * size), 0.3), 0.4, 1.9)),
            wide=float(rng.beta(0.8, 2.0)),
            hu=float(np.clip(rng.lognormal(np.log(640), 0.5), 170, 1500)),
        )
        if rng.random() < _SPECKS:
            plaque = _speck(rng, plaque)
        score = max(plaque.agatston(), 0.5)
        if score > 1.5 * left and plaques and left < 0.3 * target:
            break
        plaques.append(plaque if score <= 1.5 * left else _trimmed(plaque, left))
        left -= score
    return plaques


def _speck(rng: np.random.Generator, plaque: Plaque) -> Plaque:
    """A faint one, of which screening scans are full: a few units at most, in one or two slices, some below 130 HU."""
    return replace(
        plaque,
        length_mm=float(min(rng.exponential(1.2), 4.0)),
        radius_mm=float(rng.uniform(0.55, 0.95)),
        wide=float(plaque.wide * 0.3),
        hu=float(np.clip(rng.lognormal(np.log(480), 0.35), 200, 1000)),
    )


def _trimmed(plaque: Plaque, target: float) -> Plaque:
    for _ in range(12):
        if plaque.agatston() <= 1.5 * target:
            return plaque
        plaque = Plaque(
            vessel=plaque.vessel, along_mm=plaque.along_mm, length_mm=plaque.length_mm * 0.75,
            radius_mm=max(plaque.radius_mm * 0.93, 0.5), wide=plaque.wide * 0.7, hu=plaque.hu,
        )  # fmt: skip
    return plaque
