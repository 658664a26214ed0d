"""What is wrong with a human read is answered by every door in its own terms, and what was taken before stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.uid import generate_uid

from node.domain.read_history import ReadState, StoredRead
from node.service import Node
from node.settings import Settings
from node.stages.human_objects import not_taken
from tests.dicom_series import file_bytes
from tests.flow.site import SEG, Archive, Site, a_study, write_config
from tests.flow.test_node_reads import corrected
from tests.heart_scan import BEAD
from tests.human_reports import a_capture
from tests.reading_doors import DOORS, HEAD, Answer, Hospital, Said, message_of, report_of, table_of

SCAN = a_study("bad reads")
PATIENT = str(SCAN.images[0].PatientID)
YELLOW = (255, 214, 0)
_STATUS = {
    "taken": {"command": "exit 0", "API": "201", "HL7": "AA", "FHIR": "201", "report": "0000"},
    "waits": {"command": "exit 0", "API": "202", "HL7": "AA", "FHIR": "202", "report": "0000"},
    "refused": {"command": "exit 3", "API": "422", "HL7": "AE", "FHIR": "422", "report": "0000"},
    "known": {"command": "exit 0", "API": "200", "HL7": "AA", "FHIR": "200", "report": "0000"},
}


def status(outcome: str, door: str) -> str:
    return _STATUS[outcome][door.rpartition(" ")[2]]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory, finds_lad) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("doors")
    with Archive(folder / "archive") as archive:
        config = write_config(
            folder,
            [archive.destination()],
            hl7={"enabled": True, "host": "127.0.0.1", "port": 0},
            web={"port": 0},
            reads={"capture_colours": {}},
        )
        text = config.read_text("utf-8").replace("capture_colours = {}", 'capture_colours = { LAD = "#FFD600" }')
        config.write_text(text, "utf-8")
        with Node(Settings.load(config, {}), reader=finds_lad, page=True) as node:
            site = Site(node=node, archive=archive)
            site.send(SCAN)
            mask = site.answers(SCAN)[SEG]
            held = Hospital.of(node, folder, SCAN.images[0])
            assert DOORS["HL7"](held, said("the first, and good")).status == "AA"
            yield SimpleNamespace(doors=held, mask=mask, ledger=node.storage.ledger, storage=node.storage)


def said(name: str, **changes: object) -> Said:
    return replace(Said(study_uid=SCAN.study_uid, patient_id=PATIENT, name=name), **changes)


def everything(held: SimpleNamespace) -> Mapping[int, tuple[object, bytes]]:
    """Every read that is kept, with its original."""
    ledger = held.ledger
    count = sum(ledger.read_counts().values())
    rows = [one for number in range(1, count + 1) if (one := ledger.find_read(number)) is not None]
    return {one.id: (one.read, held.storage.originals.read(one.original)) for one in rows}


def added(held: SimpleNamespace, before: Mapping[int, object]) -> list[StoredRead]:
    """The reads that are new; fails if one of those before has changed or gone."""
    now = everything(held)
    assert {number: now[number] for number in before} == before
    return [held.ledger.find_read(number) for number in sorted(set(now) - set(before))]


@dataclass(frozen=True)
class Case:
    """What is said, how it is answered, words of the answer, and the doors that cannot carry it."""

    changes: Mapping[str, object]
    outcome: str
    words: str
    states: tuple[ReadState, ...] = ()
    other: Mapping[str, str] = field(default_factory=dict)  # words by door, where they differ


FULL = {"LM": "0", "LAD": "120", "LCX": "0", "RCA": "7"}
CASES = {
    "unknown study": Case({"study_uid": "1.2.3.4"}, "waits", "no study here matches it", (ReadState.QUARANTINED,)),
    "wrong patient": Case({"patient_id": "OTHER"}, "waits", "another patient id", (ReadState.QUARANTINED,)),
    "negative": Case({"scores": {"LAD": "-5"}}, "refused", "not a number of 0 or more"),
    "not a number": Case(
        {"scores": {"LAD": "NaN"}},
        "refused",
        "NaN",
        other={"report": "nan is not a number", "table by command": "is no number"},
    ),
    "letter among digits": Case(
        {"scores": {"LAD": "12O"}},
        "refused",
        "'12O' is no number",
        other={
            "document by command": "a number is needed",
            "document by API": "a number is needed",
            "FHIR": "a number is needed",
        },
    ),
    "more than any heart": Case({"scores": {"LAD": "9e4"}}, "refused", "more than any heart holds"),
    "no total": Case({"scores": FULL}, "taken", "", (ReadState.MATCHED,)),
    "totals off": Case({"scores": FULL | {"CAC": "500"}}, "taken", "parts add up to 127", (ReadState.MATCHED,)),
}


@pytest.mark.parametrize("door", list(DOORS))
@pytest.mark.parametrize("name", list(CASES))
def test_each_fault_by_each_door(hospital, name, door):
    case, before = CASES[name], everything(hospital)
    told = DOORS[door](hospital.doors, said(f"{name} {door}", **case.changes))
    assert told.status == status(case.outcome, door), told.words
    if (name, door) == ("unknown study", "report"):  # the report itself tells of its study, which has no scan
        states: tuple[ReadState, ...] = (ReadState.MATCHED,)
    else:
        assert case.other.get(door, case.words) in told.words
        states = case.states
    new = added(hospital, before)
    assert tuple(one.state for one in new) == states
    if states == (ReadState.QUARANTINED,):
        assert hospital.ledger.quarantined_reads(1)[0].id == new[0].id
    if case.outcome == "refused" and door == "report":
        assert any(case.other.get(door, case.words) in one for one in not_taken(hospital.ledger)[0].reasons)
    if name == "no total":
        assert new[0].read.agatston("CAC") == 127


@pytest.mark.parametrize("door", list(DOORS))
def test_the_same_read_twice_is_one(hospital, door):
    first = DOORS[door](hospital.doors, said(f"twice {door}"))
    assert first.status == status("taken", door), first.words
    before = everything(hospital)
    again = DOORS[door](hospital.doors, said(f"twice {door}"))
    assert again.status == status("known", door), again.words
    assert added(hospital, before) == []


@pytest.mark.parametrize("door", list(DOORS))
def test_an_older_version_after_a_newer_one_has_no_effect(hospital, door):
    ledger = hospital.ledger
    for version, lad in ((3, "120"), (2, "99")):
        before = everything(hospital)
        told = send(hospital, door, said(f"older {door}", version=version, scores={"LAD": lad}))
        assert told.status == status("taken", door), told.words
        (read,) = added(hospital, before)
    newer, older = ledger.find_read(max(before)), read
    if door == "report":  # the newer names the older as what it replaces
        newer = next(ledger.find_read(number) for number in before if ledger.find_read(number).read.source_id
                     == read.read.source_id)  # fmt: skip
    assert (newer.state, older.state) == (ReadState.MATCHED, ReadState.SUPERSEDED)
    assert newer.read.source_id == older.read.source_id


def send(held: SimpleNamespace, door: str, read: Said) -> Answer:
    if door != "report":
        return DOORS[door](held.doors, read)
    report = report_of(SCAN.images[0], read)
    report.SeriesInstanceUID = generate_uid()
    if read.version == 3:
        from tests.node.stages.test_human_objects import predecessor  # noqa: PLC0415

        replaced = report_of(SCAN.images[0], replace(read, version=2))
        for name, value in predecessor(replaced).items():
            setattr(report, name, value)
    return held.doors.store(file_bytes(report), str(report.SeriesInstanceUID))


@pytest.mark.parametrize("door", ["command", "API"])
def test_a_table_with_a_mark_and_semicolons_is_read(hospital, door):
    before = everything(hospital)
    read = said(f"spreadsheet {door}", scores={"LAD": "12,5"})
    table = b"\xef\xbb\xbf" + table_of(read, ";").replace("\n", "\r\n").encode()
    doors = hospital.doors
    told = doors.command(table, ".csv") if door == "command" else doors.post(table, "text/csv")
    assert told.status == status("taken", door), told.words
    assert [one.read.agatston("LAD") for one in added(hospital, before)] == [12.5]


@pytest.mark.parametrize(
    ("head", "encoding", "words"),
    [
        (HEAD, "latin-1", "MSH-18 says UNICODE UTF-8, but byte"),
        (HEAD.replace("UNICODE UTF-8", "8859/1"), "utf-8", "bytes of another encoding"),
        (HEAD.replace("UNICODE UTF-8", "EBCDIC"), "ascii", "'EBCDIC' is not read"),
        (HEAD.replace("UNICODE UTF-8", ""), "cp1252", "MSH-18 is empty"),
    ],
)
def test_a_message_in_another_encoding_than_it_says(hospital, head, encoding, words):
    before = everything(hospital)
    name = "encoding Ü" if encoding != "ascii" else "encoding"
    told = hospital.doors.tell(message_of(said(name), head).encode(encoding))
    assert told.status == "AE"
    assert words in told.words
    assert added(hospital, before) == []


@pytest.mark.parametrize(
    ("door", "expected", "words"),
    [("HL7", "AE", "longer than"), ("API", "413", "bytes"), ("FHIR", "422", "bytes"), ("command", "exit 3", "bytes")],
)
def test_ten_megabytes(hospital, door, expected, words):
    before, doors = everything(hospital), hospital.doors
    if door == "HL7":
        told = doors.tell(message_of(said("large")).encode() + b"\rOBX|9|TX|X||" + b"A" * 10_000_000)
    elif door == "FHIR":
        told = doors.post(b" " * 9_000_000, "application/fhir+json", "fhir")
    else:
        table = table_of(said("large")).encode() + b"\n" * 10_000_001
        told = doors.command(table, ".csv") if door == "command" else doors.post(table, "text/csv")
    assert told.status == expected, told.words
    assert words in told.words
    assert added(hospital, before) == []


def test_a_report_without_codes(hospital):
    before = everything(hospital)
    report = report_of(SCAN.images[0], said("no codes"))
    for group in report.ContentSequence[0].ContentSequence:
        for item in group.ContentSequence:
            del item.ConceptNameCodeSequence
    told = hospital.doors.store(file_bytes(report), str(report.SeriesInstanceUID))
    assert told.status == "0000"
    assert "no coded calcium score of a known region (1 numbers in it)" in told.words
    assert "no coded calcium score" in not_taken(hospital.ledger)[0].reasons[0]
    assert added(hospital, before) == []


def shifted(mask):
    for frame in mask.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        place.ImagePositionPatient = [float(place.ImagePositionPatient[0]) + 3, *place.ImagePositionPatient[1:]]


@pytest.mark.parametrize(
    ("change", "words", "states"),
    [
        (shifted, "does not lie on the grid of the scan", ()),
        (lambda one: setattr(one, "PatientID", "OTHER"), "another patient id", (ReadState.QUARANTINED,)),
        (lambda one: setattr(one, "StudyInstanceUID", "1.2.3.9"), "not here yet", ()),
        (lambda one: setattr(one, "PixelData", b"\0\0"), "2 bytes", ()),
    ],
    ids=["another geometry", "wrong patient", "unknown study", "pixels cut off"],
)
def test_masks(hospital, change, words, states):
    before = everything(hospital)
    mask = corrected(hospital.mask, SCAN)
    change(mask)
    told = hospital.doors.store(file_bytes(mask), str(mask.SeriesInstanceUID))
    assert told.status == "0000"
    assert words in told.words
    assert tuple(one.state for one in added(hospital, before)) == states
    if not states:
        assert any(words in reason for reason in not_taken(hospital.ledger)[0].reasons)


@pytest.mark.parametrize(
    ("changes", "size", "words", "states"),
    [
        ({}, 128, "taken as a human read", (ReadState.MATCHED,)),
        ({}, 64, "64 x 64 pixels", ()),
        ({"PatientID": "OTHER"}, 128, "another patient id", (ReadState.QUARANTINED,)),
        ({"SourceImageSequence": []}, 128, "", ()),
    ],
    ids=["good", "another geometry", "wrong patient", "no place"],
)
def test_coloured_pictures(hospital, changes, size, words, states):
    before = everything(hospital)
    image = next(one for one in SCAN.images if float(one.ImagePositionPatient[2]) == 100.0 + 3.0 * BEAD[0])
    rgb = np.full((size, size, 3), 90, np.uint8)
    rgb[BEAD[1] : BEAD[1] + 3, BEAD[2] : BEAD[2] + 4] = YELLOW
    picture = a_capture(image, rgb, **changes)
    told = hospital.doors.store(file_bytes(picture), str(picture.SeriesInstanceUID))
    assert told.status == "0000"
    assert words in told.words
    assert tuple(one.state for one in added(hospital, before)) == states
    if not states:
        assert not_taken(hospital.ledger)[0].series_uid == picture.SeriesInstanceUID


def test_after_all_that_the_first_read_is_there_and_the_study_was_compared_with_the_newest(hospital):
    ledger = hospital.ledger
    first = next(one for one in ledger.reads_of(SCAN.study_uid) if one.read.source_id.startswith("the first"))
    assert (first.state, first.read.agatston("LAD")) == (ReadState.MATCHED, 120.0)
    assert ledger.effective_read(SCAN.study_uid) is not None
    compared = ledger.comparisons_of(SCAN.study_uid)
    assert len({one.read_id for one in compared}) == len(compared)
    assert ledger.dead_letters() == ()
