"""Human reads come in by every door of a running node, before or after the scan; each is compared, flagged once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from copy import deepcopy

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from node.cli import app
from node.domain.human_read import ReadSource
from node.domain.read_history import ReadState
from node.domain.tiers import Tier
from node.stages.human_objects import not_taken
from tests.flow.site import SEG, Archive, Site, Study, a_node, a_study, deliver, reasons_of, wait_until
from tests.heart_scan import AGATSTON_OF_A_BEAD
from tests.human_reports import a_report


@pytest.fixture(scope="module")
def site(tmp_path_factory, finds_lad):
    folder = tmp_path_factory.mktemp("reads")
    hl7 = {"enabled": True, "host": "127.0.0.1", "port": 0}
    with (
        Archive(folder / "archive") as archive,
        a_node(folder, finds_lad, [archive.destination()], hl7=hl7) as node,
    ):
        yield Site(node=node, archive=archive)


def by_report(site: Site, study: Study, lad: float) -> None:
    deliver(site.node.port, [a_report(study.images[0], lad)], "WORKSTATION")


def by_table(site: Site, study: Study, lad: float) -> None:
    folder = site.archive.folder.parent
    config, table = folder / "node.toml", folder / f"{study.study_uid}.csv"
    table.write_text(f"study_uid;LAD;read_id\n{study.study_uid};{lad:.1f};{study.study_uid}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["reads", "import", str(table), "--config", str(config)])
    assert result.exit_code == 0, result.output


def by_hl7(site: Site, study: Study, lad: float) -> None:
    lines = (
        "MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0000||ORU^R01^ORU_R01|M1|P|2.5.1|||||DE|UNICODE UTF-8",
        f"PID|1||{study.images[0].PatientID}^^^^MR",
        f"OBR|1|PL1|{study.study_uid}|CTCAC^CT calcium^L|||20260304093000|||||||||||||||20260304110000|||F",
        f"OBX|1|ST|113014^DICOM Study^DCM||{study.study_uid}||||||F",
        f"OBX|2|NM|LAD-AGATSTON||{lad:.1f}||||||F",
    )
    assert b"MSA|AA" in tell(site, "\r".join(lines))


def tell(site: Site, message: str) -> bytes:
    """The answer to an HL7 message, over a real socket."""
    with socket.create_connection(("127.0.0.1", site.node.hl7.port), timeout=10) as link:
        link.sendall(b"\x0b" + message.encode("utf-8") + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += link.recv(4096)
    return answer


Door = Callable[[Site, Study, float], None]
DOORS = {"report": (by_report, ReadSource.SR), "table": (by_table, ReadSource.FILE), "hl7": (by_hl7, ReadSource.HL7)}


@pytest.mark.parametrize("first", ["read", "scan"])
@pytest.mark.parametrize("door", list(DOORS))
def test_a_read_by_every_door_is_compared_and_flagged_once_in_either_order(site, door, first):
    come_in, source = DOORS[door]
    study = a_study(f"{door} {first}")
    ledger = site.node.storage.ledger
    if first == "read":
        come_in(site, study, 0.0)
        site.settle()
        site.send(study)
        site.answers(study)
    else:
        site.send(study)
        site.answers(study)
        come_in(site, study, 0.0)
    wait_until(lambda: ledger.comparisons_of(study.study_uid))
    if door != "report":  # another report is another read
        come_in(site, study, 0.0)
    site.settle()
    (compared,) = ledger.comparisons_of(study.study_uid)
    assert compared.tier is Tier.PRIORITY
    (read,) = ledger.reads_of(study.study_uid)
    assert (read.state, read.read.source) == (ReadState.MATCHED, source)
    assert ledger.case_of_study(study.study_uid).tier is Tier.PRIORITY


def test_a_corrected_report_replaces_the_one_it_names(site):
    study = a_study("corrected report")
    site.send(study)
    site.answers(study)
    ledger = site.node.storage.ledger
    before = a_report(study.images[0], 0.0)
    deliver(site.node.port, [before], "WORKSTATION")
    wait_until(lambda: ledger.comparisons_of(study.study_uid))
    site.settle()
    instance, series, of_study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = before.SOPClassUID
    instance.ReferencedSOPInstanceUID = before.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = before.SeriesInstanceUID, [instance]
    of_study.StudyInstanceUID, of_study.ReferencedSeriesSequence = study.study_uid, [series]
    after = a_report(study.images[0], AGATSTON_OF_A_BEAD, ContentTime="111500", PredecessorDocumentsSequence=[of_study])
    deliver(site.node.port, [after], "WORKSTATION")
    wait_until(lambda: len(ledger.comparisons_of(study.study_uid)) == 2)
    site.settle()
    first, second = ledger.reads_of(study.study_uid)
    assert (first.state, second.state) == (ReadState.SUPERSEDED, ReadState.MATCHED)
    assert first.read.source_id == second.read.source_id == before.SOPInstanceUID
    assert ledger.case_of_study(study.study_uid).tier is Tier.CONCORDANT
    said = reasons_of(site.node, str(after.SeriesInstanceUID))
    assert said == (f"taken as a human read (number {second.id})",)


@pytest.mark.parametrize("first", ["mask", "scan"])
def test_a_corrected_mask_is_scored_and_compared_in_either_order(site, first):
    model, study = a_study(f"model of {first}"), a_study(f"mask {first}")
    source = model if first == "mask" else study
    site.send(source)
    mask = corrected(site.answers(source)[SEG], study)
    ledger = site.node.storage.ledger
    deliver(site.node.port, [mask], "WORKSTATION")
    site.settle()
    if first == "mask":
        assert any("not here yet" in reason for reason in reasons_of(site.node, str(mask.SeriesInstanceUID)))
        site.send(study)
    wait_until(lambda: ledger.comparisons_of(study.study_uid))
    site.settle()
    (read,) = ledger.reads_of(study.study_uid)
    assert read.read.source is ReadSource.SEG
    assert read.read.scores["LAD"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
    assert ledger.case_of_study(study.study_uid).tier is Tier.CONCORDANT


def corrected(ours: Dataset, study: Study) -> Dataset:
    """Our mask as a person has worked on it, in a study; what it refers to is not looked at."""
    mask = deepcopy(ours)
    mask.SOPInstanceUID = mask.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    mask.SeriesInstanceUID, mask.StudyInstanceUID = generate_uid(), study.study_uid
    mask.FrameOfReferenceUID = study.images[0].FrameOfReferenceUID
    for segment in mask.SegmentSequence:
        segment.SegmentAlgorithmType = "SEMIAUTOMATIC"
    return mask


def test_a_report_that_says_nothing_of_calcium_is_declined_with_the_reason_and_our_own_is_no_read(site):
    study = a_study("other reports")
    site.send(study)
    answers = site.answers(study)
    empty = a_report(study.images[0], 1.0, ContentSequence=[])
    deliver(site.node.port, [empty, answers[SEG]], "WORKSTATION")
    site.settle()
    reasons = reasons_of(site.node, str(empty.SeriesInstanceUID))
    assert any("no coded calcium score" in reason for reason in reasons)
    (told,) = [one for one in not_taken(site.node.storage.ledger) if one.series_uid == empty.SeriesInstanceUID]
    assert "no coded calcium score" in told.reasons[0]
    assert any("made by this software" in one for one in reasons_of(site.node, str(answers[SEG].SeriesInstanceUID)))
    assert site.node.storage.ledger.reads_of(study.study_uid) == ()


def test_an_hl7_message_with_a_fault_is_answered_with_it_and_one_about_something_else_accepted(site):
    head = "MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0000||ORU^R01^ORU_R01|M2|P|2.5.1|||||DE|UNICODE UTF-8"
    wrong = f"{head}\rPID|1||P1\rOBR|1|PL1|F9|CT\rOBX|1|NM|LAD-AGATSTON||lots||||||F"
    other = f"{head}\rPID|1||P1\rOBR|1|PL1|F9|XR\rOBX|1|NM|SIZE||3||||||F"
    assert b"MSA|AE" in tell(site, wrong)
    assert b"MSA|AA" in tell(site, other)
