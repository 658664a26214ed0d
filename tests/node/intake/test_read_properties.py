"""What holds for every read, message and table: nothing is changed on the way, and nothing takes long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.errors import Malformed, Refused
from node.domain.human_read import READ_REGIONS, HumanRead, ReadSource, ReadStatus, StudyKey
from node.domain.read_json import from_document, to_document
from node.intake.csv_reads import read_csv
from node.intake.drafts import KEY_FIELDS
from node.intake.fhir_reads import read_fhir
from node.intake.hl7_message import AckCode, ack, parse
from node.intake.hl7_reads import read_hl7
from node.intake.json_reads import read_json
from node.intake.parsed import Parsed
from node.intake.report_text import scores_in
from tests.node.domain.reads import READS

SECOND = 1.0
_LINE = st.characters(exclude_categories=("C", "Zl", "Zp", "Zs"))
WORDS = st.text(_LINE, max_size=12)
SIGNS = st.permutations("|^~\\&#@!$%").map(lambda signs: "".join(signs[:5]))


def written(read: HumanRead) -> bytes:
    """The read in the schema that is documented."""
    scores = {
        region: {name: getattr(one, name) for name in ("agatston", "volume_mm3", "mass_mg")}
        for region, one in read.scores.items()
    }
    fields = {name: getattr(read.study, name) for name in KEY_FIELDS}
    fields |= {"read_id": read.source_id, "version": read.version, "status": str(read.status), "reader": read.reader}
    fields |= {"read_at": None if read.read_at is None else read.read_at.isoformat()}
    return json.dumps(fields | {"profile": read.profile, "kvp": read.kvp, "scores": scores}).encode()


@settings(deadline=None)
@given(READS, st.lists(WORDS, min_size=7, max_size=7))
def test_a_read_written_as_json_comes_back_equal(read, words):
    accession, issuer, patient, reader, profile, name, _ = words
    key = StudyKey(study_uid="1.2.3", accession=accession, issuer=issuer, patient_id=patient)
    clean = replace(
        read,
        source=ReadSource.FILE,
        study=key,
        reader=reader,
        profile=profile,
        source_id=name or "r1",
        remarks=(),
        confidence=type(read.confidence)("stated"),
    )
    parsed = read_json(written(clean))
    assert parsed.refusal == ""
    assert parsed.reads == (clean,)
    assert from_document(json.loads(json.dumps(to_document(clean)))) == clean


def escaped(text: str, signs: str) -> str:
    """As a careful sender writes it (HL7 v2 section 2.7)."""
    names = dict(zip(signs, "FSRET", strict=True))
    return "".join(f"{signs[3]}{names[sign]}{signs[3]}" if sign in names else sign for sign in text)


@settings(deadline=None)
@given(SIGNS, st.text(_LINE, max_size=40), st.text(_LINE, max_size=40))
def test_every_text_can_be_escaped_by_whatever_separators(signs, first, second):
    field, component = signs[0], signs[1]
    header = f"MSH{signs}{field}A{field}B{field}C{field}D{field}2026{field}{field}ORU{component}R01"
    data = f"{header}\rOBX{field}{escaped(first, signs)}{component}{escaped(second, signs)}".encode()
    segment = parse(data).segments[1]
    assert (segment.text(1, 1), segment.text(1, 2)) in (
        (first, second),
        ("" if first == '""' else first, "" if second == '""' else second),
    )


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=79))
def test_what_is_answered_can_be_read(text):
    told = parse(ack(b"MSH|^~\\&|A|B|C|D|2026||ORU^R01|7|P|2.5.1", AckCode.ERROR, text)).segments[1]
    assert (told.text(1), told.text(2)) == ("AE", "7")
    assert told.text(3) == ("" if text.strip() == '""' else " ".join(text.split()))


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(READ_REGIONS), st.integers(0, 49_000).map(lambda tenths: tenths / 10), min_size=1),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.booleans(),
    st.sampled_from(["", "Müller; Jörg", "O'Neil, Ann", 'the "Doc"']),
)
def test_a_table_is_read_whatever_spreadsheet_wrote_it(scores, delimiter, end, encoding, comma, reader):
    def cell(text: str) -> str:
        wanted = any(sign in text for sign in (delimiter, '"'))
        return '"' + text.replace('"', '""') + '"' if wanted else text

    amounts = [f"{value:.1f}".replace(".", "," if comma else ".") for value in scores.values()]
    lines = [["study_uid", "reader", *scores], ["1.2.3", reader, *amounts]]
    text = "".join(delimiter.join(map(cell, line)) + end for line in lines)
    parsed = read_csv(text.encode(encoding))
    assert parsed.refusal == ""
    (read,) = parsed.reads
    assert {region: read.scores[region].agatston for region in read.scores} == scores
    assert read.reader == reader


GOOD: dict[str, tuple[Callable[[bytes], Parsed], bytes]] = {
    "JSON": (read_json, b'[{"study_uid": "1.2.3", "version": 2, "scores": {"LAD": 12.5, "CAC": {"agatston": 20}}}]'),
    "table": (read_csv, "study_uid;LAD;CAC volume;reader\r\n1.2.3;12,5;3;M\u00fcller\r\n".encode()),
    "HL7": (
        read_hl7,
        (
            b"MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304||ORU^R01|M1|P|2.5.1|||||DE|UNICODE UTF-8\rPID|1||P1^^^HOSP^MR\r"
            b"OBR|1|A|B|CT||20260304|||||||||||||||||20260304||||F\rOBX|1|NM|LAD-AGATSTON||12.5|||||||F\r"
            b"OBX|2|FT|R||Agatston \\.br\\ LAD   12 \\X41\\ LCX: 4||||||F"
        ),
    ),
    "FHIR": (
        read_fhir,
        (
            b'{"resourceType": "DiagnosticReport", "id": "1", "status": "final", "contained": [{"resourceType":'
            b'"Observation", "id": "o", "code": {"coding": [{"code": "LAD-AGATSTON"}]}, "valueInteger": 3}],'
            b'"result": [{"reference": "#o"}], "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2"}]}'
        ),
    ),
}


@pytest.mark.parametrize("kind", list(GOOD))
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_what_is_cut_or_mutated_is_refused_in_words_and_soon(kind, data):
    parser, good = GOOD[kind]
    at = data.draw(st.integers(0, len(good)))
    change = data.draw(st.sampled_from(["cut", "swap", "again", "many"]))
    junk = data.draw(st.binary(min_size=1, max_size=6))
    spoilt = {
        "cut": good[:at],
        "swap": good[:at] + junk + good[at + len(junk) :],
        "again": good[:at] + good,
        "many": good[:at] + junk * 2_000 + good[at:],  # what is quadratic shows
    }[change]
    assert quick(parser, spoilt) < SECOND


def quick(parser: Callable[[bytes], Parsed], data: bytes) -> float:
    """Seconds of this thread's own time: other processes do not count."""
    started = time.thread_time()
    try:
        assert all(isinstance(read, HumanRead) for read in parser(data).reads)
    except (Malformed, Refused) as error:
        assert str(error)  # noqa: PT017 - either is an answer
    return time.thread_time() - started


