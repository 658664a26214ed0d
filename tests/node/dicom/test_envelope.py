"""Sources with ugly headers: what is copied is the source's own bytes, and every answer can be read."""

from dataclasses import replace
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from node.dicom.answers import NodeIdentity, Role, build_answers
from node.dicom.elements import Elements
from node.dicom.envelope import plain
from node.dicom.files import content_of, read_content
from node.dicom.headers import read_instance
from node.dicom.references import PATIENT, STUDY
from tests.answer_cases import IDENTITY, SERIES_UID, Case, save

NAMES = {
    "latin": ("ISO_IR 100", "Müller^Jürgen"),
    "utf-8": ("ISO_IR 192", "Łęcki^Ōno=山田"),
    "kanji": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "undeclared": (None, "Müller^Jürgen"),
    "none": (None, "Doe^Jane"),
    "empty": ("ISO_IR 100", ""),
}


def elements_of(data):
    content = content_of(data)
    return Elements.of(content.dataset, content.transfer_syntax_uid)


def answers(change, folder, **changes: object):
    case = Case(change=change)
    paths = case.write(folder)
    content = read_content(paths[0])
    sent = Elements.of(content.dataset, content.transfer_syntax_uid)
    return sent, {made.role: made for made in build_answers(case.request(paths, **changes), list(Role))}


def named(kind):
    charset, name = NAMES[kind]

    def change(dataset: Dataset) -> None:
        dataset.PatientName = name
        if charset is None:
            del dataset.SpecificCharacterSet
        else:
            dataset.SpecificCharacterSet = charset

    return change


@pytest.mark.parametrize("kind", NAMES)
def test_patient_and_study_are_the_bytes_that_were_sent(kind, tmp_path):
    sent, made = answers(named(kind), tmp_path)
    # the outcome is written when a case is settled
    assert set(made) == set(Role) - {Role.OUTCOME}
    for answer in made.values():
        own = elements_of(answer.data)
        for keyword in (*PATIENT, *STUDY):
            assert bytes(own.raw(keyword)) == bytes(sent.raw(keyword)), keyword
        assert str(pydicom.dcmread(BytesIO(answer.data)).PatientName) == NAMES[kind][1]


def test_undeclared_letters_are_declared(tmp_path):
    _, made = answers(named("undeclared"), tmp_path)
    assert pydicom.dcmread(BytesIO(made[Role.SR].data)).SpecificCharacterSet == "ISO_IR 100"


@pytest.mark.parametrize("kind", NAMES)
def test_a_site_that_is_not_ascii_makes_the_answer_utf8(kind, tmp_path):
    identity = replace(IDENTITY, institution="Universitätsklinikum 東京")
    _, made = answers(named(kind), tmp_path, identity=identity)
    for answer in made.values():
        dataset = pydicom.dcmread(BytesIO(answer.data))
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert str(dataset.PatientName) == NAMES[kind][1]
        assert dataset.InstitutionName == "Universitätsklinikum 東京"


def test_missing_attributes_are_written_empty(tmp_path):
    def strip(dataset: Dataset) -> None:
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyID", "StudyTime", "FrameOfReferenceUID"):
            del dataset[keyword]
        del dataset.Manufacturer
        del dataset.SeriesNumber

    _, made = answers(strip, tmp_path)
    for answer in made.values():
        dataset = pydicom.dcmread(BytesIO(answer.data))
        assert "PatientName" in dataset
        assert not dataset.PatientName
        assert not dataset.AccessionNumber
        assert "ReferencedRequestSequence" not in dataset
        assert dataset.ContributingEquipmentSequence[0].Manufacturer == "unknown"
    assert pydicom.dcmread(BytesIO(made[Role.SEG].data)).FrameOfReferenceUID.startswith("2.25.")


def test_private_elements_and_unknown_character_sets_do_no_harm(tmp_path):
    def change(dataset: Dataset) -> None:
        block = dataset.private_block(0x07A1, "ELSCINT1", create=True)
        block.add_new(0x10, "LO", "private")

    case = Case(change=change)
    paths = case.write(tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))
    for made in build_answers(case.request(paths), list(Role)):
        dataset = pydicom.dcmread(BytesIO(made.data))
        assert str(dataset.PatientName) == "Doe^Jane"
        assert not any(element.tag.is_private for element in dataset)


def test_an_implicit_source_gives_the_same_answers(tmp_path):
    case = Case()
    explicit = case.write(tmp_path / "explicit")
    implicit = [tmp_path / path.name for path in explicit]
    for dataset, path in zip(case.datasets(), implicit, strict=True):
        save(dataset, path, ImplicitVRLittleEndian)
    assert build_answers(case.request(explicit), list(Role)) == build_answers(case.request(implicit), list(Role))


