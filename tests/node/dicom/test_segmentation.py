from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.codes import SITES
from node.dicom.references import read_source
from node.dicom.segmentation import segments_of, vessel_areas
from tests.answer_cases import MADE_AT, SERIES_UID, Case


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.fixture(scope="module")
def source(case, tmp_path_factory):
    return read_source(case.write(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="module")
def request_(case, source):
    return case.request_of(source)


def segmentation(request):
    made = build_answers(request, [Role.SEG])
    return pydicom.dcmread(BytesIO(made[0].data))


def volumes(dataset, source):
    """{segment number: (slices, rows, columns)}, put together by position as a reader would."""
    place = {plane.position[2]: index for index, plane in enumerate(source.planes)}
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    found = {item.SegmentNumber: np.zeros(source.shape, bool) for item in dataset.SegmentSequence}
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = groups.PlanePositionSequence[0].ImagePositionPatient[2].original_string
        found[number][place[position]] = frame
    return found


def vessel_of(item):
    return Vessel(item.TrackingID.removeprefix("Calcium "))


def test_every_voxel_comes_back_under_its_vessel(request_, source):
    dataset = segmentation(request_)
    found = volumes(dataset, source)
    for item in dataset.SegmentSequence:
        np.testing.assert_array_equal(found[item.SegmentNumber], request_.labels == vessel_of(item).label)
    assert [vessel_of(item) for item in dataset.SegmentSequence] == [Vessel.LAD, Vessel.RCA, Vessel.TA]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=arrays(np.uint8, (6, 64, 80), elements=st.integers(0, 6), fill=st.just(0)))
def test_any_labels_come_back(case, source, labels):
    request = case.request_of(source, labels=labels, findings=replace(case.findings(), lesions=()))
    made = build_answers(request, [Role.SEG])
    if not labels.any():
        assert made == ()
        return
    dataset = pydicom.dcmread(BytesIO(made[0].data))
    again = np.zeros_like(labels)
    found = volumes(dataset, source)
    for item in dataset.SegmentSequence:
        again[found[item.SegmentNumber]] = vessel_of(item).label
    np.testing.assert_array_equal(again, labels)


def test_empty_frames_are_left_out(request_):
    dataset = segmentation(request_)
    assert dataset.NumberOfFrames == 4
    assert len(dataset.PerFrameFunctionalGroupsSequence) == 4
    assert len(dataset.PixelData) == 4 * 64 * 80 // 8


def test_geometry_is_that_of_the_source(request_):
    dataset = segmentation(request_)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.7, 0.5]
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == 2.5
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert dataset.FrameOfReferenceUID == "1.2.826.0.1.1.9"
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    position = first.PlanePositionSequence[0].ImagePositionPatient
    assert [value.original_string for value in position] == ["-128.50580", "-106.00581", "675.375"]


def test_each_frame_names_the_slice_it_was_made_of(request_):
    dataset = segmentation(request_)
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        derivation = groups.DerivationImageSequence[0]
        image = derivation.SourceImageSequence[0]
        index = int(image.ReferencedSOPInstanceUID.rsplit(".", 1)[1]) - 1
        at = groups.PlanePositionSequence[0].ImagePositionPatient[2]
        assert at == 672.875 + 2.5 * index
        assert derivation.DerivationCodeSequence[0].CodeValue == "113076"
        assert image.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == SERIES_UID
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6


def test_frames_of_an_enhanced_source_are_named(case, tmp_path):
    request = case.request(case.write_enhanced(tmp_path))
    dataset = segmentation(request)
    frames = {}
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        frames[groups.PlanePositionSequence[0].ImagePositionPatient[2]] = image.ReferencedFrameNumber
    assert frames == {675.375: 5, 677.875: 4, 682.875: 2, 680.375: 3}
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    for item, volume in zip(dataset.SegmentSequence, volumes(dataset, request.source).values(), strict=True):
        np.testing.assert_array_equal(volume, request.labels == vessel_of(item).label)


