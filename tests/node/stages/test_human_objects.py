from __future__ import annotations

import zipfile
from datetime import UTC
from io import BytesIO
from itertools import permutations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.domain.errors import StorageFull
from node.domain.human_read import ReadSource
from node.domain.policy import Policy
from node.domain.read_history import ReadState
from node.domain.work import Stage, WorkState
from node.stages.human_objects import HumanObjects, ObjectRules, not_taken
from node.stages.intake import Intake
from node.stages.qualify import Qualifier
from tests.dicom_series import Style, ct_series
from tests.heart_scan import AGATSTON_OF_A_BEAD, BEAD, heart_scan
from tests.human_reports import a_capture, a_report
from tests.node.rig import LEASE

IMAGES = ct_series(heart_scan(), Style(name="objects"))
STUDY = str(IMAGES[0].StudyInstanceUID)
YELLOW = {"LAD": (255, 214, 0)}


def qualifier(rig, colours=YELLOW) -> Qualifier:
    intake = Intake(rig.storage, rig.clock, lambda: None)
    rules = ObjectRules(profile="agatston-1990", zone=UTC, colours=colours)
    return Qualifier(rig.ledger, Policy(), rig.spool, HumanObjects(rig.storage, Policy(), intake, rules))


def pictures():
    """Both slices of the bead, on which a person has coloured most of it."""
    found = []
    series = {}
    for number in (BEAD[0], BEAD[0] + 1):
        image = next(one for one in IMAGES if float(one.ImagePositionPatient[2]) == 100.0 + 3.0 * number)
        rgb = np.repeat(np.full((128, 128, 1), 90, np.uint8), 3, axis=2)
        rgb[BEAD[1] : BEAD[1] + 3, BEAD[2] : BEAD[2] + 4] = YELLOW["LAD"]
        found.append(a_capture(image, rgb, **series))
        series = {"SeriesInstanceUID": found[0].SeriesInstanceUID}
    return found


def run(rig, qualify):
    """Every QUALIFY work that is due; the outcome of the last."""
    outcome = None
    while (work := rig.ledger.claim(rig.clock.now, LEASE, (Stage.QUALIFY,))) is not None:
        outcome = qualify(work)
        rig.finish(work, outcome)
    return outcome


def test_a_report_is_taken_once_however_often_the_stage_runs(rig) -> None:
    """As after a kill between keeping the read and recording the outcome."""
    qualify = qualifier(rig)
    rig.close([a_report(IMAGES[0], 12.0)])
    work = rig.claim(Stage.QUALIFY)
    qualify(work)
    outcome = qualify(work)
    rig.finish(work, outcome)
    assert outcome.state is WorkState.DECLINED
    assert outcome.reasons == ("taken as a human read (number 1)",)
    (read,) = rig.ledger.reads_of(STUDY)
    assert (read.state, read.from_whom) == (ReadState.MATCHED, "CT01")
    assert len(rig.files("reads")) == 1
    assert not_taken(rig.ledger) == ()


@pytest.mark.parametrize("first", ["scan", "pictures"])
def test_coloured_pictures_are_scored_on_the_scan_and_all_of_them_are_the_original(rig, first) -> None:
    qualify, drawn = qualifier(rig), pictures()
    for number, images in enumerate([IMAGES, drawn] if first == "scan" else [drawn, IMAGES]):
        rig.close(images, f"a{number}")
        run(rig, qualify)
    (read,) = rig.ledger.reads_of(STUDY)
    assert read.read.source is ReadSource.CAPTURE
    assert read.read.scores["LAD"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
    with zipfile.ZipFile(BytesIO(rig.storage.originals.read(read.original))) as archive:
        assert len(archive.namelist()) == 2


@pytest.mark.parametrize("slips", [(True, True), (False, True)], ids=["another patient", "two patients"])
def test_pictures_of_another_patient_do_not_score_this_one(rig, slips) -> None:
    drawn = pictures()
    for one, slip in zip(drawn, slips, strict=True):
        one.PatientID = "SOMEBODY-ELSE" if slip else one.PatientID
    rig.close(IMAGES)
    run(rig, qualifier(rig))
    rig.close(drawn, "a2")
    outcome = run(rig, qualifier(rig))
    assert rig.ledger.reads_of(STUDY) == ()
    if slips[0]:
        (waiting,) = rig.ledger.quarantined_reads()
        assert waiting.reason == "the study it names belongs to another patient id"
        assert outcome.reasons == (f"taken as a human read (number 1); it is in quarantine: {waiting.reason}",)
    else:
        assert not_taken(rig.ledger)[0].reasons == ("the pictures name 2 patients",)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=str)
