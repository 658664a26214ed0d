from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom import codes
from node.dicom.answers import build_answers
from node.dicom.codes import SITES, Code
from node.dicom.content import code, container, number, text
from node.dicom.human_sr import predecessors_of, read_report
from node.dicom.references import read_source
from node.dicom.request import Role
from node.domain.errors import Malformed, Refused, Unreadable
from node.domain.human_read import ReadSource, ReadStatus
from tests.answer_cases import SERIES_UID, STUDY_UID, Case, patient_and_study

LESION = Code("121151", "DCM", "Lesion Identifier")
OTHER_SCORE = Code("450734004", "SCT", "Coronary artery calcium score")
VOLUME = Code("118565006", "SCT", "Volume")


def agatston(value, concept=codes.CORONARY_SCORE, unit=codes.NO_UNITS, children=()):
    return number(concept, value, unit, children)


def site(region):
    return code(codes.FINDING_SITE, SITES[region].site, "HAS CONCEPT MOD")


def group(region, *items):
    return container(codes.MEASUREMENT_GROUP, [site(region), *items])


def report(*items, syntax=ExplicitVRLittleEndian, **changes: object) -> bytes:
    dataset = patient_and_study()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComprehensiveSRStorage, "1.2.3.4"
    dataset.Modality, dataset.IssuerOfPatientID = "SR", "HOSP"
    dataset.ContentDate, dataset.ContentTime = "20260304", "101500.25"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    root = container(codes.MEASUREMENT_REPORT, items)
    for element in root:
        if element.keyword != "RelationshipType":
            dataset[element.tag] = element
    for name, value in changes.items():
        setattr(dataset, name, value)
    return stored(dataset, syntax)


def stored(dataset, syntax=ExplicitVRLittleEndian) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def scores(read):
    return {region: score.agatston for region, score in read.scores.items()}


def measurements(*groups):
    return container(codes.IMAGING_MEASUREMENTS, groups)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_tid_1500(syntax):
    read = read_report(
        report(
            measurements(
                group("LAD", agatston(120.5), number(codes.CALCIUM_VOLUME, 0.5, Code("mL", "UCUM", "ml"))),
                group("LCX", agatston(10, OTHER_SCORE), number(VOLUME, 9, codes.MM3)),
                group("AV", agatston(7, codes.CALCIUM_SCORE)),
                group("RCA", number(VOLUME, 9, codes.MM3)),  # of something, but of no calcium
                group("CAC", agatston(130.5), number(codes.TUBE_VOLTAGE, 120, codes.KV)),
            ),
            syntax=syntax,
        ),
        zone=timezone(timedelta(hours=1)),
    )
    assert scores(read) == {"LAD": 120.5, "LCX": 10, "AV": 7, "CAC": 130.5}
    assert (read.scores["LAD"].volume_mm3, read.scores["LCX"].volume_mm3) == (500, 9)
    assert (read.source, read.source_id, read.status, read.kvp) == (ReadSource.SR, "1.2.3.4", ReadStatus.FINAL, 120)
    key = read.study
    assert (key.study_uid, key.accession, key.patient_id, key.issuer) == (STUDY_UID, "ACC-1", "PID-77", "HOSP")
    assert read.read_at == datetime(2026, 3, 4, 9, 15, tzinfo=UTC)


def test_tid_3905_with_methods():
    methods = [
        number(codes.CALCIUM_SCORE, value, unit, [code(codes.MEASUREMENT_METHOD, method, "HAS CONCEPT MOD")])
        for value, unit, method in (
            (100, codes.NO_UNITS, codes.AGATSTON_METHOD),
            (80, codes.MM3, codes.VOLUME_METHOD),
            (20, codes.MG, codes.MASS_METHOD),
        )
    ]
    total = agatston(100, codes.CALCIUM_SCORE, children=[site("CAC")])
    read = read_report(report(container(codes.FINDINGS, [site("LAD"), *methods]), total))
    assert scores(read) == {"LAD": 100, "CAC": 100}
    assert (read.scores["LAD"].volume_mm3, read.scores["LAD"].mass_mg) == (80, 20)


def test_syngo_via_flat_and_nested():
    own = Code("1", "99SMS_CALC", "Agatston Score")
    mass = Code("2", "99SMS_CALC", "Equivalent mass")
    flat = []
    for name, value in (("LM", 0), ("LAD", 100), ("CX", 23), ("RCA", 0), ("U1", 34), ("U2", 0), ("Total", 123)):
        flat += [text(LESION, name), number(own, value, codes.NO_UNITS), number(mass, value / 5, codes.MG)]
    read = read_report(report(container(codes.FINDINGS, flat)))
    assert scores(read) == {"LM": 0, "LAD": 100, "LCX": 23, "RCA": 0, "CAC": 123}
    assert read.scores["LCX"].mass_mg == pytest.approx(4.6)
    assert "'U1' has a calcium agatston of 34 and is no known region: not compared" in read.remarks
    nested = text(LESION, "CX")
    nested.ContentSequence = Items([number(own, 5, codes.NO_UNITS)])
    assert scores(read_report(report(nested))) == {"LCX": 5}


