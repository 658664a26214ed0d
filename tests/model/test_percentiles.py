from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.percentiles import PercentileTable, TableError
from model.risk import Sex

TABLE = """sex,ethnicity,age_low,age_high,p25,p50,p75,p90
M,,45,54,0,1,45,210
M,,55,64,0,50,250,700
F,,45,64,0,0,10,90
F,Chinese,45,64,0,2,20,100
"""


def table(text: str = TABLE) -> PercentileTable:
    return PercentileTable.parse(text.splitlines())


@pytest.mark.parametrize(
    ("cac", "expected"),
    [
        (0, (0, 25)),  # below the first quarter or in it: 25 % have 0
        (0.5, (25, 50)),
        (1, (50, 50)),
        (30, (50, 75)),
        (210, (90, 90)),
        (211, (90, 100)),
    ],
)
def test_a_score_lies_between_listed_percentiles(cac, expected):
    assert table().band(cac, sex=Sex.MALE, age=50) == expected


def test_a_zero_shared_by_half_the_people_spans_that_half():
    assert table().band(0, sex=Sex.FEMALE, age=50) == (0, 50)
    assert table().band(5, sex=Sex.FEMALE, age=50) == (50, 75)


def test_a_repeated_score_spans_all_its_percentiles():
    same = table("sex,age_low,age_high,p25,p50,p75\nM,40,50,7,7,7\n")
    assert same.band(7, sex=Sex.MALE, age=45) == (25, 75)
    assert same.band(3, sex=Sex.MALE, age=45) == (0, 25)
    assert same.band(0, sex=Sex.MALE, age=45) == (0, 25)


def test_ages_are_whole_years_with_both_ends():
    assert table().band(45, sex=Sex.MALE, age=54.9) == (75, 75)
    assert table().band(45, sex=Sex.MALE, age=55) == (25, 50)


def test_people_the_table_does_not_hold_get_no_percentile():
    assert table().band(45, sex=Sex.MALE, age=65) is None
    assert table().band(45, sex=Sex.FEMALE, age=44) is None


def test_an_own_row_comes_before_the_row_for_everyone():
    assert table().band(2, sex=Sex.FEMALE, age=50, ethnicity="chinese ") == (50, 50)
    assert table().band(2, sex=Sex.FEMALE, age=50, ethnicity="black") == (50, 75)


@pytest.mark.parametrize("score", [-1, float("nan")])
def test_only_scores_have_percentiles(score):
    with pytest.raises(ValueError, match="0 or more"):
        table().band(score, sex=Sex.MALE, age=50)


@given(st.floats(0, 5000), st.floats(0, 5000))
def test_a_higher_score_never_has_a_lower_percentile(one, other):
    low, high = sorted((one, other))
    below, above = (table().band(score, sex=Sex.MALE, age=60) for score in (low, high))
    assert below is not None
    assert above is not None
    assert 0 <= below[0] <= below[1] <= 100
    assert below[0] <= above[0]
    assert below[1] <= above[1]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    assert PercentileTable.read(path) == table()


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"sex,age\xff\xfe")
    with pytest.raises(TableError, match="UTF-8"):
        PercentileTable.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column sex, age_low, age_high"),
        ("sex,age_low,p50\nM,40,1", "line 1: no column age_high"),
        ("sex,age_low,age_high\nM,40,50", "line 1: at least one percentile column"),
        ("sex,age_low,age_high,p50,p50\nM,40,50,1,1", "line 1: at least one percentile column"),
        ("sex,age_low,age_high,median\nM,40,50,1", "line 1: 'median' is no column"),
        ("sex,age_low,age_high,p100\nM,40,50,1", "line 1: 'p100' is no column"),
        ("sex,age_low,age_high,pxx\nM,40,50,1", "line 1: 'pxx' is no column"),
        ("sex,age_low,age_high,p75,p50\nM,40,50,1,1", "line 1: percentile columns must rise"),
        ("sex,age_low,age_high,p50\n", "at least one line"),
        ("sex,age_low,age_high,p50\nM,40,50,1\nX,40,50,1", "line 3: sex is M or F"),
        ("sex,age_low,age_high,p50\nM,forty,50,1", "line 2: .* whole years"),
        ("sex,age_low,age_high,p50\nM,40,50,many", "line 2: .* numbers"),
        ("sex,age_low,age_high,p50\nM,40,50", "line 2: .* none may lack"),
        ("p50,age_low,age_high,sex\n1,40,50", "line 2: .* none may lack"),
        ("sex,age_low,age_high,p50\nM,40,50,1,2", "line 2: more values"),
        ("sex,age_low,age_high,p50\nM,50,40,1", "line 2: age_low"),
        ("sex,age_low,age_high,p50\nM,40,50,-1", "line 2: scores are 0 or more"),
        ("sex,age_low,age_high,p50\nM,40,50,nan", "line 2: scores are 0 or more"),
        ("sex,age_low,age_high,p25,p50\nM,40,50,9,1", "line 2: scores must not fall"),
        ("sex,age_low,age_high,p50\nM,40,50,1\nF,40,50,1\nm,50,60,1", "line 4: an earlier line"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_by_line(text, message):
    with pytest.raises(TableError, match=message):
        table(text)
