from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage

from model.definition import definition_for
from model.lesions import CalciumMask
from model.scoring import score
from node.dicom.answers import build_answers
from node.dicom.codes import SITES
from node.dicom.colour_capture import TRUE_COLOR_CAPTURE, labels_of_captures, read_captures
from node.dicom.hues import vessels_by_hue
from node.dicom.human_seg import labels_of_segmentation, read_segmentation
from node.dicom.references import read_source
from node.dicom.request import Role
from node.dicom.scored_mask import WHOLE_LABELS, CtContext
from node.dicom.volumes import read_volume
from node.domain.errors import Malformed, Refused, Unreadable
from node.domain.human_read import Confidence, ReadSource, StudyKey
from tests.answer_cases import SERIES_UID, STUDY_UID, Case, patient_and_study

CASE = Case()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """(the scan as context, our own SEG on it, our own summary)."""
    paths = CASE.write(tmp_path_factory.mktemp("ct"))
    loaded = read_volume(paths)
    ct = CtContext(
        volume=loaded.volume,
        planes=tuple(zip(loaded.sop_uids, loaded.frames, strict=True)),
        study=StudyKey(study_uid=STUDY_UID, series_uid=SERIES_UID, accession="ACC-1", patient_id="PID-77"),
        frame_of_reference_uid="1.2.826.0.1.1.9",
    )
    made = {one.role: one.data for one in build_answers(CASE.request_of(read_source(paths)), [Role.SEG, Role.SUMMARY])}
    return ct, made[Role.SEG], made[Role.SUMMARY]


@pytest.fixture(scope="module")
def truth(scan):
    volume = scan[0].volume
    return score(volume, CalciumMask(labels=CASE.labels(), grid=volume.grid), definition_for()).regions


def stored(dataset) -> bytes:
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def corrected(seg, change=lambda _: None) -> bytes:
    """Our segmentation as a person's tool would send it back."""
    dataset = pydicom.dcmread(BytesIO(seg))
    del dataset.ContributingEquipmentSequence
    dataset.Manufacturer = dataset.ManufacturerModelName = "Editor"
    dataset.ContentCreatorName = "Roe^Ann"
    for item in dataset.SegmentSequence:
        item.SegmentAlgorithmType = "MANUAL"
    change(dataset)
    return stored(dataset)


def test_a_corrected_segmentation_is_scored_as_ours_is(scan, truth):
    read = read_segmentation(corrected(scan[1]), scan[0])
    assert read.source is ReadSource.SEG
    assert set(read.scores) == {"LAD", "RCA", "TA", "CAC"}  # LM and LCX are not marked: missing, never 0
    for region, found in read.scores.items():
        assert found.agatston == pytest.approx(truth[region].agatston)
        assert found.volume_mm3 == pytest.approx(truth[region].volume_mm3)
    assert (read.study, read.reader, read.kvp, read.profile) == (scan[0].study, "Roe^Ann", 120, "agatston-1990")
    assert "LM, LCX" in read.remarks[0]


def test_the_marks_themselves_are_those_that_were_drawn(scan, captures):
    ct = scan[0]
    assert np.array_equal(labels_of_segmentation(corrected(scan[1]), ct), CASE.labels())
    grown = labels_of_captures(captures, ct)
    calcium = ct.volume.hu >= ct.definition.threshold_hu
    assert np.array_equal(grown, np.where(calcium, CASE.labels(), 0))


def test_marks_that_tell_no_vessels_apart_have_a_label_of_their_own(scan):
    def merge(dataset):
        dataset.SegmentSequence[0].AnatomicRegionSequence = SITES["CAC"].site.sequence()

    labels = labels_of_segmentation(corrected(scan[1], merge), scan[0])
    first = int(CASE.labels()[CASE.labels() > 0].min())
    assert np.array_equal(labels == WHOLE_LABELS["CAC"], CASE.labels() == first)
    assert set(np.unique(labels)) == (set(np.unique(CASE.labels())) - {first}) | {WHOLE_LABELS["CAC"]}


@pytest.mark.parametrize("of", [labels_of_segmentation, lambda data, ct: labels_of_captures([data], ct)])
def test_marks_of_another_study_are_refused(scan, captures, of):
    data = corrected(scan[1]) if of is labels_of_segmentation else captures[1]
    other = replace(scan[0], study=replace(scan[0].study, study_uid="1.2.9"))
    with pytest.raises(Refused, match="another study"):
        of(data, other)


def test_frames_go_where_their_geometry_says(scan):
    def shuffle(dataset):
        frames = dataset.pixel_array[::-1]
        dataset.PerFrameFunctionalGroupsSequence = Items(list(dataset.PerFrameFunctionalGroupsSequence)[::-1])
        dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()

    def tidy(dataset):
        shuffle(dataset)
        dataset.PixelData += b"\0" * (len(dataset.PixelData) % 2)

    assert (
        read_segmentation(corrected(scan[1], tidy), scan[0]).scores
        == read_segmentation(corrected(scan[1]), scan[0]).scores
    )


