"""How far a score may be off because of components that may or may not be calcium."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.touching import lesion_of

TAIL: Final = 0.05
"""Probability on either side of the interval."""

_BINS: Final = 4096
_SURE: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claims:
    """Lesions that may be coronary calcium, accepted or not.

    Attributes
    ----------
    points
        float64 (n,) Agatston score of each, if it is there.
    probability
        float64 (n,) that it is.

    """

    points: NDArray[np.float64]
    probability: NDArray[np.float64]

    @classmethod
    def none(cls) -> Claims:
        """No lesion."""
        return cls(points=np.zeros(0), probability=np.zeros(0))

    @classmethod
    def joined(
        cls, points: NDArray[np.float64], probability: NDArray[np.float64], touching: NDArray[np.int64]
    ) -> Claims:
        """Join components (n,) that touch, as pairs (2, m), to lesions that are there or not as a whole.

        A lesion's probability is the mean of its components' by their points, so the expected score stays the same.
        """
        lesion = lesion_of(touching, points.size)
        total = np.bincount(lesion, points).astype(np.float64, copy=False)
        expected = np.bincount(lesion, points * probability).astype(np.float64, copy=False)
        used = total > 0
        return cls(points=total[used], probability=expected[used] / total[used])


def score_interval(claims: Claims, score: float) -> tuple[float, float]:
    """Score below which it lies with a probability of 5 %, and the one above which it does; they hold ``score``.

    Every lesion is there or not, with its probability and independently of the others, though a judge may have weighed
    them together (:mod:`model.company`), which makes the interval too narrow; the distribution of the sum is made by
    convolution in steps of 1/4096 of the doubtful points, rounded outwards. What nothing marks as a candidate (calcium
    below the threshold) and errors that all lesions share are not in it.
    """
    sure = claims.probability >= 1 - _SURE
    open_ = (claims.probability > _SURE) & ~sure
    base = float(claims.points[sure].sum())
    points, probability = claims.points[open_], claims.probability[open_]
    total = float(points.sum())
    if total <= 0:
        return (min(base, score), max(base, score))
    steps = points / total * _BINS
    # rounded away from the middle: no score that has its chance is left out by a hair
    low = base + _reached(np.floor(steps), probability, TAIL) * total / _BINS
    high = base + min(_reached(np.ceil(steps), probability, 1 - TAIL) / _BINS, 1.0) * total
    return (min(low, score), max(high, score))


def _reached(steps: NDArray[np.float64], probability: NDArray[np.float64], level: float) -> int:
    """Least sum of lesions (n,) in whole ``steps`` that is not exceeded with the probability ``level``."""
    chance = np.zeros(int(steps.sum()) + 1)
    chance[0] = 1.0
    for step, p in zip(steps.astype(int).tolist(), probability.tolist(), strict=True):
        moved = chance * p
        chance *= 1 - p
        chance[step:] += moved[: chance.size - step]
    # rounding may leave the last sum short of one
    return min(int(np.searchsorted(np.cumsum(chance), level)), chance.size - 1)
