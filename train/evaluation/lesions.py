"""Lesions found, missed, invented, and called by another vessel's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.lesions import Vessel
from train.evaluation.agreement import Estimate, proportion
from train.evaluation.records import CONFUSER, NOTHING, PARTS, CaseRecord, LesionRecord

SIZES: Final = (("< 10", 0.0), ("10-49", 10.0), ("50-199", 50.0), (">= 200", 200.0))
"""Size classes by the Agatston score of the lesion: name and lower end."""

ROWS: Final = (*map(str, Vessel), CONFUSER, NOTHING)
COLUMNS: Final = (*map(str, Vessel), NOTHING)

_TOGETHER: Final = frozenset(map(str, PARTS["LM+LAD"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How lesions of one group were dealt with.

    Attributes
    ----------
    true, read
        Lesions of the group in the truth and in the reading.
    sensitivity
        Share of the true ones of which at least half is read as the same kind (coronary; or aorta and valve).
    precision
        Share of the read ones of which at least half is true calcium of the same kind.
    vessel_right
        Share of the true ones that were found whose vessel is right; and the same with LM and LAD taken as one.

    """

    true: int
    read: int
    sensitivity: Estimate
    precision: Estimate
    vessel_right: Estimate
    vessel_right_lm_lad: Estimate


def detection(records: Iterable[CaseRecord], chosen: Callable[[LesionRecord], bool]) -> Detection:
    """Sum up the lesions for which ``chosen`` holds."""
    lesions = [lesion for record in records for lesion in record.lesions if chosen(lesion)]
    true = [lesion for lesion in lesions if lesion.side == "true"]
    read = [lesion for lesion in lesions if lesion.side == "read"]
    found = [lesion for lesion in true if lesion.matched]
    return Detection(
        true=len(true),
        read=len(read),
        sensitivity=proportion(len(found), len(true)),
        precision=proportion(sum(lesion.matched for lesion in read), len(read)),
        vessel_right=proportion(sum(lesion.right for lesion in found), len(found)),
        vessel_right_lm_lad=proportion(sum(_right_but_for_lm_lad(lesion) for lesion in found), len(found)),
    )


def size_class(lesion: LesionRecord) -> str:
    """Name of its class in :data:`SIZES`."""
    return [name for name, low in SIZES if lesion.agatston >= low][-1]


def confusion(records: Sequence[CaseRecord]) -> NDArray[np.int64]:
    """Lesions by what they are (:data:`ROWS`) and what they are called (:data:`COLUMNS`).

    A true lesion stands in its vessel's row, under what most of it is called. The last two rows hold lesions of the
    reading that are no calcium to be scored: known confusers, and nothing known.
    """
    table = np.zeros((len(ROWS), len(COLUMNS)), dtype=np.int64)
    for record in records:
        for lesion in record.lesions:
            if lesion.side == "true":
                table[ROWS.index(lesion.vessel), COLUMNS.index(lesion.called)] += 1
            elif lesion.called in (CONFUSER, NOTHING):
                table[ROWS.index(lesion.called), COLUMNS.index(lesion.vessel)] += 1
    return table


def false_coronary(record: CaseRecord) -> int:
    """Coronary lesions of the reading that are mostly no coronary calcium."""
    return sum(lesion.side == "read" and lesion.coronary and not lesion.matched for lesion in record.lesions)


def _right_but_for_lm_lad(lesion: LesionRecord) -> bool:
    return lesion.right or (lesion.matched and {lesion.vessel, lesion.called} <= _TOGETHER)