def test_versions_of_a_report_are_one_read_in_whatever_order_they_come(rig, order) -> None:
    versions = {1: a_report(IMAGES[0], 10.0)}
    for number in (2, 3):
        time = f"1{number}0000"
        before = versions[number - 1]
        versions[number] = a_report(IMAGES[0], 10.0 * number, ContentTime=time, **predecessor(before))
    rig.close(IMAGES)
    run(rig, qualifier(rig))
    for number in order:
        rig.close([versions[number]], f"v{number}")
        run(rig, qualifier(rig))
        counted = rig.ledger.effective_read(STUDY)
        assert counted.read.agatston("LAD") == 10.0 * max(order[: order.index(number) + 1])
    reads = rig.ledger.reads_of(STUDY)
    assert {one.read.source_id for one in reads} == {versions[1].SOPInstanceUID}
    states = {one.read.agatston("LAD"): one.state for one in reads}
    assert states == {10.0: ReadState.SUPERSEDED, 20.0: ReadState.SUPERSEDED, 30.0: ReadState.MATCHED}
    for number in order:  # once more, as after a restart: nothing changes
        assert qualifier(rig)._humans.offer(members(rig, versions[number])).taken
    assert rig.ledger.reads_of(STUDY) == reads


def predecessor(before) -> dict[str, object]:
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = before.SOPClassUID
    instance.ReferencedSOPInstanceUID = before.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = before.SeriesInstanceUID, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = before.StudyInstanceUID, [series]
    return {"PredecessorDocumentsSequence": [study]}


def members(rig, report):
    return rig.ledger.members(str(report.SeriesInstanceUID), 1)


def test_without_a_map_of_colours_pictures_are_only_declined(rig) -> None:
    rig.close(IMAGES)
    run(rig, qualifier(rig, {}))
    rig.close(pictures(), "a2")
    outcome = run(rig, qualifier(rig, {}))
    assert outcome.state is WorkState.DECLINED
    assert rig.ledger.reads_of(STUDY) == ()
    assert not_taken(rig.ledger) == ()


def test_a_picture_without_its_scan_waits_and_says_so(rig) -> None:
    rig.close(pictures())
    run(rig, qualifier(rig))
    (told,) = not_taken(rig.ledger)
    assert told.study_uid == STUDY
    assert "not here yet" in told.reasons[0]


def test_of_two_reports_the_broken_one_is_told_and_the_other_taken(rig) -> None:
    good = a_report(IMAGES[0], 12.0)
    bad = a_report(IMAGES[0], 12.0, ContentSequence=[], SeriesInstanceUID=good.SeriesInstanceUID)
    rig.close([bad, good])
    outcome = run(rig, qualifier(rig))
    assert outcome.reasons[0].startswith("taken as a human read")
    assert "modality is SR, not CT" in outcome.reasons
    assert len(not_taken(rig.ledger)) == 1
    assert len(rig.ledger.reads_of(STUDY)) == 1


def test_where_nothing_can_be_kept_now_it_is_tried_again(rig, monkeypatch) -> None:
    def full(_self, _data):
        raise StorageFull("no room")

    rig.close([a_report(IMAGES[0], 12.0)])
    monkeypatch.setattr("node.storage.originals.Originals.keep", full)
    with pytest.raises(StorageFull):
        qualifier(rig)(rig.claim(Stage.QUALIFY))
