"""A person's decision goes out as the next version of the report, once for every version of the decision."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from itertools import pairwise

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.dicom.human_sr import predecessors_of
from node.dicom.request import Role
from node.domain.errors import NotYet, Retryable, Unreadable
from node.domain.people import Role as PersonRole
from node.domain.policy import Policy
from node.domain.records import NewWork, Outcome, StoredAnswer, WorkRecord
from node.domain.release import ReleasePolicy
from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.settlement import Disclosure
from node.domain.studies import StudyFacts
from node.domain.tiers import Limits
from node.domain.work import Stage, Work, WorkState
from node.stages.compare import Comparer
from node.stages.intake import Intake
from node.stages.publish import Publisher
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from node.stages.release import Releaser, ReleaseRule
from node.stages.write_back import WriteBack
from tests.node.rig import Clock, Rig
from tests.node.stages.test_compare import IDENTITY, IMAGES, STUDY, human

SERIES = str(IMAGES[0].SeriesInstanceUID)
NOW = Clock().now
WANTED = {"told": frozenset((Role.SEG, Role.SR)), "silent": frozenset((Role.SR,))}


def decision(
    version: int, outcome: ReviewOutcome | None = ReviewOutcome.NODE_RIGHT, reviewer: str = "anna"
) -> Decision:
    return Decision(
        version=version,
        outcome=outcome,
        radpeer=None if outcome is None else Radpeer.MISS_SIGNIFICANT,
        comment="privileged",
        reviewer=reviewer,
        decided_at=NOW + timedelta(minutes=version),
        blind=False,
        withdrawn=outcome is None,
    )


class Desk:
    """A study that was read, published and flagged, and a person who decides on it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ledger = rig.ledger
        rig.clock.advance(60)
        case = rig.ledger.case_of_study(STUDY)
        assert case is not None
        self.case = case.id

    def stage(self, *destinations: str, **disclosed: object) -> WriteBack:
        return WriteBack(
            storage=self.rig.storage,
            destinations=destinations or ("told",),
            disclosure=Disclosure(**disclosed),  # type: ignore[arg-type]
            software_version="9.9",
        )

    def decide(self, version: int, outcome: ReviewOutcome | None = ReviewOutcome.NODE_RIGHT) -> Work:
        """Decide, and claim the work that follows."""
        self.ledger.add_decision(self.case, decision(version, outcome))
        return self.claim()

    def claim(self) -> Work:
        self.rig.clock.advance(3600)
        return self.rig.claim(Stage.WRITE_BACK)

    def tell(self, version: int, outcome: ReviewOutcome | None = ReviewOutcome.NODE_RIGHT) -> StoredAnswer:
        work = self.decide(version, outcome)
        ended = self.stage()(work)
        self.rig.finish(work, ended)
        (made,) = ended.objects
        return made

    def read(self, made: StoredAnswer) -> Dataset:
        return dcmread(BytesIO(self.rig.outbox.read(made.kept)))

    def report(self) -> StoredAnswer:
        return next(one for one in self.ledger.objects(SERIES, 1) if one.role == "sr")

    def rows(self, stage: Stage) -> list[WorkRecord]:
        return [one for one in self.ledger.series_work(SERIES, 1) if one.work.stage is stage]


@pytest.fixture(scope="module")
def flagged_root(tmp_path_factory, empty_ledger, lad_reader):
    """A storage root with one flagged case, to be copied."""
    rig = Rig(tmp_path_factory.mktemp("flagged") / "node", empty_ledger)
    policy, releaser = Policy(), Releaser(rig.ledger, {"told": ReleaseRule(policy=ReleasePolicy.AFTER_HUMAN_READ)})
    read = ReadStage(rig.storage, lad_reader, policy)
    handlers = {
        Stage.QUALIFY: Qualifier(rig.ledger, policy, rig.spool),
        Stage.READ: lambda work: read(work, "5e" * 32),
        Stage.PUBLISH: Publisher(
            storage=rig.storage, policy=policy, identity=IDENTITY, wanted=WANTED, clock=rig.clock, releaser=releaser
        ),
        Stage.COMPARE: Comparer(
            storage=rig.storage, policy=policy, limits=Limits(), releaser=releaser, clock=rig.clock
        ),
    }
    rig.ledger.add_user("anna", PersonRole.ADMIN, "", rig.clock.now)
    rig.close(IMAGES)
    Intake(rig.storage, rig.clock, lambda: None).take(b"0", human(0.0), "desk")
    while (work := rig.ledger.claim(rig.clock.now, timedelta(minutes=1), tuple(handlers))) is not None:
        rig.finish(work, handlers[work.stage](work))
    rig.ledger.close()
    return rig.root


@pytest.fixture
def desk(tmp_path, flagged_root):
    shutil.copytree(flagged_root, tmp_path / "node")
    rig = Rig(tmp_path / "node", None)
    yield Desk(rig)
    rig.ledger.close()


def codes_of(dataset: Dataset) -> Mapping[str, str]:
    found = [one for one in dataset.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue == "C0034375"]
    return {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeValue
        for item in found[0].ContentSequence
        if item.ValueType == "CODE"
    }


