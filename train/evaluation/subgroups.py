"""The same figures by kind of case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.evaluation.agreement import Estimate, icc
from train.evaluation.lesions import Detection, detection
from train.evaluation.overlap import DiceSummary, summarise_dice
from train.evaluation.records import CaseRecord
from train.evaluation.summary import categorised, scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """The coronary figures of one subgroup.

    Attributes
    ----------
    icc
        None where the truth does not vary.
    bias
        Mean difference of the coronary score, reading less truth.
    false_score
        Median Agatston score of what is falsely called coronary.

    """

    kind: str
    name: str
    cases: int
    dice: DiceSummary
    categories_right: Estimate
    icc: Estimate | None
    bias: float
    lesions: Detection
    false_score: float


def subgroups(records: Sequence[CaseRecord]) -> tuple[Subgroup, ...]:
    """Every subgroup of every kind, names in order. A kind with one name tells nothing: left out."""
    kinds = dict.fromkeys(kind for record in records for kind in record.groups)
    found = []
    for kind in kinds:
        names = sorted({record.groups[kind] for record in records if kind in record.groups}, key=_order)
        if len(names) > 1:
            found += [_subgroup(kind, name, [one for one in records if one.groups.get(kind) == name]) for name in names]
    return tuple(found)


def _order(name: str) -> tuple[float, str]:
    """By the number a name begins with, '<' before all and '>' after all numbers."""
    if name.startswith("<"):
        return (-1.0, name)
    if name.startswith(">"):
        return (float("inf"), name)
    digits = name.split("-", maxsplit=1)[0].split(" ", maxsplit=1)[0]
    try:
        return (float(digits), name)
    except ValueError:
        return (0.0, name)


def _subgroup(kind: str, name: str, records: Sequence[CaseRecord]) -> Subgroup:
    truth, read = scores(records, "CAC")
    return Subgroup(
        kind=kind,
        name=name,
        cases=len(records),
        dice=summarise_dice(record.overlaps["CAC"] for record in records),
        categories_right=categorised(records).right,
        icc=icc(np.stack([truth, read], axis=1)) if np.ptp(truth) > 0 else None,
        bias=float((read - truth).mean()),
        lesions=detection(records, lambda lesion: lesion.coronary),
        false_score=float(np.median([record.false_score for record in records])),
    )
