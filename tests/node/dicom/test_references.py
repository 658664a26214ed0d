import pytest
from pydicom.dataset import Dataset

from node.dicom.references import read_source
from node.domain.errors import Malformed, Unreadable
from tests.answer_cases import SERIES_UID, STUDY_UID, Case


def test_planes_are_in_the_order_of_the_files_with_positions_as_sent(tmp_path):
    source = read_source(Case().write(tmp_path))
    assert source.shape == (6, 64, 80)
    assert source.study_uid == STUDY_UID
    assert source.series_uid == SERIES_UID
    assert [plane.sop_uid for plane in source.planes] == [f"{SERIES_UID}.{number}" for number in range(1, 7)]
    assert source.planes[0].position == ("-128.50580", "-106.00581", "672.875")
    assert source.pixel_spacing == ("0.7", "0.5")
    assert source.slice_spacing_mm == pytest.approx(2.5)


def test_frames_of_an_enhanced_image_are_put_in_slice_order(tmp_path):
    source = read_source(Case().write_enhanced(tmp_path))
    assert [plane.frame for plane in source.planes] == [6, 5, 4, 3, 2, 1]
    assert [plane.position[2] for plane in source.planes] == sorted(plane.position[2] for plane in source.planes)
    assert source.sop_uids == (f"{SERIES_UID}.77",)
    assert source.pixel_spacing == ("0.7", "0.5")
    assert source.slice_thickness == "3.0"


def test_only_the_planes_that_were_read_are_taken(tmp_path):
    paths = Case().write_enhanced(tmp_path)
    wanted = [(f"{SERIES_UID}.77", frame) for frame in (5, 3, 1)]
    source = read_source(paths, wanted)
    assert [(plane.sop_uid, plane.frame) for plane in source.planes] == wanted
    assert source.shape == (3, 64, 80)
    assert source.slice_spacing_mm == pytest.approx(5.0)
    with pytest.raises(Unreadable, match="none of the source files"):
        read_source(paths, [(f"{SERIES_UID}.77", 7)])


def test_frames_of_several_files_make_one_stack(tmp_path):
    def upper(dataset: Dataset) -> None:
        dataset.SOPInstanceUID = f"{SERIES_UID}.78"
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSequence[0].ImagePositionPatient
            place[2] = float(place[2]) + 15.0

    upper_half = Case(change=upper).write_enhanced(tmp_path / "upper")
    source = read_source([*upper_half, *Case().write_enhanced(tmp_path / "lower")])
    assert source.shape == (12, 64, 80)
    assert source.sop_uids == (f"{SERIES_UID}.77", f"{SERIES_UID}.78")
    assert source.slice_spacing_mm == pytest.approx(2.5)


def test_slice_spacing_comes_from_positions_not_from_thickness(tmp_path):
    source = read_source(Case(step_mm=1.5).write(tmp_path))
    assert source.slice_thickness == "3.0"
    assert source.slice_spacing_mm == pytest.approx(1.5)


def test_spacing_of_a_single_slice_is_unknown(tmp_path):
    assert read_source(Case(shape=(1, 64, 80), lesions=()).write(tmp_path)).slice_spacing_mm is None


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_without_geometry_there_is_no_source(tmp_path, keyword):
    def change(dataset: Dataset) -> None:
        del dataset[keyword]

    with pytest.raises(Unreadable, match=keyword):
        read_source(Case(change=change).write(tmp_path))


def test_a_file_that_is_not_dicom_is_malformed(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"no such thing" * 50)
    with pytest.raises(Malformed):
        read_source([tmp_path / "x.dcm"])


def test_no_files_are_no_source():
    with pytest.raises(Unreadable):
        read_source([])
