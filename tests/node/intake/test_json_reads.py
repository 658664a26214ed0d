import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed, Refused
from node.domain.human_read import READ_REGIONS, ReadSource
from node.intake import drafts
from node.intake.csv_reads import MOST_BYTES
from node.intake.json_reads import SCHEMA, read_json

READ = {
    "study_uid": "1.2.3",
    "read_id": "r1",
    "version": 2,
    "status": "corrected",
    "reader": "R7",
    "read_at": "2026-03-04T10:15:00+01:00",
    "kvp": 120,
    "scores": {"LM": 0, "Cx": {"agatston": 12.5, "volume_mm3": 10, "mass_mg": None}, "RCA": None},
}


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("document", [READ, [READ], {"reads": [READ]}])
def test_a_read_alone_or_in_a_list(document):
    parsed = read_json(encoded(document), source=ReadSource.API)
    (read,) = parsed.reads
    assert (read.source, read.source_id, read.version) == (ReadSource.API, "r1", 2)
    assert read.agatston("LM") == 0
    assert read.scores["LCX"].volume_mm3 == 10
    assert "RCA" not in read.scores
    assert read.read_at is not None
    assert not parsed.refusal


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": {"LAD": "12O"}}, "read.scores.LAD: a number is needed"),
        ({"scores": {"LAD": -1}}, "Agatston score -1 is not a number of 0 or more"),
        ({"scores": {"LAD": True}}, "a number is needed"),
        ({"scores": {"LADD": 1}}, "read.scores.LADD: no region is called so"),
        ({"scores": {"LAD": {"agatsotn": 1}}}, "'agatsotn' is none of agatston"),
        ({"scores": {"Cx": 1, "LCX": 2}}, "LCX stands twice"),
        ({"scores": {"LAD": 10**400}}, "more than any heart"),
        ({"scores": {"LAD": -(10**400)}}, "not a number of 0 or more"),
        ({"scores": [1]}, "an object of scores"),
        ({"scores": {}}, "no score of any region"),
        ({"study_uid": ""}, "names no study"),
        ({"study_uid": 12}, "read.study_uid: a text is needed"),
        ({"version": "2"}, "read.version: a number is needed"),
        ({"version": 1.5}, "no whole number from 1"),
        ({"statsu": "final"}, "'statsu' is no field of a read"),
        ({"reader": "a\nb"}, "cannot be printed"),
        ({"reader": "x" * 300}, "longer than 256"),
    ],
)
def test_faults_are_told_by_their_place(change, words):
    parsed = read_json(encoded(READ | change))
    assert not parsed.reads
    assert words in parsed.refusal


def test_a_whole_number_may_be_written_with_a_point():
    (read,) = read_json(encoded(READ | {"version": 2.0, "kvp": 120.5})).reads
    assert (read.version, read.kvp) == (2, 120.5)


def test_all_faults_of_all_reads_are_told_and_the_good_ones_taken():
    parsed = read_json(encoded([READ | {"scores": {"LAD": "x"}, "kvp": 5}, READ, 7]))
    assert len(parsed.reads) == 1
    assert [fault.place for fault in parsed.faults] == ["[0].scores.LAD", "[0], kvp", "[2]"]


def test_the_same_read_twice_is_taken_once():
    parsed = read_json(encoded([READ, READ | {"read_at": "2026-03-04T09:15:00Z"}]))
    assert len(parsed.reads) == 1
    assert not parsed.faults
    assert parsed.notes == ("[1]: the same read as [0]; it is taken once",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"{", "line 1, column"),
        (b'{"scores": {"LAD": NaN}}', "NaN is no number"),
        (b'{"scores": {"LAD": 1, "LAD": 2}}', "'LAD' stands twice"),
        (b'"text"', "a read is an object"),
        (b"\xff\xfe{", "UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b"[" + b"1" * 5000 + b"]", "too many digits"),
        (b'{"reads": [], "more": 1}', "beside 'reads'"),
    ],
)
def test_what_is_no_document_of_reads(data, words):
    with pytest.raises(Malformed, match=words):
        read_json(data)


def test_bounds():
    with pytest.raises(Refused):
        read_json(b" " * (MOST_BYTES + 1))
    with pytest.raises(Refused):
        read_json(b"[" + b"0," * 100_000 + b"0]")


def test_the_schema_names_every_field_and_region():
    assert set(SCHEMA["properties"]) == {*drafts.FIELDS, "scores"}
    assert tuple(SCHEMA["properties"]["scores"]["propertyNames"]["enum"]) == READ_REGIONS
    text = Path(drafts.__file__).read_text(encoding="utf-8")
    assert all(f"\n{name} " in text for name in drafts.FIELDS)


@given(st.binary(max_size=200), st.integers(0, 250), st.integers(0, 6))
def test_mutated_documents_raise_nothing_else(junk, at, cut):
    good = encoded(READ)
    for data in (junk, good[:at] + junk[:6] + good[at + cut :]):
        try:
            read_json(data)
        except (Malformed, Refused) as error:
            assert str(error)  # noqa: PT017 - either is an answer


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*READ, "scores"]), JSON, st.sampled_from(["LAD", "x"]))
def test_values_of_any_kind_are_faults_at_most(name, value, region):
    for document in (READ | {name: value}, READ | {"scores": {region: value}}):
        try:
            read_json(encoded(document))
        except Malformed as error:
            assert "no number" in str(error) or "twice" in str(error)  # noqa: PT017
