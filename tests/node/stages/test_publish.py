from __future__ import annotations

import shutil
from io import BytesIO

import pytest
from pydicom import dcmread

from node.dicom.request import NodeIdentity, Role
from node.domain.errors import Unreadable
from node.domain.policy import Policy
from node.domain.work import Stage
from node.stages.publish import Publisher
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from tests.dicom_series import ct_series
from tests.heart_scan import heart_scan
from tests.node.rig import Rig

IDENTITY = NodeIdentity(device_serial="SN-1", software_version="0.1.0", station_name="CALCIUM2R")
EVERYTHING = frozenset((Role.SEG, Role.SR, Role.SUMMARY))
IMAGES = ct_series(heart_scan())


def publisher(rig, wanted):
    return Publisher(storage=rig.storage, policy=Policy(), identity=IDENTITY, wanted=wanted, clock=rig.clock)


def read_on(rig, reader):
    """Qualify and read what was closed; the claimed PUBLISH work."""
    for stage in (Stage.QUALIFY, Stage.READ):
        work = rig.claim(stage)
        if stage is Stage.QUALIFY:
            outcome = Qualifier(rig.ledger, Policy())(work)
        else:
            outcome = ReadStage(rig.storage, reader, Policy())(work, "5e" * 32)
        rig.finish(work, outcome)
    return rig.claim(Stage.PUBLISH)


@pytest.fixture(scope="module")
def read_root(tmp_path_factory, empty_ledger, lad_reader):
    """A storage root with one series that is read and not published, to be copied."""
    made = Rig(tmp_path_factory.mktemp("read") / "node", empty_ledger)
    made.close(IMAGES)
    read_on(made, lad_reader)
    made.ledger.close()
    return made.root


@pytest.fixture
def rig(tmp_path, read_root):
    shutil.copytree(read_root, tmp_path / "node")
    made = Rig(tmp_path / "node", None)
    made.ledger.release_claims(made.clock.now)
    yield made
    made.ledger.close()


@pytest.fixture
def read(rig):
    return rig.claim(Stage.PUBLISH)


@pytest.fixture
def fresh(tmp_path, empty_ledger):
    made = Rig(tmp_path / "fresh", empty_ledger)
    yield made
    made.ledger.close()


def deliveries(outcome):
    return sorted((one.destination, one.object_uid) for one in outcome.followers)


def test_each_destination_gets_what_it_wants_and_nothing_else(rig, read):
    wanted = {"pacs": EVERYTHING, "research": frozenset((Role.SEG, Role.REPORT)), "nothing": frozenset()}
    outcome = publisher(rig, wanted)(read)
    uid = {one.role: one.sop_uid for one in outcome.objects}
    assert set(uid) == {"seg", "sr", "report", "summary"}
    assert deliveries(outcome) == sorted(
        [
            *[("pacs", uid["seg"]), ("pacs", uid["sr"]), ("pacs", uid["summary"])],
            *[("research", uid["seg"]), ("research", uid["report"])],
        ]
    )
    rig.finish(read, outcome)
    assert {one.role for one in rig.ledger.objects(read.series_uid, 1)} == set(uid)
    assert rig.ledger.status()["deliveries"] == {"pending": 5}


def test_only_what_somebody_wants_is_made(rig, read):
    outcome = publisher(rig, {"pacs": frozenset((Role.SR,))})(read)
    assert [one.role for one in outcome.objects] == ["sr"]


def test_without_destinations_the_answers_are_made_and_kept(rig, read):
    outcome = publisher(rig, {})(read)
    assert {one.role for one in outcome.objects} == {"seg", "sr", "summary"}
    assert outcome.followers == ()


def test_the_bytes_in_the_outbox_are_the_object(rig, read):
    for made in publisher(rig, {"pacs": EVERYTHING})(read).objects:
        dataset = dcmread(BytesIO(rig.outbox.read(made.kept)))
        assert (dataset.SOPInstanceUID, dataset.SOPClassUID) == (made.sop_uid, made.sop_class_uid)
        assert dataset.SeriesInstanceUID == made.made_series_uid
        assert dataset.file_meta.TransferSyntaxUID == made.transfer_syntax_uid
        assert dataset.StudyInstanceUID == IMAGES[0].StudyInstanceUID
        assert (made.series_uid, made.generation) == (read.series_uid, 1)


def test_without_calcium_there_is_no_segmentation(fresh, lad_reader):
    fresh.close(ct_series(heart_scan(beads=())))
    outcome = publisher(fresh, {"pacs": EVERYTHING})(read_on(fresh, lad_reader))
    assert {one.role for one in outcome.objects} == {"sr", "summary"}
    assert len(outcome.followers) == 2


def test_made_again_after_a_lost_outcome_the_objects_keep_their_uids(rig, read):
    publish = publisher(rig, {"pacs": EVERYTHING})
    first = publish(read)
    rig.clock.advance(61)
    again = rig.claim(Stage.PUBLISH)
    second = publish(again)
    assert [one.sop_uid for one in second.objects] == [one.sop_uid for one in first.objects]
    assert deliveries(second) == deliveries(first)
    rig.finish(again, second)
    rig.outbox.sweep(rig.ledger.known_paths())
    for made in rig.ledger.objects(read.series_uid, 1):
        assert rig.outbox.read(made.kept)


def test_a_second_generation_names_the_first_as_its_predecessor(fresh, lad_reader):
    fresh.close(IMAGES[:29])
    first_work = read_on(fresh, lad_reader)
    publish = publisher(fresh, {"pacs": EVERYTHING})
    fresh.finish(first_work, publish(first_work))
    first = {one.role: one for one in fresh.ledger.objects(first_work.series_uid, 1)}
    fresh.clock.advance(100)
    fresh.close(IMAGES[29:], "a2")
    second_work = read_on(fresh, lad_reader)
    assert second_work.generation == 2
    second = {one.role: one for one in publish(second_work).objects}
    assert not {one.sop_uid for one in first.values()} & {one.sop_uid for one in second.values()}
    report = dcmread(BytesIO(fresh.outbox.read(second["sr"].kept)))
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first["sr"].made_series_uid
    (document,) = series.ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == first["sr"].sop_uid


def test_a_reading_that_is_not_there_or_not_whole_is_permanent(rig, read):
    kept = rig.ledger.reading(read.series_uid, 1).findings
    path = rig.root / kept.path
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Unreadable, match="outbox"):
        publisher(rig, {"pacs": EVERYTHING})(read)


def test_limits_that_changed_since_are_said(rig, read):
    strict = Publisher(
        storage=rig.storage, policy=Policy(minimum_slices=40), identity=IDENTITY, wanted={}, clock=rig.clock
    )
    with pytest.raises(Unreadable, match="no longer eligible"):
        strict(read)
