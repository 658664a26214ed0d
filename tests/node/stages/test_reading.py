from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from node.dicom.headers import read_file_instance
from node.domain.eligibility import judge
from node.domain.policy import Policy
from node.domain.reading_json import Declined
from node.stages.reading import ReadStack, paths_of, read_stack, volume_of
from tests.dicom_series import Style, ct_series, enhanced_ct, write_series
from tests.heart_scan import AGATSTON_OF_A_BEAD, BEAD, heart_scan

SCAN = heart_scan()


def judged(folder, images, policy=None):
    paths = write_series(images, folder)
    instances = [read_file_instance(path) for path in paths]
    verdict = judge(instances, policy or Policy())
    assert verdict.eligible, verdict.reason_texts
    return verdict, {one.sop_uid: path for one, path in zip(instances, paths, strict=True)}


def test_a_stack_becomes_findings_labels_and_a_volume(tmp_path, lad_reader):
    read = read_stack(*judged(tmp_path, ct_series(SCAN)), lad_reader, Policy())
    assert isinstance(read, ReadStack)
    findings = read.findings
    assert (findings.study_uid, findings.series_uid) == (Style().study_uid(), Style().series_uid())
    for region in ("LAD", "CAC"):
        assert findings.scores[region].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
        assert findings.scores[region].lesions == 1
    assert findings.scores["RCA"].agatston == 0
    assert findings.category == "100-399"
    assert findings.quality["slices"] == 30
    assert findings.definition.profile == "agatston-1990"
    assert findings.model.name == "tiny"
    assert {"decode", "total"} <= set(findings.timings_ms)
    np.testing.assert_array_equal(read.volume.hu, SCAN.hu)
    bead = np.zeros(SCAN.grid.shape, bool)
    bead[tuple(slice(at, at + size) for at, size in zip(BEAD, (2, 4, 4), strict=True))] = True
    np.testing.assert_array_equal(read.labels > 0, bead)


def test_the_order_of_files_does_not_matter(tmp_path, lad_reader):
    images = ct_series(SCAN)
    one = read_stack(*judged(tmp_path / "up", images), lad_reader, Policy())
    other = read_stack(*judged(tmp_path / "down", images[::-1]), lad_reader, Policy())
    np.testing.assert_array_equal(one.labels, other.labels)
    assert replace(one.findings, timings_ms={}) == replace(other.findings, timings_ms={})


def test_frames_of_an_enhanced_ct_are_one_file(tmp_path, lad_reader):
    verdict, paths = judged(tmp_path, [enhanced_ct(SCAN)])
    assert paths_of(verdict.chosen, paths) == list(paths.values())
    read = read_stack(verdict, paths, lad_reader, Policy())
    assert read.findings.scores["LAD"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)


def test_an_assumed_voltage_is_used_only_where_none_is_given(tmp_path, lad_reader):
    assuming = Policy(assume_kvp=100.0)
    silent = ct_series(SCAN, Style(tags={"KVP": None}))
    verdict, paths = judged(tmp_path / "silent", silent, assuming)
    assert volume_of(verdict.chosen, paths, assuming).volume.kvp == 100
    assert volume_of(verdict.chosen, paths, Policy()).volume.kvp is None
    said = judged(tmp_path / "said", ct_series(SCAN), assuming)
    assert volume_of(said[0].chosen, said[1], assuming).volume.kvp == 120
    read = read_stack(verdict, paths, lad_reader, assuming)
    assert read.findings.definition.kvp == 100


def test_without_a_heart_the_series_is_declined(tmp_path, blind_reader):
    declined = read_stack(*judged(tmp_path, ct_series(SCAN)), blind_reader, Policy())
    assert isinstance(declined, Declined)
    assert "no heart in the field of view" in declined.reasons


def test_enhanced_blood_is_declined_with_its_measure(tmp_path, lad_reader):
    declined = read_stack(*judged(tmp_path, ct_series(heart_scan(blood=300))), lad_reader, Policy())
    assert isinstance(declined, Declined)
    assert any("contrast" in reason for reason in declined.reasons)


def test_pixels_that_cannot_be_decoded_are_declined_with_the_reason(tmp_path, lad_reader):
    images = ct_series(SCAN)
    images[7].PixelData = images[7].PixelData[:100]
    declined = read_stack(*judged(tmp_path, images), lad_reader, Policy())
    assert isinstance(declined, Declined)
    assert declined.series_uid == Style().series_uid()
    assert all(declined.reasons)
    assert "Phantom" not in "".join(declined.reasons)


def test_only_an_eligible_series_is_read(tmp_path, lad_reader):
    verdict, paths = judged(tmp_path, ct_series(SCAN))
    with pytest.raises(ValueError, match="eligible"):
        read_stack(replace(verdict, chosen=None), paths, lad_reader, Policy())
