from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from node.dicom.ct_image import ScanIdentity, ct_images
from node.dicom.headers import read_file_instance
from node.dicom.volumes import read_volume
from node.domain.completeness import judge_completeness
from node.domain.eligibility import judge
from node.domain.series import SeriesRecord, SeriesState
from tests.dicom_series import thorax, turned
from tests.heart_scan import heart_scan

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SCAN = ScanIdentity(
    seed="seed",
    patient_id="STAND-IN-1",
    patient_name="Phantom^Größe",
    patient_sex="F",
    accession_number="A-1",
    made_at=NOW,
)


def written(folder, volume, scan=SCAN):
    paths = []
    for number, (_, data) in enumerate(ct_images(volume, scan)):
        paths.append(folder / f"{number:03}.dcm")
        paths[-1].write_bytes(data)
    return paths


@pytest.mark.parametrize("origin", [(-12.5, -31.0, 88.25), (-128.5058, -106.00581, -1672.8751)])
@pytest.mark.parametrize(("order", "flips"), [((0, 1, 2), ()), ((0, 2, 1), ()), ((0, 1, 2), (0, 2))])
def test_a_volume_comes_back_as_it_was(tmp_path, order, flips, origin):
    plain = thorax(spacing_mm=2.5)
    volume = turned(replace(plain, grid=replace(plain.grid, origin_lps_mm=origin)), order, flips)
    back = read_volume(written(tmp_path, volume)).volume
    assert back.grid.shape == volume.grid.shape
    for index in ((0, 0, 0), (5, 3, 1), (2, 20, 7)):
        place = volume.grid.to_lps(np.array(index))
        nearest = back.grid.to_index(place)
        np.testing.assert_allclose(nearest, nearest.round(), atol=1e-4)
        assert back.hu[tuple(nearest.round().astype(int))] == volume.hu[index]
    assert sorted(back.grid.spacing_mm) == pytest.approx(sorted(volume.grid.spacing_mm), abs=1e-5)
    assert sorted(back.hu.ravel().tolist()) == sorted(volume.hu.ravel().tolist())
    assert (back.kvp, back.slice_thickness_mm) == (volume.kvp, volume.slice_thickness_mm)


def test_what_is_written_is_a_whole_calcium_scan(tmp_path):
    instances = [read_file_instance(path) for path in written(tmp_path, heart_scan())]
    verdict = judge(instances)
    assert verdict.eligible, verdict.reason_texts
    assert not any(one.made_by_this_software for one in instances)
    record = SeriesRecord(
        series_uid=instances[0].series_uid,
        study_uid=instances[0].study_uid,
        state=SeriesState.OPEN,
        generation=0,
        first_received=NOW,
        last_received=NOW,
        open_associations=0,
    )
    assert judge_completeness(instances, record, NOW).complete


def test_values_beyond_twelve_bits_are_cut_and_never_wrap(tmp_path):
    volume = thorax()
    hu = volume.hu.copy()
    hu[0, 0, :4] = (-2000, -1024, 3071, 5000)
    back = read_volume(written(tmp_path, replace(volume, hu=hu))).volume
    assert back.hu[0, 0, :4].tolist() == [-1024, -1024, 3071, 3071]


def test_the_same_seed_gives_the_same_bytes_and_another_other_uids():
    volume = thorax()
    first, again = list(ct_images(volume, SCAN)), list(ct_images(volume, SCAN))
    assert first == again
    other = list(ct_images(volume, replace(SCAN, seed="other")))
    assert not {uid for uid, _ in first} & {uid for uid, _ in other}
    assert len({uid for uid, _ in first}) == len(first)


def test_the_header_says_what_it_was_told():
    uid, data = next(ct_images(thorax(), SCAN))
    image = dcmread(BytesIO(data))
    assert (image.SOPInstanceUID, image.file_meta.MediaStorageSOPInstanceUID) == (uid, uid)
    assert (image.PatientName, image.PatientID, image.PatientSex) == ("Phantom^Größe", "STAND-IN-1", "F")
    assert (image.AccessionNumber, image.StudyDate, image.StudyTime) == ("A-1", "20260304", "050607")
    assert image.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_without_a_voltage_none_is_claimed(tmp_path):
    back = read_volume(written(tmp_path, replace(thorax(), kvp=None))).volume
    assert back.kvp is None
