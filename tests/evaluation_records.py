"""Records as an evaluation would make them, by hand."""

from __future__ import annotations

from train.evaluation.records import PARTS, Amount, CaseRecord, LesionRecord, Overlap


def amount(agatston: float, mass: float | None = None) -> Amount:
    return Amount(agatston=agatston, volume_mm3=agatston, mass_mg=mass)


def lesion(vessel: str, **changes: object) -> LesionRecord:
    plain = {
        "side": "true",
        "agatston": 5.0,
        "volume_mm3": 10.0,
        "peak_hu": 300.0,
        "centroid_lps_mm": (1.0, 2.0, 3.0),
        "slices": (4, 5),
        "overlap": 1.0,
        "same_vessel": 1.0,
        "called": vessel,
    }
    return LesionRecord(vessel=vessel, **{**plain, **changes})


def record(case: str = "1", *, true: float = 50.0, read: float | None = None, **changes: object) -> CaseRecord:
    """All calcium is in the LAD."""
    read = true if read is None else read
    truth = {part: amount(true if part in ("LAD", "LM+LAD", "CAC") else 0.0) for part in PARTS}
    found = {part: amount(read if part in ("LAD", "LM+LAD", "CAC") else 0.0) for part in PARTS}
    plain = {
        "reader": "mine",
        "groups": {},
        "truth": truth,
        "read": found,
        "overlaps": {
            part: Overlap(true=int(truth[part].agatston), read=int(found[part].agatston), both=int(min(true, read)))
            if truth[part].agatston or found[part].agatston
            else Overlap(true=0, read=0, both=0)
            for part in PARTS
        },
        "lesions": (),
        "false_score": 0.0,
        "missed_score": 0.0,
        "interval": (0.0, 100.0),
        "heart_found": True,
        "centre_error_mm": 2.0,
        "doubts": (),
    }
    return CaseRecord(case=case, **{**plain, **changes})
