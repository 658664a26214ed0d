"""Several readers of the same cases in one table: the baseline beside the bundle, or the steps of an ablation."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Final

from train.evaluation.agreement import Estimate
from train.evaluation.records import PARTS
from train.evaluation.summary import Summary
from train.evaluation.tables import markdown, number, percent, share, spread, with_interval

Cell = Callable[[Summary], str]
Figure = Callable[[Summary], float | None]


def comparison(summaries: Sequence[Summary]) -> str:
    """A column a reader, a row a measure; a dash where a reader does not offer what is measured."""
    rows = [[name, *(cell(one) for one in summaries)] for name, cell in _rows()]
    return markdown(["measure", *(one.reader for one in summaries)], rows)


def ablation(summaries: Sequence[Summary]) -> str:
    """A row a reader, a column each of the figures one decides by: for many readers."""
    head = ["reader", *(name for name, _ in _DECISIVE)]
    rows = [[one.reader, *(_short(name, figure(one)) for name, figure in _DECISIVE)] for one in summaries]
    return markdown(head, rows)


def ablation_csv(summaries: Sequence[Summary]) -> str:
    """The same with all digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["reader", *(name for name, _ in _DECISIVE)])
    for one in summaries:
        values = [figure(one) for _, figure in _DECISIVE]
        writer.writerow([one.reader, *("" if value is None else f"{value:.6g}" for value in values)])
    return text.getvalue()


def _rows() -> list[tuple[str, Cell]]:
    rows: list[tuple[str, Cell]] = [("cases", lambda one: str(one.cases))]
    rows += [(f"Dice {part}, median (quartiles)", _dice(part)) for part in PARTS]
    rows += [("Dice CAC, pooled voxels", lambda one: number(one.dice["CAC"].pooled))]
    rows += [
        ("CAC Agatston, Spearman", lambda one: with_interval(one.agatston["CAC"].spearman)),
        ("CAC Agatston, ICC(2,1)", lambda one: with_interval(one.agatston["CAC"].icc)),
        ("CAC Agatston, bias", lambda one: with_interval(one.agatston["CAC"].raw.bias, 1)),
        ("category right", lambda one: share(one.categories.right)),
        ("category, quadratic kappa", lambda one: number(one.categories.quadratic, 3)),
        ("coronary lesions found", lambda one: share(one.coronary.sensitivity)),
        ("coronary lesions read that are real", lambda one: share(one.coronary.precision)),
        ("vessel right, of found", lambda one: share(one.coronary.vessel_right)),
        ("vessel right, LM and LAD as one", lambda one: share(one.coronary.vessel_right_lm_lad)),
        ("cases of score 0 that are given one", lambda one: f"{one.false.zero_called} of {one.false.zero_cases}"),
        ("false score a scan, median (quartiles)", lambda one: _spread(one.false.score)),
        ("missed score a scan, median (quartiles)", lambda one: _spread(one.false.missed_score)),
        ("false coronary lesions a scan", lambda one: number(one.false.lesions)),
        ("truth inside the interval", lambda one: share(one.gates.covered)),
        ("lesions' probability, Brier / ECE", _calibration),
        ("heart's centre, median / largest error, mm", _centre),
    ]
    return rows


def _dice(part: str) -> Cell:
    return lambda one: spread(one.dice[part].median, one.dice[part].quartiles)


def _spread(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    return spread(middle, (low, high), 1)


def _calibration(one: Summary) -> str:
    found = one.reliability
    return "–" if found is None else f"{number(found.brier, 3)} / {number(found.ece, 3)}"


def _centre(one: Summary) -> str:
    found = one.gates.centre_mm
    return "–" if found is None else f"{number(found[0], 1)} / {number(found[1], 1)}"


def _short(name: str, value: float | None) -> str:
    if name == "cases":
        return "–" if value is None else f"{value:.0f}"
    if name in _SHARES:
        return percent(value)
    return number(value, 1 if name in _SCORES else 3)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


_SHARES: Final = frozenset({"category right", "found", "real", "vessel right"})
_SCORES: Final = frozenset({"false score"})
_DECISIVE: Final[tuple[tuple[str, Figure], ...]] = (
    ("cases", lambda one: float(one.cases)),
    ("Dice CAC", lambda one: one.dice["CAC"].median),
    ("Dice LM+LAD", lambda one: one.dice["LM+LAD"].median),
    ("Dice LCX", lambda one: one.dice["LCX"].median),
    ("Dice RCA", lambda one: one.dice["RCA"].median),
    ("Dice AC", lambda one: one.dice["AC"].median),
    ("ICC", lambda one: _value(one.agatston["CAC"].icc)),
    ("category right", lambda one: _value(one.categories.right)),
    ("found", lambda one: _value(one.coronary.sensitivity)),
    ("real", lambda one: _value(one.coronary.precision)),
    ("vessel right", lambda one: _value(one.coronary.vessel_right)),
    ("false score", lambda one: one.false.score[1]),
    ("ECE", lambda one: None if one.reliability is None else one.reliability.ece),
)
