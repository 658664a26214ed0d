"""Human reads in the ledger: recorded once, matched by keys alone, never silently lost or replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from node.domain.errors import Refused
from node.domain.human_read import HumanRead, ReadSource, ReadStatus, StudyKey
from node.domain.read_history import QuarantineCause, ReadArrival, ReadState, Recorded
from node.domain.records import Kept
from node.domain.studies import StudyFacts
from node.storage.ledger import Ledger
from tests.node.domain.reads import a_read
from tests.node.storage.builders import NOW, after

FACTS = StudyFacts(study_uid="1", accession="A1", issuer="H1", accession_issuer="R1", patient_id="P1")
KEYS = StudyKey(accession="A1", issuer="H1", patient_id="P1")


def record(ledger: Ledger, read: HumanRead, name: str = "x", seconds: float = 0) -> Recorded:
    return ledger.record_read(read, Kept(path=f"reads/{name}", sha256="a" * 64, size=3), "desk", after(seconds))


def test_a_read_of_a_known_study_is_matched_and_counts(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    recorded = record(ledger, a_read())
    assert (recorded.arrival, recorded.state, recorded.study_uid) == (ReadArrival.NEW, ReadState.MATCHED, "1")
    effective = ledger.effective_read("1")
    assert effective is not None
    assert (effective.id, effective.read, effective.from_whom) == (recorded.read_id, a_read(), "desk")
    assert ledger.read_counts() == ledger.status()["reads"] == {"matched": 1}


def test_the_same_read_again_has_no_second_effect_and_brings_its_original_back(ledger: Ledger) -> None:
    first = record(ledger, a_read(), "first")
    again = record(ledger, a_read(), "again", seconds=9)
    assert (again.arrival, again.read_id) == (ReadArrival.SAME, first.read_id)
    stored = ledger.find_same(a_read())
    assert stored is not None
    assert (stored.original.path, stored.received_at) == ("reads/again", NOW)
    assert ledger.known_paths() == {"reads/again"}
    assert ledger.find_same(a_read(3.0)) is None


def test_a_newer_version_replaces_the_older_in_whichever_order_they_come(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    second = record(ledger, a_read(20.0, version=2, status=ReadStatus.CORRECTED))
    first = record(ledger, a_read(10.0))
    assert (first.arrival, first.state) == (ReadArrival.OLDER, ReadState.SUPERSEDED)
    third = record(ledger, a_read(30.0, version=3))
    assert third.arrival is ReadArrival.NEW
    assert [one.state for one in ledger.reads_of("1")] == ["superseded", "superseded", "matched"]
    assert [one.id for one in ledger.reads_of("1")] == [second.read_id, first.read_id, third.read_id]
    effective = ledger.effective_read("1")
    assert effective is not None
    assert effective.id == third.read_id


def test_one_version_with_two_contents_is_a_conflict_and_the_first_stays(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    record(ledger, a_read(10.0))
    other = record(ledger, a_read(11.0))
    assert (other.arrival, other.state) == (ReadArrival.CONFLICT, ReadState.QUARANTINED)
    assert "other content" in other.reason
    assert record(ledger, a_read(11.0)).arrival is ReadArrival.SAME
    effective = ledger.effective_read("1")
    assert effective is not None
    assert effective.read == a_read(10.0)
    ledger.record_study(replace(FACTS, sex="F"), NOW)  # a study that arrives ends no conflict
    assert [one.cause for one in ledger.quarantined_reads()] == [QuarantineCause.CONFLICT]
    ledger.assign_read(other.read_id, "1", "anna", NOW)  # a person says that the second is right
    effective = ledger.effective_read("1")
    assert effective is not None
    assert effective.read == a_read(11.0)


@pytest.mark.parametrize(
    ("key", "matches"),
    [
        ({"study_uid": "1"}, True),
        ({"study_uid": "1", "patient_id": "P1", "accession": "wrong"}, True),
        ({"study_uid": "1", "patient_id": "P2"}, False),
        ({"study_uid": "2", "accession": "A1", "patient_id": "P1"}, False),
        ({"accession": "A1", "patient_id": "P1"}, True),
        ({"accession": " A1", "patient_id": "P1 ", "issuer": "H1"}, True),
        ({"accession": "A1", "patient_id": "P1", "issuer": "R1"}, True),
        ({"accession": "A1", "patient_id": "P1", "issuer": "H2"}, False),
        ({"accession": "A1", "patient_id": "P2"}, False),
        ({"accession": "A2", "patient_id": "P1"}, False),
    ],
)
@pytest.mark.parametrize("study_first", [True, False])
def test_matching(ledger: Ledger, key: dict[str, Any], matches: bool, study_first: bool) -> None:  # noqa: FBT001
    if study_first:
        ledger.record_study(FACTS, NOW)
    recorded = record(ledger, a_read(study=StudyKey(**key)))
    if not study_first:
        assert recorded.state is ReadState.QUARANTINED
        assert recorded.reason
        ledger.record_study(FACTS, NOW)
    stored = ledger.find_read(recorded.read_id)
    assert stored is not None
    assert (stored.study_uid == "1", stored.state is ReadState.MATCHED) == (matches, matches)
    assert bool(stored.reason) is not matches


def test_two_studies_of_one_accession_are_left_to_a_person(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    ledger.record_study(replace(FACTS, study_uid="2"), NOW)
    recorded = record(ledger, a_read(study=KEYS))
    assert recorded.state is ReadState.QUARANTINED
    assert "2 studies" in recorded.reason
    assert [one.study_uid for one in ledger.studies_by_accession(" A1")] == ["1", "2"]
    ledger.assign_read(recorded.read_id, "2", "anna", NOW)
    effective = ledger.effective_read("2")
    assert effective is not None
    assert (effective.id, effective.reason, ledger.quarantined_reads()) == (recorded.read_id, "", ())
    (entry,) = ledger.audit_entries(subject=f"read:{recorded.read_id}")
    assert (entry.actor, entry.action, entry.detail) == ("anna", "read.assign", {"study_uid": "2"})


def test_a_study_learns_what_it_lacked_and_only_then_matches(ledger: Ledger) -> None:
    recorded = record(ledger, a_read(study=KEYS))
    ledger.record_study(StudyFacts(study_uid="1"), NOW)
    assert ledger.read_counts() == {"quarantined": 1}
    ledger.record_study(FACTS, NOW)
    ledger.record_study(StudyFacts(study_uid="1", accession="other", station="CT01"), NOW)
    assert ledger.study("1") == replace(FACTS, station="CT01")
    assert ledger.study("9") is None
    effective = ledger.effective_read("1")
    assert effective is not None
    assert effective.id == recorded.read_id


def test_discarding_brings_back_the_version_before_and_is_traced(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    first, second = record(ledger, a_read(10.0)), record(ledger, a_read(20.0, version=2))
    ledger.discard_read(second.read_id, "typed into the wrong patient", "anna", NOW)
    effective = ledger.effective_read("1")
    assert effective is not None
    assert (effective.id, effective.state) == (first.read_id, ReadState.MATCHED)
    stored = ledger.find_read(second.read_id)
    assert stored is not None
    assert (stored.state, stored.reason) == (ReadState.DISCARDED, "typed into the wrong patient")
    assert [entry.action for entry in ledger.audit_entries(actor="anna")] == ["read.discard"]


def test_what_cannot_be_assigned_or_discarded_is_refused_and_leaves_no_trace(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    matched, waiting = record(ledger, a_read()), record(ledger, a_read(study=StudyKey(study_uid="9")), "y")
    assert waiting.arrival is ReadArrival.CONFLICT
    for read_id, study in ((matched.read_id, "1"), (waiting.read_id, "7"), (99, "1")):
        with pytest.raises(Refused):
            ledger.assign_read(read_id, study, "anna", NOW)
    ledger.discard_read(waiting.read_id, "", "anna", NOW)
    for read_id in (waiting.read_id, 99):
        with pytest.raises(Refused):
            ledger.discard_read(read_id, "", "anna", NOW)
    assert len(ledger.audit_entries()) == 1
    assert ledger.find_read(99) is None


def test_sources_do_not_share_their_names(ledger: Ledger) -> None:
    ledger.record_study(FACTS, NOW)
    record(ledger, a_read(10.0))
    assert record(ledger, a_read(11.0, source=ReadSource.HL7)).arrival is ReadArrival.NEW
    assert len(ledger.reads_of("1")) == 2
