"""One reader's figures over a set of cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model import risk
from train.evaluation import calibration
from train.evaluation.agreement import (
    BlandAltman,
    Estimate,
    bland_altman,
    bootstrapped,
    icc,
    kappa,
    proportion,
    spearman,
)
from train.evaluation.lesions import Detection, detection, false_coronary
from train.evaluation.overlap import DiceSummary, summarise_dice
from train.evaluation.records import PARTS, CaseRecord

FINE_CATEGORIES: Final = ("0", "1-10", "11-100", "101-400", "> 400")
"""Rumberger et al., Mayo Clin Proc 1999;74:243-252."""
_SAME_SCORE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Truth against reading for one measure of one region."""

    spearman: Estimate
    icc: Estimate
    raw: BlandAltman
    root: BlandAltman


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """Cases by true (row) and read (column) category."""

    names: tuple[str, ...]
    table: NDArray[np.int64]
    right: Estimate
    linear: float
    quadratic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseCalcium:
    """Coronary calcium called where there is none.

    Attributes
    ----------
    zero_cases, zero_called
        Cases with a true coronary score of 0, and those of them with a score.
    zero_scores
        Read scores of the latter, rising.
    score
        Median and quartiles over all cases of the Agatston score of what is falsely called coronary.
    missed_score
        The same of what is missed.
    lesions
        False coronary lesions a case, mean.

    """

    zero_cases: int
    zero_called: int
    zero_scores: tuple[float, ...]
    score: tuple[float, float, float]
    missed_score: tuple[float, float, float]
    lesions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What the reader says of its own readings; None where it says nothing of the kind.

    Attributes
    ----------
    covered
        Share of the cases whose true score lies in the interval.
    width
        Median width of the interval, Agatston.
    doubtful
        Share of the cases with any doubt.
    reasons
        Cases by reason.
    right_when_sure, right_when_doubtful
        Share of right categories without and with a doubt.
    no_heart
        Cases in which no heart was found.
    centre_mm
        Median and largest error of the heart's centre.

    """

    covered: Estimate | None
    width: float | None
    doubtful: Estimate | None
    reasons: tuple[tuple[str, int], ...]
    right_when_sure: Estimate | None
    right_when_doubtful: Estimate | None
    no_heart: int | None
    centre_mm: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything the tables and plots of one reader show."""

    reader: str
    cases: int
    dice: dict[str, DiceSummary]
    agatston: dict[str, Agreement]
    volume: Agreement
    mass: Agreement | None
    categories: Categories
    fine_categories: Categories
    coronary: Detection
    aortic: Detection
    false: FalseCalcium
    reliability: calibration.Reliability | None
    gates: Gates


def summarise(reader: str, records: Sequence[CaseRecord]) -> Summary:
    """Sum up the records of one reader. Raises ValueError if there is none."""
    if not records:
        raise ValueError("there is nothing to sum up: no case was read")
    return Summary(
        reader=reader,
        cases=len(records),
        dice={part: summarise_dice(record.overlaps[part] for record in records) for part in PARTS},
        agatston={part: agreement(*scores(records, part)) for part in PARTS},
        volume=agreement(*_measured(records, "volume_mm3")),
        mass=_mass(records),
        categories=categorised(records),
        fine_categories=_table(records, FINE_CATEGORIES, _fine_category),
        coronary=detection(records, lambda lesion: lesion.coronary),
        aortic=detection(records, lambda lesion: not lesion.coronary),
        false=_false(records),
        reliability=calibration.reliability(*calibration.answers(records)),
        gates=_gates(records),
    )


def scores(records: Sequence[CaseRecord], part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True and read Agatston scores of a part, (cases,) each."""
    pairs = [(record.truth[part].agatston, record.read[part].agatston) for record in records]
    truth, read = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return truth, read


def agreement(truth: NDArray[np.float64], read: NDArray[np.float64]) -> Agreement:
    """Every figure of agreement; the square root takes account of errors that grow with the score."""
    return Agreement(
        spearman=bootstrapped(spearman, truth, read),
        icc=icc(np.stack([truth, read], axis=1)),
        raw=bland_altman(truth, read),
        root=bland_altman(np.sqrt(truth), np.sqrt(read)),
    )


def categorised(records: Sequence[CaseRecord]) -> Categories:
    """Cases by the categories of :data:`model.risk.CATEGORIES`."""
    return _table(records, risk.CATEGORIES, lambda score: risk.CATEGORIES.index(risk.category(score)))


def _fine_category(score: float) -> int:
    return int((score > 0) + (score > 10) + (score > 100) + (score > 400))


def _table(records: Sequence[CaseRecord], names: tuple[str, ...], place: Callable[[float], int]) -> Categories:
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    for record in records:
        table[place(record.truth["CAC"].agatston), place(record.read["CAC"].agatston)] += 1
    return Categories(
        names=names,
        table=table,
        right=proportion(int(np.trace(table)), len(records)),
        linear=kappa(table, 1),
        quadratic=kappa(table, 2),
    )


def _measured(records: Sequence[CaseRecord], measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pairs = [(getattr(record.truth["CAC"], measure), getattr(record.read["CAC"], measure)) for record in records]
    truth, read = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return truth, read


def _mass(records: Sequence[CaseRecord]) -> Agreement | None:
    known = [record for record in records if record.truth["CAC"].mass_mg is not None]
    return agreement(*_measured(known, "mass_mg")) if known else None


def _false(records: Sequence[CaseRecord]) -> FalseCalcium:
    zero = [record.read["CAC"].agatston for record in records if record.truth["CAC"].agatston == 0]
    called = sorted(score for score in zero if score > 0)
    return FalseCalcium(
        zero_cases=len(zero),
        zero_called=len(called),
        zero_scores=tuple(called),
        score=_quartiles([record.false_score for record in records]),
        missed_score=_quartiles([record.missed_score for record in records]),
        lesions=sum(map(false_coronary, records)) / len(records),
    )


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
    return (low, middle, high)


def _gates(records: Sequence[CaseRecord]) -> Gates:
    within = [
        (_inside(record.truth["CAC"].agatston, record.interval), record.interval)
        for record in records
        if record.interval is not None
    ]
    judged = [(record, record.doubts) for record in records if record.doubts is not None]
    doubtful = [record for record, doubts in judged if doubts]
    sure = [record for record, doubts in judged if not doubts]
    hearts = [record.heart_found for record in records if record.heart_found is not None]
    errors = [record.centre_error_mm for record in records if record.centre_error_mm is not None]
    reasons = Counter(doubt for _, doubts in judged for doubt in doubts)
    return Gates(
        covered=proportion(sum(inside for inside, _ in within), len(within)) if within else None,
        width=float(np.median([high - low for _, (low, high) in within])) if within else None,
        doubtful=proportion(len(doubtful), len(judged)) if judged else None,
        reasons=tuple(reasons.most_common()),
        right_when_sure=categorised(sure).right if judged else None,
        right_when_doubtful=categorised(doubtful).right if judged else None,
        no_heart=hearts.count(False) if hearts else None,
        centre_mm=(float(np.median(errors)), max(errors)) if errors else None,
    )


def _inside(truth: float, interval: tuple[float, float]) -> bool:
    """Whether an interval holds the truth, which is a sum of the same lesions in another order."""
    low, high = interval
    return low - _SAME_SCORE <= truth <= high + _SAME_SCORE
