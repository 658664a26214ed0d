from __future__ import annotations

from datetime import timedelta

import pytest
from pydicom import dcmread

from node.dicom.answers import Role, build_answers
from node.domain.errors import NotYet
from node.domain.policy import Policy
from node.domain.work import Stage, WorkState
from node.stages.qualify import Qualifier
from tests.answer_cases import Case
from tests.dicom_series import Style, ct_series, thorax

SCAN = thorax(28)


def scan(name="plain", **tags: object):
    """A series of the study "study" in the same acquisition as every other one."""
    study = {"StudyInstanceUID": Style(name="study").study_uid()}
    return ct_series(SCAN, Style(name=name, tags=study | tags))


@pytest.fixture
def qualify(rig):
    return Qualifier(rig.ledger, Policy())


def test_a_calcium_scan_goes_on_to_be_read(rig, qualify):
    series = rig.close(scan())
    work = rig.claim(Stage.QUALIFY)
    outcome = qualify(work)
    assert outcome.state is WorkState.DONE
    assert outcome.reasons == ()
    rig.finish(work, outcome)
    assert rig.ledger.verdict(series, 1).eligible
    read = rig.claim(Stage.READ)
    assert (read.series_uid, read.generation) == (series, 1)


def test_a_declined_series_says_every_reason_and_goes_nowhere(rig, qualify):
    series = rig.close(scan(ContrastBolusAgent="Iomeprol", KVP=90, ConvolutionKernel="LUNG")[:15])
    work = rig.claim(Stage.QUALIFY)
    outcome = qualify(work)
    assert outcome.state is WorkState.DECLINED
    assert outcome.followers == ()
    text = "\n".join(outcome.reasons)
    for named in ("contrast", "90", "LUNG", "number of slices 15", "covers"):
        assert named in text
    rig.finish(work, outcome)
    stored = rig.ledger.verdict(series, 1)
    assert (stored.eligible, stored.reasons) == (False, outcome.reasons)
    assert rig.ledger.claim(rig.clock.now, timedelta(minutes=1), (Stage.READ,)) is None


def test_of_two_reconstructions_one_is_read_and_the_other_says_which(rig, qualify):
    standard = rig.close(scan("standard", ConvolutionKernel="FC12"))
    firm = rig.close(scan("firm", ConvolutionKernel="Qr44"), "a2")
    outcomes = {}
    for _ in range(2):
        work = rig.claim(Stage.QUALIFY)
        outcomes[work.series_uid] = qualify(work)
        rig.finish(work, outcomes[work.series_uid])
    assert outcomes[standard].state is WorkState.DONE
    assert "chosen before another reconstruction" in "\n".join(rig.ledger.verdict(standard, 1).reasons)
    assert outcomes[firm].state is WorkState.DECLINED
    (reason,) = outcomes[firm].reasons
    assert "another reconstruction of this acquisition was chosen" in reason
    assert "FC12" in reason


def test_it_waits_for_a_sibling_that_is_still_arriving(rig, qualify):
    rig.close(scan("first"))
    sibling = rig.send(scan("second")[:5], "a2")
    work = rig.claim(Stage.QUALIFY)
    with pytest.raises(NotYet):
        qualify(work)
    rig.ledger.close_series(sibling, rig.clock.now, "test")
    assert qualify(work).state is WorkState.DONE  # 5 slices are no rival


def test_it_does_not_wait_for_what_cannot_compete(rig, qualify):
    rig.close(scan("first"))
    rig.send(ct_series(SCAN, Style(name="another study"))[:5], "a2")
    report = scan("report", Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")[:1]
    for tag in ("ImagePositionPatient", "Rows", "PixelData"):
        del report[0][tag]
    rig.send(report, "a3")
    assert qualify(rig.claim(Stage.QUALIFY)).state is WorkState.DONE


def test_a_series_that_is_declined_anyway_does_not_wait(rig, qualify):
    rig.close(scan("first")[:5])
    rig.send(scan("second"), "a2")
    assert qualify(rig.claim(Stage.QUALIFY)).state is WorkState.DECLINED


def test_a_declined_sibling_is_no_rival(rig, qualify):
    rig.close(scan("contrast", ContrastBolusAgent="Iomeprol", ConvolutionKernel="FC12"))
    plain = rig.close(scan("plain", ConvolutionKernel="Qr44"), "a2")
    works = [rig.claim(Stage.QUALIFY) for _ in range(2)]
    outcomes = {work.series_uid: qualify(work).state for work in works}
    assert outcomes.pop(plain) is WorkState.DONE
    assert set(outcomes.values()) == {WorkState.DECLINED}


def test_our_own_answer_coming_back_is_not_read(rig, qualify, tmp_path):
    case = Case()
    for number, made in enumerate(build_answers(case.request(case.write(tmp_path)), (Role.SEG, Role.SR))):
        path = tmp_path / f"{made.role}.dcm"
        path.write_bytes(made.data)
        rig.close([dcmread(path)], f"a{number}")
        outcome = qualify(rig.claim(Stage.QUALIFY))
        assert outcome.state is WorkState.DECLINED
        assert any("made by this software" in reason for reason in outcome.reasons)
        assert outcome.followers == ()


def test_the_site_s_own_limits_hold(rig):
    rig.close(scan())
    outcome = Qualifier(rig.ledger, Policy(minimum_slices=40))(rig.claim(Stage.QUALIFY))
    assert outcome.state is WorkState.DECLINED
    assert "number of slices 28; at least 40 are needed" in outcome.reasons


def test_qualifying_twice_gives_the_same_and_has_one_effect(rig, qualify):
    series = rig.close(scan())
    work = rig.claim(Stage.QUALIFY)
    first = qualify(work)
    rig.clock.advance(61)  # the worker died before its outcome was recorded
    again = rig.claim(Stage.QUALIFY)
    assert (again.id, again.attempts) == (work.id, 2)
    assert qualify(again) == first
    rig.finish(again, first)
    assert [row.work.stage for row in rig.ledger.series_work(series, 1)] == [Stage.QUALIFY, Stage.READ]