def test_segments_carry_colour_site_and_algorithm(request_):
    for item in segmentation(request_).SegmentSequence:
        site = SITES[vessel_of(item)]
        assert item.RecommendedDisplayCIELabValue == list(site.cielab)
        assert item.AnatomicRegionSequence[0].CodeValue == site.site.value
        assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == "18115005"
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        assert item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2.0"


@pytest.mark.parametrize("vessel", list(Vessel))
def test_cielab_is_the_colour_the_picture_shows(vessel):
    # The table was made with the white point of sRGB and without adaptation; a step of 16 bits is far below sight.
    lab = highdicom.color.CIELabColor(
        *(
            value * scale / 65535 - shift
            for value, scale, shift in zip(SITES[vessel].cielab, (100, 255, 255), (0, 128, 128), strict=True)
        )
    )
    assert np.abs(np.array(lab.to_rgb(), int) - SITES[vessel].rgb).max() <= 3


def test_an_outside_library_reads_the_segments(request_):
    made = build_answers(request_, [Role.SEG])[0]
    read = highdicom.seg.segread(BytesIO(made.data))
    assert read.segmentation_type is highdicom.seg.SegmentationTypeValues.BINARY
    for segment in segments_of(request_):
        voxels = read.get_volume(segment_numbers=[segment.number], combine_segments=True).array
        assert int((voxels > 0).sum()) == int((request_.labels == segment.vessel.label).sum())


def test_equal_requests_give_equal_bytes(case, source, request_):
    again = case.request_of(source)
    assert build_answers(request_, list(Role)) == build_answers(again, list(Role))


@pytest.mark.parametrize("change", ["generation", "settings", "model"])
def test_uids_change_with_what_shapes_the_answer(request_, change):
    model = replace(request_.findings.model, sha256="ef" * 32)
    other = {
        "generation": replace(request_, generation=2),
        "settings": replace(request_, settings_sha256="00" * 32),
        "model": replace(request_, findings=replace(request_.findings, model=model)),
    }[change]
    for one, two in zip(build_answers(request_, list(Role)), build_answers(other, list(Role)), strict=True):
        assert {one.sop_uid, one.series_uid}.isdisjoint({two.sop_uid, two.series_uid})
    own, theirs = (uids_of(segmentation(request)) for request in (request_, other))
    sources = {uid for uid in own if uid.startswith("1.2.826.")}
    devices = {request_.device_uid}
    assert own & theirs == sources | (set() if change == "model" else devices)


def uids_of(dataset):
    found = set()
    for element in dataset.iterall():
        if element.VR == "UI" and not str(element.value).startswith(("1.2.840.10008", "['1.2.840")):
            found.add(str(element.value))
    return found


def test_time_changes_bytes_but_no_uid(request_):
    later = replace(request_, made_at=MADE_AT + timedelta(hours=1))
    one, two = build_answers(request_, [Role.SEG])[0], build_answers(later, [Role.SEG])[0]
    assert one.data != two.data
    assert uids_of(segmentation(request_)) == uids_of(segmentation(later))


def test_the_device_is_known_by_model_and_serial_number_only(request_):
    assert request_.device_uid == replace(request_, generation=9, settings_sha256="11" * 32).device_uid
    other = replace(request_.identity, device_serial="SN-2")
    assert request_.device_uid != replace(request_, identity=other).device_uid


def test_without_calcium_there_is_no_segmentation(case, source):
    empty = Case(lesions=())
    assert build_answers(empty.request_of(source), [Role.SEG]) == ()
    assert segments_of(empty.request_of(source)) == ()


def test_labels_must_fit_the_source(case, source):
    with pytest.raises(ValueError, match="do not fit"):
        case.request_of(source, labels=np.zeros((5, 64, 80), np.uint8))


def test_areas_are_counted_by_label_and_slice(request_):
    areas = vessel_areas(request_.labels)
    for vessel in Vessel:
        np.testing.assert_array_equal(areas[vessel.label], (request_.labels == vessel.label).sum(axis=(1, 2)))