def scores_reads(data: bytes) -> Parsed:
    scores_in(data.decode("ascii"))
    return Parsed(reads=())


HEAD = GOOD["HL7"][1].split(b"\r")[0]
HOSTILE = {
    "a name set apart by blanks": (scores_reads, b"Agatston score: LAD" + b" " * 60_000 + b"x"),
    "a name set apart by dashes": (scores_reads, b"Agatston score: LAD" + b" -" * 30_000 + b"x"),
    "a name that never ends": (scores_reads, b"Agatston " + b"LAD score is " * 5_000),
    "a name twice among many": (read_json, b"{" + b",".join(b'"%d":0' % n for n in range(50_000)) + b',"9":1}'),
    "many reports": (
        read_fhir,
        json.dumps(
            {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "DiagnosticReport"}}] * 4_900}
        ).encode(),
    ),
    "a report of many results": (
        read_fhir,
        json.dumps(
            {
                "resourceType": "DiagnosticReport",
                "contained": [{"resourceType": "Observation", "id": str(number)} for number in range(4_900)],
                "result": [{"reference": "#4899"}] * 20_000,
            }
        ).encode(),
    ),
    "a patient of many ids": (read_hl7, HEAD + b"\rPID|1||" + b"~" * 490_000 + b"\rOBR|1|A\rOBX|1|NM|LAD-AGATSTON||1"),
    "many results": (read_hl7, HEAD + b"\rOBR|1|A" + b"\rOBX|1|TX|R||Agatston LAD is   " * 9_000),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_is_made_to_take_long_does_not(name):
    parser, data = HOSTILE[name]
    assert quick(parser, data) < 2 * SECOND


def test_columns_of_a_report_are_read_however_wide_they_are():
    text = "Agatston score\nLeft main      0\nLAD\t\t\t55\nCx ........... 4\nRCA ------ 12\n"
    assert scores_in(text).agatston == {"LM": 0, "LAD": 55, "RCA": 12}


def test_a_status_in_any_case_is_known():
    for word in ReadStatus:
        document = {"study_uid": "1.2.3", "status": word.upper(), "read_at": "2026-03-04", "scores": {"LAD": 1}}
        (read,) = read_json(json.dumps(document).encode(), zone=UTC).reads
        assert read.status is word
