from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed, Refused
from node.domain.human_read import HumanRead, ReadStatus
from node.intake.csv_reads import MOST_BYTES, column_named, read_csv
from node.intake.parsed import MOST_FAULTS

CET = timezone(timedelta(hours=1))
GOOD = b"study_uid,read_id,LM,LAD,Cx,RCA,Total\n1.2.3,r1,0,120.5,10,0,130.5\n"


def scores(read: HumanRead) -> dict[str, float | None]:
    return {region: score.agatston for region, score in read.scores.items()}


def test_a_plain_table():
    parsed = read_csv(GOOD)
    (read,) = parsed.reads
    assert scores(read) == {"LM": 0, "LAD": 120.5, "LCX": 10, "RCA": 0, "CAC": 130.5}
    assert (read.study.study_uid, read.source_id, read.version, read.status) == ("1.2.3", "r1", 1, ReadStatus.FINAL)
    assert not parsed.refusal
    assert not read.inconsistencies


def test_as_a_german_spreadsheet_saves_it():
    text = (
        "sep=;\r\n"
        "Accession No.;Patient-ID;Assigning Authority;LAD Agatston;LCX Volumen [mm3];AoV;Befunder;read_at;kV\r\n"
        'A1;P1;HOSP;"1200,5";33,25;;Müller;04.03.2026 10:15;120\r\n'
    )
    for data in (b"\xef\xbb\xbf" + text.encode(), text.encode("cp1252"), text.encode("utf-16")):
        parsed = read_csv(data, zone=CET)
        (read,) = parsed.reads
        assert read.scores["LAD"].agatston == 1200.5
        assert read.scores["LCX"].volume_mm3 == 33.25
        assert "AV" not in read.scores  # empty is missing, never 0
        assert read.reader == "Müller"
        assert read.read_at == datetime(2026, 3, 4, 9, 15, tzinfo=UTC)
        assert (read.study.accession, read.study.patient_id, read.study.issuer) == ("A1", "P1", "HOSP")
        assert read.kvp == 120
    assert "Latin-1" in read_csv(text.encode("cp1252")).notes[0]


def test_tabs_and_columns_that_are_not_ours():
    parsed = read_csv(b"study_uid\tPatient name\tCAC\n1.2.3\tDoe, Jane\t7\n")
    assert scores(parsed.reads[0]) == {"CAC": 7}
    assert parsed.notes == ("columns that are not used: 'Patient name'",)


def test_a_column_that_is_empty_is_missing_and_others_stay():
    (read,) = read_csv(b"study_uid,LAD,RCA,CAC\n1.2.3,5,,\n").reads
    assert scores(read) == {"LAD": 5}


def test_totals_that_do_not_add_up_are_taken_and_said():
    (read,) = read_csv(b"study_uid,LAD,CAC\n1.2.3,50,10\n").reads
    assert "add up" in read.inconsistencies[0]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("12O", "line 3, column 'LAD': '12O' is no number: there is a letter among the digits"),
        ("<1", "line 3, column 'LAD': '<1' is a limit, not a score"),
        ("-5", "line 3, column 'LAD': '-5' is not a number of 0 or more"),
        ("-0.0", "is not a number of 0 or more"),
        ("NaN", "'NaN' is no number"),
        ("inf", "is no number"),
        ("n/a", "is no number"),
        ("1_0", "is no number"),
        ("١٢", "is no number"),
        ('"1,234"', "can be read as 1234 or as 1.234"),
        ("1e9", "more than any heart holds"),
        ("120 HU", "is no number"),
    ],
)
def test_a_score_that_is_none_is_told_with_its_place_and_the_others_are_taken(cell, words):
    parsed = read_csv(f"study_uid,LAD\n1.2.3,7\n1.2.4,{cell}\n1.2.5,9\n".encode())
    assert [read.study.study_uid for read in parsed.reads] == ["1.2.3", "1.2.5"]
    assert words in parsed.refusal
    assert len(parsed.faults) == 1


def test_thousands_where_the_comma_is_at_home_are_not_guessed():
    assert "1234 or as 1.234" in read_csv(b"study_uid;LAD\n1.2.3;1.234\n").refusal
    assert scores(read_csv(b"study_uid,LAD\n1.2.3,1.234\n").reads[0]) == {"LAD": 1.234}
    assert scores(read_csv(b"study_uid;LAD\n1.2.3;0,234\n").reads[0]) == {"LAD": 0.234}


