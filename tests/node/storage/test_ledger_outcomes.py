"""Decisions that are written back: the work that follows them, and what tells of them."""

from __future__ import annotations

import pytest

from node.domain.errors import Refused
from node.domain.records import NewWork, Outcome, WrittenBack
from node.domain.review import ReviewOutcome
from node.domain.studies import StudyFacts
from node.domain.work import Stage, Work, WorkState
from node.storage.ledger import Ledger
from tests.node.storage.builders import LEASE, NOW, after, an_answer
from tests.node.storage.test_ledger_cases import SCORES, compared, decision, read_id


@pytest.fixture
def case(ledger: Ledger) -> int:
    """A flagged one."""
    return number_of(ledger, "b")


def number_of(ledger: Ledger, study: str) -> int:
    ours, human = SCORES[study]
    ledger.record_study(StudyFacts(study_uid=study), NOW)
    compared(ledger, study, ours, read_id(ledger, study, human))
    found = ledger.case_of_study(study)
    assert found is not None
    return found.id


def claim(ledger: Ledger) -> Work | None:
    return ledger.claim(after(9999), LEASE, (Stage.WRITE_BACK,))


def test_every_version_of_a_decision_leaves_work_and_what_is_refused_leaves_none(ledger: Ledger, case: int) -> None:
    ledger.add_decision(case, decision(1))
    with pytest.raises(Refused, match="somebody else"):
        ledger.add_decision(case, decision(1))
    ledger.add_decision(case, decision(2, None))
    first, second = claim(ledger), claim(ledger)
    assert first is not None
    assert second is not None
    assert (first.series_uid, first.generation) == ("b.1", 1)
    assert [ledger.decided(int(one.object_uid)) for one in (first, second)] == [(case, 1), (case, 2)]
    assert claim(ledger) is None
    assert ledger.decided(99) is None


def test_a_decision_on_reads_that_agree_leaves_no_work(ledger: Ledger) -> None:
    ledger.add_decision(number_of(ledger, "a"), decision(1, ReviewOutcome.EQUIVALENT))
    assert claim(ledger) is None


def test_what_tells_of_a_decision_is_recorded_once_and_in_their_order(ledger: Ledger, case: int) -> None:
    for version, outcome in ((1, ReviewOutcome.NODE_RIGHT), (2, None)):
        ledger.add_decision(case, decision(version, outcome))
    for work in reversed([claim(ledger), claim(ledger)]):
        assert work is not None
        uid = f"2.25.{work.object_uid}"
        written = WrittenBack(decision_id=int(work.object_uid), series_uid="b.1", generation=1, sop_uid=uid)
        follower = NewWork(stage=Stage.DELIVER, series_uid="b.1", generation=1, object_uid=uid, destination="pacs")
        made = an_answer(uid, "outcome", "b.1")
        ledger.finish(work, Outcome(objects=(made,), written=written, followers=(follower,)), after(9999))
    first, second = ledger.written_back("b.1", 1)
    assert first.decision_id < second.decision_id
    assert ledger.written_back("b.1", 2) == ()
    sent = ledger.outcome_deliveries(case)
    assert {version: [(one.work.object_uid, one.state) for one in rows] for version, rows in sent.items()} == {
        1: [(first.sop_uid, WorkState.PENDING)],
        2: [(second.sop_uid, WorkState.PENDING)],
    }
    assert ledger.is_own_object(first.sop_uid)
