"""Human reads come in, are compared with ours whichever comes last, and release what waited."""

from __future__ import annotations

from datetime import timedelta

import pytest

from node.dicom.request import NodeIdentity, Role
from node.domain.cases import CaseFilter, PageOf
from node.domain.human_read import HumanRead, ReadScore, ReadSource, ReadStatus, StudyKey
from node.domain.policy import Policy
from node.domain.read_history import ReadArrival, ReadState
from node.domain.reading_json import loads
from node.domain.records import Outcome
from node.domain.release import ReleasePolicy
from node.domain.tiers import Limits, Tier
from node.domain.work import Stage
from node.stages.compare import Comparer
from node.stages.intake import Intake
from node.stages.publish import Publisher
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from node.stages.release import Releaser, ReleaseRule
from tests.dicom_series import Style, ct_series
from tests.heart_scan import heart_scan

IMAGES = ct_series(heart_scan(), Style(tags={"AccessionNumber": "A1", "PatientID": "P1", "StationName": "CT01"}))
STUDY = str(IMAGES[0].StudyInstanceUID)
RULES = {
    "after": ReleaseRule(policy=ReleasePolicy.AFTER_HUMAN_READ, longest=timedelta(hours=1)),
    "flagged": ReleaseRule(policy=ReleasePolicy.ON_DISAGREEMENT),
}
WANTED = dict.fromkeys(("at-once", *RULES), frozenset((Role.SR,)))
IDENTITY = NodeIdentity(device_serial="SN-1", software_version="0.1.0", station_name="CALCIUM2R")


def human(cac: float, version: int = 1, status: ReadStatus = ReadStatus.FINAL) -> HumanRead:
    return HumanRead(
        source=ReadSource.API,
        source_id="r1",
        version=version,
        status=status,
        study=StudyKey(accession="A1", patient_id="P1"),
        scores={"CAC": ReadScore(agatston=cac)},
    )


class Flow:
    """The stages by hand, until nothing is due."""

    def __init__(self, rig, reader) -> None:
        self.rig, policy = rig, Policy()
        self.releaser = Releaser(rig.ledger, RULES)
        self.intake = Intake(rig.storage, rig.clock, lambda: None)
        read = ReadStage(rig.storage, reader, policy)
        self.handlers = {
            Stage.QUALIFY: Qualifier(rig.ledger, policy, rig.spool),
            Stage.READ: lambda work: read(work, "5e" * 32),
            Stage.PUBLISH: Publisher(
                storage=rig.storage,
                policy=policy,
                identity=IDENTITY,
                wanted=WANTED,
                clock=rig.clock,
                releaser=self.releaser,
            ),
            Stage.COMPARE: Comparer(
                storage=rig.storage, policy=policy, limits=Limits(), releaser=self.releaser, clock=rig.clock
            ),
        }

    def run(self) -> None:
        lease = timedelta(minutes=1)
        while (work := self.rig.ledger.claim(self.rig.clock.now, lease, tuple(self.handlers))) is not None:
            self.rig.finish(work, self.handlers[work.stage](work))

    def send(self) -> None:
        self.rig.close(IMAGES)
        self.run()

    def take(self, cac: float, version: int = 1, status: ReadStatus = ReadStatus.FINAL):
        recorded = self.intake.take(f"{cac} {version}".encode(), human(cac, version, status), "desk")
        self.run()
        return recorded

    def deliveries(self) -> dict[str, str]:
        records = self.rig.ledger.series_work(str(IMAGES[0].SeriesInstanceUID), 1)
        return {one.work.destination: str(one.state) for one in records if one.work.stage is Stage.DELIVER}


@pytest.fixture
def flow(rig, lad_reader):
    return Flow(rig, lad_reader)


def tiers(rig) -> list[Tier]:
    return [row.tier for row in rig.ledger.cases(CaseFilter(), PageOf()).rows]


def test_the_study_is_known_by_what_its_headers_say(flow, rig) -> None:
    rig.close(IMAGES[:3])  # too few to be read
    flow.run()
    facts = rig.ledger.study(STUDY)
    assert (facts.accession, facts.patient_id, facts.station, facts.ae_title) == ("A1", "P1", "CT01", "CT01")


