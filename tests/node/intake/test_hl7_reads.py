from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed, Refused
from node.domain.human_read import Confidence, ReadSource, ReadStatus
from node.intake.code_map import CodeMap
from node.intake.hl7_message import AckCode, Unsupported, ack, parse, time_of
from node.intake.hl7_reads import Hl7Site, read_hl7

CET = timezone(timedelta(hours=1))
MSH = "MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0100||ORU^R01^ORU_R01|MSG1|P|{version}|||||DE|{charset}"
PID = "PID|1||OTHER^^^ELSE^PI~P1^^^HOSP&1.2&ISO^MR||Doe^Jane||19600102|F"
OBR = (
    "OBR|1|PL1|FILL1^RIS|CTCAC^CT calcium^L|||20260304093000|||||||||||ACC1||||20260304110000|||{status}"
    + "|" * 7
    + "R7&Roe&Ann"
)
SITE = Hl7Site(codes=CodeMap.of({"CALC_LAD": "LAD", "99RIS|17": "RCA volume"}), zone=CET)


def message(*segments: str, version: str = "2.5.1", charset: str = "UNICODE UTF-8", status: str = "F") -> bytes:
    text = "\r".join([MSH, PID, OBR, *segments]).replace("{version}", version).replace("{charset}", charset)
    return (text.replace("{status}", status) + "\r").encode(parse_charset(charset))


def parse_charset(charset: str) -> str:
    return {"8859/1": "latin-1"}.get(charset, "utf-8")


def one(data: bytes, site: Hl7Site = SITE):
    (read,) = read_hl7(data, site).reads
    return read


def obx(code: str, value: str, kind: str = "NM", unit: str = "", status: str = "F", sub: str = "") -> str:
    return f"OBX|1|{kind}|{code}|{sub}|{value}|{unit}|||||{status}|||20260304100000||R8^Poe"


def test_a_coded_result():
    read = one(
        message(
            "ZDS|1.2.3^RIS^Application^DICOM",
            obx("LM-AGATSTON^^L", "0"),
            obx("CALC_LAD^LAD^99X", "120.5"),
            obx("17^RCA volume^99RIS", "0.5", unit="ml"),
            obx("450360000^CAC^SCT", "130", unit="{score}"),
            obx("WEIGHT^^L", "80", unit="kg"),
        )
    )
    assert read.source is ReadSource.HL7
    assert {region: score.agatston for region, score in read.scores.items()} == {
        "LM": 0,
        "LAD": 120.5,
        "RCA": None,
        "CAC": 130,
    }
    assert read.scores["RCA"].volume_mm3 == 500
    key = read.study
    assert (key.study_uid, key.accession, key.patient_id, key.issuer) == ("1.2.3", "ACC1", "P1", "HOSP")
    assert (read.source_id, read.status, read.reader) == ("FILL1/CTCAC", ReadStatus.FINAL, "R7 Roe Ann")
    assert read.read_at == datetime(2026, 3, 4, 10, 0, tzinfo=UTC)  # the site's zone
    assert read.confidence is Confidence.STATED


def test_the_sub_id_or_site_names_the_vessel_of_a_general_code():
    read = one(message(obx("450734004^^SCT", "7", sub="LAD"), obx("112058^^DCM", "8", sub="Cx")))
    assert read.agatston("LAD") == 7
    assert read.agatston("LCX") == 8


@pytest.mark.parametrize("code", ["113014^DICOM Study^DCM", "110180^^DCM"])
def test_the_study_uid_in_an_observation(code):
    assert one(message(obx(code, "1.2.9", kind="ST"), obx("LAD-AGATSTON", "1"))).study.study_uid == "1.2.9"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("P", "preliminary"), ("F", "final"), ("C", "corrected"), ("X", "withdrawn"), ("R", "preliminary"), ("", "final")],
)
def test_status(status, expected):
    assert one(message(obx("LAD-AGATSTON", "1"), status=status)).status == expected


def test_the_status_of_the_observations_where_the_request_says_none():
    for word, expected in (("C", ReadStatus.CORRECTED), ("P", ReadStatus.PRELIMINARY)):
        assert one(message(obx("LAD-AGATSTON", "1", status=word), status="")).status is expected


def test_a_withdrawn_result_needs_no_value():
    read = one(message(obx("LAD-AGATSTON", '""', status="X"), status="X"))
    assert read.status is ReadStatus.WITHDRAWN
    assert not read.scores


def test_a_later_result_has_a_higher_version():
    first = message(obx("LAD-AGATSTON", "1"))
    later = first.replace(b"20260304110000", b"20260304110001")
    assert one(later).version == one(first).version + 1
    assert one(later).source_id == one(first).source_id


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/1", ""])
@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.5.1"])
def test_free_text_in_any_encoding_is_a_guess(charset, version):
    read = one(
        message(
            "OBX|1|FT|18748-4^Befund^LN||Über das Herz:\\.br\\Agatston-Score gesamt 1.234~(RIVA 1.000, RCX 234)||||||F",
            charset=charset,
            version=version,
        )
    )
    assert read.source is ReadSource.HL7_TEXT
    assert read.confidence is Confidence.GUESSED
    assert (read.agatston("CAC"), read.agatston("LAD"), read.agatston("LCX")) == (1234, 1000, 234)


