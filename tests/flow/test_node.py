"""A study goes in over the wire, and what it deserves comes out."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from node.domain.work import Stage, WorkState
from tests.dicom_series import Style, ct_series, enhanced_ct, turned
from tests.flow.site import (
    SEG,
    SR,
    SUMMARY,
    Archive,
    Study,
    a_node,
    a_study,
    agatston_total,
    deliver,
    settle,
    work_of,
)
from tests.heart_scan import AGATSTON_OF_A_BEAD, heart_scan

BEAD_VOXELS = 4 * 4 * 2


def references(dataset):
    """Every UID a data set refers to."""
    return {str(one.value) for one in dataset.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


def test_a_study_is_answered(site):
    study = a_study("answered")
    site.send(study)
    answers = site.answers(study)
    assert set(answers) == {SEG, SR, SUMMARY}
    assert agatston_total(answers[SR]) == AGATSTON_OF_A_BEAD
    assert int(np.count_nonzero(answers[SEG].pixel_array)) == BEAD_VOXELS
    sent = {str(image.SOPInstanceUID) for image in study.images}
    assert references(answers[SEG]) <= sent
    assert answers[SEG].SOPInstanceUID in references(answers[SR])
    for answer in answers.values():
        assert (answer.PatientID, answer.AccessionNumber) == ("PHANTOM-1", "A1")
        assert answer.SeriesInstanceUID != study.series_uid


def test_no_calcium_makes_no_segmentation(site):
    study = a_study("zero", calcium=False)
    site.send(study)
    answers = site.answers(study, 2)
    assert set(answers) == {SR, SUMMARY}
    assert agatston_total(answers[SR]) == 0


def test_what_arrived_is_what_the_outbox_keeps(site):
    study = a_study("bytes")
    site.send(study)
    site.answers(study)
    kept = {one.sop_uid: site.node.storage.outbox.read(one.kept) for one in site.node.storage.ledger.objects(
        study.series_uid, 1)}  # fmt: skip
    assert {one.sop_uid: one.file.read_bytes() for one in site.archive.of(study)} == kept


def compressed(syntax):
    def make(volume, style):
        images = ct_series(volume, style)
        for image in images:
            image.compress(syntax, generate_instance_uid=False)
        return images

    return make


def implicit(volume, style):
    return ct_series(volume, Style(name=style.name, syntax=ImplicitVRLittleEndian))


def feet_first(volume, style):
    """A patient who lies with the feet in the gantry: rows run the other way, slices are listed from below."""
    return ct_series(turned(volume, flips=(0, 2)), Style(name=style.name, tags={"PatientPosition": "FFS"}))


def from_above(volume, style):
    return ct_series(volume, style)[::-1]


def enhanced(volume, style):
    return [enhanced_ct(volume, style)]


WAYS = {
    "RLE": compressed(RLELossless),
    "JPEG-LS": compressed(JPEGLSLossless),
    "implicit VR": implicit,
    "feet first": feet_first,
    "last slice first": from_above,
    "enhanced CT": enhanced,
}


@pytest.mark.parametrize("way", WAYS)
def test_however_it_is_written_the_score_is_the_same(way, site):
    images = WAYS[way](heart_scan(), Style(name=f"way {way}"))
    study = Study(images=images)
    site.send(study)
    answers = site.answers(study)
    assert agatston_total(answers[SR]) == AGATSTON_OF_A_BEAD
    assert int(np.count_nonzero(answers[SEG].pixel_array)) == BEAD_VOXELS


def test_our_own_answers_coming_back_are_kept_and_not_read(site):
    study = a_study("routed back")
    site.send(study)
    answers = site.answers(study)
    deliver(site.node.port, list(answers.values()), "ARCHIVE")
    site.settle()
    ledger = site.node.storage.ledger
    for answer in answers.values():
        assert ledger.find_instance(answer.SOPInstanceUID) is not None
        verdict = ledger.verdict(answer.SeriesInstanceUID, 1)
        assert verdict is not None
        assert "the series was made by this software and is not read again" in verdict.reasons
        (work,) = ledger.series_work(answer.SeriesInstanceUID, 1)
        assert (work.work.stage, work.state) == (Stage.QUALIFY, WorkState.DECLINED)
    assert len(site.archive.of(study)) == 3


def test_each_destination_gets_what_it_asked_for(tmp_path, finds_lad):
    study = a_study("two")
    with Archive(tmp_path / "all") as everything, Archive(tmp_path / "reports") as reports:
        destinations = [everything.destination("all"), reports.destination("reports", send=["sr"])]
        with a_node(tmp_path, finds_lad, destinations) as node:
            deliver(node.port, study.images)
            settle(node)
            assert [row.state for row in work_of(node, study.series_uid, Stage.DELIVER)] == [WorkState.DONE] * 4
        assert {one.sop_class_uid for one in everything.of(study)} == {SEG, SR, SUMMARY}
        (report,) = reports.of(study)
    (same,) = (one for one in everything.stored if one.sop_class_uid == SR)
    assert report.file.read_bytes() == same.file.read_bytes()


def test_without_destinations_the_reading_is_made_and_kept(tmp_path, finds_lad):
    study = a_study("nowhere")
    with a_node(tmp_path, finds_lad) as node:
        deliver(node.port, study.images)
        settle(node)
        roles = {one.role for one in node.storage.ledger.objects(study.series_uid, 1)}
        assert roles == {"seg", "sr", "summary"}
        assert work_of(node, study.series_uid, Stage.DELIVER) == []
