"""dciodvfy (dicom3tools) finds no error in anything this node sends."""

import subprocess
from dataclasses import replace

import pytest

from node.dicom.answers import Role, build_answers
from node.dicom.segmentation import segments_of
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