def test_codes_win_over_text():
    read = one(message(obx("LAD-AGATSTON", "1"), "OBX|2|TX|T||Agatston score: LAD 99||||||F"))
    assert read.source is ReadSource.HL7
    assert read.agatston("LAD") == 1


def test_a_feed_of_other_results_is_taken_without_a_read():
    parsed = read_hl7(message("OBX|1|TX|T||Chest is clear.||||||F"))
    assert not parsed.reads
    assert parsed.notes == ("no calcium score in the message",)


def test_several_requests_and_patients():
    second = message(obx("LAD-AGATSTON", "1")) + (
        b"PID|2||P2^^^HOSP^MR\rOBR|2||FILL2|X||||||||||||||ACC2|||||||F\r" + obx("RCA-AGATSTON", "2").encode() + b"\r"
    )
    reads = read_hl7(second).reads
    assert [(read.study.patient_id, read.study.accession) for read in reads] == [("P1", "ACC1"), ("P2", "ACC2")]


def test_the_wanted_authority_of_several_ids():
    assert one(message(obx("LAD-AGATSTON", "1")), Hl7Site(issuer="ELSE")).study.patient_id == "OTHER"


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (obx("LAD-AGATSTON", "12O"), "segment 4), LAD: '12O' is no number: there is a letter among the digits"),
        (obx("LAD-AGATSTON", "-1"), "not a number of 0 or more"),
        (obx("LAD-AGATSTON", "NaN"), "is no number"),
        (obx("LAD-AGATSTON", "<1", "ST"), "is a limit"),
        (obx("LAD-AGATSTON", "<^1", "SN"), "is a limit or a ratio"),
        (obx("LAD-AGATSTON", "1~2"), "several values"),
        (obx("LAD-AGATSTON", "1", unit="mm3"), "no unit of agatston"),
        (obx("LAD-AGATSTON", "99999999"), "more than any heart"),
        (obx("LAD-AGATSTON", "1") + "\rZDS|12a", "ZDS (segment 5): '12a' is no UID"),
        (obx("LAD-AGATSTON", "1") + "\r" + obx("LAD-AGATSTON", "2"), "stands twice"),
    ],
)
def test_a_score_that_is_none_refuses_the_message_with_its_place(segment, words):
    with pytest.raises(Malformed) as raised:
        read_hl7(message(segment))
    assert words in str(raised.value)


def test_all_faults_are_told():
    with pytest.raises(Malformed) as raised:
        read_hl7(message(obx("LAD-AGATSTON", "x"), obx("RCA-AGATSTON", "y")).replace(b"20260304110000", b"yesterday"))
    assert len(str(raised.value).splitlines()) == 3


def test_a_result_without_accession_and_patient_is_told():
    bare = b"MSH|^~\\&|||||||ORU^R01|M|P|2.5\rOBR|1||F1\rOBX|1|NM|LAD-AGATSTON||1||||||F\r"
    with pytest.raises(Malformed, match="study UID, or an accession number and a patient id"):
        read_hl7(bare)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (
            message(obx("LAD-AGATSTON", "1")).replace(b"Doe", b"D\xf6e"),
            Malformed,
            "MSH-18 says UNICODE UTF-8, but byte",
        ),
        (message(charset="ASCII").replace(b"Doe", "Dö".encode()), Malformed, "MSH-18 says ASCII"),
        (message(charset="8859/1").replace(b"Doe", "Dß".encode()), Malformed, "bytes of another encoding"),
        (message(charset="").replace(b"Doe", b"D\xf6e"), Malformed, "MSH-18 is empty"),
        (message(charset="JIS"), Refused, "the encoding 'JIS' is not read"),
        (message(version="3.0"), Refused, "version '3.0'"),
        (message().replace(b"ORU^R01", b"ADT^A01"), Refused, "'ADT.A01' is not read"),
        (b"hello", Malformed, "does not begin with MSH"),
        (b"MSH|||||||", Malformed, "five different separators"),
        (message("obx|1"), Malformed, "segment 4: 'obx' is no name"),
        (message() + b" " * 1_000_000, Refused, "bytes"),
        (b"MSH|^~\\&|\r" + b"NTE|\r" * 10_001, Refused, "segments"),
    ],
)
def test_what_is_no_message_for_us(data, kind, words):
    with pytest.raises(kind, match=words):
        read_hl7(data)


