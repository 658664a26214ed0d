from dataclasses import replace
from io import BytesIO

import highdicom
import pydicom
import pytest

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.codes import SITES
from node.dicom.impression import DISCLAIMER, impression
from node.dicom.references import read_source
from node.dicom.request import PredecessorRef
from node.domain.findings import RegionScore
from tests.answer_cases import DEFINITION, SERIES_UID, STUDY_UID, Case, predecessor_of

COMPREHENSIVE_3D, COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return read_source(Case().write(tmp_path_factory.mktemp("source")))


def read(made):
    return pydicom.dcmread(BytesIO(made.data))


def built(request, *roles: Role):
    return {made.role: made for made in build_answers(request, roles)}


def name(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def children(item, code):
    return [child for child in item.get("ContentSequence", []) if name(child) == code]


def groups(dataset):
    measurements = children(dataset, "126010")[0]
    return {children(group, "112039")[0].TextValue: group for group in children(measurements, "125007")}


def value(group, code):
    return children(group, code)[0].MeasuredValueSequence[0].FloatingPointValue


def test_measurement_report_has_a_group_for_every_vessel_and_total(source):
    case = Case()
    dataset = read(built(case.request_of(source), Role.SR)[Role.SR])
    assert dataset.SOPClassUID == COMPREHENSIVE_3D
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    found = groups(dataset)
    assert list(found) == [f"Calcium {key}" for key in (*Vessel, "CAC", "AC")]
    for key, score in case.findings().scores.items():
        group = found[f"Calcium {key}"]
        concept = "112058" if key in ("AV", "TA", "AC") else "450360000"
        assert value(group, concept) == score.agatston
        assert value(group, "122660") == score.volume_mm3
        assert value(group, "122661") == score.mass_mg
        assert value(group, "246206008") == score.lesions
        assert children(group, "363698007")[0].ConceptCodeSequence[0].CodeValue == SITES[key].site.value
        assert children(group, "111003")[0].TextValue == "1.2.0"


def test_scores_name_their_methods(source):
    dataset = read(built(Case().request_of(source), Role.SR)[Role.SR])
    group = groups(dataset)["Calcium LAD"]
    methods = {
        code: children(children(group, code)[0], "370129005")[0].ConceptCodeSequence[0].CodeValue
        for code in ("450360000", "122660", "122661")
    }
    assert methods == {"450360000": "112055", "122660": "112056", "122661": "112057"}


def test_vessels_with_calcium_refer_to_their_segments(source):
    request = Case().request_of(source)
    made = built(request, Role.SEG, Role.SR)
    segments = {item.TrackingUID: item for item in read(made[Role.SEG]).SegmentSequence}
    found = groups(read(made[Role.SR]))
    for key in ("LAD", "RCA", "TA"):
        group = found[f"Calcium {key}"]
        reference = children(group, "121191")[0].ReferencedSOPSequence[0]
        segment = segments[children(group, "112040")[0].UID]
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1411"
        assert reference.ReferencedSOPInstanceUID == made[Role.SEG].sop_uid
        assert reference.ReferencedSegmentNumber == segment.SegmentNumber
        assert segment.TrackingID == f"Calcium {key}"
        assert children(group, "121232")[0].UID == SERIES_UID
    for key in ("LM", "LCX", "AV", "CAC", "AC"):
        group = found[f"Calcium {key}"]
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1501"
        assert not children(group, "121191")


def test_an_outside_library_reads_the_groups(source):
    request = Case().request_of(source)
    made = built(request, Role.SEG, Role.SR)
    content = highdicom.sr.srread(BytesIO(made[Role.SR].data)).content
    volumetric = content.get_volumetric_roi_measurement_groups()
    assert {group.tracking_identifier for group in volumetric} == {"Calcium LAD", "Calcium RCA", "Calcium TA"}
    for group in volumetric:
        assert group.referenced_segment[0].referenced_sop_instance_uid == made[Role.SEG].sop_uid
    assert len(content.get_image_measurement_groups()) == 5


def test_evidence_lists_every_source_image_and_the_segmentation(source):
    request = Case().request_of(source)
    made = built(request, Role.SEG, Role.SR, Role.REPORT)
    for role in (Role.SR, Role.REPORT):
        evidence = read(made[role]).CurrentRequestedProcedureEvidenceSequence[0]
        assert evidence.StudyInstanceUID == STUDY_UID
        series = {item.SeriesInstanceUID: item.ReferencedSOPSequence for item in evidence.ReferencedSeriesSequence}
        assert [item.ReferencedSOPInstanceUID for item in series[SERIES_UID]] == list(source.sop_uids)
        assert [item.ReferencedSOPInstanceUID for item in series[made[Role.SEG].series_uid]] == [made[Role.SEG].sop_uid]


def test_zero_calcium_is_reported_without_a_segmentation(source):
    made = built(Case(lesions=()).request_of(source), Role.SEG, Role.SR, Role.REPORT)
    assert set(made) == {Role.SR, Role.REPORT}
    dataset = read(made[Role.SR])
    assert value(groups(dataset)["Calcium CAC"], "450360000") == 0
    assert len(dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence) == 1


def test_the_total_says_by_which_rules_it_was_made(source):
    definition = replace(DEFINITION, kvp=100.0, kvp_adapted=True, threshold_hu=145.0)
    case = Case(definition=definition, notes=("Overlapping slices.",))
    total = groups(read(built(case.request_of(source), Role.SR)[Role.SR]))["Calcium CAC"]
    assert value(total, "122657") == 145.0
    assert value(total, "122658") == pytest.approx(145 * 0.78)
    assert value(total, "122659") == 0.78
    assert value(total, "113733") == 100.0
    assert children(total, "KVP-ADAPTED")[0].ConceptCodeSequence[0].CodeMeaning == "Yes"
    assert children(total, "111004")[0].ConceptCodeSequence[0].CodeValue == "122603"
    assert children(total, "121106")[0].TextValue == "Overlapping slices."
    assert "8-connected" in children(total, "PROFILE")[0].TextValue


def test_categories_use_the_private_scheme(source):
    dataset = read(built(Case().request_of(source), Role.SR)[Role.SR])
    total = groups(dataset)["Calcium CAC"]
    category = children(total, "CAC-CATEGORY")[0].ConceptCodeSequence[0]
    assert (category.CodingSchemeDesignator, category.CodeMeaning) == ("99CAC2R", "Agatston score 100-399")
    assert children(total, "CAC-DRS")[0].ConceptCodeSequence[0].CodeMeaning == "CAC-DRS A3/N2"
    assert dataset.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99CAC2R"


def test_the_interval_is_the_uncertainty_of_the_score(source):
    case = Case()
    total = groups(read(built(case.request_of(source), Role.SR)[Role.SR]))["Calcium CAC"]
    score = children(total, "450360000")[0]
    low, high = case.findings().interval["CAC"]
    agatston = case.findings().scores["CAC"].agatston
    assert value(score, "371886008") == pytest.approx(high - agatston)
    assert value(score, "371885007") == pytest.approx(agatston - low)


def test_quality_is_told_with_units(source):
    quality = {"noise_sd_hu": 18.25, "metal": True, "flags": ["noise", "motion"], "gating": "unknown"}
    case = Case(quality=quality | {"metal_mm3": 2, "blood_pool_hu": None, "coverage_mm": float("nan")})
    total = groups(read(built(case.request_of(source), Role.SR)[Role.SR]))["Calcium CAC"]
    noise = children(total, "NOISE-SD-HU")[0].MeasuredValueSequence[0]
    assert noise.FloatingPointValue == 18.25
    assert noise.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    assert children(total, "METAL")[0].ConceptCodeSequence[0].CodeMeaning == "Yes"
    assert children(total, "FLAGS")[0].TextValue == "noise; motion"
    assert children(total, "GATING")[0].TextValue == "unknown"
    metal = children(total, "METAL-MM3")[0].MeasuredValueSequence[0]
    assert metal.MeasurementUnitsCodeSequence[0].CodeValue == "mm3"
    assert children(total, "BLOOD-POOL-HU")[0].TextValue == "not measured"
    assert children(total, "COVERAGE-MM")[0].TextValue == "not measured"


def test_qualities_with_long_names_get_codes_of_their_own(source):
    case = Case(quality={"fraction_of_heart_in_view": 0.93, "fraction_of_heart_in_noise": 0.5})
    total = groups(read(built(case.request_of(source), Role.SR)[Role.SR]))["Calcium CAC"]
    concepts = [item.ConceptNameCodeSequence[0] for item in total.ContentSequence]
    long = {item.CodeValue: item.CodeMeaning for item in concepts if item.CodeValue.startswith("FRACTION")}
    assert len(long) == 2
    assert all(len(value) == 16 for value in long)
    assert "Image quality: fraction of heart in view" in long.values()


def test_without_calibration_there_is_no_mass(source):
    case = Case(definition=replace(DEFINITION, mass_factor=None))
    total = groups(read(built(case.request_of(source), Role.SR)[Role.SR]))["Calcium CAC"]
    assert not children(total, "122661")
    assert not children(total, "122658")
    assert not children(total, "122659")


@pytest.mark.parametrize(
    ("score", "shown"), [(0.0, "0"), (0.004, "0.004"), (0.00012345, "0.00012"), (123.456, "123.46"), (1e6, "1000000")]
)
def test_a_number_is_rounded_for_people_and_exact_for_machines(source, score, shown):
    case = Case()
    scores = dict(case.findings().scores)
    scores["LM"] = RegionScore(agatston=score, volume_mm3=0.0, mass_mg=0.0, lesions=1)
    request = case.request_of(source, findings=replace(case.findings(), scores=scores))
    item = children(groups(read(built(request, Role.SR)[Role.SR]))["Calcium LM"], "450360000")[0]
    measured = item.MeasuredValueSequence[0]
    assert measured.NumericValue.original_string == shown
    assert measured.FloatingPointValue == score


def test_the_narrative_carries_the_impression_as_text(source):
    case = Case()
    dataset = read(built(case.request_of(source), Role.REPORT)[Role.REPORT])
    assert dataset.SOPClassUID == COMPREHENSIVE
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "3900"
    assert name(dataset) == "122600"
    said = children(children(dataset, "19005-8")[0], "121073")[0].TextValue
    assert said.split("\r\n") == impression(case.findings()).split("\n")
    assert said.endswith(DISCLAIMER)


def test_a_new_version_names_its_predecessor(source):
    request = Case().request_of(source)
    first = predecessor_of(request, Role.SR, COMPREHENSIVE_3D)
    second = replace(request, generation=2, predecessors={Role.SR: first})
    dataset = read(built(second, Role.SR, Role.REPORT)[Role.SR])
    series = dataset.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == first.series_uid
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.sop_uid
    assert dataset.SOPInstanceUID != first.sop_uid
    assert "PredecessorDocumentsSequence" not in read(built(second, Role.REPORT)[Role.REPORT])
    assert isinstance(first, PredecessorRef)


def test_reports_are_complete_unverified_research(source):
    made = built(Case().request_of(source), Role.SR, Role.REPORT)
    for dataset in map(read, made.values()):
        assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
        assert dataset.ContentQualification == "RESEARCH"
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "050607.890000")
