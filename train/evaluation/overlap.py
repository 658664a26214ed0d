"""Dice by case. Cases empty on both sides say nothing about overlap; they count as specificity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from train.evaluation.agreement import Estimate, proportion
from train.evaluation.records import Overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceSummary:
    """Dice of one region over cases.

    Attributes
    ----------
    values
        Dice of each case that is not empty on both sides, in order; 0 where only one side is.
    median, quartiles
        Of these; NaN if there are none.
    present
        Median over the cases whose truth is not empty.
    pooled
        Dice of the voxels of all cases together.
    false_alarms
        Cases whose truth is empty and whose reading is not.
    specificity
        Share of the cases with an empty truth whose reading is empty too.
    missed
        Cases whose truth is not empty and whose reading is.

    """

    values: tuple[float, ...]
    median: float
    quartiles: tuple[float, float]
    present: float
    pooled: float
    false_alarms: int
    specificity: Estimate
    missed: int


def dice(overlap: Overlap) -> float | None:
    """2 |A n B| / (|A| + |B|), or None where both are empty."""
    total = overlap.true + overlap.read
    return 2 * overlap.both / total if total else None


def summarise_dice(overlaps: Iterable[Overlap]) -> DiceSummary:
    """Sum up one region."""
    overlaps = tuple(overlaps)
    values = [value for value in map(dice, overlaps) if value is not None]
    empty = [overlap for overlap in overlaps if not overlap.true]
    false_alarms = sum(overlap.read > 0 for overlap in empty)
    low, median, high = np.percentile(values, (25, 50, 75)).tolist() if values else (float("nan"),) * 3
    present = [2 * overlap.both / (overlap.true + overlap.read) for overlap in overlaps if overlap.true]
    pooled = dice(
        Overlap(
            true=sum(overlap.true for overlap in overlaps),
            read=sum(overlap.read for overlap in overlaps),
            both=sum(overlap.both for overlap in overlaps),
        )
    )
    return DiceSummary(
        values=tuple(values),
        median=median,
        quartiles=(low, high),
        present=float(np.median(present)) if present else float("nan"),
        pooled=float("nan") if pooled is None else pooled,
        false_alarms=false_alarms,
        specificity=proportion(len(empty) - false_alarms, len(empty)),
        missed=sum(overlap.true > 0 and overlap.read == 0 for overlap in overlaps),
    )
