"""One line a case and one line a lesion, as CSV, for whoever wants to reckon on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from train.evaluation.lesions import false_coronary, size_class
from train.evaluation.overlap import dice
from train.evaluation.records import PARTS, CaseRecord

_LESION_COLUMNS = (
    "side", "vessel", "called", "matched", "overlap", "same_vessel", "agatston", "size_class", "volume_mm3", "peak_hu",
    "x_mm", "y_mm", "z_mm", "first_slice", "last_slice", "probability",
)  # fmt: skip


def case_lines(records: Sequence[CaseRecord]) -> str:
    """Every case by every reader; an empty cell is 'not known'."""
    kinds = list(dict.fromkeys(kind for record in records for kind in record.groups))
    head = ["case", "reader", *(kind.replace(" ", "_") for kind in kinds)]
    for measure in ("agatston", "volume_mm3", "mass_mg"):
        head += [f"{side}_{measure}_{part}" for part in PARTS for side in ("true", "read")]
    head += [f"dice_{part}" for part in PARTS]
    head += ["false_score", "missed_score", "false_lesions", "low", "high", "heart_found", "centre_error_mm", "doubts"]
    return _csv(head, (_case(record, kinds) for record in records))


def lesion_lines(records: Iterable[CaseRecord]) -> str:
    """Every lesion of the truth and of each reading."""
    rows = []
    for record in records:
        for lesion in record.lesions:
            values = (
                lesion.side, lesion.vessel, lesion.called, int(lesion.matched), lesion.overlap, lesion.same_vessel,
                lesion.agatston, size_class(lesion), lesion.volume_mm3, lesion.peak_hu, *lesion.centroid_lps_mm,
                *lesion.slices, lesion.probability,
            )  # fmt: skip
            rows.append([record.case, record.reader, *map(_cell, values)])
    return _csv(["case", "reader", *_LESION_COLUMNS], rows)


def _case(record: CaseRecord, kinds: Sequence[str]) -> list[str]:
    values: list[object] = [record.groups.get(kind) for kind in kinds]
    for measure in ("agatston", "volume_mm3", "mass_mg"):
        values += [getattr(side[part], measure) for part in PARTS for side in (record.truth, record.read)]
    values += [dice(record.overlaps[part]) for part in PARTS]
    values += [record.false_score, record.missed_score, false_coronary(record), *(record.interval or (None, None))]
    values += [None if record.heart_found is None else int(record.heart_found), record.centre_error_mm]
    values.append(None if record.doubts is None else "; ".join(record.doubts))
    return [record.case, record.reader, *map(_cell, values)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