def test_a_segment_of_all_coronaries_gives_the_total_alone(scan, truth):
    def merge(dataset):
        item = dataset.SegmentSequence[0]
        item.AnatomicRegionSequence = SITES["CAC"].site.sequence()
        dataset.SegmentSequence = Items([item])

    read = read_segmentation(corrected(scan[1], merge), scan[0])
    assert set(read.scores) == {"CAC"}
    assert read.scores["CAC"].agatston == pytest.approx(truth["LAD"].agatston)


def shift(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        place.ImagePositionPatient = [float(place.ImagePositionPatient[0]) + 3, *place.ImagePositionPatient[1:]]


def tilt(dataset):
    dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, -1, 0]


def zoom(dataset):
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.9, 0.9]


def nowhere(dataset):
    del dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def nameless(dataset):
    for item in dataset.SegmentSequence:
        item.AnatomicRegionSequence = SITES["AC"].site.sequence()
        item.AnatomicRegionSequence[0].CodeValue, item.SegmentLabel = "1", "thing"
        item.AnatomicRegionSequence[0].CodeMeaning = "thing"


def same_voxels(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    dataset.PixelData = b"\xff" * len(dataset.PixelData)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (shift, Refused, "grid of the scan: another position .4 of 4 frames"),
        (tilt, Refused, "another orientation"),
        (zoom, Refused, "another pixel spacing"),
        (nowhere, Refused, "does not say where it lies .* .1 of 4 frames"),
        (nameless, Refused, "no segment is of a known vessel"),
        (same_voxels, Refused, "share 5120 voxels"),
        (lambda one: setattr(one, "Rows", 32), Refused, "32 x 80 pixels, but 64 x 80"),
        (lambda one: setattr(one, "StudyInstanceUID", "1.2.9"), Refused, "another study"),
        (lambda one: setattr(one, "FrameOfReferenceUID", "1.2.9"), Refused, "another frame of reference"),
        (lambda one: setattr(one, "SegmentationType", "FRACTIONAL"), Refused, "FRACTIONAL"),
        (lambda one: setattr(one, "PixelData", b"\0\0"), Malformed, "2 bytes"),
        (lambda one: setattr(one, "NumberOfFrames", 3), Malformed, "3 frames"),
    ],
)
def test_masks_that_are_refused(scan, change, kind, words):
    with pytest.raises(kind, match=words):
        read_segmentation(corrected(scan[1], change), scan[0])


def test_our_own_objects_are_no_human_reads(scan):
    with pytest.raises(Refused, match="this software made"):
        read_segmentation(scan[1], scan[0])
    with pytest.raises(Refused, match="this software made"):
        read_captures([scan[2]], scan[0])
    with pytest.raises(Refused, match="not a segmentation"):
        read_segmentation(scan[2], scan[0])


@given(st.binary(max_size=6), st.integers(0, 30_000), st.integers(0, 6))
def test_mutated_segmentations_raise_nothing_else(scan, junk, at, cut):
    good = corrected(scan[1])
    try:
        read_segmentation(good[:at] + junk + good[at + cut :], scan[0])
    except (Malformed, Refused, Unreadable) as error:
        assert str(error)  # noqa: PT017 - either is an answer


def painted(ct, place, labels, alpha=0.5):
    """A slice in a narrow window with half-transparent colours over what is labelled, shrunk by a pixel."""
    grey = np.clip((ct.volume.hu[place] + 160) / 400 * 255, 0, 255)
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    for number, region in enumerate(("LM", "LAD", "LCX", "RCA", "AV", "TA"), start=1):
        mask = labels[place] == number
        mask &= np.roll(mask, 1, axis=0)
        rgb[mask] = (1 - alpha) * rgb[mask] + alpha * np.asarray(SITES[region].rgb)
    return rgb.astype(np.uint8)


def capture(rgb, change=lambda _: None, **attributes: object) -> bytes:
    dataset = patient_and_study()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.7.1"
    dataset.SeriesInstanceUID = "1.2.7"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = rgb.shape[-3:-1]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.add_new(0x7FE00010, "OB", rgb.tobytes())
    for name, value in attributes.items():
        setattr(dataset, name, value)
    change(dataset)
    return stored(dataset)


def source(uid):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    return Items([item])


@pytest.fixture(scope="module")
def captures(scan):
    ct = scan[0]
    return [
        capture(
            painted(ct, place, CASE.labels()),
            SourceImageSequence=source(ct.planes[place][0]),
            SOPInstanceUID=f"1.2.7.{place}",
        )
        for place in range(6)
    ]


def test_coloured_pictures_are_grown_to_whole_components_and_scored(scan, captures, truth):
    read = read_captures(captures, scan[0])
    assert read.source is ReadSource.CAPTURE
    assert read.confidence is Confidence.GUESSED
    assert set(read.scores) == {"LAD", "RCA", "TA", "CAC"}
    for region, found in read.scores.items():
        assert found.agatston == pytest.approx(truth[region].agatston)
    assert read.source_id == "1.2.7"