def test_all_faults_of_a_line_are_told():
    line = b"study_uid,version,status,read_at,kvp,LAD,RCA\n1.2E+30,0,maybe,yesterday,999,12O,<1\n"
    refusal = read_csv(line).refusal
    for name in ("study_uid", "version", "status", "read_at", "kvp", "'LAD'", "'RCA'"):
        assert f"line 2, {name}" in refusal or f"line 2, column {name}" in refusal
    assert len(refusal.splitlines()) == 7


def test_faults_are_bounded_and_counted():
    parsed = read_csv(b"study_uid,LAD\n" + b"1.2.3,x\n" * 250)
    assert len(parsed.faults) == MOST_FAULTS
    assert parsed.refusal.endswith("and 150 more")


def test_a_line_that_names_no_study_is_told():
    parsed = read_csv(b"study_uid,accession,patient_id,CAC\n,A1,,7\n,A1,P1,7\n")
    assert len(parsed.reads) == 1
    assert "line 2: it names no study" in parsed.refusal


def test_a_line_without_scores_is_told_unless_it_withdraws():
    parsed = read_csv(b"study_uid,status,CAC\n1.2.3,final,\n1.2.4,withdrawn,\n")
    assert [read.status for read in parsed.reads] == [ReadStatus.WITHDRAWN]
    assert "line 2: the read reports no score" in parsed.refusal


def test_a_line_twice_is_taken_once_and_told():
    parsed = read_csv(GOOD + GOOD.splitlines()[1])
    assert len(parsed.reads) == 1
    assert not parsed.faults
    assert parsed.notes[-1] == "line 3: the same read as line 2; it is taken once"


def test_lines_that_contradict_each_other_are_both_left():
    parsed = read_csv(b"study_uid,CAC\n1.2.3,7\n1.2.3,8\n1.2.4,1\n")
    assert [read.study.study_uid for read in parsed.reads] == ["1.2.4"]
    assert "line 3: contradicts line 2" in parsed.refusal


def test_a_decimal_comma_that_makes_a_cell_too_many_is_told():
    assert "line 2: 3 cells, but 2 columns" in read_csv(b"study_uid,CAC\n1.2.3,7,5\n").refusal


def test_cells_too_many_that_are_empty_and_empty_lines_are_put_up_with():
    assert len(read_csv(b"study_uid,CAC\n\n1.2.3,7,,\n,,\n").reads) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"study_uid,comment\n", "no column is known as a score"),
        (b"LAD,RCA\n", "no column names the study"),
        (b"study_uid,Cx,LCX\n", "'LCX' is the same column as 'Cx'"),
        (b'study_uid,CAC\n"1.2.3,7\n', "line 2"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"PK\x03\x04\x00\x00", "no text"),
        (b"a," * 300, "more than 256 columns"),
        (b'"' + b"x" * 200_000 + b'"', "field"),
    ],
)
def test_what_is_no_table_of_reads(data, words):
    with pytest.raises(Malformed, match=words):
        read_csv(data)


def test_bounds():
    with pytest.raises(Refused, match="bytes"):
        read_csv(b" " * (MOST_BYTES + 1))
    with pytest.raises(Refused, match="more than 100000 lines"):
        read_csv(b"study_uid,CAC\n" + b"\n" * 100_001)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("LAD volume [mm3]", ("LAD", "volume_mm3")),
        ("Mass RCA (mg)", ("RCA", "mass_mg")),
        ("Agatston score", ("CAC", "agatston")),
        ("Calcium score", ("CAC", "agatston")),
        ("Volume score LAD", ("LAD", "volume_mm3")),
        ("left main", ("LM", "agatston")),
        ("StudyInstanceUID", "study_uid"),
        ("MRN", "patient_id"),
        ("LAD1", None),
        ("Calcium", None),
    ],
)
def test_columns(name, column):
    assert column_named(name) == column


@given(st.binary(max_size=400), st.integers(0, len(GOOD)), st.integers(0, 6))
def test_mutated_tables_raise_nothing_else(junk, at, cut):
    for data in (junk, GOOD[:at] + junk[:8] + GOOD[at + cut :]):
        try:
            parsed = read_csv(data)
        except (Malformed, Refused) as error:
            assert str(error)  # noqa: PT017 - either is an answer
        else:
            assert all(isinstance(read, HumanRead) for read in parsed.reads)
