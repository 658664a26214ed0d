"""Whether a probability of 0.8 is right in 80 of 100: reliability, Brier score, expected calibration error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.evaluation.agreement import Estimate, proportion
from train.evaluation.records import CaseRecord

BINS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of about one probability."""

    count: int
    mean: float
    right: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far probabilities hold.

    Attributes
    ----------
    bins
        Those of ten equal ones that hold answers, in order.
    brier
        Mean squared difference of probability and outcome (Brier, Mon Weather Rev 1950;78:1-3, for two outcomes).
    ece
        Mean distance of probability and frequency over the bins, by the answers in each (Naeini et al., AAAI 2015).

    """

    count: int
    bins: tuple[Bin, ...]
    brier: float
    ece: float


def answers(records: Iterable[CaseRecord]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability of each lesion read, and whether at least half of it is calcium of that vessel in the truth."""
    found = [
        (lesion.probability, lesion.same_vessel >= 0.5)
        for record in records
        for lesion in record.lesions
        if lesion.side == "read" and lesion.probability is not None
    ]
    return np.array([p for p, _ in found], dtype=np.float64), np.array([right for _, right in found], dtype=np.bool_)


def reliability(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability | None:
    """Sum up answers; None if there are none. Raises ValueError for a probability outside 0..1."""
    if not probability.size:
        return None
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError("a probability lies from 0 to 1")
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in range(BINS):
        chosen = place == number
        count = int(chosen.sum())
        if count:
            share = proportion(int(right[chosen].sum()), count)
            bins.append(Bin(count=count, mean=float(probability[chosen].mean()), right=share))
    apart = sum(one.count * abs(one.mean - one.right.value) for one in bins)
    return Reliability(
        count=int(probability.size),
        bins=tuple(bins),
        brier=float(np.mean((probability - right) ** 2)),
        ece=float(apart / probability.size),
    )
