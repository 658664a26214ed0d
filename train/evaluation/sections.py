"""The sections of the report on one reader, each a text of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from model.lesions import Vessel
from train.evaluation.lesions import COLUMNS, ROWS, SIZES, Detection, confusion, detection, size_class
from train.evaluation.records import CaseRecord, LesionRecord
from train.evaluation.subgroups import subgroups
from train.evaluation.summary import Agreement, Categories, Gates, Summary
from train.evaluation.tables import NONE, limits, markdown, number, percent, share, spread, with_interval

_WORST: Final = 10


def overlap_section(summary: Summary) -> str:
    """Dice of every part."""
    head = ["region", "cases", "Dice, median (quartiles)", "where calcium is", "pooled"]
    head += ["missed", "false alarms", "specificity"]
    rows = [
        [
            part,
            str(len(found.values)),
            spread(found.median, found.quartiles),
            number(found.present),
            number(found.pooled),
            str(found.missed),
            str(found.false_alarms),
            share(found.specificity),
        ]
        for part, found in summary.dice.items()
    ]
    return markdown(head, rows)


def agreement_section(summary: Summary) -> str:
    """Agatston of every part, then volume and mass of the coronaries."""
    named: dict[str, Agreement] = {f"Agatston {part}": found for part, found in summary.agatston.items()}
    named["volume CAC, mm³"] = summary.volume
    if summary.mass is not None:
        named["mass CAC, mg"] = summary.mass
    head = ["measure", "Spearman", "ICC(2,1)", "bias", "limits of agreement", "bias, √", "limits, √"]
    rows = []
    for name, found in named.items():
        raw, root = limits(found.raw), limits(found.root, 2)
        rows.append([name, with_interval(found.spearman), with_interval(found.icc), *raw, *root])
    return markdown(head, rows)


def category_section(summary: Summary) -> str:
    """Both tables of categories."""
    return "\n".join(_categories(found) for found in (summary.categories, summary.fine_categories))


def _categories(found: Categories) -> str:
    rows = [[f"**{name}**", *map(str, row)] for name, row in zip(found.names, found.table.tolist(), strict=True)]
    table = markdown(["true \\ read", *found.names], rows)
    figures = f"linear kappa {number(found.linear, 3)}, quadratic kappa {number(found.quadratic, 3)}"
    return f"{table}\nRight: {share(found.right)}; {figures}.\n"


def lesion_section(records: Sequence[CaseRecord]) -> str:
    """Lesions overall, by vessel and by size."""
    coronary = detection(records, lambda lesion: lesion.coronary)
    rows = [_detection("coronary", coronary)]
    rows += [_detection(name, detection(records, _of_size(name))) for name in (size for size, _ in SIZES)]
    rows += [_detection(str(vessel), detection(records, _of_vessel(vessel))) for vessel in Vessel]
    head = ["lesions", "true", "found", "read", "real, of read", "vessel right, of found", "LM and LAD as one"]
    return markdown(head, rows)


def _of_size(name: str) -> Callable[[LesionRecord], bool]:
    return lambda lesion: lesion.coronary and size_class(lesion) == name


def _of_vessel(vessel: Vessel) -> Callable[[LesionRecord], bool]:
    return lambda lesion: lesion.vessel == vessel


def _detection(name: str, found: Detection) -> list[str]:
    return [
        name if name[0] not in "<>0123456789" else f"coronary, Agatston {name}",
        str(found.true),
        share(found.sensitivity),
        str(found.read),
        share(found.precision),
        share(found.vessel_right),
        share(found.vessel_right_lm_lad),
    ]


def confusion_section(records: Sequence[CaseRecord]) -> str:
    """What lesions are, and what they are called."""
    names = [*ROWS[:-2], "other calcium or metal", "nothing"]
    rows = [[f"**{name}**", *map(str, row)] for name, row in zip(names, confusion(records).tolist(), strict=True)]
    for row in rows[len(Vessel) :]:
        row[-1] = NONE
    return markdown(["is \\ called", *COLUMNS[:-1], "missed"], rows)


def false_section(summary: Summary) -> str:
    """Calcium where there is none, and calcium missed."""
    found = summary.false
    called = ", ".join(number(score, 1) for score in found.zero_scores) or "none"
    rows = [
        ["cases with a true score of 0", str(found.zero_cases)],
        ["- of them given a score", str(found.zero_called)],
        ["- their scores", called],
        ["false score a scan, median (quartiles)", spread(found.score[1], (found.score[0], found.score[2]), 1)],
        [
            "missed score a scan, median (quartiles)",
            spread(found.missed_score[1], (found.missed_score[0], found.missed_score[2]), 1),
        ],
        ["false coronary lesions a scan, mean", number(found.lesions)],
    ]
    return markdown(["measure", "value"], rows)


def trust_section(summary: Summary) -> str:
    """What the reader says of itself: probabilities, interval, doubts, heart."""
    return markdown(["measure", "value"], [*_probabilities(summary), *_gates(summary.gates, summary.cases)])


def _probabilities(summary: Summary) -> list[list[str]]:
    found = summary.reliability
    if found is None:
        return []
    return [
        ["lesions with a probability", str(found.count)],
        ["- Brier score", number(found.brier, 3)],
        ["- expected calibration error", number(found.ece, 3)],
    ]


def _gates(gates: Gates, cases: int) -> list[list[str]]:
    rows: list[list[str]] = []
    if gates.covered is not None:
        rows += [["true score inside the interval", share(gates.covered)]]
        rows += [["- median width of the interval", number(gates.width, 1)]]
    if gates.doubtful is not None:
        rows += [["readings marked doubtful", share(gates.doubtful)]]
        rows += [[f"- {reason}", f"{count} of {cases}"] for reason, count in gates.reasons]
        rows += [["category right where nothing is doubtful", share(gates.right_when_sure)]]
        rows += [["category right where something is", share(gates.right_when_doubtful)]]
    if gates.no_heart is not None:
        rows += [["no heart found", f"{gates.no_heart} of {cases}"]]
    if gates.centre_mm is not None:
        middle, worst = gates.centre_mm
        rows += [["heart's centre, median / largest error", f"{number(middle, 1)} / {number(worst, 1)} mm"]]
    return rows or [["-", "this reader says nothing of itself"]]


def subgroup_section(records: Sequence[CaseRecord]) -> str:
    """The coronary figures by kind of case."""
    head = ["group", "cases", "Dice CAC", "category right", "ICC(2,1)", "bias"]
    head += ["found", "real", "vessel right", "false score"]
    rows = [
        [
            f"{one.kind}: {one.name}",
            str(one.cases),
            number(one.dice.median),
            percent(one.categories_right.value),
            number(None if one.icc is None else one.icc.value, 3),
            number(one.bias, 1),
            percent(one.lesions.sensitivity.value),
            percent(one.lesions.precision.value),
            percent(one.lesions.vessel_right.value),
            number(one.false_score, 1),
        ]
        for one in subgroups(records)
    ]
    return markdown(head, rows) if rows else "All cases are of one kind.\n"


def worst_section(records: Sequence[CaseRecord]) -> str:
    """The cases whose coronary score is farthest off on the square-root scale: those to look at."""
    apart = sorted(records, key=_root_error, reverse=True)
    head = ["case", "true CAC", "read CAC", "false score", "missed score", "doubts"]
    rows = [
        [
            record.case,
            number(record.truth["CAC"].agatston, 1),
            number(record.read["CAC"].agatston, 1),
            number(record.false_score, 1),
            number(record.missed_score, 1),
            ", ".join(record.doubts or ()) or NONE,
        ]
        for record in apart[:_WORST]
        if _root_error(record) > 0
    ]
    return markdown(head, rows) if rows else "Every coronary score is exact.\n"


def _root_error(record: CaseRecord) -> float:
    return abs(math.sqrt(record.read["CAC"].agatston) - math.sqrt(record.truth["CAC"].agatston))