def test_a_score_without_site_is_the_total():
    assert scores(read_report(report(agatston(5)))) == {"CAC": 5}


def test_old_snomed_codes():
    old = code(Code("G-C0E3", "SRT", "Finding Site"), Code("T-43120", "SRT", "Circumflex"), "HAS CONCEPT MOD")
    assert scores(read_report(report(container(codes.FINDINGS, [old, agatston(5)])))) == {"LCX": 5}


def test_values_that_contradict_each_other_are_left_out_and_said():
    read = read_report(report(group("LAD", agatston(5)), group("LAD", agatston(6)), group("CAC", agatston(11))))
    assert scores(read) == {"CAC": 11}
    assert "LAD has 2 different values of agatston: none of them is taken" in read.remarks


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"CompletionFlag": "PARTIAL"}, "preliminary"),
        ({"PreliminaryFlag": "PRELIMINARY"}, "preliminary"),
        ({"VerificationFlag": "VERIFIED"}, "final"),
        ({}, "final"),
    ],
)
def test_flags(changes, status):
    assert read_report(report(agatston(5), **changes)).status == ReadStatus(status)


def test_a_site_may_want_verified_reports_only():
    data = report(agatston(5))
    assert read_report(data, unverified=ReadStatus.PRELIMINARY).status is ReadStatus.PRELIMINARY


def test_a_correction_names_what_it_corrects_and_who_verified_it():
    study, series, old, who = Dataset(), Dataset(), Dataset(), Dataset()
    old.ReferencedSOPClassUID, old.ReferencedSOPInstanceUID = ComprehensiveSRStorage, "1.2.3.3"
    series.SeriesInstanceUID, series.ReferencedSOPSequence = "1.2.3", Items([old])
    study.StudyInstanceUID, study.ReferencedSeriesSequence = STUDY_UID, Items([series])
    who.VerifyingObserverName, who.VerificationDateTime = "Roe^Ann", "20260304120000-0500"
    data = report(
        agatston(5),
        PredecessorDocumentsSequence=Items([study]),
        VerifyingObserverSequence=Items([who]),
        VerificationFlag="VERIFIED",
    )
    read = read_report(data)
    assert read.status is ReadStatus.CORRECTED
    assert predecessors_of(data) == ("1.2.3.3",)
    assert (read.reader, read.read_at) == ("Roe^Ann", datetime(2026, 3, 4, 17, 0, tzinfo=UTC))
    assert read.version == read_report(report(agatston(5))).version + 6 * 3600 + 45 * 60


@pytest.mark.parametrize("role", [Role.SR, Role.REPORT])
def test_our_own_reports_are_no_human_reads(role, tmp_path):
    case = Case()
    (made,) = [
        one for one in build_answers(case.request_of(read_source(case.write(tmp_path))), [role]) if one.role is role
    ]
    with pytest.raises(Refused, match="this software made"):
        read_report(made.data)


def test_the_one_ct_series_of_the_evidence_is_the_one_scored(tmp_path):
    case = Case()
    source = read_source(case.write(tmp_path))
    own = pydicom.dcmread(BytesIO(build_answers(case.request_of(source), [Role.SR])[-1].data))
    data = report(agatston(5), CurrentRequestedProcedureEvidenceSequence=own.CurrentRequestedProcedureEvidenceSequence)
    assert read_report(data).study.series_uid == SERIES_UID


@pytest.mark.parametrize(
    ("items", "kind", "words"),
    [
        ([text(codes.COMMENT, "Agatston 5")], Refused, "no coded calcium score of a known region .0 numbers"),
        ([number(Code("1", "99X", "Agatston"), 5, codes.NO_UNITS)], Refused, "1 numbers"),
        ([group("LAD", agatston(-5))], Malformed, "LAD: Agatston score -5"),
        ([group("LAD", agatston(5, unit=codes.MM3))], Malformed, "'mm3' is no unit of agatston"),
        ([text(LESION, "U1"), agatston(5)], Refused, "no coded"),
    ],
)
def test_reports_that_hold_no_read(items, kind, words):
    with pytest.raises(kind, match=words):
        read_report(report(*items))


def test_numbers_without_names_are_refused():
    bare = agatston(5)
    del bare.ConceptNameCodeSequence
    with pytest.raises(Refused, match="no coded"):
        read_report(report(bare))


def test_bounds():
    deep = agatston(5)
    for _ in range(20):
        deep = container(codes.FINDINGS, [deep])
    with pytest.raises(Malformed, match="too deep"):
        read_report(report(deep))
    with pytest.raises(Refused, match="bytes"):
        read_report(b"\0" * 17_000_000)
    with pytest.raises(Refused, match="not a structured report"):
        read_report(report(agatston(5), SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))


GOOD = report(measurements(group("LAD", agatston(120.5)), group("CAC", agatston(130.5))))


@given(st.binary(max_size=6), st.integers(132, len(GOOD)), st.integers(0, 6))
def test_mutated_reports_raise_nothing_else(junk, at, cut):
    try:
        read_report(GOOD[:at] + junk + GOOD[at + cut :])
    except (Malformed, Refused, Unreadable) as error:
        assert str(error)  # noqa: PT017 - either is an answer