def test_an_order_is_referred_to(tmp_path):
    def order(dataset: Dataset) -> None:
        item, issuer = Dataset(), Dataset()
        item.RequestedProcedureID, item.RequestedProcedureDescription = "RP-1", "Calcium score"
        issuer.LocalNamespaceEntityID = "HIS"
        dataset.RequestAttributesSequence = Sequence([item])
        dataset.IssuerOfAccessionNumberSequence = Sequence([issuer])

    _, made = answers(order, tmp_path)
    for role, keyword in (
        (Role.SEG, "RequestAttributesSequence"),
        (Role.SR, "ReferencedRequestSequence"),
        (Role.REPORT, "ReferencedRequestSequence"),
        (Role.SUMMARY, "RequestAttributesSequence"),
    ):
        item = pydicom.dcmread(BytesIO(made[role].data))[keyword].value[0]
        assert (item.AccessionNumber, item.RequestedProcedureID) == ("ACC-1", "RP-1")
        assert item.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "HIS"


def test_equipment_is_the_scanner_and_then_this_node(tmp_path):
    _, made = answers(None, tmp_path)
    for answer in made.values():
        dataset = pydicom.dcmread(BytesIO(answer.data))
        scanner, node = dataset.ContributingEquipmentSequence
        assert (scanner.Manufacturer, scanner.DeviceSerialNumber) == ("Maker", "777")
        assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert node.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert node.ManufacturerModelName == "calcium-second-reader"
        assert node.DeviceUID.startswith("2.25.")
        assert "ab" * 32 in node.ContributionDescription


def test_own_answers_are_recognised_when_they_come_back(tmp_path):
    _, made = answers(None, tmp_path)
    for answer in made.values():
        content = content_of(answer.data)
        instance = read_instance(content.dataset, content.transfer_syntax_uid)
        assert instance.made_by_this_software
        assert (instance.sop_uid, instance.series_uid) == (answer.sop_uid, answer.series_uid)
        assert instance.sop_class_uid == answer.sop_class_uid == content.sop_class_uid


def test_each_kind_has_a_series_of_its_own_beside_the_source(tmp_path):
    _, made = answers(None, tmp_path)
    datasets = [pydicom.dcmread(BytesIO(answer.data)) for answer in made.values()]
    assert len({dataset.SeriesInstanceUID for dataset in datasets} | {SERIES_UID}) == 5
    assert [dataset.SeriesNumber for dataset in datasets] == [301, 302, 303, 304]
    assert {dataset.Modality for dataset in datasets} == {"SEG", "SR", "OT"}
    assert all("calcium-second-reader" in dataset.SeriesDescription for dataset in datasets)


def test_times_are_told_in_the_zone_of_the_source(tmp_path):
    def zone(dataset: Dataset) -> None:
        dataset.TimezoneOffsetFromUTC = "-0530"

    _, made = answers(zone, tmp_path)
    dataset = pydicom.dcmread(BytesIO(made[Role.SR].data))
    assert dataset.TimezoneOffsetFromUTC == "-0530"
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260303", "233607.890000")


def test_what_was_lossy_stays_lossy(tmp_path):
    def lossy(dataset: Dataset) -> None:
        dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", "12.5"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"

    _, made = answers(lossy, tmp_path)
    for role in (Role.SEG, Role.SUMMARY):
        dataset = pydicom.dcmread(BytesIO(made[role].data))
        assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 12.5)


def test_a_position_too_long_for_its_kind_is_written_anew(tmp_path):
    case = Case()
    paths = case.write(tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"-128.50580\\-106.00581\\", b"-128.5058012345678\\-1\\"))
    request = case.request(paths)
    assert request.source.planes[0].position[0] == "-128.5058012345678"
    dataset = pydicom.dcmread(BytesIO(build_answers(request, [Role.SEG])[0].data))
    place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert len(place[0].original_string) <= 16
    assert place[0] == pytest.approx(-128.5058012345678)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1 mm² ± 2 – 3 µ ≥ 130", "1 mm2 +/- 2 - 3 u >= 130"),
        ("\u22125 HU", "-5 HU"),
        ("naïve Größe", "naive Grosse"),
        ("日本", "??"),
        ("a\\b", "a/b"),
    ],
)
def test_plain_text_is_ascii_and_loses_nothing_unseen(text, written):
    assert plain(text) == written


@pytest.mark.parametrize("change", [{"device_serial": ""}, {"software_version": ""}, {"qualification": "FINE"}])
def test_an_identity_must_be_whole(change):
    with pytest.raises(ValueError, match=r"empty|RESEARCH"):
        NodeIdentity(**({"device_serial": "1", "software_version": "1"} | change))