@pytest.mark.parametrize("read_first", [True, False])
def test_whichever_comes_last_starts_the_comparison_and_what_waits_is_released(flow, rig, read_first) -> None:
    if read_first:
        assert flow.take(0.0).state is ReadState.QUARANTINED
        flow.send()
    else:
        flow.send()
        assert tiers(rig) == []
        assert flow.deliveries() == {"at-once": "pending", "after": "held", "flagged": "held"}
        assert flow.take(0.0).arrival is ReadArrival.NEW
    assert tiers(rig) == [Tier.PRIORITY]
    assert len(rig.ledger.comparisons_of(STUDY)) == 1
    assert flow.deliveries() == dict.fromkeys(WANTED, "pending")


def test_a_corrected_read_is_compared_anew_and_the_earlier_comparison_stays(flow, rig) -> None:
    flow.send()
    flow.take(0.0)
    ours = rig.ledger.case_of_study(STUDY).ours
    flow.take(ours, version=2)
    assert tiers(rig) == [Tier.CONCORDANT]
    assert len(rig.ledger.comparisons_of(STUDY)) == 2


def test_what_agrees_ends_and_is_sent_after_all_when_a_correction_disagrees(flow, rig) -> None:
    flow.send()
    findings = rig.ledger.reading(str(IMAGES[0].SeriesInstanceUID), 1).findings
    flow.take(loads(rig.outbox.read(findings)).scores["CAC"].agatston)
    assert flow.deliveries() == {"at-once": "pending", "after": "pending", "flagged": "declined"}
    flow.take(0.0, version=2)
    assert flow.deliveries() == dict.fromkeys(WANTED, "pending")


def test_after_a_set_time_it_goes_without_a_human_read(flow, rig) -> None:
    flow.send()
    rig.clock.advance(3599)
    assert flow.releaser.tick(rig.clock.now) == 0
    rig.clock.advance(2)
    assert flow.releaser.tick(rig.clock.now) == 1
    assert flow.deliveries() == {"at-once": "pending", "after": "pending", "flagged": "held"}


def test_what_a_withdrawn_read_let_go_waits_again_unless_it_has_left(flow, rig) -> None:
    flow.send()
    flow.take(0.0)
    sent = rig.claim(Stage.DELIVER, "after")
    rig.finish(sent, Outcome())
    flow.take(0.0, version=2, status=ReadStatus.WITHDRAWN)
    assert flow.deliveries() == {"at-once": "pending", "after": "done", "flagged": "held"}
    assert tiers(rig) == []
    compared = [one for one in rig.ledger.series_work(sent.series_uid, 1) if one.work.stage is Stage.COMPARE]
    assert [str(one.state) for one in compared] == ["declined"]
    assert "stays sent" in compared[0].reasons[0]
    flow.take(0.0, version=3)
    assert flow.deliveries() == {"at-once": "pending", "after": "done", "flagged": "pending"}
    assert tiers(rig) == [Tier.PRIORITY]


def test_what_waited_long_enough_is_not_held_again_by_a_withdrawal(flow, rig) -> None:
    flow.send()
    rig.clock.advance(3601)
    flow.releaser.tick(rig.clock.now)
    flow.take(0.0)
    flow.take(0.0, version=2, status=ReadStatus.WITHDRAWN)
    assert flow.deliveries() == {"at-once": "pending", "after": "pending", "flagged": "held"}
    flow.take(0.0, version=3, status=ReadStatus.PRELIMINARY)
    assert flow.deliveries() == {"at-once": "pending", "after": "pending", "flagged": "held"}


def test_at_start_a_destination_that_no_longer_waits_gets_everything(flow, rig) -> None:
    flow.send()
    Releaser(rig.ledger, {}).reconsider(rig.clock.now)
    assert flow.deliveries() == dict.fromkeys(WANTED, "pending")


def test_the_original_is_kept_as_it_came_and_only_once(flow, rig) -> None:
    first = flow.take(3.0)
    assert len(rig.files("reads")) == 1
    again = flow.take(3.0)
    assert (again.arrival, again.read_id, len(rig.files("reads"))) == (ReadArrival.SAME, first.read_id, 1)
    stored = rig.ledger.find_read(first.read_id)
    assert rig.storage.originals.read(stored.original) == b"3.0 1"
    (rig.root / stored.original.path).unlink()
    assert flow.take(3.0).arrival is ReadArrival.SAME  # sent again, it comes back
    assert rig.files("reads") == rig.ledger.known_paths()
    assert flow.intake.take_all(b"", (), "desk") == ()
