"""A human's read: what it refuses, what it adds up, what it leaves missing."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed
from node.domain.human_read import CORONARIES, HumanRead, ReadScore, ReadSource, ReadStatus, StudyKey

STUDY = StudyKey(study_uid="1.2.3")


def read(**scores: float) -> HumanRead:
    known = {name: ReadScore(agatston=value) for name, value in scores.items()}
    return HumanRead(source=ReadSource.FILE, source_id="line 1", study=STUDY, scores=known)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e6])
def test_a_score_no_heart_can_have_is_refused(value: float) -> None:
    with pytest.raises(Malformed):
        ReadScore(agatston=value)


def test_a_score_of_nothing_is_refused() -> None:
    with pytest.raises(Malformed, match="neither"):
        ReadScore()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source_id": ""}, "names it at its source"),
        ({"version": 0}, "counted from 1"),
        ({"read_at": datetime(2026, 1, 1)}, "zone"),  # noqa: DTZ001 - the point
        ({"study": StudyKey(accession="A1")}, "study UID"),
        ({"scores": {}}, "no score"),
        ({"scores": {"LAX": ReadScore(agatston=1)}}, "LAX"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_reason(change: dict[str, object], words: str) -> None:
    values: dict[str, object] = {
        "source": ReadSource.FILE,
        "source_id": "1",
        "study": STUDY,
        "scores": {"CAC": ReadScore(agatston=1)},
    }
    with pytest.raises(Malformed, match=words):
        HumanRead(**(values | change))  # type: ignore[arg-type]


def test_a_withdrawn_read_needs_no_scores() -> None:
    gone = HumanRead(source=ReadSource.SR, source_id="1", status=ReadStatus.WITHDRAWN, study=STUDY)
    assert gone.agatston("CAC") is None


def test_a_vessel_that_was_not_reported_is_missing_and_never_zero() -> None:
    assert read(LAD=3).agatston("RCA") is None
    assert read(LAD=3).agatston("CAC") is None


def test_a_missing_total_is_the_sum_of_all_its_parts() -> None:
    assert read(LM=1, LAD=2, LCX=3, RCA=4).agatston("CAC") == 10
    assert read(AV=5, TA=6).agatston("AC") == 11
    assert read(LM=1, LAD=2).agatston("LM+LAD") == 3


def test_a_part_without_agatston_leaves_the_total_missing() -> None:
    scores = {name: ReadScore(agatston=1) for name in CORONARIES} | {"LM": ReadScore(volume_mm3=3)}
    assert HumanRead(source=ReadSource.SR, source_id="1", study=STUDY, scores=scores).agatston("CAC") is None


def test_the_stated_total_counts_before_the_sum() -> None:
    assert read(CAC=12, LM=1, LAD=2, LCX=3, RCA=4).agatston("CAC") == 12


def test_totals_that_do_not_add_up_are_said() -> None:
    (words,) = read(CAC=150, LM=0, LAD=100, LCX=10, RCA=10).inconsistencies
    assert "150" in words
    assert "120" in words


def test_parts_above_the_total_are_said_though_one_is_missing() -> None:
    assert read(CAC=50, LAD=80).inconsistencies
    assert not read(CAC=90, LAD=80).inconsistencies


@given(st.lists(st.floats(0, 2000), min_size=4, max_size=4))
def test_rounding_the_total_is_no_inconsistency(parts: list[float]) -> None:
    vessels = dict(zip(CORONARIES, parts, strict=True))
    assert read(CAC=round(sum(parts)), **vessels).inconsistencies == ()


def test_a_study_is_found_by_uid_or_by_accession_with_patient() -> None:
    assert StudyKey(study_uid="1").matchable
    assert StudyKey(accession="A", patient_id="P").matchable
    assert not StudyKey(accession="A").matchable
    assert not StudyKey(patient_id="P").matchable