def test_many_frames_with_geometry_and_planes_of_colour(scan, truth):
    ct = scan[0]
    frames = np.stack([painted(ct, place, CASE.labels()) for place in (4, 2, 1)])
    groups = Items()
    for place in (4, 2, 1):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [float(value) for value in ct.volume.grid.to_lps(np.array([place, 0, 0]))]
        group.PlanePositionSequence = Items([position])
        groups.append(group)
    shared, upright, measures = Dataset(), Dataset(), Dataset()
    upright.ImageOrientationPatient, measures.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.7, 0.5]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([upright]), Items([measures])
    data = capture(
        np.moveaxis(frames, -1, 1),
        SOPClassUID=TRUE_COLOR_CAPTURE,
        NumberOfFrames=3,
        PlanarConfiguration=1,
        Rows=64,
        Columns=80,
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=Items([shared]),
    )
    read = read_captures([data], ct)
    assert read.scores["LAD"].agatston == pytest.approx(truth["LAD"].agatston)
    assert set(read.scores) == {"LAD", "RCA", "CAC"}


def test_colour_that_spills_on_a_bone_does_not_take_it(scan):
    ct = scan[0]
    rgb = painted(ct, 3, CASE.labels() * 0)
    rgb[47, 57] = (0, 255, 0)  # one of 81 pixels
    rgb[0, 0] = (0, 255, 255)  # a logo in no vessel's colour
    with pytest.raises(Refused, match="nothing in the pictures is marked"):
        read_captures([capture(rgb, SourceImageSequence=source(ct.planes[3][0]))], ct)


@pytest.mark.parametrize(
    ("attributes", "kind", "words"),
    [
        ({}, Refused, "picture 1: its place in the scan is not resolved: it has no position, and names 0"),
        ({"SourceImageSequence": source("1.2.99")}, Refused, "not a slice of the scan"),
        ({"SourceImageSequence": Items([*source("1.2"), *source("1.3")])}, Refused, "names 2 source images"),
        (
            {
                "ImagePositionPatient": [0, 0, 0],
                "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
                "PixelSpacing": [1, 1],
            },
            Refused,
            "another pixel spacing, another position",
        ),
        ({"StudyInstanceUID": "1.2.9"}, Refused, "another study"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, Refused, "not a colour"),
    ],
)
def test_pictures_that_are_refused(scan, attributes, kind, words):
    with pytest.raises(kind, match=words):
        read_captures([capture(painted(scan[0], 1, CASE.labels()), **attributes)], scan[0])


def test_pictures_of_another_form_are_refused(scan, captures):
    ct = scan[0]
    small = capture(painted(ct, 1, CASE.labels())[:32], SourceImageSequence=source(ct.planes[1][0]))
    with pytest.raises(Refused, match="32 x 80 pixels"):
        read_captures([small], ct)
    dataset = pydicom.dcmread(BytesIO(captures[1]))
    dataset.PhotometricInterpretation = "YBR_FULL"
    with pytest.raises(Refused, match="only RGB"):
        read_captures([stored(dataset)], ct)
    dataset = pydicom.dcmread(BytesIO(captures[1]))
    dataset.compress(RLELossless)
    with pytest.raises(Refused, match="uncompressed"):
        read_captures([stored(dataset)], ct)
    with pytest.raises(Malformed, match="no picture"):
        read_captures([], ct)
    with pytest.raises(Malformed):
        read_captures([captures[1][:-1000]], ct)


def test_hues_of_half_transparent_colours():
    colours = {name: SITES[name].rgb for name in ("LM", "LAD", "LCX", "RCA", "AV", "TA")}
    for alpha in (0.35, 0.6, 1.0):
        for grey in (30, 128, 220):
            rgb = (alpha * np.asarray(list(colours.values())) + (1 - alpha) * grey).astype(np.uint8)
            numbers, strange = vessels_by_hue(rgb, colours)
            assert numbers.tolist() == [1, 2, 3, 4, 5, 6]
            assert not strange
    assert vessels_by_hue(np.full((4, 3), 90, np.uint8), colours)[1] == 0
    assert vessels_by_hue(np.array([[0, 255, 255]], np.uint8), colours)[1] == 1
    assert vessels_by_hue(np.array([[0, 255, 0]], np.uint8), {"LAD": (9, 9, 9)})[1] == 1


@given(st.binary(max_size=6), st.integers(0, 17_000), st.integers(0, 6))
def test_mutated_pictures_raise_nothing_else(scan, captures, junk, at, cut):
    good = captures[1]
    try:
        read_captures([good[:at] + junk + good[at + cut :]], scan[0])
    except (Malformed, Refused, Unreadable) as error:
        assert str(error)  # noqa: PT017 - either is an answer
