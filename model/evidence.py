"""What is known of each bright component: what the networks say of it, and what can be measured around it.

Heights above something are in units of the scan's noise, so that they mean the same in a quiet and in a noisy scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.judgement import CHAMBERS, FEATURES
from model.labels import Anatomy, Territory
from model.lesions import CORONARIES, Vessel
from model.pooling import pool, softmax
from model.preprocess import FIELD
from model.spots import Spots
from model.surroundings import Surroundings

_T = TypeVar("_T", bound=np.generic)

QUIET_HU: Final = 8.0
"""Noise is taken to be at least this; no calcium scan has less, and what is measured in a few pixels may say so."""
USUAL_NOISE_HU: Final = 20.0
"""Taken where the noise could not be measured."""

_LIMIT: Final = 8.0  # log-odds of the networks beyond this say nothing more
_RINGS_MM: Final = (1.5, 3.0, 4.5, 6.0, 8.0, 11.0)
_AROUND: Final = slice(1, 4)
_ZONES: Final = {"close": slice(0, 2), "near": slice(2, 4), "far": slice(4, 6)}
"""Rings of which each place is told in :data:`model.judgement.CHAMBERS`."""
_CHAMBERS: Final = dict(zip(CHAMBERS, (Anatomy.LEFT_ATRIUM, Anatomy.LEFT_VENTRICLE, Anatomy.EPICARDIAL), strict=True))
_ANGLES: Final = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_NEAR_MM: Final = 1.5
_STEP_MM: Final = 2.5
_HEART: Final = (
    Anatomy.LEFT_VENTRICLE,
    Anatomy.RIGHT_VENTRICLE,
    Anatomy.LEFT_ATRIUM,
    Anatomy.RIGHT_ATRIUM,
    Anatomy.EPICARDIAL,
)
_AORTA: Final = (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA)
_SCORED: Final = [vessel.label for vessel in Vessel]
_CORONARY: Final = [vessel.label for vessel in CORONARIES]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What the ensemble said of the voxels of all components.

    Attributes
    ----------
    logits
        One (n, len(Territory) + 1) per member, territories and then calcium; NaN where it was not asked.

    """

    logits: tuple[NDArray[np.float32], ...]

    def territory(self) -> NDArray[np.float32]:
        """Territory probabilities (n, len(Territory)), mean of the members that were asked; background without any."""
        total = np.zeros((self.logits[0].shape[0], len(Territory)), dtype=np.float32)
        asked = np.zeros((total.shape[0], 1), dtype=np.float32)
        for logits in self.logits:
            known = ~np.isnan(logits[:, 0])
            total[known] += softmax(logits[known, : len(Territory)])
            asked[known] += 1
        total[asked[:, 0] == 0, Territory.BACKGROUND] = 1
        return np.asarray(total / np.maximum(asked, 1))

    def calcium(self) -> NDArray[np.float32]:
        """Log-odds (n,) of the calcium head, mean of the members; very low where nobody was asked."""
        heads = np.stack([logits[:, len(Territory)] for logits in self.logits])
        asked = (~np.isnan(heads)).sum(axis=0)
        mean = np.nansum(heads, axis=0) / np.maximum(asked, 1)
        return np.asarray(np.where(asked > 0, mean, -_LIMIT), dtype=np.float32)


def measured(
    spots: Spots, around: Surroundings, noise_hu: float | None, floor_hu: float
) -> dict[str, NDArray[np.float64]]:
    """Every feature (count,) of components that no network has a say in, by name.

    Parameters
    ----------
    noise_hu
        Standard deviation in blood; None if it could not be measured.
    floor_hu
        The calcium threshold.

    """
    noise = max(USUAL_NOISE_HU if noise_hu is None else noise_hu, QUIET_HU)
    return _brightness(spots, around, noise, floor_hu)


