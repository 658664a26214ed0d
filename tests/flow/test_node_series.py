"""Series as they really come: twice, in parts, late, mixed, with holes; each is answered once for what it holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom import dcmread

from node.domain.reading_json import loads
from node.domain.series import SeriesState
from node.domain.work import Stage, WorkState
from tests.dicom_series import Style, ct_series
from tests.flow.site import (
    SEG,
    SR,
    SUMMARY,
    Study,
    a_study,
    agatston_total,
    deliver,
    reasons_of,
    send,
    wait_until,
    work_of,
)
from tests.heart_scan import AGATSTON_OF_A_BEAD, heart_scan


def notes_of(site, study, generation=1):
    reading = site.node.storage.ledger.reading(study.series_uid, generation)
    return loads(site.node.storage.outbox.read(reading.findings)).notes


def test_the_same_study_twice_is_answered_once(site):
    study = a_study("twice")
    for _ in range(2):
        site.send(study)
        site.answers(study)
    record = site.node.storage.ledger.find_series(study.series_uid)
    assert (record.state, record.generation) == (SeriesState.CLOSED, 1)
    assert len(site.node.storage.ledger.instances(study.series_uid)) == 30


def test_other_content_under_a_known_uid_goes_to_quarantine(site):
    study = a_study("contradicted")
    site.send(study)
    site.answers(study)
    changed = ct_series(heart_scan(beads=()), study.style)[10]
    changed.SeriesDescription = "something else"
    deliver(site.node.port, [changed])
    site.answers(study)
    ledger, spool = site.node.storage.ledger, site.node.storage.spool
    known = ledger.find_instance(changed.SOPInstanceUID)
    assert known.conflicted
    assert dcmread(spool.path(known.path)).SeriesDescription == study.images[10].SeriesDescription
    (kept,) = ledger.quarantined(changed.SOPInstanceUID)
    assert dcmread(spool.path(kept.path)).SeriesDescription == "something else"
    assert ledger.find_series(study.series_uid).generation == 1
    site.still_works("a contradiction")


def test_a_late_slice_makes_a_new_version_that_names_the_one_before(site):
    study = a_study("late")
    early = Study(images=study.images[:29])
    site.send(early)
    first = site.answers(early)
    deliver(site.node.port, study.images[29:])
    wait_until(lambda: len(site.archive.of(study)) >= 6)
    site.settle()
    every = site.archive.of(study)
    before = {one.SOPInstanceUID for one in first.values()}
    second = {one.sop_class_uid: one.read() for one in every if one.sop_uid not in before}
    assert set(second) == {SEG, SR, SUMMARY}
    assert len({one.sop_uid for one in every}) == len(every) == 6
    (study_item,) = second[SR].PredecessorDocumentsSequence
    (series_item,) = study_item.ReferencedSeriesSequence
    assert series_item.SeriesInstanceUID == first[SR].SeriesInstanceUID
    assert [one.ReferencedSOPInstanceUID for one in series_item.ReferencedSOPSequence] == [first[SR].SOPInstanceUID]
    assert "PredecessorDocumentsSequence" not in first[SR]
    assert agatston_total(second[SR]) == AGATSTON_OF_A_BEAD
    assert site.node.storage.ledger.find_series(study.series_uid).generation == 2
    assert len(site.node.storage.ledger.members(study.series_uid, 2)) == 30


def together(*calls: Callable[[], None]) -> None:
    """Call at once, from a thread each; an error is raised here."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for result in [pool.submit(call) for call in calls]:
            result.result()


def test_two_associations_deliver_one_series(site):
    study = a_study("halves")
    port = site.node.port
    together(
        lambda: deliver(port, study.images[::2], "CT01"),
        lambda: deliver(port, study.images[1::2], "CT02"),
    )
    answers = site.answers(study)
    assert agatston_total(answers[SR]) == AGATSTON_OF_A_BEAD
    assert site.node.storage.ledger.find_series(study.series_uid).generation == 1