def test_a_settled_case_is_told_to_those_who_ask_and_to_no_other(desk: Desk) -> None:
    before = desk.report()
    made = desk.tell(1)
    new = desk.read(made)
    assert (made.role, made.sop_class_uid, made.transfer_syntax_uid) == (
        "outcome",
        before.sop_class_uid,
        before.transfer_syntax_uid,
    )
    assert predecessors_of(desk.rig.outbox.read(made.kept)) == (before.sop_uid,)
    assert new.StudyInstanceUID == STUDY
    assert (new.CompletionFlag, new.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert codes_of(new) == {"OUTCOME": "NODE-RIGHT", "ASSESSMENT": "ACCEPTED", "SETTLED-BY": "ADMIN"}
    sent = [one for one in desk.rows(Stage.DELIVER) if one.work.object_uid == made.sop_uid]
    assert [(one.work.destination, one.state) for one in sent] == [("told", WorkState.PENDING)]
    assert b"anna" not in desk.rig.outbox.read(made.kept)
    assert b"privileged" not in desk.rig.outbox.read(made.kept)


def test_every_version_names_the_one_before_and_undoing_is_one(desk: Desk) -> None:
    chain = [
        desk.report(),
        desk.tell(1),
        desk.tell(2, None),
        desk.tell(3, ReviewOutcome.HUMAN_RIGHT),
    ]
    for before, after in pairwise(chain):
        assert predecessors_of(desk.rig.outbox.read(after.kept)) == (before.sop_uid,)
    assert [codes_of(desk.read(one))["OUTCOME"] for one in chain[1:]] == ["NODE-RIGHT", "WITHDRAWN", "HUMAN-RIGHT"]
    assert len({one.sop_uid for one in chain}) == len({one.made_series_uid for one in chain}) == 4
    assert [one.sop_uid for one in desk.ledger.written_back(SERIES, 1)] == [one.sop_uid for one in chain[1:]]
    assert {one.state for one in desk.rows(Stage.WRITE_BACK)} == {WorkState.DONE}


def test_made_again_after_a_lost_outcome_it_is_the_same_object_and_sent_once(desk: Desk) -> None:
    first_work = desk.decide(1)
    first = desk.stage()(first_work)
    again = desk.claim()  # the lease has ended
    second = desk.stage()(again)
    desk.rig.finish(again, second)
    with pytest.raises(Exception, match="no longer ours"):
        desk.rig.finish(first_work, first)
    (one,), (other,) = first.objects, second.objects
    assert one.sop_uid == other.sop_uid
    assert desk.rig.outbox.read(one.kept) == desk.rig.outbox.read(other.kept)
    assert [row.work.destination for row in desk.rows(Stage.DELIVER) if row.work.object_uid == one.sop_uid] == ["told"]
    desk.rig.outbox.sweep(desk.ledger.known_paths())
    assert desk.rig.outbox.read(desk.ledger.object(one.sop_uid).kept)


def test_where_nobody_asks_nothing_is_made(desk: Desk) -> None:
    stage = WriteBack(storage=desk.rig.storage, destinations=(), disclosure=Disclosure(), software_version="9.9")
    ended = stage(desk.decide(1))
    assert (ended.state, ended.objects, ended.followers) == (WorkState.DONE, (), ())


def test_grade_name_and_verification_are_told_where_the_site_wants_it(desk: Desk) -> None:
    stage = desk.stage(radpeer=True, reviewer=True, organization="General Hospital")
    (made,) = stage(desk.decide(1)).objects
    new = desk.read(made)
    assert codes_of(new)["RADPEER"] == "RADPEER-3B"
    assert (new.VerificationFlag, new.VerifyingObserverSequence[0].VerifyingObserverName) == ("VERIFIED", "anna")


def test_a_reviewer_who_is_not_known_any_more_has_no_role(desk: Desk) -> None:
    desk.ledger.add_decision(desk.case, decision(1, reviewer="gone"))
    (made,) = desk.stage()(desk.claim()).objects
    assert "SETTLED-BY" not in codes_of(desk.read(made))


def test_a_later_version_waits_for_an_earlier_one(desk: Desk) -> None:
    desk.ledger.add_decision(desk.case, decision(1))
    desk.ledger.add_decision(desk.case, decision(2, None))
    first = desk.claim()
    second = desk.rig.claim(Stage.WRITE_BACK)
    assert int(first.object_uid) < int(second.object_uid)
    with pytest.raises(NotYet, match="earlier version"):
        desk.stage()(second)
    desk.rig.finish(first, desk.stage()(first))
    assert len(desk.stage()(second).objects) == 1


def test_what_was_set_aside_is_not_told_after_a_later_version(desk: Desk) -> None:
    first = desk.decide(1)
    desk.ledger.park(first, desk.rig.clock.now, "for a test")
    desk.tell(2, None)
    desk.ledger.revive(desk.rig.clock.now)
    ended = desk.stage()(desk.claim())
    assert ended.state is WorkState.DECLINED
    assert "later version" in ended.reasons[0]
    assert ended.objects == ()


def test_without_a_report_there_is_nothing_to_version(desk: Desk, monkeypatch) -> None:
    work = desk.decide(1)
    monkeypatch.setattr(type(desk.ledger), "objects", lambda *_: ())
    ended = desk.stage()(work)
    assert (ended.state, ended.objects) == (WorkState.DECLINED, ())
    assert "no measurement report" in ended.reasons[0]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_report_that_is_not_made_yet_is_waited_for(desk: Desk, monkeypatch, stopped) -> None:
    work = desk.decide(1)
    desk.ledger.add_work([NewWork(stage=Stage.PUBLISH, series_uid=SERIES, generation=1, object_uid="x")], NOW)
    if stopped:
        desk.ledger.park(desk.rig.claim(Stage.PUBLISH), desk.rig.clock.now, "for a test")
    monkeypatch.setattr(type(desk.ledger), "objects", lambda *_: ())
    with pytest.raises(Unreadable if stopped else Retryable, match="report on the reading"):
        desk.stage()(work)


def test_a_decision_that_is_not_there_is_permanent(desk: Desk) -> None:
    desk.ledger.add_work([NewWork(stage=Stage.WRITE_BACK, series_uid=SERIES, generation=1, object_uid="99")], NOW)
    with pytest.raises(Unreadable, match="no such decision"):
        desk.stage()(desk.claim())


def test_a_report_whose_file_is_damaged_is_permanent(desk: Desk) -> None:
    work = desk.decide(1)
    path = desk.rig.root / desk.report().kept.path
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Unreadable, match="outbox"):
        desk.stage()(work)