def features(
    spots: Spots, said: Said, near: NDArray[np.bool_], known: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Every feature of every component (count, len(FEATURES)).

    Parameters
    ----------
    near
        (count, 2), as in :func:`model.pooling.gated`.
    known
        From :func:`measured`.

    """
    named = {**known, **_network(spots, said, near)}
    return np.stack([named[name] for name in FEATURES], axis=1)


def _network(spots: Spots, said: Said, near: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    territory = said.territory()
    shares = allowed(pool(territory, spots.component, spots.count), near)
    scored = shares[:, _SCORED].sum(axis=1)
    each = territory[:, _SCORED].sum(axis=1, dtype=np.float64)
    best = np.maximum.reduceat(each, spots.starts) if spots.count else each
    calcium = said.calcium().astype(np.float64).clip(-_LIMIT, _LIMIT)
    members = np.stack([_log_odds(softmax(logits[:, : len(Territory)]), spots) for logits in said.logits])
    asked = (~np.isnan(members)).sum(axis=0)
    spread = np.nanstd(np.where(asked > 1, members, 0.0), axis=0)
    return {
        "over_background": _ratio(scored, shares[:, Territory.BACKGROUND]),
        "over_confuser": _ratio(scored, shares[:, Territory.CONFUSER]),
        "best_pixel": _ratio(best, 1 - best),
        "calcium_mean": pool(calcium[:, None].astype(np.float32), spots.component, spots.count)[:, 0],
        "calcium_best": np.maximum.reduceat(calcium, spots.starts) if spots.count else calcium,
        "disagreement": np.nan_to_num(spread),
        "aortic": shares[:, Vessel.TA.label] / np.maximum(scored, 1e-9),
        "valve": shares[:, Vessel.AV.label] / np.maximum(scored, 1e-9),
    }


def allowed(shares: NDArray[np.float64], near: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shares (count, territories) without what cannot lie there."""
    shares = shares.copy()
    shares[:, [*_CORONARY, Vessel.AV.label]] *= near[:, :1]
    shares[:, Vessel.TA.label] *= near[:, 1]
    return shares


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of a ratio of probabilities, within limits."""
    small = np.exp(-_LIMIT)
    return np.asarray(np.log((one + small) / (other + small)).clip(-_LIMIT, _LIMIT))


def _log_odds(territory: NDArray[np.float32], spots: Spots) -> NDArray[np.float64]:
    """One member's log-odds (count,) that a component is scored; NaN where it was not asked."""
    scored = pool(territory[:, _SCORED].sum(axis=1, keepdims=True), spots.component, spots.count)[:, 0]
    return _ratio(scored, 1 - scored)


def _brightness(spots: Spots, around: Surroundings, noise: float, floor_hu: float) -> dict[str, NDArray[np.float64]]:
    rings, seen = _rings(spots, around)
    ring, anatomy = _joined(rings[:, _AROUND]), _joined(seen[:, _AROUND])
    base = np.median(ring, axis=1) if spots.count else np.zeros(0)
    above, below = (_beside(spots, around, way) for way in (1, -1))
    support = np.sort((np.stack([above, below]) - base) / noise, axis=0).clip(-3, 30)
    return {
        "log_area": np.log(spots.area_mm2),
        "rise": np.log1p(((spots.peak_hu - floor_hu) / noise).clip(0, 60)),
        "contrast": np.log1p(((spots.peak_hu - base) / noise).clip(0, 60)),
        "noise": np.full(spots.count, np.log(noise / USUAL_NOISE_HU)),
        "support_high": np.arcsinh(support[1]),
        "support_low": np.arcsinh(support[0]),
        "fat": ((ring > -200) & (ring < -20)).mean(axis=1),
        "lung": (ring < -300).mean(axis=1),
        "bright": (ring > 200).mean(axis=1),
        "in_heart": np.isin(anatomy, _HEART).mean(axis=1),
        "in_aorta": np.isin(anatomy, _AORTA).mean(axis=1),
        "in_bone": (anatomy == Anatomy.BONE).mean(axis=1),
        **{
            f"{what} {where}": (_joined(seen[:, zone]) == label).mean(axis=1)
            for where, zone in _ZONES.items()
            for what, label in _CHAMBERS.items()
        },
    }


def _rings(spots: Spots, around: Surroundings) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """HU and anatomy (count, rings, samples) on ellipses 1.5 to 11 mm outside each component's box."""
    hu, grid = around.upright.hu, around.upright.grid
    lines, inside = [], []
    for axis, wave in ((1, np.sin(_ANGLES)), (2, np.cos(_ANGLES))):
        place = spots.voxels.index[axis]
        low, high = (_reduced(extreme, place, spots.starts) for extreme in (np.minimum, np.maximum))
        reach = ((high - low) / 2)[:, None] + np.array(_RINGS_MM) / grid.spacing_mm[axis]
        sample = ((low + high) / 2)[:, None, None] + reach[:, :, None] * wave
        native = np.rint(sample).astype(np.int64).clip(0, grid.shape[axis] - 1)
        lines.append(native)
        inside.append((around.scan.pixel_of(axis - 1, native) - around.corner[axis - 1]).clip(0, FIELD - 1))
    k = spots.slice[:, None, None]
    return hu[k, lines[0], lines[1]].astype(np.float64), around.anatomy[k, inside[0], inside[1]]


def _joined(values: NDArray[_T]) -> NDArray[_T]:
    """All samples (count, rings * samples) of some rings (count, rings, samples)."""
    return values.reshape(len(values), values.shape[1] * values.shape[2])


def _beside(spots: Spots, around: Surroundings, way: int) -> NDArray[np.float64]:
    """Highest HU (count,) within 1.5 mm of a component about 3 mm above (way 1) or below it (-1).

    At the end of the scan there is nothing to see; then it is the air's.
    """
    hu, grid = around.upright.hu, around.upright.grid
    z, row, column = spots.voxels.index
    other = z + way * max(1, round(_STEP_MM / grid.spacing_mm[0]))
    there = (other >= 0) & (other < grid.shape[0])
    other = other.clip(0, grid.shape[0] - 1)
    highest = np.full(z.size, -1000.0)
    down, across = (max(1, round(_NEAR_MM / mm)) for mm in grid.spacing_mm[1:])
    for dy in (-down, 0, down):
        for dx in (-across, 0, across):
            at = (other, (row + dy).clip(0, grid.shape[1] - 1), (column + dx).clip(0, grid.shape[2] - 1))
            np.maximum(highest, hu[at], out=highest)
    return _reduced(np.maximum, np.where(there, highest, -1000.0), spots.starts)


def _reduced(extreme: np.ufunc, values: NDArray[np.generic], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(extreme.reduceat(values, starts) if starts.size else values[:0], dtype=np.float64)
