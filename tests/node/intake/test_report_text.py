import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.intake.report_text import scores_in


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        (
            "Agatston score: total 123 (LM 0, LAD 100, LCx 23, RCA 0). Volume 98 mm3.",
            {"CAC": 123, "LM": 0, "LAD": 100, "LCX": 23, "RCA": 0},
        ),
        (
            "Agatston-Score gesamt 1.234,5 (Hauptstamm 0, RIVA 1.000,5, RCX 234, RCA: 0).",
            {"CAC": 1234.5, "LM": 0, "LAD": 1000.5, "LCX": 234, "RCA": 0},
        ),
        ("The calcium score is 0.", {"CAC": 0}),
        ("CAC score of 1,234 corresponding to the 90th percentile.", {"CAC": 1234}),
        ("Der Kalkscore beträgt 1'234 Punkte.", {"CAC": 1234}),
        ("Total Agatston score: 17.5, 75th percentile for age.", {"CAC": 17.5}),
        (
            "CORONARY CALCIUM SCORE\nLeft main: 0\nLeft anterior descending (LAD): 55\nCx: 4\nRCA = 12\nTotal: 71\n",
            {"LM": 0, "LAD": 55, "LCX": 4, "RCA": 12, "CAC": 71},
        ),
        ("Agatston: LM 0 LAD 100 LCX 23 RCA 7", {"LM": 0, "LAD": 100, "LCX": 23, "RCA": 7}),
    ],
)
def test_reports_as_they_are_written(text, scores):
    found = scores_in(text)
    assert found.agatston == scores
    assert "free text" in found.remarks[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Chest CT: LAD 3 mm nodule. Total 5 lesions.",
        "No word for it: LM 0, LAD 100.",
        "Agatston score <1.",
        "Agatston score 0-10 is minimal.",
        "Calcium score: LAD 50% stenosis, RCA 2 lesions, LCX 130 HU.",
        "Calcium score\nLAD 3 80 120\n",  # a table whose columns nobody knows
        "Previous Agatston score 80.",
        "Vorbefund: Agatston-Score 80 (LAD 80).",
        "The Agatston score was not assessed.",
    ],
)
def test_what_is_not_surely_a_score_of_this_scan_is_left(text):
    assert not scores_in(text).agatston


def test_an_earlier_score_beside_the_present_one_is_left():
    found = scores_in("Agatston score: 120 (LAD 120). Previously total 80.")
    assert found.agatston == {"CAC": 120, "LAD": 120}


def test_two_figures_for_one_region_leave_it_out():
    found = scores_in("Agatston: LAD 100, RCA 5. Agatston score of LAD 120.")
    assert found.agatston == {"RCA": 5}
    assert "the text gives LAD as 100, 120: none of them is taken" in found.remarks


def test_a_separator_that_may_be_decimal_is_told():
    assert "'1.234' was read as 1234" in scores_in("Agatston-Score: 1.234").remarks


@given(st.text(max_size=200), st.text(alphabet="Agatston score: LAD 1234.,'()-\n<%", max_size=200))
def test_any_text(one, other):
    for text in (one, other, f"Agatston score {other}"):
        assert all(value >= 0 for value in scores_in(text).agatston.values())


def test_long_text_takes_no_time():
    started = time.process_time()
    for text in ("agatston " * 50_000, "LAD ( " * 50_000, "agatston\n" + "total 1 " * 50_000, "1," * 100_000):
        scores_in(text)
    assert time.process_time() - started < 5
