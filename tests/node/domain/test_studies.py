"""What a study says of itself, and when a read contradicts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.human_read import StudyKey
from node.domain.studies import StudyFacts, contradiction, same_issuer

_SOMETIMES = st.sampled_from(("", "A", "B"))
FACTS = st.builds(StudyFacts, study_uid=st.just("1"), accession=_SOMETIMES, patient_id=_SOMETIMES, station=_SOMETIMES)


@pytest.mark.parametrize(
    ("given", "scanner"),
    [
        ({}, ""),
        ({"station": "CT01"}, "CT01"),
        ({"manufacturer": "ACME"}, "ACME"),
        ({"manufacturer": "ACME", "model": "One"}, "ACME One"),
        ({"manufacturer": "ACME", "model": "One", "station": "CT01"}, "ACME One (CT01)"),
    ],
)
def test_the_scanner_in_words(given: dict[str, str], scanner: str) -> None:
    assert StudyFacts(study_uid="1", **given).scanner == scanner


@given(first=FACTS, other=FACTS)
def test_what_is_known_stays_and_what_is_missing_comes(first: StudyFacts, other: StudyFacts) -> None:
    whole = first.completed_by(other)
    for name in ("accession", "patient_id", "station"):
        assert getattr(whole, name) == (getattr(first, name) or getattr(other, name))
    assert whole.completed_by(other) == whole


@pytest.mark.parametrize(
    ("named", "known", "contradicts"),
    [("P1", "P1", False), ("P1 ", "P1", False), ("", "P1", False), ("P1", "", False), ("P1", "P2", True)],
)
def test_another_patient_contradicts(named: str, known: str, contradicts: bool) -> None:  # noqa: FBT001 - a table
    key = StudyKey(study_uid="1", patient_id=named)
    assert bool(contradiction(key, StudyFacts(study_uid="1", patient_id=known))) is contradicts


@pytest.mark.parametrize(
    ("named", "patients", "accessions", "same"),
    [
        ("", "H1", "R1", True),
        ("H1", "", "", True),
        ("H1", "H1", "R1", True),
        ("R1", "H1", "R1", True),
        ("H2", "H1", "R1", False),
    ],
)
def test_issuers(named: str, patients: str, accessions: str, same: bool) -> None:  # noqa: FBT001 - a table
    facts = StudyFacts(study_uid="1", issuer=patients, accession_issuer=accessions)
    assert same_issuer(StudyKey(issuer=named), facts) is same
