from dataclasses import replace

import pytest

from model.lesions import Vessel
from node.dicom.impression import DISCLAIMER, borderline_sentence, impression, kvp_sentence, shown
from tests.answer_cases import DEFINITION, Case


def test_a_reading_in_words():
    assert impression(Case(notes=("Noise is high",)).findings()).splitlines() == [
        (
            "Coronary artery calcium score (Agatston) 309 (5-95 % interval 278 to 340): moderate coronary calcium, "
            "category 100-399, CAC-DRS A3/N2. LM 0, LAD 231, LCx 0, RCA 78. 3 lesions, volume 87 mm3, mass 29.7 mg."
        ),
        "Aortic calcium score 253 (aortic valve 0, thoracic aorta 253); not part of the coronary score.",
        "Noise is high.",
        "Read by unet-phantom 1.2.0. Training data: Synthetic phantoms only; never on scans of patients.",
        DISCLAIMER,
    ]


def test_zero_is_said_plainly():
    lines = impression(Case(lesions=()).findings()).splitlines()
    assert lines[0] == "Coronary artery calcium score (Agatston) 0: no coronary calcium. CAC-DRS A0/N0."
    assert lines[1] == "No calcium of the aortic valve or thoracic aorta in the field of view."
    assert lines[-1] == DISCLAIMER


@pytest.mark.parametrize(
    ("interval", "limits"),
    [((90.0, 110.0), "100"), ((0.0, 3.0), "0"), ((95.0, 405.0), "100 and 400"), ((100.0, 399.0), ""), ((0.0, 0.0), "")],
)
def test_borderline_is_an_interval_across_a_limit(interval, limits):
    said = borderline_sentence(replace(Case().findings(), interval={"CAC": interval}))
    assert said == (f"Borderline: the interval of the score includes the category limit {limits}." if limits else "")


def test_an_adapted_threshold_is_said():
    adapted = replace(DEFINITION, kvp=100.0, kvp_adapted=True, threshold_hu=145.0)
    said = kvp_sentence(Case(definition=adapted).findings())
    assert said == "kVp-adapted: thresholds for 100 kVp were used (145 HU instead of 130 HU)."
    assert kvp_sentence(Case().findings()) == ""


def test_a_scan_without_calibration_says_so():
    findings = Case(definition=replace(DEFINITION, mass_factor=None), lesions=((Vessel.LM, 1, 9, 9, 1),)).findings()
    assert "1 lesion, volume 8 mm3, mass not calibrated." in impression(findings)


@pytest.mark.parametrize(
    ("score", "text"),
    [(0, "0"), (0.04, "<0.1"), (0.1, "0.1"), (9.94, "9.9"), (9.96, "10"), (99.4, "99"), (1234.5, "1234")],
)
def test_scores_are_never_shown_as_zero_unless_they_are(score, text):
    assert shown(score) == text
