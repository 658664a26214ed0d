"""A case that a person has settled: who asks for it is told, over real sockets, once for every version."""

from __future__ import annotations

from datetime import UTC, datetime

from pydicom.dataset import Dataset

from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.work import Stage, WorkState
from node.service import Node
from tests.flow.site import (
    SEG,
    SR,
    SUMMARY,
    Archive,
    Study,
    a_node,
    a_study,
    deliver,
    destination,
    free_port,
    nodes_under,
    reasons_of,
    settle,
    wait_until,
    work_of,
)
from tests.heart_scan import AGATSTON_OF_A_BEAD
from tests.human_reports import a_report


def flagged(node: Node, study: Study) -> int:
    """Send a study and a report that overlooks its calcium; the case."""
    deliver(node.port, study.images)
    deliver(node.port, [a_report(study.images[0], 0.0)], "WORKSTATION")
    wait_until(lambda: node.storage.ledger.case_of_study(study.study_uid))
    settle(node)
    return node.storage.ledger.case_of_study(study.study_uid).id


def a_decision(version: int, outcome: ReviewOutcome | None) -> Decision:
    return Decision(
        version=version,
        outcome=outcome,
        radpeer=None if outcome is None else Radpeer.MISS_SIGNIFICANT,
        comment="",
        reviewer="anna",
        decided_at=datetime.now(UTC),
        blind=True,
        withdrawn=outcome is None,
    )


def decide(node: Node, case: int, version: int, outcome: ReviewOutcome | None) -> None:
    node.storage.ledger.add_decision(case, a_decision(version, outcome))
    settle(node)


def predecessor(report: Dataset) -> str:
    (study,) = report.PredecessorDocumentsSequence
    return str(study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def told(report: Dataset) -> dict[str, str]:
    """Codes of the private scheme, by their concept."""
    found = [one for one in nodes_under(report) if one.get("ValueType") == "CODE"]
    return {
        one.ConceptNameCodeSequence[0].CodeValue: one.ConceptCodeSequence[0].CodeValue
        for one in found
        if one.ConceptNameCodeSequence[0].CodeValue in {"OUTCOME", "ASSESSMENT", "RADPEER", "SETTLED-BY"}
    }


def test_every_version_of_a_decision_goes_to_who_asks_and_to_nobody_else(tmp_path, finds_lad, archive):
    study = a_study("settled")
    with Archive(tmp_path / "silent") as silent, Archive(tmp_path / "late") as late:
        destinations = [
            archive.destination("pacs", outcome=True),
            silent.destination("silent"),
            late.destination("late", send=["sr"], release="on_disagreement", outcome=True),
        ]
        with a_node(tmp_path, finds_lad, destinations) as node:
            case = flagged(node, study)
            assert len(archive.stored) == len(silent.stored) == 3
            decide(node, case, 1, ReviewOutcome.NODE_RIGHT)
            decide(node, case, 2, None)
            decide(node, case, 3, ReviewOutcome.HUMAN_RIGHT)
            made = [node.storage.ledger.object(one.sop_uid) for one in node.storage.ledger.written_back(
                study.series_uid, 1
            )]  # fmt: skip
            kept = {one.sop_uid: node.storage.outbox.read(one.kept) for one in made}
        assert len(silent.stored) == 3
        for place, before in ((archive, 3), (late, 1)):
            arrived = {one.sop_uid: one for one in place.stored}
            assert len(place.stored) == len(arrived) == before + 3  # each once
            for uid, data in kept.items():
                assert arrived[uid].file.read_bytes() == data
        first = next(one for one in archive.stored if one.sop_class_uid == SR)
        chain = [first.read(), *(one.read() for one in archive.stored if one.sop_uid in kept)]
    assert {one.StudyInstanceUID for one in chain} == {study.study_uid}
    assert [predecessor(one) for one in chain[1:]] == [one.SOPInstanceUID for one in chain[:-1]]
    assert [told(one)["OUTCOME"] for one in chain[1:]] == ["NODE-RIGHT", "WITHDRAWN", "HUMAN-RIGHT"]
    assert told(chain[0]) == {}
    assert "RADPEER" not in told(chain[1])
    assert {one.sop_class_uid for one in archive.stored} == {SEG, SR, SUMMARY}
    assert {one.VerificationFlag for one in chain} == {"UNVERIFIED"}


def test_what_is_told_comes_back_and_is_no_read(tmp_path, finds_lad, archive):
    study = a_study("told and back")
    with a_node(tmp_path, finds_lad, [archive.destination(outcome=True)]) as node:
        case = flagged(node, study)
        decide(node, case, 1, ReviewOutcome.EQUIVALENT)
        outcome = archive.wait_for(4)[-1].read()
        deliver(node.port, [outcome], "ARCHIVE")
        wait_until(lambda: node.storage.ledger.verdict(str(outcome.SeriesInstanceUID), 1))
        assert any("made by this software" in one for one in reasons_of(node, str(outcome.SeriesInstanceUID)))
        settle(node)
        assert len(node.storage.ledger.reads_of(study.study_uid)) == 1
        assert len(node.storage.ledger.comparisons_of(study.study_uid)) == 1


def test_a_dead_destination_is_told_when_it_is_back_also_by_the_next_process(tmp_path, finds_lad):
    study, port = a_study("told late"), free_port()
    alone = [destination(port, outcome=True)]
    with a_node(tmp_path, finds_lad, alone) as node:
        deliver(node.port, study.images)
        deliver(node.port, [a_report(study.images[0], 0.0)], "WORKSTATION")
        ledger = node.storage.ledger
        wait_until(lambda: ledger.case_of_study(study.study_uid) and ledger.objects(study.series_uid, 1))
        ledger.add_decision(ledger.case_of_study(study.study_uid).id, a_decision(1, ReviewOutcome.NODE_RIGHT))
        wait_until(lambda: ledger.written_back(study.series_uid, 1))
    with Archive(tmp_path / "late", port=port) as late, a_node(tmp_path, finds_lad, alone) as node:
        late.wait_for(4)
        settle(node)
        assert {row.state for row in work_of(node, study.series_uid, Stage.DELIVER)} == {WorkState.DONE}
    assert len(late.stored) == len({one.sop_uid for one in late.stored}) == 4


def test_a_decision_on_reads_that_agree_is_told_to_nobody(tmp_path, finds_lad, archive):
    study = a_study("agreed")
    with a_node(tmp_path, finds_lad, [archive.destination(outcome=True)]) as node:
        deliver(node.port, study.images)
        archive.wait_for(3)
        settle(node)
        ledger = node.storage.ledger
        deliver(node.port, [a_report(study.images[0], AGATSTON_OF_A_BEAD)], "WORKSTATION")
        wait_until(lambda: ledger.case_of_study(study.study_uid))
        case = ledger.case_of_study(study.study_uid)
        assert not case.tier.flagged
        ledger.add_decision(case.id, a_decision(1, ReviewOutcome.EQUIVALENT))
        settle(node)
        assert work_of(node, study.series_uid, Stage.WRITE_BACK) == []
    assert len(archive.stored) == 3
