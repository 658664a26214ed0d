"""dciodvfy (dicom3tools) finds no error in anything this node sends; dsrdump (dcmtk) reads what tells of decisions."""

import subprocess
from dataclasses import replace

import pytest

from node.dicom.answers import Role, build_answers
from node.dicom.outcome_report import build_outcome
from node.dicom.request import PredecessorRef
from node.dicom.segmentation import segments_of
from node.domain.review import Radpeer, ReviewOutcome
from node.domain.settlement import ScoresFrom, Settlement
from tests.answer_cases import DEFINITION, IDENTITY, Case, predecessor_of
from tests.peers.programs import program
from tests.peers.reference import phantom_request

pytestmark = pytest.mark.peer


def complaints(data, folder):
    """Lines of dciodvfy that say Error."""
    (folder / "object.dcm").write_bytes(data)
    command = [program("dciodvfy"), "-new", str(folder / "object.dcm")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert lines, "dciodvfy said nothing at all, not even which IOD it saw"
    return [line for line in lines if line.startswith("Error")]


def japanese(dataset):
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def bare(dataset):
    for keyword in ("AccessionNumber", "StudyID", "ReferringPhysicianName", "StationName", "InstitutionName"):
        del dataset[keyword]
    dataset.PatientName, dataset.PatientID = "", ""
    dataset.ImageType = ["DERIVED", "PRIMARY", "MPR"]


CASES = {
    "plain": Case(),
    "zero": Case(lesions=()),
    "kvp-adapted": Case(definition=replace(DEFINITION, kvp=100.0, kvp_adapted=True, threshold_hu=145.0)),
    "uncalibrated": Case(definition=replace(DEFINITION, mass_factor=None, kvp=None), notes=("Noise is high.",)),
    "japanese": Case(change=japanese),
    "bare": Case(change=bare),
}


@pytest.mark.parametrize("name", CASES)
def test_no_object_has_an_error(name, tmp_path):
    case = CASES[name]
    for made in build_answers(case.request(case.write(tmp_path / "source")), list(Role)):
        assert complaints(made.data, tmp_path) == [], made.role


def test_no_object_of_an_enhanced_source_has_an_error(tmp_path):
    case = Case()
    for made in build_answers(case.request(case.write_enhanced(tmp_path / "source")), list(Role)):
        assert complaints(made.data, tmp_path) == [], made.role


def test_no_new_version_has_an_error(tmp_path):
    case = Case()
    first = case.request(case.write(tmp_path / "source"))
    before = {role: predecessor_of(first, role, "1.2.840.10008.5.1.4.1.1.88.34") for role in (Role.SR, Role.REPORT)}
    second = replace(first, generation=2, predecessors=before, identity=replace(IDENTITY, institution="Clinique É"))
    for made in build_answers(second, list(Role)):
        assert complaints(made.data, tmp_path) == [], made.role


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("outcome", [*ReviewOutcome, None])
def test_no_outcome_has_an_error(name, outcome, tmp_path):
    case = CASES[name]
    request = case.request(case.write(tmp_path / "source"))
    report = build_answers(request, [Role.SEG, Role.SR])[-1]
    for verified_for in ("", "General Hospital"):
        settlement = Settlement(
            version=1,
            outcome=outcome,
            settled_at=request.made_at,
            scores={} if outcome in (None, ReviewOutcome.BOTH_WRONG) else {"LAD": 12.5, "CAC": 12.5, "AC": 0.0},
            scores_from=None if outcome in (None, ReviewOutcome.BOTH_WRONG) else ScoresFrom.HUMAN,
            radpeer=None if outcome is None else Radpeer.MISS_SIGNIFICANT,
            role="reviewer",
            reviewer="anna" if verified_for else "",
            organization=verified_for,
        )
        before = PredecessorRef(
            series_uid=report.series_uid, sop_class_uid=report.sop_class_uid, sop_uid=report.sop_uid
        )
        made = build_outcome(report.data, settlement, before, model_sha256="ab", software_version="1")
        assert complaints(made.data, tmp_path) == []
        said = subprocess.run([program("dsrdump"), str(tmp_path / "object.dcm")], capture_output=True, check=False)
        assert said.returncode == 0, said.stderr
        assert b"Outcome of the review" in said.stdout


@pytest.mark.reference
def test_no_object_of_a_real_scan_has_an_error(tmp_path):
    request = phantom_request()
    assert segments_of(request)
    for made in build_answers(request, list(Role)):
        assert complaints(made.data, tmp_path) == [], made.role


def test_an_error_would_be_seen(tmp_path):
    case = Case()
    made = build_answers(case.request(case.write(tmp_path / "source")), [Role.SR])[0]
    assert complaints(made.data.replace(b"UNVERIFIED", b"UNVERIFIES"), tmp_path)
