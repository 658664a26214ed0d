"""A settled case as the next version of the measurement report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pydicom
import pytest

from node.dicom.answers import Role, build_answers
from node.dicom.human_sr import predecessors_of, read_report
from node.dicom.outcome_report import build_outcome, sentence
from node.dicom.request import PredecessorRef
from node.domain.errors import Refused, Unreadable
from node.domain.review import Radpeer, ReviewOutcome
from node.domain.settlement import ScoresFrom, Settlement
from tests.answer_cases import Case

AT = datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
SCORES = {"LAD": 250.5, "CAC": 250.5, "AC": 0.0}


def a_settlement(**given: object) -> Settlement:
    values: dict[str, object] = {
        "version": 1,
        "outcome": ReviewOutcome.NODE_RIGHT,
        "settled_at": AT,
        "scores": SCORES,
        "scores_from": ScoresFrom.NODE,
        "role": "reviewer",
    }
    return Settlement(**(values | given))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    case = Case()
    request = case.request(case.write(tmp_path_factory.mktemp("source")))
    return next(one for one in build_answers(request, [Role.SEG, Role.SR]) if one.role is Role.SR)


def before(made) -> PredecessorRef:
    return PredecessorRef(series_uid=made.series_uid, sop_class_uid=made.sop_class_uid, sop_uid=made.sop_uid)


def outcome(report, settlement=None, predecessor=None):
    return build_outcome(
        report.data,
        settlement or a_settlement(),
        predecessor or before(report),
        model_sha256="ab" * 32,
        software_version="9.9",
    )


def read(made):
    return pydicom.dcmread(BytesIO(made.data))


def named(item, code):
    return [one for one in item.get("ContentSequence", []) if one.ConceptNameCodeSequence[0].CodeValue == code]


def groups(dataset):
    (measurements,) = named(dataset, "126010")
    return {named(one, "112039")[0].TextValue: one for one in named(measurements, "125007")}


def evaluations(dataset):
    (container,) = named(dataset, "C0034375")
    return {one.ConceptNameCodeSequence[0].CodeValue: one for one in container.ContentSequence}


def codes(dataset):
    found = evaluations(dataset).items()
    return {name: one.ConceptCodeSequence[0].CodeValue for name, one in found if one.ValueType == "CODE"}


def test_the_new_version_holds_all_of_the_report_and_names_it(report):
    old, new = read(report), read(outcome(report))
    for keyword in (
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "AccessionNumber",
        "SOPClassUID",
        "DeviceSerialNumber",
    ):
        assert new[keyword].value == old[keyword].value, keyword
    assert new.SOPInstanceUID != old.SOPInstanceUID
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.SeriesNumber == old.SeriesNumber + 3
    assert new.CurrentRequestedProcedureEvidenceSequence == old.CurrentRequestedProcedureEvidenceSequence
    kept = groups(new)
    for name, group in groups(old).items():
        assert kept[name] == group
    (study,) = new.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (old.StudyInstanceUID, old.SeriesInstanceUID)
    assert (document.ReferencedSOPClassUID, document.ReferencedSOPInstanceUID) == (old.SOPClassUID, old.SOPInstanceUID)
    assert predecessors_of(outcome(report).data) == (str(old.SOPInstanceUID),)


def test_the_same_decision_gives_the_same_bytes_and_another_another_uid(report):
    first = outcome(report)
    assert outcome(report).data == first.data
    assert first.sop_uid.startswith("2.25.")
    others = (
        outcome(report, a_settlement(outcome=ReviewOutcome.EQUIVALENT)),
        outcome(report, a_settlement(version=2, settled_at=AT + timedelta(hours=1))),
        outcome(report, predecessor=before(first)),
    )
    made = (report, first, *others)
    assert len({one.sop_uid for one in made}) == len({one.series_uid for one in made}) == 5


def test_the_scores_that_hold_stand_in_groups_of_their_own_marked_as_chosen(report):
    found = groups(read(outcome(report, a_settlement(scores_from=ScoresFrom.HUMAN))))
    for region, score in SCORES.items():
        group = found[f"Settled calcium {region}"]
        (number,) = [one for one in group.ContentSequence if one.ValueType == "NUM"]
        assert number.MeasuredValueSequence[0].FloatingPointValue == score
        assert named(number, "121404")[0].ConceptCodeSequence[0].CodeValue == "121410"
        assert named(number, "121404")[0].RelationshipType == "HAS PROPERTIES"
        assert named(group, "SCORE-OF")[0].ConceptCodeSequence[0].CodeValue == "HUMAN"
    assert "Settled calcium RCA" not in found


@pytest.mark.parametrize(
    ("settled", "said", "assessed"),
    [
        (ReviewOutcome.NODE_RIGHT, "NODE-RIGHT", "ACCEPTED"),
        (ReviewOutcome.HUMAN_RIGHT, "HUMAN-RIGHT", "REJECTED"),
        (ReviewOutcome.BOTH_WRONG, "BOTH-WRONG", "SUPPLEMENTED"),
        (ReviewOutcome.EQUIVALENT, "EQUIVALENT", "ACCEPTED"),
    ],
)
def test_who_was_right_is_coded_and_in_words(settled, said, assessed, report):
    settlement = a_settlement(outcome=settled)
    told = codes(read(outcome(report, settlement)))
    assert told == {"OUTCOME": said, "ASSESSMENT": assessed, "SETTLED-BY": "REVIEWER"}
    assert assessed.lower() in sentence(settlement)
    assert evaluations(read(outcome(report, settlement)))["121106"].TextValue == sentence(settlement)


def test_a_withdrawn_decision_settles_nothing(report):
    settlement = a_settlement(version=2, outcome=None, scores={}, scores_from=None)
    dataset = read(outcome(report, settlement))
    assert codes(dataset) == {"OUTCOME": "WITHDRAWN", "SETTLED-BY": "REVIEWER"}
    assert set(groups(dataset)) == set(groups(read(report)))
    assert evaluations(dataset)["DECISION-VERSION"].MeasuredValueSequence[0].NumericValue == 2
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_neither_name_nor_grade_is_there_unless_it_is_told(report):
    plain = outcome(report, a_settlement(role=""))
    assert {"RADPEER", "SETTLED-BY", "121008"}.isdisjoint(evaluations(read(plain)))
    told = evaluations(read(outcome(report, a_settlement(radpeer=Radpeer.MISS, reviewer="Jörg^=Müller"))))
    assert told["RADPEER"].ConceptCodeSequence[0].CodeValue == "RADPEER-3A"
    assert told["121008"].PersonName == "Jorg  Muller"


def test_the_time_is_that_of_the_decision(report):
    dataset = read(outcome(report))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260305", "073000.000000")
    assert evaluations(dataset)["SETTLED-AT"].DateTime == "20260305073000.000000"


def test_the_time_is_in_the_zone_of_the_source(tmp_path):
    def zoned(dataset):
        dataset.TimezoneOffsetFromUTC = "+0900"

    case = Case(change=zoned)
    (made,) = build_answers(case.request(case.write(tmp_path)), [Role.SR])
    dataset = read(outcome(made, a_settlement(reviewer="anna", organization="H")))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260305", "163000.000000")
    assert evaluations(dataset)["SETTLED-AT"].DateTime == "20260305163000.000000"
    assert dataset.VerifyingObserverSequence[0].VerificationDateTime == "20260305163000.000000"


def test_verified_names_who_when_and_for_whom(report):
    dataset = read(outcome(report, a_settlement(reviewer="anna", organization="General Hospital")))
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "VERIFIED")
    (observer,) = dataset.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("anna", "General Hospital")
    assert observer.VerificationDateTime == "20260305073000.000000"
    assert len(observer.VerifyingObserverIdentificationCodeSequence) == 0
    rejected = a_settlement(outcome=ReviewOutcome.HUMAN_RIGHT, reviewer="anna", organization="General Hospital")
    assert read(outcome(report, rejected)).VerificationFlag == "UNVERIFIED"
    assert "VerifyingObserverSequence" not in read(outcome(report, rejected))


def test_names_keep_their_bytes_in_their_character_set(tmp_path):
    def japanese(dataset):
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"

    case = Case(change=japanese)
    (made,) = build_answers(case.request(case.write(tmp_path)), [Role.SR])
    new = read(outcome(made))
    assert new.PatientName == read(made).PatientName
    assert new.get_item("PatientName").value.original_string == read(made).PatientName.original_string


def test_it_is_no_human_read(report):
    with pytest.raises(Refused, match="this software"):
        read_report(outcome(report).data)


@pytest.mark.parametrize("damage", [b"", b"nonsense", "cut"])
def test_what_is_no_report_is_said_to_be_none(damage, report):
    data = report.data[:700] if damage == "cut" else damage
    with pytest.raises(Unreadable, match="no measurement report"):
        build_outcome(data, a_settlement(), before(report), model_sha256="", software_version="1")