def test_only_decisions_on_flagged_cases_are_written_back(desk: Desk) -> None:
    ours = desk.ledger.case(desk.case).row.ours
    Intake(desk.rig.storage, desk.rig.clock, lambda: None).take(b"agrees", human(ours, 2), "desk")
    work = desk.rig.claim(Stage.COMPARE)
    comparer = Comparer(
        storage=desk.rig.storage,
        policy=Policy(),
        limits=Limits(),
        releaser=Releaser(desk.ledger, {}),
        clock=desk.rig.clock,
    )
    desk.rig.finish(work, comparer(work))
    agreed = desk.ledger.case_of_study(STUDY)
    assert not agreed.tier.flagged
    desk.ledger.add_decision(agreed.id, decision(1))
    assert desk.rows(Stage.WRITE_BACK) == []


def test_no_release_policy_holds_it_back_not_even_when_the_read_is_taken_back(desk: Desk) -> None:
    made = desk.tell(1)
    desk.ledger.discard_read(desk.ledger.case(desk.case).row.read_id, "wrong patient", "anna", desk.rig.clock.now)
    work = desk.rig.claim(Stage.COMPARE)
    releaser = Releaser(desk.ledger, {"told": ReleaseRule(policy=ReleasePolicy.AFTER_HUMAN_READ)})
    comparer = Comparer(
        storage=desk.rig.storage, policy=Policy(), limits=Limits(), releaser=releaser, clock=desk.rig.clock
    )
    desk.rig.finish(work, comparer(work))
    (sent,) = [one for one in desk.rows(Stage.DELIVER) if one.work.object_uid == made.sop_uid]
    assert sent.state is WorkState.PENDING


def test_a_decision_on_a_series_that_is_gone_is_recorded_all_the_same(desk: Desk) -> None:
    for one in desk.ledger.series_work(SERIES, 1):
        if one.state is not WorkState.DONE:
            desk.rig.finish(desk.rig.claim(one.work.stage), Outcome())
    desk.ledger.delete_series(SERIES)
    desk.ledger.record_study(StudyFacts(study_uid=STUDY), desk.rig.clock.now)
    desk.ledger.add_decision(desk.case, decision(1))
    assert len(desk.ledger.decisions(desk.case)) == 1
    assert desk.ledger.claim(desk.rig.clock.now + timedelta(days=1), timedelta(1), (Stage.WRITE_BACK,)) is None


def test_where_it_went_is_known_by_version(desk: Desk) -> None:
    assert desk.ledger.outcome_deliveries(desk.case) == {}
    desk.tell(1)
    desk.tell(2, None)
    found = desk.ledger.outcome_deliveries(desk.case)
    assert {version: [one.work.destination for one in rows] for version, rows in found.items()} == {
        1: ["told"],
        2: ["told"],
    }


def test_the_next_generation_names_the_report_and_not_what_told_of_a_decision(desk: Desk) -> None:
    desk.tell(1)
    publisher = Publisher(
        storage=desk.rig.storage, policy=Policy(), identity=IDENTITY, wanted=WANTED, clock=desk.rig.clock
    )
    next_one = Work(id=0, stage=Stage.PUBLISH, series_uid=SERIES, generation=2)
    named = publisher._predecessors(next_one)
    assert set(named) == {Role.SEG, Role.SR}
    assert named[Role.SR].sop_uid == desk.report().sop_uid