def test_latin_1_by_the_site_s_setting():
    data = message(obx("LAD-AGATSTON", "1"), charset="").replace(b"Roe", b"R\xf6e")
    assert one(data, Hl7Site(assumed_charset="8859/1")).reader == "R7 Röe Ann"


def test_escapes_and_separators_of_the_sender_s_own():
    segment = parse(b"MSH#*%$@#A\rOBX#1#a$F$b$S$c$T$d$R$e$E$f$XC3A4$g$.br$h$H$#x@y*z%w\r").segments[1]
    assert segment.text(2) == "a#b*c@d%e$fäg\nh"
    assert segment.text(3) == "x"
    assert segment.text(3, 1, 0, 2) == "y"
    assert segment.text(3, 2) == "z"
    assert segment.text(3, 1, 1) == "w"
    assert segment.text(99, 99, 99, 99) == ""


def test_times():
    assert time_of("20260304", CET) == datetime(2026, 3, 4, tzinfo=CET)
    assert time_of("202603041015-0500", CET) == datetime(2026, 3, 4, 15, 15, tzinfo=UTC)
    assert time_of("", CET) is None
    for wrong in ("2026-03-04", "20261304", "20260304101500+9900", "000001010000"):
        with pytest.raises(Malformed):
            time_of(wrong, CET)


def test_an_acknowledgement_echoes_the_sender():
    answer = ack(message(), AckCode.ACCEPT, now=datetime(2026, 3, 4, tzinfo=UTC)).decode()
    msh, msa = answer.rstrip("\r").split("\r")
    fields = msh.split("|")
    assert fields[2:6] == ["NODE", "HERE", "RIS", "HOSP"]
    assert fields[8] == "ACK^R01^ACK"
    assert fields[10:12] == ["P", "2.5.1"]
    assert msa == "MSA|AA|MSG1"


@pytest.mark.parametrize(
    ("version", "err"), [("2.5.1", "ERR|||102^Data type error^HL70357|E||||a\\F\\b"), ("2.3", "ERR|^^^102")]
)
def test_a_refusal_says_why(version, err):
    answer = ack(message(version=version), AckCode.ERROR, "a|b\nÄ").decode("ascii")
    assert "MSA|AE|MSG1|a\\F\\b ?\r" in answer
    assert err in answer
    assert parse(answer.encode()).segments[1].text(2) == "MSG1"


@pytest.mark.parametrize(
    ("given_", "number"),
    [
        (message().replace(b"ORU^R01", b"ADT^A01"), "200"),
        (message(version="3.0"), "203"),
        (message(obx("LAD-AGATSTON", "1")).replace(b"|MSG1|P|", b"|MSG1|T|"), "202"),
        (message(obx("LAD-AGATSTON", "1")).replace(b"|MSG1|P|", b"|MSG1|D^T|"), "202"),
    ],
)
def test_what_is_none_of_ours_is_rejected_by_its_number(given_, number):
    with pytest.raises(Unsupported) as error:
        read_hl7(given_, SITE)
    answer = ack(message(), AckCode.REJECT, str(error.value), problem=error.value.problem).decode("ascii")
    assert f"ERR|||{number}^Unsupported" in answer
    assert "try again" not in answer


@pytest.mark.parametrize(("said", "meant"), [(b"T", "T"), (b"P^T", "P"), (b"", "P")])
def test_a_trial_is_read_where_trials_are_meant_to_be_read(said, meant):
    data = message(obx("LAD-AGATSTON", "1")).replace(b"|MSG1|P|", b"|MSG1|" + said + b"|")
    for processing in "PTD":
        if processing == meant:
            assert one(data, Hl7Site(processing=processing)).scores
        else:
            with pytest.raises(Unsupported, match=rf"MSH-11: meant for '{meant}', this node is {processing}"):
                read_hl7(data, Hl7Site(processing=processing))


@given(st.binary(max_size=300), st.text(max_size=50))
def test_anything_can_be_acknowledged(data, text):
    for one_ in (data, b"MSH" + data):
        parse(ack(one_, AckCode.REJECT, text))


GOOD = message(obx("LAD-AGATSTON", "1"), "ZDS|1.2.3", "OBX|2|FT|T||Agatston \\.br\\ 5||||||F")


@given(st.binary(max_size=8), st.integers(0, len(GOOD)), st.integers(0, 8), st.binary(max_size=200))
def test_mutated_messages_raise_nothing_else(junk, at, cut, tail):
    for data in (GOOD[:at] + junk + GOOD[at + cut :], b"MSH|^~\\&|" + tail, GOOD + tail):
        try:
            read_hl7(data, SITE)
        except (Malformed, Refused) as error:
            assert str(error)  # noqa: PT017 - either is an answer


def test_a_map_of_codes_that_names_nothing_is_told():
    for entries in ({"X": "nowhere"}, {"SYS|": "LAD"}):
        with pytest.raises(ValueError, match="a region"):
            CodeMap.of(entries)
