from __future__ import annotations

from datetime import UTC, datetime

import pytest

from node.dicom.request import NodeIdentity
from node.domain.errors import Unreadable
from node.domain.policy import Policy
from node.domain.reading_json import Declined, loads
from node.offline import OfflineReader, candidates_of, files_under, search
from tests.dicom_series import Style, ct_series, thorax, write_series
from tests.heart_scan import BEAD, heart_scan

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SCAN = thorax(28)


def found_under(path, policy=None):
    return search(files_under(path), policy or Policy())


def test_files_are_found_in_order_and_hidden_ones_left_alone(tmp_path):
    for name in ("b/2", "b/1", "a", ".hidden/3", "b/.4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert files_under(tmp_path) == [tmp_path / "a", tmp_path / "b/1", tmp_path / "b/2"]
    assert files_under(tmp_path / "b/.4") == [tmp_path / "b/.4"]


def test_a_folder_whose_own_path_is_hidden_is_searched(tmp_path):
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a").write_bytes(b"")
    assert files_under(tmp_path / ".cache") == [tmp_path / ".cache" / "a"]


def test_series_are_put_together_over_folders(tmp_path):
    images = ct_series(SCAN)
    write_series(images[:14], tmp_path / "one")
    write_series(images[14:], tmp_path / "two")
    (found,), skipped = found_under(tmp_path)
    assert skipped == ()
    assert len(found.instances) == len(found.paths) == 28
    assert found.verdict.eligible
    assert found.series_uid == Style().series_uid()


def test_the_same_instance_twice_counts_once_and_a_contradiction_is_said(tmp_path):
    images = ct_series(SCAN)
    write_series(images, tmp_path / "a")
    write_series(images[:2], tmp_path / "b")
    images[5].KVP = 100
    (other,) = write_series([images[5]], tmp_path / "c")
    (found,), (skipped,) = found_under(tmp_path)
    assert len(found.instances) == 28
    assert skipped.path == other
    assert "other content" in skipped.why
    assert found.paths[images[5].SOPInstanceUID].parent.name == "a"


def test_of_two_reconstructions_one_is_read(tmp_path):
    study = {"StudyInstanceUID": Style(name="study").study_uid()}
    for name, kernel in (("standard", "FC12"), ("firm", "Qr44")):
        style = Style(name=name, tags=study | {"ConvolutionKernel": kernel})
        write_series(ct_series(SCAN, style), tmp_path / name)
    series, _ = found_under(tmp_path)
    assert {one.series_uid: one.verdict.eligible for one in series} == {
        Style(name="standard").series_uid(): True,
        Style(name="firm").series_uid(): False,
    }


def test_a_declined_series_needs_no_reader(tmp_path):
    write_series(ct_series(SCAN)[:5], tmp_path / "scan")
    (found,), _ = found_under(tmp_path)
    offline = OfflineReader(
        reader=None,
        policy=Policy(),
        identity=NodeIdentity(device_serial="SN-1", software_version="0"),
        settings_sha256="5e" * 32,
    )
    declined = offline.answer(found, tmp_path / "out", NOW)
    assert isinstance(declined, Declined)
    assert declined.reasons == found.verdict.reason_texts
    assert loads((tmp_path / "out" / "reading.json").read_bytes()) == declined
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reading.json"]
    assert offline.answer(found, None, NOW) == declined


def test_candidates_need_no_eligible_series(tmp_path):
    """Phantoms are too short, and measured all the same."""
    write_series(ct_series(heart_scan())[BEAD[0] - 4 : BEAD[0] + 4], tmp_path)
    (found,), _ = found_under(tmp_path)
    assert not found.verdict.eligible
    listed = candidates_of(found, "agatston-1990", Policy())
    assert [(one.slice, one.area_mm2, one.peak_hu) for one in listed] == [
        (4, pytest.approx(16), 450),
        (5, pytest.approx(16), 450),
    ]


def test_what_holds_no_images_has_no_candidates(tmp_path):
    images = ct_series(thorax(3), Style(tags={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22", "Modality": "SR"}))
    for image in images:
        for keyword in ("ImagePositionPatient", "Rows", "PixelData"):
            del image[keyword]
    write_series(images, tmp_path)
    (found,), _ = found_under(tmp_path)
    with pytest.raises(Unreadable, match="no cross-sectional images"):
        candidates_of(found, "agatston-1990", Policy())