def test_two_associations_that_both_deliver_the_whole_series(site):
    study = a_study("doubled")
    port = site.node.port
    together(*[lambda name=name: deliver(port, study.images, name) for name in ("CT01", "CT02")])
    site.answers(study)
    assert site.node.storage.ledger.find_series(study.series_uid).generation == 1


def test_four_scanners_at_once(site):
    studies = [a_study(f"scanner {number}") for number in range(4)]
    together(
        *[lambda number=number, study=study: site.send(study, f"CT0{number}") for number, study in enumerate(studies)]
    )
    for study in studies:
        assert agatston_total(site.answers(study)[SR]) == AGATSTON_OF_A_BEAD


def test_mixed_series_in_one_association(site):
    studies = [a_study("mixed one"), a_study("mixed two", calcium=False)]
    mixed = [image for pair in zip(*(study.images for study in studies), strict=True) for image in pair]
    deliver(site.node.port, mixed)
    assert agatston_total(site.answers(studies[0])[SR]) == AGATSTON_OF_A_BEAD
    assert agatston_total(site.answers(studies[1], 2)[SR]) == 0


def test_a_missing_slice_is_named_and_the_series_is_not_read(site):
    study = a_study("gap")
    deliver(site.node.port, [*study.images[:12], *study.images[13:]])
    site.settle()
    (reason,) = [one for one in reasons_of(site.node, study.series_uid) if "missing" in one]
    assert reason.startswith("1 slice is missing between ")
    assert site.archive.of(study) == []
    deliver(site.node.port, study.images[12:13])
    answers = site.answers(study)
    assert agatston_total(answers[SR]) == AGATSTON_OF_A_BEAD
    assert "PredecessorDocumentsSequence" not in answers[SR]


def test_a_series_cut_short_waits_for_quiet_and_is_declined(site):
    study = a_study("short")
    deliver(site.node.port, study.images[:8])
    site.settle()
    reasons = reasons_of(site.node, study.series_uid)
    assert any(one.startswith("number of slices 8") for one in reasons)
    assert any("covers" in one for one in reasons)
    assert site.archive.of(study) == []


@pytest.mark.parametrize("keyword", ["InstanceNumber", "ImagePositionPatient"])
def test_two_slices_swapped_are_put_by_position_and_told(keyword, site):
    study = Study(images=ct_series(heart_scan(beads=()), Style(name=f"swapped {keyword}")))
    one, other = study.images[4], study.images[5]
    first, second = one[keyword].value, other[keyword].value
    one[keyword].value, other[keyword].value = second, first
    site.send(study)
    assert agatston_total(site.answers(study, 2)[SR]) == 0
    assert any("instance numbers disagree with slice positions" in note for note in notes_of(site, study))


def test_of_two_reconstructions_one_is_read(site):
    """The same acquisition with a soft and a firm kernel: one study, one answer."""
    soft = a_study("kernels", ConvolutionKernel="FC12")
    sharp = Study(
        images=ct_series(
            heart_scan(),
            Style(
                name="kernels sharp",
                tags={
                    "StudyInstanceUID": soft.study_uid,
                    "ConvolutionKernel": "FC14",
                    "SeriesDescription": "CaScore 3.0 2nd",
                },
            ),
        )
    )
    deliver(site.node.port, [*soft.images, *sharp.images])
    site.answers(soft)
    assert [row.state for row in work_of(site.node, soft.series_uid, Stage.READ)] == [WorkState.DONE]
    (declined,) = work_of(site.node, sharp.series_uid, Stage.QUALIFY)
    assert declined.state is WorkState.DECLINED
    assert any("reconstruction" in reason for reason in declined.reasons)


def test_the_outcomes_of_an_unknown_class_and_of_a_good_image_in_one_association(site):
    study = a_study("with a stranger")
    stranger = ct_series(heart_scan(), Style(name="stranger"))[0]
    stranger.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"  # MR Image Storage
    outcomes = send(site.node.port, [stranger, *study.images])
    assert "does not accept MR Image Storage" in str(outcomes[0].error)
    assert all(outcome.delivered for outcome in outcomes[1:])
    site.answers(study)
