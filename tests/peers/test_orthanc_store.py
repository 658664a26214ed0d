"""Orthanc takes every answer by C-STORE and gives it back element for element."""

from io import BytesIO

import pydicom
import pytest
from pynetdicom import AE

from node.dicom.answers import Role, build_answers
from tests.answer_cases import Case
from tests.peers.orthanc import AE_TITLE, running

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with running(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


def japanese(dataset):
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.StudyInstanceUID = "1.2.826.0.1.7"


@pytest.mark.parametrize("change", [None, japanese], ids=["plain", "japanese"])
def test_orthanc_gives_back_what_it_was_given(orthanc, change, tmp_path):
    case = Case(change=change)
    request = case.request(case.write(tmp_path), settings_sha256="ab" if change else "cd")
    answers = build_answers(request, list(Role))
    ae = AE(ae_title="CALCIUM2R")
    for made in answers:
        ae.add_requested_context(made.sop_class_uid, made.transfer_syntax_uid)
    association = ae.associate("127.0.0.1", orthanc.dicom_port, ae_title=AE_TITLE)
    assert association.is_established
    try:
        for made in answers:
            assert association.send_c_store(pydicom.dcmread(BytesIO(made.data))).Status == 0x0000
    finally:
        association.release()
    for made in answers:
        sent = pydicom.dcmread(BytesIO(made.data))
        back = pydicom.dcmread(BytesIO(orthanc.file_of(made.sop_uid)))
        assert back == sent, made.role
        assert str(back.PatientName) == str(sent.PatientName)
        assert back.file_meta.TransferSyntaxUID == made.transfer_syntax_uid
